//! What stack files become: every allowed combination is a graph, and what came from the environment is a secret in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pinfra_engine::state::Place;
use serde_json::Value;

use super::{ExistingCluster, Facts, PluginFile, ProgramFile, SourceFile, expand};
use crate::spec::{Checks, parse};

/// Stands in the environment of every variable.
const SENTINEL: &str = "vpc-0a1b2c3d4e5f67890";

pub(super) fn graph(text: &str) -> pinfra_engine::Graph {
    graph_in("us-east-1", text)
}

fn graph_in(region: &str, text: &str) -> pinfra_engine::Graph {
    let environment = |name: &str| match name {
        "AUTH" => Some("iam".to_owned()),
        "RATE" => Some("7".to_owned()),
        "URL" => Some("mysql://reader:hunter2@db.example.org/rows".to_owned()),
        "SUBNET" => Some("subnet-0a1b2c3d4e5f67890".to_owned()),
        _ => Some(SENTINEL.to_owned()),
    };
    let stack = parse(Path::new("dev.yaml"), text.to_owned(), &environment, Checks::File);
    let stack = stack.unwrap_or_else(|problems| panic!("{problems}"));
    let place = Place { target: "local".into(), region: region.into(), account: "000000000000".into() };
    let facts = Facts {
        program: ProgramFile { sha256: "a".repeat(64), packed: PathBuf::from("p.gz"), packed_sha256: "b".repeat(64) },
        public_key: stack.client.as_ref().and(Some("ssh-ed25519 AAAA".to_owned())),
        source: text.contains("sqlite:").then(|| SourceFile { path: "rows.db".into(), sha256: "c".repeat(64) }),
        plugin: Some(PluginFile { name: "sink.zip".to_owned(), path: "sink.zip".into(), sha256: "d".repeat(64) }),
        cluster: Some(ExistingCluster {
            arn: "arn:aws:kafka:us-east-1:000000000000:cluster/pins/1-2".to_owned(),
            bootstrap_iam: "b-1:9098".to_owned(),
            subnets: vec!["subnet-1".to_owned()],
            brokers: 2,
        }),
        gateway_secret: GATEWAY_SECRET.to_owned(),
        cleaning: stack.tables.iter().map(|table| (table.name.value.clone(), "SELECT 1".to_owned())).collect(),
    };
    expand(&stack, &place, &facts).unwrap_or_else(|wrong| panic!("{wrong:?}\n{text}"))
}

/// What a run would make at random.
const GATEWAY_SECRET: &str = "a-secret-of-the-gateway";

const TABLES: &str = "tables: { pin: { key: index }, geo: { key: ind }, user: { key: ind } }";

#[test]
fn whatever_is_allowed_together_is_a_graph() {
    let parts = [
        "client: {}\nnetwork: {}",
        "client: {}\nworkers: {}\nlake: {}",
        "streams: {}\napi: {}",
        "cluster: {}",
        "cluster: { use: pins }\nlake: { use: some-bucket }\nconnector: {}",
        "cluster: { instance: express.m7g.large }\nlake: {}\nconnector: { workers: 2 }",
        "cluster: {}\nlake: {}\nclient: {}\napi: {}\nworkers: { gateway: {}, emulator: {} }",
        "cluster: {}\nlake: {}\nconnector: {}\nclient: {}\napi: {}\nstreams: {}\nworkers: { gateway: {}, emulator: { paths: kafka }, cleaner: { schedule: \"0 12 * * *\" } }",
        "streams: {}\napi: { auth: iam }\nlake: {}\nclient: {}\nworkers: { emulator: {} }",
        "cluster: {}\nlake: {}\nclient: {}\napi: { auth: iam }\nworkers: { gateway: {}, emulator: {} }",
        "streams: {}\nlake: {}\nclient: {}\nworkers: { cleaner: {} }",
        "streams: { encryption: alias/own }\napi: { auth: iam, admin: true }\nlake: {}\nclient: {}\nworkers: { emulator: {}, cleaner: {} }",
    ];
    for part in parts {
        assert!(!graph(&format!("name: dev\n{TABLES}\n{part}\n")).is_empty(), "{part}");
    }
}

#[test]
fn what_came_from_the_environment_is_a_secret_wherever_it_went() {
    let text = format!(
        "name: dev\n{TABLES}\nnetwork: {{ vpc: \"${{env:VPC}}\", subnets: [\"${{env:SUBNET}}\", subnet-0f1b2c3d4e5f67890] }}\nstreams: {{ encryption: \"alias/${{env:KEY}}\" }}\n\
         api: {{ auth: \"${{env:AUTH}}\" }}\nlake: {{}}\nclient: {{}}\nworkers:\n  emulator: {{ source: \"${{env:URL}}\", rate: \"${{env:RATE}}\" }}\n  cleaner: {{}}\n"
    );
    let graph = graph(&text);
    for node in graph.nodes() {
        let open = without(&node.inputs, &node.secrets);
        for secret in [SENTINEL, "hunter2", "subnet-0a1b2c3d4e5f67890"] {
            assert!(!open.to_string().contains(secret), "{} tells {secret}: {open}", node.address);
        }
    }
}

