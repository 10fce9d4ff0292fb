//! A cluster that a stack uses and does not own.

use aws_sdk_kafka::types::{Cluster, ClusterState};
use pinfra_engine::{CloudError, ErrorKind};

use crate::clients::Clients;
use crate::error::{classify, incomplete};

/// What was found of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existing {
    /// There is none of that name or ARN.
    Absent,
    /// It is there and takes no clients now.
    NotReady {
        /// Such as `CREATING`.
        state: String,
    },
    /// It is there, and clients cannot be known to it by IAM.
    WithoutIam,
    /// It can be used.
    Ready {
        /// Its ARN.
        arn: String,
        /// Where its brokers take IAM, sorted.
        bootstrap_iam: String,
        /// The subnets that it is in, sorted.
        subnets: Vec<String>,
        /// How many brokers it has.
        brokers: u32,
    },
}

/// Looks for the cluster of this name or ARN.
pub async fn find(clients: &Clients, name_or_arn: &str) -> Result<Existing, CloudError> {
    let found = if name_or_arn.starts_with("arn:") {
        by_arn(clients, name_or_arn).await?
    } else {
        by_name(clients, name_or_arn).await?
    };
    let Some(cluster) = found else { return Ok(Existing::Absent) };
    let arn = cluster.cluster_arn().ok_or_else(|| incomplete("kafka:DescribeClusterV2", "the cluster's ARN"))?;
    match cluster.state() {
        Some(ClusterState::Active | ClusterState::Updating) => {}
        state => {
            let state =
                state.map_or_else(|| "in a state that is not told".to_owned(), |state| state.as_str().to_owned());
            return Ok(Existing::NotReady { state });
        }
    }
    let answer = clients.kafka.get_bootstrap_brokers().cluster_arn(arn).send().await;
    let answer = answer.map_err(|error| classify("kafka:GetBootstrapBrokers", &error))?;
    let Some(bootstrap) = answer.bootstrap_broker_string_sasl_iam() else { return Ok(Existing::WithoutIam) };
    Ok(ready(arn, &cluster, bootstrap))
}

/// Servers and subnets come in no fixed order, and what is made of them is compared with what AWS tells later.
fn ready(arn: &str, cluster: &Cluster, bootstrap: &str) -> Existing {
    let mut servers: Vec<&str> = bootstrap.split(',').collect();
    servers.sort_unstable();
    let provisioned = cluster.provisioned();
    let brokers = provisioned.and_then(|cluster| cluster.number_of_broker_nodes()).unwrap_or_default();
    let nodes = provisioned.and_then(|cluster| cluster.broker_node_group_info());
    let mut subnets = nodes.map(|nodes| nodes.client_subnets().to_vec()).unwrap_or_default();
    subnets.sort_unstable();
    Existing::Ready {
        arn: arn.to_owned(),
        bootstrap_iam: servers.join(","),
        subnets,
        brokers: u32::try_from(brokers).unwrap_or_default(),
    }
}

async fn by_arn(clients: &Clients, arn: &str) -> Result<Option<Cluster>, CloudError> {
    match clients.kafka.describe_cluster_v2().cluster_arn(arn).send().await {
        Ok(answer) => Ok(answer.cluster_info),
        Err(error) => match classify("kafka:DescribeClusterV2", &error) {
            gone if gone.kind == ErrorKind::NotFound => Ok(None),
            error => Err(error),
        },
    }
}

/// The filter takes a prefix, so the name is compared again.
async fn by_name(clients: &Clients, name: &str) -> Result<Option<Cluster>, CloudError> {
    let mut pages = clients.kafka.list_clusters_v2().cluster_name_filter(name).into_paginator().items().send();
    while let Some(cluster) = pages.next().await {
        let cluster = cluster.map_err(|error| classify("kafka:ListClustersV2", &error))?;
        if cluster.cluster_name() == Some(name) {
            return Ok(Some(cluster));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use aws_sdk_kafka::types::{BrokerNodeGroupInfo, Provisioned};

    use super::*;

    #[test]
    fn it_is_the_same_in_whatever_order_it_is_told() {
        let told = |subnets: [&str; 2], bootstrap: &str| {
            let nodes = BrokerNodeGroupInfo::builder().set_client_subnets(Some(subnets.map(str::to_owned).into()));
            let nodes = nodes.instance_type("kafka.m7g.large").build();
            let provisioned = Provisioned::builder().broker_node_group_info(nodes).number_of_broker_nodes(2).build();
            ready("arn:c", &Cluster::builder().provisioned(provisioned).build(), bootstrap)
        };
        let one = told(["subnet-b", "subnet-a"], "b-2:9098,b-1:9098");
        assert_eq!(one, told(["subnet-a", "subnet-b"], "b-1:9098,b-2:9098"));
        let sorted = ["subnet-a", "subnet-b"].map(str::to_owned);
        assert!(matches!(one, Existing::Ready { subnets, brokers: 2, .. } if subnets == sorted));
    }
}
