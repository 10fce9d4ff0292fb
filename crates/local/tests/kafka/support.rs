//! A cluster in a folder of its own, and clients of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::kafka::{Cluster, ClusterSpec, Gate, Kafka, Principal};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::Instant;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const ARN: &str = "arn:aws:kafka:us-east-1:000000000000:cluster/test/0c5e1c2b-1";

/// Lets in whoever has the token `token`, and allows what was put into the set, as `action resource`.
#[derive(Default)]
pub(crate) struct TestGate {
    pub(crate) allowed: Mutex<BTreeSet<String>>,
}

impl Gate for TestGate {
    fn connect(&self, token: &str, region: &str) -> Result<Principal, String> {
        if token != "token" || region != "us-east-1" {
            return Err("the signature is wrong".to_owned());
        }
        let expires_millis = Clock::default().now_millis() + 600_000;
        Ok(Principal { arn: "arn:aws:sts::000000000000:assumed-role/r/s".to_owned(), expires_millis })
    }

    fn may(&self, _principal_arn: &str, action: &str, resource_arn: &str) -> Result<(), String> {
        let asked = format!("{action} {resource_arn}");
        if self.allowed.lock().unwrap().contains(&asked) { Ok(()) } else { Err(format!("no policy allows {asked}")) }
    }
}

pub(crate) struct Brokers {
    pub(crate) kafka: Kafka,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<TestGate>,
    pub(crate) folder: tempfile::TempDir,
}

impl Brokers {
    pub(crate) async fn start(nodes: u32) -> Brokers {
        Brokers::with(nodes, &[]).await
    }

    pub(crate) async fn with(nodes: u32, properties: &[(&str, &str)]) -> Brokers {
        Brokers::open(tempfile::tempdir().unwrap(), nodes, properties).await
    }

    async fn open(folder: tempfile::TempDir, nodes: u32, properties: &[(&str, &str)]) -> Brokers {
        let clock = Clock::default();
        let gate = Arc::new(TestGate::default());
        let kafka = open(folder.path(), clock.clone(), Arc::clone(&gate) as Arc<dyn Gate>);
        let cluster = kafka.open_cluster(spec(nodes, properties)).await.unwrap();
        Brokers { kafka, cluster, clock, gate, folder }
    }

    /// What another process finds after this one was killed: the files as they are now.
    pub(crate) async fn after_a_kill(&self) -> Brokers {
        let folder = tempfile::tempdir().unwrap();
        copy(&self.folder.path().join("kafka"), &folder.path().join("kafka"));
        Brokers::open(folder, self.cluster.spec().nodes, &[]).await
    }

    pub(crate) fn bootstrap(&self) -> String {
        let nodes = self.cluster.nodes();
        nodes.iter().map(|node| node.plaintext.to_string()).collect::<Vec<String>>().join(",")
    }

    pub(crate) fn client(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap()).set("log_level", "3");
        for (name, value) in more {
            config.set(*name, *value);
        }
        config
    }

    pub(crate) fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.cluster.create_topic(name, partitions, -1, &map(configs)).unwrap();
    }

    /// A consumer that reads one partition from an offset on.
    pub(crate) fn reader(&self, topic: &str, partition: i32, offset: i64) -> BaseConsumer {
        let consumer: BaseConsumer =
            self.client(&[("group.id", "unused"), ("enable.auto.commit", "false")]).create().unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        consumer.assign(&list).unwrap();
        consumer
    }
}

pub(crate) fn open(folder: &Path, clock: Clock, gate: Arc<dyn Gate>) -> Kafka {
    Kafka::open(folder, clock, &Settings::new(folder), gate).unwrap()
}

pub(crate) fn spec(nodes: u32, properties: &[(&str, &str)]) -> ClusterSpec {
    ClusterSpec {
        arn: ARN.to_owned(),
        name: "test".to_owned(),
        uuid: "0c5e1c2b-1".to_owned(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        nodes,
        properties: map(properties),
        kafka_version: "3.6.0".to_owned(),
    }
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Sends values with their numbers as keys and waits for all.
pub(crate) async fn send(producer: &FutureProducer, topic: &str, values: &[String]) {
    let sent = values.iter().enumerate().map(|(number, value)| async move {
        let key = number.to_string();
        producer.send(FutureRecord::to(topic).key(&key).payload(value), PATIENCE).await.unwrap();
    });
    futures::future::join_all(sent).await;
}

/// Reads so many values.
pub(crate) fn read(consumer: &BaseConsumer, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = next(consumer);
        found.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
    }
    found
}

pub(crate) fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    match consumer.poll(PATIENCE) {
        Some(Ok(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
