use std::path::Path;

use pinfra_engine::resource::LiveValue;

use super::*;
use crate::expand::expand;
use crate::spec::{self, Checks};

const FILE: &str = "name: dev # the name
tables: { pin: { key: index }, geo: { key: ind }, user: { key: ind } }
cluster:              # brokers
  storage_gib: 10     # GiB
  partitions: 3
connector: { flush_size: 1000 }
streams: { shards: 1 }
lake:
  expire_days: 30     # and then they go
client: {}
api: {}
workers: { emulator: { rate: \"${env:RATE}\" }, gateway: {}, cleaner: {} }
";

/// What accepting comes to, when the cloud has this at these fields.
fn accepted(text: &str, live: &[(&str, &str, Value)], asked: &[&str]) -> Result<String, String> {
    let environment = |_: &str| Some("7".to_owned());
    let stack = spec::parse(Path::new("dev.yaml"), text.to_owned(), &environment, Checks::File).unwrap();
    let place = Place { target: "local".into(), region: "us-east-1".into(), account: "000000000000".into() };
    let facts = Facts::default();
    let graph = expand(&stack, &place, &facts).unwrap();
    let mut observed = Observed::new();
    for node in graph.nodes() {
        let live = LiveValue { inputs: node.inputs.clone(), outputs: Value::Null };
        observed.insert(node.address.clone(), Observation::Present { id: "x".to_owned(), live });
    }
    let mut drift = Drift::default();
    for (address, field, value) in live {
        let address: Address = address.parse().unwrap();
        let Some(Observation::Present { live, .. }) = observed.get_mut(&address) else { panic!("{address}") };
        let (above, name) = field.split_once('.').map_or((None, *field), |(above, name)| (Some(above), name));
        let parent = match above {
            Some(above) => &mut live.inputs[above],
            None => &mut live.inputs,
        };
        parent[name] = value.clone();
        let finding = Finding {
            address,
            id: None,
            what: What::Changed,
            field: Some((*field).to_owned()),
            wanted: None,
            live: Some(value.clone()),
            detail: String::new(),
            declared_at: String::new(),
            secret: graph.nodes().any(|node| node.secrets.contains(*field)),
        };
        drift.extend([finding]);
    }
    let ground = Ground {
        stack: &stack,
        place: &place,
        facts: &facts,
        observed: &observed,
        drift: &drift,
        environment: &environment,
    };
    let asked: Vec<AcceptArg> = asked.iter().map(|asked| asked.parse().unwrap()).collect();
    super::accept(&ground, &asked).map(|(text, _)| text).map_err(|failure| failure.to_string())
}

#[test]
fn what_is_there_is_written_where_the_stack_file_says_it() {
    let brokers = "msk/cluster.cluster";
    let cases: [(&str, &str, Value, &str, &str); 5] = [
        (brokers, "storage_gib", json!(25), "storage_gib: 10     #", "storage_gib: 25     #"),
        (brokers, "kafka_version", json!("3.7.x"), "  partitions: 3\n", "  partitions: 3\n  kafka_version: 3.7.x\n"),
        ("msk_connect/connector.s3", "configuration.flush.size", json!("250"), "flush_size: 1000", "flush_size: 250"),
        ("s3/bucket.lake", "versioning", json!(true), "they go\n", "they go\n  versioning: true\n"),
        ("worker/process.cleaner", "config.commit_ms", json!(500), "cleaner: {}", "cleaner: { commit_ms: 500 }"),
    ];
    for (address, field, live, old, new) in cases {
        let expected = FILE.replace(old, new);
        assert_ne!(expected, FILE);
        assert_eq!(accepted(FILE, &[(address, field, live)], &[address]), Ok(expected), "{field}");
    }
}

#[test]
fn a_key_of_several_resources_is_changed_when_all_of_them_are_so() {
    let shards = |table| ("kinesis/stream.".to_owned() + table, "shards", json!(4));
    let all = ["pin", "geo", "user"].map(shards);
    let of = |n: usize| all[..n].iter().map(|(a, f, v)| (a.as_str(), *f, v.clone())).collect::<Vec<_>>();
    let expected = FILE.replace("shards: 1", "shards: 4");
    assert_eq!(accepted(FILE, &of(3), &["kinesis/stream.geo#shards"]), Ok(expected));
    let said = accepted(FILE, &of(2), &["kinesis/stream.geo#shards"]).unwrap_err();
    assert!(
        said.contains("`streams.shards` cannot be changed for this alone")
            && said.contains("`kinesis/stream.user#shards` from 1 to 4"),
        "{said}"
    );
}

#[test]
fn a_field_of_two_keys_changes_both() {
    let streams: Vec<(String, &str, Value)> = ["pin", "geo", "user"]
        .iter()
        .flat_map(|table| {
            let address = format!("kinesis/stream.{table}");
            [(address.clone(), "mode", json!("on_demand")), (address, "shards", Value::Null)]
        })
        .collect();
    let live: Vec<(&str, &str, Value)> = streams.iter().map(|(a, f, v)| (a.as_str(), *f, v.clone())).collect();
    let text = FILE.replace("{ shards: 1 }", "{ retention_hours: 24, shards: 1 }");
    let expected = FILE.replace("{ shards: 1 }", "{ retention_hours: 24, mode: on_demand }");
    assert_eq!(accepted(&text, &live, &["kinesis/stream.pin"]), Ok(expected));
}

#[test]
fn a_lifecycle_rule_that_was_changed_changes_its_days() {
    let abort = json!({"id": "abort-multipart", "prefix": "", "expire_days": null, "noncurrent_days": null, "abort_multipart_days": 7});
    let expire = json!({"id": "expire-topics", "prefix": "topics/", "expire_days": 90, "noncurrent_days": null, "abort_multipart_days": null});
    let live = [("s3/bucket.lake", "lifecycle", json!([abort, expire]))];
    assert_eq!(accepted(FILE, &live, &["s3/bucket.lake"]), Ok(FILE.replace("expire_days: 30 ", "expire_days: 90 ")));
    let other = [("s3/bucket.lake", "lifecycle", json!([expire]))];
    assert!(
        accepted(FILE, &other, &["s3/bucket.lake"]).unwrap_err().contains("lifecycle"),
        "a rule of pinfra's own is gone"
    );
}

#[test]
fn what_cannot_be_accepted_says_why() {
    let cases: [(&str, &str, Value, &str); 8] = [
        (
            "msk/topic.pin",
            "partitions",
            json!(6),
            "`cluster.partitions` cannot be changed for this alone: it would also change",
        ),
        ("msk/topic.pin", "replication", json!(2), "it follows from `cluster.brokers`"),
        ("iam/role.client", "max_session_seconds", json!(7200), "pinfra sets this by itself"),
        ("worker/process.emulator", "config.rate", json!(9.0), "its value is a secret"),
        ("s3/bucket.lake", "tags.team", json!("x"), "`tags.team` cannot be changed for this alone"),
        ("msk/cluster.cluster", "storage_gib", json!(0), "would be wrong with what is there"),
        (
            "msk_connect/connector.s3",
            "configuration.rotate.schedule.interval.ms",
            json!("1500"),
            "it follows from `connector.rotate_seconds`",
        ),
        ("msk/cluster.cluster", "tags.pinfra:stack", json!("x"), "pinfra sets this by itself"),
    ];
    for (address, field, live, expected) in cases {
        let said = accepted(FILE, &[(address, field, live)], &[address]).unwrap_err();
        assert!(said.contains(expected), "{field}: {said}");
    }
    let storage = ("msk/cluster.cluster", "storage_gib", json!(25));
    let said = accepted(FILE, std::slice::from_ref(&storage), &["msk/cluster.cluster#storage_gb"]).unwrap_err();
    assert!(said.contains("did you mean `msk/cluster.cluster#storage_gib`?"), "{said}");
}

#[test]
fn several_are_accepted_together_or_not_at_all() {
    let storage = ("msk/cluster.cluster", "storage_gib", json!(25));
    let flush = ("msk_connect/connector.s3", "configuration.flush.size", json!("250"));
    let role = ("iam/role.client", "max_session_seconds", json!(7200));
    let both = accepted(FILE, &[storage.clone(), flush.clone()], &["msk/cluster.cluster", "msk_connect/connector.s3"]);
    assert_eq!(both, Ok(FILE.replace("_gib: 10", "_gib: 25").replace("size: 1000", "size: 250")));
    let some = accepted(FILE, &[storage, role], &["msk/cluster.cluster", "iam/role.client"]);
    assert!(some.unwrap_err().contains("nothing was written"));
}
