//! Names the operation of a request, before it is authenticated: for counting, for planned faults, and to refuse by
//! name what is not there.
//!
//! S3 tells operations apart by method, by how long the path is, and by which query keys are present. The rows are
//! those of the S3 API reference, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.

use http::{Method, Request, header};

/// The name of what is no operation of S3, such as a POST to `/`.
pub(super) const NONE: &str = "Unknown";

/// An operation of the S3 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name, such as `PutObject`; `Unknown` for what S3 does not have either.
    pub name: &'static str,
    /// Whether it may change anything.
    pub mutates: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// Names the operation that a request asks for.
pub fn operation_of<B>(request: &Request<B>) -> Operation {
    let method = request.method();
    let query = request.uri().query().unwrap_or_default();
    let name = match level_of(request) {
        Level::Service if method == Method::GET => "ListBuckets",
        Level::Service => NONE,
        Level::Bucket => bucket_operation(method, query, is_form(request)),
        Level::Object => object_operation(method, query, request.headers().contains_key("x-amz-copy-source")),
    };
    let reads = method == Method::GET || method == Method::HEAD || name == "SelectObjectContent";
    Operation { name, mutates: !reads }
}

fn level_of<B>(request: &Request<B>) -> Level {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path().trim_start_matches('/');
    if host.and_then(super::access::bucket_of_host).is_some() {
        return if request.uri().path() == "/" { Level::Bucket } else { Level::Object };
    }
    match path.split_once('/') {
        None if path.is_empty() => Level::Service,
        None | Some((_, "")) => Level::Bucket,
        Some(_) => Level::Object,
    }
}

fn is_form<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("multipart/form-data"))
}

/// Query keys (all must be there), then the names for GET, PUT, DELETE and POST; empty where there is none.
type Row = (&'static [&'static str], [&'static str; 4]);

const BUCKET_ROWS: &[Row] = &[
    (&["abac"], ["GetBucketAbac", "PutBucketAbac", "", ""]),
    (&["accelerate"], ["GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", "", ""]),
    (&["acl"], ["GetBucketAcl", "PutBucketAcl", "", ""]),
    (
        &["analytics", "id"],
        [
            "GetBucketAnalyticsConfiguration",
            "PutBucketAnalyticsConfiguration",
            "DeleteBucketAnalyticsConfiguration",
            "",
        ],
    ),
    (&["analytics"], ["ListBucketAnalyticsConfigurations", "PutBucketAnalyticsConfiguration", "", ""]),
    (&["cors"], ["GetBucketCors", "PutBucketCors", "DeleteBucketCors", ""]),
    (&["delete"], ["", "", "", "DeleteObjects"]),
    (&["encryption"], ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption", ""]),
    (
        &["intelligent-tiering", "id"],
        [
            "GetBucketIntelligentTieringConfiguration",
            "PutBucketIntelligentTieringConfiguration",
            "DeleteBucketIntelligentTieringConfiguration",
            "",
        ],
    ),
    (&["intelligent-tiering"], ["ListBucketIntelligentTieringConfigurations", "", "", ""]),
    (
        &["inventory", "id"],
        [
            "GetBucketInventoryConfiguration",
            "PutBucketInventoryConfiguration",
            "DeleteBucketInventoryConfiguration",
            "",
        ],
    ),
    (&["inventory"], ["ListBucketInventoryConfigurations", "", "", ""]),
    (
        &["lifecycle"],
        ["GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle", ""],
    ),
    (&["location"], ["GetBucketLocation", "", "", ""]),
    (&["logging"], ["GetBucketLogging", "PutBucketLogging", "", ""]),
    (
        &["metadataConfiguration"],
        [
            "GetBucketMetadataConfiguration",
            "",
            "DeleteBucketMetadataConfiguration",
            "CreateBucketMetadataConfiguration",
        ],
    ),
    (&["metadataInventoryTable"], ["", "UpdateBucketMetadataInventoryTableConfiguration", "", ""]),
    (&["metadataJournalTable"], ["", "UpdateBucketMetadataJournalTableConfiguration", "", ""]),
    (
        &["metadataTable"],
        [
            "GetBucketMetadataTableConfiguration",
            "",
            "DeleteBucketMetadataTableConfiguration",
            "CreateBucketMetadataTableConfiguration",
        ],
    ),
    (
        &["metrics", "id"],
        ["GetBucketMetricsConfiguration", "PutBucketMetricsConfiguration", "DeleteBucketMetricsConfiguration", ""],
    ),
    (&["metrics"], ["ListBucketMetricsConfigurations", "", "", ""]),
    (&["notification"], ["GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", "", ""]),
    (&["object-lock"], ["GetObjectLockConfiguration", "PutObjectLockConfiguration", "", ""]),
    (
        &["ownershipControls"],
        ["GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls", ""],
    ),
    (&["policyStatus"], ["GetBucketPolicyStatus", "", "", ""]),
    (&["policy"], ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", ""]),
    (&["publicAccessBlock"], ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", ""]),
    (&["replication"], ["GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication", ""]),
    (&["requestPayment"], ["GetBucketRequestPayment", "PutBucketRequestPayment", "", ""]),
    (&["session"], ["CreateSession", "", "", ""]),
    (&["tagging"], ["GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging", ""]),
    (&["uploads"], ["ListMultipartUploads", "", "", ""]),
    (&["versioning"], ["GetBucketVersioning", "PutBucketVersioning", "", ""]),
    (&["versions"], ["ListObjectVersions", "", "", ""]),
    (&["website"], ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite", ""]),
];

const OBJECT_ROWS: &[Row] = &[
    (&["acl"], ["GetObjectAcl", "PutObjectAcl", "", ""]),
    (&["attributes"], ["GetObjectAttributes", "", "", ""]),
    (&["encryption"], ["", "UpdateObjectEncryption", "", ""]),
    (&["legal-hold"], ["GetObjectLegalHold", "PutObjectLegalHold", "", ""]),
    (&["renameObject"], ["", "RenameObject", "", ""]),
    (&["restore"], ["", "", "", "RestoreObject"]),
    (&["retention"], ["GetObjectRetention", "PutObjectRetention", "", ""]),
    (&["select"], ["", "", "", "SelectObjectContent"]),
    (&["tagging"], ["GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", ""]),
    (&["torrent"], ["GetObjectTorrent", "", "", ""]),
    (&["uploads"], ["", "", "", "CreateMultipartUpload"]),
    (&["partNumber", "uploadId"], ["ListParts", "UploadPart", "AbortMultipartUpload", "CompleteMultipartUpload"]),
    (&["uploadId"], ["ListParts", "", "AbortMultipartUpload", "CompleteMultipartUpload"]),
];

fn bucket_operation(method: &Method, query: &str, form: bool) -> &'static str {
    if let Some(name) = row_name(BUCKET_ROWS, method, query) {
        return name;
    }
    match *method {
        Method::HEAD => "HeadBucket",
        Method::GET if query_value(query, "list-type").as_deref() == Some("2") => "ListObjectsV2",
        Method::GET => "ListObjects",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if form => "PostObject",
        _ => NONE,
    }
}

fn object_operation(method: &Method, query: &str, copies: bool) -> &'static str {
    match (row_name(OBJECT_ROWS, method, query), method) {
        (Some("UploadPart"), _) if copies => "UploadPartCopy",
        (Some(name), _) => name,
        (None, &Method::HEAD) => "HeadObject",
        (None, &Method::GET) => "GetObject",
        (None, &Method::PUT) if copies => "CopyObject",
        (None, &Method::PUT) => "PutObject",
        (None, &Method::DELETE) => "DeleteObject",
        _ => NONE,
    }
}

fn row_name(rows: &[Row], method: &Method, query: &str) -> Option<&'static str> {
    let column = match *method {
        Method::GET => 0,
        Method::PUT => 1,
        Method::DELETE => 2,
        Method::POST => 3,
        _ => return None,
    };
    let present: Vec<&str> = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key)).collect();
    let row =
        rows.iter().find(|(keys, names)| !names[column].is_empty() && keys.iter().all(|key| present.contains(key)))?;
    Some(row.1[column])
}

