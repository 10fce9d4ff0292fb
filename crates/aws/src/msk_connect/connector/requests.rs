//! The requests that make and change a connector.

use std::collections::HashMap;

use aws_sdk_kafkaconnect::error::BuildError;
use aws_sdk_kafkaconnect::operation::create_connector::builders::CreateConnectorFluentBuilder;
use aws_sdk_kafkaconnect::operation::describe_connector::DescribeConnectorOutput;
use aws_sdk_kafkaconnect::operation::update_connector::builders::UpdateConnectorFluentBuilder;
use aws_sdk_kafkaconnect::types::{
    ApacheKafkaCluster, Capacity, CapacityUpdate, ConnectorState, CustomPlugin, CustomPluginUpdate, KafkaCluster,
    KafkaClusterClientAuthentication, KafkaClusterClientAuthenticationType, KafkaClusterEncryptionInTransit,
    KafkaClusterEncryptionInTransitType, Plugin, PluginUpdate, ProvisionedCapacity, ProvisionedCapacityUpdate, Vpc,
    WorkerConfiguration, WorkerConfigurationUpdate,
};
use pinfra_engine::{CloudError, ErrorKind, Resource};

use super::super::live::{TOPICS, inputs};
use super::{Connector, ConnectorInputs, PluginRef};
use crate::clients::Clients;
use crate::tags::Tags;

/// The request that makes a connector.
pub(super) fn create(clients: &Clients, new: &ConnectorInputs) -> Result<CreateConnectorFluentBuilder, CloudError> {
    let groups = new.security_groups.iter().map(|id| id.known().cloned()).collect::<Result<Vec<_>, _>>()?;
    let vpc = Vpc::builder().set_subnets(Some(new.subnets.known()?.clone())).set_security_groups(Some(groups));
    let cluster = ApacheKafkaCluster::builder().bootstrap_servers(new.bootstrap.known()?);
    let cluster = cluster.vpc(vpc.build().map_err(unbuilt)?).build().map_err(unbuilt)?;
    let (authentication, in_transit) = match new.iam {
        true => (KafkaClusterClientAuthenticationType::Iam, KafkaClusterEncryptionInTransitType::Tls),
        false => (KafkaClusterClientAuthenticationType::None, KafkaClusterEncryptionInTransitType::Plaintext),
    };
    let authentication = KafkaClusterClientAuthentication::builder().authentication_type(authentication);
    let in_transit = KafkaClusterEncryptionInTransit::builder().encryption_type(in_transit);
    let size = ProvisionedCapacity::builder().mcu_count(count(new.mcu)?).worker_count(count(new.workers)?);
    let plugin =
        CustomPlugin::builder().custom_plugin_arn(new.plugin.arn.known()?).revision(*new.plugin.revision.known()?);
    let worker_configuration = match &new.worker_configuration {
        Some(PluginRef { arn, revision }) => {
            let built = WorkerConfiguration::builder().worker_configuration_arn(arn.known()?);
            Some(built.revision(*revision.known()?).build().map_err(unbuilt)?)
        }
        None => None,
    };
    Ok(clients
        .kafkaconnect
        .create_connector()
        .connector_name(&new.name)
        .connector_description(&new.description)
        .capacity(Capacity::builder().provisioned_capacity(size.build()).build())
        .set_connector_configuration(Some(settings(new)))
        .kafka_cluster(KafkaCluster::builder().apache_kafka_cluster(cluster).build())
        .kafka_cluster_client_authentication(authentication.build().map_err(unbuilt)?)
        .kafka_cluster_encryption_in_transit(in_transit.build().map_err(unbuilt)?)
        .kafka_connect_version(&new.version)
        .plugins(Plugin::builder().custom_plugin(plugin.build().map_err(unbuilt)?).build())
        .service_execution_role_arn(new.role.known()?)
        .set_worker_configuration(worker_configuration)
        .set_tags(Some(new.tags.clone().into_iter().collect())))
}

/// What one operation changes; the two are never mixed in a call (API reference, `UpdateConnector`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Size, plugin, worker configuration.
    Workers,
    /// The connector's own settings.
    Settings,
}

impl Family {
    /// Whether it has something to change.
    pub(super) fn differs(self, old: &ConnectorInputs, new: &ConnectorInputs) -> bool {
        let workers = |inputs: &ConnectorInputs| {
            (inputs.mcu, inputs.workers, inputs.plugin.clone(), inputs.worker_configuration.clone())
        };
        match self {
            Family::Workers => workers(old) != workers(new),
            Family::Settings => settings(old) != settings(new),
        }
    }

    /// What people are told of it.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Family::Workers => "changing the connector's workers",
            Family::Settings => "changing the connector's settings",
        }
    }
}

/// The request of a family, with only what differs: what is sent as it is already is refused (field).
pub(super) fn update(
    clients: &Clients,
    arn: &str,
    family: Family,
    found: &DescribeConnectorOutput,
    new: &ConnectorInputs,
) -> Result<UpdateConnectorFluentBuilder, CloudError> {
    let now = inputs(found, Tags::new());
    let request = clients.kafkaconnect.update_connector().connector_arn(arn);
    let mut request = request.set_current_version(found.current_version.clone());
    if found.connector_state == Some(ConnectorState::Paused) {
        // There is no health to check (API reference, `UpdateConnector`).
        request = request.skip_health_validation(true);
    }
    if family == Family::Settings {
        return Ok(request.set_connector_configuration(Some(settings(new))));
    }
    if (now.mcu, now.workers) != (new.mcu, new.workers) {
        let size = ProvisionedCapacityUpdate::builder().mcu_count(count(new.mcu)?).worker_count(count(new.workers)?);
        request = request.capacity(CapacityUpdate::builder().provisioned_capacity(size.build()).build());
    }
    if now.plugin != new.plugin {
        let plugin = CustomPluginUpdate::builder()
            .custom_plugin_arn(new.plugin.arn.known()?)
            .revision(*new.plugin.revision.known()?);
        let plugin = plugin.build().map_err(unbuilt)?;
        request = request.plugins(PluginUpdate::builder().custom_plugin(plugin).build());
    }
    match &new.worker_configuration {
        wanted if *wanted == now.worker_configuration => {}
        Some(PluginRef { arn, revision }) => {
            let built = WorkerConfigurationUpdate::builder().worker_configuration_arn(arn.known()?);
            let built = built.revision(*revision.known()?).build().map_err(unbuilt)?;
            request = request.worker_configuration(built);
        }
        None => request = request.use_default_worker_configuration(true),
    }
    Ok(request)
}

/// The settings as MSK Connect takes them.
fn settings(inputs: &ConnectorInputs) -> HashMap<String, String> {
    let topics: Vec<&str> = inputs.topics.keys().map(String::as_str).collect();
    let topics = (!topics.is_empty()).then(|| (TOPICS.to_owned(), topics.join(",")));
    inputs.configuration.clone().into_iter().chain(topics).collect()
}

fn count(number: u32) -> Result<i32, CloudError> {
    i32::try_from(number).map_err(|_| {
        CloudError::new(ErrorKind::Invalid, Connector::INFO.kind, format!("{number} is too large a number"))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn unbuilt(error: BuildError) -> CloudError {
    CloudError::new(ErrorKind::Invalid, Connector::INFO.kind, error.to_string())
}
