//! AWS Identity and Access Management: roles, their inline policies, and instance profiles.
//!
//! IAM is eventually consistent: what was just made is unknown to its next consumer for some seconds, so each kind waits
//! for what it needs instead of failing. Objects of a stack stand under the path `/pinfra/<stack>/`, by which they are
//! found without state (`discover`): the Tagging API does not list roles.

pub(crate) mod discover;
pub mod instance_profile;
pub(crate) mod listing;
pub mod role;
pub mod role_policy;

use std::time::Duration;

use aws_sdk_iam::types::Tag;
use percent_encoding::percent_decode_str;
use pinfra_engine::{CloudError, ErrorKind};
use serde_json::Value;

use crate::policy::normalise_policy;
use crate::tags::Tags;
use crate::wait::{Pace, Progress};

/// What is new is known everywhere within some fifteen seconds (field reports); two minutes is what other tools wait.
const PACE: Pace = Pace { slowest: Duration::from_secs(3), limit: Duration::from_secs(2 * 60) };

/// The path of everything in IAM that belongs to a stack.
pub fn path_of(stack: &str) -> String {
    format!("/pinfra/{stack}/")
}

/// A policy document as IAM answers it, URL-encoded, by its meaning.
pub(crate) fn read_policy(operation: &str, document: &str) -> Result<Value, CloudError> {
    let wrong = |why: String| CloudError::new(ErrorKind::Other, operation, format!("the policy cannot be read: {why}"));
    let text = percent_decode_str(document).decode_utf8().map_err(|error| wrong(error.to_string()))?;
    let policy: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(normalise_policy(&policy))
}

pub(crate) fn tags_of(tags: &[Tag]) -> Tags {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

fn tag_list(tags: &Tags) -> Result<Vec<Tag>, CloudError> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let tags: Result<Vec<Tag>, _> = tags.iter().map(tag).collect();
    tags.map_err(|error| CloudError::new(ErrorKind::Invalid, "iam: tags", error.to_string()))
}

/// A refused write, where it passes: somebody else is changing the same object, or IAM does not know yet what it names.
fn passing<T>(refused: CloudError) -> Result<Progress<T>, CloudError> {
    let new_principal = refused.code.as_deref() == Some("MalformedPolicyDocument")
        && refused.message.to_ascii_lowercase().contains("invalid principal");
    match refused.kind {
        _ if new_principal => Ok(Progress::Early(refused)),
        ErrorKind::Conflict => Ok(Progress::Held(refused)),
        _ => Err(refused),
    }
}
