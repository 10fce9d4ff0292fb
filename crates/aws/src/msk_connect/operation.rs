//! Waiting for an operation of a connector. While it runs the connector is UPDATING, and afterwards it is RUNNING however the
//! operation ended: an update that its health check did not pass is rolled back.

use std::time::Duration;

use aws_sdk_kafkaconnect::operation::describe_connector_operation::DescribeConnectorOperationOutput;
use aws_sdk_kafkaconnect::types::{ConnectorOperationState, ConnectorOperationStep, ConnectorOperationStepState};
use pinfra_engine::{Call, CloudError};

use crate::clients::Clients;
use crate::error::{classify, unless_gone};
use crate::wait::{Pace, Progress, wait_until};

/// Five to ten minutes (field); a roll-back adds some.
const PACE: Pace = Pace { slowest: Duration::from_secs(30), limit: Duration::from_secs(40 * 60) };

/// Waits until the operation is complete. `what` is such as `changing the connector's settings`.
pub(super) async fn completed(clients: &Clients, call: &Call, what: &str, arn: &str) -> Result<(), CloudError> {
    wait_until(call, what, PACE, || async {
        let answer = clients.kafkaconnect.describe_connector_operation().connector_operation_arn(arn).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("kafkaconnect:DescribeConnectorOperation", &error)))?;
        let Some(found) = answer else { return Ok(Progress::Unseen) };
        Ok(match &found.connector_operation_state {
            Some(ConnectorOperationState::UpdateComplete) => Progress::Ready(()),
            Some(
                ConnectorOperationState::UpdateFailed
                | ConnectorOperationState::RollbackComplete
                | ConnectorOperationState::RollbackFailed,
            ) => Progress::Failed(failure(&found)),
            state => Progress::Pending(progress(state.as_ref(), &found)),
        })
    })
    .await
}

/// Such as `rolled back at VALIDATE_UPDATE: InvalidConfiguration: bucket is gone`.
fn failure(found: &DescribeConnectorOperationOutput) -> String {
    let how = match &found.connector_operation_state {
        Some(ConnectorOperationState::RollbackComplete) => "MSK Connect took the change back",
        Some(ConnectorOperationState::RollbackFailed) => "MSK Connect could not take the change back",
        _ => "the change failed",
    };
    let failed = |step: &&ConnectorOperationStep| step.step_state == Some(ConnectorOperationStepState::Failed);
    let step = found.operation_steps().iter().find(failed).and_then(|step| step.step_type.as_ref());
    let at = step.map(|step| format!(" at {}", step.as_str())).unwrap_or_default();
    let info = found.error_info.as_ref();
    let code = info.and_then(|info| info.code.as_deref()).map(|code| format!("{code}: ")).unwrap_or_default();
    let message = info.and_then(|info| info.message.as_deref()).unwrap_or("it gives no reason");
    format!("{how}{at}: {code}{message}")
}

/// Such as `UPDATE_IN_PROGRESS: 2 of 5 steps, UPDATE_WORKER_SETTING`.
fn progress(state: Option<&ConnectorOperationState>, found: &DescribeConnectorOperationOutput) -> String {
    let state = state.map_or("PENDING", ConnectorOperationState::as_str);
    let steps = found.operation_steps();
    let is = |wanted: ConnectorOperationStepState| {
        move |step: &&ConnectorOperationStep| step.step_state.as_ref() == Some(&wanted)
    };
    let done = steps.iter().filter(is(ConnectorOperationStepState::Completed)).count();
    let running = steps.iter().find(is(ConnectorOperationStepState::InProgress));
    let running = running.and_then(|step| step.step_type.as_ref());
    match (steps.is_empty(), running) {
        (true, _) => state.to_owned(),
        (false, None) => format!("{state}: {done} of {} steps", steps.len()),
        (false, Some(step)) => format!("{state}: {done} of {} steps, {}", steps.len(), step.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kafkaconnect::types::{ConnectorOperationStepType, StateDescription};

    use super::*;

    #[test]
    fn a_roll_back_says_where_and_why() {
        let failed = ConnectorOperationStep::builder()
            .step_type(ConnectorOperationStepType::ValidateUpdate)
            .step_state(ConnectorOperationStepState::Failed);
        let found = DescribeConnectorOperationOutput::builder()
            .connector_operation_state(ConnectorOperationState::RollbackComplete)
            .operation_steps(failed.build())
            .error_info(StateDescription::builder().code("Unhealthy").message("the bucket is gone").build());
        let text = failure(&found.build());
        assert_eq!(text, "MSK Connect took the change back at VALIDATE_UPDATE: Unhealthy: the bucket is gone");
    }
}
