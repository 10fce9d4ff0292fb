//! Clusters: made, described, listed, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::book::{Broker, Cluster, State};
use super::desk::Desk;
use super::errors::{bad_request, conflict, unsupported};
use super::pages::page;
use super::{checks, lifecycle, tags, views};
use crate::services::Call;
use crate::services::ec2::InterfaceWish;
use crate::wire::error::ApiError;

/// What people see of the interfaces of brokers, as `RequesterId`.
const REQUESTER: &str = "amazon-msk";

/// `CreateCluster`.
pub(super) fn create(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let cluster = made(desk, call, input, input)?;
    Ok(json!({"ClusterArn": cluster.arn, "ClusterName": cluster.name, "State": cluster.state.name()}))
}

/// `CreateClusterV2`: provisioned clusters only.
pub(super) fn create_v2(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    if !input["Serverless"].is_null() {
        return Err(unsupported("serverless", "serverless clusters (`Serverless`)"));
    }
    if input["Provisioned"].is_null() {
        return Err(super::errors::invalid("provisioned", "Specify either Provisioned or Serverless."));
    }
    let cluster = made(desk, call, input, &input["Provisioned"])?;
    Ok(json!({
        "ClusterArn": cluster.arn, "ClusterName": cluster.name, "ClusterType": "PROVISIONED",
        "State": cluster.state.name(),
    }))
}

/// `DescribeCluster`.
pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    Ok(json!({"ClusterInfo": views::v1(&named(desk, call, input)?)}))
}

/// `DescribeClusterV2`.
pub(super) fn describe_v2(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    Ok(json!({"ClusterInfo": views::v2(&named(desk, call, input)?)}))
}

/// `ListClusters`.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    listed(desk, call, input, views::v1)
}

/// `ListClustersV2`.
pub(super) fn list_v2(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    match input["ClusterTypeFilter"].as_str() {
        None | Some("PROVISIONED") => listed(desk, call, input, views::v2),
        Some("SERVERLESS") => Ok(json!({"ClusterInfoList": []})),
        Some(other) => {
            let message = format!("Unsupported ClusterTypeFilter [{other}]. Valid values: [PROVISIONED, SERVERLESS]");
            Err(super::errors::invalid("clusterTypeFilter", message))
        }
    }
}

/// `DeleteCluster`: one that is being deleted already stays so.
pub(super) fn delete(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = named(desk, call, input)?.arn;
    desk.change_cluster(&arn, |cluster, _| {
        if let Some(version) = input["CurrentVersion"].as_str() {
            check_version(cluster, version)?;
        }
        match cluster.state {
            State::Active | State::Failed | State::Deleting => {}
            state => return Err(bad_request(format!("You can't delete cluster in {} state.", state.name()))),
        }
        cluster.state = State::Deleting;
        Ok(((), None))
    })?;
    lifecycle::follow(desk, &arn);
    Ok(json!({"ClusterArn": arn, "State": "DELETING"}))
}

/// The cluster that a request names.
pub(super) fn named(desk: &Desk, call: &Call, input: &Value) -> Result<Cluster, ApiError> {
    desk.cluster(&call.region, input["ClusterArn"].as_str().unwrap_or_default())
}

/// Refuses a request that was written for an earlier version of the cluster.
pub(super) fn check_version(cluster: &Cluster, version: &str) -> Result<(), ApiError> {
    if cluster.version == version {
        return Ok(());
    }
    let message = format!("The current version of the cluster is {}, and not {version}.", cluster.version);
    Err(super::errors::invalid("currentVersion", message))
}

/// Another `CurrentVersion`: `K` and thirteen letters and digits.
pub(super) fn new_version() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let random: [u8; 13] = rand::random();
    let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    std::iter::once('K').chain(letters).collect()
}

