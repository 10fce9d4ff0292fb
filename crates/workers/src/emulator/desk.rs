//! What all deliveries share: the API, the journal, and how it is going.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::journal::Journal;
use crate::log::say;
use crate::report::Teller;

/// Failures are bad health once nothing has been accepted for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The rate that is told is the one of so many seconds.
const SECONDS: usize = 10;
/// Reasons that are remembered as logged.
const REASONS: usize = 100;

/// See above.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) api: Api,
    pub(super) stop: CancellationToken,
    journal: Mutex<Journal>,
    teller: Teller,
    mood: Mutex<Mood>,
}

#[derive(Debug, Default)]
struct Mood {
    /// Events that were accepted since the start.
    accepted: u64,
    /// Events that have an outcome, at each of the last seconds.
    ended: u64,
    seconds: VecDeque<u64>,
    /// Since when nothing but failures were seen, and the last of them.
    failing: Option<(Instant, String)>,
    unwell: bool,
    /// All that was asked for, once it has an outcome.
    finished: Option<u64>,
    /// Reasons of refusals that were logged.
    logged: BTreeSet<String>,
}

impl Desk {
    pub(super) fn new(api: Api, journal: Journal, teller: Teller, stop: CancellationToken) -> Desk {
        Desk { api, stop, journal: Mutex::new(journal), teller, mood: Mutex::default() }
    }

    /// The journal, for one step.
    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        // Its file and its counts agree after each line, so one that panicked left them right.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that the API took since the start.
    pub(super) fn accepted_so_far(&self) -> u64 {
        self.mood().accepted
    }

    /// An event was accepted.
    pub(super) fn accepted(&self, number: u64) -> io::Result<()> {
        self.journal().accepted(number)?;
        let mut mood = self.mood();
        mood.accepted += 1;
        mood.ended += 1;
        mood.failing = None;
        Ok(())
    }

    /// An event was refused.
    pub(super) fn refused(&self, number: u64, table: &str, reason: &str) -> io::Result<()> {
        self.journal().refused(number)?;
        let message = format!("an event of `{table}` was refused: {reason}");
        self.went_wrong(&message);
        let mut mood = self.mood();
        mood.ended += 1;
        if mood.logged.len() < REASONS && mood.logged.insert(message.clone()) {
            say(&format!("{message} (said once)"));
        }
        Ok(())
    }

    /// An attempt failed.
    pub(super) fn failed(&self, number: u64, unknown: bool, reason: &str) -> io::Result<()> {
        self.journal().failed(number, unknown)?;
        self.went_wrong(reason);
        Ok(())
    }

    /// There are no rows for now.
    pub(super) fn source_failed(&self, error: &super::source::SourceError) {
        let message = error.to_string();
        say(&message);
        self.went_wrong(&message);
    }

    /// Tells how it is going; to be called once a second. `rate` is what is wanted, `full` says that no more requests
    /// may be under way.
    pub(super) fn tell(&self, rate: f64, full: bool) {
        let mut mood = self.mood();
        if let Some(count) = mood.finished {
            self.teller.works(format!("done: {count} events were posted"));
            return;
        }
        let ended = mood.ended;
        mood.seconds.push_back(ended);
        if mood.seconds.len() > SECONDS + 1 {
            mood.seconds.pop_front();
        }
        let span = mood.seconds.len().saturating_sub(1).max(1) as f64;
        let found = (ended - mood.seconds.front().copied().unwrap_or(ended)) as f64 / span;
        if let Some((since, reason)) = mood.failing.clone() {
            if mood.accepted == 0 || since.elapsed() >= PATIENCE {
                if !mood.unwell {
                    say(&format!("nothing is accepted: {reason}"));
                }
                mood.unwell = true;
                self.teller.fails(reason);
                return;
            }
        } else if mood.unwell {
            say("events are accepted again");
            mood.unwell = false;
        }
        if mood.accepted == 0 {
            // Neither well nor unwell before the first answer.
            return;
        }
        if full && found < rate * 0.9 {
            self.teller.works(format!("posting {found:.1} of {rate:.1} events/s: the API is slower than that"));
        } else {
            self.teller.works(format!("posting {found:.1} events/s"));
        }
    }

    /// All events that were asked for have an outcome.
    pub(super) fn finished(&self, count: u64) {
        self.mood().finished = Some(count);
        self.tell(0.0, false);
    }

    fn went_wrong(&self, reason: &str) {
        self.teller.stumbled(reason);
        let mut mood = self.mood();
        let since = mood.failing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        mood.failing = Some((since, reason.to_owned()));
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
