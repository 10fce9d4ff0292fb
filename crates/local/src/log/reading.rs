//! Reading a log: from an offset on, and finding the offset of a time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::LogError;
use super::frame::Record;
use super::segment::Segment;
use super::segment_log::SegmentLog;

impl SegmentLog {
    /// Visits records from the one that holds `offset` (or the oldest that is left) on, up to the end at the time of the call, or until
    /// `visit` breaks; a record it breaks at counts as not read. Returns the offset to go on from.
    ///
    /// The payload is lent from the read buffer: what to keep, the visitor copies.
    pub fn read(&self, offset: u64, mut visit: impl FnMut(Record<'_>) -> ControlFlow<()>) -> Result<u64, LogError> {
        let span = self.span;
        let end = self.end_offset();
        let mut next = offset.max(self.start_offset());
        while next < end {
            let Some((segment, following)) = self.segment_holding(next) else { return Ok(next) };
            let before = next;
            let scanned = segment.position_of(next).and_then(|position| {
                segment.scan(position, |record, _| {
                    let behind = record.offset + span(record.payload);
                    if behind <= next {
                        return true;
                    }
                    if record.offset >= end || visit(record).is_break() {
                        return false;
                    }
                    next = behind;
                    true
                })
            });
            let ended = match scanned {
                Ok(ended) => ended,
                // Retention took the file away meanwhile: go on with what is left.
                Err(_) if segment.dropped.load(Ordering::Acquire) => {
                    next = next.max(self.start_offset());
                    continue;
                }
                Err(error) => return Err(error),
            };
            if ended.stopped {
                return Ok(next);
            }
            let whole_segment_read = following.map_or(end, |base| base.min(end)) <= next;
            if !whole_segment_read || next == before {
                return Err(LogError::Corrupt { path: segment.path().to_owned(), position: ended.end });
            }
        }
        Ok(next)
    }

    /// The offset of the first record at or after `timestamp`; the end of the log when all are older.
    pub fn offset_at(&self, timestamp: i64) -> Result<u64, LogError> {
        loop {
            let end = self.end_offset();
            // Timestamps never fall: the answer is in the last segment that begins before it, or right behind.
            let candidate = self.read_segments(|segments| {
                let number = segments
                    .iter()
                    .rposition(|segment| segment.first_timestamp().is_some_and(|first| first < timestamp))?;
                let behind = segments.get(number + 1).map_or(end, |following| following.base_offset);
                Some((Arc::clone(&segments[number]), behind))
            });
            let Some((segment, behind)) = candidate else { return Ok(self.start_offset()) };
            let mut found = None;
            let scanned = segment.position_at(timestamp).and_then(|position| {
                segment.scan(position, |record, _| {
                    if record.timestamp >= timestamp {
                        found = Some(record.offset);
                    }
                    found.is_none()
                })
            });
            match scanned {
                Ok(_) => return Ok(found.unwrap_or(behind)),
                Err(_) if segment.dropped.load(Ordering::Acquire) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The segment with this offset, and the offset at which the next segment begins.
    fn segment_holding(&self, offset: u64) -> Option<(Arc<Segment>, Option<u64>)> {
        self.read_segments(|segments| {
            let after = segments.partition_point(|segment| segment.base_offset <= offset);
            let number = after.checked_sub(1)?;
            Some((Arc::clone(&segments[number]), segments.get(after).map(|following| following.base_offset)))
        })
    }
}
