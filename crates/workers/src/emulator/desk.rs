//! What all deliveries share: the API, the journal, and how it is going.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::journal::{Journal, Post};
use super::lanes::{FAR, Lanes};
use super::route::Route;
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
    /// The routes that events take.
    used: Vec<Route>,
    mood: Mutex<Mood>,
}

#[derive(Debug, Default)]
struct Mood {
    /// By the route's number.
    ways: [Way; 2],
    /// The source's last failure, until an event is accepted again, and since when it fails.
    source: Option<(Instant, String)>,
    /// All that was asked for, once it has an outcome.
    finished: Option<u64>,
    /// Reasons of refusals that were logged.
    logged: BTreeSet<String>,
}

/// How it is going on one route.
#[derive(Debug, Default)]
struct Way {
    /// Events that were accepted since the start.
    accepted: u64,
    /// Events that have an outcome, at each of the last seconds.
    ended: u64,
    seconds: VecDeque<u64>,
    /// Since when nothing but failures were seen, and the last of them.
    failing: Option<(Instant, String)>,
    /// No more requests may be under way.
    full: bool,
    /// Events that wait for a request.
    waiting: usize,
    unwell: bool,
}

impl Way {
    /// Events a second that got an outcome, over the last seconds; to be asked once a second.
    fn rate(&mut self) -> f64 {
        self.seconds.push_back(self.ended);
        if self.seconds.len() > SECONDS + 1 {
            self.seconds.pop_front();
        }
        let span = self.seconds.len().saturating_sub(1).max(1) as f64;
        (self.ended - self.seconds.front().copied().unwrap_or(self.ended)) as f64 / span
    }
}

impl Desk {
    pub(super) fn new(api: Api, journal: Journal, teller: Teller, stop: CancellationToken, used: Vec<Route>) -> Desk {
        Desk { api, stop, journal: Mutex::new(journal), teller, used, mood: Mutex::default() }
    }

    /// The journal, for one step.
    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        // Its file and its counts agree after each line, so one that panicked left them right.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that the API took on a route since the start.
    pub(super) fn accepted_so_far(&self, route: Route) -> u64 {
        self.mood().ways[route as usize].accepted
    }

    /// An event was accepted.
    pub(super) fn accepted(&self, number: u64, route: Route) -> io::Result<()> {
        self.journal().accepted(number, route)?;
        let mut mood = self.mood();
        mood.source = None;
        let way = &mut mood.ways[route as usize];
        way.accepted += 1;
        way.ended += 1;
        way.failing = None;
        Ok(())
    }

    /// An event was refused.
    pub(super) fn refused(&self, post: &Post, route: Route, reason: &str) -> io::Result<()> {
        self.journal().refused(post.number, route)?;
        let message = format!("an event of `{}` was refused: {reason}", post.table);
        self.went_wrong(route, &message);
        let mut mood = self.mood();
        mood.ways[route as usize].ended += 1;
        if mood.logged.len() < REASONS && mood.logged.insert(message.clone()) {
            say(&format!("{message} (said once)"));
        }
        Ok(())
    }

    /// An attempt failed.
    pub(super) fn failed(&self, number: u64, route: Route, unknown: bool, reason: &str) -> io::Result<()> {
        self.journal().failed(number, route, unknown)?;
        self.went_wrong(route, reason);
        Ok(())
    }

    /// There are no rows for now.
    pub(super) fn source_failed(&self, error: &super::source::SourceError) {
        let message = error.to_string();
        say(&message);
        self.teller.stumbled(&message);
        let mut mood = self.mood();
        let since = mood.source.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        mood.source = Some((since, message));
    }

    /// What is under way and what waits now.
    pub(super) fn sees(&self, lanes: &Lanes) {
        let mut mood = self.mood();
        for route in Route::ALL {
            let way = &mut mood.ways[route as usize];
            (way.full, way.waiting) = (lanes.is_full(route), lanes.waiting(route));
        }
    }

    /// Tells how it is going; to be called once a second. `wanted` is the rate that was asked for.
    pub(super) fn tell(&self, wanted: f64) {
        let mut mood = self.mood();
        if let Some(count) = mood.finished {
            self.teller.works(format!("done: {count} events were posted"));
            return;
        }
        let accepted: u64 = mood.ways.iter().map(|way| way.accepted).sum();
        let rates = self.used.iter().map(|route| (*route, mood.ways[*route as usize].rate())).collect::<Vec<_>>();
        let mut problems = Vec::new();
        for route in &self.used {
            problems.extend(self.problem(*route, &mut mood.ways[*route as usize]));
        }
        if let Some((since, reason)) = &mood.source
            && (accepted == 0 || since.elapsed() >= PATIENCE)
        {
            problems.push(reason.clone());
        }
        if !problems.is_empty() {
            self.teller.fails(problems.join("; "));
            return;
        }
        if accepted == 0 {
            // Neither well nor unwell before the first answer.
            return;
        }
        self.teller.works(format!("posting {}", self.pace(&rates, &mood, wanted)));
    }

    /// What keeps a route from being well. It is logged when it begins and when it is over.
    fn problem(&self, route: Route, way: &mut Way) -> Option<String> {
        let to = if self.used.len() > 1 { format!(" by {}", route.end()) } else { String::new() };
        let Some((since, reason)) = &way.failing else {
            if way.unwell {
                say(&format!("events are accepted again{to}"));
                way.unwell = false;
            }
            return None;
        };
        if way.accepted > 0 && since.elapsed() < PATIENCE {
            return None;
        }
        if !way.unwell {
            say(&format!("nothing is accepted{to}: {reason}"));
            way.unwell = true;
        }
        Some(if to.is_empty() { reason.clone() } else { format!("nothing is accepted{to}: {reason}") })
    }

    /// How fast events go out on each route, and what is behind.
    fn pace(&self, rates: &[(Route, f64)], mood: &Mood, wanted: f64) -> String {
        let mut parts = Vec::new();
        for (route, found) in rates {
            let way = &mood.ways[*route as usize];
            let slow = way.full && *found < wanted * 0.9;
            let of = if slow { format!(" of {wanted:.1}") } else { String::new() };
            let to = if rates.len() > 1 { format!(" to {}", route.end()) } else { String::new() };
            let why = if slow { ": the API is slower than that" } else { "" };
            let behind = match way.waiting {
                0 => String::new(),
                n if n >= FAR => format!(" ({n} wait, and hold up the rest)"),
                n => format!(" ({n} wait)"),
            };
            parts.push(format!("{found:.1}{of} events/s{to}{behind}{why}"));
        }
        parts.join(", ")
    }

    /// All events that were asked for have an outcome.
    pub(super) fn finished(&self, count: u64) {
        self.mood().finished = Some(count);
        self.tell(0.0);
    }

    fn went_wrong(&self, route: Route, reason: &str) {
        self.teller.stumbled(reason);
        let way = &mut self.mood().ways[route as usize];
        let since = way.failing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        way.failing = Some((since, reason.to_owned()));
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
