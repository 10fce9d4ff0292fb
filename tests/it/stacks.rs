//! Stacks as people make, change and destroy them, through the program, on a local cloud.

use std::collections::BTreeMap;

use crate::support::{STREAMS, Sandbox, mutates, said};

/// Requests between two counts.
fn between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let more = |name: &&String| after.get(*name) > before.get(*name);
    after.keys().filter(more).cloned().collect()
}

#[test]
fn up_plan_status_outputs_down() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    let up = sandbox.ok(&["up", "streams.yaml"]);
    assert!(up.stderr.contains("4 steps done"), "{}", up.stderr);
    let plan = sandbox.ok(&["plan", "streams.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.stdout, "no changes: 4 resources are as the stack file says\n");
    let status = sandbox.ok(&["status"]);
    assert!(status.stdout.contains("healthy: 4 resources"), "{}", status.stdout);
    assert_eq!(sandbox.ok(&["outputs", "--show", "stream_pin"]).stdout, "pins-pin\n");
    let endpoint = sandbox.ok(&["outputs", "--show", "endpoint"]).stdout;
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    let listed = sandbox.ok(&["outputs"]).stdout;
    let secret = sandbox.ok(&["outputs", "--show", "secret_access_key"]).stdout;
    assert!(!listed.contains(secret.trim()), "a secret is printed only when it is asked for by name");

    let pid = sandbox.server()["pid"].as_u64().unwrap();
    sandbox.ok(&["down"]);
    // The system removes an ended process once its parent, here the system itself, has taken note.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(std::time::Instant::now() < deadline, "the local cloud went with the last stack");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!sandbox.folder.path().join(".pinfra/local/server.json").exists());
    let state = std::fs::read_to_string(sandbox.folder.path().join(".pinfra/pins/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["resources"], serde_json::json!({}));
    assert_eq!(sandbox.run(&["status"]).code, 1);
}

#[test]
fn a_second_up_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    let (before, state) =
        (sandbox.requests(), std::fs::read(sandbox.folder.path().join(".pinfra/pins/state.json")).unwrap());
    let again = sandbox.ok(&["up", "streams.yaml"]);
    assert!(again.stderr.contains("no changes"), "{}", again.stderr);
    let made: Vec<String> = between(&before, &sandbox.requests()).into_iter().filter(|name| mutates(name)).collect();
    assert_eq!(made, [""; 0]);
    assert_eq!(std::fs::read(sandbox.folder.path().join(".pinfra/pins/state.json")).unwrap(), state);
}

#[test]
fn an_edit_is_planned_field_by_field_and_made_in_place() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.write(
        "streams.yaml",
        "name: pins
tags: { team: data }
tables: { pin: { key: index }, geo: { key: ind } }
streams: { shards: 2, retention_hours: 48 }
lake: {}
",
    );
    let plan = sandbox.run(&["plan", "streams.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    insta::assert_snapshot!(plan.stdout, @r#"
      - kinesis/stream.user  destroy, with every record in it: not in the stack file  (usually 30 s)
      ~ kinesis/stream.geo  update: inputs differ  (usually 60 s)
          shards           1 → 2  (in place, stack file)
          retention_hours  24 → 48  (in place, stack file)
          tags.team        (none) → "data"  (in place, stack file)
      ~ kinesis/stream.pin  update: inputs differ  (usually 60 s)
          shards           1 → 2  (in place, stack file)
          retention_hours  24 → 48  (in place, stack file)
          tags.team        (none) → "data"  (in place, stack file)
      ~ s3/bucket.lake  update: inputs differ
          tags.team  (none) → "data"  (in place, stack file)

    3 to update, 1 to destroy; usually 60 s on AWS
    "#);
    sandbox.ok(&["up", "streams.yaml"]);
    assert_eq!(sandbox.run(&["plan", "streams.yaml", "--detailed-exitcode"]).code, 0);
}

#[test]
fn two_stacks_side_by_side_started_at_the_same_time() {
    let sandbox = Sandbox::new();
    sandbox.write("one.yaml", STREAMS);
    sandbox.write("two.yaml", &STREAMS.replace("name: pins", "name: pins2"));
    let both: Vec<_> = ["one.yaml", "two.yaml"]
        .map(|file| {
            sandbox
                .command(&["up", file])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .into_iter()
        .map(|child| said(&child.wait_with_output().unwrap()))
        .collect();
    for up in both {
        assert_eq!(up.code, 0, "{}", up.stderr);
    }
    let which = sandbox.run(&["status"]);
    assert!(which.stderr.contains("2 stacks are recorded: pins, pins2"), "{}", which.stderr);
    sandbox.ok(&["down", "pins"]);
    assert!(sandbox.ok(&["status"]).stdout.contains("stack pins2"), "the other is left");
    assert!(sandbox.ok(&["plan", "two.yaml"]).stdout.starts_with("no changes"));
    sandbox.ok(&["down"]);
}

#[test]
fn state_that_was_lost_is_found_again_by_its_tags() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start"]);
    sandbox.ok(&["up", "streams.yaml"]);
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/pins")).unwrap();
    let plan = sandbox.ok(&["plan", "streams.yaml"]);
    assert!(plan.stdout.contains("4 to adopt"), "{}", plan.stdout);
    sandbox.ok(&["up", "streams.yaml"]);
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/pins")).unwrap();
    let down = sandbox.ok(&["down", "streams.yaml"]);
    assert!(down.stderr.contains("4 steps done"), "{}", down.stderr);
    let left = sandbox.ok(&["plan", "streams.yaml"]);
    assert!(left.stdout.contains("4 to create"), "{}", left.stdout);
}

#[tokio::test]
async fn what_somebody_changed_by_hand_is_seen_and_mended() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    let clients = sandbox.clients().await;
    let longer = clients.kinesis.increase_stream_retention_period().stream_name("pins-pin").retention_period_hours(30);
    longer.send().await.unwrap();
    let status = sandbox.run(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.stdout.contains("changed outside of pinfra"), "{}", status.stdout);
    let plan = sandbox.ok(&["plan", "streams.yaml"]);
    assert!(plan.stdout.contains("30 → 24  (in place, changed outside of pinfra)"), "{}", plan.stdout);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.ok(&["status"]);
}

#[test]
fn protected_resources_are_neither_destroyed_nor_forgotten() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", &format!("{STREAMS}protect: [s3/bucket]\n"));
    sandbox.ok(&["up", "streams.yaml"]);
    let down = sandbox.run(&["down"]);
    assert_eq!(down.code, 1);
    assert!(down.stderr.contains("`s3/bucket.lake` is protected"), "{}", down.stderr);
    sandbox.ok(&["status"]);
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.ok(&["down"]);
}

#[test]
fn a_secret_is_in_no_output_and_in_no_file() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", &format!("{STREAMS}tags: {{ owner: \"${{env:OWNER}}\" }}\n"));
    let run = |arguments: &[&str]| said(&sandbox.command(arguments).env("OWNER", "hunter2-hunter2").output().unwrap());
    let mut all = String::new();
    for arguments in [
        &["plan", "streams.yaml"][..],
        &["plan", "streams.yaml", "--json"],
        &["up", "streams.yaml", "--json"],
        &["plan", "streams.yaml"],
        &["status"],
        &["outputs"],
    ] {
        let said = run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
        all += &(said.stdout + &said.stderr);
    }
    assert!(all.contains("(from the environment)"));
    assert!(all.contains("no changes"), "the hash of a secret is compared, so nothing differs");
    for file in ["state.json", "journal.ndjson"] {
        all += &std::fs::read_to_string(sandbox.folder.path().join(".pinfra/pins").join(file)).unwrap();
    }
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn sections_that_cannot_be_made_yet_say_so_and_nothing_is_made() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", &format!("{STREAMS}ttl: 8h\n"));
    let up = sandbox.run(&["up", "stack.yaml"]);
    assert_eq!(up.code, 1);
    assert!(up.stderr.contains("`ttl`") && up.stderr.contains("cannot make it yet"), "{}", up.stderr);
    assert!(!sandbox.folder.path().join(".pinfra").exists(), "nothing was made");
}

#[test]
fn aws_without_credentials_says_so_within_five_seconds() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    let started = std::time::Instant::now();
    let plan = sandbox.run(&["plan", "streams.yaml", "--target", "aws"]);
    assert_eq!(plan.code, 1);
    assert!(plan.stderr.contains("AWS credentials") && plan.stderr.contains("aws sso login"), "{}", plan.stderr);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn aws_at_an_endpoint_of_ones_own_needs_a_yes() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start"]);
    let key = |name: &str| {
        sandbox
            .ok(&["local", "status", "--env"])
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("export {name}=")).map(str::to_owned))
            .unwrap()
    };
    let aws = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        for name in ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env(name, key(name));
        }
        said(&command.output().unwrap())
    };
    let asked = aws(&["up", "streams.yaml", "--target", "aws"]);
    assert_eq!(asked.code, 1);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let made = aws(&["up", "streams.yaml", "--target", "aws", "--yes"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let moved = sandbox.run(&["up", "streams.yaml"]);
    assert!(moved.stderr.contains("lives on `aws`"), "{}", moved.stderr);
    assert_eq!(aws(&["down", "--yes"]).code, 0);
}

#[test]
fn json_events_are_lines_of_json() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    let up = sandbox.ok(&["up", "streams.yaml", "--json"]);
    let events: Vec<String> = up
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events.iter().filter(|event| *event == "step_done").count(), 4, "{events:?}");
    assert_eq!(events.iter().rev().take(2).map(String::as_str).collect::<Vec<_>>(), ["outputs", "summary"]);
}

