//! `msk_connect/plugin`: code that connectors run, from an object in a bucket.

use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};

use crate::tags::Tags;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginInputs {
    /// Unique in account and region; it has the hash of the content in it.
    pub name: String,
    /// The bucket's name.
    pub bucket: Input<String>,
    /// The object's key.
    pub key: Input<String>,
    /// `ZIP` or `JAR`.
    pub content_type: String,
    /// What it is, for people.
    pub description: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its revision, which is 1: plugins never change.
    pub revision: i64,
    /// Why it will never be usable, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
