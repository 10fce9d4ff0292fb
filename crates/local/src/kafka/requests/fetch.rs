//! Records go out. Who asks for more than there is waits until it is there, woken by the append.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::select_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Context, code};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;
use crate::kafka::storage::partition::{LEADER_EPOCH, Partition};

/// `fetch.max.bytes` of Kafka's brokers.
const MOST_BYTES: usize = 57_671_680;
/// Nobody waits longer than this for an empty answer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Reads partitions, and waits where there is less than the client wants.
pub(crate) async fn fetch(context: &Context, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 {
        // Every answer says that there is no session, so a client has this number from elsewhere.
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let millis = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let deadline = Instant::now() + Duration::from_millis(millis).min(LONGEST_WAIT);
    let least = usize::try_from(request.min_bytes).unwrap_or(0);
    let wanted = resolve(context, &request);
    let mut watched: Vec<watch::Receiver<u64>> =
        wanted.iter().flat_map(|topic| &topic.partitions).filter_map(Wanted::watch).collect();
    loop {
        // Marked before reading: what is appended meanwhile wakes at once.
        let before =
            watched.iter_mut().fold(0, |sum: u64, partition| sum.saturating_add(*partition.borrow_and_update()));
        let found = read(&wanted, &request);
        if found.failed || found.bytes >= least || watched.is_empty() || Instant::now() >= deadline {
            return FetchResponse::default().with_responses(found.topics);
        }
        let missing = (least - found.bytes) as u64;
        tokio::select! {
            () = grown(&mut watched, before.saturating_add(missing)) => {}
            () = sleep_until(deadline) => {}
            () = context.cluster.stopping.cancelled() => return FetchResponse::default().with_responses(found.topics),
        }
    }
}

struct WantedTopic {
    name: kafka_protocol::messages::TopicName,
    partitions: Vec<Wanted>,
}

struct Wanted {
    id: i32,
    partition: Result<Arc<Partition>, Refused>,
    from: i64,
    max_bytes: usize,
}

impl Wanted {
    fn watch(&self) -> Option<watch::Receiver<u64>> {
        self.partition.as_ref().ok().map(|partition| partition.watch())
    }
}

struct Found {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    failed: bool,
}

fn resolve(context: &Context, request: &FetchRequest) -> Vec<WantedTopic> {
    let topics = request.topics.iter().map(|topic| {
        let found = context.topic(&topic.topic, Action::ReadData);
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = found.clone().and_then(|topic| {
                let partition = Arc::clone(topic.partition(wanted.partition)?);
                context.leads(partition.leader())?;
                if wanted.current_leader_epoch > LEADER_EPOCH {
                    return Err(Refused::new(ResponseError::UnknownLeaderEpoch, "there was no such leader epoch yet"));
                }
                Ok(partition)
            });
            let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
            Wanted { id: wanted.partition, partition, from: wanted.fetch_offset, max_bytes }
        });
        WantedTopic { name: topic.topic.clone(), partitions: partitions.collect() }
    });
    topics.collect()
}

fn read(wanted: &[WantedTopic], request: &FetchRequest) -> Found {
    let mut room = usize::try_from(request.max_bytes).unwrap_or(0).min(MOST_BYTES);
    let mut found = Found { topics: Vec::with_capacity(wanted.len()), bytes: 0, failed: false };
    for topic in wanted {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let first = found.bytes == 0;
            let read = wanted.partition.clone().and_then(|partition| {
                if partition.is_deleted() {
                    return Err(Refused::new(ResponseError::UnknownTopicOrPartition, "the topic was deleted"));
                }
                let records = partition.read(wanted.from, room.min(wanted.max_bytes), first)?;
                Ok((records, partition.end(), partition.start()))
            });
            let answer = PartitionData::default().with_partition_index(wanted.id).with_error_code(code(&read));
            let answer = answer.with_aborted_transactions(None);
            partitions.push(match read {
                Ok((records, end, start)) => {
                    found.bytes += records.len();
                    room = room.saturating_sub(records.len());
                    answer
                        .with_high_watermark(end)
                        .with_last_stable_offset(end)
                        .with_log_start_offset(start)
                        .with_records(Some(records))
                }
                Err(_) => {
                    found.failed = true;
                    answer
                        .with_high_watermark(-1)
                        .with_last_stable_offset(-1)
                        .with_log_start_offset(-1)
                        .with_records(Some(Bytes::new()))
                }
            });
        }
        found.topics.push(FetchableTopicResponse::default().with_topic(topic.name.clone()).with_partitions(partitions));
    }
    found
}

/// Returns when so many bytes have been appended to the partitions in all, or one was deleted.
async fn grown(watched: &mut [watch::Receiver<u64>], enough: u64) {
    loop {
        let changes = watched.iter_mut().map(|partition| Box::pin(partition.changed()));
        let (changed, _, _) = select_all(changes).await;
        // One that was deleted counts as grown without end.
        let now = watched.iter().fold(0, |sum: u64, partition| sum.saturating_add(*partition.borrow()));
        if changed.is_err() || now >= enough {
            return;
        }
    }
}
