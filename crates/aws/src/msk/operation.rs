//! Waiting for an operation of a cluster: an update answers with its ARN, and the cluster's own state does not tell how it
//! ended.

use std::time::Duration;

use aws_sdk_kafka::types::ClusterOperationV2;
use pinfra_engine::{Call, CloudError};

use crate::clients::Clients;
use crate::error::{classify, unless_gone};
use crate::wait::{Pace, Progress, wait_until};

/// Rolling changes of large clusters have taken more than two hours (field).
const PACE: Pace = Pace { slowest: Duration::from_secs(60), limit: Duration::from_secs(3 * 60 * 60) };

/// Waits until the operation is complete. `what` is such as `changing the broker type`.
pub(super) async fn completed(clients: &Clients, call: &Call, what: &str, arn: &str) -> Result<(), CloudError> {
    wait_until(call, what, PACE, || async {
        let answer = clients.kafka.describe_cluster_operation_v2().cluster_operation_arn(arn).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("kafka:DescribeClusterOperationV2", &error)))?;
        let Some(found) = answer.and_then(|answer| answer.cluster_operation_info) else {
            return Ok(Progress::Unseen);
        };
        Ok(match found.operation_state.as_deref() {
            Some("UPDATE_COMPLETE") => Progress::Ready(()),
            Some("UPDATE_FAILED") => Progress::Failed(failure(&found)),
            // The model leaves the states open: what is unknown may still end well.
            state => Progress::Pending(progress(state.unwrap_or("PENDING"), &found)),
        })
    })
    .await
}

fn failure(found: &ClusterOperationV2) -> String {
    let info = found.error_info.as_ref();
    let code = info.and_then(|info| info.error_code.as_deref()).unwrap_or("UPDATE_FAILED");
    let text = info.and_then(|info| info.error_string.as_deref()).unwrap_or("MSK gives no reason");
    format!("{code}: {text}")
}

/// Such as `UPDATE_IN_PROGRESS: 2 of 3 steps, INITIALIZE_UPDATE`.
fn progress(state: &str, found: &ClusterOperationV2) -> String {
    let steps = found.provisioned.as_ref().and_then(|info| info.operation_steps.as_deref()).unwrap_or_default();
    let is_done = |status: &str| ["COMPLETED", "SKIPPED"].contains(&status);
    let mut done = 0;
    let mut running = None;
    for step in steps {
        let status = step.step_info.as_ref().and_then(|info| info.step_status.as_deref()).unwrap_or_default();
        if is_done(status) {
            done += 1;
        } else if status == "IN_PROGRESS" {
            running = step.step_name.as_deref();
        }
    }
    match (steps.is_empty(), running) {
        (true, _) => state.to_owned(),
        (false, None) => format!("{state}: {done} of {} steps", steps.len()),
        (false, Some(name)) => format!("{state}: {done} of {} steps, {name}", steps.len()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kafka::types::{
        ClusterOperationStep, ClusterOperationStepInfo, ClusterOperationV2Provisioned, ErrorInfo,
    };

    use super::*;

    #[test]
    fn progress_names_the_running_step() {
        let step = |name: &str, status: &str| {
            let info = ClusterOperationStepInfo::builder().step_status(status).build();
            ClusterOperationStep::builder().step_name(name).step_info(info).build()
        };
        let steps = ClusterOperationV2Provisioned::builder()
            .operation_steps(step("INITIALIZE_UPDATE", "COMPLETED"))
            .operation_steps(step("UPDATE", "IN_PROGRESS"))
            .operation_steps(step("FINALIZE_UPDATE", "PENDING"));
        let found = ClusterOperationV2::builder().provisioned(steps.build()).build();
        assert_eq!(progress("UPDATE_IN_PROGRESS", &found), "UPDATE_IN_PROGRESS: 1 of 3 steps, UPDATE");
        assert_eq!(progress("PENDING", &ClusterOperationV2::builder().build()), "PENDING");
    }

    #[test]
    fn a_failure_says_what_msk_says() {
        let info = ErrorInfo::builder().error_code("Kafka").error_string("partitions are not in sync").build();
        let found = ClusterOperationV2::builder().error_info(info).build();
        assert_eq!(failure(&found), "Kafka: partitions are not in sync");
        assert_eq!(failure(&ClusterOperationV2::builder().build()), "UPDATE_FAILED: MSK gives no reason");
    }
}
