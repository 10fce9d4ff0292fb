//! Killed (-9) at any call, the next run finishes the job: nothing is left over, nothing is there twice, nothing has to be
//! repaired by hand.
//!
//! No list of calls is kept. The program runs undisturbed against a local cloud of its own, whose log tells every call that
//! was made; each call that changes something gives three moments at which the local cloud kills the program (before its
//! effect, after it, and once the answer has left), each operation that reads gives one or two. Then the program runs again,
//! and what the cloud holds, by its own lists, is compared with what it held after the undisturbed run.
//!
//! Runs follow each other in rounds ([`scenario`]): made, updated, replaced, destroyed. Every run of a round is killed at a
//! point of its own, so none is there only to prepare another. A stack of a like name stands beside it all the time.
//!
//! `PINFRA_KILL_POINTS=all` tries every point three times: the same run comes again, it comes again without its state, or the
//! opposite one comes; `PINFRA_KILL_STACK=whole` takes
//! the whole pipeline with its workers. [reliability](../../../docs/reliability.md) has the figures.

mod inventory;
mod lane;
mod points;
mod scenario;
mod stack;
mod table;
mod unseen;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use lane::{Lane, Round, Undisturbed};
use points::{NEXTS, Next, Point, points, sample};
use scenario::SCENARIOS;
use stack::Extent;
use table::{Outcome, Trial, markdown, summary};

use crate::chaos::setting;

/// What `.ci/run` tries.
const SAMPLE: usize = 12;
/// Local clouds at the same time; more by `PINFRA_KILL_LANES`.
const LANES: u64 = 2;

/// Points that are still to be tried, of each scenario.
type Queues = [VecDeque<Point>; SCENARIOS.len()];

#[test]
fn killed_at_any_call_the_next_run_finishes_the_job() {
    let started = Instant::now();
    let extent = match std::env::var("PINFRA_KILL_STACK").as_deref() {
        Ok("whole") => Extent::Whole,
        _ => Extent::Bare,
    };
    let mut first = Lane::start(extent);
    let undisturbed = first.undisturbed();
    let queues = Mutex::new(queues(&undisturbed));
    let trials = Mutex::new(Vec::new());
    let mut first = Some(first);
    std::thread::scope(|scope| {
        for _ in 0..setting("PINFRA_KILL_LANES", LANES) {
            let lane = first.take();
            let (queues, trials, undisturbed) = (&queues, &trials, &undisturbed);
            scope.spawn(move || go_round_until_done(lane, extent, queues, trials, undisturbed, started));
        }
    });
    report(&trials.into_inner().unwrap(), started);
}

/// The points that are asked for.
fn queues(undisturbed: &[Undisturbed; SCENARIOS.len()]) -> Queues {
    let asked = std::env::var("PINFRA_KILL_POINTS").unwrap_or_else(|_| SAMPLE.to_string());
    let found = undisturbed.each_ref().map(|run| &run.calls);
    let of_each: usize = if asked == "all" { 0 } else { asked.parse::<usize>().unwrap().div_ceil(SCENARIOS.len()) };
    let mut first = 0;
    found.map(|calls| {
        first += 1;
        match asked.as_str() {
            "all" => NEXTS.into_iter().flat_map(|next| points(calls, next)).collect(),
            _ => sample(&points(calls, Next::Same), of_each, first).into(),
        }
    })
}

/// Takes a point of each scenario, again and again.
fn go_round_until_done(
    mut lane: Option<Lane>,
    extent: Extent,
    queues: &Mutex<Queues>,
    trials: &Mutex<Vec<Trial>>,
    undisturbed: &[Undisturbed; SCENARIOS.len()],
    started: Instant,
) {
    loop {
        let mut round: Round = queues.lock().unwrap().each_mut().map(VecDeque::pop_front);
        if round.iter().all(Option::is_none) {
            return;
        }
        let tried = lane.get_or_insert_with(|| Lane::start(extent)).go_round(&mut round, undisturbed);
        if tried.iter().any(|trial| matches!(trial.outcome, Outcome::Failed { .. })) {
            lane = None;
        }
        // A round that ended early has left some.
        for (queue, point) in queues.lock().unwrap().iter_mut().zip(round) {
            queue.extend(point);
        }
        tried.iter().for_each(tell_failure);
        let mut trials = trials.lock().unwrap();
        trials.extend(tried);
        // A whole run takes an hour: what is known of it can be looked at, also when it is ended.
        std::fs::write(table_path(), told(&trials, started)).unwrap();
    }
}

#[expect(clippy::print_stdout, reason = "the table is what the whole run is for")]
fn report(trials: &[Trial], started: Instant) {
    println!("{}\nthis is also in {}", told(trials, started), table_path().display());
    let failed = trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Failed { .. })).count();
    assert!(failed == 0, "{failed} of {} points did not converge", trials.len());
}

fn told(trials: &[Trial], started: Instant) -> String {
    format!("{}\n{}\n", markdown(trials), summary(trials, started.elapsed()))
}

fn table_path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("killed-anywhere.md")
}

#[expect(clippy::print_stdout, reason = "a whole run takes an hour: what went wrong is told as it comes")]
fn tell_failure(trial: &Trial) {
    if let Outcome::Failed { said, .. } = &trial.outcome {
        println!("\n{}, {:?}:\n{said}", trial.scenario.word(), trial.point);
    }
}
