//! The `workers` section: what is deployed onto the client machine, and what its role may do for that.

use std::collections::BTreeSet;

use pinfra_aws::iam::role_policy::RolePolicyInputs;
use pinfra_aws::policy::allow;
use pinfra_aws::s3::object::ObjectInputs;
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::worker::process::ProcessInputs;
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Node};
use pinfra_workers::config::{
    ApiAuth, ApiTarget, CleanedTable, CleanerConfig, EmulatedTable, EmulatorConfig, GatewayConfig, KafkaSecurity,
    Program, Source,
};
use pinfra_workers::keys;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cluster::{Brokers, topic_address};
use super::{Facts, client, lake, names, node};
use crate::spec::{self, Cleaner, Emulator, EventSource, Gateway, Paths, Stack, Table, Workers};

/// Where a built-in table's rows are in the source (the tables' names in the pipeline that the sample is made after).
const SOURCE_TABLES: &[(&str, &str)] = &[("pin", "pinterest_data"), ("geo", "geolocation_data"), ("user", "user_data")];

/// Requests of the emulator that are under way at once: more than any rate needs that one machine can post.
const CONCURRENCY: u32 = 64;

/// Records that wait for a commit at most.
const COMMIT_RECORDS: u32 = 50_000;

/// The program, what the role may do, and the workers themselves.
pub(super) fn nodes(stack: &Stack, workers: &Workers, place: &Place, facts: &Facts) -> Vec<Node> {
    let mut nodes = vec![policy(stack, workers, place)];
    nodes.extend(objects(stack, workers, facts));
    if let Some(emulator) = &workers.emulator {
        nodes.extend(emulator_policy(stack, emulator));
        nodes.push(emulator_process(stack, emulator, place, facts));
    }
    if let Some(gateway) = &workers.gateway {
        nodes.push(gateway_policy(stack, gateway, facts));
        nodes.push(gateway_process(stack, gateway, place, facts));
    }
    if let Some(cleaner) = &workers.cleaner {
        nodes.push(cleaner_process(stack, cleaner, place, facts));
    }
    nodes
}

fn policy(stack: &Stack, workers: &Workers, place: &Place) -> Node {
    let partition = pinfra_aws::clients::partition(&place.region);
    let bucket = format!("arn:{partition}:s3:::{}", names::bucket(stack, place));
    let below = |prefixes: &[&str]| -> Vec<String> { prefixes.iter().map(|p| format!("{bucket}/{p}")).collect() };
    let statement =
        |actions: &[&str], resources: &[String]| json!({"Effect": "Allow", "Action": actions, "Resource": resources});
    let mut read = vec!["_pinfra/agent.json", "_pinfra/bin/*", "_pinfra/workers/*"];
    let mut write = vec!["_pinfra/agents/*"];
    let mut statements = Vec::new();
    if let Some(emulator) = &workers.emulator {
        if matches!(emulator.source.get(), EventSource::Sqlite(_)) {
            read.push("_pinfra/sources/*");
        }
        statements.extend(may_read_key(stack));
    }
    if workers.cleaner.is_some() {
        read.extend(["_pinfra/cleaning/*", "_pinfra/leases/*", "tables/*", "topics/*"]);
        write.extend(["_pinfra/cleaning/*", "_pinfra/leases/*", "_pinfra/probes/*", "tables/*"]);
        let removed = below(&["_pinfra/leases/*", "tables/*"]);
        statements.push(statement(&["s3:AbortMultipartUpload", "s3:DeleteObject"], &removed));
    }
    if workers.cleaner.is_some() && stack.streams.is_some() {
        let streams: Vec<String> =
            stack.tables.iter().map(|table| names::stream_arn(stack, &table.name, place)).collect();
        statements.extend(super::streams::may_use_key(stack, place, "kms:Decrypt"));
        statements.push(statement(
            &["kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"],
            &streams,
        ));
    }
    statements.push(statement(&["s3:GetObject"], &below(&read)));
    statements.push(statement(&["s3:PutObject"], &below(&write)));
    // Without the right to list, S3 answers 403 for an object that is not there, and a prefix in the condition would not
    // be in such a request (S3 API reference, "GetObject").
    statements.push(statement(&["s3:ListBucket"], std::slice::from_ref(&bucket)));
    let address = Address::new("iam/role_policy", "client");
    let inputs = RolePolicyInputs {
        role: Input::output(client::role_address(), "name"),
        name: "workers".to_owned(),
        policy: allow(&statements),
    };
    // Who may call says what the emulator needs for it.
    let auth_from_env = stack.api.as_ref().is_some_and(|api| api.auth.from_env);
    let key_from_env = stack.streams.as_ref().is_some_and(|streams| streams.encryption.from_env);
    let secrets = (auth_from_env || key_from_env).then(|| "policy".to_owned()).into_iter().collect();
    node(stack, address, &inputs, secrets, workers.place)
}

