//! The index: which buckets, versions, uploads and parts there are, in one `redb` file.
//!
//! | table | key | order |
//! |---|---|---|
//! | buckets | name | by name |
//! | versions | bucket, key, `u64::MAX` − order of writing | by key's bytes, newest version first |
//! | uploads | bucket, key, upload id | by key's bytes |
//! | parts | upload id, part number | by number |
//!
//! The newest version of a key *is* its current state, so there is nothing to keep in step. Changes run one after
//! another on one thread ([`commits`]), which is what makes a condition and the write it guards one atomic step.

mod commits;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, TableDefinition};
use s3s::{S3Error, S3ErrorCode};

use super::blobs::{Blobs, NewBlob};
use crate::store::StoreError;

use commits::Commits;
pub(super) use read::{Read, decode, inverse_order_of};
pub(super) use write::{Deleted, Writer};

pub(super) type VersionKey = (&'static str, &'static [u8], u64);
pub(super) type UploadKey = (&'static str, &'static [u8], &'static str);
pub(super) type PartKey = (&'static str, u16);
pub(super) type Document = &'static [u8];

const BUCKETS: TableDefinition<'static, &'static str, Document> = TableDefinition::new("buckets");
const VERSIONS: TableDefinition<'static, VersionKey, Document> = TableDefinition::new("versions");
const UPLOADS: TableDefinition<'static, UploadKey, Document> = TableDefinition::new("uploads");
const PARTS: TableDefinition<'static, PartKey, Document> = TableDefinition::new("parts");
const COUNTERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("counters");

/// Pages of the index that are kept in memory; `redb` takes 1 GiB unless told.
const CACHE_BYTES: usize = 32 << 20;

/// Why a request is not done: the protocol's answer, or a store that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// What the client is told.
    #[error("{0}")]
    Answer(#[from] S3Error),
    /// The index could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> S3Error {
        match refusal {
            Refusal::Answer(answer) => answer,
            Refusal::Store(error) => storage_failed(error),
        }
    }
}

/// A 500 that says what broke.
pub(super) fn storage_failed(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    let message = format!("the local cloud's S3 storage failed: {}", chain(&error));
    let mut answer = S3Error::with_message(S3ErrorCode::InternalError, message);
    answer.set_source(Box::new(error));
    answer
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The index and the thread that changes it.
#[derive(Debug)]
pub(super) struct Index {
    db: Arc<Database>,
    commits: Commits,
}

impl Index {
    /// Opens the file, or makes it with its tables.
    pub(super) fn open(path: &Path, blobs: Arc<Blobs>) -> Result<Index, StoreError> {
        let db = Arc::new(Database::builder().set_cache_size(CACHE_BYTES).create(path)?);
        let transaction = db.begin_write()?;
        transaction.open_table(BUCKETS)?;
        transaction.open_table(VERSIONS)?;
        transaction.open_table(UPLOADS)?;
        transaction.open_table(PARTS)?;
        transaction.open_table(COUNTERS)?;
        transaction.commit()?;
        let commits = Commits::start(Arc::clone(&db), blobs);
        Ok(Index { db, commits })
    }

    /// Reads one consistent state of the index, on this thread.
    pub(super) fn look<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let transaction = self.db.begin_read().map_err(StoreError::from)?;
        read(&transaction)
    }

    /// Reads one consistent state of the index, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Index>,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let index = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || index.look(read)).await;
        done.unwrap_or_else(|error| Err(storage_failed(error).into()))
    }

    /// Runs a change and returns once it is on disk. `work` must refuse before it writes anything: changes of
    /// other requests share its commit.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        new_blobs: Vec<NewBlob>,
        work: impl FnOnce(&Writer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.commits.run(new_blobs, work).await
    }
}
