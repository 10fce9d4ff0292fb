//! Settings that can be read and not set here: Terraform and the consoles ask every bucket for all of them.
//!
//! Setting one is refused by name, so "not set", or what AWS has unless told otherwise, is a true answer.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Cloud;
use super::buckets::owner;

pub(super) async fn get_acl(cloud: &Cloud, request: S3Request<GetBucketAclInput>) -> S3Result<GetBucketAclOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Ok(GetBucketAclOutput { grants: Some(vec![owner_grant()]), owner: Some(owner()) })
}

pub(super) async fn get_cors(cloud: &Cloud, request: S3Request<GetBucketCorsInput>) -> S3Result<GetBucketCorsOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Err(s3_error!(NoSuchCORSConfiguration, "The CORS configuration does not exist"))
}

pub(super) async fn get_website(
    cloud: &Cloud,
    request: S3Request<GetBucketWebsiteInput>,
) -> S3Result<GetBucketWebsiteOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Err(s3_error!(NoSuchWebsiteConfiguration, "The specified bucket does not have a website configuration"))
}

pub(super) async fn get_replication(
    cloud: &Cloud,
    request: S3Request<GetBucketReplicationInput>,
) -> S3Result<GetBucketReplicationOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Err(s3_error!(ReplicationConfigurationNotFoundError, "The replication configuration was not found"))
}

pub(super) async fn get_object_lock(
    cloud: &Cloud,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<GetObjectLockConfigurationOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Err(s3_error!(ObjectLockConfigurationNotFoundError, "Object Lock configuration does not exist for this bucket"))
}

pub(super) async fn get_logging(
    cloud: &Cloud,
    request: S3Request<GetBucketLoggingInput>,
) -> S3Result<GetBucketLoggingOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Ok(GetBucketLoggingOutput::default())
}

pub(super) async fn get_request_payment(
    cloud: &Cloud,
    request: S3Request<GetBucketRequestPaymentInput>,
) -> S3Result<GetBucketRequestPaymentOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Ok(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) })
}

pub(super) async fn get_accelerate(
    cloud: &Cloud,
    request: S3Request<GetBucketAccelerateConfigurationInput>,
) -> S3Result<GetBucketAccelerateConfigurationOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Ok(GetBucketAccelerateConfigurationOutput::default())
}

pub(super) async fn get_notification(
    cloud: &Cloud,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<GetBucketNotificationConfigurationOutput> {
    cloud.bucket(&request.input.bucket).await?;
    Ok(GetBucketNotificationConfigurationOutput::default())
}

/// The only grant there is with ACLs disabled: the owner's.
pub(super) fn owner_grant() -> Grant {
    let owner = owner();
    let grantee = Grantee {
        display_name: owner.display_name,
        email_address: None,
        id: owner.id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }
}
