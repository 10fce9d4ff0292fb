//! The streaming cleaner: Kinesis → cleaned rows → Delta, each record exactly once.
//!
//! ```text
//! shard ─reader→ chunks ─batch→ clean → without duplicates → rejects → file of rows → one Delta commit → probes
//! ```
//!
//! The Delta table is the only memory: the commit that adds rows also holds, as `txn` actions, how far each shard was
//! read and what was counted ([`apps`]). So a cleaner that is killed, restarted, moved or doubled goes on from the table
//! and can neither lose a record nor write one twice:
//!
//! - a commit goes to exactly the version after the one that was read ([`ledger`]); who loses that race looks at what
//!   the winner did and either redoes its batch or drops it;
//! - rows that the table has already are recognised by their hash ([`index`], a cache of the table);
//! - leases only keep several cleaners from doing the same work ([`leases`]); nothing depends on them.
//!
//! Tables are independent: one that fails says so in the report, waits, and begins again from its table ([`table`]).

pub(crate) mod apps;
mod batch;
mod commit;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod history;
mod index;
mod leases;
pub(crate) mod ledger;
pub(crate) mod maintenance;
pub(crate) mod position;
mod probes;
mod reader;
pub(crate) mod rejects;
pub(crate) mod rows;
pub(crate) mod schema;
mod shards;
mod table;

use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::batch::{Clock, Schedule, Scheduled, keep_counting, keep_to_schedule};
use crate::config::{CleanedTable, CleanerConfig};
use crate::lake::Lake;
use crate::report::Teller;

pub use error::CleanerError;
use health::Health;
use index::Index;
use table::Job;

/// The file in the worker's folder that holds the name under which it takes leases: a cleaner that was killed finds its
/// own leases again and need not wait for them to run out.
const HOLDER_FILE: &str = "holder";

/// Runs the cleaner until `stop`, with credentials and endpoint as the environment gives them to any SDK program.
/// `folder` is its own; what is kept there may be lost at any time.
///
/// # Errors
///
/// Only when it cannot run at all; what goes wrong while it runs is told to `teller`, which the caller serves
/// ([`Teller::serve`]), and tried again.
pub async fn run(
    config: CleanerConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
) -> Result<(), CleanerError> {
    let region = aws_config::Region::new(config.region.clone());
    let sdk = aws_config::defaults(aws_config::BehaviorVersion::latest()).region(region).load().await;
    let lake = Lake::with(&config.bucket, &sdk)?;
    run_with(config, folder, teller, stop, lake, &sdk).await
}

/// As [`run`], with this lake, and Kinesis reached as `sdk` says.
///
/// # Errors
///
/// As [`run`].
pub async fn run_with(
    config: CleanerConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
    lake: Lake,
    sdk: &SdkConfig,
) -> Result<(), CleanerError> {
    run_by(config, folder, teller, stop, lake, sdk, Arc::new(OffsetDateTime::now_utc)).await
}

/// As [`run_with`], on a schedule by this clock.
///
/// # Errors
///
/// As [`run`].
pub async fn run_by(
    config: CleanerConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
    lake: Lake,
    sdk: &SdkConfig,
    clock: Clock,
) -> Result<(), CleanerError> {
    let streams = |table: &&CleanedTable| config.streaming && table.stream.is_some();
    let streaming = config.tables.iter().filter(streams).map(|table| table.name.clone());
    let health = Health::new(teller.clone(), streaming);
    let mut tasks = JoinSet::new();
    keep_batches(&mut tasks, &config, &health, &lake, clock, &stop)?;
    if config.streaming {
        keep_streaming(&mut tasks, config, folder, &health, &lake, sdk, &stop)?;
    } else if config.schedule.is_none() {
        teller.works("streaming is off");
        stop.cancelled().await;
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // A defect: the agent starts the process again, which begins from the tables.
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(())
}

/// Batch cleaning on its schedule, and the counters of its tables.
fn keep_batches(
    tasks: &mut JoinSet<()>,
    config: &CleanerConfig,
    health: &Health,
    lake: &Lake,
    clock: Clock,
    stop: &CancellationToken,
) -> Result<(), CleanerError> {
    let tables: Vec<CleanedTable> = config.tables.iter().filter(|table| table.topic.is_some()).cloned().collect();
    if !tables.is_empty() {
        tasks.spawn(keep_counting(lake.clone(), tables.clone(), health.teller().clone(), stop.clone()));
    }
    if let Some(schedule) = &config.schedule {
        let schedule: Schedule = schedule.parse()?;
        let health = health.clone();
        let tell = move |scheduled: Scheduled| health.batch(scheduled.said());
        tasks.spawn(keep_to_schedule(lake.clone(), tables, schedule, clock, tell, stop.clone()));
    }
    Ok(())
}

fn keep_streaming(
    tasks: &mut JoinSet<()>,
    config: CleanerConfig,
    folder: &Path,
    health: &Health,
    lake: &Lake,
    sdk: &SdkConfig,
    stop: &CancellationToken,
) -> Result<(), CleanerError> {
    let holder = holder(folder).map_err(CleanerError::Folder)?;
    let kinesis = aws_sdk_kinesis::Client::new(sdk);
    let config = Arc::new(config);
    let broom = Arc::new(Semaphore::new(1));
    for table in &config.tables {
        let Some(stream) = &table.stream else { continue };
        let index = Index::open(&folder.join(format!("known-{}.redb", table.name)));
        let index = index.map_err(|error| CleanerError::Folder(std::io::Error::other(error)))?;
        let job = Job {
            config: config.clone(),
            table: table.clone(),
            stream: stream.clone(),
            lake: lake.clone(),
            kinesis: kinesis.clone(),
            health: health.clone(),
            holder: holder.clone(),
            broom: broom.clone(),
        };
        let stop = stop.clone();
        tasks.spawn(async move { job.keep_cleaning(index, &stop).await });
    }
    Ok(())
}

fn holder(folder: &Path) -> std::io::Result<String> {
    let path = folder.join(HOLDER_FILE);
    match std::fs::read_to_string(&path) {
        Ok(holder) if !holder.trim().is_empty() => Ok(holder.trim().to_owned()),
        _ => {
            let holder = uuid::Uuid::new_v4().to_string();
            std::fs::write(&path, &holder)?;
            Ok(holder)
        }
    }
}
