//! One cluster: its nodes, its topics, and what this process does with them without a client.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::configs;
use super::error::{KafkaError, Refused};
use super::gate::Gate;
use super::groups::{Groups, Resident};
use super::offsets::{Committed, Offsets};
use super::producer_ids::ProducerIds;
use super::record::{NewRecord, Record};
use super::server::{listeners, timers};
use super::storage::topics::Topics;
use super::storage::{batch, partitioner, records};
use super::topic::TopicInfo;
use crate::clock::Clock;
use crate::log::{FileHandles, lock};
use crate::store::Store;

/// Kibibytes that large requests of all connections of a cluster may take together.
const REQUEST_MEMORY: usize = 512 << 10;
/// The ports of nodes, so that they have them again after a restart.
const NODES: &str = "nodes";

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// `arn:aws:kafka:<region>:<account>:cluster/<name>/<uuid>`.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The last part of its ARN; names its folder.
    pub uuid: String,
    /// Where it is, for policies and tokens.
    pub region: String,
    /// Whose it is.
    pub account: String,
    /// How many brokers.
    pub nodes: u32,
    /// Server properties of its configuration.
    pub properties: BTreeMap<String, String>,
    /// What it was made with, such as `3.6.0`.
    pub kafka_version: String,
}

/// A broker of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Counts from 1.
    pub id: i32,
    /// Without encryption or authentication; loopback only.
    pub plaintext: SocketAddr,
    /// TLS with SASL/OAUTHBEARER (MSK IAM).
    pub iam: SocketAddr,
}

/// A cluster that is open.
pub struct Cluster {
    pub(crate) topics: Topics,
    pub(crate) offsets: Offsets,
    pub(crate) groups: Arc<Groups>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<dyn Gate>,
    /// Everything that waits ends when this does.
    pub(crate) stopping: CancellationToken,
    spec: RwLock<ClusterSpec>,
    nodes: RwLock<Vec<Node>>,
    store: Arc<Store>,
    acceptor: TlsAcceptor,
    memory: Arc<Semaphore>,
    ends: Arc<watch::Sender<u64>>,
    tasks: Mutex<JoinSet<()>>,
    /// Ends the listeners of one node, by its id.
    endings: Mutex<BTreeMap<i32, CancellationToken>>,
    /// One change of nodes at a time.
    resizing: tokio::sync::Mutex<()>,
    /// Which partition the next record without a key goes to.
    turn: AtomicUsize,
    this: Weak<Cluster>,
}

/// What all clusters share.
pub(crate) struct Surroundings {
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) handles: Arc<FileHandles>,
}

/// Which of a node's ports a client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Plaintext,
    Iam,
}

