//! What is stored: a document a plugin, worker configuration, connector and operation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// Why something failed (`StateDescription`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) code: String,
    pub(super) message: String,
}

/// A custom plugin. Its state follows from the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plugin {
    pub(super) arn: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created: i64,
    pub(super) content_type: String,
    /// `S3LocationDescription`.
    pub(super) location: Value,
    pub(super) size: u64,
    pub(super) md5: String,
    pub(super) trouble: Option<Trouble>,
    pub(super) ready_at: i64,
    pub(super) gone_at: Option<i64>,
    pub(super) tags: Tags,
}

impl Plugin {
    /// `None` once its deletion is through.
    pub(super) fn state(&self, now: i64) -> Option<&'static str> {
        match (self.gone_at, &self.trouble) {
            (Some(gone), _) if now >= gone => None,
            (Some(_), _) => Some("DELETING"),
            _ if now < self.ready_at => Some("CREATING"),
            (None, Some(_)) => Some("CREATE_FAILED"),
            (None, None) => Some("ACTIVE"),
        }
    }
}

/// A worker configuration; it has one revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WorkerConfiguration {
    pub(super) arn: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created: i64,
    /// As it came: base64.
    pub(super) content: String,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) gone_at: Option<i64>,
    pub(super) tags: Tags,
}

impl WorkerConfiguration {
    /// `None` once its deletion is through.
    pub(super) fn state(&self, now: i64) -> Option<&'static str> {
        match self.gone_at {
            Some(gone) if now >= gone => None,
            Some(_) => Some("DELETING"),
            None => Some("ACTIVE"),
        }
    }
}

/// `ConnectorState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    Creating,
    Running,
    Updating,
    Deleting,
    Failed,
    Paused,
    Pausing,
    Resuming,
    Restarting,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Creating => "CREATING",
            State::Running => "RUNNING",
            State::Updating => "UPDATING",
            State::Deleting => "DELETING",
            State::Failed => "FAILED",
            State::Paused => "PAUSED",
            State::Pausing => "PAUSING",
            State::Resuming => "RESUMING",
            State::Restarting => "RESTARTING",
        }
    }
}

/// What UpdateConnector can change (`WorkerSetting`, and the configuration).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    /// `CapacityDescription`.
    pub(super) capacity: Value,
    /// A list of `PluginDescription`.
    pub(super) plugins: Value,
    /// `WorkerConfigurationDescription`, or null.
    pub(super) worker_configuration: Value,
    pub(super) configuration: BTreeMap<String, String>,
}

/// A connector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Connector {
    pub(super) arn: String,
    /// The last part of the ARN.
    pub(super) uuid: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) created: i64,
    /// Another one after each change.
    pub(super) version: String,
    pub(super) state: State,
    /// Of one that is still being made: why it will fail.
    pub(super) trouble: Option<Trouble>,
    /// Members of the description that never change, as they were given.
    pub(super) fixed: Value,
    pub(super) setting: Setting,
    /// The cluster that the bootstrap addresses led to.
    pub(super) cluster_arn: Option<String>,
    /// The operation that is under way.
    pub(super) operation: Option<String>,
    pub(super) tags: Tags,
}

/// `ConnectorOperationType`, as far as the local cloud has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    UpdateWorkerSetting,
    UpdateConnectorConfiguration,
    PauseConnector,
    ResumeConnector,
    RestartConnector,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::UpdateWorkerSetting => "UPDATE_WORKER_SETTING",
            Kind::UpdateConnectorConfiguration => "UPDATE_CONNECTOR_CONFIGURATION",
            Kind::PauseConnector => "PAUSE_CONNECTOR",
            Kind::ResumeConnector => "RESUME_CONNECTOR",
            Kind::RestartConnector => "RESTART_CONNECTOR",
        }
    }

    pub(super) fn is_update(self) -> bool {
        matches!(self, Kind::UpdateWorkerSetting | Kind::UpdateConnectorConfiguration)
    }

    /// The first word of its states: `PAUSE` of `PAUSE_COMPLETE`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::UpdateWorkerSetting | Kind::UpdateConnectorConfiguration => "UPDATE",
            Kind::PauseConnector => "PAUSE",
            Kind::ResumeConnector => "RESUME",
            Kind::RestartConnector => "RESTART",
        }
    }
}

/// An operation on a connector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) arn: String,
    pub(super) connector: String,
    pub(super) kind: Kind,
    /// `ConnectorOperationState`.
    pub(super) state: String,
    pub(super) created: i64,
    pub(super) ended: Option<i64>,
    pub(super) trouble: Option<Trouble>,
    /// `stepType` and `stepState`.
    pub(super) steps: Vec<(String, String)>,
    pub(super) origin: Setting,
    pub(super) target: Setting,
    pub(super) skips_health: bool,
    /// What the connector was before.
    pub(super) from: State,
}
