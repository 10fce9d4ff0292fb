//! Reading a connector back, in the words of its inputs.

use std::collections::BTreeMap;

use aws_sdk_kafkaconnect::operation::describe_connector::DescribeConnectorOutput;
use aws_sdk_kafkaconnect::types::{ConnectorState, KafkaClusterClientAuthenticationType};
use pinfra_engine::value::Input;
use pinfra_engine::{CloudError, Live};

use super::connector::{ConnectorInputs, ConnectorOutputs, PluginRef};
use super::folder;
use super::tagging::tags_of;
use crate::clients::Clients;
use crate::error::{classify, unless_gone};
use crate::tags::Tags;

/// The setting that names the topics of a sink, with commas between them.
pub(super) const TOPICS: &str = "topics";

/// A connector as MSK Connect has it, also while it is going.
pub(super) async fn describe(clients: &Clients, arn: &str) -> Result<Option<DescribeConnectorOutput>, CloudError> {
    let answer = clients.kafkaconnect.describe_connector().connector_arn(arn).send().await;
    unless_gone(answer.map_err(|error| classify("kafkaconnect:DescribeConnector", &error)))
}

/// What a connector is.
pub(super) async fn live(
    clients: &Clients,
    found: &DescribeConnectorOutput,
) -> Result<Live<ConnectorInputs, ConnectorOutputs>, CloudError> {
    let tags = tags_of(clients, found.connector_arn().unwrap_or_default()).await?;
    Ok(live_with(found, tags))
}

/// The same with tags that are known.
pub(super) fn live_with(found: &DescribeConnectorOutput, tags: Tags) -> Live<ConnectorInputs, ConnectorOutputs> {
    let inputs = inputs(found, tags);
    let failure = (found.connector_state == Some(ConnectorState::Failed)).then(|| why_failed(found));
    let folder = folder::in_use(&inputs.configuration).cloned();
    let arn = found.connector_arn.clone().unwrap_or_default();
    let outputs = ConnectorOutputs { arn, name: inputs.name.clone(), folder, failure, condition: condition(found) };
    Live { inputs, outputs }
}

/// What a connector is that does no work. One that somebody is changing works.
fn condition(found: &DescribeConnectorOutput) -> Option<String> {
    let state = found.connector_state.as_ref()?;
    let works = [ConnectorState::Running, ConnectorState::Updating, ConnectorState::Failed];
    (!works.contains(state)).then(|| format!("the connector is {}", state.as_str()))
}

/// What MSK Connect says of a connector that failed.
pub(super) fn why_failed(found: &DescribeConnectorOutput) -> String {
    let described = found.state_description.as_ref();
    let code = described.and_then(|described| described.code.as_deref()).unwrap_or("FAILED");
    let message = described.and_then(|described| described.message.as_deref());
    format!("{code}: {}", message.unwrap_or("MSK Connect gives no reason; its workers' log may"))
}

/// What a connector is, in the words of its inputs.
pub(super) fn inputs(found: &DescribeConnectorOutput, tags: Tags) -> ConnectorInputs {
    let reference = |arn: Option<&String>, revision: i64| PluginRef {
        arn: Input::Known(arn.cloned().unwrap_or_default()),
        revision: Input::Known(revision),
    };
    let plugin = found.plugins().first().and_then(|plugin| plugin.custom_plugin.as_ref());
    let worker_configuration = found
        .worker_configuration
        .as_ref()
        .map(|configuration| reference(configuration.worker_configuration_arn.as_ref(), configuration.revision));
    let cluster = found.kafka_cluster.as_ref().and_then(|cluster| cluster.apache_kafka_cluster.as_ref());
    let vpc = cluster.and_then(|cluster| cluster.vpc.as_ref());
    let authentication = found.kafka_cluster_client_authentication.as_ref();
    let iam = authentication.and_then(|authentication| authentication.authentication_type.as_ref())
        == Some(&KafkaClusterClientAuthenticationType::Iam);
    // A connector that somebody made scale by itself has no fixed size, which is a difference.
    let size = found.capacity.as_ref().and_then(|capacity| capacity.provisioned_capacity.as_ref());
    let number = |count: i32| u32::try_from(count).unwrap_or_default();
    let mut settings: BTreeMap<String, String> =
        found.connector_configuration.clone().unwrap_or_default().into_iter().collect();
    let topics = settings.remove(TOPICS).unwrap_or_default();
    let topics = topics.split(',').map(str::trim).filter(|topic| !topic.is_empty());
    ConnectorInputs {
        name: found.connector_name.clone().unwrap_or_default(),
        description: found.connector_description.clone().unwrap_or_default(),
        plugin: reference(
            plugin.and_then(|plugin| plugin.custom_plugin_arn.as_ref()),
            plugin.map_or(0, |plugin| plugin.revision),
        ),
        worker_configuration,
        role: Input::Known(found.service_execution_role_arn.clone().unwrap_or_default()),
        bootstrap: Input::Known(cluster.and_then(|cluster| cluster.bootstrap_servers.clone()).unwrap_or_default()),
        subnets: Input::Known(sorted(vpc.and_then(|vpc| vpc.subnets.clone()))),
        security_groups: sorted(vpc.and_then(|vpc| vpc.security_groups.clone()))
            .into_iter()
            .map(Input::Known)
            .collect(),
        version: found.kafka_connect_version.clone().unwrap_or_default(),
        topics: topics.map(|topic| (topic.to_owned(), Input::Known(topic.to_owned()))).collect(),
        configuration: settings,
        mcu: size.map_or(0, |size| number(size.mcu_count)),
        workers: size.map_or(0, |size| number(size.worker_count)),
        iam,
        tags,
    }
}

fn sorted(ids: Option<Vec<String>>) -> Vec<String> {
    let mut ids = ids.unwrap_or_default();
    ids.sort();
    ids
}
