//! Record batches as they travel and lie on disk: the header is read and checked, the records stay as they came.
//!
//! ```text
//! baseOffset i64 | batchLength i32 | partitionLeaderEpoch i32 | magic i8 | crc u32 | attributes i16 |
//! lastOffsetDelta i32 | baseTimestamp i64 | maxTimestamp i64 | producerId i64 | producerEpoch i16 |
//! baseSequence i32 | recordCount i32 | records …                       big endian ("Record Batch", Kafka documentation)
//! ```
//!
//! The CRC-32C covers everything behind it, so offset and leader epoch can be set without reading the rest.

use kafka_protocol::ResponseError;

use crate::kafka::error::Refused;

/// Bytes before the records.
pub(crate) const HEADER_BYTES: usize = 61;
/// `batchLength` counts from here.
const LENGTH_FROM: usize = 12;
const CRC_FROM: usize = 21;
/// The only message format since Kafka 0.11.
const MAGIC: u8 = 2;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// What the header of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    /// Bytes of the whole batch.
    pub(crate) size: usize,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) records: i32,
}

impl Header {
    /// The offset of its last record.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Which codec its records are compressed with.
    pub(crate) fn codec(&self) -> i16 {
        self.attributes & 0x7
    }

    /// Whether the records have the time of their append.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & 0x8 != 0
    }
}

/// Reads the header at the beginning of `bytes`; `None` where they are too few or no batch.
pub(crate) fn header(bytes: &[u8]) -> Option<Header> {
    let head = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = usize::try_from(i32::from_be_bytes(part(head, 8))).ok()?;
    let size = length + LENGTH_FROM;
    if head[16] != MAGIC || size < HEADER_BYTES || size > bytes.len() {
        return None;
    }
    Some(Header {
        base_offset: i64::from_be_bytes(part(head, 0)),
        size,
        attributes: i16::from_be_bytes(part(head, 21)),
        last_offset_delta: i32::from_be_bytes(part(head, 23)),
        base_timestamp: i64::from_be_bytes(part(head, 27)),
        max_timestamp: i64::from_be_bytes(part(head, 35)),
        producer_id: i64::from_be_bytes(part(head, 43)),
        producer_epoch: i16::from_be_bytes(part(head, 51)),
        base_sequence: i32::from_be_bytes(part(head, 53)),
        records: i32::from_be_bytes(part(head, 57)),
    })
}

/// How many offsets a batch takes, for the log.
pub(crate) fn span(payload: &[u8]) -> u64 {
    header(payload).and_then(|header| u64::try_from(header.last_offset_delta).ok()).map_or(1, |delta| delta + 1)
}

/// Splits what a producer sent into batches and checks each: whole, of format 2, with the right checksum, not larger than
/// `max_bytes`, and nothing that only transactions have.
pub(crate) fn checked(mut bytes: &[u8], max_bytes: usize) -> Result<Vec<(Header, &[u8])>, Refused> {
    let mut found = Vec::with_capacity(1);
    while !bytes.is_empty() {
        let Some(header) = header(bytes) else {
            if bytes.get(16).is_some_and(|magic| *magic < MAGIC) {
                let message = "records of message format 0 and 1 are not taken: use a client of Kafka 0.11 or later";
                return Err(Refused::new(ResponseError::UnsupportedForMessageFormat, message));
            }
            return Err(corrupt("the record batch is not whole"));
        };
        let (batch, rest) = bytes.split_at(header.size);
        check(&header, batch, max_bytes)?;
        found.push((header, batch));
        bytes = rest;
    }
    if found.is_empty() {
        return Err(Refused::new(ResponseError::InvalidRecord, "there is no record in the batch"));
    }
    Ok(found)
}

fn check(header: &Header, batch: &[u8], max_bytes: usize) -> Result<(), Refused> {
    if header.size > max_bytes {
        let message = format!("a batch of {} bytes is over `max.message.bytes`, {max_bytes}", header.size);
        return Err(Refused::new(ResponseError::MessageTooLarge, message));
    }
    let written = u32::from_be_bytes(part(batch, 17));
    if written != crc32c::crc32c(&batch[CRC_FROM..]) {
        return Err(corrupt("the checksum of the record batch is wrong"));
    }
    let invalid = |message| Err(Refused::new(ResponseError::InvalidRecord, message));
    if header.attributes & (TRANSACTIONAL | CONTROL) != 0 {
        let message = "transactions are not supported: produce without a transactional id";
        return Err(Refused::new(ResponseError::InvalidTxnState, message));
    }
    if header.codec() > 4 {
        return Err(Refused::new(ResponseError::UnsupportedCompressionType, "the compression codec is not known"));
    }
    // Offsets of a producer's batch have no holes, so both numbers say the same.
    if header.records <= 0 || header.last_offset_delta != header.records - 1 {
        return invalid("the count of records in the batch does not fit its offsets");
    }
    if header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return invalid("a batch with a producer id needs an epoch and a sequence number");
    }
    Ok(())
}

/// Writes offset and leader epoch into a batch.
pub(crate) fn place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Writes length and checksum into a batch that was just encoded.
pub(crate) fn seal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - LENGTH_FROM).unwrap_or(i32::MAX);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = MAGIC;
    let checksum = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

fn corrupt(message: &str) -> Refused {
    Refused::new(ResponseError::CorruptMessage, message)
}

/// `N` bytes from a place in a header whose length was checked.
fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&bytes[from..from + N]);
    found
}
