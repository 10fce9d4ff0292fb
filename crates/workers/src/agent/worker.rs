//! One worker: fetched, started, asked, started again, stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::board::Board;
use super::child::Child;
use super::folder::{make, remove, write_private};
use super::lake::Lake;
use super::log::Log;
use super::manifests::Assignment;
use super::programs::{ProgramError, Programs};
use super::{GRACE, ask, tails};
use crate::config::Phase;
use crate::report::PORT_FILE;

/// Between two questions, once it answers.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Until it does: `pinfra up` waits for that.
const ASK_FIRST: Duration = Duration::from_millis(50);
/// A worker that has not answered for so long hangs.
const HANGS: Duration = Duration::from_secs(30);
/// Of the last line in an error.
const LAST_LINE: u64 = 1 << 10;

/// What a worker's task is told. The newest counts; those before it are never seen.
#[derive(Clone, Debug)]
pub(super) enum Orders {
    /// Run by this manifest.
    Run(Arc<Assignment>),
    /// End, and be killed if that takes longer than this.
    Stop { grace: Duration },
}

/// Why a worker is not started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("its program cannot be had: {0}")]
    Program(#[from] ProgramError),
    #[error("it cannot be started: {0}")]
    Io(#[from] io::Error),
}

/// Why a worker is no longer watched.
enum Watched {
    Orders,
    Ended(io::Result<ExitStatus>),
    Hangs,
}

/// A worker's task.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    folder: PathBuf,
    programs: Programs,
    lake: Lake,
    board: Board,
}

impl Worker {
    pub(super) fn new(name: String, workers: &Path, programs: &Programs, lake: &Lake, board: &Board) -> Worker {
        let folder = workers.join(&name);
        Worker { name, folder, programs: programs.clone(), lake: lake.clone(), board: board.clone() }
    }

    /// Follows orders until one says to stop.
    pub(super) async fn run(&self, mut orders: watch::Receiver<Orders>) {
        // Orders that come while a worker is being stopped are seen here, when it has ended.
        while let Orders::Run(assignment) = current(&mut orders) {
            self.board.begins(&self.name, &assignment.hash);
            let log = match make(&self.folder).and_then(|()| Log::open(&self.folder.join("log"))) {
                Ok(log) => log,
                Err(error) => {
                    self.board.fails(&self.name, &format!("its folder cannot be used: {error}"));
                    self.board.update(&self.name, |state| state.phase = Phase::BackingOff);
                    wait(&mut orders, ASK_EVERY).await;
                    continue;
                }
            };
            let end = CancellationToken::new();
            let uploads = tails::upload(self.lake.clone(), self.name.clone(), log.clone(), end.clone());
            let uploads = tokio::spawn(uploads);
            self.follow(&assignment, &mut orders, &log).await;
            end.cancel();
            // It has a limit of its own; a panic in it leaves nothing to wait for.
            let _ = uploads.await;
            if orders.has_changed().is_err() {
                break;
            }
        }
        // It may hold a secret.
        let _ = remove(&self.config_file());
    }

    /// Keeps the worker running by this manifest until there are other orders.
    async fn follow(&self, assignment: &Assignment, orders: &mut watch::Receiver<Orders>, log: &Log) {
        let mut backoff = Backoff::default();
        loop {
            let started = tokio::select! {
                _ = orders.changed() => return,
                started = self.start(assignment, log) => started,
            };
            let why = match started {
                Err(error) => error.to_string(),
                Ok(mut child) => {
                    self.board.update(&self.name, |state| state.pid = child.pid());
                    match self.watch(&mut child, orders, &mut backoff).await {
                        Watched::Orders => {
                            self.board.update(&self.name, |state| state.phase = Phase::Stopping);
                            let grace = match *orders.borrow() {
                                Orders::Stop { grace } => grace,
                                Orders::Run(_) => GRACE,
                            };
                            return self.stop(child, orders, grace).await;
                        }
                        Watched::Ended(status) => ended(status, log.last_line(LAST_LINE).as_deref()),
                        Watched::Hangs => {
                            child.stop(GRACE).await;
                            format!("it has not answered for {} s and was ended", HANGS.as_secs())
                        }
                    }
                }
            };
            let wait_for = backoff.next(rand::random());
            self.board.update(&self.name, |state| {
                state.phase = Phase::BackingOff;
                state.pid = None;
            });
            self.board.fails(&self.name, &why);
            if wait(orders, wait_for).await {
                return;
            }
            self.board.update(&self.name, |state| {
                state.phase = Phase::Starting;
                state.restarts = state.restarts.saturating_add(1);
            });
        }
    }

