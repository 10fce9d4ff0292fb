//! Which change of a cluster is which operation, and the requests.
//!
//! MSK changes a family of settings at a time, each by an operation of its own. The order is that of the Terraform
//! provider (`kafka/cluster.go`): more room comes before what needs it, and the brokers' version before how clients enter.

use aws_sdk_kafka::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kafka::types::{
    BrokerEbsVolumeInfo, ClientAuthentication, ClientBroker, Cluster, ConfigurationInfo, EncryptionInTransit,
    EncryptionInfo, EnhancedMonitoring, Iam, Sasl, Unauthenticated,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use pinfra_engine::{CloudError, ErrorKind};

use super::cluster::{ClusterConfiguration, ClusterInputs};
use crate::clients::Clients;
use crate::error::{classify, incomplete};

/// What one operation changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Instance,
    Storage,
    Brokers,
    Monitoring,
    Configuration,
    /// With the configuration, where that changes too.
    Version,
    Security,
}

impl Family {
    /// For people, such as `changing the broker type`.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Family::Instance => "changing the type of the brokers",
            Family::Storage => "enlarging the brokers' storage",
            Family::Brokers => "changing the number of brokers",
            Family::Monitoring => "changing what is monitored",
            Family::Configuration => "moving the brokers to the configuration",
            Family::Version => "upgrading Kafka",
            Family::Security => "changing how clients enter",
        }
    }
}

/// The operations that lead from `old` to `new`, in their order.
pub(super) fn families(old: &ClusterInputs, new: &ClusterInputs) -> Vec<Family> {
    let upgrade = old.kafka_version != new.kafka_version;
    let differs = [
        (Family::Instance, old.instance != new.instance),
        (Family::Storage, old.storage_gib != new.storage_gib),
        (Family::Brokers, old.brokers != new.brokers),
        (Family::Monitoring, old.monitoring != new.monitoring),
        (Family::Configuration, old.configuration != new.configuration && !upgrade),
        (Family::Version, upgrade),
        (Family::Security, old.client_broker != new.client_broker || old.iam != new.iam),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(family, _)| family).collect()
}

/// Sends the request of a family for a cluster as it was just described; returns the operation's ARN.
pub(super) async fn send(
    clients: &Clients,
    family: Family,
    found: &Cluster,
    new: &ClusterInputs,
) -> Result<String, CloudError> {
    let kafka = &clients.kafka;
    let arn = found.cluster_arn.clone();
    let version = found.current_version.clone();
    match family {
        Family::Instance => {
            let request = kafka.update_broker_type().set_cluster_arn(arn).set_current_version(version);
            let sent = request.target_instance_type(&new.instance).send().await;
            operation("kafka:UpdateBrokerType", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Storage => {
            // "All" stands for every broker (field; the API reference has an example).
            let volume = BrokerEbsVolumeInfo::builder()
                .kafka_broker_node_id("All")
                .set_volume_size_gb(new.storage_gib.map(count).transpose()?);
            let request = kafka.update_broker_storage().set_cluster_arn(arn).set_current_version(version);
            let sent = request.target_broker_ebs_volume_info(volume.build()).send().await;
            operation("kafka:UpdateBrokerStorage", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Brokers => {
            let request = kafka.update_broker_count().set_cluster_arn(arn).set_current_version(version);
            let sent = request.target_number_of_broker_nodes(count(new.brokers)?).send().await;
            operation("kafka:UpdateBrokerCount", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Monitoring => {
            // One call sets all three kinds; the others stay as somebody may have set them.
            let provisioned = found.provisioned.as_ref();
            let request = kafka.update_monitoring().set_cluster_arn(arn).set_current_version(version);
            let request = request.set_open_monitoring(provisioned.and_then(|info| info.open_monitoring.clone()));
            let request = request.set_logging_info(provisioned.and_then(|info| info.logging_info.clone()));
            let sent = request.enhanced_monitoring(monitoring(new)).send().await;
            operation("kafka:UpdateMonitoring", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Configuration => {
            let request = kafka.update_cluster_configuration().set_cluster_arn(arn).set_current_version(version);
            let sent = request.set_configuration_info(configuration(new)?).send().await;
            operation("kafka:UpdateClusterConfiguration", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Version => {
            let request = kafka.update_cluster_kafka_version().set_cluster_arn(arn).set_current_version(version);
            let request = request.target_kafka_version(&new.kafka_version);
            let sent = request.set_configuration_info(configuration(new)?).send().await;
            operation("kafka:UpdateClusterKafkaVersion", sent, |answer| answer.cluster_operation_arn)
        }
        Family::Security => {
            // What cannot change must not be sent along: encryption at rest and between brokers (field).
            let in_transit = EncryptionInTransit::builder().client_broker(client_broker(new)).build();
            let request = kafka.update_security().set_cluster_arn(arn).set_current_version(version);
            let request = request.encryption_info(EncryptionInfo::builder().encryption_in_transit(in_transit).build());
            let sent = request.client_authentication(authentication(new)).send().await;
            operation("kafka:UpdateSecurity", sent, |answer| answer.cluster_operation_arn)
        }
    }
}

/// How clients show who they are. Those that speak plain text cannot.
pub(super) fn authentication(new: &ClusterInputs) -> ClientAuthentication {
    let sasl = Sasl::builder().iam(Iam::builder().enabled(new.iam).build()).build();
    let anybody = !new.iam || new.client_broker != ClientBroker::Tls.as_str();
    let unauthenticated = Unauthenticated::builder().enabled(anybody).build();
    ClientAuthentication::builder().sasl(sasl).unauthenticated(unauthenticated).build()
}

pub(super) fn client_broker(new: &ClusterInputs) -> ClientBroker {
    ClientBroker::from(new.client_broker.as_str())
}

pub(super) fn monitoring(new: &ClusterInputs) -> EnhancedMonitoring {
    EnhancedMonitoring::from(new.monitoring.as_str())
}

pub(super) fn configuration(new: &ClusterInputs) -> Result<Option<ConfigurationInfo>, CloudError> {
    let Some(ClusterConfiguration { arn, revision }) = &new.configuration else { return Ok(None) };
    Ok(Some(ConfigurationInfo::builder().arn(arn.known()?).revision(*revision.known()?).build()))
}

/// A number as the API takes it.
pub(super) fn count(number: u32) -> Result<i32, CloudError> {
    i32::try_from(number)
        .map_err(|_| CloudError::new(ErrorKind::Invalid, "msk/cluster", format!("{number} is too large a number")))
}

fn operation<T, E>(
    name: &str,
    sent: Result<T, SdkError<E, HttpResponse>>,
    arn: impl FnOnce(T) -> Option<String>,
) -> Result<String, CloudError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let answer = sent.map_err(|error| classify(name, &error))?;
    arn(answer).ok_or_else(|| incomplete(name, "operation"))
}
