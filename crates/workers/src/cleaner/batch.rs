//! Records that wait for a commit, and when it is due.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::reader::{Chunk, Record};

/// A batch is also closed at so many bytes, so that readers have memory to go on with.
const MOST_BYTES: usize = 12 << 20;

/// Chunks in the order in which they were read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) chunks: Vec<Chunk>,
    records: usize,
    bytes: usize,
    due: Option<Instant>,
}

impl Batch {
    /// Adds a chunk. `within` is the time in which records are to be visible, `last` when the last commit began.
    pub(crate) fn push(&mut self, chunk: Chunk, within: Duration, last: Option<Instant>) {
        self.records += chunk.records.len();
        self.bytes += chunk.bytes;
        let since_last = last.map_or(Duration::MAX, |last| last.elapsed());
        let wait = wait(&chunk, within, since_last, OffsetDateTime::now_utc());
        let due = Instant::now() + wait;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.chunks.push(chunk);
    }

    /// When to commit; `None` while there is nothing to.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_full(&self, most_records: u32) -> bool {
        self.records >= most_records as usize || self.bytes >= MOST_BYTES
    }

    /// All records in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Chunk, &Record)> {
        self.chunks.iter().flat_map(|chunk| chunk.records.iter().map(move |record| (chunk, record)))
    }
}

/// Half of the time counts from a record's arrival; the other half is for the commit. Commits need not be further apart
/// than that half, so what comes after a pause is committed at once. Far behind when it was read, a record is late
/// already, and larger commits catch up sooner.
fn wait(chunk: &Chunk, within: Duration, since_last: Duration, now: OffsetDateTime) -> Duration {
    let half = within / 2;
    let Some(oldest) = chunk.records.first() else { return Duration::ZERO };
    if chunk.read - oldest.arrived > within {
        return half;
    }
    // A chunk may have waited for the last commit to end.
    half.saturating_sub(since_last.max(Duration::try_from(now - oldest.arrived).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(read: OffsetDateTime, age_ms: i64) -> Chunk {
        let arrived = read - time::Duration::milliseconds(age_ms);
        Chunk {
            shard: "s".to_owned(),
            records: vec![Record { position: "1".parse().unwrap(), arrived, data: vec![0; 10] }],
            bytes: 10,
            read,
            finished: false,
            lost: None,
            _memory: None,
        }
    }

    #[test]
    fn what_waited_in_the_stream_waits_less_here() {
        let read = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1);
        let waits = |age_ms, since_read_ms| {
            let now = read + time::Duration::milliseconds(since_read_ms);
            wait(&chunk(read, age_ms), Duration::from_secs(1), Duration::ZERO, now).as_millis()
        };
        assert_eq!(waits(0, 0), 500);
        assert_eq!(waits(200, 0), 300);
        assert_eq!(waits(200, 100), 200);
        assert_eq!(waits(700, 0), 0);
        assert_eq!(waits(700, 5_000), 0);
        assert_eq!(waits(60_000, 0), 500);
        // Clocks differ.
        assert_eq!(waits(-5_000, 0), 500);
    }

    #[test]
    fn what_comes_after_a_pause_does_not_wait() {
        let read = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1);
        let waits = |age_ms, since_last_ms| {
            let since_last = Duration::from_millis(since_last_ms);
            wait(&chunk(read, age_ms), Duration::from_secs(1), since_last, read).as_millis()
        };
        assert_eq!(waits(0, 100), 400);
        assert_eq!(waits(200, 100), 300);
        assert_eq!(waits(200, 500), 0);
        assert_eq!(waits(0, 60_000), 0);
        // What is far behind is not in a hurry.
        assert_eq!(waits(60_000, 60_000), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_record_says_when() {
        let mut batch = Batch::default();
        assert_eq!(batch.due(), None);
        // Late when they were read: these wait for half of the time from now on.
        let late = || chunk(OffsetDateTime::now_utc(), 60_000);
        let now = Instant::now();
        batch.push(late(), Duration::from_secs(2), None);
        assert_eq!(batch.due(), Some(now + Duration::from_secs(1)));
        batch.push(late(), Duration::from_secs(1), None);
        assert_eq!(batch.due(), Some(now + Duration::from_millis(500)));
        batch.push(late(), Duration::from_secs(2), None);
        assert_eq!(batch.due(), Some(now + Duration::from_millis(500)));
        assert!(batch.is_full(3) && !batch.is_full(4));
    }
}
