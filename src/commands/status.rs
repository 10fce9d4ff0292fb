//! `pinfra status`: what exists, and whether it is as it was made.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::Int64Array;
use pinfra_aws::{Clients, catalog};
use pinfra_engine::diff::{FieldChange, Shown, Views, diff};
use pinfra_engine::resource::{Kind, LiveValue};
use pinfra_engine::state::{Record, Status};
use pinfra_engine::value::{is_hash, with_secrets_of};
use pinfra_engine::{Graph, KindInfo, Observation, observe};
use pinfra_workers::clean::Cleaning;
use pinfra_workers::config::CleanedTable;
use pinfra_workers::lake::Lake;
use pinfra_workers::query::{TableSet, query};
use serde_json::{Value, json};

use super::context::Context;
use super::deployed::{self, Deployed};
use super::stacks::choose;
use super::{events, plan};
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
    let clients = deployed::connect(context, &state, &place).await?;
    let catalog = catalog(&clients);
    let observed = observe(&Graph::default(), &state, &catalog).await;
    let observed = observed.map_err(|unreadable| plan::cannot_read(&unreadable))?;
    let rows: Vec<(String, bool, String)> = state
        .resources
        .iter()
        .map(|(address, record)| {
            let (healthy, condition) =
                condition(catalog.get(address.kind()).map(|kind| &**kind), record, observed.get(address));
            (address.to_string(), healthy, condition)
        })
        .collect();
    let deployed = Deployed::of(&state);
    let lake = lake(context, &clients, &deployed).await;
    // After the tables, which may take long to read: its age is told.
    let heartbeat = deployed.heartbeat(&clients).await?;
    let told = events::tell(&deployed, heartbeat.as_ref(), &lake, context.paint_out);
    let sick = rows.iter().filter(|(_, healthy, _)| !healthy).count();
    let width = rows.iter().map(|(address, ..)| address.len()).max().unwrap_or(0);
    let paint = context.paint_out;
    let mut text = format!("stack {} on {} ({}, account {})\n", state.stack, place.target, place.region, place.account);
    for (address, healthy, condition) in &rows {
        let condition = if *healthy { paint.good(condition) } else { paint.bad(condition) };
        text.push_str(&format!("  {address:width$}  {condition}\n"));
    }
    text.push_str(&told.text);
    text.push_str(&match (sick, told.healthy) {
        (0, true) => format!("healthy: {}\n", count(rows.len(), "resource")),
        (0, false) => "not healthy: see the workers and events above; `pinfra logs WORKER` says more\n".to_owned(),
        (n, _) => format!("not healthy: {n} of {}; `pinfra plan` says what to do\n", count(rows.len(), "resource")),
    });
    let resources: Vec<_> = rows
        .iter()
        .map(|(address, healthy, condition)| json!({"address": address, "healthy": healthy, "condition": condition}))
        .collect();
    let healthy = sick == 0 && told.healthy;
    context.result(
        &text,
        "status",
        json!({"stack": state.stack, "place": place, "healthy": healthy, "resources": resources,
            "workers": told.workers, "events": told.events}),
    )?;
    context.tell_requests(&clients)?;
    Ok(healthy)
}

/// How long `status` counts versions, for which a column of every table is read.
const COUNTING: Duration = Duration::from_secs(8);

/// What the tables of the lake say of themselves. A table that takes too long, or that cannot be read, is told and left
/// out.
async fn lake(context: &Context, clients: &Clients, deployed: &Deployed) -> events::Lake {
    let mut told = events::Lake::default();
    let Some(bucket) = &deployed.bucket else { return told };
    let lake = match Lake::with(bucket, &clients.sdk) {
        Ok(lake) => lake,
        Err(error) => {
            context.fail(&Failure::from_error(&error));
            return told;
        }
    };
    let streamed = deployed.tables.iter().filter(|table| table.stream.is_some()).map(|table| (TableSet::Stream, table));
    let stored = deployed.tables.iter().filter(|table| table.topic.is_some()).map(|table| (TableSet::Batch, table));
    let tables: Vec<_> = streamed.chain(stored).collect();
    let counts = tables.iter().map(|(set, table)| tokio::time::timeout(COUNTING, versions_of(&lake, *set, table)));
    let counts = futures::future::join_all(counts).await;
    for ((set, table), count) in tables.iter().zip(counts) {
        match count {
            Ok(Ok(count)) => told.of_table(*set, &table.name, count),
            Ok(Err(failure)) => context.fail(&failure),
            Err(_) => context.tell(&format!(
                "the versions of `{}` in `tables/{}` were not counted: reading it takes more than {} s",
                table.name,
                set.name(),
                COUNTING.as_secs()
            )),
        }
    }
    told
}

