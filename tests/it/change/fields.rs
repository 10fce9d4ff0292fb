//! Every field of every kind, and every key of the stack file.
//!
//! A stack with all sections is changed in rounds, several edits at once. Which fields there are is asked of the catalogue
//! and of the JSON schema: one that no round has changed needs its reason below, and one that was changed may not have any.

use std::collections::{BTreeMap, BTreeSet};

use pinfra_aws::catalog::KINDS;
use pinfra_engine::{Address, OnChange};
use serde_json::{Value, json};

use super::stack::Stack;

/// Fields that no edit of a stack file changes while the resource stays the same one.
const UNREACHABLE: &[(&str, &[&str], &str)] = &[
    ("ec2/elastic_ip", &["instance", "tags"], "no section of a stack file makes one"),
    ("api_gateway/api_key", &["name", "description"], "they follow from the stack's name"),
    ("api_gateway/api_key", &["enabled"], "always enabled"),
    ("api_gateway/deployment", &["rest_api"], "the API is never replaced"),
    ("api_gateway/rest_api", &["name", "description", "endpoint"], "they follow from the stack's name, or are fixed"),
    ("api_gateway/stage", &["rest_api"], "the API is never replaced"),
    ("api_gateway/stage", &["throttle_rate", "throttle_burst"], "fixed"),
    ("api_gateway/usage_plan", &["name", "description", "keys"], "they follow from the stack's name, or never change"),
    ("api_gateway/usage_plan", &["throttle", "quota"], "fixed"),
    ("ec2/instance", &["name", "profile"], "they follow from the stack's name"),
    ("ec2/instance", &["metadata_tokens_required", "encrypted"], "fixed"),
    (
        "ec2/instance",
        &["security_groups"],
        "its group is replaced in another VPC alone, of which the local cloud has none",
    ),
    ("ec2/key_pair", &["name"], "it follows from the stack's name"),
    ("ec2/security_group", &["name", "description"], "they follow from the stack's name"),
    ("ec2/security_group", &["vpc"], "the local cloud has no other VPC"),
    ("ec2/vpc_endpoint", &["vpc"], "the local cloud has no other VPC"),
    ("ec2/vpc_endpoint", &["service"], "fixed"),
    ("iam/instance_profile", &["name", "path", "role"], "they follow from the stack's name"),
    ("iam/role", &["name", "path", "description"], "they follow from the stack's name"),
    ("iam/role", &["trust", "max_session_seconds"], "fixed"),
    ("iam/role_policy", &["role", "name"], "they follow from the stack's name"),
    ("kinesis/stream", &["name"], "a table of another name is another resource"),
    ("msk/cluster", &["name"], "the stack's name"),
    (
        "msk/cluster",
        &["security_groups"],
        "its group is replaced in another VPC alone, of which the local cloud has none",
    ),
    ("msk/cluster", &["monitoring", "client_broker", "iam"], "fixed"),
    ("msk/configuration", &["name"], "the stack's name"),
    ("msk/configuration", &["kafka_versions"], "for every version"),
    ("msk/configuration", &["description"], "says whose it is"),
    ("msk/topic", &["name"], "a table of another name is another resource"),
    ("msk/topic", &["configs"], "a stack file sets none"),
    ("msk_connect/connector", &["name", "description", "role"], "they follow from the stack's name"),
    ("msk_connect/connector", &["version", "iam", "worker_configuration"], "fixed"),
    (
        "msk_connect/connector",
        &["security_groups"],
        "its group is replaced in another VPC alone, of which the local cloud has none",
    ),
    (
        "msk_connect/plugin",
        &["name", "key", "content_type", "description"],
        "another archive is another resource (ADR 11)",
    ),
    (
        "msk_connect/worker_configuration",
        &["name", "properties", "description"],
        "others are another resource (ADR 11)",
    ),
    ("s3/bucket", &["name"], "it follows from the stack's name, account and region"),
    ("s3/bucket", &["encryption", "public_access_block", "policy"], "fixed"),
    ("s3/object", &["content_type"], "fixed"),
    ("s3/object", &["source", "content"], "they cost nothing: the hash tells of them"),
    ("s3/object", &["tags"], "objects carry pinfra's own alone"),
    ("worker/process", &["name", "worker"], "a worker of another name is another resource"),
];

