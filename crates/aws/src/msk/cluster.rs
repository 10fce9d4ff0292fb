//! `msk/cluster`: a provisioned cluster of Kafka brokers.

use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};

use crate::tags::Tags;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterInputs {
    /// Unique in account and region.
    pub name: String,
    /// Such as `3.8.x`.
    pub kafka_version: String,
    /// How many brokers, a multiple of the number of subnets.
    pub brokers: u32,
    /// The type of the brokers, such as `kafka.m7g.large` or `express.m7g.large`.
    pub instance: String,
    /// Storage of each broker in GiB; `None` for express brokers, whose storage grows by itself.
    pub storage_gib: Option<u32>,
    /// One in each zone, sorted; `None` for those of the default VPC.
    pub subnets: Option<Vec<String>>,
    /// Ids of the security groups of the brokers' interfaces, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The brokers' properties; `None` for MSK's own.
    pub configuration: Option<ClusterConfiguration>,
    /// How much CloudWatch is told: `DEFAULT`, `PER_BROKER`, `PER_TOPIC_PER_BROKER` or `PER_TOPIC_PER_PARTITION`.
    pub monitoring: String,
    /// What clients speak: `TLS`, `TLS_PLAINTEXT` or `PLAINTEXT`.
    pub client_broker: String,
    /// Whether clients show who they are by IAM.
    pub iam: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A revision of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfiguration {
    /// The configuration's ARN.
    pub arn: Input<String>,
    /// The revision, counted from 1.
    pub revision: Input<i64>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The brokers that take IAM clients, `host:port` sorted and separated by commas.
    pub bootstrap_iam: String,
    /// The brokers that take clients in plain text, where there are any.
    pub bootstrap: Option<String>,
    /// Where the brokers are, sorted.
    pub subnets: Vec<String>,
    /// The beginning of the ARNs of its topics, without the slash.
    pub topics_arn: String,
    /// The beginning of the ARNs of its consumer groups, without the slash.
    pub groups_arn: String,
    /// The beginning of the ARNs of its transactional ids, without the slash.
    pub transactional_ids_arn: String,
    /// Why it will never be usable, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
