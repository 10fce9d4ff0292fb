//! Which key of the stack file says what a field of a resource is, and how the field's value is written there.
//!
//! Expanding goes from keys to fields; this table is the way back, for `drift --accept`. It is data. A test changes
//! every key that is one value, and one the tables, and they look which fields change: a row that is missing fails them. Keys
//! that name a network, a file or a database (`NOT_ONE_VALUE`) are not changed.

use pinfra_engine::Address;
use serde_json::Value;

use super::streams::AWS_KEY;
use crate::spec::edit::Scalar;

/// A key and a field that hangs on it.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Such as `cluster.storage_gib`.
    pub(crate) key: &'static str,
    /// A kind, or the address of the one resource of it.
    resource: &'static str,
    /// A path in the inputs; what is below it belongs to it.
    field: &'static str,
    how: How,
}

/// How a field comes from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It is the key's value.
    Same,
    /// It is the key's value, a number, as text.
    Text,
    /// It is the key's value, in seconds, as milliseconds in a text.
    Milliseconds,
    /// It is the KMS key that the key's word stands for.
    KmsKey,
    /// It is a number of a lifecycle rule: the rule's id, and the member that holds it.
    OfRule(&'static str, &'static str),
    /// It is made of the key's value and more, by a rule that cannot be turned round.
    Follows,
}

/// What a key has to say so that a field is what it is in the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// This value.
    Value(Scalar),
    /// Nothing: the key has to go.
    Nothing,
}

const fn feed(key: &'static str, resource: &'static str, field: &'static str, how: How) -> Feed {
    Feed { key, resource, field, how }
}

const CLUSTER: &str = "msk/cluster";
const CONFIGURATION: &str = "msk/configuration";
const TOPIC: &str = "msk/topic";
const STREAM: &str = "kinesis/stream";
const CONNECTOR: &str = "msk_connect/connector";
const BUCKET: &str = "s3/bucket";
const EMULATOR: &str = "worker/process.emulator";
const GATEWAY: &str = "worker/process.gateway";
const CLEANER: &str = "worker/process.cleaner";

