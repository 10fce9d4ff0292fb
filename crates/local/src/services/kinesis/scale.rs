//! SplitShard, MergeShards and UpdateShardCount.

use serde_json::{Value, json};

use super::document::{ShardDocument, StreamDocument, shard_number};
use super::streams::Streams;
use super::{errors, hash_key, input, reshard};
use crate::services::Call;
use crate::wire::error::ApiError;

/// The most shards of one stream, from the limits of
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>.
pub(super) const MAX_SHARDS: u32 = 10_000;
const SCALINGS_A_DAY: usize = 10;

pub(super) fn split_shard(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    streams.reshard(&stream, |document, now| {
        must_be_provisioned(document)?;
        let shard = open_shard(document, input::required_text(request, "ShardToSplit"))?.clone();
        let start = input::required_text(request, "NewStartingHashKey");
        let inside = hash_key::parse(start)
            .filter(|hash| *hash > shard.first_hash.saturating_add(1) && *hash < shard.last_hash)
            .ok_or_else(|| {
                errors::invalid_argument(format!(
                    "NewStartingHashKey {start} used in SplitShard() on shard {} in stream {} under account {} is not \
                     both greater than one plus the shard's StartingHashKey {} and less than the shard's \
                     EndingHashKey {}.",
                    shard.id(),
                    document.name,
                    document.account,
                    shard.first_hash,
                    shard.last_hash
                ))
            })?;
        reshard::split(document, shard.number, inside, now);
        Ok(())
    })?;
    Ok(json!({}))
}

pub(super) fn merge_shards(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    streams.reshard(&stream, |document, now| {
        must_be_provisioned(document)?;
        let one = open_shard(document, input::required_text(request, "ShardToMerge"))?.clone();
        let other = open_shard(document, input::required_text(request, "AdjacentShardToMerge"))?.clone();
        let follows = |left: &ShardDocument, right: &ShardDocument| left.last_hash.checked_add(1) == Some(right.first_hash);
        if !follows(&one, &other) && !follows(&other, &one) {
            return Err(errors::invalid_argument(format!(
                "Shards {} and {} in stream {} under account {} are not an adjacent pair of shards eligible for merging",
                one.id(),
                other.id(),
                document.name,
                document.account
            )));
        }
        reshard::merge(document, one.number, other.number, now);
        Ok(())
    })?;
    Ok(json!({}))
}

pub(super) fn update_shard_count(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let target = input::number(request, "TargetShardCount").unwrap_or(1);
    let (arn, current) = streams.reshard(&stream, |document, now| {
        must_be_provisioned(document)?;
        let current = u32::try_from(document.open_shards().count()).unwrap_or(u32::MAX);
        check_target(current, target)?;
        if !document.scalings.admit(SCALINGS_A_DAY, now) {
            return Err(errors::limit_exceeded(format!(
                "Stream {} under account {} has been scaled {SCALINGS_A_DAY} times within the last 24 hours, \
                 which is the most that UpdateShardCount allows.",
                document.name, document.account
            )));
        }
        reshard::scale_uniformly(document, target, now);
        Ok((document.arn(), current))
    })?;
    Ok(json!({
        "StreamName": stream.name,
        "CurrentShardCount": current,
        "TargetShardCount": target,
        "StreamARN": arn,
    }))
}

fn check_target(current: u32, target: u32) -> Result<(), ApiError> {
    let refused = |what: &str| {
        Err(errors::limit_exceeded(format!(
            "UpdateShardCount cannot scale {what}. Current open shard count: {current} Target shard count: {target}"
        )))
    };
    if target > MAX_SHARDS {
        return refused(&format!("up to more than {MAX_SHARDS} shards"));
    }
    if target > current.saturating_mul(2) {
        return refused("up over double your current open shard count");
    }
    if target < current.div_ceil(2) {
        return refused("down below half your current open shard count");
    }
    Ok(())
}

fn must_be_provisioned(document: &StreamDocument) -> Result<(), ApiError> {
    if document.on_demand {
        return Err(errors::validation(format!(
            "Request is invalid. Stream {} under account {} is in On-Demand mode.",
            document.name, document.account
        )));
    }
    Ok(())
}

fn open_shard<'a>(document: &'a StreamDocument, id: &str) -> Result<&'a ShardDocument, ApiError> {
    let found = shard_number(id).and_then(|number| document.shard(number));
    let shard = found.ok_or_else(|| errors::shard_not_found(id, document))?;
    if shard.closed_at.is_some() {
        return Err(errors::invalid_argument(format!(
            "Shard {} in stream {} under account {} has already been merged or split, and thus is not eligible for \
             merging or splitting.",
            shard.id(),
            document.name,
            document.account
        )));
    }
    Ok(shard)
}
