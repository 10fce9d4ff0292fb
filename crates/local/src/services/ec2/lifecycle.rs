//! Instances start and end: what is written down at once, and the machines that follow.
//!
//! An operation writes the state that the instance is going to (`pending`, `stopping`, `shutting-down`) and answers.
//! Then a task brings the machine there and writes the state that it has come to. The task looks at what is written
//! down, not at why it was started: so it may run twice, and after a restart it goes on where the last process ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::filters::texts;
use super::instance::{Instance, State};
use super::region::Region;
use super::{Ec2OpenError, Inner, Request, errors};
use crate::wire::error::ApiError;

/// The tasks that move instances, one at a time each.
#[derive(Default)]
pub(super) struct Lifecycle {
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Lifecycle {
    /// Drops what is under way; the next start goes on with it.
    pub(super) fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
    }

    /// Returns when no task is left after [`Lifecycle::end`].
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }

    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

/// `StartInstances`: those that run already stay as they are.
pub(super) fn start(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let mut changes = Vec::new();
    for id in named(region, request)? {
        let ip = match region.instance(&id)? {
            instance if instance.state == State::Stopped => {
                let elastic = region.address_of(&id).is_some();
                if instance.auto_public_ip && !elastic { Some(region.free_public_ip()?) } else { None }
            }
            _ => None,
        };
        let instance = region.instance_mut(&id)?;
        let before = instance.state;
        match before {
            State::Stopped => {
                instance.state = State::Pending;
                instance.public_ip = ip;
                instance.launched_at = request.now;
                instance.state_reason = None;
                instance.transition_reason = String::new();
            }
            State::Pending | State::Running => {}
            State::Stopping | State::ShuttingDown | State::Terminated => return Err(cannot(instance, "started")),
        }
        changes.push(change(instance, before));
    }
    Ok(json!({ "StartingInstances": changes }))
}

/// `StopInstances`.
pub(super) fn stop(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    if request.input["Hibernate"] == true {
        return Err(errors::unsupported("`Hibernate` of StopInstances"));
    }
    let mut changes = Vec::new();
    for id in named(region, request)? {
        let instance = region.instance_mut(&id)?;
        let before = instance.state;
        match before {
            State::Pending | State::Running => {
                if instance.stop_protected {
                    let message = format!(
                        "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again."
                    );
                    return Err(ApiError::new("OperationNotPermitted", message));
                }
                instance.state = State::Stopping;
                user_initiated(instance, request.now, "shutdown");
            }
            State::Stopping | State::Stopped => {}
            State::ShuttingDown | State::Terminated => return Err(cannot(instance, "stopped")),
        }
        changes.push(change(instance, before));
    }
    Ok(json!({ "StoppingInstances": changes }))
}

/// `TerminateInstances`: one that is protected refuses the whole request.
pub(super) fn terminate(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let mut changes = Vec::new();
    for id in named(region, request)? {
        let instance = region.instance_mut(&id)?;
        let before = instance.state;
        if !matches!(before, State::ShuttingDown | State::Terminated) {
            if instance.terminate_protected {
                let message = format!(
                    "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
                );
                return Err(ApiError::new("OperationNotPermitted", message));
            }
            instance.state = State::ShuttingDown;
            user_initiated(instance, request.now, "shutdown");
        }
        changes.push(change(instance, before));
    }
    Ok(json!({ "TerminatingInstances": changes }))
}

/// `RebootInstances`: the state stays; the machine goes off and on.
pub(super) fn reboot(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    for id in named(region, request)? {
        let instance = region.instance(&id)?;
        if !instance.state.is_up() {
            return Err(cannot(instance, "rebooted"));
        }
    }
    Ok(json!({}))
}

/// Starts what an operation has made necessary.
pub(super) fn follow(inner: &Arc<Inner>, request: &Request<'_>, answer: &Value) {
    let region = request.call.region.as_str();
    match request.call.operation.as_str() {
        "RunInstances" => {
            for instance in answer["Instances"].as_array().into_iter().flatten() {
                spawn(inner, region, instance["InstanceId"].as_str().unwrap_or_default(), false);
            }
        }
        "StartInstances" | "StopInstances" | "TerminateInstances" => {
            for id in texts(&request.input["InstanceIds"]) {
                spawn(inner, region, id, false);
            }
        }
        "RebootInstances" => {
            for id in texts(&request.input["InstanceIds"]) {
                spawn(inner, region, id, true);
            }
        }
        _ => {}
    }
}

/// Goes on where the last process ended: with it, all machines have gone off.
pub(super) fn resume(inner: &Arc<Inner>) -> Result<(), Ec2OpenError> {
    for region in inner.regions.all() {
        for instance in region.instances.values() {
            match instance.state {
                State::Running => boot(inner, instance).map_err(|source| Ec2OpenError::File {
                    path: std::path::PathBuf::from(format!("instances/{}", instance.id)),
                    source,
                })?,
                State::Pending | State::Stopping | State::ShuttingDown => {
                    spawn(inner, &region.name, &instance.id, false);
                }
                State::Stopped | State::Terminated => {}
            }
        }
    }
    Ok(())
}

