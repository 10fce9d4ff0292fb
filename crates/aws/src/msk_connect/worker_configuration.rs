//! `msk_connect/worker_configuration`: properties of the workers that connectors run on.

use serde::{Deserialize, Serialize};

use crate::tags::Tags;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfigurationInputs {
    /// Unique in account and region; it has the hash of the content in it.
    pub name: String,
    /// The content of a properties file.
    pub properties: String,
    /// What it is, for people.
    pub description: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerConfigurationOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its revision, which is 1: worker configurations never change.
    pub revision: i64,
}
