//! The settings of a bucket: each is read and written by calls of its own, and unset ones answer 404s.
//!
//! Two writes to one bucket at the same time get `OperationAborted`, so they run one after another (S3 API
//! reference, `PutBucketPolicy` and its siblings).

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    LifecycleExpiration, LifecycleRule as SdkRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use pinfra_engine::{CloudError, ErrorKind};
use serde_json::Value;

use super::bucket::{BucketInputs, Encryption, LifecycleRule, PublicAccessBlock};
use crate::error::classify;
use crate::policy::normalise_policy;
use crate::tags::Tags;

type Sdk = aws_sdk_s3::Client;

/// The answer, or `None` where AWS says with one of `codes` that nothing is set.
fn unless_unset<T, E>(
    operation: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
    codes: &[&str],
) -> Result<Option<T>, CloudError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            let error = classify(operation, &error);
            if error.code.as_deref().is_some_and(|code| codes.contains(&code)) { Ok(None) } else { Err(error) }
        }
    }
}

fn built<T>(built: Result<T, BuildError>) -> Result<T, CloudError> {
    built.map_err(|error| CloudError::new(ErrorKind::Invalid, "s3/bucket", error.to_string()))
}

pub(super) async fn read_tags(s3: &Sdk, bucket: &str) -> Result<Tags, CloudError> {
    let answer = s3.get_bucket_tagging().bucket(bucket).send().await;
    let answer = unless_unset("s3:GetBucketTagging", answer, &["NoSuchTagSet"])?;
    let tags = answer.map(|tags| tags.tag_set).unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

pub(super) async fn read_encryption(s3: &Sdk, bucket: &str) -> Result<Encryption, CloudError> {
    let answer = s3.get_bucket_encryption().bucket(bucket).send().await;
    let answer = unless_unset("s3:GetBucketEncryption", answer, &["ServerSideEncryptionConfigurationNotFoundError"])?;
    let rules = answer.and_then(|a| a.server_side_encryption_configuration).map(|c| c.rules).unwrap_or_default();
    let by_default = rules.into_iter().find_map(|rule| rule.apply_server_side_encryption_by_default);
    Ok(match by_default {
        None => Encryption { algorithm: "none".to_owned(), key: None },
        Some(d) => Encryption { algorithm: d.sse_algorithm.as_str().to_owned(), key: d.kms_master_key_id },
    })
}

pub(super) async fn read_public_access(s3: &Sdk, bucket: &str) -> Result<PublicAccessBlock, CloudError> {
    let answer = s3.get_public_access_block().bucket(bucket).send().await;
    let answer = unless_unset("s3:GetPublicAccessBlock", answer, &["NoSuchPublicAccessBlockConfiguration"])?;
    let found = answer.and_then(|a| a.public_access_block_configuration);
    let is_on = |of: fn(&PublicAccessBlockConfiguration) -> Option<bool>| found.as_ref().and_then(of).unwrap_or(false);
    Ok(PublicAccessBlock {
        block_public_acls: is_on(|c| c.block_public_acls),
        ignore_public_acls: is_on(|c| c.ignore_public_acls),
        block_public_policy: is_on(|c| c.block_public_policy),
        restrict_public_buckets: is_on(|c| c.restrict_public_buckets),
    })
}

pub(super) async fn read_policy(s3: &Sdk, bucket: &str) -> Result<Option<Value>, CloudError> {
    let answer = s3.get_bucket_policy().bucket(bucket).send().await;
    let answer = unless_unset("s3:GetBucketPolicy", answer, &["NoSuchBucketPolicy"])?;
    let Some(text) = answer.and_then(|a| a.policy) else { return Ok(None) };
    let policy = serde_json::from_str(&text).map_err(|error| {
        CloudError::new(ErrorKind::Other, "s3:GetBucketPolicy", format!("the policy is not JSON: {error}"))
    })?;
    Ok(Some(normalise_policy(&policy)))
}

pub(super) async fn read_versioning(s3: &Sdk, bucket: &str) -> Result<bool, CloudError> {
    let answer = s3.get_bucket_versioning().bucket(bucket).send().await;
    let answer = answer.map_err(|error| classify("s3:GetBucketVersioning", &error))?;
    Ok(answer.status == Some(BucketVersioningStatus::Enabled))
}

pub(super) async fn read_lifecycle(s3: &Sdk, bucket: &str) -> Result<Vec<LifecycleRule>, CloudError> {
    let answer = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
    let answer = unless_unset("s3:GetBucketLifecycleConfiguration", answer, &["NoSuchLifecycleConfiguration"])?;
    let mut rules: Vec<LifecycleRule> =
        answer.and_then(|a| a.rules).unwrap_or_default().into_iter().map(|rule| ours(&rule)).collect();
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(rules)
}

/// A rule in our words. What ours cannot say is kept as text, so that it shows as a difference.
fn ours(rule: &SdkRule) -> LifecycleRule {
    let filter = rule.filter.as_ref();
    let expiration = rule.expiration.as_ref();
    let noncurrent = rule.noncurrent_version_expiration.as_ref();
    let found = LifecycleRule {
        id: rule.id.clone().unwrap_or_default(),
        prefix: filter.and_then(|f| f.prefix.clone()).unwrap_or_default(),
        expire_days: expiration.and_then(|e| e.days),
        noncurrent_days: noncurrent.and_then(|n| n.noncurrent_days),
        abort_multipart_days: rule.abort_incomplete_multipart_upload.as_ref().and_then(|a| a.days_after_initiation),
        other: None,
    };
    let is_ours = theirs(&found).is_ok_and(|again| again == *rule || same_but_for_filter(&again, rule));
    LifecycleRule { other: (!is_ours).then(|| format!("{rule:?}")), ..found }
}

/// S3 may answer an empty prefix as an empty filter.
fn same_but_for_filter(a: &SdkRule, b: &SdkRule) -> bool {
    let empty = |rule: &SdkRule| {
        rule.filter
            .as_ref()
            .is_none_or(|f| f.prefix.as_deref().unwrap_or_default().is_empty() && f.tag.is_none() && f.and.is_none())
    };
    let without_filter = |rule: &SdkRule| {
        let mut rule = rule.clone();
        rule.filter = None;
        rule
    };
    empty(a) && empty(b) && without_filter(a) == without_filter(b)
}

fn theirs(rule: &LifecycleRule) -> Result<SdkRule, CloudError> {
    let expiration = rule.expire_days.map(|days| LifecycleExpiration::builder().days(days).build());
    let noncurrent =
        rule.noncurrent_days.map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
    let abort = rule
        .abort_multipart_days
        .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
    built(
        SdkRule::builder()
            .id(&rule.id)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
            .set_expiration(expiration)
            .set_noncurrent_version_expiration(noncurrent)
            .set_abort_incomplete_multipart_upload(abort)
            .build(),
    )
}

/// Writes what differs between `old` and `new`: first who owns the bucket, then what guards it, then the rest.
pub(super) async fn write(s3: &Sdk, old: &BucketInputs, new: &BucketInputs) -> Result<(), CloudError> {
    let name = new.name.as_str();
    if old.tags != new.tags {
        write_tags(s3, name, &new.tags).await?;
    }
    if old.public_access_block != new.public_access_block {
        write_public_access(s3, name, &new.public_access_block).await?;
    }
    if old.policy != new.policy {
        write_policy(s3, name, new.policy.as_ref()).await?;
    }
    if old.encryption != new.encryption {
        write_encryption(s3, name, &new.encryption).await?;
    }
    if old.versioning != new.versioning {
        write_versioning(s3, name, new.versioning).await?;
    }
    if old.lifecycle != new.lifecycle {
        write_lifecycle(s3, name, &new.lifecycle).await?;
    }
    Ok(())
}

async fn write_tags(s3: &Sdk, bucket: &str, tags: &Tags) -> Result<(), CloudError> {
    let mut tagging = Tagging::builder().set_tag_set(Some(Vec::new()));
    for (key, value) in tags {
        tagging = tagging.tag_set(built(Tag::builder().key(key).value(value).build())?);
    }
    let request = s3.put_bucket_tagging().bucket(bucket).tagging(built(tagging.build())?);
    request.send().await.map(drop).map_err(|error| classify("s3:PutBucketTagging", &error))
}

async fn write_public_access(s3: &Sdk, bucket: &str, block: &PublicAccessBlock) -> Result<(), CloudError> {
    let configuration = PublicAccessBlockConfiguration::builder()
        .block_public_acls(block.block_public_acls)
        .ignore_public_acls(block.ignore_public_acls)
        .block_public_policy(block.block_public_policy)
        .restrict_public_buckets(block.restrict_public_buckets)
        .build();
    let request = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(configuration);
    request.send().await.map(drop).map_err(|error| classify("s3:PutPublicAccessBlock", &error))
}

async fn write_policy(s3: &Sdk, bucket: &str, policy: Option<&Value>) -> Result<(), CloudError> {
    match policy {
        Some(policy) => {
            let request = s3.put_bucket_policy().bucket(bucket).policy(policy.to_string());
            request.send().await.map(drop).map_err(|error| classify("s3:PutBucketPolicy", &error))
        }
        None => {
            let request = s3.delete_bucket_policy().bucket(bucket);
            request.send().await.map(drop).map_err(|error| classify("s3:DeleteBucketPolicy", &error))
        }
    }
}

async fn write_encryption(s3: &Sdk, bucket: &str, encryption: &Encryption) -> Result<(), CloudError> {
    let by_default = built(
        ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::from(encryption.algorithm.as_str()))
            .set_kms_master_key_id(encryption.key.clone())
            .build(),
    )?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default).build();
    let configuration = built(ServerSideEncryptionConfiguration::builder().rules(rule).build())?;
    let request = s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(configuration);
    request.send().await.map(drop).map_err(|error| classify("s3:PutBucketEncryption", &error))
}

