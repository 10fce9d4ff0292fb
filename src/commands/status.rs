//! `pinfra status`: what exists, and whether it is as it was made.

mod condition;

use std::time::Duration;

use arrow::array::Int64Array;
use condition::{Health, condition};
use pinfra_aws::{Clients, catalog};
use pinfra_engine::{Action, Graph, observe};
use pinfra_workers::clean::Cleaning;
use pinfra_workers::config::CleanedTable;
use pinfra_workers::lake::Lake;
use pinfra_workers::query::{TableSet, query};
use serde_json::json;

use super::context::Context;
use super::deployed::{self, Deployed};
use super::last_run::Run;
use super::stacks::choose;
use super::{events, plan};
use crate::report::{Failure, count};

/// Shows the stack that `given` names. Returns whether it is healthy.
pub(super) async fn run(context: &Context, given: Option<&str>) -> Result<bool, Failure> {
    let chosen = choose(context, given)?;
    let Some(state) = chosen.state.filter(|state| !state.resources.is_empty()) else {
        let file = chosen.file.map_or("STACK.yaml".to_owned(), |file| file.source.path.display().to_string());
        context.result(
            &format!("stack {}: nothing is there; `pinfra up {file}` makes it\n", chosen.name),
            "status",
            json!({"stack": chosen.name, "resources": []}),
        )?;
        return Ok(false);
    };
    let Some(place) = state.place.clone() else {
        return Err(Failure::new(format!("it is not recorded where the stack `{}` lives", chosen.name))
            .hint("run `pinfra up` with its stack file"));
    };
    let run = Run::of(context, &chosen.name, &state)?;
    let clients = deployed::connect(context, &state, &place).await?;
    let catalog = catalog(&clients);
    let observed = observe(&Graph::default(), &state, &catalog).await;
    let observed = observed.map_err(|unreadable| plan::cannot_read(&unreadable))?;
    let rows: Vec<(String, Health, String)> = state
        .resources
        .iter()
        .map(|(address, record)| {
            let kind = catalog.get(address.kind()).map(|kind| &**kind);
            let mut open = state.open.values().filter(|begun| begun.address == *address);
            let going = open.any(|begun| begun.action == Action::Delete);
            let (health, said) = condition(kind, record, observed.get(address), going);
            (address.to_string(), health, said)
        })
        .collect();
    let deployed = Deployed::of(&state);
    let lake = lake(context, &clients, &deployed).await;
    // After the tables, which may take long to read: its age is told.
    let heartbeat = deployed.heartbeat(&clients).await?;
    let told = events::tell(&deployed, heartbeat.as_ref(), &lake, context.paint_out);
    let healths: Vec<Health> = rows.iter().map(|(_, health, _)| *health).collect();
    let healthy = told.healthy && run != Some(Run::HalfDown) && healths.iter().all(|health| *health == Health::Well);
    let width = rows.iter().map(|(address, ..)| address.len()).max().unwrap_or(0);
    let paint = context.paint_out;
    let mut text = format!("stack {} on {} ({}, account {})\n", state.stack, place.target, place.region, place.account);
    for (address, health, said) in &rows {
        let said = if *health == Health::Well { paint.good(said) } else { paint.bad(said) };
        text.push_str(&format!("  {address:width$}  {said}\n"));
    }
    text.push_str(&told.text);
    text.push_str(&format!("{}\n", verdict(&chosen.name, &healths, told.healthy, run.as_ref())));
    let resources: Vec<_> = rows
        .iter()
        .map(|(address, health, said)| {
            json!({"address": address, "healthy": *health == Health::Well, "condition": said})
        })
        .collect();
    context.result(
        &text,
        "status",
        json!({"stack": state.stack, "place": place, "healthy": healthy, "resources": resources,
            "half_down": run == Some(Run::HalfDown), "workers": told.workers, "events": told.events}),
    )?;
    context.tell_requests(&clients)?;
    Ok(healthy)
}

/// What it all comes to, and which command goes on from there.
fn verdict(stack: &str, healths: &[Health], works: bool, run: Option<&Run>) -> String {
    let number = |wanted: Health| healths.iter().filter(|health| **health == wanted).count();
    let (mendable, ailing) = (number(Health::Mendable), number(Health::Ailing));
    let all = count(healths.len(), "resource");
    match run {
        Some(Run::HalfDown) => {
            return format!(
                "half gone: `pinfra down` began to destroy this stack and has {all} left; `pinfra down {stack}` goes on, \
                 `pinfra up` makes what is gone again"
            );
        }
        Some(Run::AtWork(who)) => return format!("{who}: what is told here may have changed since"),
        None => {}
    }
    match (mendable, ailing, works) {
        (0, 0, true) => format!("healthy: {all}; `pinfra drift` also tells what is there besides"),
        (0, 0, false) => "not healthy: see the workers and events above; `pinfra logs WORKER` says more".to_owned(),
        (0, n, _) => format!(
            "not healthy: {n} of {all}, which are as asked for, so that `pinfra up` would change nothing: look again later, \
             `pinfra drift` says more"
        ),
        (n, m, _) => format!("not healthy: {} of {all}; `pinfra plan` says what to do", n + m),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_the_command_that_goes_on() {
        let (well, gone, ails) = (Health::Well, Health::Mendable, Health::Ailing);
        let at_work = Run::AtWork("`pinfra up` of ann@desk (pid 7) is at work on it".to_owned());
        for (healths, works, run, starts, names) in [
            (vec![well, well], true, None, "healthy: 2 resources", "`pinfra drift`"),
            (vec![well, well], false, None, "not healthy", "`pinfra logs WORKER`"),
            (vec![well, gone], true, None, "not healthy: 1 of 2 resources", "`pinfra plan`"),
            (vec![gone, ails], true, None, "not healthy: 2 of 2 resources", "`pinfra plan`"),
            (vec![well, ails], true, None, "not healthy: 1 of 2 resources", "`pinfra drift`"),
            (vec![well, well], true, Some(Run::HalfDown), "half gone", "`pinfra down pins` goes on"),
            (vec![gone], true, Some(at_work), "`pinfra up` of ann@desk", "may have changed since"),
        ] {
            let said = verdict("pins", &healths, works, run.as_ref());
            assert!(said.starts_with(starts) && said.contains(names), "{said}");
        }
    }
}
