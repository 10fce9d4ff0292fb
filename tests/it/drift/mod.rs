//! `pinfra drift`: every single change behind its back is told at its address and field, nothing else is, and nothing is
//! written. The changes are made through the SDK, one at a time, to a whole stack at work, and undone.

mod api;
mod identity;
mod kafka;
mod machine;
mod network;
mod storage;
mod world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::Value;
use world::{Change, World, stack};

use crate::pipeline::{LIMIT, share_packed_program};
use crate::support::{STREAMS, Sandbox, mutates};

/// What takes a while takes no longer.
const SLOW: Duration = Duration::from_secs(60);

/// One finding as tables have it: `changed kinesis/stream.pin#shards`.
fn short(finding: &Value) -> String {
    let field = finding["field"].as_str().map(|field| format!("#{field}")).unwrap_or_default();
    format!("{} {}{field}", finding["what"].as_str().unwrap(), finding["address"].as_str().unwrap())
}

/// The drift of a stack as programs read it, with what was asked of the cloud besides by whoever else is there.
fn drift(sandbox: &Sandbox, stack: &str) -> (i32, Value) {
    let said = sandbox.run(&["drift", stack, "--json"]);
    let last = said.stdout.lines().rfind(|line| line.contains("\"event\":\"drift\""));
    let last = last.unwrap_or_else(|| panic!("{}\n{}", said.stdout, said.stderr));
    (said.code, serde_json::from_str(last).unwrap())
}

/// What a drift asks of the cloud.
fn requests(sandbox: &Sandbox) -> Value {
    let said = sandbox.ok(&["drift", "stack.yaml", "--json", "--verbose"]).stdout;
    let line = said.lines().find(|line| line.contains("\"event\":\"requests\""));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{said}"))).unwrap()
}

fn found(drift: &Value) -> Vec<String> {
    drift["findings"].as_array().unwrap().iter().map(short).collect()
}

