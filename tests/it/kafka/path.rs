//! One pipeline with both paths, from the first `up` to equal tables.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{judge, objects};
use crate::pipeline::{NAME, Pipeline, TABLES, Ways, http};
use crate::streaming::judge::{reconciled, records};
use crate::support::mutates;

/// Events of all tables together; more by `PINFRA_TEST_EVENTS`.
fn events() -> u64 {
    std::env::var("PINFRA_TEST_EVENTS").ok().map_or(300, |events| events.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_paths_hold_the_same_rows() {
    let events = events();
    let rate = (events / 20).clamp(100, 500);
    let mut pipeline = Pipeline::with(Ways::Both, Some(&format!("rate: {rate}, count: {events}")));
    // A debug build beside others carries some sixty events a second on each path.
    pipeline.limit += Duration::from_secs(events / 25);
    let sandbox = &pipeline.sandbox;
    let plan = sandbox.run(&["plan", "stack.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);

    reconciled(&pipeline).await;
    let clients = sandbox.clients().await;
    let bucket = pipeline.output("bucket");
    for table in TABLES {
        let in_stream = records(&clients, &Pipeline::stream(table)).await;
        let in_stream: BTreeSet<String> =
            in_stream.into_iter().map(|record| String::from_utf8(record).unwrap()).collect();
        let in_s3 = objects::stored(&clients, &bucket, table, &in_stream).await;
        assert_eq!(in_s3, in_stream, "{table}: the same events on both paths");
    }

    sandbox.ok(&["clean", NAME]);
    for table in TABLES {
        assert_eq!(rows(&pipeline, "batch", table), rows(&pipeline, "stream", table), "{table}");
    }
    let counts = judge::reconciled(&pipeline);
    let cleaned: u64 = counts.values().map(|counts| counts["read"]).sum();
    assert_eq!(cleaned, events, "{counts:?}");
    let again = sandbox.ok(&["clean", NAME]);
    assert_eq!(again.stdout, "nothing is new\n", "{again:?}");
    sandbox.ok(&["clean", NAME, "--full"]);
    for table in TABLES {
        assert_eq!(rows(&pipeline, "batch", table), rows(&pipeline, "stream", table), "{table}, rebuilt");
    }
    the_analyses_agree(&pipeline);
    let status = pipeline.status();
    assert_eq!(status["healthy"], true, "{status:#}");

    a_post_by_hand_is_acknowledged(&pipeline);
    the_gateway_answers_to_the_api_alone(&pipeline);
    only_destroys(&sandbox.ok(&["down", NAME, "--verbose"]).stderr);
    assert!(
        !sandbox.folder.path().join(".pinfra/local/server.json").exists(),
        "the local cloud is gone with its last stack"
    );
}

/// What `down` says it has called: nothing that makes or changes anything.
fn only_destroys(said: &str) {
    let (_, calls) = said.split_once(" requests: ").expect("`--verbose` tells the requests");
    let calls: Vec<&str> = calls.lines().next().unwrap().split(", ").collect();
    assert!(calls.len() > 20, "{calls:?}");
    let destroys = ["Delete", "Terminate", "Release", "Disassociate", "Remove", "Detach", "Revoke", "Abort"];
    for call in calls {
        // A usage plan lets go of a stage by an update.
        if call.starts_with("API Gateway.UpdateUsagePlan ") {
            continue;
        }
        let (_, operation) = call.split_once('.').unwrap();
        let is_meant = !mutates(call) || destroys.iter().any(|verb| operation.starts_with(verb));
        assert!(is_meant, "`down` called {call}");
    }
}

/// All rows of a table in a fixed order.
fn rows(pipeline: &Pipeline, tables: &str, table: &str) -> Vec<String> {
    let rows = pipeline.query_from(tables, &format!("SELECT * FROM \"{table}\""));
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

fn the_analyses_agree(pipeline: &Pipeline) {
    let listed = pipeline.sandbox.ok(&["query", "--json"]).stdout;
    let listed: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let names: Vec<&str> =
        listed["analyses"].as_array().unwrap().iter().map(|analysis| analysis["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let answer = |tables: &str| pipeline.sandbox.ok(&["query", name, "--from", tables, "--format", "csv"]).stdout;
        assert_eq!(answer("batch"), answer("stream"), "{name}");
    }
}

/// As the issue's own `curl` does it.
fn a_post_by_hand_is_acknowledged(pipeline: &Pipeline) {
    let (url, key) = (pipeline.output("invoke_url"), pipeline.output("api_key"));
    let url = format!("{url}/topics/{NAME}.pin");
    let json = ("content-type", "application/vnd.kafka.json.v2+json");
    let (status, answer) = http("POST", &url, &[("x-api-key", &key), json], br#"{"records":[{"value":{"index":1}}]}"#);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["offsets"][0]["offset"].is_u64() && answer["offsets"][0]["error_code"].is_null(), "{answer}");
    let (status, answer) = http("POST", &url, &[json], br#"{"records":[{"value":{"index":1}}]}"#);
    assert_eq!((status, answer.as_str()), (403, r#"{"message":"Forbidden"}"#));
    let elsewhere = url.replace(".pin", ".nowhere");
    let (status, answer) = http("POST", &elsewhere, &[("x-api-key", &key), json], br#"{"records":[{"value":1}]}"#);
    assert_eq!(status, 404, "{answer}");
    assert!(answer.contains("40401"), "{answer}");
}

/// Its port is open to the world on AWS: without the header that only the API has it says nothing.
fn the_gateway_answers_to_the_api_alone(pipeline: &Pipeline) {
    let machine = pipeline.machine();
    let pid = machine.process("gateway");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let address = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"PINFRA_ADDRESS="));
    let address = String::from_utf8(address.unwrap().to_vec()).unwrap();
    assert!(address.starts_with("127."), "{address}");
    let (status, answer) = http("GET", &format!("http://{address}:8082/topics"), &[], b"");
    assert_eq!(status, 403, "{answer}");
    assert!(!answer.contains(NAME), "{answer}");
}
