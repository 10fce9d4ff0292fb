//! The `cluster` section: MSK brokers with their configuration and who may reach them, and a topic for each table. A
//! cluster that exists gets topics, and nothing else of it is touched.

use std::collections::{BTreeMap, BTreeSet};

use pinfra_aws::ec2::security_group::{Direction, Rule, SecurityGroupInputs};
use pinfra_aws::msk::cluster::{ClusterConfiguration, ClusterInputs};
use pinfra_aws::msk::configuration::{self, ConfigurationInputs};
use pinfra_aws::msk::topic::TopicInputs;
use pinfra_engine::value::{Input, joined};
use pinfra_engine::{Address, Node};
use serde_json::Value;

use super::{Facts, names, node, tags};
use crate::spec::{Cluster, Stack, Table};

/// Where brokers take TLS with IAM from inside their VPC ("Port information", Amazon MSK developer guide).
const IAM_PORT: i32 = 9098;

/// As MSK recommends it ("Best practices for Standard brokers", Amazon MSK developer guide).
const REPLICAS: u32 = 3;

/// Where records go to, and who may touch them there: of the cluster that is made, or of the one that exists.
pub(super) struct Brokers<'a> {
    stack: &'a Stack,
    facts: &'a Facts,
}

impl<'a> Brokers<'a> {
    pub(super) fn of(stack: &'a Stack, facts: &'a Facts) -> Brokers<'a> {
        Brokers { stack, facts }
    }

    /// The ARN of the cluster.
    pub(super) fn arn(&self) -> Input<String> {
        self.tell(|arn| arn.to_owned(), "arn")
    }

    /// Where its brokers take IAM.
    pub(super) fn bootstrap(&self) -> Input<String> {
        match self.existing() {
            true => Input::Known(self.facts.cluster.clone().unwrap_or_default().bootstrap_iam),
            false => Input::output(address(), "bootstrap_iam"),
        }
    }

    /// The subnets that it is in.
    pub(super) fn subnets(&self) -> Input<Vec<String>> {
        match self.existing() {
            true => Input::Known(self.facts.cluster.clone().unwrap_or_default().subnets),
            false => Input::output(address(), "subnets"),
        }
    }

    /// The ARNs of the topics of all tables.
    pub(super) fn topic_arns(&self) -> Vec<Value> {
        self.stack.tables.iter().map(|table| self.topic_arn(&names::topic(self.stack, &table.name))).collect()
    }

    /// The ARN of the topic of that name.
    pub(super) fn topic_arn(&self, topic: &str) -> Value {
        self.below("topic", "topics_arn", topic)
    }

    /// The ARN of the consumer group of that name.
    pub(super) fn group_arn(&self, group: &str) -> Value {
        self.below("group", "groups_arn", group)
    }

    /// How many copies a topic has.
    fn replicas(&self, cluster: &Cluster) -> u32 {
        let brokers = match (self.existing(), &self.facts.cluster) {
            (true, Some(existing)) => existing.brokers,
            (true, None) => REPLICAS,
            (false, _) => *cluster.brokers.get(),
        };
        brokers.clamp(1, REPLICAS)
    }

    fn existing(&self) -> bool {
        self.stack.cluster.as_ref().is_some_and(|cluster| cluster.existing.is_some())
    }

    fn below(&self, kind: &str, output: &str, name: &str) -> Value {
        // `cluster/<name>/<uuid>` becomes `topic/<name>/<uuid>/<topic>` ("Resource types defined by Apache Kafka APIs for
        // Amazon MSK clusters", Service Authorization Reference).
        let prefix = self.tell(|arn| arn.replacen(":cluster/", &format!(":{kind}/"), 1), output);
        match prefix {
            Input::Known(prefix) => Value::String(format!("{prefix}/{name}")),
            prefix => joined([prefix, Input::Known(format!("/{name}"))]),
        }
    }

    fn tell(&self, known: impl FnOnce(&str) -> String, output: &str) -> Input<String> {
        match self.existing() {
            true => {
                Input::Known(known(self.facts.cluster.as_ref().map(|cluster| cluster.arn.as_str()).unwrap_or_default()))
            }
            false => Input::output(address(), output),
        }
    }
}

/// The address of the topic of a table.
pub(super) fn topic_address(table: &str) -> Address {
    Address::new("msk/topic", table)
}

/// The cluster with what it needs, unless one that exists is used, and the topics.
pub(super) fn nodes(stack: &Stack, cluster: &Cluster, facts: &Facts) -> Vec<Node> {
    let mut nodes = Vec::new();
    if cluster.existing.is_none() {
        let configured = configuration(stack, cluster);
        nodes.push(brokers(stack, cluster, configured.is_some()));
        nodes.push(group(stack, cluster));
        nodes.extend(configured);
    }
    let brokers = Brokers::of(stack, facts);
    nodes.extend(stack.tables.iter().map(|table| topic(stack, cluster, table, &brokers)));
    nodes
}

fn address() -> Address {
    Address::new("msk/cluster", "cluster")
}

fn group_address() -> Address {
    Address::new("ec2/security_group", "cluster")
}

fn configuration_address() -> Address {
    Address::new("msk/configuration", "cluster")
}

