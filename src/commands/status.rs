//! `pinfra status`: what exists, and whether it is as it was made.

use std::collections::BTreeSet;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::diff::{FieldChange, Shown, Views, diff};
use pinfra_engine::state::{Record, Status};
use pinfra_engine::value::is_hash;
use pinfra_engine::{Graph, KindInfo, Observation, observe};
use serde_json::{Value, json};

use super::context::Context;
use super::stacks::choose;
use super::{local, plan, stacks};
use crate::report::{Failure, count};

/// Shows the stack that `given` names. Returns whether it is healthy.
pub(super) async fn run(context: &Context, given: Option<&str>) -> Result<bool, Failure> {
    let chosen = choose(context, given)?;
    let Some(state) = chosen.state.filter(|state| !state.resources.is_empty()) else {
        context.result(
            &format!("stack {}: nothing is there\n", chosen.name),
            "status",
            json!({"stack": chosen.name, "resources": []}),
        )?;
        return Ok(false);
    };
    let Some(place) = state.place.clone() else {
        return Err(Failure::new(format!("it is not recorded where the stack `{}` lives", chosen.name))
            .hint("run `pinfra up` with its stack file"));
    };
    let target = stacks::recorded_target(&place);
    let connection = local::connect_if_running(context, target, &place.region).await?;
    let clients = Clients::connect(&connection).await?;
    plan::check_account(&state, &clients)?;
    let catalog = catalog(&clients);
    let observed = observe(&Graph::default(), &state, &catalog).await;
    let observed = observed.map_err(|unreadable| plan::cannot_read(&unreadable))?;
    let rows: Vec<(String, bool, String)> = state
        .resources
        .iter()
        .map(|(address, record)| {
            let kind = catalog.get(address.kind()).map(|kind| kind.info());
            let (healthy, condition) = condition(kind, record, observed.get(address));
            (address.to_string(), healthy, condition)
        })
        .collect();
    let sick = rows.iter().filter(|(_, healthy, _)| !healthy).count();
    let width = rows.iter().map(|(address, ..)| address.len()).max().unwrap_or(0);
    let paint = context.paint_out;
    let mut text = format!("stack {} on {} ({}, account {})\n", state.stack, place.target, place.region, place.account);
    for (address, healthy, condition) in &rows {
        let condition = if *healthy { paint.good(condition) } else { paint.bad(condition) };
        text.push_str(&format!("  {address:width$}  {condition}\n"));
    }
    text.push_str(&match sick {
        0 => format!("healthy: {}\n", count(rows.len(), "resource")),
        n => format!("not healthy: {n} of {}; `pinfra plan` says what to do\n", count(rows.len(), "resource")),
    });
    let resources: Vec<_> = rows
        .iter()
        .map(|(address, healthy, condition)| json!({"address": address, "healthy": healthy, "condition": condition}))
        .collect();
    context.result(
        &text,
        "status",
        json!({"stack": state.stack, "place": place, "healthy": sick == 0, "resources": resources}),
    )?;
    context.tell_requests(&clients)?;
    Ok(sick == 0)
}

/// Whether the cloud holds something else than is recorded. Secrets are recorded as hashes, so what is one cannot be
/// compared without the stack file: `plan` does that.
fn differs(kind: Option<&'static KindInfo>, recorded: &Value, live: &Value) -> bool {
    let Some(info) = kind else { return recorded != live };
    let (secrets, salt) = (&BTreeSet::new(), "");
    let views = Views { desired: recorded, secrets, recorded: None, live: Some(live), salt };
    let is_known = |change: &FieldChange| {
        let in_hash = change.path.split('.').any(|part| part.starts_with('$'));
        !in_hash && !matches!(&change.after, Shown::Value(value) if holds_hash(value))
    };
    diff(info, &views).iter().any(is_known)
}

fn holds_hash(value: &Value) -> bool {
    match value {
        Value::Object(map) => is_hash(value) || map.values().any(holds_hash),
        Value::Array(items) => items.iter().any(holds_hash),
        _ => false,
    }
}

fn condition(kind: Option<&'static KindInfo>, record: &Record, observation: Option<&Observation>) -> (bool, String) {
    match observation {
        Some(Observation::Theirs { owner, .. }) => (false, owner.clone()),
        Some(Observation::Absent) | None => (false, "gone".to_owned()),
        Some(Observation::Present { live, .. }) => match &record.status {
            Status::Tainted { reason } => (false, format!("half-made: {reason}")),
            Status::Begun | Status::Named => (false, "interrupted while it was being made".to_owned()),
            Status::Settled if differs(kind, &record.inputs, &live.inputs) => {
                (false, "changed outside of pinfra".to_owned())
            }
            Status::Settled => (true, "ready".to_owned()),
        },
    }
}
