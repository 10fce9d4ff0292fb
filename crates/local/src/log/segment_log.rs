//! A log: its segments, the appender and what is dropped. Reading is in `reading`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::frame::{Batch, MAX_PAYLOAD_BYTES, Span};
use super::handles::FileHandles;
use super::segment::Segment;
use super::{LogError, lock};

/// How a log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// A segment is full when another batch would make it longer. Opening a log reads its last segment.
    pub segment_bytes: u64,
    /// How many offsets a payload takes.
    pub span: Span,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 16 << 20, span: |_| 1 }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appended {
    /// The offset of the first record of the batch.
    pub first_offset: u64,
    /// What the records were stamped with: the time given, or that of the record before if the clock went back.
    pub timestamp: i64,
}

/// An append-only log of records in one folder.
#[derive(Debug)]
pub struct SegmentLog {
    folder: PathBuf,
    pub(super) span: Span,
    segment_bytes: AtomicU64,
    handles: Arc<FileHandles>,
    /// Held for as long as an append takes; readers never take it.
    appender: Mutex<Appender>,
    /// In the order of their offsets; held only to look or to change the list.
    pub(super) segments: RwLock<Vec<Arc<Segment>>>,
    pub(super) end_offset: AtomicU64,
    dirty: AtomicBool,
    /// Whether a file was made whose name is not on the device yet.
    new_file: AtomicBool,
}

#[derive(Debug)]
struct Appender {
    last_timestamp: i64,
}

impl SegmentLog {
    /// Opens the folder, which need not exist, and cuts a torn tail off the last segment.
    pub fn open(folder: &Path, options: LogOptions, handles: &Arc<FileHandles>) -> Result<SegmentLog, LogError> {
        let mut bases = base_offsets(folder)?;
        bases.sort_unstable();
        let mut segments = Vec::with_capacity(bases.len());
        for base_offset in bases {
            let path = folder.join(super::segment::file_name(base_offset));
            segments.push(Arc::new(Segment::existing(handles, path, base_offset)?));
        }
        let (mut end_offset, mut last_timestamp, mut dirty) = (0, i64::MIN, false);
        if let Some(last) = segments.last() {
            let scanned = last.recover(options.span)?;
            end_offset = scanned.next_offset;
            last_timestamp = scanned.last_timestamp;
            dirty = scanned.truncated;
        }
        // A crash right after a roll leaves an empty last segment: the time goes on from the one before.
        if last_timestamp == i64::MIN && segments.len() > 1 {
            let before = &segments[segments.len() - 2];
            before.scan(0, |record, _| {
                last_timestamp = record.timestamp;
                true
            })?;
        }
        Ok(SegmentLog {
            folder: folder.to_owned(),
            span: options.span,
            segment_bytes: AtomicU64::new(options.segment_bytes),
            handles: Arc::clone(handles),
            appender: Mutex::new(Appender { last_timestamp }),
            segments: RwLock::new(segments),
            end_offset: AtomicU64::new(end_offset),
            dirty: AtomicBool::new(dirty),
            new_file: AtomicBool::new(false),
        })
    }

    /// Appends all records of the batch in one write, stamped with one time. Either all of them are in the log or none.
    pub fn append(&self, batch: &mut Batch, now_millis: i64) -> Result<Appended, LogError> {
        let mut appender = lock(&self.appender);
        let timestamp = now_millis.max(appender.last_timestamp);
        let first_offset = self.end_offset.load(Ordering::Relaxed);
        if batch.is_empty() {
            return Ok(Appended { first_offset, timestamp });
        }
        if batch.largest_payload() > MAX_PAYLOAD_BYTES {
            let source = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(LogError::io("append to", &self.folder, source));
        }
        let segment = self.segment_for(first_offset, batch.byte_len() as u64)?;
        segment.append(batch, first_offset, timestamp, self.span)?;
        appender.last_timestamp = timestamp;
        self.end_offset.store(first_offset + batch.span(self.span), Ordering::Release);
        Ok(Appended { first_offset, timestamp })
    }

