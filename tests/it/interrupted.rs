//! Runs of the program that somebody ends in the middle: the next run finishes the job.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Said, Sandbox, said};

/// In the stack of [`sandbox`].
pub(crate) const STREAMS: usize = 12;
const ROUNDS: u64 = 5;

/// Streams alone, each of which takes so long to be made or deleted.
pub(crate) fn sandbox(settle_ms: &str) -> Sandbox {
    of_streams(STREAMS, settle_ms)
}

fn of_streams(count: usize, settle_ms: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut text = "name: pins\ntables:\n".to_owned();
    for number in 0..count {
        writeln!(text, "  t{number:02}: {{ key: ind }}").unwrap();
    }
    text += "streams: { shards: 1, retention_hours: 48 }\n";
    sandbox.write("pins.yaml", &text);
    // Started by name, it outlives the runs and can be asked what they left.
    sandbox.ok(&["local", "start", "--settle-ms", settle_ms]);
    sandbox
}

/// A run of four steps at once that has just told of its `events`-th event.
pub(crate) fn run_until(sandbox: &Sandbox, arguments: &[&str], events: u64) -> Child {
    let mut command = sandbox.command(arguments);
    command.args(["--json", "--parallelism", "4"]);
    told(&mut command, events)
}

/// What was started by `command` and has just told of its `events`-th event.
fn told(command: &mut Command, events: u64) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    for _ in 0..events {
        // A run that has told everything may be over.
        if lines.next().is_none() {
            break;
        }
    }
    child
}

/// SIGKILL after so many events.
fn kill_after(sandbox: &Sandbox, arguments: &[&str], events: u64) {
    let mut child = run_until(sandbox, arguments, events);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Ctrl-C, and what the run said until its end.
pub(crate) fn interrupt(child: Child) -> Said {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    said(&child.wait_with_output().unwrap())
}

/// The same moments in every run: a linear congruential generator with a seed.
fn moments(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Each step tells of its start, its name, its waiting and its end, so no moment is far behind the last event.
        state >> 33 & 0x1f
    })
}

#[tokio::test]
async fn after_a_kill_of_up_or_down_the_next_run_finishes_the_job() {
    let sandbox = sandbox("50");
    let mut moments = moments(2);
    for round in 0..ROUNDS {
        kill_after(&sandbox, &["up", "pins.yaml"], moments.next().unwrap());
        sandbox.ok(&["up", "pins.yaml"]);
        assert_eq!(sandbox.streams().await.len(), STREAMS, "round {round}");
        let plan = sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
        assert_eq!(plan.stdout, "no changes: 12 resources are as the stack file says\n");

        kill_after(&sandbox, &["down", "pins"], moments.next().unwrap());
        sandbox.ok(&["down", "pins.yaml"]);
        assert_eq!(sandbox.streams().await, [""; 0], "round {round}");
    }
}

/// The events of this name that a run told as JSON, but for what [`run_until`] has read.
pub(crate) fn events(said: &Said, name: &str) -> Vec<Value> {
    let events = said.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == name).collect()
}

#[tokio::test]
async fn an_interrupted_up_parks_what_it_began_and_the_next_one_goes_on() {
    // Far longer than the run may take once it is interrupted.
    let sandbox = sandbox("8000");
    let child = run_until(&sandbox, &["up", "pins.yaml"], 6);
    let since = Instant::now();
    let interrupted = interrupt(child);
    let took = since.elapsed();
    assert_eq!(interrupted.code, 130, "{}", interrupted.stderr);
    assert!(took < Duration::from_secs(5), "{took:?}");
    for event in ["stopping", "interrupted"] {
        assert_eq!(events(&interrupted, event).len(), 1, "{}", interrupted.stdout);
    }
    let summary = &events(&interrupted, "summary")[0];
    let under_way = summary["under_way"].as_array().unwrap().len();
    assert!((1..STREAMS).contains(&under_way), "{summary}");
    assert_eq!((summary["failed"].as_u64(), summary["not_finished"].as_u64()), (Some(0), Some(STREAMS as u64)));
    assert_eq!(sandbox.streams().await.len(), under_way);

    let up = sandbox.ok(&["up", "pins.yaml"]);
    assert!(up.stderr.contains("12 steps done"), "{}", up.stderr);
    assert_eq!(sandbox.streams().await.len(), STREAMS);
    sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
}

