//! GetShardIterator, and what is in an iterator.

use serde_json::{Value, json};

use super::document::{StreamDocument, shard_id, shard_number};
use super::seal::{Seal, TokenKind};
use super::sequence::Sequence;
use super::shard::Shard;
use super::streams::Streams;
use super::{errors, input};
use crate::services::Call;
use crate::wire::error::ApiError;

/// How long an iterator, or a page token, may be used.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>
pub(super) const TOKEN_MILLIS: i64 = 300_000;

/// A place in a shard, as iterators carry it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) stream: u128,
    pub(super) shard: u32,
    /// Of the first record to return, if it is still there.
    pub(super) offset: u64,
    pub(super) issued_at: i64,
}

impl Position {
    const BYTES: usize = 36;

    pub(super) fn seal(&self, seal: &Seal) -> String {
        let mut bytes = Vec::with_capacity(Position::BYTES);
        bytes.extend_from_slice(&self.stream.to_le_bytes());
        bytes.extend_from_slice(&self.shard.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.issued_at.to_le_bytes());
        seal.close(TokenKind::ShardIterator, &bytes)
    }

    pub(super) fn open(seal: &Seal, token: &str) -> Option<Position> {
        let bytes = seal.open(TokenKind::ShardIterator, token)?;
        let (stream, rest) = bytes.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (issued_at, _) = rest.split_first_chunk()?;
        Some(Position {
            stream: u128::from_le_bytes(*stream),
            shard: u32::from_le_bytes(*shard),
            offset: u64::from_le_bytes(*offset),
            issued_at: i64::from_le_bytes(*issued_at),
        })
    }
}

pub(super) fn get_shard_iterator(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let view = stream.view();
    let document = &view.document;
    let now = streams.clock.now_millis();
    let asked = input::required_text(request, "ShardId");
    let number = shard_number(asked).ok_or_else(|| errors::shard_not_found(asked, document))?;
    let shard = view
        .must_have_shards(now)
        .ok()
        .and_then(|()| document.readable_shards(now).find(|shard| shard.number == number))
        .and_then(|shard| view.shards.get(&shard.number))
        .ok_or_else(|| errors::shard_does_not_exist(number, &document.name, &document.account))?;
    let offset = starting_offset(request, document, shard, now)?;
    if input::flag(request, "DryRun") {
        return Err(errors::dry_run());
    }
    let position = Position { stream: stream.id, shard: number, offset, issued_at: now };
    Ok(json!({ "ShardIterator": position.seal(&streams.seal) }))
}

fn starting_offset(request: &Value, document: &StreamDocument, shard: &Shard, now: i64) -> Result<u64, ApiError> {
    let kind = input::required_text(request, "ShardIteratorType");
    let sequence = input::text(request, "StartingSequenceNumber");
    let internal = |error| ApiError::internal(&error);
    match (kind, sequence) {
        ("AT_SEQUENCE_NUMBER", Some(text)) => Ok(given_out(text, document, shard)?.number.saturating_sub(1)),
        ("AFTER_SEQUENCE_NUMBER", Some(text)) => Ok(given_out(text, document, shard)?.number),
        ("TRIM_HORIZON", None) => Ok(0),
        ("LATEST", None) => shard.log().map(|log| log.end_offset()).map_err(internal),
        ("AT_TIMESTAMP", None) => {
            let timestamp = input::millis(request, "Timestamp").ok_or_else(|| {
                errors::invalid_argument(
                    "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                     Current request has no timestamp parameter.",
                )
            })?;
            if timestamp > now {
                return Err(errors::invalid_argument(format!(
                    "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
                     timestampInMillis: {timestamp}, currentTimestampInMillis: {now}"
                )));
            }
            shard.log().and_then(|log| log.offset_at(timestamp)).map_err(internal)
        }
        (_, sequence) => Err(errors::invalid_argument(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or \
             (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} and {} \
             StartingSequenceNumber.",
            if sequence.is_some() { "also a" } else { "no" }
        ))),
    }
}

/// A sequence number that this very shard may have given out.
fn given_out(text: &str, document: &StreamDocument, shard: &Shard) -> Result<Sequence, ApiError> {
    let invalid = |because: &str| {
        errors::invalid_argument(format!(
            "StartingSequenceNumber {text} used in GetShardIterator on shard {} in stream {} under account {} \
             is invalid{because}.",
            shard.id, document.name, document.account
        ))
    };
    let sequence = Sequence::parse(text).ok_or_else(|| invalid(""))?;
    if sequence.shard != shard.number {
        return Err(errors::invalid_argument(format!(
            "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a shard with {}",
            shard_id(sequence.shard),
            shard.id
        )));
    }
    if !shard.gave_out(&sequence) {
        return Err(invalid(" because it did not come from this stream"));
    }
    Ok(sequence)
}
