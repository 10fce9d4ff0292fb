//! A command that failed: what happened, where, what to do.

use std::fmt;

use pinfra_engine::state::{Life, LockError, ShelfError, StateError};
use pinfra_engine::{CloudError, GraphError, PlanError, Would};
use serde_json::json;

use super::Paint;
use super::diagnostic::{self, Look};
use crate::spec::Problems;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// The stack file is wrong.
    Problems(Problems),
    /// Anything else that has a message.
    Message {
        /// What happened.
        message: String,
        /// Why, from the outside in.
        causes: Vec<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Several at once.
    Many(Vec<Failure>),
    /// The command was interrupted; what it did is recorded. The text says what it was doing, where that was not told.
    Interrupted(Option<String>),
    /// It has been told already, or there is nothing to tell but the exit code.
    Told(u8),
}

impl Failure {
    /// A failure with a message.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure::Message { message: message.into(), causes: Vec::new(), hint: None }
    }

    /// The same with advice.
    pub fn hint(self, advice: impl Into<String>) -> Failure {
        match self {
            Failure::Message { message, causes, .. } => Failure::Message { message, causes, hint: Some(advice.into()) },
            other => other,
        }
    }

    /// A failure with the chain of an error's causes, and the advice of the cloud's error among them.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Failure {
        let (mut causes, mut hint) = (Vec::new(), None);
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            hint = hint.or_else(|| cause.downcast_ref::<CloudError>()?.hint.clone());
            source = cause.source();
        }
        Failure::Message { message: error.to_string(), causes, hint }
    }

    /// The failures as one.
    pub fn many(mut failures: Vec<Failure>) -> Failure {
        match failures.len() {
            1 => failures.remove(0),
            _ => Failure::Many(failures),
        }
    }

    /// The exit code that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Interrupted(_) => 130,
            Failure::Told(code) => *code,
            _ => 1,
        }
    }

    /// JSON events for programs, one a line; none when there is nothing left to tell.
    pub fn events(&self) -> String {
        match self {
            Failure::Problems(problems) => diagnostic::events(problems),
            Failure::Message { message, causes, hint } => {
                format!("{}\n", json!({"event": "error", "message": message, "causes": causes, "hint": hint}))
            }
            Failure::Many(failures) => failures.iter().map(Failure::events).collect(),
            Failure::Interrupted(word) => format!("{}\n", json!({"event": "interrupted", "message": word})),
            Failure::Told(_) => String::new(),
        }
    }

    /// Text for people; empty when there is nothing left to tell.
    pub fn draw(&self, paint: Paint) -> String {
        match self {
            Failure::Problems(problems) => diagnostic::draw(problems, Look::for_stderr(paint)),
            Failure::Message { message, causes, hint } => {
                let mut text = format!("{} {message}\n", paint.bad("error:"));
                for cause in causes {
                    text.push_str(&format!("  caused by: {cause}\n"));
                }
                if let Some(hint) = hint {
                    text.push_str(&format!("{} {hint}\n", paint.change("hint:")));
                }
                text
            }
            Failure::Many(failures) => failures.iter().map(|failure| failure.draw(paint)).collect(),
            Failure::Interrupted(Some(word)) => format!("{} {word}\n", paint.change("interrupted:")),
            Failure::Interrupted(None) | Failure::Told(_) => String::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.draw(Paint::OFF).trim_end())
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        Failure::Problems(problems)
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Failure {
        Failure::Message { message: error.to_string(), causes: Vec::new(), hint: error.hint }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        let failure = Failure::from_error(&error);
        if error.is_damage() {
            return failure.hint(
                "`pinfra up STACK.yaml --recover` sets it aside and rebuilds the state from what the cloud holds; `pinfra down \
                 STACK.yaml --recover` sets it aside and destroys that",
            );
        }
        if matches!(&error, StateError::Shelf(ShelfError::Failed { doing: "write", .. })) {
            return failure
                .hint("what was recorded before is whole: see to it that this can be written, and run it again");
        }
        if matches!(error, StateError::LockLost) {
            return failure
                .hint("`pinfra lock status` says who has it; what was begun is recorded, and the next run goes on");
        }
        failure
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Failure {
        let failure = Failure::from_error(&error);
        match error {
            LockError::Held(status) if status.life == Life::Silent => failure.hint(format!(
                "it has not renewed its lease in time: it was stopped, or hangs. End it (`kill {}`), or see `pinfra lock break`",
                status.holder.pid
            )),
            LockError::Held(_) => {
                failure.hint("wait for it to end: `pinfra lock status` says more. The lease of a run that was killed expires within 30 s")
            }
            LockError::Damaged { .. } => failure.hint("if no pinfra is at work on this stack: `pinfra lock break`"),
            LockError::Shelf(_) | LockError::Heartbeat(_) => failure,
        }
    }
}

impl From<Vec<GraphError>> for Failure {
    fn from(errors: Vec<GraphError>) -> Failure {
        Failure::many(errors.iter().map(|error| Failure::from_error(error)).collect())
    }
}

impl From<Vec<PlanError>> for Failure {
    fn from(errors: Vec<PlanError>) -> Failure {
        let one = |error: &PlanError| {
            let (declared_at, hint) = match error {
                PlanError::NotOurs { declared_at, .. } => (
                    declared_at.as_str(),
                    "rename the stack, or remove what has the name; pinfra takes over nothing that it did not make, unless its \
                     tags `pinfra:stack` and `pinfra:address` say that it is the stack's",
                ),
                PlanError::Protected { declared_at, would, .. } => {
                    let hint = match would {
                        Would::Destroy => {
                            "take it out of `protect` (or `protect.destroy`) in the stack file and run `pinfra up` first"
                        }
                        Would::Replace => {
                            "take it out of `protect` (or `protect.replace`) in the stack file and run `pinfra up` first"
                        }
                    };
                    (declared_at.as_str(), hint)
                }
                PlanError::Refused { declared_at, .. } => {
                    (declared_at.as_str(), "change the stack file; what it asks for could be had of a new one alone")
                }
                PlanError::UnknownKind(_) => ("", "use the version of pinfra that made this stack, or a newer one"),
            };
            let at = if declared_at.is_empty() { String::new() } else { format!("\n  declared at {declared_at}") };
            Failure::new(format!("{error}{at}")).hint(hint)
        };
        Failure::many(errors.iter().map(one).collect())
    }
}
