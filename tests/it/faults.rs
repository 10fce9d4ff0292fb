//! Trouble on request, with the program itself: what kills it, and how rules and calls are told.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use pinfra_aws::Clients;
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
fn killed_up(sandbox: &Sandbox, stack: &str, rule: &str) {
    let set = set(sandbox, rule);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let ended = sandbox.command(&["up", stack, "--yes"]).output().unwrap();
    assert_eq!(ended.status.signal(), Some(SIGKILL), "{rule}: {ended:?}");
}

/// How many objects of a stack there are that the operation makes.
async fn made(clients: &Clients, operation: &str, stack: &str) -> usize {
    match operation {
        "kinesis:CreateStream" => {
            let streams = clients.kinesis.list_streams().send().await.unwrap().stream_names;
            streams.iter().filter(|name| name.starts_with(stack)).count()
        }
        "s3:CreateBucket" => {
            let buckets = clients.s3.list_buckets().send().await.unwrap();
            buckets.buckets().iter().filter(|bucket| bucket.name().unwrap().starts_with(stack)).count()
        }
        "iam:CreateRole" => {
            let roles = clients.iam.list_roles().send().await.unwrap();
            roles.roles().iter().filter(|role| role.role_name().starts_with(stack)).count()
        }
        _ => {
            let apis = clients.apigateway.get_rest_apis().send().await.unwrap();
            apis.items().iter().filter(|api| api.name().unwrap().starts_with(stack)).count()
        }
    }
}

#[tokio::test]
async fn the_caller_dies_before_its_call_after_it_or_when_it_is_answered() {
    let sandbox = sandbox();
    let clients = sandbox.clients().await;
    for operation in ["kinesis:CreateStream", "s3:CreateBucket", "iam:CreateRole", "apigateway:CreateRestApi"] {
        for (moment, effect, status) in [("before", 0, false), ("after", 1, false), ("answered", 1, true)] {
            let name = format!("{}-{moment}", operation.split(':').next().unwrap());
            let file = format!("{name}.yaml");
            let text = format!(
                "name: {name}\ntables: {{ pin: {{ key: index }} }}\nstreams: {{ shards: 1 }}\nlake: {{}}\napi: {{}}\n"
            );
            sandbox.write(&file, &text);
            sandbox.ok(&["local", "calls", "--reset"]);
            killed_up(&sandbox, &file, &format!("on {operation} nth=1 do kill {moment}"));
            assert_eq!(made(&clients, operation, &name).await, effect, "{operation} {moment}");
            let calls = calls(&sandbox);
            let fault = format!("kill {moment}");
            let call = calls.iter().find(|call| call["fault"] == fault.as_str()).unwrap();
            assert_eq!(call["operation"], operation.split(':').nth(1).unwrap());
            assert_eq!(call["status"].is_u64(), status, "{call}");
        }
    }
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
