//! Which events come in which order: row numbers drawn by the seed, and their rows read some at a time.
//!
//! Event `i` is drawn from the seed and `i` alone, so the sequence goes on after a restart where it stood and needs no
//! memory. Each event is posted for each table in turn; posts are numbered through.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::value::to_raw_value;
use tokio::sync::mpsc;

use super::desk::Desk;
use super::journal::Post;
use super::source::{Keys, Rows, SourceError};
use crate::config::EmulatorConfig;
use crate::sample::Draws;

/// Events whose rows are read at once: a database far away is asked this much less often.
const BATCH: u64 = 32;
/// Posts that may wait for their turn.
pub(super) const WAITING: usize = 96;

/// Reads rows and hands out posts from number `next` on, for as long as somebody takes them. A source that fails is
/// opened again.
pub(super) async fn feed(
    config: EmulatorConfig,
    folder: PathBuf,
    desk: Arc<Desk>,
    mut next: u64,
    posts: mpsc::Sender<Arc<Post>>,
) {
    let pace = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30));
    let pace = pace.with_jitter().without_max_times();
    let mut waits = pace.build();
    loop {
        let before = next;
        let Err(error) = Box::pin(read(&config, &folder, &mut next, &posts)).await else { return };
        if next > before {
            waits = pace.build();
        }
        desk.source_failed(&error);
        tokio::time::sleep(waits.next().unwrap_or(Duration::from_secs(30))).await;
    }
}

async fn read(
    config: &EmulatorConfig,
    folder: &std::path::Path,
    next: &mut u64,
    posts: &mpsc::Sender<Arc<Post>>,
) -> Result<(), SourceError> {
    let width = config.tables.len() as u64;
    let mut rows = Rows::open(&config.source, &config.tables, &config.api.region, folder).await?;
    loop {
        let first = *next / width;
        let keys: Vec<u64> = (first..first + BATCH).map(|event| draw(config.seed, event, rows.keys())).collect();
        let mut read = Vec::new();
        for table in 0..config.tables.len() {
            read.push(rows.read(table, &keys).await?.into_iter());
        }
        for (event, key) in (first..).zip(&keys) {
            for (number, (table, rows)) in (event * width..).zip(config.tables.iter().zip(&mut read)) {
                // Each table has a row for each key.
                let Some(row) = rows.next() else { continue };
                if number < *next {
                    continue;
                }
                let data = to_raw_value(&row).map_err(|error| SourceError::Database(error.to_string()))?;
                let post = Post {
                    number,
                    table: table.name.clone(),
                    stream: table.stream.clone(),
                    topic: table.topic.clone(),
                    partition_key: key.to_string(),
                    data,
                };
                if posts.send(Arc::new(post)).await.is_err() {
                    return Ok(());
                }
                *next = number + 1;
            }
        }
    }
}

/// The key of event `event`.
fn draw(seed: u64, event: u64, keys: &Keys) -> u64 {
    keys.key(Draws::new(seed, 7, event).below(keys.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_drawn_evenly_and_with_replacement() {
        let keys = Keys::range(5, 100);
        let drawn: Vec<u64> = (0..10_000).map(|event| draw(100, event, &keys)).collect();
        let mut counts = [0; 100];
        for key in &drawn {
            counts[*key as usize - 5] += 1;
        }
        assert!(counts.iter().all(|count| (50..160).contains(count)), "{counts:?}");
        assert_eq!(drawn[1234], draw(100, 1234, &keys));
        assert_ne!(drawn[..10], (0..10).map(|event| draw(101, event, &keys)).collect::<Vec<_>>()[..]);
    }
}
