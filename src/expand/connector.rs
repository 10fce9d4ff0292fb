//! The `connector` section: the plugin's archive, the connector that writes every topic to the lake, its role and what it
//! may do, and its way to S3.
//!
//! Records go to S3 as the bytes that they are: the connector takes nothing apart, so that a record that is no JSON neither
//! stops it nor gets lost, and is rejected by the cleaner where it can be looked at (ADR 009).

use std::collections::BTreeSet;

use pinfra_aws::ec2::security_group::{Rule, SecurityGroupInputs};
use pinfra_aws::ec2::vpc_endpoint::VpcEndpointInputs;
use pinfra_aws::iam::role::RoleInputs;
use pinfra_aws::iam::role_policy::RolePolicyInputs;
use pinfra_aws::msk_connect::connector::{ConnectorInputs, PluginRef};
use pinfra_aws::msk_connect::plugin::PluginInputs;
use pinfra_aws::msk_connect::worker_configuration::WorkerConfigurationInputs;
use pinfra_aws::policy::{allow, normalise_policy, service_trust};
use pinfra_aws::s3::object::ObjectInputs;
use pinfra_aws::tags::{Tags, ownership};
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Node};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::cluster::{Brokers, topic_address};
use super::{Facts, lake, names, node, tags};
use crate::spec::{Connector, Stack};

/// The version of Kafka Connect that MSK Connect recommends ("Understand connectors", Amazon MSK Connect guide).
const VERSION: &str = "3.7.x";

/// What every connector on these workers does with records unless it says otherwise: nothing.
///
/// Offsets are committed soon after the objects are stored: what a crash leaves stored and not committed is written again,
/// and within a minute (Kafka Connect's default) that can be several objects.
const WORKER: &str = "key.converter=org.apache.kafka.connect.storage.StringConverter\n\
                      value.converter=org.apache.kafka.connect.converters.ByteArrayConverter\n\
                      offset.flush.interval.ms=5000\n";

/// The folder of raw events in the lake. A connector that is made again stores below `generation=<n>/` in it.
const TOPICS: &str = "topics";

/// The connector, and all that it needs.
pub(super) fn nodes(stack: &Stack, connector: &Connector, place: &Place, facts: &Facts) -> Vec<Node> {
    vec![
        archive(stack, connector, facts),
        plugin(stack, connector, facts),
        worker_configuration(stack, connector),
        role(stack, connector, place),
        policy(stack, connector, place, facts),
        group(stack, connector),
        way_to_s3(stack, connector),
        sink(stack, connector, place, facts),
    ]
}

fn role_address() -> Address {
    Address::new("iam/role", "connector")
}

fn policy_address() -> Address {
    Address::new("iam/role_policy", "connector")
}

fn group_address() -> Address {
    Address::new("ec2/security_group", "connector")
}

/// What never changes has the hash of its content in its address: other content is another resource beside it, to which the
/// connector moves before the old one goes (ADR 011).
fn of_content(kind: &str, name: &str, sha256: &str) -> Address {
    match short(sha256) {
        "" => Address::new(kind, name),
        hash => Address::new(kind, format!("{name}.{hash}")),
    }
}

fn archive_address(facts: &Facts) -> Address {
    of_content("s3/object", "plugin", plugin_hash(facts))
}

fn plugin_address(facts: &Facts) -> Address {
    of_content("msk_connect/plugin", "s3", plugin_hash(facts))
}

fn worker_address() -> Address {
    of_content("msk_connect/worker_configuration", "s3", &worker_hash())
}

fn plugin_hash(facts: &Facts) -> &str {
    facts.plugin.as_ref().map_or("", |plugin| &plugin.sha256)
}

fn worker_hash() -> String {
    hex::encode(Sha256::digest(WORKER))
}

fn endpoint_address() -> Address {
    Address::new("ec2/vpc_endpoint", "s3")
}

/// The archive's key: another archive is another object, so that the plugin that is in use keeps its own.
fn archive_key(facts: &Facts) -> String {
    let (hash, name) = facts.plugin.as_ref().map_or(("", ""), |plugin| (&plugin.sha256, &plugin.name));
    format!("_pinfra/plugins/{}/{name}", &hash[..hash.len().min(16)])
}