#[test]
fn what_the_api_shows_the_gateway_is_a_secret_wherever_it_went() {
    let graph = graph(&format!(
        "name: dev\n{TABLES}\ncluster: {{}}\nlake: {{}}\nclient: {{}}\napi: {{}}\nworkers: {{ gateway: {{}} }}\n"
    ));
    let mut holders = Vec::new();
    for node in graph.nodes() {
        assert!(
            !without(&node.inputs, &node.secrets).to_string().contains(GATEWAY_SECRET),
            "{} tells it",
            node.address
        );
        holders.extend(node.inputs.to_string().contains(GATEWAY_SECRET).then(|| node.address.to_string()));
    }
    assert_eq!(holders, ["api_gateway/stage.api", "worker/process.gateway"]);
}

#[test]
fn a_cluster_or_a_bucket_that_exists_is_none_of_ours() {
    let graph = graph(&format!(
        "name: dev\n{TABLES}\ncluster: {{ use: pins }}\nlake: {{ use: some-bucket }}\nconnector: {{}}\n"
    ));
    let kinds: BTreeSet<&str> = graph.nodes().map(|node| node.address.kind()).collect();
    for kind in ["msk/cluster", "msk/configuration", "s3/bucket"] {
        assert!(!kinds.contains(kind), "{kind}");
    }
    let texts: String = graph.nodes().map(|node| node.inputs.to_string()).collect();
    for known in ["b-1:9098", "topic/pins/1-2/dev.pin", "arn:aws:s3:::some-bucket/topics/*"] {
        assert!(texts.contains(known), "{known}");
    }
}

/// An ARN of another partition than the region's names nothing, and a policy with one is refused.
#[test]
fn every_arn_is_of_the_partition_of_the_region() {
    for (region, partition) in [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")] {
        let graph = graph_in(
            region,
            &format!(
                "name: dev\nregion: {region}\n{TABLES}\nstreams: {{}}\ncluster: {{}}\nlake: {{}}\nconnector: {{}}\nclient: {{}}\napi: {{}}\nworkers: {{ gateway: {{}}, emulator: {{}}, cleaner: {{}} }}\n"
            ),
        );
        for node in graph.nodes() {
            let inputs = node.inputs.to_string();
            assert!(!inputs.contains("arn:aws:"), "{}: {inputs}", node.address);
        }
        let bucket = graph.get(&"s3/bucket.lake".parse().unwrap()).unwrap();
        assert!(bucket.inputs["policy"].to_string().contains(&format!("arn:{partition}:s3:::")), "{}", bucket.inputs);
    }
}

#[test]
fn nothing_waits_for_the_cluster_that_can_do_without() {
    let graph = graph(&format!(
        "name: dev\n{TABLES}\nstreams: {{}}\ncluster: {{}}\nlake: {{}}\nconnector: {{}}\nclient: {{}}\napi: {{}}\nworkers: {{ gateway: {{}}, emulator: {{}}, cleaner: {{}} }}\n"
    ));
    let mut waiting = BTreeSet::new();
    let mut more = vec!["msk/cluster.cluster".parse().unwrap()];
    while let Some(address) = more.pop() {
        for node in graph.nodes().filter(|node| graph.needs(&node.address).any(|need| *need == address)) {
            if waiting.insert(node.address.to_string()) {
                more.push(node.address.clone());
            }
        }
    }
    let expected = [
        "iam/role_policy.connector",
        "iam/role_policy.gateway",
        "msk/topic.geo",
        "msk/topic.pin",
        "msk/topic.user",
        "msk_connect/connector.s3",
        "worker/process.emulator",
        "worker/process.gateway",
    ];
    assert_eq!(waiting.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// The inputs with what stands at these paths taken out.
fn without(inputs: &Value, secrets: &BTreeSet<String>) -> Value {
    let mut open = inputs.clone();
    for secret in secrets {
        let pointer = format!("/{}", secret.replace('.', "/"));
        if let Some(value) = open.pointer_mut(&pointer) {
            *value = Value::Null;
        }
    }
    open
}

#[test]
fn roles_name_what_they_may_touch() {
    let graph = graph(&format!(
        "name: dev\n{TABLES}\nstreams: {{}}\napi: {{ auth: none }}\nlake: {{}}\ncluster: {{}}\nconnector: {{}}\nclient: {{}}\nworkers: {{ emulator: {{}}, gateway: {{}}, cleaner: {{}} }}\n"
    ));
    let policies: Vec<&Value> = graph
        .nodes()
        .filter(|node| node.address.kind() == "iam/role_policy")
        .filter_map(|node| node.inputs.get("policy"))
        .collect();
    assert_eq!(policies.len(), 4);
    for policy in policies {
        let text = policy.to_string();
        assert!(!text.contains(r#""Resource":"*""#) && !text.contains(r#""Action":"*""#), "{text}");
    }
}

#[test]
fn the_order_of_subnets_means_nothing() {
    let cluster = |subnets: &str| {
        let network = format!("network: {{ vpc: vpc-0a1b2c3d4e5f67890, subnets: [{subnets}] }}");
        let graph = graph(&format!("name: dev\n{TABLES}\n{network}\ncluster: {{ brokers: 2 }}\n"));
        graph.nodes().find(|node| node.address.kind() == "msk/cluster").unwrap().inputs.to_string()
    };
    let (a, b) = ("subnet-0a1b2c3d4e5f67890", "subnet-0f1b2c3d4e5f67890");
    assert_eq!(cluster(&format!("{a}, {b}")), cluster(&format!("{b}, {a}")));
}