/// `None` before there is a row.
async fn versions_of(lake: &Lake, set: TableSet, table: &CleanedTable) -> Result<Option<u64>, Failure> {
    let url = lake.table_url(set.name(), &table.name);
    if Box::pin(lake.open_table(&url)).await.map_err(|error| Failure::from_error(&error))?.is_none() {
        return Ok(None);
    }
    let cleaning = Cleaning::new(&table.name, &table.key, &table.sql).await;
    let cleaning = cleaning.map_err(|error| Failure::from_error(&error))?;
    // The first column is the row's key.
    let key = cleaning.schema().field(0).name().replace('"', "\"\"");
    let sql = format!("SELECT count(*) - count(DISTINCT \"{key}\") AS versions FROM \"{}\"", table.name);
    let answer = Box::pin(query(lake, set, std::slice::from_ref(&table.name), &sql)).await;
    let rows = match answer {
        Ok(answer) => answer.all().await,
        Err(error) => Err(error),
    };
    let rows = rows.map_err(|error| Failure::from_error(&error))?;
    let count = rows.first().and_then(|batch| batch.column(0).as_any().downcast_ref::<Int64Array>()?.iter().next()?);
    Ok(count.and_then(|count| u64::try_from(count).ok()))
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

/// Why an object will never work, as the kinds of objects tell it that can fail while nobody looks.
fn failure(outputs: &Value) -> Option<&str> {
    outputs.get("failure").and_then(Value::as_str)
}

fn condition(kind: Option<&dyn Kind>, record: &Record, observation: Option<&Observation>) -> (bool, String) {
    // What the cloud filled in by itself is no difference, and what is a secret none that could be told here.
    let comparable = |live: &LiveValue| {
        let asked = with_secrets_of(&record.inputs, Some(&live.inputs));
        kind.and_then(|kind| kind.comparable(live, &asked, None)).unwrap_or_else(|| live.inputs.clone())
    };
    match observation {
        Some(Observation::Theirs { owner, .. }) => (false, owner.clone()),
        Some(Observation::Absent) | None => (false, "gone".to_owned()),
        Some(Observation::Present { live, .. }) => match &record.status {
            Status::Tainted { reason } => (false, format!("half-made: {reason}")),
            Status::Begun | Status::Named => {
                (false, "being made or changed when the last run ended; the next one goes on".to_owned())
            }
            Status::Settled if failure(&live.outputs).is_some() => {
                (false, format!("failed: {}", failure(&live.outputs).unwrap_or_default()))
            }
            Status::Settled if differs(kind.map(Kind::info), &record.inputs, &comparable(live)) => {
                (false, "changed outside of pinfra".to_owned())
            }
            Status::Settled => (true, "ready".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Live;

    use super::*;

    #[test]
    fn what_failed_says_why() {
        let record: Record = serde_json::from_value(json!({
            "id": "arn:c", "status": "settled", "inputs": {"name": "s3"}, "outputs": {"arn": "arn:c"}
        }))
        .unwrap();
        let live = |outputs: Value| Observation::Present {
            id: "arn:c".to_owned(),
            live: Live { inputs: json!({"name": "s3"}), outputs },
        };
        let failed = live(json!({"arn": "arn:c", "failure": "NoSuchBucket: the bucket is gone"}));
        let told = condition(None, &record, Some(&failed));
        assert_eq!(told, (false, "failed: NoSuchBucket: the bucket is gone".to_owned()));
        assert_eq!(condition(None, &record, Some(&live(json!({"arn": "arn:c"})))), (true, "ready".to_owned()));
        assert_eq!(condition(None, &record, Some(&Observation::Absent)), (false, "gone".to_owned()));
    }
}
