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

mod apps;
mod batch;
mod commit;
mod entry;
mod error;
mod health;
mod history;
mod index;
mod leases;
mod ledger;
mod maintenance;
mod position;
mod probes;
mod reader;
mod rejects;
mod rows;
mod schema;
mod shards;
mod table;

use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::CleanerConfig;
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
    if !config.streaming {
        teller.works("streaming is off");
        stop.cancelled().await;
        return Ok(());
    }
    let holder = holder(folder).map_err(CleanerError::Folder)?;
    let health = Health::new(teller, config.tables.iter().map(|table| table.name.clone()));
    let kinesis = aws_sdk_kinesis::Client::new(sdk);
    let config = Arc::new(config);
    let broom = Arc::new(Semaphore::new(1));
    let mut tables = JoinSet::new();
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
        tables.spawn(async move { job.keep_cleaning(index, &stop).await });
    }
    while let Some(ended) = tables.join_next().await {
        if let Err(error) = ended {
            // A defect: the agent starts the process again, which begins from the tables.
            std::panic::resume_unwind(error.into_panic());
        }
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