/// Looks until what is found is `expected`, or for so long: changes of clusters and shards take their time.
fn drift_when(sandbox: &Sandbox, expected: &[String], limit: Duration) -> (i32, Value) {
    let until = Instant::now() + limit;
    loop {
        let (code, drift) = drift(sandbox, "stack.yaml");
        if found(&drift) == expected || Instant::now() >= until {
            return (code, drift);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What may be asked while a drift runs and is no read: what the workers of the stack do all the time.
const OF_WORKERS: [&str; 12] = [
    "kinesis.PutRecord",
    "kinesis.PutRecords",
    "s3.PutObject",
    "s3.DeleteObject",
    "s3.DeleteObjects",
    "s3.CreateMultipartUpload",
    "s3.UploadPart",
    "s3.CompleteMultipartUpload",
    "s3.AbortMultipartUpload",
    "s3.CopyObject",
    "kinesis.SubscribeToShard",
    "execute-api.Invoke",
];

/// What is in the stack's state folder.
fn files(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(sandbox.folder.path().join(".pinfra/pins")).unwrap().flatten();
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap_or_default())
    };
    entries.map(file).collect()
}

/// Requests that are no reads.
fn writes(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let more = after.iter().filter(|(name, count)| before.get(*name) != Some(count)).map(|(name, _)| name.clone());
    more.filter(|name| mutates(name)).collect()
}

#[expect(clippy::print_stdout, reason = "the table is what people run it for, with `--nocapture`")]
#[tokio::test(flavor = "multi_thread")]
async fn every_change_behind_its_back_is_told_and_nothing_else() {
    let sandbox = Sandbox::new();
    share_packed_program(sandbox.folder.path());
    sandbox.write("stack.yaml", &stack());
    sandbox.ok(&["up", "stack.yaml"]);
    let (code, first) = drift(&sandbox, "stack.yaml");
    assert_eq!((code, found(&first)), (0, vec![]), "{first:#}");
    let asked = requests(&sandbox);
    assert!(asked["total"].as_u64().unwrap() <= 30, "what lists and records tell is not read: {asked:#}");
    let world = World::of(&sandbox).await;
    let mut changes: Vec<Change<'_>> = Vec::new();
    changes.extend(network::changes(&world));
    changes.extend(identity::changes(&world));
    changes.extend(storage::changes(&world));
    changes.extend(api::changes(&world));
    changes.extend(kafka::changes(&world));
    changes.extend(machine::changes(&world));
    assert!(changes.len() >= 40, "{}", changes.len());
    let (mut table, mut wrong, mut by_workers) = (String::new(), Vec::new(), 0);
    for change in changes {
        let name = change.name;
        if AssertUnwindSafe(change.make).catch_unwind().await.is_err() {
            wrong.push(format!("{name}: it could not be done"));
            continue;
        }
        let before = sandbox.requests();
        let started = Instant::now();
        let limit = if change.slow { SLOW } else { Duration::ZERO };
        let (code, drift) = drift_when(&sandbox, &change.expected, limit);
        let took = started.elapsed();
        if found(&drift) != change.expected || code != 2 {
            wrong.push(format!("{name}: expected {:#?}, found {:#}", change.expected, drift["findings"]));
        }
        let (others, writes): (Vec<String>, Vec<String>) = writes(&before, &sandbox.requests())
            .into_iter()
            .partition(|name| OF_WORKERS.contains(&name.as_str()) || name.starts_with("execute-api"));
        assert!(writes.is_empty(), "{name}: {writes:?}");
        by_workers += others.len();
        for finding in drift["findings"].as_array().unwrap() {
            assert!(!finding["detail"].as_str().unwrap().is_empty(), "{finding}");
            let nowhere = finding["address"].as_str().unwrap().ends_with(".ghost");
            assert!(nowhere || finding["declared_at"].as_str().unwrap().contains("stack.yaml:"), "{finding}");
        }
        if let Some(secret) = change.secret {
            let finding = &drift["findings"][0];
            assert_eq!(finding["secret"], true);
            assert_eq!((&finding["live"], &finding["wanted"]), (&Value::Null, &Value::Null));
            assert!(!drift.to_string().contains(secret));
        }
        table.push_str(&format!("| {name} | {} | {:.2} s |\n", change.expected.join(", "), took.as_secs_f64()));
        if AssertUnwindSafe(change.undo).catch_unwind().await.is_err() {
            wrong.push(format!("{name}: it could not be undone"));
        }
        if change.slow {
            drift_when(&sandbox, &[], SLOW);
        }
    }
    let (_, last) = drift_when(&sandbox, &[], SLOW);
    assert_eq!(found(&last), Vec::<String>::new(), "all was undone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let rows = table.lines().count();
    println!("| change behind its back | found | debug |\n|---|---|---|\n{table}");
    println!(
        "{rows} changes, each found alone; no request of drift's wrote; operations of workers meanwhile: {by_workers}"
    );
}

#[test]
fn drift_of_a_stack_without_workers_sends_reads_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", STREAMS);
    let refused = sandbox.run(&["drift", "stack.yaml"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("does not run"), "a drift starts no local cloud: {}", refused.stderr);
    sandbox.ok(&["up", "stack.yaml"]);
    let (before, recorded) = (sandbox.requests(), files(&sandbox));
    let said = sandbox.ok(&["drift", "stack.yaml"]);
    assert_eq!(said.stdout, "no drift: 4 resources compared\n");
    assert_eq!(writes(&before, &sandbox.requests()), Vec::<String>::new());
    // By its name, and with nothing at all: what is recorded is compared.
    assert_eq!(sandbox.ok(&["drift", "pins"]).stdout, said.stdout);
    assert_eq!(sandbox.ok(&["drift"]).stdout, said.stdout);
    assert_eq!(files(&sandbox), recorded, "no lock is taken and nothing is recorded");
    let folder = sandbox.folder.path().join(".pinfra/pins");
    // The stack file asks for more than there is.
    sandbox.write("stack.yaml", &STREAMS.replace("shards: 1", "shards: 2"));
    let (code, edited) = drift(&sandbox, "stack.yaml");
    let streams = ["geo", "pin", "user"].map(|table| format!("changed kinesis/stream.{table}#shards"));
    assert_eq!((code, found(&edited)), (2, streams.to_vec()));
    assert_eq!(edited["findings"][0]["wanted"], 2);
    assert_eq!(edited["findings"][0]["live"], 1);
    assert_eq!(found(&drift(&sandbox, "pins").1), Vec::<String>::new(), "what is recorded is as it was");
    // State is lost: the stack file says enough.
    sandbox.write("stack.yaml", STREAMS);
    std::fs::rename(&folder, sandbox.folder.path().join("lost")).unwrap();
    assert_eq!(sandbox.ok(&["drift", "stack.yaml"]).stdout, said.stdout);
    std::fs::rename(sandbox.folder.path().join("lost"), &folder).unwrap();
    sandbox.ok(&["down", "--yes", "pins"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_and_what_claims_to_be_of_the_stack_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", STREAMS);
    sandbox.ok(&["up", "stack.yaml"]);
    let clients = sandbox.clients().await;
    clients.kinesis.delete_stream().stream_name("pins-geo").send().await.unwrap();
    let tags = [("pinfra:stack", "pins"), ("pinfra:address", "kinesis/stream.ghost")];
    let ghost = clients.kinesis.create_stream().stream_name("ghost").shard_count(1);
    let ghost = ghost.set_tags(Some(tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()));
    ghost.send().await.unwrap();
    let expected = ["missing kinesis/stream.geo", "unmanaged kinesis/stream.ghost"].map(str::to_owned);
    let (code, one) = drift_when(&sandbox, &expected, LIMIT);
    assert_eq!((code, found(&one)), (2, expected.to_vec()));
    clients.kinesis.delete_stream().stream_name("ghost").send().await.unwrap();
    sandbox.ok(&["up", "stack.yaml"]);
    let (_, again) = drift_when(&sandbox, &[], LIMIT);
    assert_eq!(found(&again), Vec::<String>::new());
    sandbox.ok(&["down", "--yes", "pins"]);
}

/// As in an account with hundreds of roles, or for a caller that may not have that list: each role is asked by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_roles_is_told_without_the_list_of_all_that_they_may_do() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", "name: pins\ntables: { pin: { key: index } }\nstreams: { shards: 1 }\napi: {}\n");
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    let iam = sandbox.clients().await.iam;
    let (role, read_only) = ("pins-api-us-east-1", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    // The local cloud takes a boundary with a new role alone: `up` goes on with what an earlier run seems to have made.
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let tags = [("pinfra:stack", "pins"), ("pinfra:address", "iam/role.api")];
    let tags = tags.map(|(key, value)| aws_sdk_iam::types::Tag::builder().key(key).value(value).build().unwrap());
    let earlier = iam.create_role().role_name(role).path("/pinfra/pins/").assume_role_policy_document(trust);
    earlier.permissions_boundary(read_only).set_tags(Some(tags.into())).send().await.unwrap();
    sandbox.ok(&["up", "stack.yaml"]);
    sandbox.write("rules", "on iam:GetAccountAuthorizationDetails do refuse AccessDenied status=403\n");
    sandbox.ok(&["local", "faults", "set", "rules"]);
    let unmanaged = "unmanaged iam/role.api";
    let (code, bounded) = drift(&sandbox, "stack.yaml");
    assert_eq!((code, found(&bounded)), (2, vec![unmanaged.to_owned()]), "{bounded:#}");
    iam.create_instance_profile().instance_profile_name("mine").send().await.unwrap();
    iam.add_role_to_instance_profile().instance_profile_name("mine").role_name(role).send().await.unwrap();
    iam.attach_role_policy().role_name(role).policy_arn(read_only).send().await.unwrap();
    iam.untag_role().role_name(role).tag_keys("pinfra:address").send().await.unwrap();
    let (code, drift) = drift(&sandbox, "stack.yaml");
    let changed = "changed iam/role.api#tags.pinfra:address";
    assert_eq!((code, found(&drift)), (2, [changed, unmanaged, unmanaged, unmanaged].map(str::to_owned).to_vec()));
    let details: Vec<&str> =
        drift["findings"].as_array().unwrap().iter().filter_map(|one| one["detail"].as_str()).collect();
    for told in ["the managed policy", "the permissions boundary", "the instance profile `mine`"] {
        assert!(details.iter().any(|detail| detail.starts_with(told)), "{told}: {details:?}");
    }
}