/// Keys of the stack file that no round edits.
const NOT_EDITED: &[(&str, &str)] = &[
    ("name", "another name is another stack"),
    ("target", "another target is another place, which is refused while the stack is there"),
    ("region", "another region is another place, which is refused while the stack is there"),
    ("analyses", "no resource comes of it"),
    ("ttl", "not built yet"),
    ("protect", "`refused` has it"),
    ("protect.destroy", "`refused` has it"),
    ("protect.replace", "`refused` has it"),
    ("tables.*.key", "the cleaned table would be another one, which its cleaner refuses"),
    ("cluster.use", "`kafka::existing` has it"),
    ("workers.emulator.source", "another source needs a database; `deployed_worker` has one"),
    ("workers.emulator.port", "a port of this machine that others may have; `workers.cleaner.port` is the same"),
    ("workers.cleaner.port", "a port of this machine that others may have"),
];

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ you@host\n";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGZIBNGEX2OYdKoEsD4kwFCBBsgjcFfXAHTmGNJqQVF you@host\n";

fn whole() -> Value {
    json!({
        "name": "whole",
        "tags": { "team": "data" },
        "tables": { "pin": { "key": "index" }, "geo": { "key": "ind" } },
        "streams": { "shards": 1 },
        "lake": {},
        "cluster": { "brokers": 2, "kafka_version": "3.7.x", "partitions": 1 },
        "connector": { "flush_size": 7, "rotate_seconds": 1 },
        "api": { "stage": "prod", "auth": "key" },
        "client": { "instance": "t3.small", "key": "key.pub", "ssh_from": ["203.0.113.0/24"] },
        "workers": {
            "emulator": { "rate": 2, "count": 10 },
            "gateway": { "port": 8082 },
            "cleaner": { "streaming": true },
        },
    })
}

