//! Reading a cluster back, in the words of its inputs.

use aws_sdk_kafka::operation::get_bootstrap_brokers::GetBootstrapBrokersOutput;
use aws_sdk_kafka::types::{Cluster, ClusterState, Provisioned};
use pinfra_engine::value::Input;
use pinfra_engine::{CloudError, Live};

use super::cluster::{ClusterConfiguration, ClusterInputs, ClusterOutputs};
use crate::clients::Clients;
use crate::error::{classify, unless_gone};

/// A cluster as MSK has it, also while it is going.
pub(super) async fn describe_cluster(clients: &Clients, arn: &str) -> Result<Option<Cluster>, CloudError> {
    let answer = clients.kafka.describe_cluster_v2().cluster_arn(arn).send().await;
    let answer = unless_gone(answer.map_err(|error| classify("kafka:DescribeClusterV2", &error)))?;
    Ok(answer.and_then(|answer| answer.cluster_info))
}

/// What a cluster is, with where its brokers answer.
pub(super) async fn live(
    clients: &Clients,
    found: &Cluster,
) -> Result<Live<ClusterInputs, ClusterOutputs>, CloudError> {
    let answer = match answering_at(found) {
        Some(arn) => Some(bootstrap(clients, arn).await?),
        None => None,
    };
    live_with(clients, found, answer).await
}

/// The same for who has asked already where brokers answer.
pub(super) async fn live_with(
    clients: &Clients,
    found: &Cluster,
    answer: Option<GetBootstrapBrokersOutput>,
) -> Result<Live<ClusterInputs, ClusterOutputs>, CloudError> {
    let inputs = inputs(found);
    let arn = found.cluster_arn.clone().unwrap_or_default();
    let answering = match answer {
        Some(answer) => Bootstrap::of(clients, &arn, answer, inputs.brokers).await?,
        None => Bootstrap::default(),
    };
    let prefix = |resource: &str| arn.replacen(":cluster/", &format!(":{resource}/"), 1);
    let outputs = ClusterOutputs {
        name: inputs.name.clone(),
        bootstrap_iam: answering.iam.unwrap_or_default(),
        bootstrap: answering.plaintext,
        subnets: inputs.subnets.clone().unwrap_or_default(),
        topics_arn: prefix("topic"),
        groups_arn: prefix("group"),
        transactional_ids_arn: prefix("transactional-id"),
        failure: (found.state == Some(ClusterState::Failed)).then(|| why_failed(found)),
        condition: condition(found),
        arn,
    };
    Ok(Live { inputs, outputs })
}

/// The ARN of a cluster that tells where its brokers answer: it refuses before it is up and once it failed (field).
pub(super) fn answering_at(found: &Cluster) -> Option<&str> {
    let down =
        matches!(found.state, None | Some(ClusterState::Creating | ClusterState::Failed | ClusterState::Deleting));
    found.cluster_arn.as_deref().filter(|_| !down)
}

/// Where the brokers of a cluster answer, as MSK tells it.
pub(super) async fn bootstrap(clients: &Clients, arn: &str) -> Result<GetBootstrapBrokersOutput, CloudError> {
    let answer = clients.kafka.get_bootstrap_brokers().cluster_arn(arn).send().await;
    answer.map_err(|error| classify("kafka:GetBootstrapBrokers", &error))
}

/// What a cluster is that does not serve as it should. One that somebody is changing serves.
fn condition(found: &Cluster) -> Option<String> {
    let state = found.state.as_ref()?;
    let serves = [ClusterState::Active, ClusterState::Updating, ClusterState::RebootingBroker, ClusterState::Failed];
    (!serves.contains(state)).then(|| format!("the cluster is {}", state.as_str()))
}

/// What MSK says of a cluster that failed.
pub(super) fn why_failed(found: &Cluster) -> String {
    let info = found.state_info.as_ref();
    let code = info.and_then(|info| info.code.as_deref()).unwrap_or("FAILED");
    let message = info.and_then(|info| info.message.as_deref()).unwrap_or("MSK gives no reason");
    format!("{code}: {message}")
}

