//! Which ARNs a call is about, for the policies of roles ("Actions, resources, and condition keys for Amazon Managed
//! Streaming for Apache Kafka", Service Authorization Reference).

use serde_json::Value;

use crate::services::Call;

/// The ARNs of a call; `None` where it is about everything.
pub(super) fn named(call: &Call, input: &Value) -> Option<Vec<String>> {
    if call.operation == "CreateCluster" || call.operation == "CreateClusterV2" {
        let name = input["ClusterName"].as_str().unwrap_or_default();
        return Some(vec![format!("arn:aws:kafka:{}:{}:cluster/{name}/*", call.region, call.account)]);
    }
    let members = ["ClusterArn", "ClusterOperationArn", "ResourceArn", "Arn"];
    let arn = members.iter().find_map(|member| input[*member].as_str())?;
    let topic = input["TopicName"].as_str().and_then(|topic| topic_of(arn, topic));
    Some(vec![topic.unwrap_or_else(|| arn.to_owned())])
}

/// `arn:…:topic/<name>/<uuid>/<topic>` for the ARN of a cluster.
fn topic_of(cluster: &str, topic: &str) -> Option<String> {
    let (before, resource) = cluster.split_once(":cluster/")?;
    Some(format!("{before}:topic/{resource}/{topic}"))
}
