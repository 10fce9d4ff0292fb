//! A Delta table as the cleaner commits to it: rows and what they were read from, in one commit.
//!
//! A commit goes to exactly the version after the one that the ledger knows. When somebody else was first, the ledger
//! reads what they did and says so ([`Outcome::Lost`]), and the caller decides whether its batch is still right. A
//! commit whose answer never came is recognised by the name of its batch when its version turns out to be taken.
//!
//! `txn` actions are the only memory there is: positions, counters, and which shards are read to their end.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use deltalake::kernel::transaction::{CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, Remove, StructType, Transaction};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::operations::create::CreateBuilder;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

use super::entry::{BATCH_FIELD, Entry};
use super::error::TableError;
use super::history;
use super::rows::FORM;
use super::schema;
use crate::lake::Lake;

/// How long what compaction replaced, and log entries before a checkpoint, are kept for readers that still use them.
const RETENTION: &str = "interval 1 hours";

/// A ledger that was not compared with the log for so long may not commit: entries that it has not seen could be deleted
/// by now ([`RETENTION`]), and their versions look free.
const STALE: time::Duration = time::Duration::minutes(10);

/// Rows of a file that are in memory at once.
const ROWS_AT_ONCE: usize = 8_192;

/// A Delta table and what its log says.
pub(crate) struct Ledger {
    url: Url,
    log: LogStoreRef,
    table: DeltaTable,
    schema: SchemaRef,
    version: u64,
    txns: HashMap<String, i64>,
    /// When it was known to be as new as the log.
    compared: OffsetDateTime,
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is in the log, at the version that the ledger has now.
    Done,
    /// Others committed first; the ledger stands behind them now and nothing of the batch is in the log.
    Lost(Vec<Entry>),
}

impl Ledger {
    /// Opens the table at `url`, or makes one with the columns of `wanted`.
    pub(crate) async fn open(lake: &Lake, url: &Url, wanted: &SchemaRef) -> Result<Ledger, TableError> {
        let delta = |doing| move |source| TableError::Delta { url: url.clone(), doing, source: Box::new(source) };
        let columns = schema::delta(wanted).map_err(delta("given its columns"))?;
        let log = lake.log_store(url);
        let compared = OffsetDateTime::now_utc();
        let table = match lake.open_table(url).await? {
            Some(table) => table,
            None => match create(&log, &columns).await {
                Ok(table) => table,
                // Another cleaner may have been first.
                Err(error) => match lake.open_table(url).await? {
                    Some(table) => table,
                    None => return Err(delta("made")(error)),
                },
            },
        };
        let found = table.snapshot().map_err(delta("read"))?.schema();
        if let Some((found, wanted)) = schema::difference(&found, &columns) {
            return Err(TableError::Schema { url: url.clone(), found, wanted });
        }
        Ledger::of(url, log, table, compared).await
    }

    /// Opens the table at `url`, whatever its columns; `None` when there is none yet.
    pub(crate) async fn open_if_there(lake: &Lake, url: &Url) -> Result<Option<Ledger>, TableError> {
        let compared = OffsetDateTime::now_utc();
        let Some(table) = lake.open_table(url).await? else { return Ok(None) };
        Ok(Some(Ledger::of(url, lake.log_store(url), table, compared).await?))
    }

    async fn of(
        url: &Url,
        log: LogStoreRef,
        table: DeltaTable,
        compared: OffsetDateTime,
    ) -> Result<Ledger, TableError> {
        let failed = |source| TableError::Delta { url: url.clone(), doing: "read", source: Box::new(source) };
        let state = table.snapshot().map_err(failed)?;
        let version = state.version();
        let schema = schema::arrow(&state.schema()).map_err(failed)?;
        let txns = history::transactions(log.as_ref(), url, version).await?;
        Ok(Ledger { url: url.clone(), log, table, schema, version, txns, compared })
    }

    /// The newest version that is known.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Where the table lies.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Names the table, its columns and how its rows are hashed: another value means that nothing kept about it holds.
    pub(crate) fn identity(&self) -> String {
        let id = self.table.snapshot().map(|state| state.metadata().id().to_owned()).unwrap_or_default();
        format!("{id} {FORM} {:?}", self.schema.fields())
    }

    /// The table's columns, as its files have them.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The table's files.
    pub(crate) fn files(&self) -> Arc<dyn ObjectStore> {
        self.log.object_store(None)
    }

    /// What was said last under an application's id.
    pub(crate) fn txn(&self, app: &str) -> Option<i64> {
        self.txns.get(app).copied()
    }

