//! `msk_connect/connector`: a plugin at work between a cluster and something else.

use std::collections::BTreeMap;

use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};

use crate::tags::Tags;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorInputs {
    /// Unique in account and region.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The code that it runs.
    pub plugin: PluginRef,
    /// The properties of its workers; `None` for MSK Connect's own.
    pub worker_configuration: Option<PluginRef>,
    /// The ARN of the role that it acts as.
    pub role: Input<String>,
    /// The brokers, `host:port` sorted and separated by commas.
    pub bootstrap: Input<String>,
    /// Where its workers' interfaces are, sorted.
    pub subnets: Input<Vec<String>>,
    /// Ids of the security groups of its workers' interfaces, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The version of Kafka Connect, such as `3.7.x`.
    pub version: String,
    /// The connector's own settings. Values of secrets stand in them as references to a configuration provider.
    pub configuration: BTreeMap<String, String>,
    /// The size of each worker in MCUs: 1, 2, 4 or 8.
    pub mcu: u32,
    /// How many workers, 1 to 10.
    pub workers: u32,
    /// Whether it shows the brokers who it is by IAM, over TLS.
    pub iam: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A revision of a plugin or of a worker configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    /// Its ARN.
    pub arn: Input<String>,
    /// The revision, counted from 1.
    pub revision: Input<i64>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Why it will never run, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
