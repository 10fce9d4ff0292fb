//! PutRecord and PutRecords.
//!
//! A record's data is decoded from base64 straight into the buffer that is written to the log, and copied nowhere else.
//! A payload there is: flags (1 byte), length of the partition key (2 bytes), partition key, data.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::sequence::Sequence;
use super::shard::Shard;
use super::stream::{Stream, View};
use super::streams::Streams;
use super::{background::Job, errors, hash_key, input};
use crate::log::{Batch, LogError};
use crate::services::Call;
use crate::wire::error::ApiError;

/// The most that one PutRecords may carry, partition keys included: 10 MiB since records may be that large.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>
const MAX_REQUEST_BYTES: usize = 10 << 20;

const ENCRYPTED: u8 = 1;
const HAS_PARTITION_KEY: u8 = 2;

/// A stored payload, taken apart.
pub(super) struct StoredRecord<'a> {
    pub(super) encrypted: bool,
    pub(super) partition_key: Option<&'a str>,
    pub(super) data: &'a [u8],
}

/// Reads a payload; `None` if this program did not write it.
pub(super) fn read_stored(payload: &[u8]) -> Option<StoredRecord<'_>> {
    let (header, rest) = payload.split_first_chunk::<3>()?;
    let (key, data) = rest.split_at_checked(usize::from(u16::from_le_bytes([header[1], header[2]])))?;
    let key = std::str::from_utf8(key).ok()?;
    Some(StoredRecord {
        encrypted: header[0] & ENCRYPTED != 0,
        partition_key: (header[0] & HAS_PARTITION_KEY != 0).then_some(key),
        data,
    })
}

/// A record of a request.
struct Entry<'a> {
    base64: &'a str,
    partition_key: Option<&'a str>,
    hash: u128,
    /// Data and partition key: what quotas count.
    size: usize,
}

/// Where a record went, or that its shard has no room for it now.
struct Outcome {
    shard: Arc<Shard>,
    sequence: Option<Sequence>,
}

/// The records of a request that go to one shard.
struct Group {
    shard: Arc<Shard>,
    entries: Vec<usize>,
    batch: Batch,
}

pub(super) fn put_record(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let view = stream.view();
    let now = streams.clock.now_millis();
    view.must_have_shards(now)?;
    if let Some(minimum) = input::text(request, "SequenceNumberForOrdering") {
        check_ordering(minimum, &view, now)?;
    }
    let entry = read_entry(request, &view, None)?;
    if input::flag(request, "DryRun") {
        return Err(errors::dry_run());
    }
    let outcome = place(streams, &stream, &[entry])?.pop().flatten();
    let Some(Outcome { shard, sequence }) = outcome else {
        return Err(errors::stream_not_found(&stream.name, &call.account));
    };
    let sequence = sequence.ok_or_else(|| errors::throughput_exceeded(&shard.id, &view.document))?;
    let mut answer = Map::with_capacity(3);
    answer.insert("ShardId".to_owned(), Value::from(shard.id.as_str()));
    answer.insert("SequenceNumber".to_owned(), Value::from(sequence.to_string()));
    note_encryption(&mut answer, &view);
    Ok(Value::Object(answer))
}