fn spawn(inner: &Arc<Inner>, region: &str, id: &str, reboot: bool) {
    let (task, region, id) = (Arc::clone(inner), region.to_owned(), id.to_owned());
    let ending = inner.lifecycle.ending.clone();
    let moved = async move {
        let turn = task.lifecycle.turn(&id);
        let _mine = turn.lock().await;
        if reboot {
            restart(&task, &region, &id).await;
        } else {
            advance(&task, &region, &id).await;
        }
    };
    inner.lifecycle.tasks.spawn(async move { ending.run_until_cancelled(moved).await });
}

/// Brings an instance to where its state is going.
async fn advance(inner: &Inner, region: &str, id: &str) {
    let Some(instance) = inner.regions.get(region).instances.get(id).cloned() else { return };
    let begun = Instant::now();
    match instance.state {
        State::Pending => {
            let booted = boot(inner, &instance);
            settle(inner, begun).await;
            match booted {
                Ok(()) => write(inner, region, id, State::Pending, |instance| instance.state = State::Running),
                // "Server.InternalError: Internal error on launch" is what EC2 says of a host that fails.
                Err(error) => end(inner, region, id, Some(format!("Server.InternalError: {error}"))),
            }
        }
        State::Stopping => {
            inner.machines.shut_down(id).await;
            settle(inner, begun).await;
            write(inner, region, id, State::Stopping, |instance| {
                instance.state = State::Stopped;
                instance.public_ip = None;
            });
        }
        State::ShuttingDown => {
            inner.machines.shut_down(id).await;
            inner.machines.scrap(id);
            settle(inner, begun).await;
            end(inner, region, id, None);
        }
        State::Running | State::Stopped | State::Terminated => {}
    }
}

async fn restart(inner: &Inner, region: &str, id: &str) {
    inner.machines.shut_down(id).await;
    let region = inner.regions.get(region);
    let Some(instance) = region.instances.get(id).filter(|instance| instance.state.is_up()) else { return };
    // One that does not come up again is seen in its console, as on EC2.
    let _booted = boot(inner, instance);
}

fn boot(inner: &Inner, instance: &Instance) -> std::io::Result<()> {
    let user_data = instance.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok());
    inner.machines.boot(&instance.id, instance.loopback, user_data.as_deref())
}

/// A change takes as long as it is set to, even if it was quicker.
async fn settle(inner: &Inner, begun: Instant) {
    let rest: Duration = inner.settle.saturating_sub(begun.elapsed());
    tokio::time::sleep(rest).await;
}

/// Writes a new state, if the instance is still where it was.
fn write(inner: &Inner, region: &str, id: &str, from: State, change: impl FnOnce(&mut Instance)) {
    let written = inner.regions.change(region, false, |region| {
        if let Some(instance) = region.instances.get_mut(id).filter(|instance| instance.state == from) {
            change(instance);
        }
        Ok(())
    });
    // A full disk leaves the old state; the next start of the local cloud tries again.
    drop(written);
}

fn end(inner: &Inner, region: &str, id: &str, reason: Option<String>) {
    let now = inner.clock.now().unix_timestamp();
    let written = inner.regions.change(region, false, |region| {
        if let (Some(instance), Some(reason)) = (region.instances.get_mut(id), reason) {
            instance.state_reason = Some(("Server.InternalError".to_owned(), reason));
        }
        Instance::ended(region, id, now);
        Ok(())
    });
    drop(written);
}

/// All of the request are there, or it is refused.
fn named(region: &Region, request: &Request<'_>) -> Result<Vec<String>, ApiError> {
    let ids = texts(&request.input["InstanceIds"]);
    if ids.is_empty() {
        return Err(errors::missing("InstanceId"));
    }
    for id in &ids {
        region.instance(id)?;
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn user_initiated(instance: &mut Instance, now: i64, what: &str) {
    let message = format!("Client.UserInitiatedShutdown: User initiated {what}");
    instance.state_reason = Some(("Client.UserInitiatedShutdown".to_owned(), message));
    let at = time::OffsetDateTime::from_unix_timestamp(now).ok();
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] GMT");
    let at = at.and_then(|at| at.format(&format).ok()).unwrap_or_default();
    instance.transition_reason = format!("User initiated ({at})");
}

fn change(instance: &Instance, before: State) -> Value {
    json!({"InstanceId": instance.id, "PreviousState": before.view(), "CurrentState": instance.state.view()})
}

fn cannot(instance: &Instance, what: &str) -> ApiError {
    let state = instance.state.name();
    errors::incorrect_state(format!(
        "The instance '{}' is not in a state from which it can be {what}: it is {state}.",
        instance.id
    ))
}
