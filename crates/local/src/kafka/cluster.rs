//! One cluster: its nodes, its topics, and what this process does with them without a client.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kafka_protocol::ResponseError;
use tokio::sync::watch;

use super::error::{KafkaError, Refused};
use super::record::{NewRecord, Record};
use super::topic::TopicInfo;

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// `arn:aws:kafka:<region>:<account>:cluster/<name>/<uuid>`.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The last part of its ARN; names its folder.
    pub uuid: String,
    /// Where it is, for policies and tokens.
    pub region: String,
    /// Whose it is.
    pub account: String,
    /// How many brokers.
    pub nodes: u32,
    /// Server properties of its configuration.
    pub properties: BTreeMap<String, String>,
    /// What it was made with, such as `3.6.0`.
    pub kafka_version: String,
}

/// A broker of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Counts from 1.
    pub id: i32,
    /// Without encryption or authentication; loopback only.
    pub plaintext: SocketAddr,
    /// TLS with SASL/OAUTHBEARER (MSK IAM).
    pub iam: SocketAddr,
}

/// A cluster that is open.
pub struct Cluster {
    spec: ClusterSpec,
    ends: watch::Sender<u64>,
}

impl Cluster {
    /// What it is made of now.
    pub fn spec(&self) -> ClusterSpec {
        self.spec.clone()
    }

    /// Its brokers and where they listen.
    pub fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    /// Adds brokers. Fewer than there are is refused where topics are on those that would go.
    pub async fn resize(&self, nodes: u32) -> Result<(), KafkaError> {
        let _ = nodes;
        Err(KafkaError::Invalid("brokers are not there yet".to_owned()))
    }

    /// Sets the server properties and the version.
    pub fn configure(&self, properties: BTreeMap<String, String>, kafka_version: String) -> Result<(), KafkaError> {
        let _ = (properties, kafka_version);
        Err(KafkaError::Invalid("brokers are not there yet".to_owned()))
    }

    /// All topics, in the order of their names.
    pub fn topics(&self) -> Vec<TopicInfo> {
        Vec::new()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<TopicInfo> {
        let _ = name;
        None
    }

    /// Makes a topic; -1 partitions or replicas are the cluster's default.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &BTreeMap<String, String>,
    ) -> Result<TopicInfo, Refused> {
        let _ = (name, partitions, replication, configs);
        Err(absent())
    }

    /// Deletes a topic and its records.
    pub fn delete_topic(&self, name: &str) -> Result<(), Refused> {
        let _ = name;
        Err(absent())
    }

    /// Makes a topic have `count` partitions, more than it has.
    pub fn add_partitions(&self, name: &str, count: i32) -> Result<(), Refused> {
        let _ = (name, count);
        Err(absent())
    }

    /// Replaces all configs of a topic.
    pub fn configure_topic(&self, name: &str, configs: &BTreeMap<String, String>) -> Result<(), Refused> {
        let _ = (name, configs);
        Err(absent())
    }

    /// Records from an offset on, until they are about `max_bytes` (one at least, if there is one). Empty at the end of
    /// the partition; `OFFSET_OUT_OF_RANGE` before its start or behind its end.
    pub fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Vec<Record>, Refused> {
        let _ = (topic, partition, from, max_bytes);
        Err(absent())
    }

    /// Appends records as one batch and returns the offset of the first. Without a partition, the key of the first record
    /// decides, as Java's default partitioner does; without a key any partition may be taken.
    pub fn append(&self, topic: &str, partition: Option<i32>, records: &[NewRecord]) -> Result<i64, Refused> {
        let _ = (topic, partition, records);
        Err(absent())
    }

    /// Changes whenever any partition grows or topics change.
    pub fn ends(&self) -> watch::Receiver<u64> {
        self.ends.subscribe()
    }

    /// What a group has committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let _ = (group, topic, partition);
        None
    }

    /// Commits offsets of a group: `(topic, partition, the next offset to read)`. Durable when it returns.
    pub fn commit(&self, group: &str, offsets: &[(String, i32, i64)]) -> Result<(), Refused> {
        let _ = (group, offsets);
        Err(absent())
    }

    /// Shows a member of a group that lives in this process, with the partitions that it reads, until it is dropped.
    pub fn attend(&self, group: &str, client_id: &str, assignment: &[(String, i32)]) -> Attendance {
        let _ = (group, client_id, assignment);
        Attendance { _private: () }
    }
}

fn absent() -> Refused {
    Refused::new(ResponseError::BrokerNotAvailable, "brokers are not there yet")
}

/// A member of a group in this process; dropped, it has left.
#[derive(Debug)]
pub struct Attendance {
    _private: (),
}
