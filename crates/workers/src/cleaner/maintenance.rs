//! Keeps a Delta table quick to read: small files are merged, the log is summed up in checkpoints, and what nobody can
//! read any more is deleted.
//!
//! It runs beside the commits and gives way to them: merging changes no row, so a commit that meets it just takes the
//! next version. Readers that began more than an hour ago may find a merged file gone and have to begin again.

use std::num::NonZeroU64;
use std::time::Duration;

use deltalake::operations::vacuum::VacuumMode;
use deltalake::{DeltaTable, DeltaTableError, checkpoints};
use tokio::time::Instant;
use url::Url;

use crate::lake::Lake;

/// A checkpoint and a look at the files after so many commits.
pub(crate) const EVERY_COMMITS: u32 = 50;

/// Files below [`TARGET_BYTES`] that are too many.
const SMALL_FILES: usize = 50;

/// How large merged files become.
const TARGET_BYTES: NonZeroU64 = NonZeroU64::new(64 << 20).expect("64 MiB is not zero");

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
        Maintenance { commits: 0, vacuumed: Instant::now() }
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
    if small_files(&table)? > SMALL_FILES {
        // One task: a machine of two cores has other work, too.
        let merge = table.optimize().with_target_size(TARGET_BYTES).with_max_concurrent_tasks(1);
        (table, _) = Box::pin(merge.into_future()).await?;
    }
    Box::pin(checkpoints::create_checkpoint(&table, None)).await?;
    Box::pin(checkpoints::cleanup_metadata(&table, None)).await?;
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
