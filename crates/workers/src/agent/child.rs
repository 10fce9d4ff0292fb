//! A worker's process.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::leftovers::MARKER;
use super::log::Log;
use crate::config::WorkerKind;
use crate::log::say;

/// What a process that ended may still have in its pipe, and a child of its may hold open for longer than we wait.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A process that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    pump: JoinHandle<()>,
}

impl Child {
    /// Starts `program` as a worker in `folder`, in this process's group, with its output in `log`.
    pub(super) async fn start(
        program: &Path,
        kind: WorkerKind,
        config: &Path,
        folder: &Path,
        log: &Log,
    ) -> io::Result<Child> {
        let (output, end) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(output.into())?;
        let kind = match kind {
            WorkerKind::Emulator => "emulator",
            WorkerKind::Gateway => "gateway",
            WorkerKind::Cleaner => "cleaner",
        };
        let mut command = Command::new(program);
        command.args(["worker", kind, "--config"]).arg(config).current_dir(folder).env(MARKER, folder);
        command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end).kill_on_drop(true);
        let process = spawn(&mut command).await?;
        // Its copies of the pipe's end would keep the pipe open after the process has ended.
        drop(command);
        let pump = tokio::spawn(pump(output, log.clone()));
        Ok(Child { process, pump })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns when it has ended by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait().await?;
        self.listen().await;
        Ok(status)
    }

    /// SIGTERM, and SIGKILL if it is there after `grace`.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.signal(Signal::SIGTERM);
        if timeout(grace, self.process.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            // A process in an uninterruptible wait ends when its disk answers; nobody else can wait for it.
            let _ = timeout(GIVE_UP, self.process.wait()).await;
        }
        self.listen().await;
    }

    async fn listen(&mut self) {
        if timeout(LAST_WORDS, &mut self.pump).await.is_err() {
            self.pump.abort();
        }
    }

    fn signal(&self, signal: Signal) {
        // Without an id it has been waited for: it is gone, and its id may be somebody else's.
        if let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            // Refused only when it is gone.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

const GIVE_UP: Duration = Duration::from_secs(2);

/// A file that was written a moment ago can be "busy" while another thread forks with its descriptor open.
async fn spawn(command: &mut Command) -> io::Result<tokio::process::Child> {
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(20)).await,
            spawned => return spawned,
        }
    }
    command.spawn()
}

async fn pump(mut output: pipe::Receiver, log: Log) {
    let mut buffer = vec![0; 16 << 10];
    let mut failing = false;
    loop {
        let n = match output.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => n,
        };
        // A full disk loses lines, which is better than a worker that waits for its pipe to drain.
        match log.append(&buffer[..n]) {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                say(&format!("a worker's log cannot be written: {error}"));
            }
            Err(_) => {}
        }
    }
}
