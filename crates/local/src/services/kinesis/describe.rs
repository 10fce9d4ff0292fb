//! DescribeStream, DescribeStreamSummary, DescribeLimits and ListStreams.

use serde_json::{Map, Value, json};

use super::document::{ShardDocument, Status, StreamDocument, shard_id, shard_number};
use super::seal::TokenKind;
use super::streams::Streams;
use super::{errors, input};
use crate::services::Call;
use crate::wire::error::ApiError;

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html>: at most 100, whatever is asked for.
const MAX_DESCRIBED_SHARDS: usize = 100;
const DEFAULT_LISTED_STREAMS: u32 = 100;
/// The largest that the model allows: the local cloud limits neither shards nor streams of an account, and a tool that
/// asks before it creates should hear that.
const NO_LIMIT: u32 = 1_000_000;

pub(super) fn describe_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let view = streams.find(call, request)?.view();
    let now = streams.clock.now_millis();
    let after = match input::text(request, "ExclusiveStartShardId") {
        Some(id) => Some(shard_number(id).ok_or_else(|| errors::shard_not_found(id, &view.document))?),
        None => None,
    };
    let limit = input::number(request, "Limit").map_or(MAX_DESCRIBED_SHARDS, |limit| limit as usize);
    let mut shards =
        visible_shards(&view.document, now).into_iter().filter(|shard| after.is_none_or(|after| shard.number > after));
    let page: Vec<Value> = shards.by_ref().take(limit.min(MAX_DESCRIBED_SHARDS)).map(describe_shard).collect();
    let mut description = common(&view.document, now);
    description.insert("Shards".to_owned(), Value::Array(page));
    description.insert("HasMoreShards".to_owned(), Value::from(shards.next().is_some()));
    Ok(json!({ "StreamDescription": description }))
}

pub(super) fn describe_stream_summary(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let view = streams.find(call, request)?.view();
    let document = &view.document;
    let now = streams.clock.now_millis();
    let open = visible_shards(document, now).iter().filter(|shard| shard.closed_at.is_none()).count();
    let mut summary = common(document, now);
    summary.insert("OpenShardCount".to_owned(), Value::from(open));
    summary.insert("ConsumerCount".to_owned(), Value::from(0));
    summary.insert("MaxRecordSizeInKiB".to_owned(), Value::from(document.max_record_kib));
    let strategy = if document.scatter { "AUTO" } else { "USER_PARTITION_KEY" };
    summary.insert("RecordDistributionStrategy".to_owned(), Value::from(strategy));
    Ok(json!({ "StreamDescriptionSummary": summary }))
}

pub(super) fn describe_limits(streams: &Streams, call: &Call) -> Result<Value, ApiError> {
    let views = streams.in_region(&call.region);
    let open: usize = views.iter().map(|view| view.document.open_shards().count()).sum();
    let on_demand = views.iter().filter(|view| view.document.on_demand).count();
    Ok(json!({
        "ShardLimit": NO_LIMIT,
        "OpenShardCount": open,
        "OnDemandStreamCount": on_demand,
        "OnDemandStreamCountLimit": NO_LIMIT,
    }))
}

pub(super) fn list_streams(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let token_start = match input::text(request, "NextToken") {
        Some(token) => Some(page_start(streams, token)?),
        None => None,
    };
    let after = token_start.as_deref().or(input::text(request, "ExclusiveStartStreamName"));
    let limit = input::number(request, "Limit").unwrap_or(DEFAULT_LISTED_STREAMS) as usize;
    let now = streams.clock.now_millis();
    let views = streams.in_region(&call.region);
    let mut left = views.iter().filter(|view| after.is_none_or(|after| view.document.name.as_str() > after));
    let page: Vec<&StreamDocument> = left.by_ref().take(limit).map(|view| &view.document).collect();
    let more = left.next().is_some();
    let mut answer = Map::new();
    let names: Vec<&str> = page.iter().map(|document| document.name.as_str()).collect();
    if let (Some(last), true) = (names.last(), more) {
        let token = streams.seal.close(TokenKind::StreamPage, last.as_bytes());
        answer.insert("NextToken".to_owned(), Value::from(token));
    }
    answer.insert("StreamNames".to_owned(), json!(names));
    answer.insert("HasMoreStreams".to_owned(), Value::from(more));
    let summaries = page.iter().map(|document| {
        let mut summary = identity(document, now);
        summary.insert("StreamCreationTimestamp".to_owned(), input::timestamp(document.created_at));
        Value::Object(summary)
    });
    answer.insert("StreamSummaries".to_owned(), Value::Array(summaries.collect()));
    Ok(Value::Object(answer))
}

