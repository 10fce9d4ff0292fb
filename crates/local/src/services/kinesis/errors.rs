//! Errors in AWS's words: clients match on the code, people and some tools on the text.

use super::document::{StreamDocument, shard_id};
use crate::wire::error::ApiError;

pub(super) fn invalid_argument(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidArgumentException", message)
}

pub(super) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

pub(super) fn limit_exceeded(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceededException", message)
}

pub(super) fn in_use(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceInUseException", message)
}

pub(super) fn stream_not_found(name: &str, account: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("Stream {name} under account {account} not found."))
}

/// The shard id cannot be one, or a change names one that is not there.
pub(super) fn shard_not_found(shard: &str, stream: &StreamDocument) -> ApiError {
    let message = format!("Could not find shard {shard} in stream {} under account {}.", stream.name, stream.account);
    ApiError::new("ResourceNotFoundException", message)
}

/// The shard is not there, or not any more.
pub(super) fn shard_does_not_exist(number: u32, stream: &str, account: &str) -> ApiError {
    let message = format!("Shard {} in stream {stream} under account {account} does not exist", shard_id(number));
    ApiError::new("ResourceNotFoundException", message)
}

pub(super) fn rate_exceeded_message(shard: &str, stream: &StreamDocument) -> String {
    format!("Rate exceeded for shard {shard} in stream {} under account {}.", stream.name, stream.account)
}

pub(super) const THROUGHPUT_EXCEEDED: &str = "ProvisionedThroughputExceededException";

pub(super) fn throughput_exceeded(shard: &str, stream: &StreamDocument) -> ApiError {
    ApiError::new(THROUGHPUT_EXCEEDED, rate_exceeded_message(shard, stream))
}

pub(super) fn dry_run() -> ApiError {
    ApiError::new("DryRunOperationException", "Request would have succeeded, but the DryRun parameter was specified.")
}