pub(super) fn put_records(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let view = stream.view();
    view.must_have_shards(streams.clock.now_millis())?;
    let records = request.get("Records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut entries = Vec::with_capacity(records.len());
    for (number, record) in records.iter().enumerate() {
        entries.push(read_entry(record, &view, Some(number + 1))?);
    }
    if entries.iter().map(|entry| entry.size).sum::<usize>() > MAX_REQUEST_BYTES {
        return Err(errors::invalid_argument("Records size exceeds 10 MB limit"));
    }
    if input::flag(request, "DryRun") {
        return Err(errors::dry_run());
    }
    let mut failed = 0_u32;
    let mut results = Vec::with_capacity(entries.len());
    for outcome in place(streams, &stream, &entries)? {
        let mut result = Map::with_capacity(2);
        if let Some(Outcome { shard, sequence: Some(sequence) }) = &outcome {
            result.insert("SequenceNumber".to_owned(), Value::from(sequence.to_string()));
            result.insert("ShardId".to_owned(), Value::from(shard.id.as_str()));
        } else {
            failed += 1;
            let (code, message) = match &outcome {
                Some(throttled) => {
                    (errors::THROUGHPUT_EXCEEDED, errors::rate_exceeded_message(&throttled.shard.id, &view.document))
                }
                None => ("InternalFailure", "Internal service failure.".to_owned()),
            };
            result.insert("ErrorCode".to_owned(), Value::from(code));
            result.insert("ErrorMessage".to_owned(), Value::from(message));
        }
        results.push(Value::Object(result));
    }
    let mut answer = Map::with_capacity(3);
    answer.insert("FailedRecordCount".to_owned(), Value::from(failed));
    answer.insert("Records".to_owned(), Value::Array(results));
    note_encryption(&mut answer, &view);
    Ok(Value::Object(answer))
}

fn note_encryption(answer: &mut Map<String, Value>, view: &View) {
    if view.document.key_id.is_some() {
        answer.insert("EncryptionType".to_owned(), Value::from("KMS"));
    }
}

/// Sequence numbers of a shard always rise, so all that is left to do is to refuse what none of them can be.
fn check_ordering(minimum: &str, view: &View, now: i64) -> Result<(), ApiError> {
    let arrived = Sequence::parse(minimum).map(|sequence| sequence.arrival_seconds);
    if arrived.is_some_and(|seconds| seconds <= super::document::seconds(now)) {
        return Ok(());
    }
    Err(errors::invalid_argument(format!(
        "ExclusiveMinimumSequenceNumber {minimum} used in PutRecord on stream {} under account {} is invalid.",
        view.document.name, view.document.account
    )))
}

/// Checks a record as far as the model could not. `number` counts the records of a PutRecords from 1.
fn read_entry<'a>(record: &'a Value, view: &View, number: Option<usize>) -> Result<Entry<'a>, ApiError> {
    let member =
        |name: &str| number.map_or_else(|| name.to_owned(), |number| format!("records.{number}.member.{name}"));
    let base64 = input::required_text(record, "Data");
    let partition_key = input::text(record, "PartitionKey");
    let explicit = input::text(record, "ExplicitHashKey");
    let hash = match (explicit, partition_key) {
        _ if view.document.scatter => rand::random(),
        (Some(explicit), Some(_)) => hash_key::parse(explicit).ok_or_else(|| {
            errors::invalid_argument(format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
                 Specified value was {explicit}"
            ))
        })?,
        (None, Some(key)) => hash_key::of_partition_key(key),
        (_, None) => {
            return Err(errors::validation(format!(
                "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
                member("partitionKey")
            )));
        }
    };
    let data_bytes = decoded_length(base64);
    let size = data_bytes + partition_key.map_or(0, str::len);
    let most = view.document.max_record_kib as usize * 1_024;
    if data_bytes > most {
        return Err(errors::validation(format!(
            "1 validation error detected: Value at '{}' failed to satisfy constraint: \
             Member must have length less than or equal to {most}",
            member("data")
        )));
    }
    if size > most {
        return Err(errors::invalid_argument(format!(
            "The data and partition key of {} have {size} bytes together, more than the {most} of stream {} under account {}.",
            number.map_or_else(|| "the record".to_owned(), |number| format!("record {number}")),
            view.document.name,
            view.document.account
        )));
    }
    Ok(Entry { base64, partition_key, hash, size })
}

