//! A bucket that a stack uses and does not own.

use pinfra_engine::{CloudError, ErrorKind};

use crate::clients::Clients;
use crate::error::classify;

/// The region of a bucket, by whoever owns it; `None` when there is none of that name.
pub async fn region(clients: &Clients, bucket: &str) -> Result<Option<String>, CloudError> {
    match clients.s3.head_bucket().bucket(bucket).send().await {
        Ok(answer) => Ok(Some(answer.bucket_region.unwrap_or_else(|| clients.region.clone()))),
        Err(error) => match classify("s3:HeadBucket", &error) {
            gone if gone.kind == ErrorKind::NotFound => Ok(None),
            error => Err(error),
        },
    }
}