/// What the emulator needs to fetch the value of the API's key.
fn may_read_key(stack: &Stack) -> Option<Value> {
    stack.api.as_ref().filter(|api| *api.auth.get() == spec::ApiAuth::Key)?;
    let key: Input<String> = Input::output(super::api::key_address(), "arn");
    Some(json!({"Effect": "Allow", "Action": "apigateway:GET", "Resource": key}))
}

/// What the emulator needs to be let in by IAM.
///
/// It is a policy of its own: it names the stage, which waits for the machine's address, and the machine waits for the policy
/// of all workers.
fn emulator_policy(stack: &Stack, emulator: &Emulator) -> Option<Node> {
    let api = stack.api.as_ref().filter(|api| *api.auth.get() == spec::ApiAuth::Iam)?;
    let methods: Input<String> = Input::output(super::api::stage_address(), "methods_arn");
    let inputs = RolePolicyInputs {
        role: Input::output(client::role_address(), "name"),
        name: "emulator".to_owned(),
        policy: allow(&[json!({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": methods})]),
    };
    let secrets = api.auth.from_env.then(|| "policy".to_owned()).into_iter().collect();
    Some(node(stack, emulator_policy_address(), &inputs, secrets, emulator.place))
}

fn emulator_policy_address() -> Address {
    Address::new("iam/role_policy", "emulator")
}

/// What the gateway needs to write to the topics of the stack, and to tell how far the connector has got ("Semantics of IAM
/// authorization policy actions and resources", Amazon MSK developer guide).
///
/// It is a policy of its own: it names the cluster, and nothing else on the machine shall wait for that.
fn gateway_policy(stack: &Stack, gateway: &Gateway, facts: &Facts) -> Node {
    let brokers = Brokers::of(stack, facts);
    let of_cluster = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"];
    let of_topics =
        ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:WriteData"];
    let mut statements = vec![
        json!({"Effect": "Allow", "Action": of_cluster, "Resource": brokers.arn()}),
        json!({"Effect": "Allow", "Action": of_topics, "Resource": brokers.topic_arns()}),
        // A caller who mistypes a topic is told that there is none (404), not that the gateway may not see it (403).
        json!({
            "Effect": "Allow", "Action": "kafka-cluster:DescribeTopic",
            "Resource": brokers.topic_arn(&names::topic(stack, "*")),
        }),
    ];
    if stack.connector.is_some() {
        let group = brokers.group_arn(&names::group(stack));
        statements.push(json!({"Effect": "Allow", "Action": "kafka-cluster:DescribeGroup", "Resource": group}));
    }
    let inputs = RolePolicyInputs {
        role: Input::output(client::role_address(), "name"),
        name: "gateway".to_owned(),
        policy: allow(&statements),
    };
    node(stack, gateway_policy_address(), &inputs, BTreeSet::new(), gateway.place)
}

fn gateway_policy_address() -> Address {
    Address::new("iam/role_policy", "gateway")
}

fn objects(stack: &Stack, workers: &Workers, facts: &Facts) -> Vec<Node> {
    let object =
        |name: &str, key: String, sha256: String, source: Option<String>, content: Option<String>, kind: &str| {
            let address = Address::new("s3/object", name);
            let inputs = ObjectInputs {
                bucket: lake::name(stack),
                key,
                sha256,
                source,
                content,
                content_type: kind.to_owned(),
                tags: object_tags(stack, &address),
            };
            node(stack, address, &inputs, BTreeSet::new(), workers.place)
        };
    let program = &facts.program;
    let agent = serde_json::to_string(&deployed(facts)).expect("two texts have a JSON form");
    let mut objects = vec![
        object(
            "program",
            deployed(facts).key,
            program.packed_sha256.clone(),
            Some(program.packed.display().to_string()),
            None,
            "application/gzip",
        ),
        object(
            "agent",
            keys::AGENT.to_owned(),
            hex::encode(Sha256::digest(&agent)),
            None,
            Some(agent.clone()),
            "application/json",
        ),
    ];
    // What the agent runs as has to be there before the agent hears of it.
    if let Some(agent) = objects.last_mut() {
        agent.after.push(Address::new("s3/object", "program"));
    }
    if let (Some(emulator), Some(source)) = (&workers.emulator, &facts.source) {
        let (key, path) = (keys::source(&source.sha256), source.path.display().to_string());
        let mut node = object("source", key, source.sha256.clone(), Some(path), None, "application/vnd.sqlite3");
        node.secrets.extend(emulator.source.from_env.then(|| "source".to_owned()));
        objects.push(node);
    }
    objects
}

fn deployed(facts: &Facts) -> Program {
    let sha256 = facts.program.sha256.clone();
    Program { key: keys::program(&sha256), sha256 }
}

fn emulator_process(stack: &Stack, emulator: &Emulator, place: &Place, facts: &Facts) -> Node {
    let source = match (emulator.source.get(), &facts.source) {
        (EventSource::Sample, _) => {
            Source::Sample { rows: *emulator.rows.get(), seed: u64::from(*emulator.seed.get()) }
        }
        (EventSource::MySql(url), _) => Source::Mysql { url: url.clone() },
        (EventSource::Sqlite(_), source) => {
            let sha256 = source.as_ref().map(|source| source.sha256.clone()).unwrap_or_default();
            Source::Sqlite { bucket: names::bucket(stack, place), key: keys::source(&sha256), sha256 }
        }
    };
    let sample_has = |table: &&Table| {
        *emulator.source.get() != EventSource::Sample || SOURCE_TABLES.iter().any(|(name, _)| *name == *table.name)
    };
    let paths = *emulator.paths.get();
    let (streams, gateway) = (stack.streams.is_some(), stack.workers.as_ref().is_some_and(|w| w.gateway.is_some()));
    let emulated = stack.tables.iter().filter(sample_has).map(|table| EmulatedTable {
        name: table.name.value.clone(),
        key: table.key.value.clone(),
        source: source_table(&table.name).to_owned(),
        stream: (streams && paths != Paths::Kafka).then(|| names::stream(stack, &table.name)),
        topic: (gateway && paths != Paths::Kinesis).then(|| names::topic(stack, &table.name)),
    });
    let auth = match stack.api.as_ref().map(|api| api.auth.get()) {
        // The id stands in for the reference below: the worker's type knows texts only.
        Some(spec::ApiAuth::Key) => ApiAuth::Key { id: String::new() },
        Some(spec::ApiAuth::Iam) => ApiAuth::Iam,
        Some(spec::ApiAuth::None) | None => ApiAuth::None,
    };
    let keyed = matches!(auth, ApiAuth::Key { .. });
    let config = EmulatorConfig {
        source,
        tables: emulated.collect(),
        rate: f64::from(*emulator.rate.get()),
        burst: *emulator.burst.get(),
        ramp_seconds: *emulator.ramp.get(),
        count: emulator.count.as_ref().map(|count| u64::from(*count.get())),
        seed: u64::from(*emulator.seed.get()),
        concurrency: CONCURRENCY,
        api: ApiTarget { url: String::new(), auth, region: place.region.clone() },
        port: port(emulator.port.as_ref()),
    };
    let mut config = serde_json::to_value(config).expect("a config has a JSON form");
    let refer = |address: Address, output: &str| json!(Input::<String>::output(address, output));
    config["api"]["url"] = refer(super::api::stage_address(), "invoke_url");
    if keyed {
        config["api"]["auth"]["key"]["id"] = refer(super::api::key_address(), "id");
    }
    let mut secrets = BTreeSet::new();
    // A URL may hold a password wherever it was written.
    let source_is_secret = matches!(emulator.source.get(), EventSource::MySql(_)) || emulator.source.from_env;
    secrets.extend(source_is_secret.then(|| "config.source".to_owned()));
    let auth_from_env = stack.api.as_ref().is_some_and(|api| api.auth.from_env);
    let from_env = [
        (auth_from_env, "api.auth"),
        (emulator.paths.from_env, "tables"),
        (emulator.rate.from_env, "rate"),
        (emulator.burst.from_env, "burst"),
        (emulator.ramp.from_env, "ramp_seconds"),
        (emulator.count.as_ref().is_some_and(|count| count.from_env), "count"),
        (emulator.seed.from_env, "seed"),
        (emulator.port.as_ref().is_some_and(|port| port.from_env), "port"),
    ];
    secrets.extend(from_env.iter().filter(|(from_env, _)| *from_env).map(|(_, field)| format!("config.{field}")));
    let mut node = process(stack, "emulator", config, secrets, place, facts, emulator.place);
    // The key is good for nothing before its plan has the stage.
    if keyed {
        node.after.push(super::api::usage_plan_address());
    }
    if stack.api.as_ref().is_some_and(|api| *api.auth.get() == spec::ApiAuth::Iam) {
        node.after.push(emulator_policy_address());
    }
    // A topic that is not there refuses for good.
    if gateway {
        node.after.extend(stack.tables.iter().map(|table| topic_address(&table.name)));
        node.after.push(address("gateway"));
    }
    if facts.source.is_some() {
        node.after.push(Address::new("s3/object", "source"));
    }
    node
}

fn gateway_process(stack: &Stack, gateway: &Gateway, place: &Place, facts: &Facts) -> Node {
    let config = GatewayConfig {
        region: place.region.clone(),
        bootstrap: String::new(),
        security: KafkaSecurity::Iam,
        port: u16::try_from(*gateway.port.get()).unwrap_or_default(),
        secret: Some(facts.gateway_secret.clone()),
        topics: stack.tables.iter().map(|table| (names::topic(stack, &table.name), table.name.value.clone())).collect(),
        group: stack.connector.is_some().then(|| names::group(stack)),
        report_port: None,
    };
    let mut config = serde_json::to_value(config).expect("a config has a JSON form");
    config["bootstrap"] = json!(Brokers::of(stack, facts).bootstrap());
    let mut secrets = BTreeSet::from(["config.secret".to_owned()]);
    secrets.extend(gateway.port.from_env.then(|| "config.port".to_owned()));
    let mut node = process(stack, "gateway", config, secrets, place, facts, gateway.place);
    node.after.push(gateway_policy_address());
    node.after.extend(stack.tables.iter().map(|table| topic_address(&table.name)));
    node
}

fn cleaner_process(stack: &Stack, cleaner: &Cleaner, place: &Place, facts: &Facts) -> Node {
    let cleaned = stack.tables.iter().map(|table| CleanedTable {
        name: table.name.value.clone(),
        key: table.key.value.clone(),
        stream: stack.streams.is_some().then(|| names::stream(stack, &table.name)),
        topic: stack.connector.is_some().then(|| names::topic(stack, &table.name)),
        sql: facts.cleaning.get(&table.name.value).cloned().unwrap_or_default(),
    });
    let config = CleanerConfig {
        bucket: names::bucket(stack, place),
        region: place.region.clone(),
        tables: cleaned.collect(),
        streaming: *cleaner.streaming.get(),
        schedule: cleaner.schedule.as_ref().map(|schedule| schedule.get().clone()),
        commit_ms: *cleaner.commit_ms.get(),
        commit_records: COMMIT_RECORDS,
        port: port(cleaner.port.as_ref()),
    };
    let config = serde_json::to_value(config).expect("a config has a JSON form");
    let mut secrets = BTreeSet::new();
    let from_env = [
        (cleaner.streaming.from_env, "streaming"),
        (cleaner.commit_ms.from_env, "commit_ms"),
        (cleaner.schedule.as_ref().is_some_and(|schedule| schedule.from_env), "schedule"),
        (cleaner.port.as_ref().is_some_and(|port| port.from_env), "port"),
    ];
    secrets.extend(from_env.iter().filter(|(from_env, _)| *from_env).map(|(_, field)| format!("config.{field}")));
    let mut node = process(stack, "cleaner", config, secrets, place, facts, cleaner.place);
    if stack.streams.is_some() {
        node.after.extend(stack.tables.iter().map(|table| Address::new("kinesis/stream", table.name.value.clone())));
    }
    node
}

fn process(
    stack: &Stack,
    name: &str,
    config: Value,
    secrets: BTreeSet<String>,
    place: &Place,
    facts: &Facts,
    declared: spec::Place,
) -> Node {
    let inputs = ProcessInputs {
        bucket: Input::Known(names::bucket(stack, place)),
        name: name.to_owned(),
        worker: name.to_owned(),
        program_key: Input::output(Address::new("s3/object", "program"), "key"),
        program_sha256: facts.program.sha256.clone(),
        config,
        instance: Input::output(client::instance_address(), "id"),
        tags: object_tags(stack, &address(name)),
    };
    let mut node = node(stack, address(name), &inputs, secrets, declared);
    node.after = vec![Address::new("iam/role_policy", "client")];
    node
}

/// Objects say whose they are, in their metadata, which has little room; the stack's tags are on their bucket.
fn object_tags(stack: &Stack, address: &Address) -> Tags {
    ownership(&stack.name, address, &Tags::new())
}

/// The address of a worker.
fn address(name: &str) -> Address {
    Address::new("worker/process", name)
}

/// The table of the source that has a table's rows: the built-in ones by the names they have there, others by their own.
fn source_table(table: &str) -> &str {
    SOURCE_TABLES.iter().find(|(name, _)| *name == table).map_or(table, |(_, source)| source)
}

fn port(port: Option<&spec::Value<u32>>) -> Option<u16> {
    port.and_then(|port| u16::try_from(*port.get()).ok())
}