fn decoded_length(base64: &str) -> usize {
    let padding = base64.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Writes the records, in their order as far as they go to the same shard. A record without an outcome had no shard.
fn place(streams: &Streams, stream: &Stream, entries: &[Entry<'_>]) -> Result<Vec<Option<Outcome>>, ApiError> {
    let mut outcomes: Vec<Option<Outcome>> = entries.iter().map(|_| None).collect();
    let mut pending: Vec<usize> = (0..entries.len()).collect();
    while !pending.is_empty() {
        let view = stream.view();
        let groups = group(&view, entries, &pending)?;
        pending.clear();
        for mut group in groups {
            let written = write(streams, entries, &mut group, &mut outcomes);
            if !written.map_err(|error| ApiError::internal(&error))? {
                pending.append(&mut group.entries);
            }
        }
        // A shard is closed after the view that says so was published, unless the stream was deleted.
        if !pending.is_empty() && view.document.status(streams.clock.now_millis()).is_none() {
            return Err(errors::stream_not_found(&stream.name, &view.document.account));
        }
        pending.sort_unstable();
    }
    Ok(outcomes)
}

/// Sorts the records by shard and encodes them, before anything is locked.
fn group(view: &View, entries: &[Entry<'_>], pending: &[usize]) -> Result<Vec<Group>, ApiError> {
    let encrypted = view.document.key_id.is_some();
    let mut groups: Vec<Group> = Vec::new();
    let mut by_shard = std::collections::HashMap::new();
    // Hashes spread records evenly, so this is about what a shard gets.
    let share = |total: usize| total.div_ceil(view.open_shards().count().max(1));
    let bytes = share(pending.iter().map(|number| entries[*number].size).sum());
    for number in pending {
        let entry = &entries[*number];
        let Some(shard) = view.shard_for(entry.hash) else { continue };
        let at = *by_shard.entry(shard.number).or_insert_with(|| {
            let batch = Batch::with_capacity(share(pending.len()), bytes);
            groups.push(Group { shard: Arc::clone(shard), entries: Vec::new(), batch });
            groups.len() - 1
        });
        groups[at].batch.push_with(|buffer| encode(entry, encrypted, buffer))?;
        groups[at].entries.push(*number);
    }
    Ok(groups)
}

fn encode(entry: &Entry<'_>, encrypted: bool, buffer: &mut Vec<u8>) -> Result<(), ApiError> {
    let key = entry.partition_key.unwrap_or_default().as_bytes();
    // The model allows 256 characters, so at most 1,024 bytes.
    let key_length = u16::try_from(key.len()).map_err(|error| ApiError::internal(&error))?;
    let has_key = if entry.partition_key.is_some() { HAS_PARTITION_KEY } else { 0 };
    let is_encrypted = if encrypted { ENCRYPTED } else { 0 };
    buffer.push(has_key | is_encrypted);
    buffer.extend_from_slice(&key_length.to_le_bytes());
    buffer.extend_from_slice(key);
    STANDARD
        .decode_vec(entry.base64, buffer)
        .map_err(|error| ApiError::new("SerializationException", format!("`Data` is not base64: {error}")))
}

/// Appends a group to its shard; false if the shard has been closed and its records must go elsewhere.
fn write(
    streams: &Streams,
    entries: &[Entry<'_>],
    group: &mut Group,
    outcomes: &mut [Option<Outcome>],
) -> Result<bool, LogError> {
    let shard = &group.shard;
    let mut side = shard.write_side();
    if side.closed {
        return Ok(false);
    }
    let now = streams.clock.now_millis();
    let admitted: Vec<bool> =
        group.entries.iter().map(|number| !streams.limits || side.budget.admit(entries[*number].size, now)).collect();
    if admitted.contains(&false) {
        group.batch.retain(|number| admitted[number]);
    }
    let appended = shard.append(&side, &mut group.batch, now)?;
    drop(side);
    if !group.batch.is_empty() && shard.log()?.mark_dirty() {
        // A closed channel means that the process is ending, which syncs by itself.
        let _ending = streams.jobs.send(Job::Sync(Arc::clone(shard)));
    }
    let mut offset = appended.first_offset;
    for (number, admitted) in group.entries.iter().zip(admitted) {
        let sequence = admitted.then(|| {
            offset += 1;
            shard.sequence(offset - 1, appended.timestamp)
        });
        outcomes[*number] = Some(Outcome { shard: Arc::clone(shard), sequence });
    }
    Ok(true)
}