fn page_start(streams: &Streams, token: &str) -> Result<String, ApiError> {
    let contents = streams.seal.open(TokenKind::StreamPage, token);
    let name = contents.and_then(|contents| String::from_utf8(contents).ok());
    name.ok_or_else(|| errors::invalid_argument("Invalid NextToken."))
}

/// What DescribeStream and DescribeStreamSummary have in common.
fn common(document: &StreamDocument, now: i64) -> Map<String, Value> {
    let mut members = identity(document, now);
    members.insert("RetentionPeriodHours".to_owned(), Value::from(document.retention_hours));
    members.insert("StreamCreationTimestamp".to_owned(), input::timestamp(document.created_at));
    members.insert("EnhancedMonitoring".to_owned(), json!([{ "ShardLevelMetrics": document.metrics }]));
    members.insert("EncryptionType".to_owned(), Value::from(document.key_id.as_ref().map_or("NONE", |_| "KMS")));
    if let Some(key_id) = &document.key_id {
        members.insert("KeyId".to_owned(), Value::from(key_id.as_str()));
    }
    members
}

fn identity(document: &StreamDocument, now: i64) -> Map<String, Value> {
    let mode = if document.on_demand { "ON_DEMAND" } else { "PROVISIONED" };
    let mut members = Map::new();
    members.insert("StreamName".to_owned(), Value::from(document.name.as_str()));
    members.insert("StreamARN".to_owned(), Value::from(document.arn()));
    // One whose deletion is through is not found any more; it may get there between two looks at the clock.
    let status = document.status(now).unwrap_or(Status::Deleting);
    members.insert("StreamStatus".to_owned(), Value::from(status.name()));
    members.insert("StreamModeDetails".to_owned(), json!({ "StreamMode": mode }));
    members
}

/// A stream that is being created shows no shards yet.
fn visible_shards(document: &StreamDocument, now: i64) -> Vec<&ShardDocument> {
    if document.status(now) == Some(Status::Creating) {
        return Vec::new();
    }
    document.readable_shards(now).collect()
}

pub(super) fn describe_shard(shard: &ShardDocument) -> Value {
    let mut sequence = Map::new();
    let starting = shard.starting_sequence().to_string();
    sequence.insert("StartingSequenceNumber".to_owned(), Value::from(starting));
    if let Some(ending) = shard.ending_sequence() {
        sequence.insert("EndingSequenceNumber".to_owned(), Value::from(ending.to_string()));
    }
    let mut members = Map::new();
    members.insert("ShardId".to_owned(), Value::from(shard.id()));
    if let Some(parent) = shard.parent {
        members.insert("ParentShardId".to_owned(), Value::from(shard_id(parent)));
    }
    if let Some(parent) = shard.adjacent_parent {
        members.insert("AdjacentParentShardId".to_owned(), Value::from(shard_id(parent)));
    }
    let range = json!({
        "StartingHashKey": shard.first_hash.to_string(),
        "EndingHashKey": shard.last_hash.to_string(),
    });
    members.insert("HashKeyRange".to_owned(), range);
    members.insert("SequenceNumberRange".to_owned(), Value::Object(sequence));
    Value::Object(members)
}
