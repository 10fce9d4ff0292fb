//! One file of a log: what is published of it, and how it is opened and scanned.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::frame::{Batch, Decoded, HEADER_BYTES, Record, Span, decode};
use super::handles::{FileHandles, FileSlot};
use super::index::{Mark, SparseIndex};
use super::{LogError, lock};

/// Read this much at a time; a larger record makes the buffer grow to its size.
const CHUNK_BYTES: usize = 256 * 1024;
/// `first_timestamp` of a segment without records.
const NO_TIMESTAMP: i64 = i64::MAX;

/// A segment. The atomics are what readers may rely on; only the appender of the log moves them.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base_offset: u64,
    slot: Arc<FileSlot>,
    /// Bytes up to here are whole records.
    length: AtomicU64,
    first_timestamp: AtomicI64,
    /// `None` until somebody looks something up in a segment that was closed before the log was opened.
    index: Mutex<Option<SparseIndex>>,
    /// Set before the file is removed, so that a reader that finds no file knows why.
    pub(super) dropped: AtomicBool,
}

/// What a scan of a whole segment found.
pub(super) struct Scanned {
    pub(super) next_offset: u64,
    pub(super) last_timestamp: i64,
    /// Whether something behind the last whole record was cut off.
    pub(super) truncated: bool,
}

pub(super) fn file_name(base_offset: u64) -> String {
    format!("{base_offset:020}.log")
}

