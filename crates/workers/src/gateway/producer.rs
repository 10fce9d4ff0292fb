//! The producer: one for the process, idempotent, acknowledged by all in-sync replicas.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::client::{Brokers, Context};
use super::outcome::Outcome;
use super::pending::Ticket;
use super::records::Record;
use crate::log::say;

/// How long brokers have for a record, all tries together. API Gateway gives up after 29 s ("API Gateway quotas", API Gateway
/// developer guide), so callers hear of it before that.
const DELIVERY: Duration = Duration::from_secs(20);
/// Records wait so long for others to travel with. Without it the client's threads look for more without pause, and take three
/// times the CPU time (`benches/gateway.sh`).
const LINGER_MS: &str = "0.2";
/// For so long records without a key go to one partition, so that they travel together.
const STICKY_MS: &str = "5";
/// More than the gateway's budget lets in, so that the queue is never what is full.
const QUEUE_KIB: &str = "131072";
const QUEUE_RECORDS: &str = "200000";
/// The largest batch; how large a record may be is for the topic to say.
const MESSAGE_BYTES: &str = "20000000";
/// How often it is looked whether the producer can go on.
const LOOKED: Duration = Duration::from_millis(250);
/// A producer that cannot be made is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// The producer.
pub(super) struct Producer {
    brokers: Brokers,
    inner: RwLock<Arc<ThreadedProducer<Context>>>,
}

impl Producer {
    /// A producer, which connects when it has something to send.
    pub(super) fn new(brokers: Brokers) -> KafkaResult<Producer> {
        let inner = RwLock::new(Arc::new(connect(&brokers)?));
        Ok(Producer { brokers, inner })
    }

    /// Hands records to the client, each with its ticket. It does not wait for anything.
    pub(super) fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &[Record<'_>],
        tickets: impl Iterator<Item = Box<Ticket>>,
    ) {
        let producer = self.inner();
        for (record, ticket) in records.iter().zip(tickets) {
            let mut sent = BaseRecord::with_opaque_to(topic, ticket);
            sent.partition = record.partition.or(partition);
            sent.timestamp = record.timestamp;
            sent.key = record.key.as_deref();
            sent.payload = record.value.as_deref();
            if let Err((error, unsent)) = producer.send::<[u8], [u8]>(sent) {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                unsent.delivery_opaque.settle(Outcome::Failed(code));
            }
        }
    }

    /// Takes another producer when one cannot go on, for as long as it is polled: an idempotent producer ends for good where
    /// it could not say any more whether a record is there once.
    pub(super) async fn replace_when_fatal(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOKED).await;
            if self.inner().client().fatal_error().is_none() {
                continue;
            }
            let fresh = loop {
                match connect(&self.brokers) {
                    Ok(fresh) => break Arc::new(fresh),
                    Err(error) => self.brokers.teller.fails(&error),
                }
                tokio::time::sleep(PAUSE).await;
            };
            say("the producer could not go on; another takes its place");
            let old = std::mem::replace(&mut *self.inner.write().unwrap_or_else(PoisonError::into_inner), fresh);
            drop_elsewhere(old);
        }
    }

    /// Gives up what is under way: callers hear at once that it was not acknowledged.
    pub(super) fn give_up(&self) {
        self.inner().purge(PurgeConfig::default().queue().inflight());
    }

    fn inner(&self) -> Arc<ThreadedProducer<Context>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ending a client takes up to a second.
fn drop_elsewhere(producer: Arc<ThreadedProducer<Context>>) {
    tokio::task::spawn_blocking(move || drop(producer));
}

fn connect(brokers: &Brokers) -> Result<ThreadedProducer<Context>, KafkaError> {
    let mut config = brokers.config();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", LINGER_MS)
        .set("sticky.partitioning.linger.ms", STICKY_MS)
        .set("compression.type", "lz4")
        .set("request.timeout.ms", "8000")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .set("queue.buffering.max.kbytes", QUEUE_KIB)
        .set("queue.buffering.max.messages", QUEUE_RECORDS)
        .set("message.max.bytes", MESSAGE_BYTES)
        // As Kafka's own producer, so that a key is in the partition where others put it.
        .set("partitioner", "murmur2_random");
    rdkafka::config::FromClientConfigAndContext::from_config_and_context(&config, brokers.context())
}
