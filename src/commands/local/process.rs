//! Starting and stopping the process that is the local cloud.

use std::fs::{self, File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pinfra_aws::clients::Endpoint;
use pinfra_local::{LocalCloud, Settings, StartError};
use serde::Deserialize;

use super::admin::{self, Server};
use super::{endpoint, for_stacks};
use crate::cli::{LocalStart, StateArg};
use crate::commands::context::Context;
use crate::commands::stacks;
use crate::report::Failure;

/// A cold start of a debug build takes a second; a laptop that is busy compiling takes more.
const START: Duration = Duration::from_secs(20);
/// Requests that are being answered are waited for.
const STOP: Duration = Duration::from_secs(15);

/// Present while the local cloud is there only for stacks, and goes with the last of them.
const FOR_STACKS: &str = "for-stacks";

/// The key pair that the local cloud made for itself.
#[derive(Deserialize)]
pub(super) struct Credentials {
    /// Sent with requests.
    #[serde(rename = "access_key_id")]
    pub(super) access_key: String,
    /// Never sent.
    #[serde(rename = "secret_access_key")]
    pub(super) secret_key: String,
}

/// The key pair of the local cloud of this folder.
pub(super) fn credentials(folder: &Path) -> Result<Credentials, Failure> {
    let path = folder.join("credentials.json");
    let text = fs::read(&path).map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("`{}` is not what the local cloud writes: {error}", path.display())))
}

/// Runs the local cloud in this process until it is interrupted or asked to stop.
pub(super) async fn serve(context: &Context, folder: &Path, start: &LocalStart) -> Result<(), Failure> {
    let settings = Settings {
        port: start.port.or_else(|| last_port(folder)).unwrap_or(0),
        settle: Duration::from_millis(start.settle_ms),
        limits: !start.no_limits,
        rates: start.rates,
        latency: Duration::from_millis(start.latency),
        stale: Duration::from_millis(start.stale),
        iam_propagation: Duration::from_secs(start.propagation),
        ..Settings::new(folder)
    };
    let cloud = match LocalCloud::start(settings.clone()) {
        // The port it had before may be somebody else's now; nobody asked for that one.
        Err(StartError::Bind { .. }) if start.port.is_none() => LocalCloud::start(Settings { port: 0, ..settings }),
        started => started,
    };
    let cloud = cloud.map_err(|error| Failure::from_error(&error))?;
    context.tell(&format!("the local cloud runs at {}", cloud.endpoint()));
    remember_port(folder, cloud.endpoint());
    use tokio::signal::unix::{SignalKind, signal};
    let no_signals = |error: std::io::Error| Failure::new(format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = cloud.stop_requested() => {}
    }
    cloud.stop().await;
    Ok(())
}

/// Kept beside the data, so that an endpoint that was given to other tools is the same after a restart.
fn remember_port(folder: &Path, endpoint: &str) {
    if let Some((_, port)) = endpoint.rsplit_once(':') {
        // Without it the next start takes another port, which is no loss.
        let _ = fs::write(folder.join("port"), port);
    }
}

fn last_port(folder: &Path) -> Option<u16> {
    fs::read_to_string(folder.join("port")).ok()?.trim().parse().ok()
}