impl Segment {
    /// Makes the file and its folder.
    pub(super) fn create(handles: &Arc<FileHandles>, folder: &Path, base_offset: u64) -> Result<Segment, LogError> {
        let path = folder.join(file_name(base_offset));
        std::fs::create_dir_all(folder).map_err(|source| LogError::io("make the folder", folder, source))?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|source| LogError::io("make", &path, source))?;
        let segment = Segment::at(handles, path, base_offset, 0);
        *lock(&segment.index) = Some(SparseIndex::default());
        Ok(segment)
    }

    /// A file that is there; nothing is read but the timestamp of its first record.
    pub(super) fn existing(handles: &Arc<FileHandles>, path: PathBuf, base_offset: u64) -> Result<Segment, LogError> {
        let length = std::fs::metadata(&path).map_err(|source| LogError::io("read", &path, source))?.len();
        let segment = Segment::at(handles, path, base_offset, length);
        if length >= HEADER_BYTES as u64 {
            let mut timestamp = [0; 8];
            let file = segment.file()?;
            file.read_exact_at(&mut timestamp, 16).map_err(|source| LogError::io("read", segment.path(), source))?;
            segment.first_timestamp.store(i64::from_le_bytes(timestamp), Ordering::Release);
        }
        Ok(segment)
    }

    fn at(handles: &Arc<FileHandles>, path: PathBuf, base_offset: u64, length: u64) -> Segment {
        Segment {
            base_offset,
            slot: handles.slot(path),
            length: AtomicU64::new(length),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP),
            index: Mutex::new(None),
            dropped: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.slot.path()
    }

    pub(super) fn file(&self) -> Result<Arc<File>, LogError> {
        self.slot.get().map_err(|source| LogError::io("open", self.path(), source))
    }

    /// Bytes of whole records.
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// `None` while it has no record.
    pub(super) fn first_timestamp(&self) -> Option<i64> {
        Some(self.first_timestamp.load(Ordering::Acquire)).filter(|timestamp| *timestamp != NO_TIMESTAMP)
    }

    /// Reads all of it, builds the index and cuts off a torn tail. For the last segment of a log that is being opened.
    pub(super) fn recover(&self, span: Span) -> Result<Scanned, LogError> {
        let (mut next_offset, mut last_timestamp) = (self.base_offset, i64::MIN);
        let mut first_timestamp = NO_TIMESTAMP;
        let mut index = SparseIndex::default();
        let file_length = self.length();
        let whole = self.scan(0, |record, position| {
            if record.offset != next_offset || record.timestamp < last_timestamp {
                return false;
            }
            index.note(Mark { offset: record.offset, timestamp: record.timestamp, position });
            first_timestamp = first_timestamp.min(record.timestamp);
            next_offset += span(record.payload);
            last_timestamp = record.timestamp;
            true
        })?;
        if whole.end < file_length {
            let file = self.file()?;
            file.set_len(whole.end).map_err(|source| LogError::io("truncate", self.path(), source))?;
        }
        *lock(&self.index) = Some(index);
        self.first_timestamp.store(first_timestamp, Ordering::Release);
        self.length.store(whole.end, Ordering::Release);
        Ok(Scanned { next_offset, last_timestamp, truncated: whole.end < file_length })
    }

    /// Visits whole records from a position on until `visit` says no, the published end, or damage.
    pub(super) fn scan(&self, from: u64, mut visit: impl FnMut(Record<'_>, u64) -> bool) -> Result<ScanEnd, LogError> {
        let limit = self.length();
        let (mut position, mut wanted) = (from, CHUNK_BYTES);
        let file = self.file()?;
        let mut buffer = Vec::new();
        while position < limit {
            let left = usize::try_from(limit - position).unwrap_or(usize::MAX);
            buffer.resize(left.min(wanted), 0);
            file.read_exact_at(&mut buffer, position).map_err(|source| LogError::io("read", self.path(), source))?;
            let mut at = 0;
            wanted = CHUNK_BYTES;
            loop {
                match decode(&buffer[at..]) {
                    Decoded::Whole(record, size) => {
                        if !visit(record, position + at as u64) {
                            return Ok(ScanEnd { end: position + at as u64, stopped: true });
                        }
                        at += size;
                    }
                    // The rest is in the next chunk, unless the segment ends before it does.
                    Decoded::Needs(size) if at + size <= left => {
                        wanted = wanted.max(size);
                        break;
                    }
                    Decoded::Needs(_) | Decoded::Damaged => {
                        return Ok(ScanEnd { end: position + at as u64, stopped: false });
                    }
                }
            }
            position += at as u64;
        }
        Ok(ScanEnd { end: position, stopped: false })
    }

    /// Writes at the end and publishes it. On failure the file is as long as before.
    pub(super) fn append(
        &self,
        batch: &mut Batch,
        first_offset: u64,
        timestamp: i64,
        span: Span,
    ) -> Result<(), LogError> {
        let file = self.file()?;
        let at = self.length();
        let bytes = batch.seal(first_offset, timestamp, span);
        if let Err(source) = file.write_all_at(bytes, at) {
            // What was written of it must not come back as a record at the next start. Should this fail as well
            // (it only ever shortens the file), the next append overwrites the bytes.
            let _shortened = file.set_len(at);
            return Err(LogError::io("append to", self.path(), source));
        }
        if let Some(index) = &mut *lock(&self.index) {
            for (offset, start) in batch.places() {
                index.note(Mark { offset, timestamp, position: at + start as u64 });
            }
        }
        if at == 0 {
            self.first_timestamp.store(timestamp, Ordering::Release);
        }
        self.length.store(at + batch.byte_len() as u64, Ordering::Release);
        Ok(())
    }

    /// Where to start scanning for an offset.
    pub(super) fn position_of(&self, offset: u64) -> Result<u64, LogError> {
        self.with_index(|index| index.position_of(offset))
    }

    /// Where to start scanning for a timestamp.
    pub(super) fn position_at(&self, timestamp: i64) -> Result<u64, LogError> {
        self.with_index(|index| index.position_at(timestamp))
    }

    fn with_index(&self, look_up: impl Fn(&SparseIndex) -> u64) -> Result<u64, LogError> {
        if let Some(index) = &*lock(&self.index) {
            return Ok(look_up(index));
        }
        // Only a segment that no longer grows has none, so it can be scanned without the lock.
        let mut index = SparseIndex::default();
        self.scan(0, |record, position| {
            index.note(Mark { offset: record.offset, timestamp: record.timestamp, position });
            true
        })?;
        let found = look_up(&index);
        *lock(&self.index) = Some(index);
        Ok(found)
    }

    /// Everything appended so far is on the device when this returns.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.file()?.sync_data().map_err(|source| LogError::io("sync", self.path(), source))
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> Result<(), LogError> {
        self.dropped.store(true, Ordering::Release);
        match std::fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", self.path(), error)),
            _ => Ok(()),
        }
    }
}

/// How a scan ended.
pub(super) struct ScanEnd {
    /// Behind the last record that was accepted.
    pub(super) end: u64,
    /// Whether the visitor said no.
    pub(super) stopped: bool,
}
