//! Which requests are S3's.

use http::Method;

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

/// The access key of a signature of either version, in the header or in the query. Nobody has checked it yet.
pub(super) fn access_key<'a>(signs: &Signs<'a>) -> Option<&'a str> {
    let found = match signs.authorization {
        Some(header) => header.split_once("Credential=").map(|(_, rest)| rest).or_else(|| header.strip_prefix("AWS ")),
        None => ["X-Amz-Credential=", "AWSAccessKeyId="]
            .iter()
            .find_map(|name| signs.query.split('&').find_map(|pair| pair.strip_prefix(name))),
    };
    let key = found?;
    let end = key.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(key.len());
    Some(&key[..end])
}

/// The service in `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn scope_service(text: &str) -> Option<&str> {
    let (before, _) = text.split_once("/aws4_request")?;
    before.rsplit('/').next()
}

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
    fn the_key_stands_in_the_header_or_in_the_query() {
        let header = |authorization| access_key(&Signs { authorization: Some(authorization), ..signs(&Method::GET) });
        assert_eq!(
            header("AWS4-HMAC-SHA256 Credential=AKIA1/20150830/r/s3/aws4_request, SignedHeaders=h"),
            Some("AKIA1")
        );
        assert_eq!(header("AWS AKIA2:signature"), Some("AKIA2"));
        assert_eq!(header("Bearer x"), None);
        let query = |query| access_key(&Signs { query, ..signs(&Method::GET) });
        assert_eq!(query("a=b&X-Amz-Credential=ASIA3%2F20150830"), Some("ASIA3"));
        assert_eq!(query("Signature=s&AWSAccessKeyId=AKIA4&Expires=1"), Some("AKIA4"));
        assert_eq!(query("prefix=x"), None);
    }

    #[test]
    fn what_is_not_signed_is_s3_unless_it_is_clearly_another() {
        assert!(is_s3(&signs(&Method::GET)));
        assert!(!is_s3(&Signs { has_target: true, ..signs(&Method::POST) }));
        assert!(!is_s3(&Signs { query: "Action=GetCallerIdentity", ..signs(&Method::GET) }));
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert!(!is_s3(&Signs { content_type: form, ..signs(&Method::POST) }));
    }
}
