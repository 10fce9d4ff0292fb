//! Settings of a stream: retention, encryption, metrics, capacity mode, record size.

use serde_json::{Value, json};

use super::document::{MAX_RETENTION_HOURS, MIN_RETENTION_HOURS, StreamDocument};
use super::streams::Streams;
use super::{errors, input};
use crate::services::Call;
use crate::wire::error::ApiError;

/// In the order in which AWS lists them.
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
];
const MODE_CHANGES_A_DAY: usize = 2;
const ENCRYPTION_CHANGES_A_DAY: usize = 25;

pub(super) fn increase_retention(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    change_retention(streams, call, request, |present, wanted| {
        (wanted < present).then_some(("shorter", "Use DecreaseRetentionPeriod API."))
    })
}

/// Records older than the new retention are gone when this returns.
pub(super) fn decrease_retention(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    change_retention(streams, call, request, |present, wanted| {
        (wanted > present).then_some(("longer", "Use IncreaseRetentionPeriod API."))
    })
}

fn change_retention(
    streams: &Streams,
    call: &Call,
    request: &Value,
    refuse: fn(u32, u32) -> Option<(&'static str, &'static str)>,
) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let wanted = input::number(request, "RetentionPeriodHours").unwrap_or(0);
    streams.change(&stream, true, |document, now| {
        if wanted < MIN_RETENTION_HOURS {
            return Err(errors::invalid_argument(format!(
                "Minimum allowed retention period is {MIN_RETENTION_HOURS} hours. \
                 Requested retention period ({wanted} hours) is too short."
            )));
        }
        if wanted > MAX_RETENTION_HOURS {
            return Err(errors::invalid_argument(format!(
                "Maximum allowed retention period is {MAX_RETENTION_HOURS} hours. \
                 Requested retention period ({wanted} hours) is too long."
            )));
        }
        let present = document.retention_hours;
        if let Some((than_allowed, instead)) = refuse(present, wanted) {
            return Err(errors::invalid_argument(format!(
                "Requested retention period ({wanted} hours) for stream {} can not be {than_allowed} than existing \
                 retention period ({present} hours). {instead}",
                document.name
            )));
        }
        document.retain(wanted, now);
        Ok(json!({}))
    })
}

pub(super) fn start_encryption(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    must_be_kms(request)?;
    streams.change(&stream, true, |document, now| {
        if !document.encryption_starts.admit(ENCRYPTION_CHANGES_A_DAY, now) {
            return Err(too_often(document, "StartStreamEncryption", ENCRYPTION_CHANGES_A_DAY));
        }
        document.key_id = Some(input::required_text(request, "KeyId").to_owned());
        Ok(json!({}))
    })
}

pub(super) fn stop_encryption(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    must_be_kms(request)?;
    let key_id = input::required_text(request, "KeyId");
    streams.change(&stream, true, |document, now| {
        if document.key_id.as_deref() != Some(key_id) {
            return Err(errors::invalid_argument(format!(
                "Stream {} under account {} is not encrypted with the key {key_id}.",
                document.name, document.account
            )));
        }
        if !document.encryption_stops.admit(ENCRYPTION_CHANGES_A_DAY, now) {
            return Err(too_often(document, "StopStreamEncryption", ENCRYPTION_CHANGES_A_DAY));
        }
        document.key_id = None;
        Ok(json!({}))
    })
}

fn must_be_kms(request: &Value) -> Result<(), ApiError> {
    if input::text(request, "EncryptionType") == Some("KMS") {
        return Ok(());
    }
    Err(errors::invalid_argument("Encryption type cannot be NONE: the only valid value is KMS."))
}

pub(super) fn enable_monitoring(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    change_monitoring(streams, call, request, |present, named| present || named)
}

pub(super) fn disable_monitoring(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    change_monitoring(streams, call, request, |present, named| present && !named)
}

fn change_monitoring(
    streams: &Streams,
    call: &Call,
    request: &Value,
    desired: fn(bool, bool) -> bool,
) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let named: Vec<&str> = input::texts(request, "ShardLevelMetrics").collect();
    let is_named = |metric: &str| named.contains(&metric) || named.contains(&"ALL");
    streams.change(&stream, true, |document, _| {
        let before = std::mem::take(&mut document.metrics);
        let is_present = |metric: &str| before.iter().any(|present| present == metric);
        let after = METRICS.iter().filter(|metric| desired(is_present(metric), is_named(metric)));
        document.metrics = after.map(|metric| (*metric).to_owned()).collect();
        Ok(json!({
            "StreamName": document.name,
            "CurrentShardLevelMetrics": before,
            "DesiredShardLevelMetrics": document.metrics,
            "StreamARN": document.arn(),
        }))
    })
}

/// A stream that has the mode already is left as it is.
pub(super) fn update_stream_mode(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    let mode = request.get("StreamModeDetails").and_then(|details| input::text(details, "StreamMode"));
    let on_demand = mode == Some("ON_DEMAND");
    if request.get("WarmThroughputMiBps").is_some() {
        let message = "WarmThroughputMiBps needs an account with on-demand advantage, which the local cloud is not.";
        return Err(errors::validation(message));
    }
    streams.change(&stream, true, |document, now| {
        if document.on_demand == on_demand {
            return Ok(json!({}));
        }
        if document.scatter {
            let message = "A stream with the record distribution strategy AUTO cannot leave the ON_DEMAND mode.";
            return Err(errors::validation(message));
        }
        if !document.mode_changes.admit(MODE_CHANGES_A_DAY, now) {
            return Err(too_often(document, "UpdateStreamMode", MODE_CHANGES_A_DAY));
        }
        document.on_demand = on_demand;
        Ok(json!({}))
    })
}

pub(super) fn update_max_record_size(streams: &Streams, call: &Call, request: &Value) -> Result<Value, ApiError> {
    let stream = streams.find(call, request)?;
    streams.change(&stream, true, |document, _| {
        document.max_record_kib = input::number(request, "MaxRecordSizeInKiB").unwrap_or(document.max_record_kib);
        Ok(json!({}))
    })
}

fn too_often(document: &StreamDocument, operation: &str, limit: usize) -> ApiError {
    errors::limit_exceeded(format!(
        "{operation} may be called successfully {limit} times within 24 hours for a stream; stream {} under account {} \
         has reached that.",
        document.name, document.account
    ))
}
