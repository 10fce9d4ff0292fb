//! Trouble on request, with the program itself: what kills it, and how rules and calls are told.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{STREAMS, Said, Sandbox, said};

const SIGKILL: i32 = 9;

/// A sandbox with a local cloud that runs, and a stack file.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("pins.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "0"]);
    sandbox
}

fn set(sandbox: &Sandbox, rules: &str) -> Said {
    let mut child = sandbox
        .command(&["local", "faults", "set", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    said(&child.wait_with_output().unwrap())
}

fn calls(sandbox: &Sandbox) -> Vec<Value> {
    let said = sandbox.ok(&["local", "calls", "--json"]);
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs `up`, which a rule has to kill.
fn killed_up(sandbox: &Sandbox, rule: &str) {
    let set = set(sandbox, rule);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let ended = sandbox.command(&["up", "pins.yaml", "--yes"]).output().unwrap();
    assert_eq!(ended.status.signal(), Some(SIGKILL), "{rule}: {ended:?}");
}

#[tokio::test]
async fn the_caller_dies_before_its_call_after_it_or_when_it_is_answered() {
    let sandbox = sandbox();
    let s3 = sandbox.clients().await.s3;
    killed_up(&sandbox, "on s3:CreateBucket nth=1 do kill before");
    assert!(s3.list_buckets().send().await.unwrap().buckets().is_empty());

    killed_up(&sandbox, "on s3:CreateBucket nth=1 do kill after");
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 1);
    let made = calls(&sandbox);
    let bucket = made.iter().rfind(|call| call["operation"] == "CreateBucket").unwrap();
    assert_eq!((&bucket["status"], &bucket["fault"]), (&Value::Null, &Value::from("kill after")), "{bucket}");

    killed_up(&sandbox, "on s3:PutBucketTagging nth=1 do kill answered");
    let made = calls(&sandbox);
    let tagging = made.iter().rfind(|call| call["operation"] == "PutBucketTagging").unwrap();
    assert_eq!(
        (&tagging["status"], &tagging["fault"]),
        (&Value::from(200), &Value::from("kill answered")),
        "{tagging}"
    );

    // Rules that have fired stand on, and the next run is not the first call any more.
    sandbox.ok(&["up", "pins.yaml", "--yes"]);
    let plan = sandbox.run(&["plan", "pins.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}", plan.stdout);
    assert_eq!(sandbox.streams().await.len(), 3);
    sandbox.ok(&["local", "faults", "clear"]);
    sandbox.ok(&["down", "--yes"]);
}

#[test]
fn rules_are_set_listed_and_cleared() {
    let sandbox = sandbox();
    let wrong = set(&sandbox, "on kinesis:* do reset\non kinesis:CreatStream do kil before\n");
    assert_eq!(wrong.code, 1);
    assert_eq!(
        wrong.stderr,
        "error: stdin:2:4: `kinesis` has no operation `CreatStream` here; did you mean `CreateStream`?\n"
    );
    assert_eq!(sandbox.ok(&["local", "faults", "list"]).stdout, "");

    let file = sandbox.write("rules", "# all writes\non kinesis:* writes every=2 do throttle\n");
    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
    sandbox.ok(&["up", "pins.yaml", "--yes"]);
    let listed: Value = serde_json::from_str(&sandbox.ok(&["local", "faults", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed["rules"][0]["rule"], "on kinesis:* every=2 writes do throttle", "{listed}");
    let count = |name: &str| listed["rules"][0][name].as_u64().unwrap();
    assert!(count("fired") > 0 && count("fired") == count("matched") / 2, "{listed}");
    let text = sandbox.ok(&["local", "faults", "list"]).stdout;
    assert!(text.ends_with("fired  on kinesis:* every=2 writes do throttle\n"), "{text}");

    sandbox.ok(&["local", "faults", "clear"]);
    assert_eq!(sandbox.ok(&["local", "faults", "list"]).stdout, "");
    assert_eq!(sandbox.run(&["local", "calls", "--all"]).code, 2);
}

#[test]
fn the_calls_of_a_run_are_told_in_order() {
    let sandbox = sandbox();
    sandbox.ok(&["local", "calls", "--reset"]);
    sandbox.ok(&["up", "pins.yaml", "--yes"]);
    let made = calls(&sandbox);
    assert!(made.len() > 10, "{made:?}");
    for (number, call) in (1_u64..).zip(&made) {
        assert_eq!((call["event"].as_str(), call["number"].as_u64()), (Some("call"), Some(number)));
        assert_eq!(call["by"], "tool");
    }
    let streams: Vec<_> = made.iter().filter(|call| call["operation"] == "CreateStream").collect();
    assert_eq!(streams.len(), 3);
    assert!(streams.iter().all(|call| call["mutating"] == true && call["status"] == 200), "{streams:?}");
    let text = sandbox.ok(&["local", "calls"]).stdout;
    assert_eq!(text.lines().count(), made.len());
    assert!(text.contains("kinesis:CreateStream  200\n"), "{text}");
}
