//! A Kafka broker on loopback: any Kafka client can use it, and its data survives a kill of the process.
//!
//! A [`Cluster`] of N brokers listens on N pairs of ports (plaintext; TLS with MSK's IAM authentication) that share one
//! state, so replicas are names alone. Requests come in at `server`, which reads frames, lets clients in and asks the
//! [`Gate`] what they may do; `requests` answers with the types of the crate `kafka-protocol`. Record batches stay as
//! producers sent them: `storage` checks their checksum, gives them offsets, and keeps them in the segment log that Kinesis
//! shards are in as well.
//!
//! * **What an answer means.** `acks` 1 and -1 are answered when the kernel has the records, and logs are synced within a
//!   second: a kill of the process loses nothing, a power cut up to a second. Kafka itself leaves syncing to the kernel.
//!   Topics and committed offsets are synced before the answer.
//! * **Idempotence.** Sequences of producers are rebuilt from the end of the log, so a retry after a restart is not written
//!   twice.
//! * **What is not there** says so: transactions, compaction, message formats before Kafka 0.11, replica assignments by hand,
//!   the consumer protocol of KIP-848.

mod certificates;
mod cluster;
mod clusters;
pub(crate) mod configs;
mod error;
mod gate;
mod groups;
mod names;
mod offsets;
mod producer_ids;
mod record;
mod requests;
mod server;
mod storage;
mod topic;

pub use cluster::{Attendance, Cluster, ClusterSpec, Node};
pub use clusters::Kafka;
pub use error::{KafkaError, Refused};
pub use gate::{Gate, Principal};
pub use record::{NewRecord, Record};
pub use topic::{PartitionInfo, TopicInfo};
