//! What the brokers say of topics, partitions and groups: asked for by a client of its own, so that producing never waits for
//! it. Questions block, so they are asked on threads for that, a few at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::client::{Brokers, Context};
use super::configs::{self, ConfigsError};
use crate::log::chain;

/// A broker that does not answer within this time is not there.
const ANSWER: Duration = Duration::from_secs(5);
/// Questions at a time.
const QUESTIONS: usize = 4;
/// What is known of a topic is asked for again after this; records go on meanwhile.
const KNOWN: Duration = Duration::from_secs(5);
/// A topic that was not there is asked for again after this.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Names that were asked for in vain and are remembered at most.
const NAMES: usize = 10_000;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Partition>,
}

impl Topic {
    pub(super) fn partition(&self, id: i32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.id == id)
    }
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) id: i32,
    /// The broker that leads it, or -1.
    pub(super) leader: i32,
    /// Brokers that have it, and whether they are in sync.
    pub(super) replicas: Vec<(i32, bool)>,
}

/// How much of a topic there is, and how much of that a group has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Records that were ever written.
    pub(super) written: u64,
    /// Records that the group has committed.
    pub(super) committed: u64,
}

/// What the brokers say.
#[derive(Clone)]
pub(super) struct View {
    shared: Arc<Shared>,
}

struct Shared {
    brokers: Brokers,
    consumer: Arc<BaseConsumer<Context>>,
    grouped: bool,
    topics: Mutex<HashMap<String, Known>>,
    questions: Semaphore,
    ended: Arc<AtomicBool>,
}

struct Known {
    topic: Option<Arc<Topic>>,
    asked: Instant,
    asking: bool,
}

impl View {
    /// Asks these brokers, of this group where one is wanted.
    pub(super) fn new(brokers: Brokers, group: Option<&str>) -> KafkaResult<View> {
        let mut config = brokers.config();
        config.set("group.id", group.unwrap_or("pinfra-gateway")).set("enable.auto.commit", "false");
        let consumer = Arc::new(BaseConsumer::from_config_and_context(&config, brokers.context())?);
        let ended = Arc::new(AtomicBool::new(false));
        let (polled, over) = (consumer.clone(), ended.clone());
        // Without being polled a client is given no token. There is nothing to receive: it subscribes to nothing.
        let poll = move || {
            while !over.load(Ordering::Relaxed) {
                let _ = polled.poll(Duration::from_millis(200));
            }
        };
        std::thread::Builder::new()
            .name("kafka view".to_owned())
            .spawn(poll)
            .map_err(|error| KafkaError::ClientCreation(format!("cannot start a thread: {error}")))?;
        let questions = Semaphore::new(QUESTIONS);
        let grouped = group.is_some();
        Ok(View { shared: Arc::new(Shared { brokers, consumer, grouped, topics: Mutex::default(), questions, ended }) })
    }

    /// A topic, if there is one of that name. What was said a few seconds ago is good enough.
    pub(super) async fn topic(&self, name: &str) -> Result<Option<Arc<Topic>>, Refusal> {
        if let Some(known) = self.remembered(name) {
            return Ok(known);
        }
        let shared = &self.shared;
        let waiting = tokio::time::timeout(ANSWER, shared.questions.acquire()).await;
        let Ok(Ok(_question)) = waiting else { return Err(Refusal::Busy) };
        // Another may have asked for it meanwhile.
        if let Some(known) = self.remembered(name) {
            return Ok(known);
        }
        self.look_up(name).await
    }

    /// The names of all topics but Kafka's own (`org.apache.kafka.common.internals.Topic`).
    pub(super) async fn topics(&self) -> Result<Vec<String>, Refusal> {
        let metadata = self.ask(|consumer| consumer.fetch_metadata(None, ANSWER)).await?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut names: Vec<String> = names.filter(|name| !is_internal(name)).collect();
        names.sort();
        Ok(names)
    }

