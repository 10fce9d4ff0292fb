//! Which permissions a request needs: S3's actions are not named as its operations are.
//!
//! The table is that of the service authorization reference, "Actions, resources, and condition keys for Amazon S3", and
//! of the S3 user guide, "Required permissions for Amazon S3 API operations".

use percent_encoding::percent_decode_str;
use s3s::access::S3AccessContext;

use super::operation::query_value;
use crate::services::iam::Context;

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) action: String,
    pub(super) resource: String,
}

/// What a request needs. DeleteObjects is judged key by key, once its body is read.
pub(super) fn needed(context: &S3AccessContext<'_>) -> Vec<Needed> {
    let operation = context.s3_op().name();
    let path = context.s3_path();
    let resource = match (path.get_bucket_name(), path.get_object_key()) {
        (Some(bucket), Some(key)) => object_arn(bucket, key),
        (Some(bucket), None) => bucket_arn(bucket),
        _ => "*".to_owned(),
    };
    let versioned = context.uri().query().and_then(|query| query_value(query, "versionId")).is_some();
    let mut needed = vec![Needed { action: action(operation, versioned), resource }];
    match operation {
        "DeleteObjects" => needed.clear(),
        "CopyObject" | "UploadPartCopy" => needed.extend(copied_from(context)),
        _ => {}
    }
    needed
}

/// Deleting one key of a DeleteObjects.
pub(super) fn to_delete(bucket: &str, key: &str, versioned: bool) -> Needed {
    Needed { action: action("DeleteObject", versioned), resource: object_arn(bucket, key) }
}

/// Seeing which keys there are; without it a key that is not there looks as one that may not be read.
pub(super) fn to_list(bucket: &str) -> Needed {
    Needed { action: "s3:ListBucket".to_owned(), resource: bucket_arn(bucket) }
}

/// What is known of the request: the condition keys of listings.
pub(super) fn known_of(context: &S3AccessContext<'_>) -> Context {
    // Loopback counts as TLS: nobody can listen in on it, and a policy that asks for TLS is written for AWS.
    let mut known = Context::default().with("aws:SourceIp", "127.0.0.1").with("aws:SecureTransport", "true");
    let query = context.uri().query().unwrap_or_default();
    let lists = context.s3_op().name().starts_with("List") && context.s3_path().get_object_key().is_none();
    for (name, key) in [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")] {
        match query_value(query, name) {
            Some(value) => known = known.with(key, value),
            // Listing everything is listing below the empty prefix.
            None if lists && name == "prefix" => known = known.with(key, ""),
            None => {}
        }
    }
    if let Some(version) = query_value(query, "versionId") {
        known = known.with("s3:VersionId", version);
    }
    known
}

fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

fn copied_from(context: &S3AccessContext<'_>) -> Option<Needed> {
    let source = context.headers().get("x-amz-copy-source")?.to_str().ok()?;
    let (path, version) = source.split_once("?versionId=").map_or((source, None), |(path, id)| (path, Some(id)));
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/')?;
    Some(Needed { action: action("GetObject", version.is_some()), resource: object_arn(bucket, key) })
}

fn action(operation: &str, versioned: bool) -> String {
    let name = match operation {
        "GetObject" | "HeadObject" | "GetObjectAttributes" if versioned => "GetObjectVersion",
        "HeadObject" | "GetObjectAttributes" | "SelectObjectContent" => "GetObject",
        "DeleteObject" if versioned => "DeleteObjectVersion",
        "GetObjectAcl" if versioned => "GetObjectVersionAcl",
        "GetObjectTagging" if versioned => "GetObjectVersionTagging",
        "PutObjectTagging" if versioned => "PutObjectVersionTagging",
        "DeleteObjectTagging" if versioned => "DeleteObjectVersionTagging",
        "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "PostObject" => "PutObject",
        "ListParts" => "ListMultipartUploadParts",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListObjects" | "ListObjectsV2" | "HeadBucket" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListBuckets" => "ListAllMyBuckets",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "PutLifecycleConfiguration",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "DeleteBucketTagging" => "PutBucketTagging",
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "GetBucketAccelerateConfiguration" => "GetAccelerateConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        same => same,
    };
    format!("s3:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_need_the_actions_of_s3() {
        let cases = [
            ("GetObject", false, "s3:GetObject"),
            ("HeadObject", false, "s3:GetObject"),
            ("HeadObject", true, "s3:GetObjectVersion"),
            ("DeleteObject", true, "s3:DeleteObjectVersion"),
            ("CompleteMultipartUpload", false, "s3:PutObject"),
            ("AbortMultipartUpload", false, "s3:AbortMultipartUpload"),
            ("ListObjectsV2", false, "s3:ListBucket"),
            ("HeadBucket", false, "s3:ListBucket"),
            ("DeleteBucketLifecycle", false, "s3:PutLifecycleConfiguration"),
            ("PutBucketPolicy", false, "s3:PutBucketPolicy"),
        ];
        for (operation, versioned, expected) in cases {
            assert_eq!(action(operation, versioned), expected, "{operation}");
        }
    }
}
