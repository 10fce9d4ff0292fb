//! `pinfra query`: an analysis by name, or any SQL, over the Delta tables of a stack. Reads only.

use std::path::Path;
use std::sync::Arc;

use pinfra_engine::State;
use pinfra_workers::lake::Lake;
use pinfra_workers::query::{QueryError, SqlError, TableSet, query};
use serde_json::json;

use super::context::Context;
use super::stacks::{Chosen, choose};
use super::{deployed, local, stacks};
use crate::cli::{EventPath, RowFormat};
use crate::report::Failure;
use crate::report::rows::Rows;
use crate::spec::nearest::nearest;
use crate::spec::{self, Analysis, Problems, Source, Stack};

/// What was asked on the command line.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// An analysis; the stack when there is SQL.
    pub(super) name: Option<&'a str>,
    /// The stack.
    pub(super) stack: Option<&'a str>,
    /// A query.
    pub(super) sql: Option<&'a str>,
    /// Which tables.
    pub(super) from: Option<EventPath>,
    /// How to print the answer.
    pub(super) format: RowFormat,
}

/// Asks, or lists what can be asked.
pub(super) async fn run(context: &Context, asked: Asked<'_>) -> Result<(), Failure> {
    match (asked.sql, asked.name) {
        (Some(_), Some(name)) if asked.stack.is_some() => {
            Err(Failure::new(format!("`{name}` and `--sql` are two queries")).hint("name an analysis or give SQL"))
        }
        (Some(sql), stack) => {
            let sql = Arc::new(Source::new("--sql", sql));
            ask(context, &choose(context, stack)?, &sql, asked).await
        }
        // A stack file in the place of an analysis: its analyses are listed.
        (None, Some(name)) if name.ends_with(".yaml") || name.ends_with(".yml") => {
            list(context, &known(Some(&stacks::load(Path::new(name))?))?)
        }
        (None, Some(name)) => {
            let file = asked.stack.filter(|stack| Path::new(stack).is_file());
            let file = file.map(|file| stacks::load(Path::new(file))).transpose()?;
            let analysis = find(name, known(file.as_ref())?)?;
            ask(context, &choose(context, asked.stack)?, &analysis.sql, asked).await
        }
        (None, None) => list(context, &known(None)?),
    }
}

/// The analyses of a stack file, or those that are built in.
fn known(stack: Option<&Stack>) -> Result<Vec<Analysis>, Failure> {
    match stack {
        Some(stack) => {
            let source = Arc::clone(&stack.source);
            spec::analyses(stack).map_err(|problem| Failure::Problems(Problems::new(source, vec![problem])))
        }
        None => Ok(spec::built_in_analyses()),
    }
}

fn find(name: &str, mut analyses: Vec<Analysis>) -> Result<Analysis, Failure> {
    if let Some(at) = analyses.iter().position(|analysis| analysis.name == name) {
        return Ok(analyses.swap_remove(at));
    }
    let names = analyses.iter().map(|analysis| analysis.name.as_str());
    let near = nearest(name, names.clone()).or_else(|| names.clone().find(|known| known.starts_with(name)));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("there are {}; those of a stack's own are found by its file: `pinfra query {name} STACK.yaml`", {
                names.collect::<Vec<_>>().join(", ")
            })
        }
    };
    Err(Failure::new(format!("there is no analysis `{name}`")).hint(hint))
}

fn list(context: &Context, analyses: &[Analysis]) -> Result<(), Failure> {
    let width = analyses.iter().map(|analysis| analysis.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for analysis in analyses {
        let question = analysis.question().unwrap_or_default();
        text.push_str(format!("{:width$}  {question}", analysis.name).trim_end());
        text.push('\n');
    }
    let values: Vec<_> =
        analyses.iter().map(|analysis| json!({"name": analysis.name, "question": analysis.question()})).collect();
    context.result(&text, "analyses", json!({ "analyses": values }))
}

async fn ask(context: &Context, chosen: &Chosen, sql: &Arc<Source>, asked: Asked<'_>) -> Result<(), Failure> {
    let gone = || {
        Failure::new(format!("the stack `{}` has no lake to ask, since nothing of it is there", chosen.name))
            .hint("`pinfra up` makes it")
    };
    let state = chosen.state.as_ref().filter(|state| !state.resources.is_empty()).ok_or_else(gone)?;
    let place = state.place.as_ref().ok_or_else(gone)?;
    let Some(bucket) = deployed::bucket(state) else {
        return Err(Failure::new(format!("the stack `{}` has no lake", chosen.name))
            .hint("add `lake: {}` and a cleaner to its stack file"));
    };
    let target = stacks::recorded_target(place);
    let connection = local::connect_if_running(context, target, &place.region).await?;
    let config = Box::pin(connection.sdk_config()).await;
    let lake = Lake::with(&bucket, &config).map_err(|error| Failure::from_error(&error))?;
    let tables = tables(state, chosen.file.as_ref());
    let answer = Box::pin(query(&lake, set(asked.from, state), &tables, &sql.text)).await;
    let mut answer = answer.map_err(|error| failure(sql, error))?;
    let mut rows = Rows::new(asked.format, context.global.json, &answer.schema());
    while let Some(batch) = answer.next().await.map_err(|error| failure(sql, error))? {
        if !rows.write(&batch)? {
            break;
        }
    }
    let left_out = rows.finish()?;
    if left_out {
        context.tell("there are more rows; `--format csv` and `--format json` print all of them");
    }
    Ok(())
}

/// The tables that are asked for, or those that the stack fills by itself.
fn set(from: Option<EventPath>, state: &State) -> TableSet {
    let streams = state.resources.keys().any(|address| address.kind() == "kinesis/stream");
    match from {
        Some(EventPath::Batch) => TableSet::Batch,
        Some(EventPath::Stream) => TableSet::Stream,
        None if streams => TableSet::Stream,
        None => TableSet::Batch,
    }
}

/// The names of the stack's tables: each has a stream or a topic of its name, and the file lists those that it has now.
fn tables(state: &State, file: Option<&Stack>) -> Vec<String> {
    let carriers = state.resources.keys().filter(|address| matches!(address.kind(), "kinesis/stream" | "msk/topic"));
    let mut names: Vec<String> = carriers.map(|address| address.name().to_owned()).collect();
    names.extend(file.iter().flat_map(|stack| &stack.tables).map(|table| table.name.value.clone()));
    names.sort();
    names.dedup();
    names
}

fn failure(sql: &Arc<Source>, error: QueryError) -> Failure {
    match error {
        QueryError::Sql(error) => wrong(sql, &error),
        QueryError::NoRows { .. } => Failure::from_error(&error)
            .hint("`pinfra status` shows what has arrived, and `pinfra logs cleaner` why not"),
        QueryError::Lake(_) | QueryError::Run(_) => Failure::from_error(&error),
    }
}

/// A mistake in SQL, drawn as those of stack files are.
fn wrong(sql: &Arc<Source>, error: &SqlError) -> Failure {
    Failure::Problems(Problems::new(Arc::clone(sql), vec![spec::sql_problem(error, sql)]))
}
