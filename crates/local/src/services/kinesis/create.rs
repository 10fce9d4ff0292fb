//! CreateStream and DeleteStream.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document::{MIN_RETENTION_HOURS, ON_DEMAND_SHARDS, RollingDay, StreamDocument};
use super::scale::MAX_SHARDS;
use super::streams::Streams;
use super::{errors, input, tags};
use crate::services::Call;
use crate::wire::error::ApiError;

const DEFAULT_MAX_RECORD_KIB: u32 = 1_024;

pub(super) fn create_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let name = input::required_text(request, "StreamName");
    let mode = request.get("StreamModeDetails").and_then(|details| input::text(details, "StreamMode"));
    let on_demand = mode == Some("ON_DEMAND");
    let scatter = input::text(request, "RecordDistributionStrategy") == Some("AUTO");
    let shards = shard_count(request, on_demand)?;
    if scatter && !on_demand {
        return Err(errors::validation("RecordDistributionStrategy AUTO is only supported for ON_DEMAND streams."));
    }
    if request.get("WarmThroughputMiBps").is_some() {
        let message = "WarmThroughputMiBps needs an account with on-demand advantage, which the local cloud is not.";
        return Err(errors::validation(message));
    }
    let tags = tags::checked(request, name, &call.account, &BTreeMap::new())?;
    streams.create(call, name, |id, now| {
        let mut document = StreamDocument {
            id,
            name: name.to_owned(),
            region: call.region.clone(),
            account: call.account.clone(),
            created_at: now,
            on_demand,
            scatter,
            retention_hours: MIN_RETENTION_HOURS,
            dropped_before: 0,
            max_record_kib: input::number(request, "MaxRecordSizeInKiB").unwrap_or(DEFAULT_MAX_RECORD_KIB),
            key_id: None,
            metrics: Vec::new(),
            tags,
            shards: Vec::new(),
            next_shard: 0,
            change: None,
            scalings: RollingDay::default(),
            mode_changes: RollingDay::default(),
            encryption_starts: RollingDay::default(),
            encryption_stops: RollingDay::default(),
        };
        document.add_uniform_shards(shards);
        Ok(document)
    })?;
    Ok(json!({}))
}

fn shard_count(request: &Value, on_demand: bool) -> Result<u32, ApiError> {
    match (input::number(request, "ShardCount"), on_demand) {
        (None, true) => Ok(ON_DEMAND_SHARDS),
        (Some(_), true) => Err(errors::validation("ShardCount must not be specified for a stream in ON_DEMAND mode.")),
        (Some(count), false) if count <= MAX_SHARDS => Ok(count),
        (Some(count), false) => Err(errors::limit_exceeded(format!(
            "This request would exceed the shard limit of a stream. Shards requested: {count}. Limit: {MAX_SHARDS}."
        ))),
        (None, false) => Err(errors::validation(
            "1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: \
             Member must not be null",
        )),
    }
}

/// There are no registered consumers, so `EnforceConsumerDeletion` has nothing to enforce.
pub(super) fn delete_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    streams.begin_deletion(&stream)?;
    Ok(json!({}))
}
