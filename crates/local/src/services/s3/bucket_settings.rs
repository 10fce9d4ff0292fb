//! Settings of a bucket, each put, read and removed on its own. Never set means AWS's 404, or its default.

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::records::Versioning;
use super::{Cloud, policy};

pub(super) async fn get_policy(
    cloud: &Cloud,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<GetBucketPolicyOutput> {
    let policy = cloud.bucket(&request.input.bucket).await?.policy.ok_or_else(no_policy)?;
    Ok(GetBucketPolicyOutput { policy: Some(policy) })
}

pub(super) async fn get_policy_status(
    cloud: &Cloud,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<GetBucketPolicyStatusOutput> {
    let policy = cloud.bucket(&request.input.bucket).await?.policy.ok_or_else(no_policy)?;
    let is_public = policy::check(&policy, &request.input.bucket)?;
    Ok(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(is_public) }) })
}

pub(super) async fn put_policy(
    cloud: &Cloud,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<PutBucketPolicyOutput> {
    let PutBucketPolicyInput { bucket, policy, .. } = request.input;
    let alter = cloud.alter_bucket(bucket.clone(), move |record| {
        let is_public = policy::check(&policy, &bucket)?;
        let blocked = record.public_access_block.as_ref().is_some_and(|block| block.block_public_policy == Some(true));
        if is_public && blocked {
            return Err(s3_error!(
                AccessDenied,
                "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access"
            ));
        }
        record.policy = Some(policy);
        Ok(())
    });
    alter.await?;
    Ok(PutBucketPolicyOutput {})
}

pub(super) async fn delete_policy(
    cloud: &Cloud,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<DeleteBucketPolicyOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.policy = None;
        Ok(())
    });
    alter.await?;
    Ok(DeleteBucketPolicyOutput {})
}

pub(super) async fn get_encryption(
    cloud: &Cloud,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<GetBucketEncryptionOutput> {
    let set = cloud.bucket(&request.input.bucket).await?.encryption;
    Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(set.unwrap_or_else(default_encryption)) })
}

pub(super) async fn put_encryption(
    cloud: &Cloud,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<PutBucketEncryptionOutput> {
    let PutBucketEncryptionInput { bucket, server_side_encryption_configuration: configuration, .. } = request.input;
    let [rule] = configuration.rules.as_slice() else {
        return Err(malformed_xml());
    };
    let default = rule.apply_server_side_encryption_by_default.as_ref().ok_or_else(malformed_xml)?;
    check_encryption(default.sse_algorithm.as_str(), default.kms_master_key_id.as_deref())?;
    let alter = cloud.alter_bucket(bucket, move |record| {
        record.encryption = Some(configuration);
        Ok(())
    });
    alter.await?;
    Ok(PutBucketEncryptionOutput {})
}

pub(super) async fn delete_encryption(
    cloud: &Cloud,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<DeleteBucketEncryptionOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.encryption = None;
        Ok(())
    });
    alter.await?;
    Ok(DeleteBucketEncryptionOutput {})
}

pub(super) async fn get_public_access_block(
    cloud: &Cloud,
    request: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<GetPublicAccessBlockOutput> {
    let set = cloud.bucket(&request.input.bucket).await?.public_access_block;
    let set = set.ok_or_else(|| {
        super::refusals::custom(
            "NoSuchPublicAccessBlockConfiguration",
            404,
            "The public access block configuration was not found",
        )
    })?;
    Ok(GetPublicAccessBlockOutput { public_access_block_configuration: Some(set) })
}

pub(super) async fn put_public_access_block(
    cloud: &Cloud,
    request: S3Request<PutPublicAccessBlockInput>,
) -> S3Result<PutPublicAccessBlockOutput> {
    let PutPublicAccessBlockInput { bucket, public_access_block_configuration: given, .. } = request.input;
    let block = PublicAccessBlockConfiguration {
        block_public_acls: Some(given.block_public_acls.unwrap_or(false)),
        block_public_policy: Some(given.block_public_policy.unwrap_or(false)),
        ignore_public_acls: Some(given.ignore_public_acls.unwrap_or(false)),
        restrict_public_buckets: Some(given.restrict_public_buckets.unwrap_or(false)),
    };
    let alter = cloud.alter_bucket(bucket, move |record| {
        record.public_access_block = Some(block);
        Ok(())
    });
    alter.await?;
    Ok(PutPublicAccessBlockOutput {})
}

pub(super) async fn delete_public_access_block(
    cloud: &Cloud,
    request: S3Request<DeletePublicAccessBlockInput>,
) -> S3Result<DeletePublicAccessBlockOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.public_access_block = None;
        Ok(())
    });
    alter.await?;
    Ok(DeletePublicAccessBlockOutput {})
}

