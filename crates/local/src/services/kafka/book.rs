//! What is remembered of clusters, their operations and configurations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything, in all regions, by ARN.
#[derive(Default)]
pub(super) struct Book {
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) configurations: BTreeMap<String, Configuration>,
}

/// Where a cluster is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum State {
    Creating,
    Active,
    Updating,
    RebootingBroker,
    Deleting,
    Failed,
}

impl State {
    /// As the API names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Creating => "CREATING",
            State::Active => "ACTIVE",
            State::Updating => "UPDATING",
            State::RebootingBroker => "REBOOTING_BROKER",
            State::Deleting => "DELETING",
            State::Failed => "FAILED",
        }
    }

    /// Whether its brokers answer.
    pub(super) fn is_up(self) -> bool {
        matches!(self, State::Active | State::Updating | State::RebootingBroker)
    }
}

/// A provisioned cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cluster {
    pub(super) arn: String,
    pub(super) name: String,
    /// The last part of the ARN.
    pub(super) uuid: String,
    pub(super) region: String,
    pub(super) account: String,
    /// Milliseconds since the epoch.
    pub(super) created: i64,
    /// `CurrentVersion`: another one after each operation.
    pub(super) version: String,
    pub(super) state: State,
    /// Code and message of what failed.
    /// Of one that is still being made: why it will fail.
    pub(super) failure: Option<(String, String)>,
    /// The operation that is under way.
    pub(super) operation: Option<String>,
    /// Members of the shape `Provisioned` that can be set, as they are answered.
    pub(super) settings: Map<String, Value>,
    pub(super) kafka_version: String,
    pub(super) configuration: Option<Revised>,
    pub(super) tags: BTreeMap<String, String>,
    /// In the order of their ids, which count from 1.
    pub(super) brokers: Vec<Broker>,
}

/// A revision of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revised {
    pub(super) arn: String,
    pub(super) revision: i64,
}

/// A broker as the network sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Broker {
    /// The last part of its ARN.
    pub(super) uuid: String,
    pub(super) interface: String,
    pub(super) private_ip: String,
    pub(super) subnet: String,
    /// Milliseconds since the epoch.
    pub(super) added: i64,
}

/// A change of a cluster, under way or done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) arn: String,
    pub(super) cluster: String,
    /// Such as `INCREASE_BROKER_COUNT`.
    pub(super) kind: String,
    pub(super) state: OperationState,
    pub(super) request_id: String,
    /// Milliseconds since the epoch.
    pub(super) created: i64,
    pub(super) ended: Option<i64>,
    /// What it changes, as it was (`MutableClusterInfo`).
    pub(super) source: Map<String, Value>,
    /// And as it is to be.
    pub(super) target: Map<String, Value>,
    /// Code and message.
    pub(super) failure: Option<(String, String)>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum OperationState {
    Pending,
    UpdateInProgress,
    UpdateComplete,
    UpdateFailed,
}

impl OperationState {
    /// As the API names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            OperationState::Pending => "PENDING",
            OperationState::UpdateInProgress => "UPDATE_IN_PROGRESS",
            OperationState::UpdateComplete => "UPDATE_COMPLETE",
            OperationState::UpdateFailed => "UPDATE_FAILED",
        }
    }
}

/// A configuration with all its revisions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Configuration {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) kafka_versions: Vec<String>,
    /// Milliseconds since the epoch.
    pub(super) created: i64,
    /// Revision `n` is at `n - 1`; never empty.
    pub(super) revisions: Vec<Revision>,
    /// Whether it is going.
    pub(super) deleting: bool,
}

/// One revision of a configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Revision {
    /// Milliseconds since the epoch.
    pub(super) created: i64,
    pub(super) description: String,
    /// The text of `server.properties`, base64 as it was sent.
    pub(super) properties: String,
}

impl Book {
    /// The cluster of that ARN in a region.
    pub(super) fn cluster(&self, region: &str, arn: &str) -> Option<&Cluster> {
        self.clusters.get(arn).filter(|cluster| cluster.region == region)
    }

    /// A revision of a configuration that is there.
    pub(super) fn revision(&self, revised: &Revised) -> Option<&Revision> {
        let configuration = self.configurations.get(&revised.arn)?;
        let place = usize::try_from(revised.revision).ok()?.checked_sub(1)?;
        configuration.revisions.get(place)
    }
}

impl Cluster {
    /// How many brokers it has.
    pub(super) fn broker_count(&self) -> u32 {
        let count = self.settings.get("NumberOfBrokerNodes").and_then(Value::as_u64);
        count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
    }

    /// A member of `BrokerNodeGroupInfo`.
    pub(super) fn group(&self, member: &str) -> &Value {
        self.settings.get("BrokerNodeGroupInfo").map_or(&Value::Null, |group| &group[member])
    }

    /// Its instance type, such as `kafka.t3.small`.
    pub(super) fn instance_type(&self) -> &str {
        self.group("InstanceType").as_str().unwrap_or_default()
    }

    /// Its client subnets, one a zone.
    pub(super) fn subnets(&self) -> Vec<String> {
        texts(self.group("ClientSubnets"))
    }

    /// An ARN beside its own, such as that of a topic: `arn:…:<kind>/<name>/<uuid>/<rest>`.
    pub(super) fn arn_of(&self, kind: &str, rest: &str) -> String {
        format!("arn:aws:kafka:{}:{}:{kind}/{}/{}/{rest}", self.region, self.account, self.name, self.uuid)
    }
}

impl Configuration {
    /// The number of the last revision.
    pub(super) fn latest(&self) -> i64 {
        i64::try_from(self.revisions.len()).unwrap_or(i64::MAX)
    }
}

/// The texts of a list.
pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A time as the wire layer takes it: seconds since the epoch.
pub(super) fn timestamp(millis: i64) -> Value {
    Value::from(millis as f64 / 1_000.0)
}
