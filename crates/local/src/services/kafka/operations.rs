//! Operations: what changes a cluster, and how far it is.

use serde_json::{Value, json};

use super::book::{Book, Operation, OperationState, timestamp};
use super::desk::Desk;
use super::errors::{check_arn, no_operation};
use super::pages::page;
use super::{clusters, errors};
use crate::services::Call;
use crate::wire::error::ApiError;

/// `DescribeClusterOperation`.
pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    read(desk, call, input, v1)
}

/// `DescribeClusterOperationV2`.
pub(super) fn describe_v2(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    read(desk, call, input, |operation| {
        let mut view = summary(operation);
        view["Provisioned"] = json!({
            "OperationSteps": steps(operation), "SourceClusterInfo": operation.source,
            "TargetClusterInfo": operation.target,
        });
        if let Some((code, message)) = &operation.failure {
            view["ErrorInfo"] = json!({"ErrorCode": code, "ErrorString": message});
        }
        view
    })
}

/// `ListClusterOperations`, the latest first.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    listed(desk, call, input, v1)
}

/// `ListClusterOperationsV2`, the latest first.
pub(super) fn list_v2(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    listed(desk, call, input, summary)
}

fn read(desk: &Desk, call: &Call, input: &Value, view: fn(&Operation) -> Value) -> Result<Value, ApiError> {
    let arn = input["ClusterOperationArn"].as_str().unwrap_or_default();
    check_arn(arn, "cluster-operation")?;
    let book = desk.book();
    let operation = book.operations.get(arn).filter(|operation| is_here(&book, call, operation));
    Ok(json!({"ClusterOperationInfo": view(operation.ok_or_else(no_operation)?)}))
}

fn is_here(book: &Book, call: &Call, operation: &Operation) -> bool {
    book.cluster(&call.region, &operation.cluster).is_some()
}

fn listed(desk: &Desk, call: &Call, input: &Value, view: fn(&Operation) -> Value) -> Result<Value, ApiError> {
    let cluster = clusters::named(desk, call, input)?;
    errors::check_arn(&cluster.arn, "cluster")?;
    let book = desk.book();
    let of_it = book.operations.values().filter(|operation| operation.cluster == cluster.arn);
    let key = |operation: &Operation| format!("{:019}/{}", i64::MAX - operation.created, operation.arn);
    let mut items: Vec<(String, Value)> = of_it.map(|operation| (key(operation), view(operation))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    page(items, input, "ClusterOperationInfoList")
}

fn v1(operation: &Operation) -> Value {
    let mut view = json!({
        "OperationArn": operation.arn, "ClusterArn": operation.cluster, "OperationType": operation.kind,
        "OperationState": operation.state.name(), "CreationTime": timestamp(operation.created),
        "ClientRequestId": operation.request_id, "OperationSteps": steps(operation),
        "SourceClusterInfo": operation.source, "TargetClusterInfo": operation.target,
    });
    if let Some(ended) = operation.ended {
        view["EndTime"] = timestamp(ended);
    }
    if let Some((code, message)) = &operation.failure {
        view["ErrorInfo"] = json!({"ErrorCode": code, "ErrorString": message});
    }
    view
}

fn summary(operation: &Operation) -> Value {
    let mut view = json!({
        "OperationArn": operation.arn, "ClusterArn": operation.cluster, "ClusterType": "PROVISIONED",
        "OperationType": operation.kind, "OperationState": operation.state.name(),
        "StartTime": timestamp(operation.created),
    });
    if let Some(ended) = operation.ended {
        view["EndTime"] = timestamp(ended);
    }
    view
}

fn steps(operation: &Operation) -> Value {
    let statuses = match operation.state {
        OperationState::Pending => ["PENDING", "PENDING", "PENDING"],
        OperationState::UpdateInProgress => ["COMPLETED", "IN_PROGRESS", "PENDING"],
        OperationState::UpdateComplete => ["COMPLETED", "COMPLETED", "COMPLETED"],
        OperationState::UpdateFailed => ["COMPLETED", "FAILED", "PENDING"],
    };
    let steps = ["INITIALIZE_UPDATE", "UPDATE", "FINALIZE_UPDATE"].into_iter().zip(statuses);
    steps.map(|(name, status)| json!({"StepName": name, "StepInfo": {"StepStatus": status}})).collect()
}
