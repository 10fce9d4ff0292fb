//! GetRecords.

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::document::{ShardDocument, StreamDocument, shard_id};
use super::iterator::{Position, TOKEN_MILLIS};
use super::put::read_stored;
use super::shard::Shard;
use super::stream::View;
use super::streams::Streams;
use super::{errors, input};
use crate::log::{LogError, Record};
use crate::services::Call;
use crate::wire::error::ApiError;

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>
const MAX_RECORDS: u32 = 10_000;
const MAX_BYTES: usize = 10 << 20;

/// What was read of a shard.
#[derive(Default)]
struct Taken {
    records: Vec<Value>,
    bytes: usize,
    last_timestamp: i64,
    /// From where to go on.
    next_offset: u64,
    /// The end of the log when the reading began.
    end_offset: u64,
    stopped: Option<Stopped>,
}

/// Why the reading stopped, unless it had enough.
#[derive(PartialEq)]
enum Stopped {
    AtExpired,
    AtDamaged,
}

pub(super) fn get_records(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let position = Position::open(&streams.seal, input::required_text(request, "ShardIterator"))
        .ok_or_else(|| errors::invalid_argument("Invalid ShardIterator."))?;
    let now = streams.clock.now_millis();
    if now - position.issued_at > TOKEN_MILLIS {
        return Err(ApiError::new(
            "ExpiredIteratorException",
            format!(
                "Iterator expired. The iterator was created at time {} while right now it is {} which is further in \
                 the future than the tolerated delay of {TOKEN_MILLIS} milliseconds.",
                java_time(position.issued_at),
                java_time(now)
            ),
        ));
    }
    let gone = || errors::invalid_argument("Invalid ShardIterator. Its stream does not exist.");
    let stream = streams.find_by_id(call, position.stream).ok_or_else(gone)?;
    if input::text(request, "StreamARN").is_some_and(|arn| arn != stream.view().document.arn()) {
        return Err(errors::invalid_argument("Invalid ShardIterator. It is not one of the stream of StreamARN."));
    }
    let view = stream.view();
    let document = &view.document;
    let found = view.shards.get(&position.shard).zip(document.shard(position.shard));
    let Some((shard, shard_document)) = found else {
        return Err(errors::shard_does_not_exist(position.shard, &document.name, &document.account));
    };
    if input::flag(request, "DryRun") {
        return Err(errors::dry_run());
    }
    if streams.limits && !shard.read_budget().admit_call(now) {
        return Err(errors::throughput_exceeded(&shard.id, document));
    }
    let most = input::number(request, "Limit").unwrap_or(MAX_RECORDS).min(MAX_RECORDS) as usize;
    let taken =
        take(shard, position.offset, document.horizon(now), most).map_err(|error| ApiError::internal(&error))?;
    shard.read_budget().spend(taken.bytes);
    Ok(answer(streams, &view, shard_document, position, taken, now))
}

fn answer(streams: &Streams, view: &View, shard: &ShardDocument, position: Position, taken: Taken, now: i64) -> Value {
    let unread = taken.next_offset < taken.end_offset;
    let behind = if unread { (now - taken.last_timestamp).max(1) } else { 0 };
    let mut answer = Map::with_capacity(4);
    answer.insert("Records".to_owned(), Value::Array(taken.records));
    // A closed shard gets no more records, so its end is the end. The other shards' consumers never see this.
    if shard.closed_at.is_some() && !unread {
        answer.insert("ChildShards".to_owned(), child_shards(&view.document, shard.number));
    } else {
        let next = Position { offset: taken.next_offset, issued_at: now, ..position };
        answer.insert("NextShardIterator".to_owned(), Value::from(next.seal(&streams.seal)));
    }
    answer.insert("MillisBehindLatest".to_owned(), Value::from(behind));
    Value::Object(answer)
}

/// Reads from `offset` on, records that arrived before `horizon` apart.
fn take(shard: &Shard, offset: u64, horizon: i64, most: usize) -> Result<Taken, LogError> {
    let log = shard.log()?;
    let mut taken = Taken { end_offset: log.end_offset(), ..Taken::default() };
    let mut next_offset = log.read(offset, |record| taken.add(shard, record, horizon, most))?;
    if taken.stopped == Some(Stopped::AtExpired) {
        // Only the oldest segment that is left, and those that the next sweep drops, have such records.
        taken.stopped = None;
        let first_kept = log.offset_at(horizon)?.max(offset);
        next_offset = log.read(first_kept, |record| taken.add(shard, record, horizon, most))?;
    }
    if taken.stopped.is_some() {
        return Err(LogError::Corrupt { path: shard.id.clone().into(), position: next_offset });
    }
    // An iterator may be ahead of the log: AFTER a number that is yet to come.
    taken.next_offset = next_offset.max(offset);
    Ok(taken)
}

impl Taken {
    fn add(&mut self, shard: &Shard, record: Record<'_>, horizon: i64, most: usize) -> ControlFlow<()> {
        if record.timestamp < horizon {
            self.stopped = Some(Stopped::AtExpired);
            return ControlFlow::Break(());
        }
        let Some(stored) = read_stored(record.payload) else {
            self.stopped = Some(Stopped::AtDamaged);
            return ControlFlow::Break(());
        };
        let size = stored.data.len() + stored.partition_key.map_or(0, str::len);
        let full = self.records.len() == most || self.bytes + size > MAX_BYTES;
        if record.offset >= self.end_offset || full && !self.records.is_empty() {
            return ControlFlow::Break(());
        }
        self.bytes += size;
        self.last_timestamp = record.timestamp;
        let mut value = Map::with_capacity(5);
        let sequence = shard.sequence(record.offset, record.timestamp);
        value.insert("SequenceNumber".to_owned(), Value::from(sequence.to_string()));
        value.insert("ApproximateArrivalTimestamp".to_owned(), input::timestamp(record.timestamp));
        value.insert("Data".to_owned(), Value::from(STANDARD.encode(stored.data)));
        if let Some(key) = stored.partition_key {
            value.insert("PartitionKey".to_owned(), Value::from(key));
        }
        if stored.encrypted {
            value.insert("EncryptionType".to_owned(), Value::from("KMS"));
        }
        self.records.push(Value::Object(value));
        ControlFlow::Continue(())
    }
}

fn child_shards(document: &StreamDocument, parent: u32) -> Value {
    let is_child = |shard: &&ShardDocument| shard.parent == Some(parent) || shard.adjacent_parent == Some(parent);
    let children = document.shards.iter().filter(is_child).map(|shard| {
        let parents: Vec<String> = [shard.parent, shard.adjacent_parent].into_iter().flatten().map(shard_id).collect();
        json!({
            "ShardId": shard.id(),
            "ParentShards": parents,
            "HashKeyRange": {
                "StartingHashKey": shard.first_hash.to_string(),
                "EndingHashKey": shard.last_hash.to_string(),
            },
        })
    });
    Value::Array(children.collect())
}

/// `Thu Jan 22 01:22:02 UTC 2015`, as AWS prints it in this one message.
fn java_time(millis: i64) -> String {
    let format =
        format_description!("[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] UTC [year]");
    let time = OffsetDateTime::from_unix_timestamp(millis / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&format).unwrap_or_default()
}
