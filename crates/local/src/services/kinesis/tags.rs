//! Tags of streams, under both families of operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::stream::Stream;
use super::streams::Streams;
use super::{errors, input};
use crate::services::Call;
use crate::wire::error::ApiError;

type Tags = BTreeMap<String, String>;

const MAX_TAGS: usize = 50;

/// The tags of a request, if they may be added to those that are there.
pub(super) fn checked(request: &Value, stream: &str, account: &str, present: &Tags) -> Result<Tags, ApiError> {
    let given = request.get("Tags").and_then(Value::as_object);
    let new: Tags = given
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    for text in new.iter().flat_map(|(key, value)| [key, value]) {
        check_characters(text)?;
    }
    if let Some(reserved) = new.keys().find(|key| is_reserved(key)) {
        return Err(errors::invalid_argument(format!(
            "Failed to add tags to stream {stream} under account {account} because the prefix aws: of the tag {reserved} \
             is reserved."
        )));
    }
    let added = new.keys().filter(|key| !present.contains_key(*key)).count();
    if present.len() + added > MAX_TAGS {
        return Err(errors::invalid_argument(format!(
            "Failed to add tags to stream {stream} under account {account} because a given stream cannot have more than \
             {MAX_TAGS} tags associated with it."
        )));
    }
    Ok(new)
}

pub(super) fn add_tags_to_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    add(streams, streams.find(call, request)?.as_ref(), request)
}

pub(super) fn tag_resource(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    add(streams, of_resource(streams, call, request)?.as_ref(), request)
}

pub(super) fn remove_tags_from_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    remove(streams, streams.find(call, request)?.as_ref(), request)
}

pub(super) fn untag_resource(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    remove(streams, of_resource(streams, call, request)?.as_ref(), request)
}

pub(super) fn list_tags_for_stream(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let view = streams.find(call, request)?.view();
    let after = input::text(request, "ExclusiveStartTagKey");
    let limit = input::number(request, "Limit").map_or(MAX_TAGS, |limit| limit as usize);
    let mut left = view.document.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let page: Vec<Value> = left.by_ref().take(limit).map(as_json).collect();
    Ok(json!({ "Tags": page, "HasMoreTags": left.next().is_some() }))
}

pub(super) fn list_tags_for_resource(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let view = of_resource(streams, call, request)?.view();
    let all: Vec<Value> = view.document.tags.iter().map(as_json).collect();
    Ok(json!({ "Tags": all }))
}

fn as_json((key, value): (&String, &String)) -> Value {
    json!({ "Key": key, "Value": value })
}

/// Of the kinds of resources that have tags, streams are the one that is there.
fn of_resource(streams: &Streams, call: &Call, request: &Value) -> Result<Arc<Stream>, ApiError> {
    streams.find_by_arn(call, input::required_text(request, "ResourceARN"))
}

fn add(streams: &Streams, stream: &Stream, request: &Value) -> Result<Value, ApiError> {
    streams.change(stream, false, |document, _| {
        let new = checked(request, &document.name, &document.account, &document.tags)?;
        document.tags.extend(new);
        Ok(json!({}))
    })
}

fn remove(streams: &Streams, stream: &Stream, request: &Value) -> Result<Value, ApiError> {
    streams.change(stream, false, |document, _| {
        for key in input::texts(request, "TagKeys") {
            check_characters(key)?;
            document.tags.remove(key);
        }
        Ok(json!({}))
    })
}

fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}

/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>: what all services take.
fn check_characters(text: &str) -> Result<(), ApiError> {
    let allowed = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter);
    if text.chars().all(allowed) {
        return Ok(());
    }
    Err(errors::invalid_argument(
        "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . : / = + - @.",
    ))
}