pub(super) async fn get_versioning(
    cloud: &Cloud,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    let status = match cloud.bucket(&request.input.bucket).await?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(GetBucketVersioningOutput { status: status.map(BucketVersioningStatus::from_static), mfa_delete: None })
}

pub(super) async fn put_versioning(
    cloud: &Cloud,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<PutBucketVersioningOutput> {
    let PutBucketVersioningInput { bucket, versioning_configuration: given, .. } = request.input;
    if given.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
        return Err(s3_error!(NotImplemented, "the local cloud does not have MFA delete"));
    }
    let versioning = match given.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            return Err(s3_error!(IllegalVersioningConfigurationException, "The Versioning element must be specified"));
        }
    };
    let alter = cloud.alter_bucket(bucket, move |record| {
        record.versioning = versioning;
        Ok(())
    });
    alter.await?;
    Ok(PutBucketVersioningOutput {})
}

pub(super) async fn get_ownership(
    cloud: &Cloud,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<GetBucketOwnershipControlsOutput> {
    let set = cloud.bucket(&request.input.bucket).await?.ownership;
    let set =
        set.ok_or_else(|| s3_error!(OwnershipControlsNotFoundError, "The bucket ownership controls were not found"))?;
    let rules = vec![OwnershipControlsRule { object_ownership: ObjectOwnership::from(set) }];
    Ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) })
}

pub(super) async fn put_ownership(
    cloud: &Cloud,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<PutBucketOwnershipControlsOutput> {
    let PutBucketOwnershipControlsInput { bucket, ownership_controls: given, .. } = request.input;
    let [rule] = given.rules.as_slice() else {
        return Err(malformed_xml());
    };
    let known = [
        ObjectOwnership::BUCKET_OWNER_ENFORCED,
        ObjectOwnership::BUCKET_OWNER_PREFERRED,
        ObjectOwnership::OBJECT_WRITER,
    ];
    let ownership = rule.object_ownership.as_str().to_owned();
    if !known.contains(&ownership.as_str()) {
        return Err(malformed_xml());
    }
    let alter = cloud.alter_bucket(bucket, move |record| {
        record.ownership = Some(ownership);
        Ok(())
    });
    alter.await?;
    Ok(PutBucketOwnershipControlsOutput {})
}

pub(super) async fn delete_ownership(
    cloud: &Cloud,
    request: S3Request<DeleteBucketOwnershipControlsInput>,
) -> S3Result<DeleteBucketOwnershipControlsOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.ownership = None;
        Ok(())
    });
    alter.await?;
    Ok(DeleteBucketOwnershipControlsOutput {})
}

/// Refuses an algorithm that S3 does not know, and a KMS key without KMS.
pub(super) fn check_encryption(algorithm: &str, kms_key: Option<&str>) -> S3Result<()> {
    match algorithm {
        ServerSideEncryption::AES256 if kms_key.is_some() => Err(s3_error!(
            InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
        )),
        ServerSideEncryption::AES256 | ServerSideEncryption::AWS_KMS | ServerSideEncryption::AWS_KMS_DSSE => Ok(()),
        _ => Err(s3_error!(
            InvalidEncryptionAlgorithmError,
            "The encryption request that you specified is not valid. The valid value is AES256."
        )),
    }
}

fn default_encryption() -> ServerSideEncryptionConfiguration {
    let default = ServerSideEncryptionByDefault {
        kms_master_key_id: None,
        sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(default),
        bucket_key_enabled: Some(false),
    };
    ServerSideEncryptionConfiguration { rules: vec![rule] }
}

fn no_policy() -> S3Error {
    s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist")
}

pub(super) fn malformed_xml() -> S3Error {
    s3_error!(MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
}
