//! Topics made, grown, emptied and deleted.

use std::collections::{BTreeMap, HashSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use uuid::Uuid;

use super::{Context, code, message, text};
use crate::kafka::configs::{TOPIC_CONFIGS, effective};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;
use crate::kafka::topic::TopicInfo;

/// Makes topics, or says whether they could be made.
pub(crate) fn create_topics(context: &Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut twice = HashSet::new();
    let mut seen = HashSet::new();
    for topic in &request.topics {
        if !seen.insert(topic.name.clone()) {
            twice.insert(topic.name.clone());
        }
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let created = if twice.contains(&topic.name) {
            Err(Refused::new(ResponseError::InvalidRequest, "the topic is named twice in the request"))
        } else {
            create(context, &topic, request.validate_only)
        };
        let result = CreatableTopicResult::default()
            .with_name(topic.name)
            .with_error_code(code(&created))
            .with_error_message(message(&created));
        results.push(match created {
            Ok(info) => created_topic(context, result, &info),
            Err(_) => result.with_num_partitions(-1).with_replication_factor(-1),
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// Deletes topics, by name or by id.
pub(crate) fn delete_topics(context: &Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let asked = by_name.chain(request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)));
    let responses = asked.map(|(name, id)| {
        let by_id = || context.cluster.topics.with_id(id).map(|topic| TopicName(text(&topic.name)));
        let absent = || Refused::new(ResponseError::UnknownTopicId, "there is no topic with this id");
        let deleted = name.clone().or_else(by_id).ok_or_else(absent).and_then(|name| {
            context.access.check(Action::DeleteTopic, &name)?;
            context.cluster.delete_topic(&name)
        });
        DeletableTopicResult::default()
            .with_name(name)
            .with_topic_id(id)
            .with_error_code(code(&deleted))
            .with_error_message(message(&deleted))
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

/// Makes topics have more partitions.
pub(crate) fn create_partitions(context: &Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let cluster = &context.cluster;
    let results = request.topics.into_iter().map(|topic| {
        let grown = context.access.check(Action::AlterTopic, &topic.name).and_then(|()| {
            if topic.assignments.is_some() {
                return Err(no_assignments());
            }
            cluster.topics.grow(&topic.name, topic.count, &cluster.spec(), request.validate_only)
        });
        CreatePartitionsTopicResult::default()
            .with_name(topic.name)
            .with_error_code(code(&grown))
            .with_error_message(message(&grown))
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// Deletes records before an offset.
pub(crate) fn delete_records(context: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let allowed = context.access.check(Action::DeleteTopic, &topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let id = partition.partition_index;
            let deleted = allowed.clone().and_then(|()| {
                let found = context.cluster.topics.need(&topic.name)?;
                context.leads(found.partition(id)?.leader())?;
                context.cluster.topics.delete_records(&topic.name, id, partition.offset)
            });
            DeleteRecordsPartitionResult::default()
                .with_partition_index(id)
                .with_error_code(code(&deleted))
                .with_low_watermark(deleted.unwrap_or(-1))
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

fn create(context: &Context, topic: &CreatableTopic, validate_only: bool) -> Result<TopicInfo, Refused> {
    context.access.check(Action::CreateTopic, &topic.name)?;
    if !topic.assignments.is_empty() {
        return Err(no_assignments());
    }
    let set =
        topic.configs.iter().filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
    let configs: BTreeMap<String, String> = set.collect();
    let cluster = &context.cluster;
    let (partitions, replication) = (topic.num_partitions, topic.replication_factor);
    cluster.topics.create(&topic.name, partitions, replication, &configs, &cluster.spec(), validate_only)
}

fn created_topic(context: &Context, result: CreatableTopicResult, info: &TopicInfo) -> CreatableTopicResult {
    let partitions = i32::try_from(info.partitions.len()).unwrap_or(-1);
    let replicas = info.partitions.first().and_then(|partition| i16::try_from(partition.replicas.len()).ok());
    let result =
        result.with_topic_id(info.id).with_num_partitions(partitions).with_replication_factor(replicas.unwrap_or(-1));
    let refused = context.access.check(Action::DescribeTopicConfigs, &info.name);
    if refused.is_err() {
        return result.with_configs(None).with_topic_config_error_code(code(&refused));
    }
    let spec = context.cluster.spec();
    let configs = TOPIC_CONFIGS.iter().map(|known| {
        let (value, source) = effective(known, &info.configs, &spec);
        CreatableTopicConfigs::default()
            .with_name(text(known.name))
            .with_value(Some(text(&value)))
            .with_config_source(source as i8)
    });
    result.with_configs(Some(configs.collect()))
}

fn no_assignments() -> Refused {
    let message = "the local cloud places partitions itself: leave the replica assignment out";
    Refused::new(ResponseError::InvalidReplicaAssignment, message)
}
