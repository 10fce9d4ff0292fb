//! Runs of the program that somebody ends in the middle: the next run finishes the job.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Said, Sandbox, said};

const STREAMS: usize = 12;
const ROUNDS: u64 = 5;

fn sandbox(settle_ms: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut text = "name: pins\ntables:\n".to_owned();
    for number in 0..STREAMS {
        writeln!(text, "  t{number:02}: {{ key: ind }}").unwrap();
    }
    text += "streams: { shards: 1, retention_hours: 48 }\n";
    sandbox.write("pins.yaml", &text);
    // Started by name, it outlives the runs and can be asked what they left.
    sandbox.ok(&["local", "start", "--settle-ms", settle_ms]);
    sandbox
}

/// A run of four steps at once that has just told of its `events`-th event.
fn run_until(sandbox: &Sandbox, arguments: &[&str], events: u64) -> Child {
    let mut command = sandbox.command(arguments);
    command.args(["--json", "--parallelism", "4"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
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

fn interrupt(child: Child) -> Said {
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

#[tokio::test]
async fn an_interrupted_up_ends_what_it_began_and_the_next_one_goes_on() {
    // Long enough for the interrupt to come while most of the steps have yet to begin.
    let sandbox = sandbox("400");
    let child = run_until(&sandbox, &["up", "pins.yaml"], 6);
    let interrupted = interrupt(child);
    assert_eq!(interrupted.code, 130, "{}", interrupted.stderr);
    assert!(interrupted.stdout.contains(r#""event":"stopping""#), "{}", interrupted.stdout);
    assert!(interrupted.stdout.contains(r#""event":"interrupted""#), "{}", interrupted.stdout);
    let begun = sandbox.streams().await.len();
    assert!((1..STREAMS).contains(&begun), "{begun} streams");

    let up = sandbox.ok(&["up", "pins.yaml"]);
    assert!(up.stderr.contains(&format!("{} steps done", STREAMS - begun)), "{}", up.stderr);
    assert_eq!(sandbox.streams().await.len(), STREAMS);
    sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
}
