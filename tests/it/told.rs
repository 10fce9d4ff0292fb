//! What the program says when things are not as they were made: no dead ends, and the command that goes on is named.

use std::time::Duration;

use aws_sdk_ec2::types::InstanceStateName;

use crate::interrupted::{self, STREAMS};
use crate::support::Sandbox;

/// A machine that does nothing, in its role and security group.
const MACHINE: &str = "name: pins\nlake: {}\nclient: { instance: t3.small }\n";

/// A stack of one stream, made.
fn stream() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "pins.yaml",
        "name: pins\ntables: { pin: { key: index } }\nstreams: { shards: 1, retention_hours: 48 }\n",
    );
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "pins.yaml"]);
    sandbox
}

#[tokio::test]
async fn a_machine_that_somebody_stopped_is_seen_and_started_again() {
    let sandbox = Sandbox::new();
    sandbox.write("pins.yaml", MACHINE);
    sandbox.ok(&["up", "pins.yaml"]);
    let ec2 = sandbox.clients().await.ec2;
    let id = sandbox.ok(&["outputs", "--show", "client_instance"]).stdout.trim().to_owned();
    let state = || async {
        let found = ec2.describe_instances().instance_ids(&id).send().await.unwrap();
        found.reservations()[0].instances()[0].state().unwrap().name().unwrap().clone()
    };
    ec2.stop_instances().instance_ids(&id).send().await.unwrap();
    for _ in 0..3_000 {
        if state().await == InstanceStateName::Stopped {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = sandbox.run(&["status"]);
    assert!(status.code == 1 && status.stdout.contains("the machine is stopped"), "{}", status.stdout);
    let plan = sandbox.run(&["plan", "pins.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stdout);
    assert!(
        plan.stdout.contains("~ ec2/instance.client  update: the machine is stopped: it is started"),
        "{}",
        plan.stdout
    );
    sandbox.ok(&["up", "pins.yaml"]);
    assert_eq!(state().await, InstanceStateName::Running);
    sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
    assert!(sandbox.ok(&["status"]).stdout.contains("healthy: "));
}

#[tokio::test]
async fn a_stack_that_is_half_gone_is_never_told_as_healthy() {
    let sandbox = interrupted::sandbox("20");
    sandbox.ok(&["up", "pins.yaml"]);
    // One of them is destroyed, and at the next the program is killed.
    sandbox.write("rules", "on kinesis:DeleteStream nth=2 do kill after\n");
    sandbox.ok(&["local", "faults", "set", "rules"]);
    let killed = sandbox.run(&["down", "pins", "--parallelism", "1"]);
    assert!(killed.code != 0, "{}", killed.stderr);
    sandbox.ok(&["local", "faults", "clear"]);
    let status = sandbox.run(&["status", "pins"]);
    assert_eq!(status.code, 1, "{}", status.stdout);
    assert!(
        status.stdout.contains("half gone") && status.stdout.contains("`pinfra down pins` goes on"),
        "{}",
        status.stdout
    );
    let left = sandbox.streams().await.len();
    assert!((1..=STREAMS).contains(&left), "{left}");
    // A run that makes it whole again ends it.
    sandbox.ok(&["up", "pins.yaml"]);
    assert!(sandbox.ok(&["status"]).stdout.contains("healthy: 12 resources"));
}

#[tokio::test]
async fn after_down_it_is_said_how_a_stack_is_made_and_what_still_runs() {
    let sandbox = stream();
    let down = sandbox.ok(&["down"]);
    assert!(down.stderr.contains("the local cloud still runs: `pinfra local stop` ends it"), "{}", down.stderr);
    let status = sandbox.run(&["status"]);
    assert_eq!(
        (status.code, status.stdout.as_str()),
        (1, "stack pins: nothing is there; `pinfra up STACK.yaml` makes it\n")
    );
    assert!(sandbox.run(&["status", "pins.yaml"]).stdout.contains("`pinfra up pins.yaml` makes it"));
    assert!(sandbox.ok(&["down"]).stderr.contains("nothing to destroy"));
    let logs = sandbox.run(&["logs", "cleaner"]);
    assert!(logs.stderr.contains("nothing of the stack `pins` is there"), "{}", logs.stderr);
    assert!(logs.stderr.contains("`pinfra up STACK.yaml` makes it"), "{}", logs.stderr);
}

#[tokio::test]
async fn without_state_the_stack_file_that_is_here_is_named() {
    let sandbox = stream();
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/pins")).unwrap();
    let status = sandbox.run(&["status"]);
    assert!(status.stderr.contains("`pinfra down pins.yaml`"), "{}", status.stderr);
    let down = sandbox.run(&["down", "pins"]);
    assert!(down.stderr.contains("give its file `pins.yaml` instead of its name"), "{}", down.stderr);
    sandbox.ok(&["down", "pins.yaml"]);
    assert_eq!(sandbox.streams().await, [""; 0]);
}

#[tokio::test]
async fn what_was_accepted_is_told_as_not_recorded_until_the_next_up() {
    let sandbox = stream();
    let kinesis = sandbox.clients().await.kinesis;
    let raise = kinesis.increase_stream_retention_period().stream_name("pins-pin").retention_period_hours(72);
    raise.send().await.unwrap();
    let accepted = sandbox.ok(&["drift", "pins.yaml", "--accept", "kinesis/stream.pin"]);
    assert!(accepted.stderr.contains("`pinfra up pins.yaml` records it"), "{}", accepted.stderr);
    let drift = sandbox.ok(&["drift", "pins.yaml"]);
    assert!(drift.stderr.contains("the stack file and the cloud agree"), "{}", drift.stderr);
    assert!(sandbox.ok(&["plan", "pins.yaml"]).stderr.contains("`pinfra up pins.yaml` records what is there"));
    let by_name = sandbox.run(&["drift", "pins"]);
    assert!(by_name.code == 2 && by_name.stdout.contains("what the last run recorded"), "{}", by_name.stdout);
    sandbox.ok(&["up", "pins.yaml"]);
    sandbox.ok(&["drift", "pins"]);
    let drift = sandbox.ok(&["drift", "pins.yaml"]);
    assert!(!drift.stderr.contains("agree"), "{}", drift.stderr);
    assert!(sandbox.ok(&["plan", "pins.yaml"]).stderr.is_empty());
}

#[test]
fn files_that_are_not_there_are_named_with_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.write("pins.yaml", MACHINE);
    for (arguments, says, hint) in [
        (
            &["up", "pins.yaml", "--plan", "nofile"][..],
            "cannot read the plan `nofile`",
            "`pinfra plan STACK.yaml --out nofile`",
        ),
        (&["plan", "pins.yaml", "--out", "nodir/x"], "there is no folder `nodir`", "mkdir -p nodir"),
        (&["drift", "pins.yaml", "--output", "nodir/x"], "there is no folder `nodir`", "mkdir -p nodir"),
    ] {
        let said = sandbox.run(arguments);
        assert_eq!(said.code, 1, "{arguments:?}");
        assert!(said.stderr.contains(says) && said.stderr.contains(hint), "{}", said.stderr);
        assert!(!said.stderr.contains("os error"), "{}", said.stderr);
    }
    assert!(!sandbox.folder.path().join(".pinfra").exists(), "nothing was begun");
}