    async fn start(&self, assignment: &Assignment, log: &Log) -> Result<Child, StartError> {
        let manifest = &assignment.manifest;
        let program = self.programs.fetch(&manifest.program).await?;
        let config = self.config_file();
        write_private(&config, manifest.config.to_string().as_bytes())?;
        // The port of the one before it, who may be gone.
        remove(&self.folder.join(PORT_FILE))?;
        Ok(Child::start(&program, manifest.worker, &config, &self.folder, log).await?)
    }

    /// Asks for reports until there are other orders, or the worker ends or hangs.
    async fn watch(&self, child: &mut Child, orders: &mut watch::Receiver<Orders>, backoff: &mut Backoff) -> Watched {
        let asks = self.ask(backoff);
        tokio::select! {
            _ = orders.changed() => Watched::Orders,
            status = child.ended() => Watched::Ended(status),
            () = asks => Watched::Hangs,
        }
    }

    /// Asks for reports, and returns when the worker hangs.
    async fn ask(&self, backoff: &mut Backoff) {
        let mut answered = Instant::now();
        let mut healthy_since = None;
        let mut pace = ASK_FIRST;
        while answered.elapsed() < HANGS {
            if let Some(report) = ask::report(&self.folder).await {
                answered = Instant::now();
                pace = ASK_EVERY;
                healthy_since = report.healthy.then(|| healthy_since.unwrap_or(answered));
                backoff.was_healthy(healthy_since.map_or(Duration::ZERO, |since| since.elapsed()));
                self.board.update(&self.name, |state| {
                    state.phase = Phase::Running;
                    state.report = Some(report);
                });
            }
            let healthy = healthy_since.is_some();
            // Until it is healthy somebody may be waiting for that.
            sleep(if healthy { pace } else { pace.min(ASK_EVERY / 4) }).await;
        }
    }

    /// Stops the worker. A stop that comes meanwhile and is more urgent (the machine goes down) is heard.
    async fn stop(&self, child: Child, orders: &watch::Receiver<Orders>, grace: Duration) {
        let mut orders = orders.clone();
        let hurried = async {
            while orders.changed().await.is_ok() {
                let sooner = match *orders.borrow_and_update() {
                    Orders::Stop { grace: sooner } if sooner < grace => sooner,
                    _ => continue,
                };
                return sleep(sooner).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = child.stop(grace) => {}
            // Dropped, it is killed.
            () = hurried => {}
        }
    }

    fn config_file(&self) -> PathBuf {
        self.folder.join("config.json")
    }
}

fn current(orders: &mut watch::Receiver<Orders>) -> Orders {
    orders.borrow_and_update().clone()
}

/// Whether there were other orders before the time was over.
async fn wait(orders: &mut watch::Receiver<Orders>, time: Duration) -> bool {
    tokio::select! {
        _ = orders.changed() => true,
        () = sleep(time) => false,
    }
}

fn ended(status: io::Result<ExitStatus>, last_line: Option<&str>) -> String {
    let how = match status {
        Ok(status) => format!("it ended ({status})"),
        Err(error) => format!("it is lost: {error}"),
    };
    match last_line {
        Some(line) => format!("{how}; its last line was: {line}"),
        None => how,
    }
}