/// What was found out of all rounds.
#[derive(Default)]
struct Seen {
    /// Fields that were planned to change.
    fields: BTreeSet<(&'static str, &'static str)>,
    /// Kinds of which one was replaced.
    replaced: BTreeSet<String>,
    /// Keys of the stack file.
    keys: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_a_stack_file_reaches_is_changed_through_up() {
    let mut stack = Stack::new(whole());
    stack.sandbox.write("key.pub", KEY);
    stack.sandbox.write("other.pub", OTHER_KEY);
    let clean = "-- reads: index\nSELECT parse_int(index) AS index FROM events\n";
    stack.sandbox.write("pin.sql", clean);
    std::fs::write(stack.sandbox.folder.path().join("sink.zip"), super::stack::archive()).unwrap();
    stack.edit("/tables/pin/clean", json!("pin.sql"));
    stack.up(&[]);
    let mut seen = Seen::default();

    // In place, all at once.
    round(
        &mut stack,
        &mut seen,
        &[],
        &[
            ("/tags/team", json!("other")),
            ("/streams/shards", json!(2)),
            ("/streams/retention_hours", json!(48)),
            ("/streams/encryption", json!("none")),
            ("/lake/versioning", json!(true)),
            ("/lake/expire_days", json!(30)),
            ("/lake/noncurrent_days", json!(7)),
            ("/cluster/kafka_version", json!("3.8.x")),
            ("/cluster/instance", json!("kafka.m5.large")),
            ("/cluster/storage_gib", json!(20)),
            ("/cluster/partitions", json!(2)),
            ("/connector/flush_size", json!(9)),
            ("/connector/rotate_seconds", json!(2)),
            ("/connector/mcu", json!(2)),
            ("/connector/workers", json!(2)),
            ("/api/admin", json!(true)),
            ("/client/instance", json!("t3.medium")),
            ("/client/ssh_from", json!(["198.51.100.0/24"])),
            ("/workers/gateway/port", json!(8083)),
            ("/workers/emulator/rate", json!(3)),
            ("/workers/emulator/burst", json!(11)),
            ("/workers/emulator/ramp", json!(1)),
            ("/workers/emulator/count", json!(12)),
            ("/workers/emulator/rows", json!(100)),
            ("/workers/emulator/seed", json!(7)),
            ("/workers/cleaner/commit_ms", json!(500)),
            ("/workers/cleaner/schedule", json!("0 12 * * *")),
        ],
    )
    .await;
    assert_eq!(seen.replaced, BTreeSet::new(), "nothing of this replaces");

    // A second copy of each partition, another stage, another machine, another sink, one table more.
    round(
        &mut stack,
        &mut seen,
        &[],
        &[
            ("/streams/shards", Value::Null),
            ("/streams/mode", json!("on_demand")),
            ("/cluster/brokers", json!(4)),
            ("/connector/plugin", json!("sink.zip")),
            ("/api/stage", json!("next")),
            ("/api/auth", json!("none")),
            ("/api/admin", Value::Null),
            ("/client/key", json!("other.pub")),
            ("/workers/emulator/paths", json!("kinesis")),
            ("/workers/cleaner/streaming", json!(true)),
            ("/tables/user", json!({ "key": "ind" })),
        ],
    )
    .await;
    let replaced = |seen: &Seen, kind: &str| seen.replaced.contains(kind);
    for kind in ["msk/topic", "msk_connect/connector", "api_gateway/stage", "ec2/key_pair", "ec2/instance"] {
        assert!(replaced(&seen, kind), "{kind}: {:?}", seen.replaced);
    }

    // A cluster in subnets that are named, and a machine of another sort; what stands on them comes along.
    let clients = stack.sandbox.clients().await;
    let subnets = clients.ec2.describe_subnets().send().await.unwrap();
    let vpc = subnets.subnets()[0].vpc_id().unwrap().to_owned();
    let mut subnets: Vec<&str> = subnets.subnets().iter().map(|subnet| subnet.subnet_id().unwrap()).collect();
    let recorded = stack.recorded();
    let cluster = recorded.iter().find(|(address, _)| address.kind() == "msk/cluster").unwrap().1;
    let in_use = cluster["outputs"]["subnets"].to_string();
    subnets.sort_by_key(|subnet| in_use.contains(subnet));
    seen.replaced.clear();
    round(
        &mut stack,
        &mut seen,
        &[],
        &[
            ("/network", json!({ "vpc": vpc, "subnets": &subnets[..2] })),
            ("/client/instance", json!("t4g.small")),
            ("/tables/pin/clean", json!("other.sql")),
        ],
    )
    .await;
    for kind in ["msk/cluster", "msk/topic", "msk_connect/connector", "ec2/instance"] {
        assert!(replaced(&seen, kind), "{kind}: {:?}", seen.replaced);
    }
    assert!(!replaced(&seen, "ec2/security_group"), "the default VPC by its id is the same one");

    // What only grows, downwards.
    seen.replaced.clear();
    round(&mut stack, &mut seen, &[], &[("/cluster/partitions", json!(1))]).await;
    assert_eq!(seen.replaced, BTreeSet::from(["msk/topic", "msk_connect/connector"].map(str::to_owned)));

    // Another bucket for everything, and another program.
    let bucket = "whole-in-another-bucket";
    clients.s3.create_bucket().bucket(bucket).send().await.unwrap();
    let program = stack.sandbox.folder.path().join("other-program");
    std::fs::copy(env!("CARGO_BIN_EXE_pinfra"), &program).unwrap();
    let mut bytes = std::fs::OpenOptions::new().append(true).open(&program).unwrap();
    std::io::Write::write_all(&mut bytes, b"\n").unwrap();
    drop(bytes);
    let program = program.display().to_string();
    round(&mut stack, &mut seen, &["--program", &program], &[("/lake", json!({ "use": bucket }))]).await;
    for kind in ["s3/object", "worker/process", "ec2/instance"] {
        assert!(replaced(&seen, kind), "{kind}: {:?}", seen.replaced);
    }

    every_field_is_told_of(&seen);
    every_key_is_told_of(&stack, &seen);
    stack.sandbox.ok(&["down", "whole"]);
}

/// Makes these edits, looks whether the plan says of each field what the catalogue does, runs `up`, and looks whether all
/// is as asked for and nothing else has changed.
async fn round(stack: &mut Stack, seen: &mut Seen, options: &[&str], edits: &[(&str, Value)]) {
    stack.sandbox.write("other.sql", "-- reads: index\nSELECT parse_int(index) AS index FROM events -- the same\n");
    for (pointer, value) in edits {
        stack.edit(pointer, value.clone());
        seen.keys.extend(keys_of(pointer, value));
    }
    let plan = stack.plan(options);
    judge(&plan, seen);
    let touched: BTreeSet<Address> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["address"].as_str().unwrap().parse().unwrap())
        .collect();
    let before = stack.live().await;
    stack.up(options);
    let after = stack.live().await;
    for (address, was) in before.iter().filter(|(address, _)| !touched.contains(*address)) {
        assert_eq!(Some(was), after.get(address), "`{address}` was not in the plan");
    }
    let next = stack.plan(options);
    assert_eq!(Stack::steps(&next), Vec::<String>::new(), "{next:#}");
}

