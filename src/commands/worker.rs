//! `pinfra worker …`: what runs on the client machine. A worker is told all by its configuration, and ends cleanly on
//! SIGTERM or an interrupt.

use std::os::unix::process::CommandExt;
use std::path::Path;

use pinfra_workers::agent::{self, Ended};
use pinfra_workers::config::{AgentConfig, CleanerConfig, EmulatorConfig, GatewayConfig};
use pinfra_workers::report::Teller;
use pinfra_workers::{cleaner, emulator, gateway};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::on_runtime;
use crate::cli::WorkerCommand;
use crate::report::Failure;

/// A configuration holds cleaning SQL; nothing that is larger than this was written by pinfra.
const MAX_CONFIG: u64 = 8 << 20;

/// Runs a worker until it is told to stop.
pub(super) fn run(command: &WorkerCommand) -> Result<(), Failure> {
    match command {
        WorkerCommand::Agent(args) => {
            let config: AgentConfig = read(&args.config)?;
            // The runtime and all its threads are gone before another program takes this one's place.
            match on_runtime(agent(config))? {
                Ended::Stopped => Ok(()),
                Ended::Replaced(program) => Err(replace(&program)),
            }
        }
        WorkerCommand::Emulator(args) => {
            let config: EmulatorConfig = read(&args.config)?;
            let port = config.port;
            on_runtime(told(port, async |teller, stop| emulator::run(config, Path::new("."), teller, stop).await))
        }
        WorkerCommand::Gateway(args) => {
            let config: GatewayConfig = read(&args.config)?;
            let port = config.report_port;
            on_runtime(told(port, async |teller, stop| gateway::run(config, Path::new("."), teller, stop).await))
        }
        WorkerCommand::Cleaner(args) => {
            let config: CleanerConfig = read(&args.config)?;
            let port = config.port;
            on_runtime(told(port, async |teller, stop| cleaner::run(config, Path::new("."), teller, stop).await))
        }
    }
}

async fn agent(config: AgentConfig) -> Result<Ended, Failure> {
    let stop = stop_on_signals()?;
    // The SDK's futures are large, and this one would be part of every frame up to `main`.
    Box::pin(agent::run(config, stop)).await.map_err(|error| Failure::from_error(&error))
}

/// Runs a worker in this process's folder, and answers for its report.
async fn told<E: std::error::Error + 'static>(
    port: Option<u16>,
    work: impl AsyncFnOnce(Teller, CancellationToken) -> Result<(), E>,
) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let teller = Teller::default();
    // Workers' futures are large, and this one would be part of every frame up to `main`.
    let work = Box::pin(work(teller.clone(), stop));
    tokio::select! {
        done = work => done.map_err(|error| Failure::from_error(&error)),
        Err(error) = teller.serve(port, Path::new(".")) => {
            Err(Failure::new(format!("cannot answer for the worker's report: {error}")))
        }
    }
}

/// A token that SIGTERM and an interrupt cancel.
fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot read `{shown}`: {error}"));
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_CONFIG {
        return Err(Failure::new(format!("`{shown}` is too large for a worker's configuration")));
    }
    let content = std::fs::read(path).map_err(unreadable)?;
    // The parser's own message may quote a value, which may be a secret.
    serde_json::from_slice(&content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::new(format!("`{shown}` is not the configuration of this worker (line {line}, column {column})"))
    })
}

/// Runs `program` in this process's place, with the same arguments. It returns only when that cannot be done.
fn replace(program: &Path) -> Failure {
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    Failure::new(format!("cannot run `{}` in this program's place: {error}", program.display()))
}
