//! How a record lies in a segment, and the batch in which records travel there.
//!
//! ```text
//! length u32 | checksum u32 | offset u64 | timestamp i64 | payload …       little endian
//! ```
//!
//! `length` counts the payload; the checksum (CRC-32) covers everything else, so a length that was not written whole
//! is found as well: it makes the checksum cover the wrong bytes.

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 24;
/// Where the part covered by the checksum begins, the length apart.
const CHECKED_FROM: usize = 8;
/// No record is larger: a length beyond it is damage, not a reason to ask for gigabytes of memory.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// How many offsets a payload takes: 1, or more where a payload is itself a batch of records. Never 0.
pub type Span = fn(&[u8]) -> u64;

/// A record as it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Its place in the log: that of the record before, and as many further as that one spans.
    pub offset: u64,
    /// Milliseconds since the epoch; never less than that of the record before.
    pub timestamp: i64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// Records to append together, encoded where they will be written from.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Batch {
    /// An empty batch with room for so many bytes.
    pub fn with_capacity(records: usize, payload_bytes: usize) -> Batch {
        Batch { bytes: Vec::with_capacity(payload_bytes + records * HEADER_BYTES), starts: Vec::with_capacity(records) }
    }

    /// Adds a record whose payload `write` appends to the buffer, so that it is decoded straight into its place.
    /// When `write` fails, the batch is as it was.
    pub fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.resize(start + HEADER_BYTES, 0);
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.starts.push(start);
        Ok(())
    }

    /// Adds a record.
    pub fn push(&mut self, payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.resize(start + HEADER_BYTES, 0);
        self.bytes.extend_from_slice(payload);
        self.starts.push(start);
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Keeps the records whose number `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut kept = Batch::with_capacity(self.starts.len(), self.bytes.len());
        for number in 0..self.starts.len() {
            if keep(number) {
                kept.starts.push(kept.bytes.len());
                kept.bytes.extend_from_slice(&self.bytes[self.starts[number]..self.end(number)]);
            }
        }
        *self = kept;
    }

    /// Writes the headers: the first record gets `first_offset`, each further one what those before it span.
    pub(super) fn seal(&mut self, first_offset: u64, timestamp: i64, span: Span) -> &[u8] {
        let mut offset = first_offset;
        for number in 0..self.starts.len() {
            let (start, end) = (self.starts[number], self.end(number));
            let frame = &mut self.bytes[start..end];
            // A payload over 4 GiB is refused by `append` before this.
            let length = u32::try_from(frame.len() - HEADER_BYTES).unwrap_or(u32::MAX);
            frame[0..4].copy_from_slice(&length.to_le_bytes());
            frame[8..16].copy_from_slice(&offset.to_le_bytes());
            offset += span(&frame[HEADER_BYTES..]);
            frame[16..24].copy_from_slice(&timestamp.to_le_bytes());
            let checksum = checksum(&frame[0..4], &frame[CHECKED_FROM..]);
            frame[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        &self.bytes
    }

    /// The offset and the place of each record, once it is sealed.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, usize)> {
        self.starts.iter().map(|start| {
            let mut offset = [0; 8];
            offset.copy_from_slice(&self.bytes[start + 8..start + 16]);
            (u64::from_le_bytes(offset), *start)
        })
    }

    /// How many offsets all of it takes.
    pub(super) fn span(&self, span: Span) -> u64 {
        (0..self.starts.len())
            .map(|number| span(&self.bytes[self.starts[number] + HEADER_BYTES..self.end(number)]))
            .sum()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn largest_payload(&self) -> usize {
        (0..self.starts.len()).map(|number| self.end(number) - self.starts[number] - HEADER_BYTES).max().unwrap_or(0)
    }

    fn end(&self, number: usize) -> usize {
        self.starts.get(number + 1).copied().unwrap_or(self.bytes.len())
    }
}

/// What the beginning of a buffer holds.
#[derive(Debug, PartialEq)]
pub(super) enum Decoded<'a> {
    /// A whole record and how many bytes it takes.
    Whole(Record<'a>, usize),
    /// A record may begin here, but this many bytes are needed to tell.
    Needs(usize),
    /// No record was ever written like this.
    Damaged,
}

/// Reads the record at the beginning of `buffer`.
pub(super) fn decode(buffer: &[u8]) -> Decoded<'_> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else { return Decoded::Needs(HEADER_BYTES) };
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Decoded::Damaged;
    }
    let size = HEADER_BYTES + length;
    let Some(frame) = buffer.get(..size) else { return Decoded::Needs(size) };
    let written = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if written != checksum(&frame[0..4], &frame[CHECKED_FROM..]) {
        return Decoded::Damaged;
    }
    let mut offset = [0; 8];
    offset.copy_from_slice(&header[8..16]);
    let mut timestamp = [0; 8];
    timestamp.copy_from_slice(&header[16..24]);
    let record = Record {
        offset: u64::from_le_bytes(offset),
        timestamp: i64::from_le_bytes(timestamp),
        payload: &frame[HEADER_BYTES..],
    };
    Decoded::Whole(record, size)
}

fn checksum(length: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(rest);
    hasher.finalize()
}
