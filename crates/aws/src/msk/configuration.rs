//! `msk/configuration`: broker properties that a cluster uses.

use std::collections::BTreeMap;

use pinfra_engine::Address;
use serde::{Deserialize, Serialize};

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationInputs {
    /// Unique in account and region.
    pub name: String,
    /// The Kafka versions it may be used with, sorted.
    pub kafka_versions: Vec<String>,
    /// Broker properties, such as `log.retention.hours`.
    pub properties: BTreeMap<String, String>,
    /// Whose it is ([`ownership`]): configurations have no tags.
    pub description: String,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationOutputs {
    /// Its ARN.
    pub arn: String,
    /// The newest revision, counted from 1.
    pub revision: i64,
}

/// The description that says whose a configuration is.
pub fn ownership(stack: &str, address: &Address) -> String {
    format!("pinfra:{stack}:{address}")
}
