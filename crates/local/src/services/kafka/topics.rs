//! Topics by the AWS API: what Kafka clients see and make, too. The brokers carry a change out at once; for the settle
//! time the topic is CREATING or UPDATING, as on AWS.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::book::Cluster;
use super::clusters::named;
use super::desk::Desk;
use super::errors::{bad_request, invalid, no_topic, of_broker};
use super::pages::page;
use super::properties;
use crate::kafka::{self, TopicInfo};
use crate::services::Call;
use crate::wire::error::ApiError;

/// What a topic is going through, and until when.
type Mark = (&'static str, Instant);

/// What topics are going through, in memory: the brokers have done it already.
#[derive(Default)]
pub(super) struct Marks {
    by_topic: Mutex<HashMap<(String, String), Mark>>,
}

impl Marks {
    fn set(&self, cluster: &Cluster, topic: &str, status: &'static str, settle: Duration) {
        let now = Instant::now();
        let mut marks = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        marks.retain(|_, (_, until)| *until > now);
        marks.insert((cluster.arn.clone(), topic.to_owned()), (status, now + settle));
    }

    fn get(&self, cluster: &Cluster, topic: &str) -> &'static str {
        let marks = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = marks.get(&(cluster.arn.clone(), topic.to_owned()));
        mark.filter(|(_, until)| *until > Instant::now()).map_or("ACTIVE", |(status, _)| *status)
    }
}

/// `CreateTopic`.
pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (cluster, brokers) = open(desk, call, input)?;
    let name = topic_name(input);
    let partitions = whole(&input["PartitionCount"]);
    let replication = i16::try_from(whole(&input["ReplicationFactor"])).unwrap_or(i16::MAX);
    let configs = configs(&input["Configs"])?.unwrap_or_default();
    brokers.create_topic(name, partitions, replication, &configs).map_err(|refused| of_broker(&refused))?;
    desk.marks.set(&cluster, name, "CREATING", desk.settle);
    Ok(status(&cluster, name, "CREATING"))
}

/// `UpdateTopic`: more partitions, or other configs in the place of all that are set.
pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (cluster, brokers) = open(desk, call, input)?;
    let name = topic_name(input);
    let Some(topic) = brokers.topic(name) else { return Err(unknown(name)) };
    let configs = configs(&input["Configs"])?;
    let wanted = input["PartitionCount"].is_number().then(|| whole(&input["PartitionCount"]));
    let now = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if configs.is_none() && wanted.is_none() {
        return Err(bad_request("Specify the partition count or the configs of the topic."));
    }
    if wanted.is_some_and(|wanted| wanted < now) {
        let message = format!("The topic {name} has {now} partitions: their number can only grow.");
        return Err(invalid("partitionCount", message));
    }
    // The configs first: they are what can be refused now.
    if let Some(configs) = configs {
        brokers.configure_topic(name, &configs).map_err(|refused| of_broker(&refused))?;
    }
    if let Some(wanted) = wanted.filter(|wanted| *wanted > now) {
        brokers.add_partitions(name, wanted).map_err(|refused| of_broker(&refused))?;
    }
    desk.marks.set(&cluster, name, "UPDATING", desk.settle);
    Ok(status(&cluster, name, "UPDATING"))
}

/// `DeleteTopic`.
pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (cluster, brokers) = open(desk, call, input)?;
    let name = topic_name(input);
    brokers.delete_topic(name).map_err(|refused| of_broker(&refused))?;
    Ok(status(&cluster, name, "DELETING"))
}

/// `DescribeTopic`. The configs are those that were set on the topic itself.
pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (cluster, brokers) = open(desk, call, input)?;
    let name = topic_name(input);
    let topic = brokers.topic(name).ok_or_else(|| no_topic(name))?;
    let mut answer = summary(&cluster, &topic);
    if let Some(object) = answer.as_object_mut() {
        object.remove("OutOfSyncReplicaCount");
    }
    answer["Status"] = json!(desk.marks.get(&cluster, name));
    let lines: Vec<String> = topic.configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    answer["Configs"] = json!(STANDARD.encode(lines.join("\n")));
    Ok(answer)
}

/// `DescribeTopicPartitions`.
pub(super) fn partitions(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (_, brokers) = open(desk, call, input)?;
    let name = topic_name(input);
    let topic = brokers.topic(name).ok_or_else(|| no_topic(name))?;
    let view = |one: &kafka::PartitionInfo| {
        let partition =
            json!({"Partition": one.id, "Leader": one.leader, "Replicas": one.replicas, "Isr": one.replicas});
        (format!("{:010}", one.id), partition)
    };
    page(topic.partitions.iter().map(view).collect(), input, "Partitions")
}

/// `ListTopics`, by a prefix of their names.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (cluster, brokers) = open(desk, call, input)?;
    let prefix = input["TopicNameFilter"].as_str().unwrap_or_default();
    let topics = brokers.topics();
    let wanted = topics.iter().filter(|topic| topic.name.starts_with(prefix));
    let mut items: Vec<(String, Value)> = wanted.map(|topic| (topic.name.clone(), summary(&cluster, topic))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    page(items, input, "Topics")
}

fn open(desk: &Desk, call: &Call, input: &Value) -> Result<(Cluster, Arc<kafka::Cluster>), ApiError> {
    let cluster = named(desk, call, input)?;
    if !cluster.state.is_up() {
        let state = cluster.state.name();
        return Err(bad_request(format!("Topics of a cluster in {state} state cannot be used: it must be ACTIVE.")));
    }
    let brokers = desk.open_brokers(&cluster)?;
    Ok((cluster, brokers))
}

/// Configs come as base64 of lines `name=value` ("Describe a topic using the AWS CLI", MSK developer guide).
fn configs(given: &Value) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let Some(text) = given.as_str() else { return Ok(None) };
    let refused = || invalid("configs", "Configs must be the base64 encoding of lines such as retention.ms=604800000.");
    let text = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
    properties::parse(&text).map(Some).map_err(|_| refused())
}

fn summary(cluster: &Cluster, topic: &TopicInfo) -> Value {
    let replication = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    json!({
        "TopicArn": cluster.arn_of("topic", &topic.name), "TopicName": topic.name,
        "PartitionCount": topic.partitions.len(), "ReplicationFactor": replication, "OutOfSyncReplicaCount": 0,
    })
}

fn status(cluster: &Cluster, name: &str, status: &str) -> Value {
    json!({"TopicArn": cluster.arn_of("topic", name), "TopicName": name, "Status": status})
}

fn topic_name(input: &Value) -> &str {
    input["TopicName"].as_str().unwrap_or_default()
}

fn whole(number: &Value) -> i32 {
    number.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(i32::MAX)
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("UnknownTopicOrPartitionException", format!("The topic {name} does not exist."))
}
