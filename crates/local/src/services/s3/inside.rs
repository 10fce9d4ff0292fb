//! What other services of the local cloud do with objects: no protocol, no signature. Who may do it is asked by them.

use std::fs::File;
use std::sync::Arc;

use s3s::{S3Error, S3ErrorCode};

use super::checksums::Algorithm;
use super::conditions::WriteConditions;
use super::describe::{Given, description};
use super::index::Read;
use super::intake::{Source, gather};
use super::{S3Front, lifecycle_sweep};

/// An answer of S3 that refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (Service: Amazon S3; Status Code: {status}; Error Code: {code})")]
pub(crate) struct S3Refused {
    /// Such as `NoSuchBucket`.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
    /// Of HTTP.
    pub(crate) status: u16,
}

impl From<S3Error> for S3Refused {
    fn from(error: S3Error) -> S3Refused {
        S3Refused {
            code: error.code().as_str().to_owned(),
            message: error.message().unwrap_or("We encountered an internal error. Please try again.").to_owned(),
            status: error.status_code().map_or(500, |status| status.as_u16()),
        }
    }
}

/// An object that is open for reading.
#[derive(Debug)]
pub(crate) struct OpenObject {
    /// Its bytes, from the start.
    pub(crate) file: File,
    /// How many they are.
    pub(crate) size: u64,
}

impl S3Front {
    /// Puts an object, as PutObject does: it is on disk, synced and named when this returns.
    pub(crate) async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Source,
    ) -> Result<(), S3Refused> {
        lifecycle_sweep::sweep_if_due(&self.cloud).await;
        let record = self.cloud.bucket(bucket).await?;
        let given = Given { content_type: Some(content_type.to_owned()), ..Given::default() };
        let description = description(given, &record)?;
        let received = gather(&self.cloud.blobs, vec![body], vec![Algorithm::Crc64Nvme]).await?;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let conditions = WriteConditions::default();
        self.cloud.commit_object(bucket, key, received, description, Vec::new(), conditions).await?;
        Ok(())
    }

    /// Opens an object, or one version of it.
    pub(crate) async fn open_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<OpenObject, S3Refused> {
        let (record, _, file) = self.cloud.open_version(bucket, key, version, |_| Ok(())).await?;
        Ok(OpenObject { file, size: record.size })
    }

    /// The region of a bucket; `NoSuchBucket` where there is none.
    pub(crate) async fn region_of(&self, bucket: &str) -> Result<String, S3Refused> {
        let name = bucket.to_owned();
        let found =
            Arc::clone(&self.cloud.index).read(move |read| read.find_bucket(&name)).await.map_err(S3Error::from)?;
        let absent = || S3Error::with_message(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist");
        Ok(found.ok_or_else(absent)?.region)
    }
}