#[test]
fn explain_and_graph_contact_nobody() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    assert!(sandbox.ok(&["explain"]).stdout.contains("kinesis/stream"));
    assert!(sandbox.ok(&["explain", "kinesis/stream"]).stdout.contains("retention_hours"));
    let wrong = sandbox.run(&["explain", "kinesis/streem"]);
    assert!(wrong.stderr.contains("did you mean `kinesis/stream`?"), "{}", wrong.stderr);
    for format in ["dot", "mermaid", "svg"] {
        let drawn = sandbox.ok(&["graph", "streams.yaml", "--format", format]).stdout;
        assert!(drawn.contains("kinesis/stream.pin"), "{drawn}");
    }
    assert!(!sandbox.folder.path().join(".pinfra").exists());
}

#[test]
fn a_local_cloud_that_was_killed_is_missed_by_status_and_started_by_up() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    let (pid, endpoint) = (sandbox.server()["pid"].to_string(), sandbox.ok(&["outputs", "--show", "endpoint"]).stdout);
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while sandbox.run(&["local", "status"]).code == 0 {
        assert!(std::time::Instant::now() < deadline, "it was killed");
    }
    let status = sandbox.run(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.stderr.contains("`pinfra local start`"), "{}", status.stderr);
    let up = sandbox.ok(&["up", "streams.yaml"]);
    assert!(up.stderr.contains("no changes"), "{}", up.stderr);
    assert_eq!(sandbox.ok(&["outputs", "--show", "endpoint"]).stdout, endpoint, "other tools find it where it was");
}

