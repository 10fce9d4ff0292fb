//! What changes a connector: an update of one family, pause, resume, restart. Each begins an operation.

use serde_json::{Value, json};

use super::book::{Connector, Kind, Operation, Setting, State};
use super::{Office, capacity, connectors, errors};
use crate::services::Call;
use crate::wire::error::ApiError;

/// The members of the family `UPDATE_WORKER_SETTING`.
const WORKER_SETTING: [&str; 4] = ["capacity", "plugins", "workerConfiguration", "useDefaultWorkerConfiguration"];

pub(super) fn update(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let given = |member: &str| !input[member].is_null();
    let settings = WORKER_SETTING.iter().any(|member| given(member));
    let kind = match (settings, given("connectorConfiguration")) {
        (true, false) => Kind::UpdateWorkerSetting,
        (false, true) => Kind::UpdateConnectorConfiguration,
        (true, true) => {
            return Err(errors::bad_request(
                "Connector configuration cannot be updated together with capacity, plugins or worker configuration. Use \
                 separate requests.",
            ));
        }
        (false, false) => {
            return Err(errors::bad_request(
                "Nothing to update: specify capacity, plugins, workerConfiguration, useDefaultWorkerConfiguration or \
                 connectorConfiguration.",
            ));
        }
    };
    let skips_health = input["skipHealthValidation"].as_bool().unwrap_or(false);
    let now = office.desk.now();
    begin(office, call, input, kind, |connector, book| {
        if input["currentVersion"] != connector.version.as_str() {
            return Err(errors::invalid("currentVersion", "The specified version is not the current version."));
        }
        let may = match connector.state {
            State::Running | State::Failed => true,
            // There is nothing whose health could be looked at.
            State::Paused if !skips_health => {
                return Err(errors::bad_request(
                    "A connector that is PAUSED can only be updated with skipHealthValidation.",
                ));
            }
            State::Paused => true,
            _ => false,
        };
        if !may {
            return Err(wrong_state(connector, "updated"));
        }
        let target = target(input, &connector.setting)?;
        connectors::check_references(book, &connector.region, &target, now)?;
        Ok((State::Updating, target, skips_health))
    })
}

/// The setting that is wanted. What is there already is refused, as on AWS.
fn target(input: &Value, now: &Setting) -> Result<Setting, ApiError> {
    let mut target = now.clone();
    let identical = |parameter: &str| {
        errors::invalid(parameter, "The specified parameter value is identical to the current value for the connector")
    };
    if !input["capacity"].is_null() {
        target.capacity = capacity::checked(&input["capacity"])?;
        if target.capacity == now.capacity {
            return Err(identical(capacity::kind(&target.capacity)));
        }
    }
    if !input["plugins"].is_null() {
        target.plugins = connectors::plugins(&input["plugins"])?;
        if target.plugins == now.plugins {
            return Err(identical("plugins"));
        }
    }
    let default = input["useDefaultWorkerConfiguration"].as_bool().unwrap_or(false);
    if !input["workerConfiguration"].is_null() {
        if default {
            return Err(errors::bad_request(
                "Specify only one of workerConfiguration and useDefaultWorkerConfiguration.",
            ));
        }
        target.worker_configuration = input["workerConfiguration"].clone();
        if target.worker_configuration == now.worker_configuration {
            return Err(identical("workerConfiguration"));
        }
    }
    if default {
        target.worker_configuration = Value::Null;
        if now.worker_configuration.is_null() {
            return Err(identical("useDefaultWorkerConfiguration"));
        }
    }
    if !input["connectorConfiguration"].is_null() {
        target.configuration = connectors::configuration(&input["connectorConfiguration"])?;
        if target.configuration == now.configuration {
            return Err(identical("connectorConfiguration"));
        }
    }
    Ok(target)
}

pub(super) fn pause(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let begun = begin(office, call, input, Kind::PauseConnector, |connector, _| match connector.state {
        State::Running => Ok((State::Pausing, connector.setting.clone(), true)),
        _ => Err(in_conflict(connector, "paused")),
    })?;
    Ok(without_state(begun))
}

pub(super) fn resume(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let begun = begin(office, call, input, Kind::ResumeConnector, |connector, _| match connector.state {
        State::Paused => Ok((State::Resuming, connector.setting.clone(), true)),
        _ => Err(in_conflict(connector, "resumed")),
    })?;
    Ok(without_state(begun))
}

/// `onlyFailedTasks` makes no difference: when a task fails here, all of the connector's are stopped.
pub(super) fn restart(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let begun = begin(office, call, input, Kind::RestartConnector, |connector, _| match connector.state {
        State::Running | State::Failed => Ok((State::Restarting, connector.setting.clone(), true)),
        _ => Err(wrong_state(connector, "restarted")),
    })?;
    Ok(without_state(begun))
}

/// Writes the operation and the connector's new state, and wakes who carries it out. `decide` gives the state, the
/// setting that is wanted, and whether health does not matter.
fn begin(
    office: &Office,
    call: &Call,
    input: &Value,
    kind: Kind,
    decide: impl FnOnce(&Connector, &super::desk::Book) -> Result<(State, Setting, bool), ApiError>,
) -> Result<Value, ApiError> {
    let arn = input["connectorArn"].as_str().unwrap_or_default();
    connectors::here(&office.desk.book(), call, arn)?;
    let now = office.desk.now();
    let answer = office.desk.change_connector(arn, |connector, book| {
        let (state, target, skips_health) = decide(connector, book)?;
        let operation = Operation {
            arn: format!(
                "arn:aws:kafkaconnect:{}:{}:connector-operation/{}/{}/{}",
                call.region,
                call.account,
                connector.name,
                connector.uuid,
                uuid::Uuid::new_v4()
            ),
            connector: arn.to_owned(),
            kind,
            state: if kind.is_update() { "PENDING".to_owned() } else { format!("{}_IN_PROGRESS", kind.word()) },
            created: now,
            ended: None,
            trouble: None,
            steps: steps(kind),
            origin: connector.setting.clone(),
            target,
            skips_health,
            from: connector.state,
        };
        connector.state = state;
        connector.operation = Some(operation.arn.clone());
        let answer = json!({
            "connectorArn": arn, "connectorOperationArn": operation.arn, "connectorState": state.name(),
        });
        Ok((answer, Some(operation)))
    })?;
    office.crew.nudge(arn);
    Ok(answer)
}

fn steps(kind: Kind) -> Vec<(String, String)> {
    if !kind.is_update() {
        return Vec::new();
    }
    let steps = ["INITIALIZE_UPDATE", kind.name(), "VALIDATE_UPDATE", "FINALIZE_UPDATE"];
    steps.map(|step| (step.to_owned(), "PENDING".to_owned())).into()
}

fn without_state(mut begun: Value) -> Value {
    if let Some(members) = begun.as_object_mut() {
        members.shift_remove("connectorState");
    }
    begun
}

fn wrong_state(connector: &Connector, what: &str) -> ApiError {
    errors::bad_request(state_text(connector, what))
}

/// Pause and resume have a code of their own for it.
fn in_conflict(connector: &Connector, what: &str) -> ApiError {
    errors::conflict(state_text(connector, what))
}

fn state_text(connector: &Connector, what: &str) -> String {
    format!("The connector '{}' is {} and cannot be {what}.", connector.name, connector.state.name())
}
