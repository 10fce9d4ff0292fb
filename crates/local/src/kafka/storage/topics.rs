//! The topics of a cluster: what they are is in the store before a change is answered, their records are in a folder a
//! partition, named after the topic's id.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use super::partition::Partition;
use crate::kafka::cluster::ClusterSpec;
use crate::kafka::configs::{self, Limits};
use crate::kafka::error::{KafkaError, Refused};
use crate::kafka::names;
use crate::kafka::topic::{PartitionInfo, TopicInfo};
use crate::log::{FileHandles, SegmentLog, lock};
use crate::store::Store;

/// "…more than 4,000 partitions a broker" is beyond what MSK takes; far more than a laptop's stack has.
const MOST_PARTITIONS: usize = 4_000;
const TOPICS: &str = "topics";
/// Where records were deleted by hand: `<topic id>/<partition>` to the first offset that is left.
const STARTS: &str = "starts";

/// A topic as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Document {
    id: Uuid,
    /// For each partition the nodes that hold it, the leader first.
    replicas: Vec<Vec<i32>>,
    configs: BTreeMap<String, String>,
}

/// A topic and its open partitions. A change makes another one.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// One of its partitions.
    pub(crate) fn partition(&self, id: i32) -> Result<&Arc<Partition>, Refused> {
        usize::try_from(id).ok().and_then(|number| self.partitions.get(number)).ok_or_else(|| {
            let message = format!("topic `{}` has no partition {id}", self.name);
            Refused::new(ResponseError::UnknownTopicOrPartition, message)
        })
    }

    pub(crate) fn info(&self) -> TopicInfo {
        let partition = |partition: &Arc<Partition>| PartitionInfo {
            id: partition.id,
            leader: partition.leader(),
            replicas: partition.replicas.clone(),
            start: partition.start(),
            end: partition.end(),
        };
        TopicInfo {
            name: self.name.clone(),
            id: self.id,
            configs: self.configs.clone(),
            partitions: self.partitions.iter().map(partition).collect(),
        }
    }

    fn document(&self) -> Document {
        Document {
            id: self.id,
            replicas: self.partitions.iter().map(|partition| partition.replicas.clone()).collect(),
            configs: self.configs.clone(),
        }
    }
}

/// All topics of a cluster.
pub(crate) struct Topics {
    folder: PathBuf,
    store: Arc<Store>,
    handles: Arc<FileHandles>,
    /// Held only to look or to put.
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// One change at a time.
    changing: Mutex<()>,
    changes: Arc<watch::Sender<u64>>,
}

impl Topics {
    /// Opens the topics that the store knows, and removes folders that it does not: a deletion that was cut short.
    pub(crate) fn open(
        folder: PathBuf,
        store: Arc<Store>,
        handles: Arc<FileHandles>,
        spec: &ClusterSpec,
        changes: Arc<watch::Sender<u64>>,
    ) -> Result<Topics, KafkaError> {
        let topics = Topics { folder, store, handles, by_name: RwLock::default(), changing: Mutex::default(), changes };
        let starts: BTreeMap<String, i64> = topics.store.all(STARTS)?.into_iter().collect();
        let mut known = HashSet::new();
        let mut by_name = BTreeMap::new();
        for (name, document) in topics.store.all::<Document>(TOPICS)? {
            known.insert(document.id.to_string());
            by_name.insert(name.clone(), Arc::new(topics.topic(name, document, &starts, spec)?));
        }
        *topics.by_name.write().unwrap_or_else(PoisonError::into_inner) = by_name;
        topics.sweep(&known)?;
        Ok(topics)
    }

