//! What a writer says about an object beside its bytes: headers, metadata, encryption, storage class.

use std::collections::HashMap;

use s3s::dto::{ServerSideEncryption, StorageClass, Timestamp};
use s3s::{S3Result, s3_error};

use super::bucket_settings::check_encryption;
use super::conditions::seconds;
use super::records::{BucketRecord, Description, Encryption};
use super::refusals::custom;

/// User metadata: 2 KB over all names and values.
const MOST_METADATA: usize = 2 * 1024;

/// The members that PutObject, CopyObject and CreateMultipartUpload share.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) acl: Option<String>,
    pub(super) grants: bool,
    pub(super) object_lock: bool,
    pub(super) customer_key: bool,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) encryption: Option<ServerSideEncryption>,
    pub(super) kms_key: Option<String>,
    pub(super) storage_class: Option<StorageClass>,
    pub(super) website_redirect: Option<String>,
}

/// Takes [`Given`] out of an input: three types with the same members, so a macro and not a trait.
macro_rules! given {
    ($input:ident) => {
        $crate::services::s3::describe::Given {
            acl: $input.acl.take().map(|acl| acl.as_str().to_owned()),
            grants: $input.grant_full_control.is_some()
                || $input.grant_read.is_some()
                || $input.grant_read_acp.is_some()
                || $input.grant_write_acp.is_some(),
            object_lock: $input.object_lock_mode.is_some()
                || $input.object_lock_legal_hold_status.is_some()
                || $input.object_lock_retain_until_date.is_some(),
            customer_key: $input.sse_customer_key.is_some() || $input.sse_customer_algorithm.is_some(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_type: $input.content_type.take().map(|value| value.to_string()),
            expires: $input.expires.take(),
            metadata: $input.metadata.take(),
            encryption: $input.server_side_encryption.take(),
            kms_key: $input.ssekms_key_id.take(),
            storage_class: $input.storage_class.take(),
            website_redirect: $input.website_redirect_location.take(),
        }
    };
}
pub(super) use given;

/// Checks what was given and completes it with the bucket's defaults.
pub(super) fn description(given: Given, bucket: &BucketRecord) -> S3Result<Description> {
    check_acl(&given, bucket)?;
    if given.object_lock {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    if given.customer_key {
        return Err(s3_error!(NotImplemented, "the local cloud does not have encryption with customer keys (SSE-C)"));
    }
    let metadata = given.metadata.unwrap_or_default();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_METADATA {
        return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size"));
    }
    Ok(Description {
        content_type: given.content_type.filter(|value| !value.is_empty()),
        content_encoding: without_aws_chunked(given.content_encoding.as_deref()),
        content_disposition: given.content_disposition,
        content_language: given.content_language,
        cache_control: given.cache_control,
        expires: given.expires.as_ref().map(seconds),
        website_redirect: given.website_redirect,
        storage_class: storage_class(given.storage_class)?,
        metadata: metadata.into_iter().collect(),
        encryption: encryption(given.encryption, given.kms_key, bucket)?,
    })
}

/// With ACLs disabled, which is the default since April 2023, only the owner's full control can be "set".
fn check_acl(given: &Given, bucket: &BucketRecord) -> S3Result<()> {
    let harmless = matches!(given.acl.as_deref(), None | Some("private" | "bucket-owner-full-control"));
    if harmless && !given.grants {
        return Ok(());
    }
    if bucket.ownership.as_deref() == Some("BucketOwnerEnforced") {
        return Err(custom("AccessControlListNotSupported", 400, "The bucket does not allow ACLs"));
    }
    Err(s3_error!(NotImplemented, "the local cloud does not have ACLs other than `private`"))
}

/// `aws-chunked` describes the transfer and not the object.
fn without_aws_chunked(encoding: Option<&str>) -> Option<String> {
    let kept: Vec<&str> =
        encoding?.split(',').map(str::trim).filter(|one| !one.is_empty() && *one != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn storage_class(given: Option<StorageClass>) -> S3Result<Option<String>> {
    let known = [
        StorageClass::STANDARD,
        StorageClass::REDUCED_REDUNDANCY,
        StorageClass::STANDARD_IA,
        StorageClass::ONEZONE_IA,
        StorageClass::INTELLIGENT_TIERING,
        StorageClass::GLACIER_IR,
    ];
    let Some(class) = given else { return Ok(None) };
    match class.as_str() {
        StorageClass::STANDARD => Ok(None),
        name if known.contains(&name) => Ok(Some(name.to_owned())),
        // Objects there cannot be read before they are restored, which the local cloud does not have.
        StorageClass::GLACIER | StorageClass::DEEP_ARCHIVE => {
            Err(s3_error!(NotImplemented, "the local cloud does not have the storage class {}", class.as_str()))
        }
        _ => Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid")),
    }
}

fn encryption(
    asked: Option<ServerSideEncryption>,
    kms_key: Option<String>,
    bucket: &BucketRecord,
) -> S3Result<Encryption> {
    if let Some(asked) = asked {
        check_encryption(asked.as_str(), kms_key.as_deref())?;
        return Ok(Encryption { algorithm: asked.as_str().to_owned(), kms_key });
    }
    let rule = bucket.encryption.as_ref().and_then(|configuration| configuration.rules.first());
    let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
    Ok(match default {
        Some(default) => Encryption {
            algorithm: default.sse_algorithm.as_str().to_owned(),
            kms_key: default.kms_master_key_id.clone(),
        },
        None => Encryption::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_transfer_is_not_kept() {
        assert_eq!(without_aws_chunked(Some("aws-chunked")), None);
        assert_eq!(without_aws_chunked(Some("gzip, aws-chunked")).as_deref(), Some("gzip"));
        assert_eq!(without_aws_chunked(Some("gzip")).as_deref(), Some("gzip"));
        assert_eq!(without_aws_chunked(None), None);
    }
}