    /// The ids of all brokers.
    pub(super) async fn brokers(&self) -> Result<Vec<i32>, Refusal> {
        let metadata = self.ask(|consumer| consumer.fetch_metadata(None, ANSWER)).await?;
        let mut ids: Vec<i32> = metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The first offset of a partition, and the one that the next record gets.
    pub(super) async fn offsets(&self, topic: &str, partition: i32) -> Result<(i64, i64), Refusal> {
        let topic = topic.to_owned();
        self.ask(move |consumer| consumer.fetch_watermarks(&topic, partition, ANSWER)).await
    }

    /// All settings of a topic.
    pub(super) async fn configs(&self, topic: &str) -> Result<BTreeMap<String, Option<String>>, Refusal> {
        let waiting = tokio::time::timeout(ANSWER, self.shared.questions.acquire()).await;
        let Ok(Ok(_question)) = waiting else { return Err(Refusal::Busy) };
        let told = Box::pin(configs::of_topic(&self.shared.brokers, topic)).await;
        told.map_err(|error| match error {
            ConfigsError::Io(_) | ConfigsError::Late => Refusal::Again(chain(&error)),
            error => Refusal::Kafka(chain(&error)),
        })
    }

    /// How these topics stand; those that are not there are left out.
    pub(super) async fn standings(&self, topics: Vec<String>) -> Result<BTreeMap<String, Standing>, Refusal> {
        let grouped = self.shared.grouped;
        self.ask(move |consumer| standings(consumer, &topics, grouped)).await
    }

    fn remembered(&self, name: &str) -> Option<Option<Arc<Topic>>> {
        let mut topics = self.known();
        let known = topics.get_mut(name)?;
        let age = known.asked.elapsed();
        match &known.topic {
            None => (age < UNKNOWN).then_some(None),
            Some(topic) => {
                let topic = topic.clone();
                if age >= KNOWN && !known.asking {
                    known.asking = true;
                    let (view, name) = (self.clone(), name.to_owned());
                    tokio::spawn(async move {
                        let _ = view.look_up(&name).await;
                    });
                }
                Some(Some(topic))
            }
        }
    }

    /// Asks for a topic and remembers what is said.
    async fn look_up(&self, name: &str) -> Result<Option<Arc<Topic>>, Refusal> {
        let (asked, topic) = (Instant::now(), name.to_owned());
        let found = blocking(&self.shared, move |consumer| find(consumer, &topic)).await;
        let mut topics = self.known();
        match found {
            Ok(topic) => {
                if topic.is_none() && topics.len() >= NAMES {
                    topics.retain(|_, known| known.topic.is_some());
                }
                let topic = topic.map(Arc::new);
                topics.insert(name.to_owned(), Known { topic: topic.clone(), asked, asking: false });
                Ok(topic)
            }
            Err(refusal) => {
                if let Some(known) = topics.get_mut(name) {
                    (known.asking, known.asked) = (false, asked);
                }
                Err(refusal)
            }
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Context>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let waiting = tokio::time::timeout(ANSWER, self.shared.questions.acquire()).await;
        let Ok(Ok(_question)) = waiting else { return Err(Refusal::Busy) };
        blocking(&self.shared, question).await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

async fn blocking<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&BaseConsumer<Context>) -> KafkaResult<T> + Send + 'static,
) -> Result<T, Refusal> {
    let consumer = shared.consumer.clone();
    let asked = tokio::task::spawn_blocking(move || question(&consumer)).await;
    let answer = asked.map_err(|error| Refusal::Kafka(error.to_string()))?;
    answer.map_err(|error| match error.rdkafka_error_code() {
        Some(code) => Refusal::of_record(code),
        None => Refusal::Kafka(error.to_string()),
    })
}

fn find(consumer: &BaseConsumer<Context>, name: &str) -> KafkaResult<Option<Topic>> {
    let metadata = consumer.fetch_metadata(Some(name), ANSWER)?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
    match topic.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        // Just made: it has no leaders yet.
        None | Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(Some(described(topic))),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}

fn described(topic: &MetadataTopic) -> Topic {
    let mut partitions = Vec::new();
    for partition in topic.partitions() {
        let in_sync = partition.isr();
        let replicas = partition.replicas().iter().map(|broker| (*broker, in_sync.contains(broker))).collect();
        partitions.push(Partition { id: partition.id(), leader: partition.leader(), replicas });
    }
    partitions.sort_by_key(|partition| partition.id);
    Topic { partitions }
}

fn standings(
    consumer: &BaseConsumer<Context>,
    topics: &[String],
    grouped: bool,
) -> KafkaResult<BTreeMap<String, Standing>> {
    let mut standings = BTreeMap::new();
    let mut asked = TopicPartitionList::new();
    for name in topics {
        let Some(topic) = find(consumer, name)? else { continue };
        standings.insert(name.clone(), Standing::default());
        for partition in topic.partitions {
            // Asked for the time "end" brokers give the end ("ListOffsets", timestamp -1, Kafka protocol guide).
            asked.add_partition_offset(name, partition.id, Offset::End)?;
        }
    }
    if asked.count() == 0 {
        return Ok(standings);
    }
    for (name, offset) in numbers(&consumer.offsets_for_times(asked.clone(), ANSWER)?)? {
        standings.entry(name).or_default().written += offset;
    }
    if grouped {
        for (name, offset) in numbers(&consumer.committed_offsets(asked, ANSWER)?)? {
            standings.entry(name).or_default().committed += offset;
        }
    }
    Ok(standings)
}

/// The offsets of a list, by topic, where there are any.
fn numbers(list: &TopicPartitionList) -> KafkaResult<Vec<(String, u64)>> {
    let mut numbers = Vec::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            numbers.push((element.topic().to_owned(), u64::try_from(offset).unwrap_or_default()));
        }
    }
    Ok(numbers)
}

fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state")
}
