//! What connectors use, which says enough of it: MSK Connect neither changes a plugin or a worker configuration nor deletes one
//! that a connector uses, so one that a running connector names is as it was recorded, and is not read.

use std::sync::Arc;

use aws_sdk_kafkaconnect::operation::describe_connector::DescribeConnectorOutput;
use aws_sdk_kafkaconnect::types::ConnectorState;
use pinfra_engine::{CloudError, Live, Resource};

use super::connector::Connector;
use super::live::describe;
use crate::clients::Clients;

/// A connector, where there is one.
pub(crate) type Connectors = Option<DescribeConnectorOutput>;

/// The connector, asked for once in a look.
pub(super) async fn connector(clients: &Clients, arn: &str) -> Result<Arc<Connectors>, CloudError> {
    match &clients.look {
        Some(look) => look.connectors.get(arn, || describe(clients, arn)).await,
        None => describe(clients, arn).await.map(Arc::new),
    }
}

/// What is recorded of the plugin or worker configuration with that ARN, where this is a look and a running connector of the
/// stack uses it.
pub(super) async fn recorded<R: Resource>(
    clients: &Clients,
    arn: &str,
) -> Result<Option<Live<R::Inputs, R::Outputs>>, CloudError> {
    let Some(recorded) = clients.recorded::<R>(arn) else { return Ok(None) };
    for id in clients.recorded_ids(Connector::INFO.kind) {
        if connector(clients, id).await?.as_ref().as_ref().is_some_and(|connector| uses(connector, arn)) {
            return Ok(Some(recorded));
        }
    }
    Ok(None)
}

fn uses(connector: &DescribeConnectorOutput, arn: &str) -> bool {
    let plugins = connector.plugins().iter().filter_map(|plugin| plugin.custom_plugin.as_ref());
    let mut plugins = plugins.filter_map(|plugin| plugin.custom_plugin_arn.as_deref());
    let configuration = connector.worker_configuration.as_ref();
    let configuration = configuration.and_then(|configuration| configuration.worker_configuration_arn.as_deref());
    let runs = connector.connector_state == Some(ConnectorState::Running);
    runs && (configuration == Some(arn) || plugins.any(|plugin| plugin == arn))
}