/// Makes the network have interfaces for `count` brokers of a cluster, evenly over its subnets; those that are there stay.
pub(super) fn place_brokers(desk: &Desk, cluster: &Cluster, count: u32) -> Result<Vec<Broker>, ApiError> {
    let subnets = cluster.subnets();
    let groups = super::book::texts(cluster.group("SecurityGroups"));
    let wish = |subnet: &String| InterfaceWish {
        subnet: subnet.clone(),
        groups: groups.clone(),
        description: format!("DO NOT DELETE - Amazon MSK network interface for cluster {}", cluster.arn),
    };
    let wishes: Vec<InterfaceWish> = subnets.iter().cycle().take(count as usize).map(wish).collect();
    let placed = desk.network.place_interfaces(&cluster.region, &cluster.arn, REQUESTER, &wishes)?;
    let now = desk.clock.now_millis();
    let broker = |interface: crate::services::ec2::PlacedInterface| {
        let there = cluster.brokers.iter().find(|broker| broker.interface == interface.id);
        there.cloned().unwrap_or_else(|| Broker {
            uuid: uuid::Uuid::new_v4().to_string(),
            interface: interface.id,
            private_ip: interface.private_ip,
            subnet: interface.subnet,
            added: now,
        })
    };
    Ok(placed.into_iter().map(broker).collect())
}

/// Gives a cluster the interfaces of its brokers; those that it has stay.
pub(super) fn connect(desk: &Desk, cluster: &Cluster) -> Result<(), ApiError> {
    let brokers = place_brokers(desk, cluster, cluster.broker_count())?;
    desk.change_cluster(&cluster.arn, |cluster, _| {
        cluster.brokers = brokers;
        Ok(((), None))
    })
}

fn made(desk: &Arc<Desk>, call: &Call, input: &Value, asked: &Value) -> Result<Cluster, ApiError> {
    let name = input["ClusterName"].as_str().unwrap_or_default();
    checks::name(name)?;
    let mut tags = BTreeMap::new();
    tags::merged(&mut tags, &input["Tags"])?;
    let settings = checks::settings(desk, call, asked)?;
    let kafka_version = checks::kafka_version(asked, &settings)?;
    let uuid = format!("{}-{}", uuid::Uuid::new_v4(), rand::random::<u8>() % 25 + 1);
    let cluster = desk.add_cluster(|book| {
        let mut here = book.clusters.values().filter(|cluster| cluster.region == call.region);
        if here.any(|cluster| cluster.name == name) {
            return Err(conflict("clusterName", "A resource with this name already exists."));
        }
        let configuration = &asked["ConfigurationInfo"];
        Ok(Cluster {
            arn: format!("arn:aws:kafka:{}:{}:cluster/{name}/{uuid}", call.region, call.account),
            name: name.to_owned(),
            uuid,
            region: call.region.clone(),
            account: call.account.clone(),
            created: desk.clock.now_millis(),
            version: new_version(),
            state: State::Creating,
            failure: call.fails.clone().map(|why| ("InternalError".to_owned(), why)),
            operation: None,
            configuration: checks::configuration(book, &call.region, configuration, &kafka_version)?,
            settings,
            kafka_version,
            tags,
            brokers: Vec::new(),
        })
    })?;
    // After the cluster is on disk: interfaces that nobody knows of would hold their security groups for ever. From here
    // on they are held by the cluster, as on AWS.
    if let Err(error) = connect(desk, &cluster) {
        desk.forget_cluster(&cluster.arn)?;
        return Err(error);
    }
    lifecycle::follow(desk, &cluster.arn);
    Ok(cluster)
}

fn listed(desk: &Desk, call: &Call, input: &Value, view: fn(&Cluster) -> Value) -> Result<Value, ApiError> {
    let prefix = input["ClusterNameFilter"].as_str().unwrap_or_default();
    let book = desk.book();
    let here = book.clusters.values().filter(|one| one.region == call.region && one.name.starts_with(prefix));
    let mut items: Vec<(String, Value)> = here.map(|cluster| (cluster.name.clone(), view(cluster))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    page(items, input, "ClusterInfoList")
}
