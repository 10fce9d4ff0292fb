//! Reads one shard from a position on, until it is closed and read to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::ShardIteratorType;
use rand::Rng;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::error::TableError;
use super::position::Position;
use super::shards::{Stream, failed};

/// Kinesis answers so many GetRecords a second and shard ("GetRecords", Kinesis API reference).
const CALLS_A_SECOND: usize = 5;

/// How often a shard without new records is looked at; a little of it is chance, so that shards do not march in step.
const IDLE: Duration = Duration::from_millis(200);
const IDLE_JITTER: Duration = Duration::from_millis(50);

/// One GetRecords returns up to 10 MiB and 10,000 records ("GetRecords", Kinesis API reference).
const MOST_KIB: u32 = 10 << 10;
const MOST_RECORDS: u32 = 10_000;

/// Memory for records of one table that are read and not yet committed.
pub(crate) const BUDGET_KIB: usize = 32 << 10;

/// A record as it came.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) position: Position,
    /// When Kinesis took it.
    pub(crate) arrived: OffsetDateTime,
    pub(crate) data: Vec<u8>,
}

/// What one call brought.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) shard: String,
    pub(crate) records: Vec<Record>,
    pub(crate) bytes: usize,
    /// When it was read.
    pub(crate) read: OffsetDateTime,
    /// The shard is closed and this was its end.
    pub(crate) finished: bool,
    /// Why records before these may have left the stream unread.
    pub(crate) lost: Option<String>,
    /// Its share of the memory, given back when it goes.
    pub(crate) _memory: Option<OwnedSemaphorePermit>,
}

/// A shard and how it is read.
pub(crate) struct Reader {
    pub(crate) kinesis: Client,
    pub(crate) stream: Stream,
    pub(crate) shard: String,
    /// The last record that is committed.
    pub(crate) after: Option<Position>,
    /// Why records after it may be lost, if they may.
    pub(crate) lost: Option<String>,
    pub(crate) most_records: u32,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) chunks: mpsc::Sender<Chunk>,
    /// Milliseconds that the last answer was behind the newest record of the shard.
    pub(crate) behind: Arc<AtomicU64>,
    /// Set once the shard has answered that there is nothing to read; what it has is proven by its commit.
    pub(crate) proven: Arc<AtomicBool>,
}

impl Reader {
    /// Ends when the shard does, or nobody takes chunks any more.
    pub(crate) async fn run(mut self) -> Result<(), TableError> {
        let mut iterator = self.iterator().await?;
        let mut calls = VecDeque::with_capacity(CALLS_A_SECOND);
        let (mut refused, mut has_read) = (0, false);
        let most_records = i32::try_from(self.most_records.clamp(1, MOST_RECORDS)).unwrap_or(i32::MAX);
        loop {
            // A semaphore that nobody closes.
            let Ok(mut memory) = self.budget.clone().acquire_many_owned(MOST_KIB).await else { return Ok(()) };
            pace(&mut calls).await;
            let answer = self.kinesis.get_records().shard_iterator(&iterator).limit(most_records).send().await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => match error.code() {
                    Some("ExpiredIteratorException") => {
                        iterator = self.iterator().await?;
                        continue;
                    }
                    Some("ProvisionedThroughputExceededException") => {
                        refused += 1;
                        drop(memory);
                        tokio::time::sleep(backoff(refused)).await;
                        continue;
                    }
                    _ => return Err(failed("GetRecords", &self.stream.name, &error)),
                },
            };
            refused = 0;
            let read = OffsetDateTime::now_utc();
            let mut records = Vec::with_capacity(answer.records.len());
            for record in answer.records {
                let arrived = record.approximate_arrival_timestamp;
                let arrived = arrived.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok());
                records.push(Record {
                    position: record.sequence_number.parse()?,
                    arrived: arrived.unwrap_or(read),
                    data: record.data.into_inner(),
                });
            }
            if let Some(last) = records.last() {
                self.after = Some(last.position);
            }
            let bytes = records.iter().map(|record| record.data.len()).sum();
            let behind = answer.millis_behind_latest.unwrap_or(0).max(0).unsigned_abs();
            self.behind.store(behind, Ordering::Relaxed);
            let next = answer.next_shard_iterator;
            let (quiet, finished) = (records.is_empty(), next.is_none());
            if quiet && !has_read {
                self.proven.store(true, Ordering::Relaxed);
            }
            has_read |= !quiet;
            if !quiet || finished {
                let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MOST_KIB).min(MOST_KIB);
                let chunk = Chunk {
                    shard: self.shard.clone(),
                    records,
                    bytes,
                    read,
                    finished,
                    lost: self.lost.take(),
                    _memory: memory.split(kib as usize),
                };
                if self.chunks.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            drop(memory);
            let Some(next) = next else { return Ok(()) };
            iterator = next;
            if behind == 0 {
                tokio::time::sleep(idle()).await;
            }
        }
    }

    /// An iterator behind the last record that was read. A position that the stream does not know any more
    /// means that records may be lost, which is said.
    async fn iterator(&mut self) -> Result<String, TableError> {
        let request = || self.kinesis.get_shard_iterator().stream_name(&self.stream.name).shard_id(&self.shard);
        if let Some(after) = self.after {
            let kind = ShardIteratorType::AfterSequenceNumber;
            let asked = request().shard_iterator_type(kind).starting_sequence_number(after.to_string()).send().await;
            match asked {
                Ok(answer) => return self.given(answer.shard_iterator),
                Err(error) if error.code() == Some("InvalidArgumentException") => {
                    self.stream.is_still_there(&self.kinesis).await?;
                    self.lost = Some(format!(
                        "shard `{}` of stream `{}` does not know its record {after} any more: reading goes on at the \
                         oldest record, and what came between may be lost",
                        self.shard, self.stream.name
                    ));
                    self.after = None;
                }
                Err(error) => return Err(failed("GetShardIterator", &self.stream.name, &error)),
            }
        }
        let answer = request().shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        self.given(answer.map_err(|error| failed("GetShardIterator", &self.stream.name, &error))?.shard_iterator)
    }

    fn given(&self, iterator: Option<String>) -> Result<String, TableError> {
        iterator.ok_or_else(|| TableError::Kinesis {
            operation: "GetShardIterator",
            stream: self.stream.name.clone(),
            message: "the answer has no iterator".to_owned(),
        })
    }
}

/// Waits until one more call is allowed.
async fn pace(calls: &mut VecDeque<Instant>) {
    if calls.len() == CALLS_A_SECOND
        && let Some(first) = calls.pop_front()
    {
        tokio::time::sleep_until(first + Duration::from_secs(1)).await;
    }
    calls.push_back(Instant::now());
}

fn idle() -> Duration {
    IDLE + IDLE_JITTER.mul_f64(rand::rng().random())
}

/// 100 ms, doubled up to 3.2 s, of which up to half is chance.
fn backoff(refused: u32) -> Duration {
    let full = Duration::from_millis(100) * 2u32.pow(refused.min(6) - 1);
    full.mul_f64(rand::rng().random_range(0.5..1.0))
}