async fn write_versioning(s3: &Sdk, bucket: &str, on: bool) -> Result<(), CloudError> {
    // A bucket that had versions cannot lose them, only stop making new ones.
    let status = if on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let configuration = VersioningConfiguration::builder().status(status).build();
    let request = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration);
    request.send().await.map(drop).map_err(|error| classify("s3:PutBucketVersioning", &error))
}

async fn write_lifecycle(s3: &Sdk, bucket: &str, rules: &[LifecycleRule]) -> Result<(), CloudError> {
    if rules.is_empty() {
        let request = s3.delete_bucket_lifecycle().bucket(bucket);
        return request.send().await.map(drop).map_err(|error| classify("s3:DeleteBucketLifecycle", &error));
    }
    let rules = rules.iter().map(theirs).collect::<Result<Vec<_>, _>>()?;
    let configuration = built(BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build())?;
    let request = s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(configuration);
    request.send().await.map(drop).map_err(|error| classify("s3:PutBucketLifecycleConfiguration", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifecycle_rule_reads_back_as_it_is_written_and_foreign_parts_show() {
        let rule = LifecycleRule {
            id: "abort".into(),
            prefix: String::new(),
            expire_days: None,
            noncurrent_days: Some(30),
            abort_multipart_days: Some(7),
            other: None,
        };
        assert_eq!(ours(&theirs(&rule).unwrap()), rule);
        let mut foreign = theirs(&rule).unwrap();
        foreign.status = ExpirationStatus::Disabled;
        assert!(ours(&foreign).other.is_some());
    }
}