    /// One topic.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// One topic, or the error that Kafka has for one that is not there.
    pub(crate) fn need(&self, name: &str) -> Result<Arc<Topic>, Refused> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// The topic with an id.
    pub(crate) fn with_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        let topics = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        topics.values().find(|topic| topic.id == id).cloned()
    }

    /// All, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Makes a topic, or only says whether it could be made. -1 stands for the cluster's defaults.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &BTreeMap<String, String>,
        spec: &ClusterSpec,
        validate_only: bool,
    ) -> Result<TopicInfo, Refused> {
        let _changing = lock(&self.changing);
        names::check(name)?;
        if self.get(name).is_some() {
            return Err(Refused::new(ResponseError::TopicAlreadyExists, format!("topic `{name}` already exists")));
        }
        if let Some(other) = self.all().iter().find(|other| names::collide(name, &other.name)) {
            let message = format!("topic `{name}` collides with topic `{}`: only `.` and `_` differ", other.name);
            return Err(Refused::new(ResponseError::InvalidTopicException, message));
        }
        let default = |name| configs::cluster_value(name, spec).0.parse::<i32>().unwrap_or(1);
        let count = if partitions == -1 { default("num.partitions") } else { partitions };
        let replication =
            if replication == -1 { default("default.replication.factor") } else { i32::from(replication) };
        self.check_count(count)?;
        let nodes = i32::try_from(spec.nodes).unwrap_or(1);
        if replication < 1 || replication > nodes {
            let message = format!("{replication} replicas are not possible: the cluster has {nodes} brokers");
            return Err(Refused::new(ResponseError::InvalidReplicationFactor, message));
        }
        configs::check(configs)?;
        // The partitions of many small topics are spread as well as those of one large.
        let first = i32::try_from(self.all().len()).unwrap_or(0);
        let replicas =
            (0..count).map(|partition| nodes_of(first.wrapping_add(partition), replication, nodes)).collect();
        let document = Document { id: Uuid::new_v4(), replicas, configs: configs.clone() };
        let topic = self.topic(name.to_owned(), document, &BTreeMap::new(), spec).map_err(storage)?;
        let info = topic.info();
        if !validate_only {
            self.put(topic)?;
        }
        Ok(info)
    }

    /// Deletes a topic and its records.
    pub(crate) fn delete(&self, name: &str) -> Result<(), Refused> {
        let _changing = lock(&self.changing);
        let topic = self.need(name)?;
        self.store.delete(TOPICS, name)?;
        let keys: Vec<String> = topic.partitions.iter().map(|partition| start_key(&topic.id, partition.id)).collect();
        let none: Vec<(&str, Option<&i64>)> = keys.iter().map(|key| (key.as_str(), None)).collect();
        self.store.apply(STARTS, &none)?;
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        for partition in &topic.partitions {
            partition.delete().map_err(storage)?;
        }
        SegmentLog::delete_folder(&self.folder.join(topic.id.to_string()))?;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Makes a topic have `count` partitions.
    pub(crate) fn grow(&self, name: &str, count: i32, spec: &ClusterSpec, validate_only: bool) -> Result<(), Refused> {
        let _changing = lock(&self.changing);
        let topic = self.need(name)?;
        let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        if count <= present {
            let message = format!("topic `{name}` has {present} partitions: {count} are not more");
            return Err(Refused::new(ResponseError::InvalidPartitions, message));
        }
        self.check_count(count - present)?;
        if validate_only {
            return Ok(());
        }
        let nodes = i32::try_from(spec.nodes).unwrap_or(1);
        let replication = topic.partitions.first().map_or(1, |partition| partition.replicas.len() as i32).min(nodes);
        let first = topic.partitions.first().map_or(0, |partition| partition.leader() - 1);
        let mut partitions = topic.partitions.clone();
        for id in present..count {
            let replicas = nodes_of(first + id, replication, nodes);
            partitions.push(Arc::new(self.partition(&topic.id, id, replicas, 0, &topic.limits).map_err(storage)?));
        }
        self.put(Topic {
            name: topic.name.clone(),
            id: topic.id,
            configs: topic.configs.clone(),
            limits: topic.limits.clone(),
            partitions,
        })
    }

    /// Replaces the configs of a topic.
    pub(crate) fn configure(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refused>,
        spec: &ClusterSpec,
        validate_only: bool,
    ) -> Result<(), Refused> {
        let _changing = lock(&self.changing);
        let topic = self.need(name)?;
        let mut configs = topic.configs.clone();
        change(&mut configs)?;
        configs::check(&configs)?;
        if validate_only || configs == topic.configs {
            return Ok(());
        }
        let limits = Limits::of(&configs, spec);
        self.put(Topic {
            name: topic.name.clone(),
            id: topic.id,
            configs,
            limits,
            partitions: topic.partitions.clone(),
        })
    }

    /// The cluster's properties have changed: topics have other defaults.
    pub(crate) fn reconfigure(&self, spec: &ClusterSpec) {
        let _changing = lock(&self.changing);
        for topic in self.all() {
            let limits = Limits::of(&topic.configs, spec);
            let changed = Topic {
                name: topic.name.clone(),
                id: topic.id,
                configs: topic.configs.clone(),
                limits,
                partitions: topic.partitions.clone(),
            };
            let mut topics = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
            topics.insert(topic.name.clone(), Arc::new(changed));
        }
    }

    /// Deletes the records of a partition before an offset; -1 is its end. Returns the first offset that is left.
    pub(crate) fn delete_records(&self, name: &str, partition: i32, offset: i64) -> Result<i64, Refused> {
        let topic = self.need(name)?;
        let partition = topic.partition(partition)?;
        let offset = if offset == -1 { partition.end() } else { offset };
        if offset < partition.start() {
            return Ok(partition.start());
        }
        partition.check_offset(offset)?;
        self.store.put(STARTS, &start_key(&topic.id, partition.id), &offset)?;
        partition.delete_before(offset).map_err(storage)?;
        Ok(offset)
    }

    fn put(&self, topic: Topic) -> Result<(), Refused> {
        self.store.put(TOPICS, &topic.name, &topic.document())?;
        let mut topics = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.name.clone(), Arc::new(topic));
        drop(topics);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    fn check_count(&self, more: i32) -> Result<(), Refused> {
        let more = usize::try_from(more).unwrap_or(0);
        if more == 0 {
            return Err(Refused::new(ResponseError::InvalidPartitions, "a topic has one partition at least"));
        }
        let present: usize = self.all().iter().map(|topic| topic.partitions.len()).sum();
        if present + more > MOST_PARTITIONS {
            let message = format!("{more} more partitions are too many: a local cluster has {MOST_PARTITIONS} at most");
            return Err(Refused::new(ResponseError::InvalidPartitions, message));
        }
        Ok(())
    }

    fn topic(
        &self,
        name: String,
        document: Document,
        starts: &BTreeMap<String, i64>,
        spec: &ClusterSpec,
    ) -> Result<Topic, KafkaError> {
        let limits = Limits::of(&document.configs, spec);
        let mut partitions = Vec::with_capacity(document.replicas.len());
        for (id, replicas) in (0..).zip(document.replicas) {
            let start = starts.get(&start_key(&document.id, id)).copied().unwrap_or(0);
            partitions.push(Arc::new(self.partition(&document.id, id, replicas, start, &limits)?));
        }
        Ok(Topic { name, id: document.id, configs: document.configs, limits, partitions })
    }

    fn partition(
        &self,
        topic: &Uuid,
        id: i32,
        replicas: Vec<i32>,
        start: i64,
        limits: &Limits,
    ) -> Result<Partition, KafkaError> {
        let folder = self.folder.join(topic.to_string()).join(id.to_string());
        Partition::open(&folder, id, replicas, start, limits, &self.handles)
    }

    fn sweep(&self, known: &HashSet<String>) -> Result<(), KafkaError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|source| KafkaError::file("list", &self.folder, source))?,
        };
        for entry in entries {
            let entry = entry.map_err(|source| KafkaError::file("list", &self.folder, source))?;
            if entry.file_name().to_str().is_some_and(|name| !known.contains(name)) {
                SegmentLog::delete_folder(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// The error that Kafka has for a topic that is not there.
pub(crate) fn unknown(name: &str) -> Refused {
    Refused::new(ResponseError::UnknownTopicOrPartition, format!("there is no topic `{name}`"))
}

/// A disk that fails is told to clients as Kafka tells it.
pub(crate) fn storage(error: KafkaError) -> Refused {
    match error {
        KafkaError::Log(error) => error.into(),
        error => Refused::new(ResponseError::KafkaStorageError, error.to_string()),
    }
}

fn start_key(topic: &Uuid, partition: i32) -> String {
    format!("{topic}/{partition}")
}

/// As many nodes as there are replicas, one after another from a place on.
fn nodes_of(place: i32, replication: i32, nodes: i32) -> Vec<i32> {
    (0..replication).map(|replica| 1 + (place + replica).rem_euclid(nodes)).collect()
}