/// Starts the local cloud as a process of its own, and returns once it answers.
pub(super) async fn start(folder: &Path, start: &LocalStart) -> Result<Server, Failure> {
    let failed = |what: &str, error: std::io::Error| Failure::new(format!("cannot {what} the local cloud: {error}"));
    make_private(folder).map_err(|error| failed("make a folder for", error))?;
    let log = folder.join("log");
    let file = File::create(&log).map_err(|error| failed("make a log for", error))?;
    let errors = file.try_clone().map_err(|error| failed("make a log for", error))?;
    let program = std::env::current_exe().map_err(|error| failed("find the program of", error))?;
    let mut command = Command::new(program);
    let state = folder.parent().unwrap_or(folder);
    command.arg("--state").arg(state).args(["local", "start", "--foreground"]);
    command.arg("--settle-ms").arg(start.settle_ms.to_string());
    command.arg("--latency").arg(start.latency.to_string());
    command.arg("--propagation").arg(start.propagation.to_string());
    command.arg("--stale").arg(start.stale.to_string());
    if start.rates {
        command.arg("--rates");
    }
    if let Some(port) = start.port {
        command.arg("--port").arg(port.to_string());
    }
    if start.no_limits {
        command.arg("--no-limits");
    }
    // A group of its own: an interrupt at the terminal is for the command that runs there.
    command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
    let mark = folder.join(FOR_STACKS);
    if start.for_stacks {
        fs::write(&mark, "").map_err(|error| failed("mark", error))?;
    } else {
        keep_after_last_stack(folder);
    }
    let mut child = command.spawn().map_err(|error| failed("start", error))?;
    let deadline = Instant::now() + START;
    loop {
        if let Some(server) = admin::running(folder).await.filter(|server| server.pid == child.id()) {
            return Ok(server);
        }
        let ended = child.try_wait().map_err(|error| failed("watch", error))?;
        if ended.is_some() || Instant::now() > deadline {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let why = if ended.is_some() { "it ended" } else { "it did not answer" };
            let failure = Failure::new(format!("the local cloud did not start: {why}\n{}", said.trim_end()));
            return Err(failure.hint(format!("its log is `{}`", log.display())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Asks it to stop and waits until it has.
pub(super) async fn stop(folder: &Path, server: &Server) -> Result<(), Failure> {
    let stuck = || Failure::new(format!("the local cloud (pid {}) does not stop", server.pid));
    if !admin::ask_to_stop(server).await {
        return Err(stuck());
    }
    let deadline = Instant::now() + STOP;
    while is_locked(folder) || is_running(server.pid) {
        if Instant::now() > deadline {
            return Err(stuck().hint(format!("look at it, then end it with `kill {}`", server.pid)));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Whether a local cloud uses this folder: it holds the lock until its last request is done, and the system lets go of
/// it when it is killed.
fn is_locked(folder: &Path) -> bool {
    let file = File::options().read(true).write(true).open(folder.join("lock"));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Whether a process is there and not just waiting for its parent to take note of its end (proc(5), `state` of `stat`).
/// Where there is no `/proc`, the lock has to tell.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

/// Somebody has asked for it by name: it stays when the last stack goes.
pub(super) fn keep_after_last_stack(folder: &Path) {
    // Not there is as good as removed.
    let _ = fs::remove_file(folder.join(FOR_STACKS));
}

/// The endpoint of the local cloud of this folder, which is started when it is not running.
pub(super) async fn ensure_running(context: &Context, folder: &Path) -> Result<Endpoint, Failure> {
    let _guard = guard(folder).await?;
    let server = match admin::running(folder).await {
        Some(server) => server,
        None => {
            context.tell("starting the local cloud");
            start(folder, &for_stacks()).await?
        }
    };
    if matches!(context.global.state, StateArg::S3(_)) {
        // Which stacks it has is known to whoever can read the bucket, and not to the next command here.
        keep_after_last_stack(folder);
    }
    Ok(endpoint(&server, credentials(folder)?))
}

/// Stops the local cloud when it is there for stacks and there is none left, nor one being made.
pub(super) async fn stop_if_idle(context: &Context, folder: &Path) {
    let Ok(_guard) = guard(folder).await else { return };
    if !folder.join(FOR_STACKS).exists() || in_use(context) {
        return;
    }
    if let Some(server) = admin::running(folder).await
        && stop(folder, &server).await.is_ok()
    {
        context.tell("the local cloud has no stack left and was stopped");
    }
}

/// Whether it runs, and no stack needs it.
pub(super) async fn runs_without_stacks(context: &Context, folder: &Path) -> bool {
    !in_use(context) && admin::running(folder).await.is_some()
}

/// Whether a stack may need it.
fn in_use(context: &Context) -> bool {
    let Ok(home) = context.home() else { return true };
    match stacks::recorded(home) {
        Ok(names) => !names.is_empty() || stacks::any_locked(home),
        // What cannot be read may need it.
        Err(_) => true,
    }
}

/// Two commands must not start it twice, nor one stop what the other has just found running.
async fn guard(folder: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot lock `{}`: {error}", folder.display()));
    make_private(folder).map_err(failed)?;
    let path = folder.join("start.lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    });
    match locked.await {
        Ok(locked) => locked.map_err(failed),
        Err(panicked) => Err(Failure::new(format!("cannot lock `{}`: {panicked}", folder.display()))),
    }
}