/// All of them, by section.
const FEEDS: &[Feed] = &[
    feed("tables", CONNECTOR, "topics", How::Follows),
    feed("tables", CONNECTOR, "configuration.tasks.max", How::Follows),
    feed("tables", EMULATOR, "config.tables", How::Follows),
    feed("tables", CLEANER, "config.tables", How::Follows),
    feed("tables", GATEWAY, "config.topics", How::Follows),
    feed("tables", "api_gateway/rest_api", "document", How::Follows),
    feed("tables", "api_gateway/deployment", "document_hash", How::Follows),
    feed("tables", "iam/role_policy", "policy", How::Follows),
    feed("network.vpc", "ec2/security_group", "vpc", How::Follows),
    feed("network.vpc", "ec2/vpc_endpoint", "vpc", How::Follows),
    feed("network.subnets", CLUSTER, "subnets", How::Follows),
    feed("network.subnets", "ec2/instance", "subnet", How::Follows),
    feed("cluster.kafka_version", CLUSTER, "kafka_version", How::Same),
    feed("cluster.brokers", CLUSTER, "brokers", How::Same),
    feed("cluster.brokers", CONFIGURATION, "properties.default.replication.factor", How::Follows),
    feed("cluster.brokers", CONFIGURATION, "properties.min.insync.replicas", How::Follows),
    feed("cluster.brokers", TOPIC, "replication", How::Follows),
    feed("cluster.instance", CLUSTER, "instance", How::Same),
    feed("cluster.storage_gib", CLUSTER, "storage_gib", How::Same),
    feed("cluster.partitions", CONFIGURATION, "properties.num.partitions", How::Text),
    feed("cluster.partitions", TOPIC, "partitions", How::Same),
    feed("cluster.partitions", CONNECTOR, "configuration.tasks.max", How::Follows),
    feed("client.instance", "ec2/instance", "type", How::Same),
    feed("client.instance", "ec2/instance", "image", How::Follows),
    feed("client.key", "ec2/instance", "key", How::Follows),
    feed("client.key", "ec2/key_pair", "public_key", How::Follows),
    feed("client.ssh_from", "ec2/security_group.client", "rules", How::Follows),
    feed("connector.plugin", "msk_connect/plugin", "key", How::Follows),
    feed("connector.plugin", CONNECTOR, "plugin", How::Follows),
    feed("connector.flush_size", CONNECTOR, "configuration.flush.size", How::Text),
    feed("connector.rotate_seconds", CONNECTOR, "configuration.rotate.schedule.interval.ms", How::Milliseconds),
    feed("connector.mcu", CONNECTOR, "mcu", How::Same),
    feed("connector.mcu", CONNECTOR, "configuration.tasks.max", How::Follows),
    feed("connector.workers", CONNECTOR, "workers", How::Same),
    feed("connector.workers", CONNECTOR, "configuration.tasks.max", How::Follows),
    feed("api.stage", "api_gateway/stage", "name", How::Same),
    feed("api.auth", "api_gateway/rest_api", "document", How::Follows),
    feed("api.auth", "api_gateway/deployment", "document_hash", How::Follows),
    feed("api.auth", "iam/role_policy", "policy", How::Follows),
    feed("api.auth", EMULATOR, "config.api", How::Follows),
    feed("api.admin", "api_gateway/rest_api", "document", How::Follows),
    feed("api.admin", "api_gateway/deployment", "document_hash", How::Follows),
    feed("api.admin", "iam/role_policy.api", "policy", How::Follows),
    feed("streams.mode", STREAM, "mode", How::Same),
    feed("streams.mode", STREAM, "shards", How::Follows),
    feed("streams.shards", STREAM, "shards", How::Same),
    feed("streams.retention_hours", STREAM, "retention_hours", How::Same),
    feed("streams.encryption", STREAM, "encryption_key", How::KmsKey),
    feed("streams.encryption", "iam/role_policy", "policy", How::Follows),
    feed("lake.versioning", BUCKET, "versioning", How::Same),
    feed("lake.expire_days", BUCKET, "lifecycle", How::OfRule("expire-topics", "expire_days")),
    feed("lake.noncurrent_days", BUCKET, "lifecycle", How::OfRule("noncurrent", "noncurrent_days")),
    feed("workers.emulator.source", EMULATOR, "config.source", How::Follows),
    feed("workers.emulator.paths", EMULATOR, "config.tables", How::Follows),
    feed("workers.emulator.rate", EMULATOR, "config.rate", How::Same),
    feed("workers.emulator.burst", EMULATOR, "config.burst", How::Same),
    feed("workers.emulator.ramp", EMULATOR, "config.ramp_seconds", How::Same),
    feed("workers.emulator.count", EMULATOR, "config.count", How::Same),
    feed("workers.emulator.rows", EMULATOR, "config.source.sample.rows", How::Same),
    feed("workers.emulator.seed", EMULATOR, "config.seed", How::Same),
    feed("workers.emulator.seed", EMULATOR, "config.source.sample.seed", How::Same),
    feed("workers.emulator.port", EMULATOR, "config.port", How::Same),
    feed("workers.gateway.port", GATEWAY, "config.port", How::Same),
    feed("workers.gateway.port", "ec2/security_group.client", "rules", How::Follows),
    feed("workers.gateway.port", "api_gateway/rest_api", "document", How::Follows),
    feed("workers.gateway.port", "api_gateway/deployment", "document_hash", How::Follows),
    feed("workers.cleaner.streaming", CLEANER, "config.streaming", How::Same),
    feed("workers.cleaner.commit_ms", CLEANER, "config.commit_ms", How::Same),
    feed("workers.cleaner.schedule", CLEANER, "config.schedule", How::Same),
    feed("workers.cleaner.port", CLEANER, "config.port", How::Same),
];

