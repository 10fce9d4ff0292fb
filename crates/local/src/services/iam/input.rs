//! Reading members of a request, and writing what answers have in common. The API model has checked types, lengths and
//! patterns already.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::document::Tags;
use super::errors;
use crate::wire::error::ApiError;

/// What RFC 3986 leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most tags that anything has (IAM user guide, "IAM and AWS STS quotas").
const MOST_TAGS: usize = 50;

/// A text member; empty where it is not there.
pub(super) fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input[member].as_str().unwrap_or_default()
}

pub(super) fn optional(input: &Value, member: &str) -> Option<String> {
    input[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The path of something new.
pub(super) fn path(input: &Value) -> String {
    input["Path"].as_str().unwrap_or("/").to_owned()
}

/// Whether a listing asks for what has this path.
pub(super) fn is_under(input: &Value, path: &str) -> bool {
    path.starts_with(input["PathPrefix"].as_str().unwrap_or("/"))
}

pub(super) fn texts<'a>(input: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    input[member].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Puts the tags of a request onto those that are there.
pub(super) fn put_tags(tags: &mut Tags, input: &Value) -> Result<(), ApiError> {
    let mut given = Tags::new();
    for tag in input["Tags"].as_array().into_iter().flatten() {
        let key = text(tag, "Key");
        if key.to_lowercase().starts_with("aws:") {
            return Err(errors::invalid_input("Invalid Tag Key. The aws: prefix is reserved."));
        }
        if given.insert(key.to_owned(), text(tag, "Value").to_owned()).is_some() {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(errors::invalid_input(message));
        }
    }
    tags.extend(given);
    if tags.len() > MOST_TAGS {
        return Err(errors::limit(format!("The number of tags has reached the maximum limit of {MOST_TAGS}.")));
    }
    Ok(())
}

pub(super) fn tag_list(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// A policy document as answers have it.
pub(super) fn url_encoded(document: &str) -> String {
    utf8_percent_encode(document, ENCODED).to_string()
}

/// Seconds since the epoch, as the wire takes times. IAM tells whole seconds.
pub(super) fn timestamp(millis: i64) -> Value {
    json!(millis.div_euclid(1_000))
}

/// How long a policy counts: white space does not (IAM user guide, "IAM and AWS STS quotas").
pub(super) fn size_of(policy: &str) -> usize {
    policy.chars().filter(|letter| !letter.is_whitespace()).count()
}
