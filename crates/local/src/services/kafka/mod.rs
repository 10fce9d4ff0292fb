//! Managed Streaming for Apache Kafka: the control plane of clusters whose brokers are in [`crate::kafka`].
//!
//! Clusters, operations and configurations are documents (`book`) in a store (`desk`); a change is on disk before it is
//! answered. What takes time is a task (`lifecycle`) that looks at the state in the document and brings brokers and
//! document to the next one: so it goes on after a restart where the last process ended. Topics are the brokers' alone:
//! the operations on them and Kafka clients see the same.
//!
//! Differences from AWS: brokers listen on loopback ports, and `BootstrapBrokerString` (plaintext) is always there;
//! `BootstrapBrokerStringTls` never is, since the TLS listeners take IAM alone. Serverless clusters, SASL/SCRAM, mutual
//! TLS, public access, multi-VPC connectivity, replicators and cluster policies are refused by name. Monitoring, logging,
//! storage sizes and the storage mode are kept and have no effect; quotas and the six hours between two changes of storage
//! are not enforced.

mod about;
mod authority;
#[cfg(test)]
mod authority_tests;
mod book;
mod bootstrap;
mod broker_nodes;
mod checks;
mod clusters;
mod configurations;
mod desk;
mod errors;
mod instance_types;
mod lifecycle;
mod network;
mod operations;
mod pages;
mod properties;
mod property_table;
mod tags;
mod topics;
mod updates;
mod versions;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

pub use self::authority::Authority;
use self::desk::Desk;
pub use self::network::Network;
use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::kafka::Kafka;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::wire::error::ApiError;

/// The MSK of one local cloud. Clones share everything.
#[derive(Clone)]
pub struct Msk {
    desk: Arc<Desk>,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum MskOpenError {
    /// The folder cannot be used.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The documents cannot be read.
    #[error("cannot open the store of MSK")]
    Store(#[from] StoreError),
}

impl Msk {
    /// Opens `<data_dir>/kafka/msk.redb`, or begins it, and starts to open the brokers of the clusters that are there.
    /// Must be called on a Tokio runtime. `brokers` are opened on the same folder; `network` is the EC2 whose subnets and
    /// security groups clusters name.
    pub fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        brokers: Kafka,
        network: Arc<dyn Network>,
    ) -> Result<Msk, MskOpenError> {
        let desk = Arc::new(Desk::open(data_dir, clock, settings, brokers, network)?);
        lifecycle::resume(&desk);
        Ok(Msk { desk })
    }

    /// Returns once the brokers of all clusters that were there at the start have been opened, or could not be.
    pub async fn opened(&self) {
        self.desk.lifecycle.resumed().await;
    }

    /// Stops what is under way, closes listeners and syncs logs. What was under way goes on at the next start.
    pub async fn shut_down(&self) {
        self.desk.lifecycle.end();
        self.desk.lifecycle.ended().await;
        self.desk.brokers.stop().await;
    }

    /// The same without waiting: the brokers close when the last who holds them is gone. Nothing is left to a task here,
    /// which would hold the data folder's stores when the next local cloud opens them.
    pub fn cut_power(&self) {
        self.desk.lifecycle.end();
    }
}

impl Service for Msk {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        let desk = Arc::clone(&self.desk);
        async move {
            desk.lifecycle.resumed().await;
            // A change waits for the disk.
            let answered = tokio::task::spawn_blocking(move || answer(&desk, &call, &input)).await;
            answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
        }
        .boxed()
    }

    fn resources(&self, call: &Call, input: &Value) -> Option<Vec<String>> {
        about::named(call, input)
    }

    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        tags::all(&self.desk, region)
    }
}

fn answer(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    match call.operation.as_str() {
        "CreateCluster" => clusters::create(desk, call, input),
        "CreateClusterV2" => clusters::create_v2(desk, call, input),
        "CreateConfiguration" => configurations::create(desk, call, input),
        "CreateTopic" => topics::create(desk, call, input),
        "DeleteCluster" => clusters::delete(desk, call, input),
        "DeleteConfiguration" => configurations::delete(desk, call, input),
        "DeleteTopic" => topics::delete(desk, call, input),
        "DescribeCluster" => clusters::describe(desk, call, input),
        "DescribeClusterOperation" => operations::describe(desk, call, input),
        "DescribeClusterOperationV2" => operations::describe_v2(desk, call, input),
        "DescribeClusterV2" => clusters::describe_v2(desk, call, input),
        "DescribeConfiguration" => configurations::describe(desk, call, input),
        "DescribeConfigurationRevision" => configurations::describe_revision(desk, call, input),
        "DescribeTopic" => topics::describe(desk, call, input),
        "DescribeTopicPartitions" => topics::partitions(desk, call, input),
        "GetBootstrapBrokers" => bootstrap::get(desk, call, input),
        "GetCompatibleKafkaVersions" => versions::compatible(desk, call, input),
        "ListClusterOperations" => operations::list(desk, call, input),
        "ListClusterOperationsV2" => operations::list_v2(desk, call, input),
        "ListClusters" => clusters::list(desk, call, input),
        "ListClustersV2" => clusters::list_v2(desk, call, input),
        "ListConfigurationRevisions" => configurations::list_revisions(desk, call, input),
        "ListConfigurations" => configurations::list(desk, call, input),
        "ListKafkaVersions" => versions::list(input),
        "ListNodes" => broker_nodes::list(desk, call, input),
        "ListTagsForResource" => tags::list(desk, call, input),
        "ListTopics" => topics::list(desk, call, input),
        "RebootBroker" => updates::reboot(desk, call, input),
        "TagResource" => tags::tag(desk, call, input),
        "UntagResource" => tags::untag(desk, call, input),
        "UpdateBrokerCount" => updates::broker_count(desk, call, input),
        "UpdateBrokerStorage" => updates::broker_storage(desk, call, input),
        "UpdateBrokerType" => updates::broker_type(desk, call, input),
        "UpdateClusterConfiguration" => updates::configuration(desk, call, input),
        "UpdateClusterKafkaVersion" => updates::kafka_version(desk, call, input),
        "UpdateConfiguration" => configurations::update(desk, call, input),
        "UpdateConnectivity" => updates::connectivity(desk, call, input),
        "UpdateMonitoring" => updates::monitoring(desk, call, input),
        "UpdateSecurity" => updates::security(desk, call, input),
        "UpdateStorage" => updates::storage(desk, call, input),
        "UpdateTopic" => topics::update(desk, call, input),
        other => Err(ApiError::unknown_operation("kafka", other)),
    }
}