/// Tags are of every resource, and each has a key of its own.
const TAGS: &str = "tags";

/// The keys that say what a field is, each with what it has to say so that the field is `live`; `None` where that cannot be
/// told from the field alone.
pub(crate) fn keys(address: &Address, field: &str, live: Option<&Value>) -> Vec<(Vec<String>, Option<Says>)> {
    if let Some(tag) = field.strip_prefix("tags.").filter(|tag| !tag.starts_with("pinfra:")) {
        return vec![(vec![TAGS.to_owned(), tag.to_owned()], How::Same.back(live))];
    }
    let of_field = FEEDS.iter().filter(|feed| feed.is_of(address, field));
    of_field.map(|feed| (feed.key.split('.').map(str::to_owned).collect(), feed.how.back(live))).collect()
}

impl Feed {
    fn is_of(&self, address: &Address, field: &str) -> bool {
        let below = field.strip_prefix(self.field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        below && (self.resource == address.kind() || self.resource == address.to_string())
    }
}

impl How {
    /// What the key has to say for the field to be `live`.
    fn back(self, live: Option<&Value>) -> Option<Says> {
        let live = live.filter(|live| !live.is_null());
        match self {
            How::Same => live.map_or(Some(Says::Nothing), |live| scalar(live).map(Says::Value)),
            How::Text => whole(live?.as_str()?).map(Says::Value),
            How::Milliseconds => {
                let milliseconds: i128 = live?.as_str()?.parse().ok()?;
                (milliseconds % 1000 == 0).then_some(Says::Value(Scalar::Whole(milliseconds / 1000)))
            }
            How::KmsKey => Some(Says::Value(Scalar::Text(match live {
                None => "none".to_owned(),
                Some(key) if key == AWS_KEY => "aws".to_owned(),
                Some(key) => key.as_str()?.to_owned(),
            }))),
            How::OfRule(id, member) => {
                let rules = live?.as_array()?;
                let rule = rules.iter().find(|rule| rule.get("id").is_some_and(|found| found == id));
                let days = rule.and_then(|rule| rule.get(member)).filter(|days| !days.is_null());
                days.map_or(Some(Says::Nothing), |days| scalar(days).map(Says::Value))
            }
            How::Follows => None,
        }
    }
}

fn whole(text: &str) -> Option<Scalar> {
    text.parse().ok().map(Scalar::Whole)
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::Bool(flag) => Some(Scalar::Flag(*flag)),
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Some(Scalar::Whole(whole.into())),
            // Rates are numbers with a fraction in a worker's configuration, and whole in the stack file.
            (None, Some(number)) if number.fract() == 0.0 && number.abs() < 1e15 => whole(&format!("{number:.0}")),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use pinfra_aws::catalog::KINDS;
    use pinfra_engine::Graph;
    use pinfra_engine::diff::{FieldChange, Shown, Views, diff};
    use proptest::prelude::*;

    use super::super::tests::graph;
    use super::*;
    use crate::spec::Source;
    use crate::spec::edit::set;

    /// Every section, so that every key has something to feed. The key pair's file is not read here: tests give its content.
    const FILE: &str = "name: dev
tables: { pin: { key: index }, geo: { key: ind }, user: { key: ind } }
cluster: { partitions: 3 }
client: {}
connector: {}
api: {}
streams: {}
lake: { versioning: true }
workers: { emulator: {}, gateway: {}, cleaner: { schedule: \"0 12 * * *\" } }
";

    /// A key, and texts of which any two are different values of it.
    fn values(key: &str) -> Option<BoxedStrategy<Scalar>> {
        let words = |words: &'static [&'static str]| {
            proptest::sample::select(words).prop_map(|word| Scalar::Text(word.to_owned())).boxed()
        };
        let whole = |from: i128, to: i128| (from..to).prop_map(Scalar::Whole).boxed();
        Some(match key {
            "cluster.kafka_version" => words(&["3.6.0", "3.7.x", "3.8.x"]),
            "cluster.brokers" => proptest::sample::select(&[2, 3, 6, 9][..]).prop_map(Scalar::Whole).boxed(),
            "cluster.instance" => words(&["kafka.t3.small", "kafka.m5.large", "kafka.m7g.large"]),
            "cluster.storage_gib" => whole(1, 16_384),
            "cluster.partitions" => whole(1, 100),
            "client.instance" => words(&["t3.small", "t3.large", "t4g.small", "m7g.large"]),
            "connector.flush_size" => whole(1, 100_000),
            "connector.rotate_seconds" => whole(1, 86_400),
            "connector.mcu" => proptest::sample::select(&[1, 2, 4, 8][..]).prop_map(Scalar::Whole).boxed(),
            "connector.workers" => whole(1, 11),
            "api.stage" => words(&["prod", "dev", "v1"]),
            "api.auth" => words(&["key", "iam", "none"]),
            "api.admin" | "lake.versioning" | "workers.cleaner.streaming" => {
                any::<bool>().prop_map(Scalar::Flag).boxed()
            }
            "streams.mode" => words(&["provisioned", "on_demand"]),
            "streams.shards" => whole(1, 10_000),
            "streams.retention_hours" => whole(24, 8_760),
            "streams.encryption" => words(&["none", "aws", "alias/own", "alias/other"]),
            "lake.expire_days" | "lake.noncurrent_days" => whole(1, 36_500),
            "workers.emulator.paths" => words(&["all", "kafka", "kinesis"]),
            "workers.emulator.rate" | "workers.emulator.burst" => whole(1, 100_000),
            "workers.emulator.ramp" => whole(0, 86_400),
            "workers.emulator.count" => whole(1, 1_000_000),
            "workers.emulator.rows" => whole(1, 10_000_000),
            "workers.emulator.seed" => whole(0, 1_000_000),
            "workers.gateway.port" | "workers.emulator.port" | "workers.cleaner.port" => whole(9_000, 65_536),
            "workers.cleaner.commit_ms" => whole(100, 60_001),
            "workers.cleaner.schedule" => words(&["0 12 * * *", "5 4 * * 1", "*/10 * * * *"]),
            _ => return None,
        })
    }

    /// Keys that are lists, files or sections: what they say reaches fields by rules that cannot be turned round.
    const NOT_ONE_VALUE: &[&str] = &[
        "tables",
        "network.vpc",
        "network.subnets",
        "client.key",
        "client.ssh_from",
        "connector.plugin",
        "workers.emulator.source",
    ];

    fn changes(before: &Graph, after: &Graph) -> Vec<(Address, FieldChange)> {
        let mut found = Vec::new();
        for node in after.nodes() {
            let Some(old) = before.get(&node.address) else { continue };
            let info = KINDS.iter().find(|info| info.kind == node.address.kind()).unwrap();
            let views = Views {
                desired: &node.inputs,
                secrets: &node.secrets,
                recorded: None,
                live: Some(&old.inputs),
                salt: "",
            };
            found.extend(diff(info, &views).into_iter().map(|change| (node.address.clone(), change)));
        }
        found
    }

    fn with(key: &str, value: &Scalar) -> String {
        let path: Vec<&str> = key.split('.').collect();
        set(&Source::new("dev.yaml", FILE), &path, value).unwrap_or_else(|error| panic!("{error}")).text
    }

    fn tried() -> impl Strategy<Value = (&'static str, Scalar, Scalar)> {
        let keys: BTreeSet<&'static str> = FEEDS.iter().map(|feed| feed.key).collect();
        let keys: Vec<&'static str> = keys.into_iter().filter(|key| values(key).is_some()).collect();
        proptest::sample::select(keys).prop_flat_map(|key| {
            let of = || values(key).unwrap();
            (Just(key), of(), of())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn a_key_changes_the_fields_that_it_feeds_and_no_others((key, one, other) in tried()) {
            prop_assume!(one != other);
            let (before, after) = (graph(&with(key, &one)), graph(&with(key, &other)));
            let mut fed: BTreeMap<&str, usize> = BTreeMap::new();
            for (address, change) in changes(&before, &after) {
                let keys = keys(&address, &change.path, None);
                prop_assert!(keys.iter().any(|(fed_by, _)| fed_by.join(".") == key), "{key} feeds {address}#{}", change.path);
                // And the way back leads to the key's value.
                let live = match &change.after {
                    Shown::Value(live) => Some(live),
                    Shown::Absent => None,
                    Shown::Unknown(_) | Shown::Secret => continue,
                };
                for (fed_by, says) in super::keys(&address, &change.path, live) {
                    if let Some(Says::Value(says)) = says && fed_by.join(".") == key {
                        prop_assert_eq!(&says, &other, "{}#{}", address, change.path);
                        *fed.entry("back").or_default() += 1;
                    }
                }
            }
            let direct = FEEDS.iter().any(|feed| feed.key == key && feed.how != How::Follows);
            prop_assert!(!direct || fed.contains_key("back") || key == "streams.mode", "{} leads nowhere", key);
        }
    }

    #[test]
    fn tables_change_fields_that_say_so() {
        // With few partitions and tables, how many tasks the connector has depends on both.
        let before = FILE.replace("partitions: 3", "partitions: 1");
        let after = before.replace(", geo: { key: ind }, user: { key: ind }", "");
        let changes = changes(&graph(&before), &graph(&after));
        for (address, change) in &changes {
            let keys = keys(address, &change.path, None);
            assert!(keys.iter().any(|(key, _)| key == &["tables"]), "tables feed {address}#{}", change.path);
        }
        assert!(
            changes.iter().any(|(address, change)| address.kind() == CONNECTOR && change.path.starts_with("topics"))
        );
    }

    #[test]
    fn every_key_of_the_stack_file_is_known() {
        let mut keys = BTreeSet::new();
        let schema = crate::spec::schema();
        collect(&schema, &schema, "", &mut keys);
        // What a stack is called and where it is, what is kept of it, and what exists: no field of a resource that is there.
        let outside = ["name", "target", "region", "tags", "analyses", "protect", "ttl", "cluster.use", "lake.use"];
        let known: BTreeSet<&str> = FEEDS.iter().map(|feed| feed.key).chain(outside).collect();
        let known_sections =
            |key: &str| known.iter().any(|known| key == *known || key.starts_with(&format!("{known}.")));
        let unknown: Vec<&String> = keys.iter().filter(|key| !known_sections(key)).collect();
        assert_eq!(unknown, [""; 0], "add these to FEEDS");
        for feed in FEEDS {
            assert!(values(feed.key).is_some() || NOT_ONE_VALUE.contains(&feed.key), "{}", feed.key);
        }
    }

    /// The dotted keys of a schema's sections.
    fn collect(root: &Value, schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
        let schema = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        let inner = schema.get("anyOf").and_then(Value::as_array);
        let inner =
            inner.and_then(|any| any.iter().find(|one| one.get("$ref").is_some() || one.get("properties").is_some()));
        if let Some(inner) = inner {
            return collect(root, inner, path, keys);
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            keys.insert(path.to_owned());
            return;
        };
        for (name, inner) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            collect(root, inner, &path, keys);
        }
    }

    #[test]
    fn a_lifecycle_leads_to_the_days_in_it_or_to_none() {
        let address = "s3/bucket.lake".parse().unwrap();
        let live = serde_json::json!([{"id": "expire-topics", "expire_days": 30}]);
        let keys = keys(&address, "lifecycle", Some(&live));
        let key = |name: &str| vec!["lake".to_owned(), name.to_owned()];
        assert_eq!(
            keys,
            [(key("expire_days"), Some(Says::Value(Scalar::Whole(30)))), (key("noncurrent_days"), Some(Says::Nothing)),]
        );
    }
}