/// What the cluster is, in the words of its inputs.
pub(super) fn inputs(found: &Cluster) -> ClusterInputs {
    let nothing = Provisioned::builder().build();
    let provisioned = found.provisioned.as_ref().unwrap_or(&nothing);
    let group = provisioned.broker_node_group_info.as_ref();
    let software = provisioned.current_broker_software_info.as_ref();
    let volume = group.and_then(|group| group.storage_info.as_ref()?.ebs_storage_info.as_ref()?.volume_size);
    let configuration = software.and_then(|software| {
        let arn = Input::Known(software.configuration_arn.clone()?);
        Some(ClusterConfiguration { arn, revision: Input::Known(software.configuration_revision.unwrap_or_default()) })
    });
    let in_transit = provisioned.encryption_info.as_ref().and_then(|info| info.encryption_in_transit.as_ref());
    let sasl = provisioned.client_authentication.as_ref().and_then(|authentication| authentication.sasl.as_ref());
    let groups = sorted(group.and_then(|group| group.security_groups.clone()));
    ClusterInputs {
        name: found.cluster_name.clone().unwrap_or_default(),
        kafka_version: software.and_then(|software| software.kafka_version.clone()).unwrap_or_default(),
        brokers: number(provisioned.number_of_broker_nodes).unwrap_or_default(),
        instance: group.and_then(|group| group.instance_type.clone()).unwrap_or_default(),
        storage_gib: number(volume),
        subnets: Some(sorted(group.and_then(|group| group.client_subnets.clone()))),
        security_groups: groups.into_iter().map(Input::Known).collect(),
        configuration,
        // What MSK leaves out is its default (API reference, `CreateCluster`).
        monitoring: provisioned.enhanced_monitoring.as_ref().map_or("DEFAULT", |level| level.as_str()).to_owned(),
        client_broker: in_transit
            .and_then(|in_transit| in_transit.client_broker.as_ref())
            .map_or("TLS", |protocol| protocol.as_str())
            .to_owned(),
        iam: sasl.and_then(|sasl| sasl.iam.as_ref()?.enabled) == Some(true),
        tags: found.tags.clone().unwrap_or_default().into_iter().collect(),
    }
}

fn number(found: Option<i32>) -> Option<u32> {
    found.and_then(|found| u32::try_from(found).ok())
}

fn sorted(ids: Option<Vec<String>>) -> Vec<String> {
    let mut ids = ids.unwrap_or_default();
    ids.sort();
    ids
}

/// Where brokers answer, sorted and separated by commas.
#[derive(Default)]
struct Bootstrap {
    iam: Option<String>,
    plaintext: Option<String>,
}

impl Bootstrap {
    async fn of(
        clients: &Clients,
        arn: &str,
        answer: GetBootstrapBrokersOutput,
        brokers: u32,
    ) -> Result<Bootstrap, CloudError> {
        let (iam, plaintext) = (answer.bootstrap_broker_string_sasl_iam, answer.bootstrap_broker_string);
        let listed = iam.as_deref().or(plaintext.as_deref()).map_or(0, |servers| servers.split(',').count());
        let names = if listed < brokers as usize { broker_names(clients, arn).await? } else { Vec::new() };
        Ok(Bootstrap {
            iam: iam.filter(|servers| !servers.is_empty()).map(|servers| all_servers(&servers, &names)),
            plaintext: plaintext.filter(|servers| !servers.is_empty()).map(|servers| all_servers(&servers, &names)),
        })
    }
}

/// The host names of all brokers.
async fn broker_names(clients: &Clients, arn: &str) -> Result<Vec<String>, CloudError> {
    let mut pages = clients.kafka.list_nodes().cluster_arn(arn).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("kafka:ListNodes", &error))?;
        for node in page.node_info_list.unwrap_or_default() {
            names.extend(node.broker_node_info.and_then(|broker| broker.endpoints).unwrap_or_default());
        }
    }
    Ok(names)
}

/// `servers`, or all of `names` with their port: of a large cluster MSK names some brokers only, others at each call, in
/// no fixed order (field), and what refers to them must not change with that.
fn all_servers(servers: &str, names: &[String]) -> String {
    let mut all: Vec<String> = servers.split(',').map(|server| server.trim().to_owned()).collect();
    let ports: Vec<&str> =
        servers.split(',').filter_map(|server| server.trim().rsplit_once(':')).map(|(_, p)| p).collect();
    let one_port = ports.first().filter(|first| ports.iter().all(|port| port == *first));
    if let Some(port) = one_port
        && names.len() > all.len()
    {
        all = names.iter().map(|name| format!("{name}:{port}")).collect();
    }
    all.sort();
    all.dedup();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_sorted_and_complete() {
        assert_eq!(all_servers("b-2.x:9098,b-1.x:9098", &[]), "b-1.x:9098,b-2.x:9098");
        let names: Vec<String> = (1..=4).map(|n| format!("b-{n}.x")).collect();
        assert_eq!(all_servers("b-4.x:9098,b-2.x:9098", &names), "b-1.x:9098,b-2.x:9098,b-3.x:9098,b-4.x:9098");
        // Brokers with ports of their own are all named.
        assert_eq!(all_servers("h:2,h:1", &names), "h:1,h:2");
    }
}
