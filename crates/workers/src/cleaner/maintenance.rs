//! Keeps a Delta table quick to read: small files are merged, the log is summed up in checkpoints, and what nobody can
//! read any more is deleted.
//!
//! It runs beside the commits and gives way to them: merging changes no row, so a commit that meets it just takes the
//! next version. Readers that began more than an hour ago may find a merged file gone and have to begin again.

use std::num::NonZeroU64;
use std::time::Duration;

use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::{DeltaTable, DeltaTableError, checkpoints};
use rand::Rng;
use tokio::time::Instant;
use url::Url;

use crate::lake::Lake;

/// A checkpoint and a look at the files after so many commits.
pub(crate) const EVERY_COMMITS: u32 = 100;

/// Files below [`TARGET_BYTES`] that are too many.
const SMALL_FILES: usize = 50;

/// How large merged files become.
const TARGET_BYTES: NonZeroU64 = NonZeroU64::new(64 << 20).expect("64 MiB is not zero");

/// How often a merge tries to get its turn among the commits, which come twice a second and more: on a busy machine the
/// library's own 15 are not enough, and small files would pile up.
const TURNS: usize = 400;

/// How often files that no version needs are looked for. They are deleted an hour after they were replaced, as the
/// table's `delta.deletedFileRetentionDuration` says.
const VACUUM_EVERY: Duration = Duration::from_secs(600);

/// When the maintenance of one table is due.
#[derive(Debug)]
pub(crate) struct Maintenance {
    commits: u32,
    vacuumed: Instant,
}

impl Maintenance {
    pub(crate) fn new() -> Maintenance {
        // By chance, so that tables that began together are not all due together.
        Maintenance { commits: rand::rng().random_range(0..EVERY_COMMITS / 2), vacuumed: Instant::now() }
    }

    /// Counts a commit; says what is due with it: `Some(whether to vacuum)`.
    pub(crate) fn committed(&mut self) -> Option<bool> {
        self.commits += 1;
        if self.commits < EVERY_COMMITS {
            return None;
        }
        self.commits = 0;
        let vacuum = self.vacuumed.elapsed() >= VACUUM_EVERY;
        if vacuum {
            self.vacuumed = Instant::now();
        }
        Some(vacuum)
    }
}

/// Merges small files, writes a checkpoint, deletes log entries before it that are old, and vacuums if told to.
pub(crate) async fn maintain(lake: Lake, url: Url, vacuum: bool) -> Result<(), DeltaTableError> {
    let mut table = DeltaTable::new(lake.log_store(&url));
    Box::pin(table.load()).await?;
    // First of all, since it needs no turn among the commits.
    Box::pin(checkpoints::create_checkpoint(&table, None)).await?;
    Box::pin(checkpoints::cleanup_metadata(&table, None)).await?;
    if small_files(&table)? > SMALL_FILES {
        // One task: a machine of two cores has other work, too.
        let merge = table.optimize().with_target_size(TARGET_BYTES).with_max_concurrent_tasks(1);
        let merge = merge.with_commit_properties(CommitProperties::default().with_max_retries(TURNS));
        (table, _) = Box::pin(merge.into_future()).await?;
    }
    if vacuum {
        // Also files of commits that never came to be.
        Box::pin(table.vacuum().with_mode(VacuumMode::Full).into_future()).await?;
    }
    Ok(())
}

fn small_files(table: &DeltaTable) -> Result<usize, DeltaTableError> {
    let files = table.snapshot()?.log_data();
    Ok(files.iter().filter(|file| file.size().unsigned_abs() < TARGET_BYTES.get()).count())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, RecordBatch, StringArray};

    use super::*;
    use crate::cleaner::history;
    use crate::cleaner::index::Index;
    use crate::cleaner::ledger::{Ledger, Outcome};
    use crate::cleaner::rows::hashes;

    fn rows(ind: i32) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("ind", Arc::new(Int32Array::from(vec![ind])) as _, true),
            ("word", Arc::new(StringArray::from(vec!["w"])) as _, true),
        ])
        .unwrap()
    }

    async fn commit(ledger: &mut Ledger, ind: i32) {
        let files = ledger.write(rows(ind)).await.unwrap();
        let txns = [(format!("pinfra/s/{}", ind % 3), i64::from(ind)), ("pinfra/s/read".to_owned(), i64::from(ind))];
        loop {
            match ledger.commit(&uuid::Uuid::new_v4().to_string(), &files, &txns).await.unwrap() {
                Outcome::Done => return,
                Outcome::Lost(others) => assert!(others.iter().all(|entry| !entry.reshaped && entry.added.is_empty())),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_maintained_table_has_few_files_and_the_same_content() {
        let lake = Lake::over("lake", Arc::new(object_store::memory::InMemory::new())).unwrap();
        let url = lake.table_url("stream", "words");
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::open(&folder.path().join("known.redb")).unwrap();
        let mut ledger = Ledger::open(&lake, &url, &rows(0).schema()).await.unwrap();
        index.follow(&mut ledger).await.unwrap();
        for ind in 1..=60 {
            commit(&mut ledger, ind).await;
        }
        assert_eq!(ledger.all_files().await.unwrap().len(), 60);
        let behind = ledger.version();
        maintain(lake.clone(), url.clone(), true).await.unwrap();

        // The ledger that knows nothing of it goes on, and so does one that is opened now.
        commit(&mut ledger, 61).await;
        assert!(ledger.version() > behind + 1);
        assert_eq!(ledger.all_files().await.unwrap().len(), 2);
        let opened = Ledger::open(&lake, &url, &rows(0).schema()).await.unwrap();
        for (app, value) in [("pinfra/s/0", 60), ("pinfra/s/1", 61), ("pinfra/s/2", 59), ("pinfra/s/read", 61)] {
            assert_eq!(opened.txn(app), Some(value), "{app}");
        }
        let log = lake.log_store(&url);
        let read = history::transactions(log.as_ref(), &url, opened.version()).await.unwrap();
        assert_eq!(read.len(), 4);

        // The index catches up over it, and one without a past is made from the merged file.
        let mut fresh = Index::open(&folder.path().join("fresh.redb")).unwrap();
        for index in [&mut index, &mut fresh] {
            index.follow(&mut ledger).await.unwrap();
            for ind in 1..=61 {
                assert_eq!(index.fresh(&hashes(&rows(ind)).unwrap()).unwrap(), [false], "{ind}");
            }
            assert_eq!(index.fresh(&hashes(&rows(62)).unwrap()).unwrap(), [true]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_schema_is_refused() {
        let lake = Lake::over("lake", Arc::new(object_store::memory::InMemory::new())).unwrap();
        let url = lake.table_url("stream", "words");
        Ledger::open(&lake, &url, &rows(0).schema()).await.unwrap();
        let other = RecordBatch::try_from_iter_with_nullable([("ind", Arc::new(Int32Array::from(vec![1])) as _, true)]);
        let refused = Ledger::open(&lake, &url, &other.unwrap().schema()).await;
        let message = refused.err().unwrap().to_string();
        assert!(message.contains("column `word`") && message.contains("no further column"), "{message}");
    }
}
