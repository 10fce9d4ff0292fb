//! `pinfra validate STACK`: checks the file and contacts nobody.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::Global;
use crate::report::diagnostic::{Look, draw, events};
use crate::report::out;
use crate::spec::{self, Capacity, Problems, Stack};

/// Checks the file; everything that is wrong goes to stderr, or as events to stdout.
pub(super) fn run(path: &Path, global: &Global) -> ExitCode {
    match spec::load(path, &spec::environment_variable) {
        Ok(stack) => {
            let warned = show(&stack.warnings(), global);
            if global.json {
                let event = json!({ "event": "valid", "file": path.display().to_string(), "stack": *stack.name });
                return first_failure(warned, super::print(&format!("{event}\n")));
            }
            if !global.quiet {
                out::note(&format!("{} is right: {}", path.display(), summary(&stack)));
            }
            warned
        }
        Err(problems) => {
            show(&problems, global);
            ExitCode::FAILURE
        }
    }
}

fn show(problems: &Problems, global: &Global) -> ExitCode {
    if global.json {
        return super::print(&events(problems));
    }
    // A warning is neither an error nor a result.
    let hushed = global.quiet && problems.errors() == 0;
    if !problems.is_empty() && !hushed {
        out::note(&draw(problems, Look::for_stderr(global.color)));
    }
    ExitCode::SUCCESS
}

fn first_failure(first: ExitCode, second: ExitCode) -> ExitCode {
    if first == ExitCode::SUCCESS { second } else { first }
}

/// `3 tables, 3 streams of 1 shard, a lake; local, us-east-1`.
fn summary(stack: &Stack) -> String {
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let mut parts = vec![count(stack.tables.len(), "table")];
    if let Some(streams) = &stack.streams {
        let each = match streams.capacity() {
            Capacity::OnDemand => "on demand".to_owned(),
            Capacity::Provisioned { shards } if shards.from_env => "with shards from the environment".to_owned(),
            Capacity::Provisioned { shards } if stack.tables.len() == 1 => {
                format!("of {}", count(*shards.get() as usize, "shard"))
            }
            Capacity::Provisioned { shards } => format!("of {} each", count(*shards.get() as usize, "shard")),
        };
        parts.push(format!("{} {each}", count(stack.tables.len(), "stream")));
    }
    if let Some(lake) = &stack.lake {
        parts.push(match &lake.existing {
            Some(bucket) => format!("the lake `{bucket}`"),
            None => "a lake".to_owned(),
        });
    }
    let others = stack.sections_not_built();
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|(section, _)| *section).collect();
        parts.push(format!("and {}", names.join(", ")));
    }
    format!("{}; {}, {}", parts.join(", "), stack.target.name(), stack.region)
}