/// Each step is what its fields cost, by the catalogue.
fn judge(plan: &Value, seen: &mut Seen) {
    let steps = plan["steps"].as_array().unwrap();
    for step in steps {
        let address: Address = step["address"].as_str().unwrap().parse().unwrap();
        let info = KINDS.iter().find(|info| info.kind == address.kind()).unwrap();
        let (action, replaces) = (step["action"].as_str().unwrap(), step["replaces"] == true);
        let changes = step["changes"].as_array().unwrap();
        let is_new = action == "create" && !replaces;
        if is_new || !matches!(action, "create" | "update") {
            continue;
        }
        let mut must_replace = false;
        for change in changes {
            let path = change["path"].as_str().unwrap();
            let cost = info.on_change(path);
            assert_eq!(change["on_change"], json!(cost), "{address} {path}");
            must_replace |= cost == OnChange::Replace;
            let field = info.fields.iter().find(|field| {
                path.strip_prefix(field.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            let field = field.unwrap_or_else(|| panic!("`{path}` of {address} is no field of its kind"));
            let top = field.name.split('.').next().unwrap();
            seen.fields.insert((info.kind, top));
        }
        let reason = step["reason"].as_str().unwrap();
        let by_field = reason.ends_with("cannot be changed in place");
        assert_eq!(by_field, must_replace, "{address}: {reason}");
        if replaces {
            seen.replaced.insert(address.kind().to_owned());
            let goes = |other: &Value| other["address"] == step["address"] && other["action"] == "delete";
            assert!(steps.iter().any(goes), "{address} is replaced and does not go: {plan:#}");
            assert!(by_field || !reason.is_empty(), "{address}");
        } else {
            assert!(!must_replace && action == "update", "{address}: {action}");
        }
    }
}

fn every_field_is_told_of(seen: &Seen) {
    let mut wrong = Vec::new();
    for info in KINDS {
        let top: BTreeSet<&str> = info.fields.iter().map(|field| field.name.split('.').next().unwrap()).collect();
        for field in top {
            let changed = seen.fields.contains(&(info.kind, field));
            let reasons = UNREACHABLE.iter().filter(|(kind, fields, _)| *kind == info.kind && fields.contains(&field));
            match (changed, reasons.count()) {
                (true, 0) | (false, 1) => {}
                (true, _) => wrong.push(format!("{} {field}: was changed, whatever is said", info.kind)),
                (false, 0) => wrong.push(format!("{} {field}: neither an edit nor a reason", info.kind)),
                (false, _) => wrong.push(format!("{} {field}: more than one reason", info.kind)),
            }
        }
    }
    for (kind, fields, _) in UNREACHABLE {
        let info = KINDS.iter().find(|info| info.kind == *kind);
        let has = |field: &&&str| info.is_some_and(|info| info.fields.iter().any(|one| one.name == **field));
        wrong.extend(fields.iter().filter(|field| !has(field)).map(|field| format!("{kind} has no {field}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn every_key_is_told_of(stack: &Stack, seen: &Seen) {
    let schema: Value = serde_json::from_str(&stack.sandbox.ok(&["schema"]).stdout).unwrap();
    let mut keys = BTreeMap::new();
    leaves(&schema, &schema, "", &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let mut wrong = Vec::new();
    for key in keys.keys() {
        let reason = NOT_EDITED.iter().any(|(not_edited, _)| not_edited == key);
        if seen.keys.contains(key) == reason {
            wrong.push(format!(
                "`{key}` has {}",
                if reason { "an edit and a reason" } else { "neither edit nor reason" }
            ));
        }
    }
    wrong.extend(
        NOT_EDITED.iter().filter(|(key, _)| !keys.contains_key(*key)).map(|(key, _)| format!("no key `{key}`")),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The keys of the stack file that have no keys below them, such as `tables.*.key`.
fn leaves(whole: &Value, schema: &Value, path: &str, found: &mut BTreeMap<String, ()>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => whole.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut is_leaf = true;
    let variants = schema["anyOf"].as_array().into_iter().flatten().chain([schema]);
    for variant in variants {
        for (key, property) in variant["properties"].as_object().into_iter().flatten() {
            leaves(whole, property, &join(key), found);
            is_leaf = false;
        }
    }
    if schema["additionalProperties"]["type"] == "object" {
        leaves(whole, &schema["additionalProperties"], &join("*"), found);
        is_leaf = false;
    }
    // `protect` is a list as well as a mapping.
    let is_list_too =
        schema["anyOf"].as_array().is_some_and(|variants| variants.iter().any(|one| one["type"] == "array"));
    if is_leaf || is_list_too {
        found.insert(path.to_owned(), ());
    }
}

/// The keys that an edit changes.
fn keys_of(pointer: &str, value: &Value) -> BTreeSet<String> {
    let mut parts: Vec<&str> = pointer.split('/').skip(1).collect();
    if parts[0] == "tags" {
        parts.truncate(1);
    } else if parts[0] == "tables" && parts.len() > 1 {
        parts[1] = "*";
    }
    let key = parts.join(".");
    match value.as_object() {
        Some(map) if parts[0] != "tables" => map.keys().map(|inner| format!("{key}.{inner}")).collect(),
        Some(_) => BTreeSet::new(),
        None => [key].into(),
    }
}
