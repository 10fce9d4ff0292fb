//! What changes a cluster: each request is checked and becomes an operation, which `lifecycle` carries out. One runs at a
//! time, and each is for the version of the cluster that its caller has seen.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::book::{Book, Cluster, Operation, OperationState, State};
use super::desk::Desk;
use super::errors::{bad_request, invalid, unsupported};
use super::{checks, clusters, instance_types, lifecycle, versions};
use crate::services::Call;
use crate::wire::error::ApiError;

/// What is to be: its name, and the members of `MutableClusterInfo` as they are and as they shall be.
struct Change {
    kind: &'static str,
    source: Value,
    target: Value,
}

/// `UpdateBrokerCount`: a multiple of the zones. Fewer are refused where a partition is on the brokers that go.
pub(super) fn broker_count(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "number of brokers", |cluster, _| {
        let (now, wanted) = (cluster.broker_count(), input["TargetNumberOfBrokerNodes"].as_u64().unwrap_or_default());
        checks::broker_count(wanted, cluster.subnets().len())?;
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        if wanted < now {
            let topics = desk.open_brokers(cluster)?.topics();
            let goes = |id: &i32| u32::try_from(*id).is_ok_and(|id| id > wanted);
            let used = topics.iter().find(|topic| topic.partitions.iter().any(|one| one.replicas.iter().any(goes)));
            if let Some(topic) = used {
                let message = format!("The brokers to be removed have partitions of the topic {}.", topic.name);
                return Err(invalid("targetNumberOfBrokerNodes", message));
            }
        }
        let kind = if wanted < now { "DECREASE_BROKER_COUNT" } else { "INCREASE_BROKER_COUNT" };
        let members = |count: u32| json!({ "NumberOfBrokerNodes": count });
        Ok(Change { kind, source: members(now), target: members(wanted) })
    })
}

/// `UpdateBrokerStorage`: volumes of all brokers grow to the same size.
pub(super) fn broker_storage(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "storage", |cluster, _| {
        let wishes = input["TargetBrokerEBSVolumeInfo"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(first) = wishes.first() else {
            return Err(invalid("targetBrokerEBSVolumeInfo", "Specify the target volume size."));
        };
        let same = |one: &Value| one["VolumeSizeGB"] == first["VolumeSizeGB"];
        let all = wishes.len() == 1 && first["KafkaBrokerNodeId"] == "All";
        let each = wishes.len() == cluster.brokers.len() && wishes.iter().all(same);
        if !all && !each {
            let message = "All brokers must have the same storage: name the broker id All.";
            return Err(invalid("kafkaBrokerNodeId", message));
        }
        volume_change(cluster, &first["VolumeSizeGB"], &first["ProvisionedThroughput"])
    })
}

/// `UpdateStorage`: size, throughput and storage mode.
pub(super) fn storage(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "storage", |cluster, _| {
        let mut change = volume_change(cluster, &input["VolumeSizeGB"], &input["ProvisionedThroughput"])?;
        change.kind = "UPDATE_STORAGE";
        let now = &cluster.settings["StorageMode"];
        match input["StorageMode"].as_str() {
            Some("LOCAL") if now == "TIERED" => {
                return Err(invalid("storageMode", "Tiered storage cannot be turned off for a cluster."));
            }
            Some(mode) => {
                change.source["StorageMode"] = now.clone();
                change.target["StorageMode"] = json!(mode);
            }
            None => {}
        }
        Ok(change)
    })
}

/// `UpdateBrokerType`.
pub(super) fn broker_type(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "broker type", |cluster, _| {
        let wanted = input["TargetInstanceType"].as_str().unwrap_or_default();
        instance_types::check(wanted, "targetInstanceType")?;
        if instance_types::is_express(wanted) != instance_types::is_express(cluster.instance_type()) {
            let message = "Standard brokers cannot become express brokers, nor express brokers standard ones.";
            return Err(invalid("targetInstanceType", message));
        }
        let members = |kind: &str| json!({ "InstanceType": kind });
        Ok(Change { kind: "UPDATE_BROKER_TYPE", source: members(cluster.instance_type()), target: members(wanted) })
    })
}