#[tokio::test]
async fn what_is_held_back_by_a_rate_is_not_sent_after_an_interrupt() {
    // All begin at once, and AWS makes five a second: the last would leave after ten seconds.
    let count = 50;
    let sandbox = of_streams(count, "8000");
    let mut command = sandbox.command(&["up", "pins.yaml", "--json", "--parallelism", "50"]);
    let child = told(command.env("PINFRA_KEEP_RATES", "1"), 52);
    let since = Instant::now();
    let interrupted = interrupt(child);
    let took = since.elapsed();
    assert_eq!(interrupted.code, 130, "{}", interrupted.stderr);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let summary = &events(&interrupted, "summary")[0];
    assert_eq!((summary["failed"].as_u64(), summary["under_way"].as_array().map(Vec::len)), (Some(0), Some(count)));
    let sent = sandbox.requests()["kinesis.CreateStream"];
    assert!((1..50).contains(&sent), "{sent} were sent");
    assert_eq!(sandbox.streams().await.len() as u64, sent);

    let up = sandbox.ok(&["up", "pins.yaml", "--parallelism", "50"]);
    assert!(up.stderr.contains("50 steps done"), "{}", up.stderr);
    assert_eq!(sandbox.requests()["kinesis.CreateStream"], 50, "each was made once");
}

#[tokio::test]
async fn detached_runs_return_and_later_ones_go_on() {
    let sandbox = sandbox("3000");
    let since = Instant::now();
    let up = sandbox.ok(&["up", "pins.yaml", "--detach"]);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(up.stderr.contains("12 under way"), "{}", up.stderr);
    assert!(up.stderr.contains("; `pinfra up` goes on from here"), "{}", up.stderr);
    assert_eq!(sandbox.run(&["plan", "pins.yaml", "--detailed-exitcode"]).code, 2);
    sandbox.ok(&["up", "pins.yaml"]);
    sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);

    let down = sandbox.ok(&["down", "pins", "--detach"]);
    assert!(down.stderr.contains("12 under way") && down.stderr.contains("; `pinfra down` goes on"), "{}", down.stderr);
    assert_eq!(sandbox.streams().await.len(), STREAMS, "they are being deleted");
    sandbox.ok(&["down", "pins"]);
    assert_eq!(sandbox.streams().await, [""; 0]);
}

#[tokio::test]
async fn a_run_that_is_out_of_time_exits_with_1_and_the_next_one_goes_on() {
    let sandbox = sandbox("3000");
    let up = sandbox.run(&["up", "pins.yaml", "--timeout", "1500ms"]);
    assert_eq!(up.code, 1, "{}", up.stderr);
    assert!(up.stderr.contains("not all was done within 1.5 s (`--timeout`)"), "{}", up.stderr);
    assert!(up.stderr.contains("12 under way"), "{}", up.stderr);
    sandbox.ok(&["up", "pins.yaml", "--timeout", "5m"]);
    assert_eq!(sandbox.streams().await.len(), STREAMS);
}

#[test]
fn an_interrupt_while_packing_ends_with_a_word_and_lets_go_of_the_stack() {
    let sandbox = Sandbox::new();
    let text = "name: pins\ntables: { pin: { key: index } }\nstreams: {}\nlake: {}\nclient: {}\n\
                api: {}\nworkers: { cleaner: {} }\n";
    sandbox.write("pins.yaml", text);
    let mut command = sandbox.command(&["up", "pins.yaml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !told.contains("packing the program") {
        assert_ne!(lines.read_line(&mut told).unwrap(), 0, "{told}");
    }
    let interrupted = interrupt(child);
    lines.read_to_string(&mut told).unwrap();
    assert_eq!(interrupted.code, 130, "{told}");
    assert!(told.ends_with("interrupted: that was while planning, and nothing was changed\n"), "{told}");
    let left: Vec<_> = std::fs::read_dir(sandbox.folder.path().join(".pinfra/_program")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // The lock is free, and nothing is recorded.
    let down = sandbox.run(&["down", "pins.yaml"]);
    assert!(down.code == 0 && down.stderr.contains("nothing to destroy"), "{}", down.stderr);
}
