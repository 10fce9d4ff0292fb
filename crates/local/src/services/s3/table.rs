//! The operations there are, each with its handler. What is not listed is refused by name.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::{
    Cloud, bucket_settings, buckets, copies, deletes, lifecycle, lists, multipart, objects, reads, tags,
    unset_settings, uploads,
};

/// What `s3s` calls.
pub(super) struct Handlers {
    pub(super) cloud: Arc<Cloud>,
}

/// Whether the operation is in the table.
pub(super) fn has(operation: &str) -> bool {
    names().any(|name| name == operation)
}

/// The operations of the table.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    INPUTS.iter().filter_map(|input| input.strip_suffix("Input"))
}

/// Writes `impl S3` by hand what `#[async_trait]` would expand to, so that the table is all there is to read.
macro_rules! operations {
    ($($method:ident($input:ident) -> $output:ident = $handler:path;)*) => {
        const INPUTS: &[&str] = &[$(stringify!($input)),*];

        impl S3 for Handlers {
            $(
                fn $method<'life0, 'async_trait>(
                    &'life0 self,
                    request: S3Request<$input>,
                ) -> Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'async_trait>>
                where
                    'life0: 'async_trait,
                    Self: 'async_trait,
                {
                    Box::pin(async move { Ok(S3Response::new($handler(&self.cloud, request).await?)) })
                }
            )*
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;

    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = bucket_settings::get_policy;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput = bucket_settings::get_policy_status;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = bucket_settings::put_policy;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = bucket_settings::delete_policy;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = bucket_settings::get_encryption;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = bucket_settings::put_encryption;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = bucket_settings::delete_encryption;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput = bucket_settings::get_public_access_block;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput = bucket_settings::put_public_access_block;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput = bucket_settings::delete_public_access_block;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = bucket_settings::get_versioning;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = bucket_settings::put_versioning;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput = bucket_settings::get_ownership;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput = bucket_settings::put_ownership;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput = bucket_settings::delete_ownership;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = unset_settings::get_acl;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput = unset_settings::get_cors;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput = unset_settings::get_website;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput = unset_settings::get_logging;
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput = unset_settings::get_replication;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput = unset_settings::get_request_payment;
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput = unset_settings::get_accelerate;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput = unset_settings::get_notification;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput = unset_settings::get_object_lock;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = lifecycle::get;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = lifecycle::put;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = lifecycle::delete;

    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = tags::get_of_bucket;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = tags::put_on_bucket;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = tags::delete_from_bucket;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tags::get_of_object;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = tags::put_on_object;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = tags::delete_from_object;

    put_object(PutObjectInput) -> PutObjectOutput = objects::put;
    get_object(GetObjectInput) -> GetObjectOutput = reads::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = reads::head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = reads::attributes;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = reads::acl;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copies::copy_object;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = deletes::delete_one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = deletes::delete_many;

    list_objects(ListObjectsInput) -> ListObjectsOutput = lists::list_v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = lists::list_v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = lists::list_versions;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = uploads::list;
    list_parts(ListPartsInput) -> ListPartsOutput = uploads::list_parts;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = uploads::create;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = uploads::abort;
    upload_part(UploadPartInput) -> UploadPartOutput = uploads::upload_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copies::copy_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
}
