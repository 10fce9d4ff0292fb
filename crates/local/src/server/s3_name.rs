//! Which requests are S3's, and what to count them as.

use http::Method;

use super::loopback::Host;

/// What tells an S3 request from another before its signature is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    pub(super) method: &'a Method,
    pub(super) authorization: Option<&'a str>,
    pub(super) query: &'a str,
    pub(super) content_type: Option<&'a str>,
    pub(super) has_target: bool,
}

/// Whether S3 answers: by the scope of the signature, or, for what is not signed with Version 4, because nothing in it
/// belongs to another protocol. Anonymous requests and those of Signature Version 2 are for S3 to refuse.
pub(super) fn is_s3(signs: &Signs<'_>) -> bool {
    if let Some(authorization) = signs.authorization {
        return match scope_service(authorization) {
            Some(service) => service == "s3",
            None => authorization.starts_with("AWS "),
        };
    }
    if signs.query.contains("X-Amz-Credential=") {
        let decoded = signs.query.replace("%2F", "/").replace("%2f", "/");
        return scope_service(&decoded) == Some("s3");
    }
    let form = signs.content_type.is_some_and(|value| {
        value.starts_with("application/x-www-form-urlencoded")
            || value.starts_with("application/x-amz-json")
            || value.starts_with("application/cbor")
            || value.starts_with("application/x-amz-cbor")
    });
    let action = signs.query.split('&').any(|pair| pair.starts_with("Action="));
    let another = signs.has_target || action || (signs.method == Method::POST && form);
    !another
}

/// The service in `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn scope_service(text: &str) -> Option<&str> {
    let (before, _) = text.split_once("/aws4_request")?;
    before.rsplit('/').next()
}

/// The name of an S3 operation, by method, level and subresource, and whether it changes anything.
pub(super) fn operation(method: &Method, host: Host, path: &str, query: &str) -> (String, bool) {
    let mutating = method != Method::GET && method != Method::HEAD;
    let path = path.trim_start_matches('/');
    let level = match (host, path.split_once('/')) {
        (Host::Below, _) if path.is_empty() => "Bucket",
        (Host::Below, _) => "Object",
        (_, None) if path.is_empty() => return ("ListBuckets".to_owned(), mutating),
        (_, None | Some((_, ""))) => "Bucket",
        (_, Some(_)) => "Object",
    };
    let key = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    // What begins with a capital or has a prefix is an argument, not a subresource.
    let subresource = query
        .split('&')
        .map(key)
        .find(|key| key.starts_with(|letter: char| letter.is_ascii_lowercase()) && !ARGUMENTS.contains(&key.as_str()));
    let verb = match method.as_str() {
        "GET" => "Get",
        "PUT" => "Put",
        "POST" => "Post",
        "DELETE" => "Delete",
        "HEAD" => "Head",
        other => other,
    };
    let name = match subresource {
        Some(subresource) => format!("{verb}{level}?{subresource}"),
        None if level == "Bucket" && verb == "Get" => "ListObjects".to_owned(),
        None => format!("{verb}{level}"),
    };
    (name, mutating)
}

const ARGUMENTS: [&str; 13] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-keys",
    "max-uploads",
    "partNumber",
    "prefix",
    "start-after",
    "x-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(method: &Method) -> Signs<'_> {
        Signs { method, authorization: None, query: "", content_type: None, has_target: false }
    }

    #[test]
    fn the_scope_decides() {
        let header = |service: &str| {
            format!("AWS4-HMAC-SHA256 Credential=A/20150830/r/{service}/aws4_request, SignedHeaders=host")
        };
        let (s3, kinesis) = (header("s3"), header("kinesis"));
        assert!(is_s3(&Signs { authorization: Some(&s3), ..signs(&Method::GET) }));
        assert!(!is_s3(&Signs { authorization: Some(&kinesis), ..signs(&Method::GET) }));
        assert!(is_s3(&Signs { authorization: Some("AWS A:signature"), ..signs(&Method::GET) }));
        let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20150830%2Fr%2Fs3%2Faws4_request";
        assert!(is_s3(&Signs { query: presigned, ..signs(&Method::GET) }));
        let presigned = presigned.replace("%2Fs3%2F", "%2Fsts%2F");
        assert!(!is_s3(&Signs { query: &presigned, ..signs(&Method::GET) }));
    }

    #[test]
    fn what_is_not_signed_is_s3_unless_it_is_clearly_another() {
        assert!(is_s3(&signs(&Method::GET)));
        assert!(!is_s3(&Signs { has_target: true, ..signs(&Method::POST) }));
        assert!(!is_s3(&Signs { query: "Action=GetCallerIdentity", ..signs(&Method::GET) }));
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert!(!is_s3(&Signs { content_type: form, ..signs(&Method::POST) }));
    }

    #[test]
    fn names_by_method_level_and_subresource() {
        let name = |method: Method, target: &str| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            operation(&method, Host::Itself, path, query)
        };
        assert_eq!(name(Method::GET, "/"), ("ListBuckets".to_owned(), false));
        assert_eq!(name(Method::GET, "/lake?list-type=2&prefix=a"), ("ListObjects".to_owned(), false));
        assert_eq!(name(Method::PUT, "/lake/"), ("PutBucket".to_owned(), true));
        assert_eq!(name(Method::PUT, "/lake?versioning"), ("PutBucket?versioning".to_owned(), true));
        assert_eq!(name(Method::PUT, "/lake/a/b?partNumber=1&uploadId=u"), ("PutObject?uploadId".to_owned(), true));
        assert_eq!(operation(&Method::HEAD, Host::Below, "/a", ""), ("HeadObject".to_owned(), false));
    }
}
