//! `pinfra clean`: what the connector has stored becomes rows of the batch tables, here and now, with the user's
//! credentials. The cleaner on the client machine does the same on its schedule; both may run at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pinfra_engine::{Address, State};
use pinfra_workers::batch::{BatchError, Counts, Options, Progress, clean};
use pinfra_workers::config::CleanedTable;
use pinfra_workers::lake::Lake;
use serde_json::{Value, json};

use super::context::Context;
use super::deployed::{self, Deployed};
use super::stacks::{Chosen, choose};
use super::{local, plan, stacks};
use crate::report::columns::{aligned, number};
use crate::report::spinner::Spinner;
use crate::report::{Failure, count};
use crate::spec::nearest::nearest;

/// How often progress is shown.
const LOOK: Duration = Duration::from_millis(200);

/// What was asked on the command line.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The stack.
    pub(super) stack: Option<&'a str>,
    /// Make the tables anew from all objects.
    pub(super) full: bool,
    /// Only these tables; all when empty.
    pub(super) tables: &'a [String],
}

/// A table and what became of it.
struct Done {
    table: String,
    counts: Counts,
    took: Duration,
}

/// Cleans, and prints what it did to each table.
pub(super) async fn run(context: &Context, asked: Asked<'_>) -> Result<(), Failure> {
    let chosen = choose(context, asked.stack)?;
    let gone = || {
        Failure::new(format!("the stack `{}` has no lake to clean, since nothing of it is there", chosen.name))
            .hint("`pinfra up` makes it")
    };
    let state = chosen.state.as_ref().filter(|state| !state.resources.is_empty()).ok_or_else(gone)?;
    let place = state.place.as_ref().ok_or_else(gone)?;
    let tables = wanted(tables(&chosen, state)?, asked.tables)?;
    let Some(bucket) = deployed::bucket(state) else {
        return Err(Failure::new(format!("the stack `{}` has no lake", chosen.name)).hint("add `lake: {}`"));
    };
    let connection = local::connect_if_running(context, stacks::recorded_target(place), &place.region).await?;
    let clients = pinfra_aws::Clients::connect(&connection).await?;
    plan::check_account(state, &clients)?;
    let config = Box::pin(connection.sdk_config()).await;
    let lake = Lake::with(&bucket, &config).map_err(|error| Failure::from_error(&error))?;
    let options = Options { full: asked.full, ..Options::alone() };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for table in &tables {
        let started = Instant::now();
        let counts = match cleaned(context, &lake, table, options).await {
            Ok(counts) => counts,
            Err(error) => {
                let counts = error.done();
                failed.push(error);
                counts
            }
        };
        done.push(Done { table: table.name.clone(), counts, took: started.elapsed() });
    }
    tell(context, &done, failed.is_empty(), asked.full)?;
    match failed.first() {
        Some(error) => Err(Failure::from_error(error).hint(
            "what is in the table above is committed; `pinfra clean` goes on from there, whatever was interrupted",
        )),
        None => Ok(()),
    }
}

/// The tables that have a topic: as the cleaner was told of them, or as the stack file has them.
fn tables(chosen: &Chosen, state: &State) -> Result<Vec<CleanedTable>, Failure> {
    let mut tables: Vec<CleanedTable> = Deployed::of(state).tables;
    if tables.is_empty() {
        for table in chosen.file.iter().flat_map(|file| &file.tables) {
            let topic = state.resources.get(&Address::new("msk/topic", table.name.value.clone()));
            let topic = topic.and_then(|record| record.outputs.get("name")?.as_str().map(str::to_owned));
            let (name, key) = (table.name.value.clone(), table.key.value.clone());
            if let Some(sql) = &table.sql {
                tables.push(CleanedTable { name, key, stream: None, topic, sql: sql.text.to_string() });
            }
        }
    }
    tables.retain(|table| table.topic.is_some());
    if tables.is_empty() {
        return Err(Failure::new(format!("the stack `{}` has no table that comes by Kafka", chosen.name)).hint(
            "it takes `cluster`, `connector` and a cleaner; of a stack without a cleaner, give the file: its tables \
             are not recorded",
        ));
    }
    Ok(tables)
}

fn wanted(tables: Vec<CleanedTable>, names: &[String]) -> Result<Vec<CleanedTable>, Failure> {
    for name in names {
        if !tables.iter().any(|table| table.name == *name) {
            let known = tables.iter().map(|table| table.name.as_str());
            let hint = match nearest(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::new(format!("there is no table `{name}` that comes by Kafka")).hint(hint));
        }
    }
    Ok(tables.into_iter().filter(|table| names.is_empty() || names.contains(&table.name)).collect())
}

/// Cleans one table, and shows how far it is.
async fn cleaned(context: &Context, lake: &Lake, table: &CleanedTable, options: Options) -> Result<Counts, BatchError> {
    let progress = Arc::new(Progress::default());
    let spinner = Spinner::new(context.reader());
    let mut work = Box::pin(clean(lake, table, options, &progress));
    let result = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(LOOK) => {
                let load = |counter: &std::sync::atomic::AtomicU64| number(counter.load(Ordering::Relaxed));
                let (records, objects) = (load(&progress.records), load(&progress.objects));
                spinner.say(format!("{}: {records} records of {objects} objects", table.name));
            }
        }
    };
    spinner.finish();
    let strangers = usize::try_from(progress.strangers.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    if strangers > 0 {
        let objects = count(strangers, "object");
        context.tell(&format!("{}: {objects} not named as the connector names them, left alone", table.name));
    }
    result
}

fn tell(context: &Context, done: &[Done], all_well: bool, full: bool) -> Result<(), Failure> {
    let values: Vec<Value> = done.iter().map(as_json).collect();
    let nothing = done.iter().all(|done| done.counts.objects == 0);
    let text = if nothing && !all_well {
        String::new()
    } else if nothing && !full {
        "nothing is new\n".to_owned()
    } else {
        let head = ["", "objects", "read", "rows", "rejected", "duplicates", "seconds"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(done.iter().map(row));
        aligned(&rows)
    };
    context.result(&text, "cleaned", json!({ "tables": values }))
}

fn row(done: &Done) -> Vec<String> {
    let Counts { objects, read, rows, rejected, duplicates, probes } = done.counts;
    // As `status` counts: a probe is no event.
    let read = read.saturating_sub(probes);
    let mut row = vec![done.table.clone()];
    row.extend([objects, read, rows, rejected, duplicates].map(number));
    row.push(format!("{:.1}", done.took.as_secs_f64()));
    row
}

fn as_json(done: &Done) -> Value {
    let mut value = json!(done.counts);
    value["table"] = json!(done.table);
    value["seconds"] = json!((done.took.as_secs_f64() * 1000.0).round() / 1000.0);
    value
}
