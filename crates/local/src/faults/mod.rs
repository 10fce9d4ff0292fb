//! Trouble on request: what calls meet when somebody asked for it, and a log of the calls.
//!
//! Rules are text, one a line ([`parse`] reads them into [`rule`]). Whoever answers a request asks [`Faults::turn`] what this
//! call meets: each rule that matches counts it, and the first one that fires decides. What then happens (a refusal, a closed
//! connection, a killed caller) is done by `server/trouble`, which has the connection; [`victim`] finds and kills the process
//! at its other end. Rules concern callers with the local cloud's own key, unless they say `by=any`.
//!
//! Rules and counters are in memory: a restart of the local cloud forgets them. Without rules a call pays one atomic load.

mod calls;
mod codes;
mod nearest;
mod parse;
#[cfg(test)]
mod parse_tests;
mod rates;
mod rule;
mod stale;
mod standing;
mod victim;
mod words;

pub use calls::LoggedCall;
pub use parse::{RuleError, RuleErrors};
pub use standing::StandingRule;

pub(crate) use calls::Entry;
pub(crate) use codes::{server_error, throttled};
pub(crate) use rates::Rates;
pub(crate) use rule::{Act, Moment};
pub(crate) use stale::Stale;
pub(crate) use standing::Turn;
pub(crate) use victim::{NoVictim, Victim};

use calls::Calls;
use standing::Standing;

/// A call of one operation, as rules and the log see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    /// The name in the scope of signatures.
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) mutating: bool,
    /// The name of the role whose session calls; `None` is the local cloud's own user.
    pub(crate) role: Option<&'a str>,
}

/// The rules that stand and the calls that were made.
#[derive(Debug, Default)]
pub struct Faults {
    standing: Standing,
    calls: Calls,
}

impl Faults {
    /// Replaces all rules; counters begin at 0. With a rule that cannot be read none is taken, and those before stay.
    pub fn set(&self, text: &str) -> Result<usize, RuleErrors> {
        let rules = parse::parse(text)?;
        Ok(self.standing.set(rules))
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.standing.set(parse::Rules::default());
    }

    /// The rules with how often each matched and fired.
    pub fn rules(&self) -> Vec<StandingRule> {
        self.standing.list()
    }

    /// The calls since the last [`Faults::forget_calls`], the last 100,000 at most, in the order in which they came.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.calls.list()
    }

    /// Begins the log of calls anew. Calls of roles are logged only with `all`.
    pub fn forget_calls(&self, all: bool) {
        self.calls.forget(all);
    }

    /// Puts a call into the log.
    pub(crate) fn log(&self, called: &Called<'_>) -> Entry<'_> {
        self.calls.begin(called)
    }

    /// What this call meets; counts it.
    pub(crate) fn turn(&self, called: &Called<'_>) -> Turn {
        self.standing.turn(called)
    }
}
