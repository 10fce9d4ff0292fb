//! `msk/topic`: a topic of a cluster, made through the AWS API.

use std::collections::BTreeMap;

use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicInputs {
    /// The cluster's ARN.
    pub cluster: Input<String>,
    /// Unique in its cluster.
    pub name: String,
    /// How many partitions; they can only become more.
    pub partitions: u32,
    /// On how many brokers each partition is kept.
    pub replication: u32,
    /// Topic properties that differ from the cluster's, such as `retention.ms`.
    pub configs: BTreeMap<String, String>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicOutputs {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}
