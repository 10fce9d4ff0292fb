//! The stacks that are recorded under the state folder, and which one a command means.

use std::path::Path;
use std::sync::Arc;

use pinfra_engine::state::{Life, Place, Recovered, Shelf, State, lock_status};
use pinfra_engine::{Graph, Lock, StateStore};
use serde_json::json;

use super::context::Context;
use super::home::Home;
use crate::cli::TargetArg;
use crate::report::{Failure, count};
use crate::spec::{self, Checks, Stack, Target};

/// The folder of the local cloud, which is not a stack's.
pub(super) const LOCAL: &str = "local";

/// A stack that a command was pointed at.
pub(super) struct Chosen {
    /// Its name.
    pub(super) name: String,
    /// Its stack file, when that is how it was named.
    pub(super) file: Option<Stack>,
    /// What is recorded of it, read without a lock.
    pub(super) state: Option<State>,
}

/// The stack that `given` names: a stack file, a name, or nothing when only one is recorded.
pub(super) fn choose(context: &Context, given: Option<&str>) -> Result<Chosen, Failure> {
    let Some(given) = given else {
        let home = context.home()?;
        let mut names = recorded(home)?;
        return match names.len() {
            1 => by_name(context, names.remove(0)),
            // One that was taken down has left its folder, and is meant when there is no other.
            0 => match known(home)?.as_slice() {
                [name] if read(context, name)?.is_some() => by_name(context, name.clone()),
                _ => Err(Failure::new(format!("no stack is recorded under `{home}`")).hint(where_else())),
            },
            n => Err(Failure::new(format!("{} are recorded: {}", count(n, "stack"), names.join(", ")))
                .hint("name the one that you mean")),
        };
    };
    if looks_like_a_file(given) {
        let file = load(Path::new(given))?;
        let state = read(context, &file.name)?;
        return Ok(Chosen { name: file.name.value.clone(), state, file: Some(file) });
    }
    by_name(context, given.to_owned())
}

/// Where a stack may be of which nothing is recorded here.
fn where_else() -> String {
    match files_here().as_slice() {
        [(file, _)] => format!(
            "`pinfra up {file}` makes the one of that file; if its state was lost, `pinfra down {file}` finds what is left. \
             Elsewhere, run this where it was made or use `--state`"
        ),
        _ => "`pinfra up STACK.yaml` makes one; if its state was lost, `pinfra down STACK.yaml` finds what is left. \
              Elsewhere, run this where it was made or use `--state`"
            .to_owned(),
    }
}

/// The stack files of the working folder, with the names of their stacks.
fn files_here() -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(".") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml") || name.ends_with(".yml")).collect();
    names.sort();
    let stack = |file: &str| load(Path::new(file)).ok().map(|stack| stack.name.value);
    names.into_iter().filter_map(|file| stack(&file).map(|stack| (file, stack))).collect()
}

/// Whether a command was given a stack file, and not a name.
pub(super) fn looks_like_a_file(given: &str) -> bool {
    given.ends_with(".yaml") || given.ends_with(".yml") || Path::new(given).is_file()
}

/// Refuses what cannot be the name of a stack.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if is_a_name(name) {
        return Ok(());
    }
    Err(Failure::new(format!("`{name}` is neither a stack file nor the name of a stack")))
}

fn by_name(context: &Context, name: String) -> Result<Chosen, Failure> {
    check_name(&name)?;
    let state = read(context, &name)?;
    if state.is_none() {
        let home = context.home()?;
        let known = recorded(home)?;
        let file = files_here().into_iter().find(|(_, stack)| *stack == name).map(|(file, _)| file);
        let lost = match file {
            Some(file) => format!("if its state was lost, give its file `{file}` instead of its name"),
            None => "if its state was lost, give its stack file instead of its name".to_owned(),
        };
        let known = if known.is_empty() { String::new() } else { format!("recorded are {}; ", known.join(", ")) };
        return Err(
            Failure::new(format!("no stack `{name}` is recorded under `{home}`")).hint(format!("{known}{lost}"))
        );
    }
    Ok(Chosen { name, file: None, state })
}

