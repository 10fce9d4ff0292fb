//! A shard while the process runs: its log, opened when first touched, and what it lets through.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::document::{ShardDocument, seconds};
use super::sequence::Sequence;
use super::throughput::{ReadBudget, WriteBudget};
use crate::log::{Appended, Batch, FileHandles, LogError, LogOptions, SegmentLog, lock};

/// One shard.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) number: u32,
    pub(super) id: String,
    epoch_seconds: u64,
    folder: PathBuf,
    handles: Arc<FileHandles>,
    log: OnceLock<SegmentLog>,
    opening: Mutex<()>,
    write_side: Mutex<WriteSide>,
    read_budget: Mutex<ReadBudget>,
}

/// What a writer holds while it writes.
#[derive(Debug)]
pub(super) struct WriteSide {
    /// Split, merged or deleted: nothing is appended any more.
    pub(super) closed: bool,
    pub(super) budget: WriteBudget,
}

impl Shard {
    pub(super) fn new(document: &ShardDocument, folder: PathBuf, handles: &Arc<FileHandles>, now: i64) -> Shard {
        Shard {
            number: document.number,
            id: document.id(),
            epoch_seconds: document.epoch_seconds,
            folder,
            handles: Arc::clone(handles),
            log: OnceLock::new(),
            opening: Mutex::new(()),
            write_side: Mutex::new(WriteSide { closed: document.closed_at.is_some(), budget: WriteBudget::new(now) }),
            read_budget: Mutex::new(ReadBudget::new(now)),
        }
    }

    /// The log. A thousand streams that nobody writes to cost no file and no start-up time.
    pub(super) fn log(&self) -> Result<&SegmentLog, LogError> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let _one_at_a_time = lock(&self.opening);
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let log = SegmentLog::open(&self.folder, LogOptions::default(), &self.handles)?;
        Ok(self.log.get_or_init(|| log))
    }

    /// The log, if anybody has touched it.
    pub(super) fn open_log(&self) -> Option<&SegmentLog> {
        self.log.get()
    }

    /// Whether retention may have something to drop: the last segment always stays. Looks at file names only, for a
    /// shard that nobody has touched since the start.
    pub(super) fn may_drop_segments(&self) -> bool {
        self.log.get().is_some() || std::fs::read_dir(&self.folder).is_ok_and(|files| files.count() > 1)
    }

    /// Keeps everybody else from writing.
    pub(super) fn write_side(&self) -> MutexGuard<'_, WriteSide> {
        lock(&self.write_side)
    }

    pub(super) fn read_budget(&self) -> MutexGuard<'_, ReadBudget> {
        lock(&self.read_budget)
    }

    /// Appends; the caller holds the write side.
    pub(super) fn append(&self, _held: &WriteSide, batch: &mut Batch, now: i64) -> Result<Appended, LogError> {
        self.log()?.append(batch, now)
    }

    /// Frees the disk. Later writers find the shard closed.
    pub(super) fn delete(&self) -> Result<(), LogError> {
        self.write_side().closed = true;
        match self.log.get() {
            Some(log) => log.delete(),
            None => SegmentLog::delete_folder(&self.folder),
        }
    }

    /// The sequence number of the record at an offset of the log.
    pub(super) fn sequence(&self, offset: u64, arrived_at: i64) -> Sequence {
        Sequence {
            epoch_seconds: self.epoch_seconds,
            shard: self.number,
            number: offset + 1,
            arrival_seconds: seconds(arrived_at),
        }
    }

    /// Whether the sequence number was given out by this shard, not by one of an earlier stream of the same name.
    pub(super) fn gave_out(&self, sequence: &Sequence) -> bool {
        sequence.shard == self.number && sequence.epoch_seconds == self.epoch_seconds
    }
}