/// `UpdateClusterConfiguration`.
pub(super) fn configuration(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "configuration", |cluster, book| {
        let asked = &input["ConfigurationInfo"];
        checks::configuration(book, &cluster.region, asked, &cluster.kafka_version)?;
        Ok(Change {
            kind: "UPDATE_CLUSTER_CONFIGURATION",
            source: json!({"ConfigurationInfo": configuration_of(cluster)}),
            target: json!({"ConfigurationInfo": {"Arn": asked["Arn"], "Revision": asked["Revision"]}}),
        })
    })
}

/// `UpdateClusterKafkaVersion`, with a configuration for the new version where one is given.
pub(super) fn kafka_version(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "Kafka version", |cluster, book| {
        let wanted = input["TargetKafkaVersion"].as_str().unwrap_or_default();
        let targets = versions::targets(&cluster.kafka_version);
        if wanted != cluster.kafka_version && !targets.contains(&wanted) {
            let message = format!(
                "A cluster of the Kafka version {} cannot be updated to {wanted}. Valid values: [{}]",
                cluster.kafka_version,
                targets.join(", ")
            );
            return Err(invalid("targetKafkaVersion", message));
        }
        let mut change = Change {
            kind: "UPDATE_CLUSTER_KAFKA_VERSION",
            source: json!({"KafkaVersion": cluster.kafka_version}),
            target: json!({ "KafkaVersion": wanted }),
        };
        let asked = &input["ConfigurationInfo"];
        if checks::configuration(book, &cluster.region, asked, wanted)?.is_some() {
            change.source["ConfigurationInfo"] = configuration_of(cluster);
            change.target["ConfigurationInfo"] = json!({"Arn": asked["Arn"], "Revision": asked["Revision"]});
        }
        Ok(change)
    })
}

/// `UpdateConnectivity`: to what there is, which is access from inside the VPC.
pub(super) fn connectivity(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "connectivity", |cluster, _| {
        if !input["ZookeeperAccess"].is_null() {
            return Err(unsupported("zookeeperAccess", "ZooKeeper (`ZookeeperAccess`)"));
        }
        let wanted = checks::connectivity(&input["ConnectivityInfo"])?;
        let source = json!({"ConnectivityInfo": cluster.group("ConnectivityInfo")});
        Ok(Change { kind: "UPDATE_CONNECTIVITY", source, target: json!({ "ConnectivityInfo": wanted }) })
    })
}

/// `UpdateMonitoring`: what is not given stays.
pub(super) fn monitoring(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "monitoring", |cluster, _| {
        let members = ["EnhancedMonitoring", "OpenMonitoring", "LoggingInfo"];
        Ok(given("UPDATE_MONITORING", cluster, input, &members))
    })
}

/// `UpdateSecurity`: who may connect, and how.
pub(super) fn security(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    update(desk, call, input, "security setting", |cluster, _| {
        let asked = &input["EncryptionInfo"];
        let now = &cluster.settings["EncryptionInfo"];
        if !asked["EncryptionAtRest"].is_null() || !asked["EncryptionInTransit"]["InCluster"].is_null() {
            let message = "Encryption at rest and inside the cluster cannot be changed: leave them out of the request.";
            return Err(invalid("encryptionInfo", message));
        }
        let mut change = given("UPDATE_SECURITY", cluster, input, &["ClientAuthentication"]);
        let mut encryption = now.clone();
        if let Some(client_broker) = asked["EncryptionInTransit"]["ClientBroker"].as_str() {
            encryption["EncryptionInTransit"]["ClientBroker"] = json!(client_broker);
            change.source["EncryptionInfo"] = now.clone();
            change.target["EncryptionInfo"] = encryption.clone();
        }
        let authentication = match &input["ClientAuthentication"] {
            Value::Null => cluster.settings.get("ClientAuthentication").unwrap_or(&Value::Null),
            asked => asked,
        };
        checks::authentication(authentication, &encryption)?;
        Ok(change)
    })
}

/// `RebootBroker`: the brokers answer all the while.
pub(super) fn reboot(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let cluster = clusters::named(desk, call, input)?;
    let ids = super::book::texts(&input["BrokerIds"]);
    let [id] = ids.as_slice() else {
        return Err(invalid("brokerIds", "Specify the id of one broker."));
    };
    let known = id.parse::<usize>().is_ok_and(|id| (1..=cluster.brokers.len()).contains(&id));
    if !known {
        return Err(invalid("brokerIds", format!("The cluster has no broker {id}.")));
    }
    begin(desk, call, &cluster.arn, |cluster, _| {
        cluster.state = State::RebootingBroker;
        Ok(Change { kind: "REBOOT_NODE", source: json!({}), target: json!({}) })
    })
}