/// Never more than a folder below the state folder.
fn is_a_name(text: &str) -> bool {
    !text.is_empty() && text != LOCAL && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Where a stack's state is kept.
pub(super) fn shelf(context: &Context, name: &str) -> Result<Arc<dyn Shelf>, Failure> {
    Ok(context.home()?.shelf(name))
}

/// What is recorded of a stack, without its lock; `None` when nothing is.
pub(super) fn read(context: &Context, name: &str) -> Result<Option<State>, Failure> {
    Ok(StateStore::load(&*shelf(context, name)?, name)?)
}

/// The names of the stacks of which something is recorded, in order.
pub(super) fn recorded(home: &Home) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for name in known(home)? {
        let state = StateStore::load(&*home.shelf(&name), &name)?;
        if state.is_some_and(|state| !state.resources.is_empty() || !state.open.is_empty()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The names of the stacks that have a folder, in order, whatever is in it.
pub(super) fn known(home: &Home) -> Result<Vec<String>, Failure> {
    let mut names = home.names()?;
    names.retain(|name| is_a_name(name));
    Ok(names)
}

/// Reads a stack file. Warnings are for `validate`; here only what is wrong counts.
pub(super) fn load(path: &Path) -> Result<Stack, Failure> {
    Ok(spec::load(path, &spec::environment_variable, Checks::File)?)
}

/// Reads a stack file and the SQL that it names.
pub(super) fn load_with_sql(path: &Path) -> Result<Stack, Failure> {
    Ok(spec::load(path, &spec::environment_variable, Checks::FileAndSql)?)
}

/// Reads a stack file whose resources are about to be made: sections that this version cannot make are errors.
pub(super) fn load_to_make(path: &Path) -> Result<Stack, Failure> {
    let stack = load_with_sql(path)?;
    let problems = stack.not_built_errors();
    if problems.is_empty() { Ok(stack) } else { Err(Failure::Problems(problems)) }
}

/// Takes the stack's lock and opens its state. One that is damaged is set aside and begun anew, unless it says that the stack
/// lives elsewhere: there nothing of it would be found.
pub(super) fn recover(context: &Context, stack: &Stack, command: &str) -> Result<StateStore, Failure> {
    let name = &*stack.name;
    let lock = lock(context, name, command)?;
    if let Some(was) = StateStore::damaged_place(&*context.home()?.shelf(name), name)? {
        let (target, region) = (target(context, stack).name(), &stack.region.value);
        if was.target != target || was.region != *region {
            let Place { target: was_target, region: was_region, account } = was;
            let message = format!(
                "what is left of the state says that the stack `{name}` lives on `{was_target}` in `{was_region}` (account {account}), and \
                 this would look for it on `{target}` in `{region}`"
            );
            let hint = format!("add `--target {was_target}`, and give the stack file that names `{was_region}`");
            return Err(Failure::new(message).hint(hint));
        }
    }
    let (store, recovered) = StateStore::recover(lock, name)?;
    let Some(Recovered { damage, set_aside, kept_lineage }) = recovered else {
        context.tell("the state is whole: there is nothing to recover");
        return Ok(store);
    };
    let why = std::error::Error::source(&damage).map_or_else(|| damage.to_string(), ToString::to_string);
    if context.global.json {
        let value = json!({"damage": why, "set_aside": set_aside, "kept_lineage": kept_lineage});
        context.result("", "recovering", value)?;
    }
    let files = set_aside.join("`, `");
    context.tell(&format!("damaged state: {why}\nset aside as `{files}`; what the cloud holds is looked for anew"));
    Ok(store)
}

/// Takes the stack's lock and opens its state.
pub(super) fn open(context: &Context, name: &str, command: &str) -> Result<StateStore, Failure> {
    Ok(StateStore::open(lock(context, name, command)?, name)?)
}

/// Refuses a stack whose lake would hold its own state: `down` empties it.
pub(super) fn check_lake(context: &Context, graph: &Graph) -> Result<(), Failure> {
    let home = context.home()?;
    let Some(bucket) = home.bucket() else { return Ok(()) };
    let mut lakes = graph.nodes().filter(|node| node.address.kind() == "s3/bucket");
    if lakes.any(|node| node.inputs.get("name").and_then(|name| name.as_str()) == Some(bucket)) {
        let message = format!("the bucket of `{home}` is the lake of this very stack, which `down` empties");
        return Err(Failure::new(message).hint("keep state in a bucket of its own"));
    }
    Ok(())
}

/// Takes the stack's lock, and tells what is wrong with the place where its state is kept.
fn lock(context: &Context, name: &str, command: &str) -> Result<Lock, Failure> {
    let home = context.home()?;
    for concern in home.concerns() {
        context.tell(&format!("warning: {concern}"));
    }
    let shelf = home.shelf(name);
    if let Ok(Some(status)) = lock_status(&*shelf)
        && status.life == Life::Expired
    {
        let host = &status.holder.host;
        context.tell(&format!(
            "the last run, on `{host}`, has not given the lock back: making sure for 15 s that it is gone"
        ));
    }
    Ok(Lock::take(shelf, command)?)
}

/// The target of the command line, which wins over the stack file's.
pub(super) fn target(context: &Context, stack: &Stack) -> Target {
    asked_target(context).unwrap_or(stack.target.value)
}

/// The target of the command line, if it names one.
pub(super) fn asked_target(context: &Context) -> Option<Target> {
    context.global.target.map(|target| match target {
        TargetArg::Local => Target::Local,
        TargetArg::Aws => Target::Aws,
    })
}

/// The target that state recorded.
pub(super) fn recorded_target(place: &Place) -> Target {
    if place.target == Target::Aws.name() { Target::Aws } else { Target::Local }
}

/// Where the stack file, the command line and what is recorded say that a stack lives.
pub(super) fn place(context: &Context, stack: &Stack, state: Option<&State>) -> Result<(Target, String), Failure> {
    let target = target(context, stack);
    let region = stack.region.value.clone();
    let recorded = state.filter(|state| !state.resources.is_empty()).and_then(|state| state.place.as_ref());
    if let Some(Place { target: was, region: was_region, .. }) = recorded
        && (was != target.name() || *was_region != region)
    {
        let message = format!(
            "the stack `{}` lives on `{was}` in `{was_region}`, and this would make it on `{}` in `{region}`",
            *stack.name,
            target.name()
        );
        return Err(Failure::new(message)
            .hint("take it down first (`pinfra down`), or keep the second one apart with `--state` and another name"));
    }
    Ok((target, region))
}

/// Whether any stack is being worked on now, besides those of this process.
pub(super) fn any_locked(home: &Home) -> bool {
    let Ok(names) = known(home) else { return true };
    names.into_iter().any(|name| {
        lock_status(&*home.shelf(&name)).ok().flatten().is_some_and(|status| {
            let is_held = matches!(status.life, Life::Held | Life::Silent);
            is_held && status.holder.pid != std::process::id()
        })
    })
}