    /// Says from when on a segment is full.
    pub fn set_segment_bytes(&self, bytes: u64) {
        self.segment_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Marks the log as having unsynced records; true for the first to say so since the last [`SegmentLog::sync`].
    pub fn mark_dirty(&self) -> bool {
        !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// The offset that the next record will get.
    pub fn end_offset(&self) -> u64 {
        self.end_offset.load(Ordering::Acquire)
    }

    /// The first offset whose segment is still there.
    pub fn start_offset(&self) -> u64 {
        self.read_segments(|segments| segments.first().map_or_else(|| self.end_offset(), |first| first.base_offset))
    }

    /// Everything appended before this call is on the device when it returns.
    pub fn sync(&self) -> Result<(), LogError> {
        self.dirty.store(false, Ordering::Release);
        let Some(last) = self.read_segments(|segments| segments.last().cloned()) else { return Ok(()) };
        match last.sync() {
            Err(_) if last.dropped.load(Ordering::Acquire) => Ok(()),
            other => other,
        }?;
        if self.new_file.swap(false, Ordering::AcqRel) {
            sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// Drops the segments of which every record is older than `timestamp`; returns how many. The last one stays: the
    /// next offset is read from it when the log is opened.
    pub fn drop_before(&self, timestamp: i64) -> Result<usize, LogError> {
        // Timestamps never fall, so all before a segment is as old as its first record, or older.
        self.drop_oldest(|segments| {
            let older = |segment: &Arc<Segment>| segment.first_timestamp().is_some_and(|first| first < timestamp);
            segments.iter().rposition(older).unwrap_or(0)
        })
    }

    /// Drops the segments of which every record lies before `offset`; returns how many. The last one stays.
    pub fn drop_until(&self, offset: u64) -> Result<usize, LogError> {
        self.drop_oldest(|segments| segments.iter().rposition(|segment| segment.base_offset <= offset).unwrap_or(0))
    }

    /// Drops the oldest segments as long as those that stay have `bytes` at least; returns how many.
    pub fn drop_beyond(&self, bytes: u64) -> Result<usize, LogError> {
        self.drop_oldest(|segments| {
            let mut kept = 0;
            let first = segments.iter().rposition(|segment| {
                kept += segment.length();
                kept >= bytes
            });
            first.unwrap_or(0)
        })
    }

    /// Where the segment before the last begins: what was appended lately is behind it.
    pub fn recent_offset(&self) -> u64 {
        self.read_segments(|segments| {
            segments.iter().rev().take(2).next_back().map_or(0, |segment| segment.base_offset)
        })
    }

    /// Bytes on disk.
    pub fn byte_len(&self) -> u64 {
        self.read_segments(|segments| segments.iter().map(|segment| segment.length()).sum())
    }

    fn drop_oldest(&self, count: impl FnOnce(&[Arc<Segment>]) -> usize) -> Result<usize, LogError> {
        let old: Vec<Arc<Segment>> = {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let keep_from = count(&segments).min(segments.len().saturating_sub(1));
            segments.drain(..keep_from).collect()
        };
        for segment in &old {
            segment.remove()?;
        }
        Ok(old.len())
    }

    /// Removes the whole log from disk. What is appended afterwards fails or is lost.
    pub fn delete(&self) -> Result<(), LogError> {
        let _no_append = lock(&self.appender);
        let segments = std::mem::take(&mut *self.segments.write().unwrap_or_else(PoisonError::into_inner));
        for segment in &segments {
            segment.dropped.store(true, Ordering::Release);
        }
        SegmentLog::delete_folder(&self.folder)
    }

    /// Removes a log that is not open.
    pub fn delete_folder(folder: &Path) -> Result<(), LogError> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io("remove", folder, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn read_segments<T>(&self, look: impl FnOnce(&[Arc<Segment>]) -> T) -> T {
        look(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn segment_for(&self, first_offset: u64, bytes: u64) -> Result<Arc<Segment>, LogError> {
        let last = self.read_segments(|segments| segments.last().cloned());
        if let Some(last) = last {
            if last.length() == 0 || last.length() + bytes <= self.segment_bytes.load(Ordering::Relaxed) {
                return Ok(last);
            }
            // Only the last segment may be torn by a power cut: it is the only one that is checked at the next start.
            last.sync()?;
        }
        let fresh = Arc::new(Segment::create(&self.handles, &self.folder, first_offset)?);
        self.new_file.store(true, Ordering::Release);
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// A new file is found after a power cut only when its folder was synced.
fn sync_folder(folder: &Path) -> Result<(), LogError> {
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io("sync", folder, error)),
        _ => Ok(()),
    }
}

fn base_offsets(folder: &Path) -> Result<Vec<u64>, LogError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| LogError::io("list", folder, source))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|source| LogError::io("list", folder, source))?.file_name();
        let base: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|digits| digits.parse().ok());
        found.extend(base);
    }
    Ok(found)
}
