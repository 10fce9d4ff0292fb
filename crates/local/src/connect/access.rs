//! What a connector does, it does as its service execution role: every action is asked for.

use crate::kafka::ClusterSpec;
use crate::services::iam::{Context, Iam};

use super::fault::Fault;

/// The service that roles of connectors have to trust.
const MSK_CONNECT: &str = "kafkaconnect.amazonaws.com";

/// The role of one connector, and its cluster.
pub(super) struct Access {
    iam: Iam,
    principal: String,
    /// Whether the cluster asks for permissions (IAM authentication).
    asks: bool,
    spec: ClusterSpec,
}

impl Access {
    /// Takes the role on.
    pub(super) fn assume(iam: &Iam, role: &str, asks: bool, spec: ClusterSpec) -> Result<Access, Fault> {
        let principal = iam.assume_as_service(role, MSK_CONNECT).map_err(|error| Fault::denied(error.message))?;
        Ok(Access { iam: iam.clone(), principal: principal.arn, asks, spec })
    }

    /// Asks for an action on the cluster, such as `Connect`.
    pub(super) fn cluster(&self, action: &str) -> Result<(), Fault> {
        self.kafka(action, self.spec.arn.clone(), "Access denied to the cluster")
    }

    /// Asks for an action on a topic, such as `ReadData`.
    pub(super) fn topic(&self, action: &str, topic: &str) -> Result<(), Fault> {
        self.kafka(action, self.arn("topic", topic), &format!("Not authorized to access topics: [{topic}]"))
    }

    /// Asks for an action on a group, such as `AlterGroup`.
    pub(super) fn group(&self, action: &str, group: &str) -> Result<(), Fault> {
        self.kafka(action, self.arn("group", group), &format!("Not authorized to access group: {group}"))
    }

    /// Asks for putting an object.
    pub(super) fn put(&self, bucket: &str, key: &str) -> Result<(), Fault> {
        self.ask("s3:PutObject", format!("arn:aws:s3:::{bucket}/{key}")).map_err(|why| {
            Fault::denied(format!("{why} (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)"))
        })
    }

    fn kafka(&self, action: &str, resource: String, refused: &str) -> Result<(), Fault> {
        if !self.asks {
            return Ok(());
        }
        let asked = self.ask(&format!("kafka-cluster:{action}"), resource);
        asked.map_err(|why| Fault::denied(format!("{refused}: {why}")))
    }

    fn ask(&self, action: &str, resource: String) -> Result<(), String> {
        let known = Context::default()
            .with("aws:SourceIp", "127.0.0.1")
            .with("aws:SecureTransport", "true")
            .with("aws:RequestedRegion", self.spec.region.as_str());
        self.iam.authorize(&self.principal, action, &[resource], &known).map_err(|error| error.message)
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        let ClusterSpec { region, account, name: cluster, uuid, .. } = &self.spec;
        format!("arn:aws:kafka:{region}:{account}:{kind}/{cluster}/{uuid}/{name}")
    }
}
