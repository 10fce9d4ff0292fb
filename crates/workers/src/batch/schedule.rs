//! Batch cleaning when it is due.
//!
//! What was due last and how it went stands in an object of the lake bucket ([`LAST_RUN`]). So a machine that was off when
//! a run was due catches up once when it is back, however many were missed, and one that was killed in the middle of a run
//! runs again. Two machines may both do it: runs do not get in each other's way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::cron::Schedule;
use super::{Counts, Options, Progress, clean};
use crate::config::CleanedTable;
use crate::keys::LAST_RUN;
use crate::lake::Lake;
use crate::log::{chain, say};

/// How often the clock is looked at: it may be set, and machines sleep.
const LOOK: Duration = Duration::from_millis(500);

/// A run that fails is tried again after these pauses; then it has failed.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];

/// What tells the time.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// A run on the schedule, and how it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it was due. Before the first run: since when the schedule is kept.
    #[serde(with = "time::serde::rfc3339")]
    pub due: OffsetDateTime,
    /// When it began; absent before the first run.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub finished: Option<OffsetDateTime>,
    /// What it has added to each table.
    pub tables: BTreeMap<String, Counts>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What is told about the schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheduled {
    /// Nothing is due.
    Waits {
        /// The next run; `None` for a schedule that never comes.
        next: Option<OffsetDateTime>,
        /// The last one.
        last: LastRun,
    },
    /// A run is under way.
    Runs {
        /// When it was due.
        due: OffsetDateTime,
    },
    /// Something is wrong, and is tried again.
    Fails(String),
}

impl Scheduled {
    /// As the cleaner's report has it: what it does, or what is wrong.
    pub(crate) fn said(&self) -> Result<String, String> {
        match self {
            Scheduled::Waits { next, last } => {
                let next = next.map_or("never".to_owned(), minute);
                let Some(finished) = last.finished else { return Ok(format!("batch: next run {next}")) };
                let rows: u64 = last.tables.values().map(|counts| counts.rows).sum();
                match &last.error {
                    None => Ok(format!("batch: next run {next}, the last at {} added {rows} rows", minute(finished))),
                    Some(error) => Err(format!("batch cleaning that was due at {} failed: {error}", minute(last.due))),
                }
            }
            Scheduled::Runs { due } => Ok(format!("batch: the run of {} is under way", minute(*due))),
            Scheduled::Fails(error) => Err(format!("batch cleaning: {error}")),
        }
    }
}

/// `2026-11-22 12:00 UTC`.
fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// Cleans these tables whenever it is due, until `stop`. What goes on is said to `tell`.
pub(crate) async fn keep_to_schedule(
    lake: Lake,
    tables: Vec<CleanedTable>,
    schedule: Schedule,
    clock: Clock,
    tell: impl Fn(Scheduled) + Send,
    stop: CancellationToken,
) {
    let kept = async {
        let mut last = last_run(&lake, &clock, &tell).await;
        loop {
            // After a clock that was wrong, the time of the last run may be still to come.
            let now = clock();
            let due = schedule.last(now).filter(|due| *due > last.due.min(now));
            let Some(due) = due else {
                let next = schedule.after(now);
                tell(Scheduled::Waits { next, last: last.clone() });
                while next.is_none_or(|next| clock() < next) {
                    tokio::time::sleep(LOOK).await;
                }
                continue;
            };
            tell(Scheduled::Runs { due });
            last = run(&lake, &tables, due, &clock, &tell).await;
            if let Err(error) = write(&lake, &last).await {
                // At the worst a restart does the run once more.
                tell(Scheduled::Fails(format!("`{LAST_RUN}` could not be written: {error}")));
                tokio::time::sleep(LOOK).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = kept => {}
    }
}

/// What the bucket says. Where it says nothing, the schedule is kept from now on.
async fn last_run(lake: &Lake, clock: &Clock, tell: &impl Fn(Scheduled)) -> LastRun {
    let mut pauses = PAUSES.iter().cycle();
    loop {
        let error = match read(lake).await {
            Ok(Some(last)) => return last,
            Ok(None) => {
                let begins =
                    LastRun { due: clock(), started: None, finished: None, tables: BTreeMap::new(), error: None };
                match write(lake, &begins).await {
                    Ok(()) => return begins,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        tell(Scheduled::Fails(format!("`{LAST_RUN}` cannot be used: {error}")));
        tokio::time::sleep(pauses.next().copied().unwrap_or(LOOK)).await;
    }
}

async fn run(
    lake: &Lake,
    tables: &[CleanedTable],
    due: OffsetDateTime,
    clock: &Clock,
    tell: &impl Fn(Scheduled),
) -> LastRun {
    let started = clock();
    let mut done: BTreeMap<String, Counts> = BTreeMap::new();
    let mut pauses = PAUSES.iter();
    loop {
        let mut errors = Vec::new();
        for table in tables.iter().filter(|table| table.topic.is_some()) {
            let cleaned = Box::pin(clean(lake, table, Options::beside(), &Arc::new(Progress::default()))).await;
            let counts = match cleaned {
                Ok(counts) => counts,
                Err(error) => {
                    let counts = error.done();
                    errors.push(chain(&error));
                    counts
                }
            };
            done.entry(table.name.clone()).or_default().add(counts);
        }
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        if let Some(error) = &error {
            say(&format!("batch cleaning: {error}"));
            tell(Scheduled::Fails(error.clone()));
            if let Some(pause) = pauses.next() {
                tokio::time::sleep(*pause).await;
                continue;
            }
        }
        let rows: u64 = done.values().map(|counts| counts.rows).sum();
        say(&format!("batch cleaning that was due at {due}: {rows} new rows"));
        return LastRun { due, started: Some(started), finished: Some(clock()), tables: done, error };
    }
}

async fn read(lake: &Lake) -> Result<Option<LastRun>, String> {
    let bytes = match lake.store().get(&Path::from(LAST_RUN)).await {
        Ok(found) => found.bytes().await.map_err(|error| error.to_string())?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string())
}

async fn write(lake: &Lake, last: &LastRun) -> Result<(), String> {
    let body = serde_json::to_vec(last).expect("texts, counts and times of this millennium have a JSON form");
    lake.store().put(&Path::from(LAST_RUN), body.into()).await.map(|_| ()).map_err(|error| error.to_string())
}
