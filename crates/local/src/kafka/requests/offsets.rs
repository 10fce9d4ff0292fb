//! Offsets by time, and by leader epoch.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::{Context, code};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;
use crate::kafka::storage::partition::{LEADER_EPOCH, Partition, Place};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;

/// Offsets of the oldest, the next, or the first record since a time.
pub(crate) fn list_offsets(context: &Context, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    // Before version 4 there is no place for it, and the answer could not be written.
    let epoch = if version >= 4 { LEADER_EPOCH } else { -1 };
    let topics = request.topics.into_iter().map(|topic| {
        let found = context.topic(&topic.name, Action::DescribeTopic);
        let partitions = topic.partitions.iter().map(|asked| {
            let place = found.clone().and_then(|topic| {
                let partition = topic.partition(asked.partition_index)?;
                context.leads(partition.leader())?;
                at(partition, asked.timestamp)
            });
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code(&place));
            match place {
                Ok(Some(place)) => {
                    answer.with_offset(place.offset).with_timestamp(place.timestamp_millis).with_leader_epoch(epoch)
                }
                _ => answer.with_offset(-1).with_timestamp(-1),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Where a leader epoch ends: there is but one, which goes on.
pub(crate) fn offset_for_leader_epoch(
    context: &Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let found = context.topic(&topic.topic, Action::DescribeTopic);
        let partitions = topic.partitions.iter().map(|asked| {
            let end = found.clone().and_then(|topic| {
                let partition = topic.partition(asked.partition)?;
                context.leads(partition.leader())?;
                Ok(partition.end())
            });
            let answer = EpochEndOffset::default().with_partition(asked.partition).with_error_code(code(&end));
            match end {
                Ok(end) if asked.leader_epoch == LEADER_EPOCH => {
                    answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(end)
                }
                _ => answer.with_leader_epoch(-1).with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn at(partition: &Partition, timestamp: i64) -> Result<Option<Place>, Refused> {
    let edge = |offset| Ok(Some(Place { offset, timestamp_millis: -1 }));
    match timestamp {
        LATEST => edge(partition.end()),
        EARLIEST => edge(partition.start()),
        MAX_TIMESTAMP => partition.latest(),
        0.. => partition.first_at(timestamp),
        _ => {
            let message = format!("{timestamp} is neither a time nor one of -1, -2 and -3");
            Err(Refused::new(ResponseError::UnsupportedVersion, message))
        }
    }
}