#[test]
fn down_of_a_file_honours_what_the_file_protects_though_state_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start"]);
    sandbox.ok(&["up", "streams.yaml"]);
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/pins")).unwrap();
    sandbox.write("streams.yaml", &format!("{STREAMS}protect: [s3/bucket.lake]\n"));
    let down = sandbox.run(&["down", "streams.yaml"]);
    assert!(down.code == 1 && down.stderr.contains("`s3/bucket.lake` is protected"), "{}", down.stderr);
    let elsewhere = sandbox.run(&["down", "streams.yaml", "--target", "aws", "--yes"]);
    assert!(elsewhere.stderr.contains("AWS credentials"), "{}", elsewhere.stderr);
    assert!(sandbox.ok(&["plan", "streams.yaml"]).stdout.contains("4 to adopt"), "nothing was destroyed");
}

#[test]
fn numbers_from_the_environment_are_secrets_too() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", &STREAMS.replace("shards: 1", "shards: \"${env:SHARDS}\""));
    let run = |arguments: &[&str]| said(&sandbox.command(arguments).env("SHARDS", "3").output().unwrap());
    let up = run(&["up", "streams.yaml"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    assert_eq!(run(&["plan", "streams.yaml", "--detailed-exitcode"]).code, 0);
    let status = sandbox.ok(&["status"]);
    assert!(status.stdout.contains("healthy"), "{}", status.stdout);
    sandbox.ok(&["down"]);
}

#[test]
fn taking_something_away_together_with_its_protection_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", &format!("{STREAMS}protect: [s3/bucket.lake]\n"));
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.write("streams.yaml", &STREAMS.replace("lake: {}\n", ""));
    let refused = sandbox.run(&["up", "streams.yaml"]);
    assert!(refused.code == 1 && refused.stderr.contains("`s3/bucket.lake` is protected"), "{}", refused.stderr);
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.write("streams.yaml", &STREAMS.replace("lake: {}\n", ""));
    sandbox.ok(&["up", "streams.yaml"]);
}
