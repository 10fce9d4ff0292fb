//! The batch cleaner: what the S3 sink has stored of a topic → cleaned rows → Delta, each record exactly once.
//!
//! ```text
//! listing → fetch, many at once → blocks of lines → clean, in threads → without duplicates → files of rows → Delta commit
//! ```
//!
//! It runs when it is asked to ([`clean`]) or on a schedule ([`schedule`]), reads what came since the last run, and ends.
//! As with the streaming cleaner, the Delta table is the only memory: the commit that adds rows also holds how far each
//! chain of objects was read and what was counted ([`reached`]), and it goes to exactly the version after the one that was
//! read. So a run may be killed anywhere, or two may run at once: who meets what another has done begins again from the
//! table, and nothing is lost or twice in it.
//!
//! - An object is read on where its reading ended when it has grown ([`objects`]). An object that is not the last of its
//!   chain and is written anew with other content is not looked at again; [`Options::full`] reads everything.
//! - A line is a record, an empty one too (a reject); of the last one the line end may be missing. A packed object that is
//!   damaged is one reject behind the lines that could be unpacked.
//! - Rebuilding (`full`) replaces rows, positions and counters in one commit; readers never see less than a whole table.
//! - Memory is bounded but for 16 bytes and a little more for each row of the table that is worked on ([`known`]).

mod blocks;
mod cleaned;
mod cron;
mod error;
mod fetch;
mod known;
mod objects;
mod reached;
mod run;
mod schedule;
mod sink;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use crate::cleaner::error::TableError;
use crate::config::CleanedTable;
use crate::lake::Lake;

pub use cron::NotASchedule;
pub(crate) use cron::Schedule;
pub use error::BatchError;
pub(crate) use schedule::keep_to_schedule;
pub use schedule::{Clock, LastRun, Scheduled};
pub(crate) use watch::keep_counting;

/// How often a table is begun again because others have changed it meanwhile.
const ATTEMPTS: u32 = 20;

/// Who meets another waits for up to so long before it begins again.
const PAUSE: Duration = Duration::from_millis(500);

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Make the table anew from all objects, instead of adding what is new.
    pub full: bool,
    /// Threads that clean at once.
    pub threads: usize,
    /// A commit is made once so many bytes of lines wait for it.
    pub commit_bytes: usize,
    /// Memory for objects that are fetched and not yet cleaned, in KiB.
    pub fetch_kib: usize,
}

impl Options {
    /// With the machine to itself.
    pub fn alone() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Options { full: false, threads, commit_bytes: 256 << 20, fetch_kib: 32 << 10 }
    }

    /// Beside the streaming cleaner, which must not wait for it.
    pub fn beside() -> Options {
        Options { full: false, threads: 1, commit_bytes: 32 << 20, fetch_kib: 8 << 10 }
    }
}

/// How far a run is; it may be looked at at any time.
#[derive(Debug, Default)]
pub struct Progress {
    /// Objects that were found to read.
    pub objects: AtomicU64,
    /// Records that were read.
    pub records: AtomicU64,
    /// Objects under the topic's folder that have no name as the sink gives them: they are left alone.
    pub strangers: AtomicU64,
}

/// What a run has added to a table. `read` = `rows` + `rejected` + `duplicates` + `probes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Objects that were read, or read on.
    pub objects: u64,
    /// Records in them.
    pub read: u64,
    /// New rows.
    pub rows: u64,
    /// Records that could not become rows.
    pub rejected: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// Probes, which are kept out of the table.
    pub probes: u64,
}

impl Counts {
    /// Both together.
    pub fn add(&mut self, more: Counts) {
        self.objects += more.objects;
        self.read += more.read;
        self.rows += more.rows;
        self.rejected += more.rejected;
        self.duplicates += more.duplicates;
        self.probes += more.probes;
    }
}

/// Cleans what the sink has stored of a table's topic and is not in the table yet. Without a topic there is nothing to do.
///
/// # Errors
///
/// What has been committed before an error stays; another run goes on from there.
pub async fn clean(
    lake: &Lake,
    table: &CleanedTable,
    options: Options,
    progress: &Arc<Progress>,
) -> Result<Counts, BatchError> {
    let mut counts = Counts::default();
    let Some(topic) = &table.topic else { return Ok(counts) };
    let mut attempt = 1;
    loop {
        let started = Instant::now();
        let run = run::Run { lake, table, topic, options, progress };
        let Err(error) = Box::pin(run.run(&mut counts)).await else { return Ok(counts) };
        let again = matches!(error, TableError::Disturbed { .. } | TableError::Stale { .. }) && attempt < ATTEMPTS;
        if !again {
            return Err(BatchError::new(&table.name, counts, error));
        }
        // A long run that meets others now and then is not one that gets nowhere.
        attempt = if started.elapsed() > PAUSE * 20 { 1 } else { attempt + 1 };
        let pause = PAUSE.mul_f64(rand::rng().random_range(0.1..1.0));
        tokio::time::sleep(pause).await;
    }
}
