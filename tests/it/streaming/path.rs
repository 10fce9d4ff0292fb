//! One pipeline, from the first `up` to the last event.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::judge::reconciled;
use crate::pipeline::{NAME, Pipeline, http};

/// Events of all tables together; more by `PINFRA_TEST_EVENTS`.
fn events() -> u64 {
    std::env::var("PINFRA_TEST_EVENTS").ok().map_or(600, |events| events.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_become_rows_and_answers() {
    let events = events();
    let rate = (events / 20).clamp(200, 1_000);
    let pipeline = Pipeline::up(Some(&format!("rate: {rate}, count: {events}")));
    let sandbox = &pipeline.sandbox;
    let plan = sandbox.run(&["plan", "stack.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);

    let counts = reconciled(&pipeline).await;
    let total = |name: &str| counts.values().map(|counts| counts[name]).sum::<u64>();
    assert_eq!((total("emitted"), total("accepted"), total("read")), (events, events, events), "{counts:?}");

    let listed: Vec<String> = sandbox.ok(&["query", "--json"]).stdout.lines().flat_map(names_of_analyses).collect();
    assert!(listed.len() >= 8, "{listed:?}");
    for name in &listed {
        let answer = sandbox.ok(&["query", name, "--format", "csv"]).stdout;
        assert!(answer.lines().count() >= 2, "{name}: {answer}");
    }
    sandbox.ok(&["verify"]);
    assert!(sandbox.ok(&["logs", "emulator"]).stdout.contains("events so far"));

    a_call_by_hand_arrives(&pipeline);
    the_key_stays_secret(&pipeline);
    a_changed_rate_is_taken_up(&pipeline, events);
}

fn names_of_analyses(event: &str) -> Vec<String> {
    let event: Value = serde_json::from_str(event).unwrap();
    let analyses = event["analyses"].as_array().cloned().unwrap_or_default();
    analyses.iter().map(|analysis| analysis["name"].as_str().unwrap().to_owned()).collect()
}

/// `curl -X PUT … -H "x-api-key: …" -d '…'`: curl says of any `-d` that it is a form.
fn a_call_by_hand_arrives(pipeline: &Pipeline) {
    let (url, key) = (pipeline.output("invoke_url"), pipeline.output("api_key"));
    let url = format!("{url}/streams/{NAME}-pin/record");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = br#"{"StreamName":"pins-pin","Data":{"index":-1},"PartitionKey":"1"}"#;
    let (status, answer) = http("PUT", &url, &[("x-api-key", &key), form], body);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("SequenceNumber"), "{answer}");
    let (status, answer) = http("PUT", &url, &[form], body);
    assert_eq!((status, answer.as_str()), (403, r#"{"message":"Forbidden"}"#));
    pipeline.sandbox.ok(&["verify"]);
    assert_eq!(pipeline.number("SELECT count(*) FROM pin WHERE ind = -1"), 1);
}

/// The value of the API key is in API Gateway and nowhere else.
fn the_key_stays_secret(pipeline: &Pipeline) {
    let (sandbox, key) = (&pipeline.sandbox, pipeline.output("api_key"));
    assert!(key.len() >= 20, "{key}");
    let instances = sandbox.folder.path().join(".pinfra/local/instances");
    for folder in [sandbox.folder.path().join(".pinfra").join(NAME), instances] {
        let found = files_with(&folder, key.as_bytes());
        assert!(found.is_empty(), "{found:?}");
    }
    for (pid, arguments) in pipeline.machine().processes() {
        assert!(!arguments.contains(&key), "{pid}");
    }
    for arguments in [&["plan", "stack.yaml", "--json"][..], &["outputs"], &["status", "--json"], &["logs", "emulator"]]
    {
        let said = sandbox.ok(arguments);
        assert!(!said.stdout.contains(&key) && !said.stderr.contains(&key), "{arguments:?}");
    }
}

/// The files below a folder that have these bytes. The program itself is left out for its size.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    // What goes away in between has had its time.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_with(&path, bytes));
        } else if !path.to_string_lossy().contains("/opt/pinfra/bin/") {
            let content = std::fs::read(&path).unwrap_or_default();
            if content.windows(bytes.len()).any(|window| window == bytes) {
                found.push(path);
            }
        }
    }
    found
}

/// By a new manifest, on the same machine, and nobody else notices.
fn a_changed_rate_is_taken_up(pipeline: &Pipeline, events: u64) {
    let machine = pipeline.machine();
    let (cleaner, emulator) = (machine.process("cleaner"), machine.process("emulator"));
    let started = Instant::now();
    let said = pipeline.change(Some(&format!("rate: 100, count: {}", events + 60)));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(said.contains("1 step done in "), "{said}");
    assert_eq!(pipeline.machine().instance, machine.instance);
    assert_eq!(machine.process("cleaner"), cleaner);
    assert_ne!(machine.process("emulator"), emulator);
    // One more is in the stream than was posted by the emulator: the call by hand.
    let told = pipeline.status_when("posted", |status| {
        let counts = |event: &Value, name: &str| event["counts"][name].as_u64().unwrap_or(0);
        let all = status["events"].as_array().unwrap();
        all.iter().map(|event| counts(event, "read")).sum::<u64>() == events + 60 + 1
    });
    assert_eq!(told["healthy"], true, "{told:#}");
}
