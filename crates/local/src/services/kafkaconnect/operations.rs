//! Operations on connectors, as they are shown.

use serde_json::{Value, json};

use super::book::{Kind, Operation};
use super::desk::{Desk, operations_of};
use super::{connectors, describe, errors, paging};
use crate::services::Call;
use crate::wire::error::ApiError;

pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["connectorOperationArn"].as_str().unwrap_or_default();
    let book = desk.book();
    let operation = book.operations.get(arn).ok_or_else(|| errors::not_found("connector operation", arn))?;
    connectors::here(&book, call, &operation.connector)?;
    let mut shown = summary(operation);
    shown["connectorArn"] = json!(operation.connector);
    if !operation.steps.is_empty() {
        let steps = operation.steps.iter().map(|(kind, state)| json!({"stepType": kind, "stepState": state}));
        shown["operationSteps"] = steps.collect();
    }
    if let Some(trouble) = &operation.trouble {
        shown["errorInfo"] = describe::trouble(trouble);
    }
    match operation.kind {
        Kind::UpdateWorkerSetting => {
            shown["originWorkerSetting"] = describe::worker_setting(&operation.origin);
            shown["targetWorkerSetting"] = describe::worker_setting(&operation.target);
        }
        Kind::UpdateConnectorConfiguration => {
            shown["originConnectorConfiguration"] = json!(operation.origin.configuration);
            shown["targetConnectorConfiguration"] = json!(operation.target.configuration);
        }
        Kind::PauseConnector | Kind::ResumeConnector | Kind::RestartConnector => {}
    }
    Ok(shown)
}

/// The newest first.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["connectorArn"].as_str().unwrap_or_default();
    let book = desk.book();
    connectors::here(&book, call, arn)?;
    let found = operations_of(&book, arn);
    // Keys that sort by age, backwards.
    let key = |operation: &Operation| format!("{:020}/{}", i64::MAX - operation.created, operation.arn);
    let mut items: Vec<(String, Value)> = found.map(|operation| (key(operation), summary(operation))).collect();
    items.sort_unstable_by(|one, two| one.0.cmp(&two.0));
    paging::page(items, input, "connectorOperations")
}

fn summary(operation: &Operation) -> Value {
    let mut shown = json!({
        "connectorOperationArn": operation.arn,
        "connectorOperationState": operation.state,
        "connectorOperationType": operation.kind.name(),
        "creationTime": describe::timestamp(operation.created),
    });
    if let Some(ended) = operation.ended {
        shown["endTime"] = describe::timestamp(ended);
    }
    shown
}