impl Listener {
    /// The port of a node that speaks as this listener does.
    pub(crate) fn port(self, node: &Node) -> u16 {
        match self {
            Listener::Plaintext => node.plaintext.port(),
            Listener::Iam => node.iam.port(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Ports {
    plaintext: u16,
    iam: u16,
}

impl Cluster {
    /// Opens what the folder holds and starts the brokers.
    pub(crate) async fn open(
        spec: ClusterSpec,
        folder: &Path,
        surroundings: &Surroundings,
    ) -> Result<Arc<Cluster>, KafkaError> {
        std::fs::create_dir_all(folder).map_err(|source| KafkaError::file("make the folder", folder, source))?;
        let store = Arc::new(Store::open(&folder.join("metadata.redb"))?);
        let ends = Arc::new(watch::Sender::new(0));
        let handles = Arc::clone(&surroundings.handles);
        let topics = Topics::open(folder.join("topics"), Arc::clone(&store), handles, &spec, Arc::clone(&ends))?;
        let offsets = Offsets::open(Arc::clone(&store))?;
        let nodes = spec.nodes;
        let cluster = Arc::new_cyclic(|this| Cluster {
            topics,
            offsets,
            groups: Arc::default(),
            producer_ids: ProducerIds::new(Arc::clone(&store)),
            clock: surroundings.clock.clone(),
            gate: Arc::clone(&surroundings.gate),
            stopping: CancellationToken::new(),
            spec: RwLock::new(spec),
            nodes: RwLock::default(),
            store,
            acceptor: surroundings.acceptor.clone(),
            memory: Arc::new(Semaphore::new(REQUEST_MEMORY)),
            ends,
            tasks: Mutex::default(),
            endings: Mutex::default(),
            resizing: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
            this: Weak::clone(this),
        });
        // What became too old while it was closed is not shown.
        cluster.expire();
        cluster.listen(nodes).await?;
        let mut tasks = lock(&cluster.tasks);
        tasks.spawn(timers::groups(Arc::clone(&cluster)));
        tasks.spawn(timers::logs(Arc::clone(&cluster)));
        drop(tasks);
        Ok(cluster)
    }

    /// What it is made of now.
    pub fn spec(&self) -> ClusterSpec {
        self.spec.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its brokers and where they listen.
    pub fn nodes(&self) -> Vec<Node> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds brokers, or removes the last ones. Partitions stay where they are: new topics use all brokers, and one that has
    /// partitions cannot be removed.
    pub async fn resize(&self, nodes: u32) -> Result<(), KafkaError> {
        let _resizing = self.resizing.lock().await;
        let present = self.spec().nodes;
        if nodes < present {
            self.count(nodes);
            // Topics that are made from now on are elsewhere.
            if let Some(topic) = self.used_beyond(nodes) {
                self.count(present);
                return Err(KafkaError::Invalid(format!(
                    "brokers to be removed have partitions of the topic `{topic}`"
                )));
            }
            self.dismiss(nodes);
            return Ok(());
        }
        self.listen(nodes).await?;
        self.count(nodes);
        Ok(())
    }

    /// Sets the server properties and the version. They count at once.
    pub fn configure(&self, properties: BTreeMap<String, String>, kafka_version: String) -> Result<(), KafkaError> {
        let mut spec = self.spec.write().unwrap_or_else(PoisonError::into_inner);
        spec.properties = properties;
        spec.kafka_version = kafka_version;
        drop(spec);
        self.topics.reconfigure(&self.spec());
        Ok(())
    }

    /// All topics, in the order of their names.
    pub fn topics(&self) -> Vec<TopicInfo> {
        self.topics.all().iter().map(|topic| topic.info()).collect()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.topics.get(name).map(|topic| topic.info())
    }

    /// Makes a topic; -1 partitions or replicas are the cluster's default. It is on disk when this returns.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &BTreeMap<String, String>,
    ) -> Result<TopicInfo, Refused> {
        self.topics.create(name, partitions, replication, configs, &self.spec(), false)
    }

    /// Deletes a topic, its records, and what groups have committed for it.
    pub fn delete_topic(&self, name: &str) -> Result<(), Refused> {
        if configs::cluster_value("delete.topic.enable", &self.spec()).0 == "false" {
            let message = "the cluster's configuration has `delete.topic.enable=false`";
            return Err(Refused::new(ResponseError::TopicDeletionDisabled, message));
        }
        self.topics.delete(name)?;
        self.offsets.delete_topic(name)
    }

    /// Makes a topic have `count` partitions, more than it has.
    pub fn add_partitions(&self, name: &str, count: i32) -> Result<(), Refused> {
        self.topics.grow(name, count, &self.spec(), false)
    }

    /// Replaces all configs of a topic.
    pub fn configure_topic(&self, name: &str, configs: &BTreeMap<String, String>) -> Result<(), Refused> {
        let replace = |present: &mut BTreeMap<String, String>| {
            present.clone_from(configs);
            Ok(())
        };
        self.topics.configure(name, replace, &self.spec(), false)
    }

    /// Records from an offset on, until they are about `max_bytes` (as compressed; one batch at least, if there is one).
    /// Empty at the end of the partition; `OFFSET_OUT_OF_RANGE` before its start or behind its end.
    pub fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Vec<Record>, Refused> {
        let topic = self.topics.need(topic)?;
        let mut bytes = topic.partition(partition)?.read(from, max_bytes, true)?;
        let mut found = Vec::new();
        while let Some(header) = batch::header(&bytes) {
            let batch = bytes.split_to(header.size);
            found.extend(records::decode(&header, &batch)?.into_iter().filter(|record| record.offset >= from));
        }
        Ok(found)
    }

    /// Appends records as one batch and returns the offset of the first. Without a partition, the key of the first record
    /// decides, as Java's default partitioner does; without a key partitions take turns.
    pub fn append(&self, topic: &str, partition: Option<i32>, records: &[NewRecord]) -> Result<i64, Refused> {
        let topic = self.topics.need(topic)?;
        let partition = match partition {
            Some(id) => topic.partition(id)?,
            None => {
                let count = topic.partitions.len();
                let number = match records.first().and_then(|record| record.key.as_deref()) {
                    Some(key) => partitioner::partition_of(key, count),
                    None => self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1),
                };
                topic.partition(i32::try_from(number).unwrap_or(0))?
            }
        };
        if records.is_empty() {
            return Ok(partition.end());
        }
        let now = self.clock.now_millis();
        let bytes = records::encode(records, now)?;
        let base = partition.append(&batch::checked(&bytes, topic.limits.max_message_bytes)?, now)?;
        self.grown();
        Ok(base)
    }

    /// Changes whenever any partition grows or topics change.
    pub fn ends(&self) -> watch::Receiver<u64> {
        self.ends.subscribe()
    }

    /// What a group has committed for a partition: the next offset to read.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.offsets.get(group, topic, partition).map(|committed| committed.offset)
    }

    /// Commits offsets of a group: `(topic, partition, the next offset to read)`. Durable when it returns.
    pub fn commit(&self, group: &str, offsets: &[(String, i32, i64)]) -> Result<(), Refused> {
        for (topic, partition, _) in offsets {
            self.topics.need(topic)?.partition(*partition)?;
        }
        let committed = |offset: &i64| Committed { offset: *offset, metadata: String::new() };
        let offsets = offsets.iter().map(|(topic, partition, offset)| (topic.clone(), *partition, committed(offset)));
        self.offsets.commit(group, offsets.collect())
    }

    /// Shows a member of a group that lives in this process, with the partitions that it reads, until it is dropped.
    pub fn attend(&self, group: &str, client_id: &str, assignment: &[(String, i32)]) -> Attendance {
        let resident = Resident::new(client_id, assignment);
        let member_id = resident.member_id.clone();
        self.groups.add_resident(group, resident);
        Attendance { groups: Arc::clone(&self.groups), group: group.to_owned(), member_id }
    }

    /// Says to those who watch all partitions that one has grown.
    pub(crate) fn grown(&self) {
        self.ends.send_modify(|ends| *ends = ends.wrapping_add(1));
    }

    /// Whether a topic is made when a client asks for one that is not there.
    pub(crate) fn creates_topics(&self) -> bool {
        let spec = self.spec.read().unwrap_or_else(PoisonError::into_inner);
        configs::cluster_value("auto.create.topics.enable", &spec).0 == "true"
    }

    /// Writes to the disk what the kernel has. What fails is tried again with the next round.
    pub(crate) fn sync(&self) {
        for topic in self.topics.all() {
            for partition in &topic.partitions {
                let _next_round = partition.sync();
            }
        }
    }

    /// Drops what topics no longer keep. What fails is tried again with the next round.
    pub(crate) fn expire(&self) {
        let now = self.clock.now_millis();
        for topic in self.topics.all() {
            for partition in &topic.partitions {
                let _next_round = partition.expire(&topic.limits, now);
            }
        }
    }

    /// Closes listeners, waits for what is being answered, and syncs logs.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        while tasks.join_next().await.is_some() {}
        self.sync();
    }

    /// Binds the ports of nodes that do not listen yet, and serves them.
    async fn listen(&self, nodes: u32) -> Result<(), KafkaError> {
        let kept: BTreeMap<String, Ports> = self.store.all(NODES)?.into_iter().collect();
        let present = self.nodes().len();
        for id in (1..=i32::try_from(nodes).unwrap_or(1)).skip(present) {
            let before = kept.get(&id.to_string()).copied().unwrap_or_default();
            let failed = |source| KafkaError::Bind { cluster: self.spec().name, source };
            let plaintext = listeners::bind(before.plaintext).await.map_err(failed)?;
            let iam = listeners::bind(before.iam).await.map_err(failed)?;
            let node =
                Node { id, plaintext: plaintext.local_addr().map_err(failed)?, iam: iam.local_addr().map_err(failed)? };
            let ports = Ports { plaintext: node.plaintext.port(), iam: node.iam.port() };
            self.store.put(NODES, &id.to_string(), &ports)?;
            self.nodes.write().unwrap_or_else(PoisonError::into_inner).push(node);
            let Some(this) = self.this.upgrade() else { return Ok(()) };
            let memory = || Arc::clone(&self.memory);
            let ending = self.stopping.child_token();
            lock(&self.endings).insert(id, ending.clone());
            let mut tasks = lock(&self.tasks);
            tasks.spawn(listeners::accept(plaintext, Arc::clone(&this), id, None, memory(), ending.clone()));
            tasks.spawn(listeners::accept(iam, this, id, Some(self.acceptor.clone()), memory(), ending));
        }
        Ok(())
    }

    /// Sets how many brokers there are for topics.
    fn count(&self, nodes: u32) {
        self.spec.write().unwrap_or_else(PoisonError::into_inner).nodes = nodes;
        self.topics.reconfigure(&self.spec());
    }

    /// A topic with partitions on brokers after the first `nodes`.
    fn used_beyond(&self, nodes: u32) -> Option<String> {
        let goes = |id: &i32| u32::try_from(*id).is_ok_and(|id| id > nodes);
        let topics = self.topics.all();
        let used =
            topics.iter().find(|topic| topic.partitions.iter().any(|partition| partition.replicas.iter().any(goes)));
        used.map(|topic| topic.name.clone())
    }

    /// Closes the ports of all brokers after the first `nodes`; they are kept for brokers that come later.
    fn dismiss(&self, nodes: u32) {
        let stays = |id: i32| u32::try_from(id).is_ok_and(|id| id <= nodes);
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).retain(|node| stays(node.id));
        lock(&self.endings).retain(|id, ending| {
            if !stays(*id) {
                ending.cancel();
            }
            stays(*id)
        });
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("arn", &self.spec().arn).finish_non_exhaustive()
    }
}

/// A member of a group in this process; dropped, it has left.
pub struct Attendance {
    groups: Arc<Groups>,
    group: String,
    member_id: String,
}

impl Attendance {
    /// As `DescribeGroups` tells it.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }
}

impl fmt::Debug for Attendance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attendance").field("group", &self.group).field("member_id", &self.member_id).finish()
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.groups.remove_resident(&self.group, &self.member_id);
    }
}
