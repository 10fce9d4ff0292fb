//! One file a command.

mod clean;
mod completions;
mod context;
mod deployed;
mod down;
mod drift;
mod events;
mod explain;
mod facts;
mod files;
mod graph;
mod home;
mod init;
mod interrupt;
mod last_run;
mod left;
mod local;
mod lock;
mod logs;
mod outputs;
mod plan;
mod post;
mod query;
mod reconcile;
mod run;
mod saved;
mod schema;
mod stacks;
mod status;
mod strays;
mod unseen;
mod up;
mod validate;
mod verify;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use context::Context;

use crate::cli::{Cli, Command};
use crate::report::Failure;

/// Runs one command and returns its exit code.
pub fn run(cli: Cli) -> ExitCode {
    let context = Context::new(cli.global);
    match dispatch(&context, cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            context.fail(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init { dir } => init::run(context, &dir).map(|()| 0),
        Command::Validate { stack } => validate::run(context, &stack).map(|()| 0),
        Command::Schema => schema::run().map(|()| 0),
        Command::Completions { shell } => completions::run(shell).map(|()| 0),
        Command::Explain { kind } => explain::run(context, kind.as_deref()).map(|()| 0),
        Command::Graph { stack, format } => graph::run(&stack, format).map(|()| 0),
        Command::Outputs { stack, show } => {
            on_runtime(outputs::run(context, stack.as_deref(), show.as_deref())).map(|()| 0)
        }
        Command::Plan { stack, detailed_exitcode, out } => {
            let changes = on_runtime(plan::run(context, &stack, out.as_deref()))?;
            Ok(if detailed_exitcode && changes { 2 } else { 0 })
        }
        Command::Up { stack, plan, yes, recover, patience } => {
            let wished = up::Wished { plan: plan.as_deref(), yes, recover, patience };
            on_runtime(up::run(context, &stack, wished)).map(|()| 0)
        }
        Command::Down { stack, yes, recover, patience } => {
            let wished = down::Wished { yes, recover, patience };
            on_runtime(down::run(context, stack.as_deref(), wished)).map(|()| 0)
        }
        Command::Drift(arguments) => Ok(if on_runtime(drift::run(context, &arguments))? { 2 } else { 0 }),
        Command::Status { stack } => {
            let healthy = on_runtime_of_readers(status::run(context, stack.as_deref()))?;
            Ok(u8::from(!healthy))
        }
        Command::Query { name, stack, sql, from, format } => {
            let (name, stack, sql) = (name.as_deref(), stack.as_deref(), sql.as_deref());
            let asked = query::Asked { name, stack, sql, from, format };
            on_runtime_of_readers(query::run(context, asked)).map(|()| 0)
        }
        Command::Verify { stack, timeout } => {
            on_runtime(verify::run(context, stack.as_deref(), Duration::from_secs(timeout))).map(|()| 0)
        }
        Command::Logs { worker, stack, follow } => {
            on_runtime(logs::run(context, &worker, stack.as_deref(), follow)).map(|()| 0)
        }
        Command::Clean { stack, full, tables } => {
            let asked = clean::Asked { stack: stack.as_deref(), full, tables: &tables };
            on_runtime_of_readers(clean::run(context, asked)).map(|()| 0)
        }
        Command::Lock { command } => lock::run(context, &command).map(|()| 0),
        Command::Worker { command } => worker::run(&command).map(|()| 0),
        Command::Local { command } => on_runtime(local::run(context, command)).map(|()| 0),
    }
}

/// Commands that contact nobody never get here, and start without threads.
fn on_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    // A thread that packs, or reads an answer, for a command that was interrupted ends with the process.
    runtime.shutdown_background();
    done
}

/// The same for commands that read Delta tables. A read that was given up goes on in a thread of its own until it is told,
/// and it takes the end of the runtime for a crash that it must tell the world about: so the runtime ends with the process.
fn on_runtime_of_readers<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    std::mem::forget(runtime);
    done
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start threads: {error}")))
}
