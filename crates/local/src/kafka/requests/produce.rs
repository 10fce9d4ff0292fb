//! Records come in.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};

use super::{Context, code, message};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;
use crate::kafka::storage::batch;
use crate::kafka::storage::partition::Partition;
use crate::kafka::storage::topics::Topic;

/// From all replicas that are in sync. All always are.
const ALL: i16 = -1;

/// Appends what a producer sends. Whether it wants an answer (`acks`) the caller sees to.
pub(crate) fn produce(context: &Context, request: ProduceRequest) -> ProduceResponse {
    let acks = request.acks;
    let request_is_sound = if request.transactional_id.is_some() {
        let message = "transactions are not supported: produce without a transactional id";
        Err(Refused::new(ResponseError::TransactionalIdAuthorizationFailed, message))
    } else if !(-1..=1).contains(&acks) {
        Err(Refused::new(ResponseError::InvalidRequiredAcks, "`acks` is 0, 1 or -1 (all)"))
    } else {
        Ok(())
    };
    let now = context.cluster.clock.now_millis();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let found = request_is_sound.clone().and_then(|()| context.topic(&topic.name, Action::WriteData));
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let appended = match &found {
                Ok(topic) => append(context, topic, data.index, data.records, acks, now),
                Err(refused) => Err(refused.clone()),
            };
            let response = PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(code(&appended))
                .with_error_message(message(&appended))
                .with_log_append_time_ms(-1);
            partitions.push(match appended {
                Ok((base, start)) => response.with_base_offset(base).with_log_start_offset(start),
                Err(_) => response.with_base_offset(-1).with_log_start_offset(-1),
            });
        }
        responses.push(TopicProduceResponse::default().with_name(topic.name).with_partition_responses(partitions));
    }
    context.cluster.grown();
    ProduceResponse::default().with_responses(responses)
}

/// Gives an id to an idempotent producer, another one each time: epochs go on with transactional ids alone.
pub(crate) fn init_producer_id(context: &Context, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    let given = init(context, request);
    let (id, epoch) = given.as_ref().copied().unwrap_or((-1, -1));
    InitProducerIdResponse::default()
        .with_error_code(code(&given))
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
}

fn init(context: &Context, request: &InitProducerIdRequest) -> Result<(i64, i16), Refused> {
    if request.transactional_id.is_some() {
        let message = "transactions are not supported by the local cloud: produce without a transactional id";
        return Err(Refused::new(ResponseError::TransactionalIdAuthorizationFailed, message));
    }
    context.access.check(Action::WriteDataIdempotently, "")?;
    // As in Kafka without transactions: whoever asks gets an id of its own.
    Ok((context.cluster.producer_ids.next()?, 0))
}

fn append(
    context: &Context,
    topic: &Topic,
    id: i32,
    records: Option<Bytes>,
    acks: i16,
    now: i64,
) -> Result<(i64, i64), Refused> {
    let partition: &Partition = topic.partition(id)?;
    context.leads(partition.leader())?;
    let replicas = partition.replicas.len() as i64;
    let least = topic.limits.min_insync_replicas;
    if acks == ALL && replicas < least {
        let message = format!("{replicas} replicas are in sync, `min.insync.replicas` is {least}");
        return Err(Refused::new(ResponseError::NotEnoughReplicas, message));
    }
    let records = records.unwrap_or_default();
    let batches = batch::checked(&records, topic.limits.max_message_bytes)?;
    let base = partition.append(&batches, now)?;
    Ok((base, partition.start()))
}
