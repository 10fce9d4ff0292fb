//! What is told of a topic.

use std::collections::BTreeMap;

use uuid::Uuid;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id: another one when it was deleted and made again.
    pub id: Uuid,
    /// Only what was set on the topic itself.
    pub configs: BTreeMap<String, String>,
    /// In the order of their ids.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Counts from 0.
    pub id: i32,
    /// The node that answers for it.
    pub leader: i32,
    /// The nodes that hold it, the leader first; all are in sync.
    pub replicas: Vec<i32>,
    /// The offset of the oldest record.
    pub start: i64,
    /// The offset that the next record gets.
    pub end: i64,
}
