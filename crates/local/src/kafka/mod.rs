//! A Kafka broker on loopback: any Kafka client can use it, and its data survives a kill of the process.

mod cluster;
mod error;
mod gate;
mod kafka;
mod record;
mod topic;

pub use cluster::{Attendance, Cluster, ClusterSpec, Node};
pub use error::{KafkaError, Refused};
pub use gate::{Gate, Principal};
pub use kafka::Kafka;
pub use record::{NewRecord, Record};
pub use topic::{PartitionInfo, TopicInfo};