fn archive(stack: &Stack, connector: &Connector, facts: &Facts) -> Node {
    let address = archive_address(facts);
    let plugin = facts.plugin.as_ref();
    let inputs = ObjectInputs {
        bucket: lake::name(stack),
        key: archive_key(facts),
        sha256: plugin.map(|plugin| plugin.sha256.clone()).unwrap_or_default(),
        source: plugin.map(|plugin| plugin.path.display().to_string()),
        content: None,
        content_type: "application/zip".to_owned(),
        tags: ownership(&stack.name, &address, &Tags::new()),
    };
    let from_env = connector.plugin.as_ref().is_some_and(|plugin| plugin.from_env);
    let secrets = if from_env { ["source".to_owned(), "key".to_owned()].into() } else { BTreeSet::new() };
    node(stack, address, &inputs, secrets, connector.place)
}

/// A plugin cannot be changed, so its name holds what it is made of.
fn plugin(stack: &Stack, connector: &Connector, facts: &Facts) -> Node {
    let (sha256, name) = facts.plugin.as_ref().map_or(("", ""), |plugin| (&plugin.sha256, &plugin.name));
    let jar = name.to_ascii_lowercase().ends_with(".jar");
    let inputs = PluginInputs {
        name: format!("{}-s3-{}", *stack.name, short(sha256)),
        bucket: lake::name(stack),
        key: Input::output(archive_address(facts), "key"),
        content_type: if jar { "JAR" } else { "ZIP" }.to_owned(),
        description: format!("The S3 sink of the stack {}", *stack.name),
        tags: tags(stack, &plugin_address(facts)),
    };
    node(stack, plugin_address(facts), &inputs, BTreeSet::new(), connector.place)
}

fn worker_configuration(stack: &Stack, connector: &Connector) -> Node {
    let inputs = WorkerConfigurationInputs {
        name: format!("{}-{}", *stack.name, short(&worker_hash())),
        properties: WORKER.to_owned(),
        description: format!("The workers of the connector of the stack {}", *stack.name),
        tags: tags(stack, &worker_address()),
    };
    node(stack, worker_address(), &inputs, BTreeSet::new(), connector.place)
}

fn role(stack: &Stack, connector: &Connector, place: &Place) -> Node {
    let inputs = RoleInputs {
        name: names::role(stack, "connector", place),
        path: names::iam_path(stack),
        description: Some(format!("The connector of the stack {}", *stack.name)),
        trust: normalise_policy(&service_trust("kafkaconnect.amazonaws.com")),
        max_session_seconds: 3600,
        tags: tags(stack, &role_address()),
    };
    node(stack, role_address(), &inputs, BTreeSet::new(), connector.place)
}

/// It reads the topics of the stack, keeps its place in them, and writes below `topics/`. The names of the topics and groups
/// of its workers are MSK Connect's ("IAM roles and policies for MSK Connect", Amazon MSK Connect guide).
fn policy(stack: &Stack, connector: &Connector, place: &Place, facts: &Facts) -> Node {
    let brokers = Brokers::of(stack, facts);
    let mut statements = vec![json!({
        "Effect": "Allow", "Action": ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"], "Resource": brokers.arn(),
    })];
    let of_topics = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"];
    statements.push(json!({"Effect": "Allow", "Action": of_topics, "Resource": brokers.topic_arns()}));
    let of_groups = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"];
    let groups = [&names::group(stack), "__amazon_msk_connect_*"].map(|group| brokers.group_arn(group));
    statements.push(json!({"Effect": "Allow", "Action": of_groups, "Resource": groups}));
    statements.push(json!({
        "Effect": "Allow",
        "Action": [
            "kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:WriteData",
        ],
        "Resource": brokers.topic_arn("__amazon_msk_connect_*"),
    }));
    let partition = pinfra_aws::clients::partition(&place.region);
    let bucket = format!("arn:{partition}:s3:::{}", names::bucket(stack, place));
    // "Permissions" of the Amazon S3 sink connector (Confluent documentation).
    let of_bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"];
    let of_objects = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"];
    statements.push(json!({"Effect": "Allow", "Action": of_bucket, "Resource": bucket}));
    statements.push(json!({"Effect": "Allow", "Action": of_objects, "Resource": format!("{bucket}/{TOPICS}/*")}));
    let inputs = RolePolicyInputs {
        role: Input::output(role_address(), "name"),
        name: "sink".to_owned(),
        policy: allow(&statements),
    };
    node(stack, policy_address(), &inputs, BTreeSet::new(), connector.place)
}

fn group(stack: &Stack, connector: &Connector) -> Node {
    let vpc = stack.network.as_ref().map(|network| network.vpc.get().clone()).filter(|vpc| vpc != "default");
    let vpc_from_env = stack.network.as_ref().is_some_and(|network| network.vpc.from_env);
    let inputs = SecurityGroupInputs {
        name: format!("{}-connector", *stack.name),
        description: format!("The connector of the stack {}", *stack.name),
        vpc,
        rules: vec![Rule::all_egress()],
        tags: tags(stack, &group_address()),
    };
    let secrets = vpc_from_env.then(|| "vpc".to_owned()).into_iter().collect();
    node(stack, group_address(), &inputs, secrets, connector.place)
}

