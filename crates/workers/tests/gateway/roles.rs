//! The local cloud's brokers, reached as on AWS: over TLS, with a token of a role.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::kafka::{Cluster, ClusterSpec, Gate, Kafka, Principal};
use pinfra_workers::config::KafkaSecurity;
use serde_json::json;

use crate::world::{Gateway, JSON, config};

const ROLE: &str = "arn:aws:sts::000000000000:assumed-role/s-client/i-1";

/// Lets a role do anything, and remembers what it did.
#[derive(Default)]
struct Open {
    done: Mutex<BTreeSet<String>>,
}

impl Gate for Open {
    fn connect(&self, token: &str, _: &str) -> Result<Principal, String> {
        assert!(!token.is_empty());
        Ok(Principal { arn: ROLE.to_owned(), expires_millis: i64::MAX })
    }

    fn may(&self, _: &str, action: &str, resource: &str) -> Result<(), String> {
        let kind = resource.split(':').nth(5).unwrap_or_default().split('/').next().unwrap_or_default();
        self.done.lock().unwrap().insert(format!("{action} {kind}"));
        Ok(())
    }
}

/// A cluster of three brokers in `folder`, and the topic if it is not there.
async fn open(folder: &Path, gate: &Arc<Open>) -> (Kafka, Arc<Cluster>) {
    let kafka = Kafka::open(folder, Clock::default(), &Settings::new(folder), gate.clone()).unwrap();
    let spec = ClusterSpec {
        arn: "arn:aws:kafka:us-east-1:000000000000:cluster/s/6a0c-1".to_owned(),
        name: "s".to_owned(),
        uuid: "6a0c-1".to_owned(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        nodes: 3,
        properties: BTreeMap::new(),
        kafka_version: "3.6.0".to_owned(),
    };
    let cluster = kafka.open_cluster(spec).await.unwrap();
    if cluster.topic("s.pin").is_none() {
        let configs = BTreeMap::from([("retention.ms".to_owned(), "7200000".to_owned())]);
        cluster.create_topic("s.pin", 2, 3, &configs).unwrap();
    }
    (kafka, cluster)
}

async fn gateway(cluster: &Cluster, authority: PathBuf) -> Gateway {
    let servers: Vec<String> = cluster.nodes().iter().map(|node| node.iam.to_string()).collect();
    let mut config = config(&servers.join(","));
    config.security = KafkaSecurity::Iam;
    let keys = Credentials::new("AKIDEXAMPLE", "a secret", Some("a session".to_owned()), None, "test");
    let sdk = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(keys)).build();
    let gateway = Gateway::around(config, tempfile::tempdir().unwrap(), sdk, Some(authority)).await;
    gateway.until("healthy", |report| report.healthy).await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn records_topics_and_offsets_go_through_the_role() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Open::default());
    let (kafka, cluster) = open(folder.path(), &gate).await;
    let gateway = gateway(&cluster, folder.path().join("kafka/ca.pem")).await;
    let body = json!({"records": [{"value": {"index": 1}, "partition": 0}, {"key": "k", "value": 2, "partition": 1}]});
    let (status, answer) = gateway.post("/topics/s.pin", JSON, body.to_string()).await;
    assert_eq!((status, &answer["offsets"][1]["offset"]), (200, &json!(0)), "{answer}");
    let read = cluster.read("s.pin", 0, 0, 1 << 20).unwrap();
    assert_eq!(read[0].value.as_deref(), Some(&br#"{"index":1}"#[..]));
    let (status, topic) = gateway.get("/topics/s.pin").await;
    assert_eq!((status, &topic["name"], &topic["configs"]["retention.ms"]), (200, &json!("s.pin"), &json!("7200000")));
    assert_eq!(topic["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(gateway.get("/brokers").await.1, json!({"brokers": [1, 2, 3]}));
    cluster.commit("connect-s-s3", &[("s.pin".to_owned(), 0, 1)]).unwrap();
    let stored = |pin: &BTreeMap<String, u64>| pin.get("stored") == Some(&1) && pin.get("in_kafka") == Some(&2);
    gateway.until("stored", |report| report.counters.get("pin").is_some_and(stored)).await;
    gateway.end().await;
    kafka.stop().await;
    let wanted = [
        "kafka-cluster:DescribeGroup group",
        "kafka-cluster:DescribeTopic topic",
        "kafka-cluster:DescribeTopicDynamicConfiguration topic",
        "kafka-cluster:WriteData topic",
        "kafka-cluster:WriteDataIdempotently cluster",
    ];
    let done = gate.done.lock().unwrap();
    let missing: Vec<_> = wanted.iter().filter(|wanted| !done.contains(**wanted)).collect();
    assert!(missing.is_empty(), "not asked for: {missing:?}; asked for: {done:?}");
    let other: Vec<_> =
        done.iter().filter(|done| !wanted.contains(&done.as_str()) && !done.contains("Connect")).collect();
    assert!(other.iter().all(|other| other.starts_with("kafka-cluster:DescribeCluster")), "also asked for: {other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_brokers_went_and_came() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Open::default());
    let (mut kafka, mut cluster) = open(folder.path(), &gate).await;
    let gateway = Arc::new(gateway(&cluster, folder.path().join("kafka/ca.pem")).await);
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (gateway, over) = (gateway.clone(), over.clone());
        callers.spawn(async move {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let value = format!("{caller}-{number}");
                let body = json!({"records": [{"value": value}]}).to_string();
                if gateway.post("/topics/s.pin", JSON, body).await.0 == 200 {
                    acknowledged.push(format!("\"{value}\""));
                }
                number += 1;
            }
            acknowledged
        });
    }
    let accepted = |more: u64| {
        let before = gateway.teller.report().counters["pin"]["accepted"];
        gateway.until("going on", move |report| report.counters["pin"]["accepted"] >= before + more)
    };
    for _ in 0..3 {
        accepted(50).await;
        kafka.stop().await;
        drop((kafka, cluster));
        (kafka, cluster) = open(folder.path(), &gate).await;
    }
    accepted(50).await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut acknowledged = BTreeSet::new();
    while let Some(caller) = tokio::time::timeout(Duration::from_secs(60), callers.join_next()).await.unwrap() {
        acknowledged.extend(caller.unwrap());
    }
    let mut there = BTreeSet::new();
    for partition in cluster.topic("s.pin").unwrap().partitions {
        let mut next = partition.start;
        while next < partition.end {
            for record in cluster.read("s.pin", partition.id, next, 1 << 20).unwrap() {
                next = record.offset + 1;
                there.insert(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    }
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty() && acknowledged.len() >= 200, "lost of {}: {lost:?}", acknowledged.len());
    kafka.stop().await;
}