/// What standard brokers are told. Express brokers have these as they are, and refuse to be told ("Express broker
/// configurations", Amazon MSK developer guide).
fn configuration(stack: &Stack, cluster: &Cluster) -> Option<Node> {
    if cluster.instance.get().starts_with("express.") {
        return None;
    }
    let brokers = *cluster.brokers.get();
    // With two copies a third broker's loss must not stop writers; with fewer brokers one copy has to do.
    let in_sync = if brokers >= REPLICAS { 2 } else { 1 };
    let properties = [
        ("auto.create.topics.enable", "false".to_owned()),
        ("default.replication.factor", brokers.min(REPLICAS).to_string()),
        ("min.insync.replicas", in_sync.to_string()),
        ("num.partitions", cluster.partitions.get().to_string()),
    ];
    let address = configuration_address();
    let inputs = ConfigurationInputs {
        name: (*stack.name).clone(),
        // For every version: which ones it is for cannot be changed while a cluster uses it, and the cluster's can.
        kafka_versions: Vec::new(),
        properties: properties.map(|(key, value)| (key.to_owned(), value)).into(),
        description: configuration::ownership(&stack.name, &address),
    };
    let secrets = secret(&[(cluster.brokers.from_env || cluster.partitions.from_env, "properties")]);
    Some(node(stack, address, &inputs, secrets, cluster.place))
}

fn brokers(stack: &Stack, cluster: &Cluster, configured: bool) -> Node {
    let express = cluster.instance.get().starts_with("express.");
    let subnets = stack.network.as_ref().map(|network| &network.subnets).filter(|subnets| !subnets.is_empty());
    // The order in the file means nothing: MSK tells them in one of its own.
    let sorted = subnets.map(|subnets| {
        let mut subnets: Vec<String> = subnets.iter().map(|subnet| subnet.get().clone()).collect();
        subnets.sort_unstable();
        subnets
    });
    let configuration = configured.then(|| ClusterConfiguration {
        arn: Input::output(configuration_address(), "arn"),
        revision: Input::output(configuration_address(), "revision"),
    });
    let inputs = ClusterInputs {
        name: (*stack.name).clone(),
        kafka_version: cluster.kafka_version.get().clone(),
        brokers: *cluster.brokers.get(),
        instance: cluster.instance.get().clone(),
        storage_gib: (!express).then(|| *cluster.storage_gib.get()),
        subnets: sorted,
        security_groups: vec![Input::output(group_address(), "id")],
        configuration,
        monitoring: "DEFAULT".to_owned(),
        client_broker: "TLS".to_owned(),
        iam: true,
        tags: tags(stack, &address()),
    };
    let secrets = secret(&[
        (cluster.kafka_version.from_env, "kafka_version"),
        (cluster.brokers.from_env, "brokers"),
        (cluster.instance.from_env, "instance"),
        (cluster.storage_gib.from_env, "storage_gib"),
        (subnets.is_some_and(|subnets| subnets.iter().any(|subnet| subnet.from_env)), "subnets"),
    ]);
    node(stack, address(), &inputs, secrets, cluster.place)
}

/// The brokers answer to the client machine and to the connector, by IAM alone.
fn group(stack: &Stack, cluster: &Cluster) -> Node {
    let mut rules = vec![Rule::all_egress()];
    let members = [("client", stack.client.is_some()), ("connector", stack.connector.is_some())];
    rules.extend(members.iter().filter(|(_, there)| *there).map(|(member, _)| Rule {
        direction: Direction::Ingress,
        protocol: "tcp".to_owned(),
        from_port: Some(IAM_PORT),
        to_port: Some(IAM_PORT),
        peer: Input::output(Address::new("ec2/security_group", *member), "id"),
        description: format!("Kafka with IAM, from the {member}"),
    }));
    rules.sort();
    let vpc = stack.network.as_ref().map(|network| network.vpc.get().clone()).filter(|vpc| vpc != "default");
    let vpc_from_env = stack.network.as_ref().is_some_and(|network| network.vpc.from_env);
    let inputs = SecurityGroupInputs {
        name: format!("{}-cluster", *stack.name),
        description: format!("The brokers of the stack {}", *stack.name),
        vpc,
        rules,
        tags: tags(stack, &group_address()),
    };
    node(stack, group_address(), &inputs, secret(&[(vpc_from_env, "vpc")]), cluster.place)
}

fn topic(stack: &Stack, cluster: &Cluster, table: &Table, brokers: &Brokers<'_>) -> Node {
    let inputs = TopicInputs {
        cluster: brokers.arn(),
        name: names::topic(stack, &table.name),
        partitions: *cluster.partitions.get(),
        replication: brokers.replicas(cluster),
        configs: BTreeMap::new(),
    };
    let secrets = secret(&[(cluster.partitions.from_env, "partitions"), (cluster.brokers.from_env, "replication")]);
    node(stack, topic_address(&table.name), &inputs, secrets, table.name.place)
}

fn secret(fields: &[(bool, &str)]) -> BTreeSet<String> {
    fields.iter().filter(|(secret, _)| *secret).map(|(_, field)| (*field).to_owned()).collect()
}
