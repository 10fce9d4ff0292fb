//! `pinfra validate STACK`: checks the file and contacts nobody.

use std::path::Path;

use serde_json::json;

use super::context::Context;
use super::stacks;
use crate::report::{Failure, count};
use crate::spec::{Capacity, Stack};

/// Checks the file; everything that is wrong goes to stderr, or as events to stdout.
pub(super) fn run(context: &Context, path: &Path) -> Result<(), Failure> {
    let stack = stacks::load_with_sql(path)?;
    context.warn(&stack.warnings())?;
    context.tell(&format!("{} is right: {}", path.display(), summary(&stack)));
    if context.global.json {
        context.result("", "valid", json!({ "file": path.display().to_string(), "stack": *stack.name }))?;
    }
    Ok(())
}

/// `3 tables, 3 streams of 1 shard, a lake; local, us-east-1`.
fn summary(stack: &Stack) -> String {
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
