//! The one thread of this service: it syncs logs a second after they were written, and sweeps.
//!
//! It sleeps until there is something to do: no stream written, none deleted, no wake-up but the sweep of retention.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::shard::Shard;
use super::streams::Streams;
use super::sweep::sweep;

/// What the thread is told.
pub(super) enum Job {
    /// The shard has records that are not on the device yet.
    Sync(Arc<Shard>),
    /// A deletion was begun.
    Sweep,
    /// The service ends.
    Stop,
}

/// The most that a power cut takes; a kill of the process takes nothing.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// How often it is looked whether a deletion is through.
const DELETIONS_EVERY: Duration = Duration::from_millis(250);
/// How often expired segments are dropped.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Starts the thread. It holds no streams between two sweeps, so it does not keep them alive.
pub(super) fn start(streams: &Arc<Streams>, jobs: Receiver<Job>) -> std::io::Result<JoinHandle<()>> {
    let streams = Arc::downgrade(streams);
    std::thread::Builder::new().name("kinesis-sync".to_owned()).spawn(move || run(&streams, &jobs))
}

fn run(streams: &Weak<Streams>, jobs: &Receiver<Job>) {
    let mut unsynced: Vec<Arc<Shard>> = Vec::new();
    let mut sync_at = None;
    // Deletions that were under way when the process last ended are found by a first sweep.
    let mut sweep_at = Instant::now();
    loop {
        let next = sync_at.map_or(sweep_at, |at: Instant| at.min(sweep_at));
        match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Job::Sync(shard)) => {
                unsynced.push(shard);
                sync_at = sync_at.or(Some(Instant::now() + SYNC_AFTER));
            }
            Ok(Job::Sweep) => sweep_at = sweep_at.min(Instant::now() + DELETIONS_EVERY),
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => {
                sync(&mut unsynced);
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if sync_at.is_some_and(|at| at <= now) {
            sync(&mut unsynced);
            sync_at = (!unsynced.is_empty()).then_some(now + SYNC_AFTER);
        }
        if sweep_at <= now {
            let Some(streams) = streams.upgrade() else { return };
            // A sweep that failed (a full disk, say) is tried again at the pace of deletions.
            let soon = sweep(&streams).unwrap_or(true);
            sweep_at = now + if soon { DELETIONS_EVERY } else { RETENTION_EVERY };
        }
    }
}

/// Syncs what can be synced and keeps the rest for the next time.
fn sync(unsynced: &mut Vec<Arc<Shard>>) {
    unsynced.retain(|shard| shard.open_log().is_some_and(|log| log.sync().is_err()));
}