/// The decoded value of a query key.
pub(super) fn query_value(query: &str, key: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))?.1;
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_names_of_the_api_reference() {
        let cases = [
            ("GET", "/", "ListBuckets", false),
            ("PUT", "/b", "CreateBucket", true),
            ("PUT", "/b/", "CreateBucket", true),
            ("PUT", "/b?abac", "PutBucketAbac", true),
            ("PUT", "/b?tagging=", "PutBucketTagging", true),
            ("HEAD", "/b", "HeadBucket", false),
            ("GET", "/b?list-type=2&prefix=policy", "ListObjectsV2", false),
            ("GET", "/b?prefix=acl", "ListObjects", false),
            ("GET", "/b?policy", "GetBucketPolicy", false),
            ("GET", "/b?policyStatus", "GetBucketPolicyStatus", false),
            ("GET", "/b?analytics&id=x", "GetBucketAnalyticsConfiguration", false),
            ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle", true),
            ("POST", "/b?delete", "DeleteObjects", true),
            ("GET", "/b/a//b?versionId=null", "GetObject", false),
            ("PUT", "/b/k?x-id=PutObject", "PutObject", true),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart", true),
            ("POST", "/b/k?uploads", "CreateMultipartUpload", true),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload", true),
            ("POST", "/b/k?select&select-type=2", "SelectObjectContent", false),
            ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload", true),
            ("PATCH", "/b/k", NONE, true),
        ];
        for (method, uri, name, mutates) in cases {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert_eq!(operation_of(&request), Operation { name, mutates }, "{method} {uri}");
        }
        let copy = Request::put("/b/k").header("x-amz-copy-source", "b/other").body(()).unwrap();
        assert_eq!(operation_of(&copy).name, "CopyObject");
        let hosted = Request::get("/k").header("host", "b.localhost:4566").body(()).unwrap();
        assert_eq!(operation_of(&hosted).name, "GetObject");
    }
}
