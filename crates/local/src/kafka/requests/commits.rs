//! Committed offsets of groups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use tokio::time::Instant;

use super::{Context, code, text};
use crate::kafka::error::Refused;
use crate::kafka::offsets::Committed;
use crate::kafka::server::access::Action;

/// `offset.metadata.max.bytes` of Kafka's brokers.
const LONGEST_METADATA: usize = 4_096;

/// Commits what a member, or a client that is in no group, has read. Durable before the answer.
#[expect(clippy::needless_pass_by_value, reason = "requests that wait for the disk are handed over")]
pub(crate) fn offset_commit(context: &Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let group = request.group_id.as_str();
    let in_group = allowed(context, &request);
    let mut accepted = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = in_group.clone().and_then(|()| context.topic(&topic.name, Action::ReadData));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let id = partition.partition_index;
            let metadata = partition.committed_metadata.as_ref().map_or("", |metadata| metadata.as_str());
            let checked = found.clone().and_then(|topic| {
                topic.partition(id)?;
                if metadata.len() > LONGEST_METADATA {
                    return Err(Refused::new(ResponseError::OffsetMetadataTooLarge, "the metadata is too long"));
                }
                Ok(())
            });
            if checked.is_ok() {
                let committed = Committed { offset: partition.committed_offset, metadata: metadata.to_owned() };
                accepted.push((topic.name.to_string(), id, committed));
            }
            let answer = OffsetCommitResponsePartition::default().with_partition_index(id);
            partitions.push(answer.with_error_code(code(&checked)));
        }
        topics.push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    let kept = if accepted.is_empty() { Ok(()) } else { context.cluster.offsets.commit(group, accepted) };
    if let Err(refused) = kept {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.error_code == 0 {
                partition.error_code = refused.code.code();
            }
        }
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// What groups have committed.
pub(crate) fn offset_fetch(context: &Context, request: OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
    if version >= 8 {
        let groups = request.groups.into_iter().map(|group| of_group(context, group.group_id, group.topics));
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked = request.topics.map(|topics| {
        let newer = topics.into_iter().map(|topic| {
            OffsetFetchRequestTopics::default().with_name(topic.name).with_partition_indexes(topic.partition_indexes)
        });
        newer.collect()
    });
    let found = of_group(context, request.group_id, asked);
    let topics = found.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_committed_offset(partition.committed_offset)
                .with_committed_leader_epoch(-1)
                .with_metadata(partition.metadata)
                .with_error_code(partition.error_code)
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    OffsetFetchResponse::default().with_error_code(found.error_code).with_topics(topics.collect())
}

fn allowed(context: &Context, request: &OffsetCommitRequest) -> Result<(), Refused> {
    let group = request.group_id.as_str();
    if group.is_empty() {
        return Err(Refused::new(ResponseError::InvalidGroupId, "the group has no name"));
    }
    context.access.check(Action::AlterGroup, group)?;
    let instance = request.group_instance_id.as_ref().map(|instance| instance.as_str());
    let generation = request.generation_id_or_member_epoch;
    let groups = &context.cluster.groups;
    let may = groups.may_commit(group, &request.member_id, instance, generation, Instant::now());
    may.map_err(|code| Refused::new(code, code.to_string()))
}

fn of_group(context: &Context, id: GroupId, asked: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchResponseGroup {
    let allowed = context.access.check(Action::DescribeGroup, &id);
    let answer = OffsetFetchResponseGroup::default().with_error_code(code(&allowed));
    if allowed.is_err() {
        return answer.with_group_id(id);
    }
    let topics = match asked {
        Some(topics) => topics.into_iter().map(|topic| of_topic(context, &id, topic)).collect(),
        None => everything(context, &id),
    };
    answer.with_group_id(id).with_topics(topics)
}

fn of_topic(context: &Context, group: &str, asked: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let allowed = context.access.check(Action::DescribeTopic, &asked.name);
    let partitions = asked.partition_indexes.iter().map(|id| {
        let committed = context.cluster.offsets.get(group, &asked.name, *id).filter(|_| allowed.is_ok());
        told(*id, committed).with_error_code(code(&allowed))
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopics::default().with_name(asked.name).with_partitions(partitions)
}

fn everything(context: &Context, group: &str) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for (topic, partition, committed) in context.cluster.offsets.of_group(group) {
        if !context.access.may(Action::DescribeTopic, &topic) {
            continue;
        }
        if topics.last().is_none_or(|last| last.name.as_str() != topic) {
            topics.push(OffsetFetchResponseTopics::default().with_name(TopicName(text(&topic))));
        }
        if let Some(last) = topics.last_mut() {
            last.partitions.push(told(partition, Some(committed)));
        }
    }
    topics
}

fn told(partition: i32, committed: Option<Committed>) -> OffsetFetchResponsePartitions {
    let answer =
        OffsetFetchResponsePartitions::default().with_partition_index(partition).with_committed_leader_epoch(-1);
    match committed {
        Some(committed) => {
            answer.with_committed_offset(committed.offset).with_metadata(Some(text(&committed.metadata)))
        }
        None => answer.with_committed_offset(-1).with_metadata(Some(text(""))),
    }
}
