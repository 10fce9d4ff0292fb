//! The agent: it makes the workers of its machine be what the lake bucket says they are.
//!
//! Every two seconds it lists `_pinfra/workers/` ([`manifests`]) and tells one task a worker ([`crew`], [`worker`])
//! what is wanted of it. Such a task fetches the worker's program by its hash ([`programs`]), runs it in a folder of its
//! own, asks it for its report, starts it again when it ends or hangs ([`backoff`]), and keeps its output ([`log`]),
//! whose end goes to the lake ([`tails`]). What all of them do is told by the [`heartbeat`].
//!
//! The lake may be away for as long as it likes: workers run on by what was known last, and the agent tries again.
//! An agent that was killed leaves workers behind, which the next one ends before it starts any ([`leftovers`]).

mod ask;
mod backoff;
mod board;
mod child;
mod crew;
mod folder;
mod heartbeat;
mod lake;
mod leftovers;
mod log;
mod manifests;
mod programs;
mod tails;
mod worker;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::AgentConfig;
use crate::log::say;
use board::Board;
use crew::Crew;
use folder::Folder;
use lake::Lake;
use manifests::Manifests;
use programs::Programs;

/// How often the lake is asked what is wanted. With the time that a listing takes, a new manifest is known within
/// three seconds.
const EVERY: Duration = Duration::from_secs(2);

/// What a worker has to end in, between SIGTERM and SIGKILL: a cleaner commits within a second or two.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The same when the machine goes down, which is itself killed after two seconds.
const GRACE_AT_SHUTDOWN: Duration = Duration::from_secs(1);

/// How an agent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to; its workers have ended.
    Stopped,
    /// This program is to run in its place, with the same arguments; its workers have ended.
    Replaced(PathBuf),
}

/// Why an agent cannot work at all. What may pass (no lake, no credentials) is tried again instead.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The folder cannot be used.
    #[error("the agent's folder `{path}` cannot be used")]
    Folder {
        /// The folder, or what is in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another agent has the folder.
    #[error("another agent works in `{0}`; stop it first")]
    InUse(PathBuf),
    /// It cannot tell which program it is.
    #[error("the agent cannot read its own program")]
    OwnProgram(#[source] io::Error),
}

/// Runs until `stop` is cancelled or another program is to run in this one's place. Credentials and endpoint are found
/// as by any SDK program: on a machine, the role's from the instance metadata service.
pub async fn run(config: AgentConfig, stop: CancellationToken) -> Result<Ended, AgentError> {
    let s3 = lake::client(&config).await;
    run_with(config, s3, stop).await
}

/// [`run`] with a client that the caller made.
pub async fn run_with(
    config: AgentConfig,
    s3: aws_sdk_s3::Client,
    stop: CancellationToken,
) -> Result<Ended, AgentError> {
    let lake = Lake::new(s3, &config.bucket, &config.instance);
    let folder = Folder::open(&config.folder)?;
    say(&format!("agent {} of {} starts", env!("CARGO_PKG_VERSION"), config.instance));
    leftovers::end(folder.path(), GRACE).await;
    let own = programs::own().await?;
    let board = Board::default();
    let programs = Programs::new(lake.clone(), folder.programs(), own.clone());
    let crew = Crew::new(folder.workers(), programs.clone(), lake.clone(), board.clone());

    let last_beat = CancellationToken::new();
    let beats = heartbeat::beat(lake.clone(), board.clone(), config.instance, own.sha256, last_beat.clone());
    let beats = tokio::spawn(beats);
    let (ended, crew) = keep(&lake, &programs, crew, &board, &stop).await;
    let grace = if ended == Ended::Stopped { GRACE_AT_SHUTDOWN } else { GRACE };
    say("stopping all workers");
    crew.stop(grace).await;
    last_beat.cancel();
    // It has a limit of its own; a panic in it leaves nothing to wait for.
    let _ = beats.await;
    say("all workers have ended");
    Ok(ended)
}

/// Keeps the crew as the lake wants it.
async fn keep(
    lake: &Lake,
    programs: &Programs,
    mut crew: Crew,
    board: &Board,
    stop: &CancellationToken,
) -> (Ended, Crew) {
    let mut manifests = Manifests::default();
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => return (Ended::Stopped, crew),
            looked = look(lake, programs, &mut manifests) => looked,
        };
        board.agent_error(looked.error);
        if let Some(program) = looked.replacement {
            return (Ended::Replaced(program), crew);
        }
        crew.assign(&manifests.wanted());
        programs.keep_only(&manifests.programs());
        let next = sleep(if looked.is_away { EVERY.mul_f64(0.5 + rand::random::<f64>()) } else { EVERY });
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = stop.cancelled() => return (Ended::Stopped, crew),
                () = &mut next => break,
                // It may be wanted again since it was told to end.
                () = crew.one_ended() => crew.assign(&manifests.wanted()),
            }
        }
    }
}

/// What one look at the lake came to.
struct Looked {
    error: Option<String>,
    /// Whether the lake could not be asked.
    is_away: bool,
    replacement: Option<PathBuf>,
}

async fn look(lake: &Lake, programs: &Programs, manifests: &mut Manifests) -> Looked {
    if let Err(error) = manifests.refresh(lake).await {
        return Looked { error: Some(error.to_string()), is_away: true, replacement: None };
    }
    let replacement = match lake.agent_program().await {
        Ok(wanted) => match wanted.filter(|program| program.sha256 != programs.own_sha256()) {
            Some(program) => programs.fetch(&program).await.map(Some),
            None => Ok(None),
        },
        Err(error) => Err(error.into()),
    };
    match replacement {
        Ok(replacement) => Looked { error: manifests.error(), is_away: false, replacement },
        Err(error) => {
            let message = format!("the agent's own program cannot be had: {error}");
            Looked { error: Some(message), is_away: false, replacement: None }
        }
    }
}
