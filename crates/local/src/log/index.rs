//! A sparse index of one segment, in memory: every few kilobytes, which record begins where.

/// A record's place, kept about once in [`EVERY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) timestamp: i64,
    pub(super) position: u64,
}

/// A look-up scans at most this far beyond a mark; 16 MiB of segment cost 12 KiB of marks.
const EVERY_BYTES: u64 = 32 * 1024;

/// Marks in ascending order of offset, position and (not strictly) timestamp.
#[derive(Debug, Default)]
pub(super) struct SparseIndex {
    marks: Vec<Mark>,
}

impl SparseIndex {
    /// Remembers the record when the last mark is far enough behind.
    pub(super) fn note(&mut self, mark: Mark) {
        let far_enough = self.marks.last().is_none_or(|last| mark.position >= last.position + EVERY_BYTES);
        if far_enough {
            self.marks.push(mark);
        }
    }

    /// Where to start scanning for `offset`.
    pub(super) fn position_of(&self, offset: u64) -> u64 {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        self.before(after)
    }

    /// Where to start scanning for the first record at or after `timestamp`.
    pub(super) fn position_at(&self, timestamp: i64) -> u64 {
        // Records equal to a mark's timestamp may lie before it, so the scan starts at a mark that is older.
        let after = self.marks.partition_point(|mark| mark.timestamp < timestamp);
        self.before(after)
    }

    fn before(&self, after: usize) -> u64 {
        after.checked_sub(1).map_or(0, |number| self.marks[number].position)
    }
}
