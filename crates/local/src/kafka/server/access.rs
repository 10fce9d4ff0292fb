//! What a connection may do.
//!
//! On the plaintext listener everything. On the IAM listener what policies let its principal do, by "Semantics of IAM
//! authorization policy actions and resources" (MSK developer guide); the actions are those of [`Action`]. A decision holds
//! for a second, so that a producer does not have policies evaluated with every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;

use crate::kafka::cluster::ClusterSpec;
use crate::kafka::error::Refused;
use crate::kafka::gate::{Gate, Principal};
use crate::log::lock;

const HOLDS: Duration = Duration::from_secs(1);
/// A client that asks about many names does not make us remember them all.
const MOST_DECISIONS: usize = 1_000;

/// What is done to a cluster, a topic or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    DescribeCluster,
    DescribeClusterConfigs,
    WriteDataIdempotently,
    CreateTopic,
    DescribeTopic,
    AlterTopic,
    DeleteTopic,
    DescribeTopicConfigs,
    AlterTopicConfigs,
    ReadData,
    WriteData,
    DescribeGroup,
    AlterGroup,
    DeleteGroup,
}

impl Action {
    /// Its name in policies.
    fn name(self) -> &'static str {
        match self {
            Action::DescribeCluster => "kafka-cluster:DescribeCluster",
            Action::DescribeClusterConfigs => "kafka-cluster:DescribeClusterDynamicConfiguration",
            Action::WriteDataIdempotently => "kafka-cluster:WriteDataIdempotently",
            Action::CreateTopic => "kafka-cluster:CreateTopic",
            Action::DescribeTopic => "kafka-cluster:DescribeTopic",
            Action::AlterTopic => "kafka-cluster:AlterTopic",
            Action::DeleteTopic => "kafka-cluster:DeleteTopic",
            Action::DescribeTopicConfigs => "kafka-cluster:DescribeTopicDynamicConfiguration",
            Action::AlterTopicConfigs => "kafka-cluster:AlterTopicDynamicConfiguration",
            Action::ReadData => "kafka-cluster:ReadData",
            Action::WriteData => "kafka-cluster:WriteData",
            Action::DescribeGroup => "kafka-cluster:DescribeGroup",
            Action::AlterGroup => "kafka-cluster:AlterGroup",
            Action::DeleteGroup => "kafka-cluster:DeleteGroup",
        }
    }

    /// The error of Kafka that says that it is not allowed.
    fn refusal(self) -> ResponseError {
        match self {
            Action::DescribeCluster | Action::DescribeClusterConfigs | Action::WriteDataIdempotently => {
                ResponseError::ClusterAuthorizationFailed
            }
            Action::DescribeGroup | Action::AlterGroup | Action::DeleteGroup => ResponseError::GroupAuthorizationFailed,
            _ => ResponseError::TopicAuthorizationFailed,
        }
    }

    /// `topic` or `group`; nothing for the cluster itself.
    fn resource(self) -> Option<&'static str> {
        match self.refusal() {
            ResponseError::ClusterAuthorizationFailed => None,
            ResponseError::GroupAuthorizationFailed => Some("group"),
            _ => Some("topic"),
        }
    }
}

/// What one connection may do.
pub(crate) enum Access {
    /// The plaintext listener.
    All,
    /// The IAM listener, once somebody has shown who they are.
    Principal(Checked),
}

/// What the gate said, and when.
type Decision = (Instant, Result<(), String>);

/// Asks the gate and remembers for a moment.
pub(crate) struct Checked {
    gate: Arc<dyn Gate>,
    cluster_arn: String,
    principal: Mutex<Principal>,
    decisions: Mutex<HashMap<(Action, String), Decision>>,
}

impl Access {
    /// Checks a token and whether its principal may connect. The error is a sentence for the client.
    pub(crate) fn of_token(gate: &Arc<dyn Gate>, spec: &ClusterSpec, token: &str) -> Result<Access, String> {
        let principal = gate.connect(token, &spec.region)?;
        gate.may(&principal.arn, "kafka-cluster:Connect", &spec.arn)?;
        Ok(Access::Principal(Checked {
            gate: Arc::clone(gate),
            cluster_arn: spec.arn.clone(),
            principal: Mutex::new(principal),
            decisions: Mutex::default(),
        }))
    }

    /// Takes a new token of the same principal, so that the connection goes on.
    pub(crate) fn renew(&self, renewed: &Access) -> Result<(), String> {
        let (Access::Principal(this), Access::Principal(renewed)) = (self, renewed) else { return Ok(()) };
        let renewed = lock(&renewed.principal).clone();
        let mut principal = lock(&this.principal);
        if principal.arn != renewed.arn {
            return Err("the principal of a connection cannot change".to_owned());
        }
        *principal = renewed;
        Ok(())
    }

    /// When the token ends, in milliseconds since the epoch.
    pub(crate) fn expires_millis(&self) -> Option<i64> {
        match self {
            Access::All => None,
            Access::Principal(checked) => Some(lock(&checked.principal).expires_millis),
        }
    }

    /// Whether an action is allowed. `name` is that of the topic or group, and nothing for the cluster.
    pub(crate) fn check(&self, action: Action, name: &str) -> Result<(), Refused> {
        let Access::Principal(checked) = self else { return Ok(()) };
        checked.decide(action, name).map_err(|message| Refused::new(action.refusal(), message))
    }

    /// Whether an action is allowed, where nobody has to be told why not.
    pub(crate) fn may(&self, action: Action, name: &str) -> bool {
        self.check(action, name).is_ok()
    }
}

impl Checked {
    fn decide(&self, action: Action, name: &str) -> Result<(), String> {
        let key = (action, name.to_owned());
        let now = Instant::now();
        if let Some((at, decision)) = lock(&self.decisions).get(&key)
            && now.duration_since(*at) < HOLDS
        {
            return decision.clone();
        }
        let principal = lock(&self.principal).arn.clone();
        let decision = self.gate.may(&principal, action.name(), &self.resource(action, name));
        let mut decisions = lock(&self.decisions);
        if decisions.len() >= MOST_DECISIONS {
            decisions.clear();
        }
        decisions.insert(key, (now, decision.clone()));
        decision
    }

    /// `arn:…:topic/<cluster>/<uuid>/<name>`, beside the cluster's `arn:…:cluster/<cluster>/<uuid>`.
    fn resource(&self, action: Action, name: &str) -> String {
        match action.resource() {
            None => self.cluster_arn.clone(),
            Some(kind) => format!("{}/{name}", self.cluster_arn.replacen(":cluster/", &format!(":{kind}/"), 1)),
        }
    }
}
