//! ListShards, with its filters and pages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::describe::describe_shard;
use super::document::{ShardDocument, Status, StreamDocument, shard_number};
use super::iterator::TOKEN_MILLIS;
use super::seal::TokenKind;
use super::stream::Stream;
use super::streams::Streams;
use super::{errors, input};
use crate::services::Call;
use crate::wire::error::ApiError;

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>: at most 1,000, whatever is asked for.
const MAX_LISTED_SHARDS: usize = 1_000;

/// Which shards are listed. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Filter {
    /// Open, or closed within the retention.
    Readable,
    Open,
    After(u32),
    /// Open at that time.
    At(i64),
    /// Open at that time or later.
    From(i64),
}

/// What a page token carries.
#[derive(Serialize, Deserialize)]
struct Page {
    stream: String,
    after: u32,
    filter: Filter,
    issued_at: i64,
}

pub(super) fn list_shards(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let now = streams.clock.now_millis();
    let (stream, after, filter) = match input::text(request, "NextToken") {
        Some(token) => continued(streams, call, request, token, now)?,
        None => begun(streams, call, request, now)?,
    };
    let view = stream.view();
    let document = &view.document;
    if document.status(now) == Some(Status::Creating) {
        let message = format!(
            "Stream {} under account {} not ACTIVE, instead in state CREATING",
            document.name, document.account
        );
        return Err(errors::in_use(message));
    }
    let limit = input::number(request, "MaxResults").map_or(MAX_LISTED_SHARDS, |limit| limit as usize);
    let mut left = document
        .readable_shards(now)
        .filter(|shard| after.is_none_or(|after| shard.number > after) && matches(filter, shard));
    let page: Vec<&ShardDocument> = left.by_ref().take(limit.min(MAX_LISTED_SHARDS)).collect();
    let mut answer = Map::new();
    if let (Some(last), Some(_)) = (page.last(), left.next()) {
        let next = Page { stream: format!("{:032x}", stream.id), after: last.number, filter, issued_at: now };
        let contents = serde_json::to_vec(&next).map_err(|error| ApiError::internal(&error))?;
        let token = streams.seal.close(TokenKind::ShardPage, &contents);
        answer.insert("NextToken".to_owned(), Value::from(token));
    }
    answer.insert("Shards".to_owned(), Value::Array(page.into_iter().map(describe_shard).collect()));
    Ok(Value::Object(answer))
}

type Listing = (Arc<Stream>, Option<u32>, Filter);

fn begun(streams: &Streams, call: &Call, request: &Value, now: i64) -> Result<Listing, ApiError> {
    let stream = streams.find(call, request)?;
    let view = stream.view();
    let created_at = input::millis(request, "StreamCreationTimestamp");
    if created_at.is_some_and(|at| at / 1_000 != view.document.created_at / 1_000) {
        return Err(errors::stream_not_found(&stream.name, &call.account));
    }
    let after = match input::text(request, "ExclusiveStartShardId") {
        Some(id) => Some(shard_number(id).ok_or_else(|| errors::shard_not_found(id, &view.document))?),
        None => None,
    };
    let filter = match request.get("ShardFilter") {
        Some(filter) => read_filter(filter, &view.document, now)?,
        None => Filter::Readable,
    };
    Ok((stream, after, filter))
}

fn continued(streams: &Streams, call: &Call, request: &Value, token: &str, now: i64) -> Result<Listing, ApiError> {
    let excluded = ["StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter"];
    if let Some(member) = excluded.into_iter().find(|member| request.get(*member).is_some()) {
        return Err(errors::invalid_argument(format!("NextToken and {member} cannot be provided together.")));
    }
    let invalid = || errors::invalid_argument("Invalid NextToken.");
    let contents = streams.seal.open(TokenKind::ShardPage, token).ok_or_else(invalid)?;
    let page: Page = serde_json::from_slice(&contents).map_err(|_| invalid())?;
    if now - page.issued_at > TOKEN_MILLIS {
        return Err(ApiError::new(
            "ExpiredNextTokenException",
            "The NextToken has expired: it is valid for 300 seconds.",
        ));
    }
    let id = u128::from_str_radix(&page.stream, 16).map_err(|_| invalid())?;
    let stream = streams.find_by_id(call, id).ok_or_else(invalid)?;
    Ok((stream, Some(page.after), page.filter))
}

/// The id of the stream that a page token goes on with.
pub(super) fn stream_of(streams: &Streams, token: &str) -> Option<u128> {
    let contents = streams.seal.open(TokenKind::ShardPage, token)?;
    let page: Page = serde_json::from_slice(&contents).ok()?;
    u128::from_str_radix(&page.stream, 16).ok()
}

fn read_filter(filter: &Value, document: &StreamDocument, now: i64) -> Result<Filter, ApiError> {
    let kind = input::required_text(filter, "Type");
    let shard = input::text(filter, "ShardId");
    let timestamp = input::millis(filter, "Timestamp");
    let needs = |member: &str| errors::invalid_argument(format!("ShardFilter of type {kind} needs {member}."));
    // The horizon cannot be before there was a stream; and what is asked for before it is what there is at it.
    let horizon = document.horizon(now).max(document.created_at);
    let read = match kind {
        "AFTER_SHARD_ID" => {
            let id = shard.ok_or_else(|| needs("ShardId"))?;
            Filter::After(shard_number(id).ok_or_else(|| errors::shard_not_found(id, document))?)
        }
        "AT_TRIM_HORIZON" => Filter::At(horizon),
        "AT_LATEST" => Filter::Open,
        "AT_TIMESTAMP" => Filter::At(timestamp.ok_or_else(|| needs("Timestamp"))?.max(horizon)),
        "FROM_TIMESTAMP" => Filter::From(timestamp.ok_or_else(|| needs("Timestamp"))?.max(horizon)),
        _ => Filter::Readable,
    };
    if timestamp.is_some_and(|timestamp| timestamp > now) {
        return Err(errors::invalid_argument("The Timestamp of a ShardFilter cannot be in the future."));
    }
    if shard.is_some() && kind != "AFTER_SHARD_ID" || timestamp.is_some() && !kind.ends_with("_TIMESTAMP") {
        return Err(errors::invalid_argument(format!(
            "ShardFilter of type {kind} takes {}.",
            if shard.is_some() { "no ShardId" } else { "no Timestamp" }
        )));
    }
    Ok(read)
}

fn matches(filter: Filter, shard: &ShardDocument) -> bool {
    match filter {
        Filter::Readable => true,
        Filter::Open => shard.closed_at.is_none(),
        Filter::After(number) => shard.number > number,
        Filter::At(at) => shard.created_at <= at && shard.closed_at.is_none_or(|closed| closed >= at),
        Filter::From(at) => shard.closed_at.is_none_or(|closed| closed >= at),
    }
}
