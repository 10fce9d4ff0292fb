//! Clusters as the two generations of the API show them.

use serde_json::{Map, Value, json};

use super::book::{Cluster, State, timestamp};

/// As `DescribeCluster` shows it: all in one structure.
pub(super) fn v1(cluster: &Cluster) -> Value {
    let mut view = common(cluster);
    view.extend(cluster.settings.clone());
    view.insert("CurrentBrokerSoftwareInfo".to_owned(), software(cluster));
    Value::Object(view)
}

/// As `DescribeClusterV2` shows it: what only provisioned clusters have stands by itself.
pub(super) fn v2(cluster: &Cluster) -> Value {
    let mut view = common(cluster);
    let mut provisioned = cluster.settings.clone();
    provisioned.insert("CurrentBrokerSoftwareInfo".to_owned(), software(cluster));
    view.insert("ClusterType".to_owned(), json!("PROVISIONED"));
    view.insert("Provisioned".to_owned(), Value::Object(provisioned));
    Value::Object(view)
}

/// What brokers run.
pub(super) fn software(cluster: &Cluster) -> Value {
    let mut view = json!({"KafkaVersion": cluster.kafka_version});
    if let Some(configuration) = &cluster.configuration {
        view["ConfigurationArn"] = json!(configuration.arn);
        view["ConfigurationRevision"] = json!(configuration.revision);
    }
    view
}

fn common(cluster: &Cluster) -> Map<String, Value> {
    let mut view = Map::new();
    let mut put = |member: &str, value: Value| drop(view.insert(member.to_owned(), value));
    put("ClusterArn", json!(cluster.arn));
    put("ClusterName", json!(cluster.name));
    put("CreationTime", timestamp(cluster.created));
    put("CurrentVersion", json!(cluster.version));
    put("State", json!(cluster.state.name()));
    put("Tags", json!(cluster.tags));
    if let Some(operation) = &cluster.operation {
        put("ActiveOperationArn", json!(operation));
    }
    if let Some((code, message)) = cluster.failure.as_ref().filter(|_| cluster.state != State::Creating) {
        put("StateInfo", json!({"Code": code, "Message": message}));
    }
    view
}