    /// All that was said last, by application's id.
    pub(crate) fn txns(&self) -> impl Iterator<Item = (&str, i64)> {
        self.txns.iter().map(|(app, value)| (app.as_str(), *value))
    }

    /// Paths of all files of the newest version.
    pub(crate) async fn all_files(&mut self) -> Result<Vec<object_store::path::Path>, TableError> {
        let failed = |source| TableError::Delta { url: self.url.clone(), doing: "read", source: Box::new(source) };
        Box::pin(self.table.update_incremental(Some(self.version))).await.map_err(failed)?;
        let state = self.table.snapshot().map_err(failed)?;
        Ok(state.log_data().iter().map(|file| file.object_store_path()).collect())
    }

    /// Removals of all files of the newest version: for a commit that replaces the rows.
    pub(crate) async fn all_removals(&mut self) -> Result<Vec<Remove>, TableError> {
        let failed = |source| TableError::Delta { url: self.url.clone(), doing: "read", source: Box::new(source) };
        Box::pin(self.table.update_incremental(Some(self.version))).await.map_err(failed)?;
        let state = self.table.snapshot().map_err(failed)?;
        Ok(state.log_data().iter().map(|file| file.remove_action(true)).collect())
    }

    /// Reads a file of the table, some rows at a time.
    pub(crate) async fn read_file(
        &self,
        path: &object_store::path::Path,
        mut take: impl FnMut(RecordBatch) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let object = |source| TableError::Object { doing: "read", source };
        let bytes = self.files().get(path).await.map_err(object)?.bytes().await.map_err(object)?;
        let parquet = |error: deltalake::parquet::errors::ParquetError| arrow::error::ArrowError::from(error);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(parquet)?;
        for rows in reader.with_batch_size(ROWS_AT_ONCE).build().map_err(parquet)? {
            take(rows?)?;
            // A large file lets the other tables work.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The entries after `version`, up to the newest that is known; `None` when they are no longer all there.
    pub(crate) async fn since(&self, version: u64) -> Result<Option<Vec<Entry>>, TableError> {
        let mut entries = Vec::new();
        for version in version + 1..=self.version {
            match history::entry(self.log.as_ref(), &self.url, version).await? {
                Some(entry) => entries.push(entry),
                None => return Ok(None),
            }
        }
        Ok(Some(entries))
    }

    /// Reads what others have committed since.
    pub(crate) async fn refresh(&mut self) -> Result<Vec<Entry>, TableError> {
        if self.is_stale() {
            return Err(TableError::Stale { url: self.url.clone() });
        }
        let mut entries = Vec::new();
        let now = OffsetDateTime::now_utc();
        while let Some(entry) = history::entry(self.log.as_ref(), &self.url, self.version + 1).await? {
            self.version += 1;
            self.txns.extend(entry.txns.iter().cloned());
            entries.push(entry);
        }
        self.compared = now;
        Ok(entries)
    }

    /// Whether it has to be opened anew before anything is committed.
    pub(crate) fn is_stale(&self) -> bool {
        // Also after the clock was set back: better once too often.
        !(time::Duration::ZERO..STALE).contains(&(OffsetDateTime::now_utc() - self.compared))
    }

    /// Writes a file with these rows; they are in the table once it is committed.
    pub(crate) async fn write(&self, rows: RecordBatch) -> Result<Vec<Add>, TableError> {
        let mut writer = self.writer()?;
        let failed = |source| self.not_written(source);
        writer.write(rows).await.map_err(failed)?;
        writer.flush().await.map_err(failed)
    }

    /// Writes files of the table as rows come; they are in the table once they are committed.
    pub(crate) fn writer(&self) -> Result<RecordBatchWriter, TableError> {
        RecordBatchWriter::for_table(&self.table).map_err(|source| self.not_written(source))
    }

    /// What became of rows that a [`Ledger::writer`] has refused.
    pub(crate) fn not_written(&self, source: DeltaTableError) -> TableError {
        TableError::Delta { url: self.url.clone(), doing: "written to", source: Box::new(source) }
    }

    /// Commits files and `txn` actions at the version after the one that is known. `batch` names the attempt: the same
    /// name is never used for other content.
    pub(crate) async fn commit(
        &mut self,
        batch: &str,
        files: &[Add],
        txns: &[(String, i64)],
    ) -> Result<Outcome, TableError> {
        self.replace(batch, &[], files, txns).await
    }

    /// As [`Ledger::commit`], and these files are no longer in the table.
    pub(crate) async fn replace(
        &mut self,
        batch: &str,
        removals: &[Remove],
        files: &[Add],
        txns: &[(String, i64)],
    ) -> Result<Outcome, TableError> {
        if self.is_stale() {
            return Err(TableError::Stale { url: self.url.clone() });
        }
        let now = OffsetDateTime::now_utc();
        let bytes = self.lines(batch, removals, files, txns)?;
        let version = self.version + 1;
        let operation = uuid::Uuid::new_v4();
        match self.log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), operation).await {
            Ok(()) => {
                self.version = version;
                self.compared = now;
                self.txns.extend(txns.iter().cloned());
                Ok(Outcome::Done)
            }
            Err(TransactionError::VersionAlreadyExists(_)) => {
                let taken = history::entry(self.log.as_ref(), &self.url, version).await?;
                if taken.is_some_and(|entry| entry.batch.as_deref() == Some(batch)) {
                    // Ours after all: the answer to the first try was lost on the way. What others have committed since
                    // is for the next commit to meet: nobody has looked at it yet.
                    self.version = version;
                    self.compared = now;
                    self.txns.extend(txns.iter().cloned());
                    return Ok(Outcome::Done);
                }
                Ok(Outcome::Lost(self.refresh().await?))
            }
            Err(error) => Err(TableError::Delta {
                url: self.url.clone(),
                doing: "committed to",
                source: Box::new(DeltaTableError::from(error)),
            }),
        }
    }

