//! One partition: its log of batches, its idempotent producers, and who waits for it to grow.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use tokio::sync::watch;

use super::batch::{self, Header};
use super::producers::{Producers, Verdict};
use super::records;
use crate::kafka::configs::Limits;
use crate::kafka::error::{KafkaError, Refused};
use crate::log::{Batch, FileHandles, LogOptions, SegmentLog, lock};

/// No node ever takes a partition over from another, so there is one epoch.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// A partition of a topic.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: i32,
    /// The nodes that hold it, the leader first.
    pub(crate) replicas: Vec<i32>,
    log: SegmentLog,
    /// Held while a batch gets its offset and is written: producers are judged in the order of the log.
    producers: Mutex<Producers>,
    /// Records before it are not shown: somebody deleted them, or they are older than the topic keeps.
    start: AtomicI64,
    /// Bytes appended since it was opened, without end once it is deleted; those who wait for data watch it.
    grown: watch::Sender<u64>,
    dirty: AtomicBool,
    deleted: AtomicBool,
}

/// A record's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: i64,
    pub(crate) timestamp_millis: i64,
}

impl Partition {
    /// Opens its folder, which need not exist. Records before `start` were deleted.
    pub(crate) fn open(
        folder: &Path,
        id: i32,
        replicas: Vec<i32>,
        start: i64,
        limits: &Limits,
        handles: &Arc<FileHandles>,
    ) -> Result<Partition, KafkaError> {
        let options = LogOptions { segment_bytes: limits.segment_bytes, span: batch::span };
        let log = SegmentLog::open(folder, options, handles)?;
        // A retry after a restart repeats what was written last.
        let mut producers = Producers::default();
        log.read(log.recent_offset(), |record| {
            if let Some(header) = batch::header(record.payload) {
                producers.note(&header);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Partition {
            id,
            replicas,
            log,
            producers: Mutex::new(producers),
            start: AtomicI64::new(start),
            grown: watch::Sender::new(0),
            dirty: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
        })
    }

    /// The node that answers for it.
    pub(crate) fn leader(&self) -> i32 {
        self.replicas.first().copied().unwrap_or(1)
    }

    /// The offset of the oldest record.
    pub(crate) fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire).max(signed(self.log.start_offset())).min(self.end())
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> i64 {
        signed(self.log.end_offset())
    }

    /// Changes when it grows; counts bytes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Appends checked batches and returns the offset of the first record, also of a retry that was written before. The
    /// kernel has the bytes when it returns.
    pub(crate) fn append(&self, batches: &[(Header, &[u8])], now_millis: i64) -> Result<i64, Refused> {
        let mut producers = lock(&self.producers);
        if self.deleted.load(Ordering::Acquire) {
            return Err(Refused::new(ResponseError::UnknownTopicOrPartition, "the topic was deleted"));
        }
        let mut first = None;
        if batches.iter().all(|(header, _)| header.producer_id < 0) {
            first = Some(self.write(batches, now_millis)?);
        } else {
            // Each may be a retry of its own, and is judged by what those before it have written.
            for (header, bytes) in batches {
                let offset = match producers.judge(header)? {
                    Verdict::Duplicate(offset) => offset,
                    Verdict::Append => {
                        let base_offset = self.write(&[(*header, *bytes)], now_millis)?;
                        producers.note(&Header { base_offset, ..*header });
                        base_offset
                    }
                };
                first = first.or(Some(offset));
            }
        }
        Ok(first.unwrap_or_else(|| self.end()))
    }

    /// Whole batches from the one that holds `from` on, about `max_bytes` of them: with `always_one` the first comes
    /// whatever its size, as Kafka sends it so that a consumer can go on.
    pub(crate) fn read(&self, from: i64, max_bytes: usize, always_one: bool) -> Result<Bytes, Refused> {
        self.check_offset(from)?;
        let mut found = BytesMut::new();
        self.log.read(unsigned(from), |record| {
            let fits = found.len() + record.payload.len() <= max_bytes;
            if !(fits || always_one && found.is_empty()) {
                return ControlFlow::Break(());
            }
            found.extend_from_slice(record.payload);
            ControlFlow::Continue(())
        })?;
        Ok(found.freeze())
    }

    /// The first record that is as late as `timestamp_millis` or later; `None` when all are earlier.
    pub(crate) fn first_at(&self, timestamp_millis: i64) -> Result<Option<Place>, Refused> {
        let start = self.start();
        let mut found = None;
        self.scan(|header, payload| {
            if header.max_timestamp < timestamp_millis || header.last_offset() < start {
                return Ok(true);
            }
            let read = records::decode(header, &Bytes::copy_from_slice(payload))?;
            let hit = read.iter().find(|record| record.offset >= start && record.timestamp_millis >= timestamp_millis);
            found = hit.map(|record| Place { offset: record.offset, timestamp_millis: record.timestamp_millis });
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The latest record by its time, not by its place.
    pub(crate) fn latest(&self) -> Result<Option<Place>, Refused> {
        let mut max = None;
        self.scan(|header, _| {
            max = max.max(Some(header.max_timestamp));
            Ok(true)
        })?;
        max.map_or(Ok(None), |timestamp| self.first_at(timestamp))
    }

    /// Hides all records before `offset` and drops what is wholly hidden.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<(), KafkaError> {
        self.start.fetch_max(offset, Ordering::AcqRel);
        self.log.drop_until(unsigned(offset))?;
        Ok(())
    }

    /// Drops what the topic no longer keeps: what was appended longer ago than `retention_millis`, and whole segments
    /// beyond `retention_bytes`.
    pub(crate) fn expire(&self, limits: &Limits, now_millis: i64) -> Result<(), KafkaError> {
        if let Some(millis) = limits.retention_millis {
            let before = now_millis.saturating_sub(millis);
            let kept = self.log.offset_at(before)?;
            self.start.fetch_max(signed(kept), Ordering::AcqRel);
            self.log.drop_before(before)?;
        }
        if let Some(bytes) = limits.retention_bytes {
            self.log.drop_beyond(bytes)?;
        }
        self.log.set_segment_bytes(limits.segment_bytes);
        Ok(())
    }

    /// Writes what the kernel has to the disk, if there is anything new.
    pub(crate) fn sync(&self) -> Result<(), KafkaError> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let synced = self.log.sync();
        if synced.is_err() {
            // Tried again in the next round.
            self.dirty.store(true, Ordering::Release);
        }
        Ok(synced?)
    }

    /// Removes all of it. Who waits for data is woken.
    pub(crate) fn delete(&self) -> Result<(), KafkaError> {
        let _no_append = lock(&self.producers);
        self.deleted.store(true, Ordering::Release);
        self.log.delete()?;
        self.grown.send_replace(u64::MAX);
        Ok(())
    }

    /// Whether its topic was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn check_offset(&self, offset: i64) -> Result<(), Refused> {
        let (start, end) = (self.start(), self.end());
        if (start..=end).contains(&offset) {
            return Ok(());
        }
        let message = format!("offset {offset} is out of range: the partition has {start} to {end}");
        Err(Refused::new(ResponseError::OffsetOutOfRange, message))
    }

    fn write(&self, batches: &[(Header, &[u8])], now_millis: i64) -> Result<i64, Refused> {
        let base = self.end();
        let bytes = batches.iter().map(|(header, _)| header.size).sum();
        let mut records = Batch::with_capacity(batches.len(), bytes);
        let mut offset = base;
        for (header, payload) in batches {
            let placed = records.push_with(|buffer| {
                let at = buffer.len();
                buffer.extend_from_slice(payload);
                batch::place(&mut buffer[at..], offset, LEADER_EPOCH);
                Ok::<(), std::convert::Infallible>(())
            });
            let Ok(()) = placed;
            offset += i64::from(header.last_offset_delta) + 1;
        }
        self.log.append(&mut records, now_millis)?;
        self.dirty.store(true, Ordering::Release);
        self.grown.send_modify(|grown| *grown += bytes as u64);
        Ok(base)
    }

    fn scan(&self, mut visit: impl FnMut(&Header, &[u8]) -> Result<bool, Refused>) -> Result<(), Refused> {
        let mut failed = None;
        self.log.read(unsigned(self.start()), |record| {
            let Some(header) = batch::header(record.payload) else { return ControlFlow::Continue(()) };
            match visit(&header, record.payload) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(refused) => {
                    failed = Some(refused);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// Offsets of a log stay far below 2^63.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