/// Connectors have no public addresses: from a default VPC they reach S3 by an endpoint or not at all.
fn way_to_s3(stack: &Stack, connector: &Connector) -> Node {
    let vpc = stack.network.as_ref().map(|network| network.vpc.get().clone()).filter(|vpc| vpc != "default");
    let vpc_from_env = stack.network.as_ref().is_some_and(|network| network.vpc.from_env);
    let inputs = VpcEndpointInputs { vpc, service: "s3".to_owned(), tags: tags(stack, &endpoint_address()) };
    let secrets = vpc_from_env.then(|| "vpc".to_owned()).into_iter().collect();
    node(stack, endpoint_address(), &inputs, secrets, connector.place)
}

fn sink(stack: &Stack, connector: &Connector, place: &Place, facts: &Facts) -> Node {
    let address = Address::new("msk_connect/connector", "s3");
    let brokers = Brokers::of(stack, facts);
    let topics = stack
        .tables
        .iter()
        .map(|table| (names::topic(stack, &table.name), Input::output(topic_address(&table.name), "name")));
    let rotate_ms = u64::from(*connector.rotate_seconds.get()) * 1000;
    let configuration = [
        ("connector.class", "io.confluent.connect.s3.S3SinkConnector".to_owned()),
        ("tasks.max", tasks(stack, connector).to_string()),
        ("s3.region", place.region.clone()),
        ("s3.bucket.name", names::bucket(stack, place)),
        ("topics.dir", TOPICS.to_owned()),
        ("storage.class", "io.confluent.connect.s3.storage.S3Storage".to_owned()),
        ("format.class", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat".to_owned()),
        ("format.bytearray.extension", ".json".to_owned()),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.DefaultPartitioner".to_owned()),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
        ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter".to_owned()),
        ("flush.size", connector.flush_size.get().to_string()),
        // By the clock and not by the records' times, so that the last ones of a quiet hour do not wait for the next.
        ("rotate.schedule.interval.ms", rotate_ms.to_string()),
        ("timezone", "UTC".to_owned()),
        // A record without a value deletes a key of a table that has none.
        ("behavior.on.null.values", "ignore".to_owned()),
    ];
    let inputs = ConnectorInputs {
        name: names::connector(stack),
        description: format!("Writes the topics of the stack {} to its lake", *stack.name),
        plugin: PluginRef {
            arn: Input::output(plugin_address(facts), "arn"),
            revision: Input::output(plugin_address(facts), "revision"),
        },
        worker_configuration: Some(PluginRef {
            arn: Input::output(worker_address(), "arn"),
            revision: Input::output(worker_address(), "revision"),
        }),
        role: Input::output(role_address(), "arn"),
        bootstrap: brokers.bootstrap(),
        subnets: brokers.subnets(),
        security_groups: vec![Input::output(group_address(), "id")],
        version: VERSION.to_owned(),
        topics: topics.collect(),
        configuration: configuration.map(|(key, value)| (key.to_owned(), value)).into(),
        mcu: *connector.mcu.get(),
        workers: *connector.workers.get(),
        iam: true,
        tags: tags(stack, &address),
    };
    let mut secrets = BTreeSet::new();
    secrets.extend(connector.mcu.from_env.then(|| "mcu".to_owned()));
    secrets.extend(connector.workers.from_env.then(|| "workers".to_owned()));
    secrets.extend(connector.flush_size.from_env.then(|| "configuration.flush.size".to_owned()));
    let rotate = "configuration.rotate.schedule.interval.ms".to_owned();
    secrets.extend(connector.rotate_seconds.from_env.then_some(rotate));
    let mut node = node(stack, address, &inputs, secrets, connector.place);
    node.after = vec![policy_address(), endpoint_address()];
    node
}

/// One task a partition at most, and two a unit of a worker: more would wait for each other ("tasks.max", Apache Kafka
/// Connect documentation).
fn tasks(stack: &Stack, connector: &Connector) -> u32 {
    let partitions = stack.cluster.as_ref().map_or(1, |cluster| *cluster.partitions.get());
    let tables = u32::try_from(stack.tables.len()).unwrap_or(u32::MAX);
    let most = connector.mcu.get().saturating_mul(*connector.workers.get()).saturating_mul(2);
    partitions.saturating_mul(tables).clamp(1, most.max(1))
}

fn short(sha256: &str) -> &str {
    &sha256[..sha256.len().min(8)]
}