    fn lines(
        &self,
        batch: &str,
        removals: &[Remove],
        files: &[Add],
        txns: &[(String, i64)],
    ) -> Result<Bytes, TableError> {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let now = i64::try_from(now).unwrap_or_default();
        let mut info = json!({ "commitInfo": {
            "timestamp": now,
            "operation": "WRITE",
            "operationParameters": { "mode": if removals.is_empty() { "Append" } else { "Overwrite" } },
            "engineInfo": concat!("pinfra/", env!("CARGO_PKG_VERSION")),
        }});
        info["commitInfo"][BATCH_FIELD] = json!(batch);
        let mut lines = vec![info.to_string()];
        let removes = removals.iter().map(|file| Action::Remove(file.clone()));
        let adds = files.iter().map(|file| Action::Add(file.clone()));
        let txns = txns.iter().map(|(app, to)| Action::Txn(Transaction::new_with_last_update(app, *to, Some(now))));
        for action in removes.chain(adds).chain(txns) {
            let line = serde_json::to_string(&action)
                .map_err(|error| TableError::Log { url: self.url.clone(), why: error.to_string() })?;
            lines.push(line);
        }
        Ok(Bytes::from(lines.join("\n")))
    }
}

async fn create(log: &LogStoreRef, columns: &StructType) -> Result<DeltaTable, DeltaTableError> {
    let settings = [("delta.logRetentionDuration", RETENTION), ("delta.deletedFileRetentionDuration", RETENTION)];
    let create = CreateBuilder::new()
        .with_log_store(log.clone())
        // Who is not the first finds the table made: tried again, it would become another table at the next version.
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .with_columns(columns.fields().cloned())
        .with_configuration(settings.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
    Box::pin(create.into_future()).await
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_answer_hides_nothing_that_came_after() {
        let lake = Lake::over("lake", Arc::new(object_store::memory::InMemory::new())).unwrap();
        let url = lake.table_url("stream", "words");
        let rows = |ind| {
            let ind = Arc::new(Int32Array::from(vec![ind]));
            RecordBatch::try_from_iter_with_nullable([("ind", ind as _, true)]).unwrap()
        };
        let open = async || Ledger::open(&lake, &url, &rows(0).schema()).await.unwrap();
        let (mut ours, mut first_try, mut others) = (open().await, open().await, open().await);
        let txns = [("read".to_owned(), 1)];
        // The first try arrives, and then somebody else commits before its answer is missed.
        let files = ours.write(rows(1)).await.unwrap();
        assert!(matches!(first_try.commit("a batch", &files, &txns).await.unwrap(), Outcome::Done));
        others.refresh().await.unwrap();
        let foreign = others.write(rows(2)).await.unwrap();
        assert!(matches!(others.commit("another", &foreign, &[]).await.unwrap(), Outcome::Done));

        assert!(matches!(ours.commit("a batch", &files, &txns).await.unwrap(), Outcome::Done));
        assert_eq!((ours.version(), ours.txn("read")), (first_try.version(), Some(1)));
        let files = ours.write(rows(3)).await.unwrap();
        match ours.commit("the next", &files, &[]).await.unwrap() {
            Outcome::Lost(entries) => assert_eq!(entries[0].added, [foreign[0].path.clone()]),
            Outcome::Done => panic!("the other commit was never looked at"),
        }
    }
}
