//! `pinfra lock status` and `pinfra lock break`: who holds a stack, and the way out when nobody does any more.
//!
//! Neither takes the lock, nor reads what is recorded of the stack but where it lives, so both work when state is damaged.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pinfra_engine::state::{Broken, Life, LockError, LockStatus, break_lock, lock_status};
use serde_json::{Value, json};

use super::context::Context;
use super::stacks;
use crate::cli::LockCommand;
use crate::report::{Failure, count, out};
use crate::spec::Target;

/// Runs `pinfra lock …`.
pub(super) fn run(context: &Context, command: &LockCommand) -> Result<(), Failure> {
    match command {
        LockCommand::Status { stack } => status(context, stack.as_deref()),
        LockCommand::Break { stack, force, yes } => end(context, stack.as_deref(), *force, *yes),
    }
}

fn status(context: &Context, given: Option<&str>) -> Result<(), Failure> {
    let names = match given {
        Some(given) => vec![name(context, given)?],
        None => stacks::known(context.home()?)?,
    };
    let mut told = 0;
    for name in &names {
        let (text, value) = match lock_status(&*stacks::shelf(context, name)?) {
            Ok(Some(status)) => (sentence(name, &status), described(&status)),
            // Of all folders, those of stacks are meant.
            Ok(None) if given.is_none() => continue,
            Ok(None) => ("free; it was never locked".to_owned(), json!({"life": null})),
            Err(LockError::Damaged { name: file }) => {
                let text = format!("`{file}` is not a lock file; `pinfra lock break {name}` replaces it");
                (text, json!({"life": "damaged"}))
            }
            Err(error) => return Err(error.into()),
        };
        told += 1;
        context.result(&format!("{name}: {text}\n"), "lock", with_stack(name, value))?;
    }
    if told == 0 {
        context.tell(&format!("no stack under `{}` was ever locked", context.home()?));
    }
    Ok(())
}

fn with_stack(name: &str, mut value: Value) -> Value {
    value["stack"] = Value::from(name);
    value
}

/// The same for programs.
fn described(status: &LockStatus) -> Value {
    let holder = &status.holder;
    json!({
        "life": status.life, "command": holder.command, "pid": holder.pid, "host": holder.host, "user": holder.user,
        "token": holder.token, "taken_at": holder.taken_at, "expires_at": holder.expires_at,
        "expires_in_seconds": status.left.as_secs(), "process_lives": holder.process_lives(),
    })
}

/// What is known of the lease, for people.
fn sentence(name: &str, status: &LockStatus) -> String {
    let holder = &status.holder;
    let who = format!("{}, who took it {}", who(status), ago(holder.taken_at));
    match status.life {
        Life::Free => format!("free; last held by {who}"),
        Life::Held => {
            let lives = if holder.process_lives().is_some() { "its process lives" } else { "it is on another machine" };
            format!("held by {who}; {lives}; the lease lasts {} s unless renewed", status.left.as_secs())
        }
        Life::Silent => format!(
            "held by {who}; its process is there, but has not renewed the lease in time: it was stopped, or hangs. \
             `kill {}` ends it, `pinfra lock break {name}` takes the lock from it",
            holder.pid
        ),
        Life::Dead => format!("free; {who}, has ended without giving it back"),
        Life::Expired => {
            format!("expired; {who}, has not renewed it. The next run watches it for some seconds and takes it")
        }
    }
}

fn who(status: &LockStatus) -> String {
    let holder = &status.holder;
    format!("`pinfra {}` of {} (pid {})", holder.command, holder.at(), holder.pid)
}

fn ago(taken_at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match now.checked_sub(Duration::from_secs(taken_at)) {
        Some(since) => format!("{} ago", humantime::format_duration(Duration::from_secs(since.as_secs()))),
        None => "a time that is yet to come, by this clock".to_owned(),
    }
}

fn end(context: &Context, given: Option<&str>, force: bool, yes: bool) -> Result<(), Failure> {
    let name = match given {
        Some(given) => name(context, given)?,
        None => only(context)?,
    };
    let shelf = stacks::shelf(context, &name)?;
    if force && lock_status(&*shelf).is_ok_and(|status| status.is_some_and(|status| status.life == Life::Held)) {
        confirm(context, &name, yes)?;
    }
    let broken = match break_lock(&*shelf, force) {
        Err(LockError::Held(status)) => {
            let message = format!("the lock of `{name}` is {}", sentence(&name, &status));
            return Err(Failure::new(message).hint(
                "wait for it, or end it with Ctrl-C: then nothing is left half done. `--force` takes the lock from it",
            ));
        }
        broken => broken?,
    };
    let (text, life) = match &broken {
        Broken::Nobody => (format!("nobody holds `{name}`: nothing to break"), None),
        Broken::Lease(status) => {
            (format!("the lock of `{name}` was taken from {}; the next run goes on", who(status)), Some(status.life))
        }
        Broken::Damaged => (format!("the damaged lock file of `{name}` was replaced; the next run goes on"), None),
    };
    context.result(
        &format!("{text}\n"),
        "lock_broken",
        json!({
            "stack": name, "broken": !matches!(broken, Broken::Nobody), "life": life,
        }),
    )
}

/// Warns, and asks where `up` would.
fn confirm(context: &Context, name: &str, yes: bool) -> Result<(), Failure> {
    context.tell(
        "warning: its holder is at work. It stops at its next write and leaves what it has begun half made; calls that are \
         under way may still take effect. The next run finds them",
    );
    let is_local = stacks::read(context, name).is_ok_and(|state| {
        let place = state.and_then(|state| state.place);
        place.is_some_and(|place| stacks::recorded_target(&place) == Target::Local)
    });
    if is_local || yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || context.global.json {
        return Err(Failure::new("this stops a run on an AWS account, and there is no terminal to ask at")
            .hint("look at `pinfra lock status`, then give `--yes`"));
    }
    if out::ask("go ahead? (yes/no) ") { Ok(()) } else { Err(Failure::new("nothing was done")) }
}

/// The stack that a file or a name means. State is not asked: it may be what is damaged.
fn name(context: &Context, given: &str) -> Result<String, Failure> {
    if stacks::looks_like_a_file(given) {
        return Ok(stacks::load(Path::new(given))?.name.value);
    }
    stacks::check_name(given)?;
    let home = context.home()?;
    let known = stacks::known(home)?;
    if known.iter().any(|name| name == given) {
        return Ok(given.to_owned());
    }
    // It was mistyped, and must not pass for free.
    let failure = Failure::new(format!("nothing is kept of a stack `{given}` under `{home}`"));
    if known.is_empty() { Err(failure) } else { Err(failure.hint(format!("known are {}", known.join(", ")))) }
}

/// The only stack that there is.
fn only(context: &Context) -> Result<String, Failure> {
    let home = context.home()?;
    let mut names = stacks::known(home)?;
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => Err(Failure::new(format!("no stack is recorded under `{home}`"))),
        n => Err(Failure::new(format!("{} are recorded: {}", count(n, "stack"), names.join(", ")))
            .hint("name the one that you mean")),
    }
}