/// An update of a cluster that is at rest, for the version that the caller has seen; of something, too.
fn update(
    desk: &Arc<Desk>,
    call: &Call,
    input: &Value,
    what: &str,
    change: impl FnOnce(&Cluster, &Book) -> Result<Change, ApiError>,
) -> Result<Value, ApiError> {
    let arn = clusters::named(desk, call, input)?.arn;
    begin(desk, call, &arn, |cluster, book| {
        clusters::check_version(cluster, input["CurrentVersion"].as_str().unwrap_or_default())?;
        let change = change(cluster, book)?;
        if change.source == change.target {
            return Err(bad_request(format!(
                "The request does not include any updates to the {what} of the cluster. Verify the request, then try again."
            )));
        }
        cluster.state = State::Updating;
        Ok(change)
    })
}

fn begin(
    desk: &Arc<Desk>,
    call: &Call,
    arn: &str,
    change: impl FnOnce(&mut Cluster, &Book) -> Result<Change, ApiError>,
) -> Result<Value, ApiError> {
    let answer = desk.change_cluster(arn, |cluster, book| {
        if cluster.state != State::Active {
            let state = cluster.state.name();
            return Err(bad_request(format!("You can't update a cluster in {state} state: it must be ACTIVE.")));
        }
        let change = change(cluster, book)?;
        let operation = Operation {
            arn: cluster.arn_of("cluster-operation", &uuid::Uuid::new_v4().to_string()),
            cluster: cluster.arn.clone(),
            kind: change.kind.to_owned(),
            state: OperationState::Pending,
            request_id: call.request_id.clone(),
            created: desk.clock.now_millis(),
            ended: None,
            source: members(change.source),
            target: members(change.target),
            failure: None,
        };
        cluster.operation = Some(operation.arn.clone());
        let answer = json!({"ClusterArn": cluster.arn, "ClusterOperationArn": operation.arn});
        Ok((answer, Some(operation)))
    })?;
    lifecycle::follow(desk, arn);
    Ok(answer)
}

/// Members that the request has, beside what they are now.
fn given(kind: &'static str, cluster: &Cluster, input: &Value, names: &[&str]) -> Change {
    let mut change = Change { kind, source: json!({}), target: json!({}) };
    for name in names.iter().filter(|name| !input[**name].is_null()) {
        change.target[*name] = input[*name].clone();
        if let Some(now) = cluster.settings.get(*name) {
            change.source[*name] = now.clone();
        }
    }
    change
}

/// Volumes only grow; what is not given stays.
fn volume_change(cluster: &Cluster, size: &Value, throughput: &Value) -> Result<Change, ApiError> {
    if instance_types::is_express(cluster.instance_type()) {
        return Err(invalid("volumeSizeGB", "Express brokers keep their storage themselves."));
    }
    let volume = &cluster.group("StorageInfo")["EbsStorageInfo"];
    let now = volume["VolumeSize"].as_u64().unwrap_or_default();
    let wanted = size.as_u64().unwrap_or(now);
    if wanted < now || wanted > 16_384 {
        let message = format!("The storage of a broker can only grow, from {now} GiB up to 16384 GiB.");
        return Err(invalid("volumeSizeGB", message));
    }
    let kept = &volume["ProvisionedThroughput"];
    let throughput = if throughput.is_null() { kept } else { throughput };
    let members = |size: u64, throughput: &Value| {
        let mut volume = json!({"KafkaBrokerNodeId": "All", "VolumeSizeGB": size});
        if !throughput.is_null() {
            volume["ProvisionedThroughput"] = throughput.clone();
        }
        json!({ "BrokerEBSVolumeInfo": [volume] })
    };
    Ok(Change { kind: "INCREASE_BROKER_STORAGE", source: members(now, kept), target: members(wanted, throughput) })
}

fn configuration_of(cluster: &Cluster) -> Value {
    let of = |used: &super::book::Revised| json!({"Arn": used.arn, "Revision": used.revision});
    cluster.configuration.as_ref().map_or(Value::Null, of)
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
