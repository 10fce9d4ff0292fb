//! What can go wrong in the cleaner.

use deltalake::DeltaTableError;
use url::Url;

use super::position::NotASequenceNumber;
use crate::lake::LakeError;

/// Why the cleaner ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CleanerError {
    /// The worker's folder could not be used.
    #[error("the cleaner's folder could not be used")]
    Folder(#[source] std::io::Error),
    /// The lake bucket could not be reached.
    #[error("the lake could not be reached")]
    Lake(#[from] LakeError),
    /// The schedule of batch cleaning makes no sense.
    #[error("batch cleaning has no schedule")]
    Schedule(#[from] crate::batch::NotASchedule),
}

/// Why a table's cleaning was interrupted; it is taken up again from what is committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("the cleaning SQL of table `{table}` cannot be used")]
    Sql { table: String, source: crate::clean::SqlError },
    #[error("records of table `{table}` could not be cleaned")]
    Clean { table: String, source: crate::clean::CleanError },
    #[error(
        "the Delta table at {url} has {found}, but the cleaning SQL makes {wanted}: change the SQL back, or move the table \
         away"
    )]
    Schema { url: Url, found: String, wanted: String },
    #[error("the Delta table at {url} could not be {doing}")]
    Delta { url: Url, doing: &'static str, source: Box<DeltaTableError> },
    #[error("the log of the Delta table at {url} is not as the cleaner keeps it: {why}")]
    Log { url: Url, why: String },
    #[error("the lake could not be reached")]
    Lake(#[from] LakeError),
    #[error("an object of the lake could not be {doing}")]
    Object { doing: &'static str, source: object_store::Error },
    #[error("a file of the table could not be read")]
    Rows(#[from] arrow::error::ArrowError),
    #[error("the index of known rows failed")]
    Index(#[from] IndexError),
    #[error("stream `{stream}` is not there: it is waited for")]
    NoStream { stream: String },
    #[error("stream `{stream}` has no shards yet: they are waited for")]
    NoShards { stream: String },
    #[error("stream `{stream}` was deleted and made again: it is read from its beginning")]
    Remade { stream: String },
    #[error("{operation} on stream `{stream}` failed: {message}")]
    Kinesis { operation: &'static str, stream: String, message: String },
    #[error("Kinesis gave out a strange sequence number")]
    Sequence(#[from] NotASequenceNumber),
    #[error("another cleaner has read shard `{shard}` of stream `{stream}` meanwhile")]
    Overtaken { stream: String, shard: String },
    #[error("the Delta table at {url} was not looked at for too long: it is opened anew")]
    Stale { url: Url },
    #[error("the Delta table at {url} was changed by another program")]
    Reshaped { url: Url },
    #[error("the objects or the Delta table at {url} were changed by others while they were read")]
    Disturbed { url: Url },
    #[error("there are no objects under `{prefix}` to make the table from: it stays as it is")]
    NoObjects { prefix: String },
    #[error(
        "the object `{key}` has an offset of more than ten digits: such names do not sort in the order of their offsets"
    )]
    LongOffset { key: String },
    #[error("a thread that cleaned ended unexpectedly")]
    Thread(#[source] tokio::task::JoinError),
    #[error("version {version} of the Delta table at {url} was lost to other writers {attempts} times")]
    Contended { url: Url, version: u64, attempts: u32 },
}

impl TableError {
    /// Somebody else got there first, or this machine slept: normal, and nothing to tell people about.
    pub(crate) fn is_harmless(&self) -> bool {
        matches!(self, TableError::Overtaken { .. } | TableError::Stale { .. })
    }
}

/// The database of known rows refused.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct IndexError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> IndexError {
        IndexError(Box::new(error.into()))
    }
}
