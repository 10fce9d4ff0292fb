//! The lake bucket: its objects and its Delta tables.
//!
//! Tables are reached through one [`ObjectStore`] that is handed to deltalake table by table. Nothing is registered
//! globally, so that two lakes (or two local clouds in one test) do not meet. A commit to a Delta log is a conditional
//! put (`If-None-Match: *`), which S3 does atomically: of two writers of one version one is refused.

mod credentials;
mod store;

use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

/// A lake bucket. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    bucket: String,
    root: Url,
    store: Arc<dyn ObjectStore>,
}

/// Why the lake could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Not a name that a bucket may have.
    #[error("`{bucket}` is no bucket name")]
    Bucket {
        /// The name.
        bucket: String,
        /// Why.
        source: url::ParseError,
    },
    /// The client of the bucket could not be made.
    #[error("the client of bucket `{bucket}` could not be made")]
    Client {
        /// The bucket.
        bucket: String,
        /// Why.
        source: object_store::Error,
    },
    /// A Delta table could not be read.
    #[error("the Delta table at {url} could not be read")]
    Table {
        /// Where it lies.
        url: Url,
        /// Why.
        source: Box<DeltaTableError>,
    },
}

impl Lake {
    /// The lake in `bucket`, with the credentials and the endpoint that the environment gives to any SDK program.
    /// Nothing is called yet.
    pub async fn open(bucket: &str, region: &str) -> Result<Lake, LakeError> {
        let region = aws_config::Region::new(region.to_owned());
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).region(region).load().await;
        Lake::with(bucket, &config)
    }

    /// The lake in `bucket`, reached as `config` says.
    pub fn with(bucket: &str, config: &SdkConfig) -> Result<Lake, LakeError> {
        let store = store::amazon_s3(bucket, config)
            .map_err(|source| LakeError::Client { bucket: bucket.to_owned(), source })?;
        Lake::over(bucket, store)
    }

    /// A lake in any store, such as one in memory; `bucket` only names it.
    pub fn over(bucket: &str, store: Arc<dyn ObjectStore>) -> Result<Lake, LakeError> {
        let root = Url::parse(&format!("s3://{bucket}/"))
            .map_err(|source| LakeError::Bucket { bucket: bucket.to_owned(), source })?;
        Ok(Lake { bucket: bucket.to_owned(), root, store })
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// All objects of the bucket.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Where the Delta table `table` of a set (`stream`, `batch`) lies.
    pub fn table_url(&self, set: &str, table: &str) -> Url {
        self.at(&["tables", set, table])
    }

    /// Where the Delta table of rejected records lies.
    pub fn rejects_url(&self) -> Url {
        self.at(&["tables", "rejects"])
    }

    /// A table's log and files, whether or not it is there.
    pub fn log_store(&self, table: &Url) -> LogStoreRef {
        let prefix = Path::from_url_path(table.path()).unwrap_or_default();
        let files = Arc::new(PrefixStore::new(self.store.clone(), prefix));
        default_logstore(files, self.store.clone(), table, &StorageConfig::default())
    }

    /// The Delta table at `url` in its newest version; `None` when there is none yet.
    pub async fn open_table(&self, url: &Url) -> Result<Option<DeltaTable>, LakeError> {
        let failed = |source| LakeError::Table { url: url.clone(), source: Box::new(source) };
        let mut table = DeltaTable::new(self.log_store(url));
        if !Box::pin(table.verify_deltatable_existence()).await.map_err(failed)? {
            return Ok(None);
        }
        Box::pin(table.load()).await.map_err(failed)?;
        Ok(Some(table))
    }

    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.root.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // The empty segment makes the closing slash, by which deltalake knows a folder.
            path.clear().extend(segments).push("");
        }
        url
    }
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_that_is_not_there_is_none() {
        let lake = Lake::over("lake", Arc::new(object_store::memory::InMemory::new())).unwrap();
        let url = lake.table_url("stream", "pin");
        assert_eq!(url.as_str(), "s3://lake/tables/stream/pin/");
        assert_eq!(lake.rejects_url().as_str(), "s3://lake/tables/rejects/");
        assert!(lake.open_table(&url).await.unwrap().is_none());
    }
}
