//! One connector from its start to its end: checks first, then tasks over partitions, spread again when topics change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use crate::kafka::{Cluster, Kafka};
use crate::services::iam::Iam;
use crate::services::s3::S3Front;

use super::access::Access;
use super::config::{Sink, Topics};
use super::fault::Fault;
use super::log::Log;
use super::spool::SpoolFolder;
use super::task::{self, Shared};
use super::{dead_letters, upload};

/// What of the local cloud connectors run on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) kafka: Kafka,
    pub(crate) iam: Iam,
    pub(crate) s3: S3Front,
    pub(crate) clock: Clock,
    pub(crate) data_dir: PathBuf,
    pub(crate) log: Log,
}

/// What a connector is started with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    /// The last part of its ARN; in the names of its internal topics.
    pub(crate) uuid: String,
    pub(crate) configuration: BTreeMap<String, String>,
    /// Properties of its worker configuration.
    pub(crate) worker: BTreeMap<String, String>,
    pub(crate) bootstrap: String,
    /// The cluster that the addresses led to before: after a restart of the local cloud they may be others.
    pub(crate) cluster_arn: Option<String>,
    /// How long the cluster may take to be there.
    pub(crate) patience: Duration,
    pub(crate) role: String,
    /// IAM authentication; otherwise none.
    pub(crate) iam: bool,
}

/// How a connector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Starting,
    /// With the ARN of its cluster.
    Running(String),
    Failed(Fault),
}

/// A connector that was started. Dropping it stops it as well, without waiting.
pub(crate) struct Running {
    health: watch::Receiver<Health>,
    ended: JoinHandle<()>,
    stop: CancellationToken,
}

/// A start that takes longer than this counts as one: the tasks have begun, and have much to read.
const FIRST_ROUND: Duration = Duration::from_secs(2);

/// Topics come and go in bursts.
const TOPICS_REST: Duration = Duration::from_millis(200);

/// Starts a connector on the runtime of the caller.
pub(crate) fn launch(ground: &Ground, launch: Launch) -> Running {
    let (tell, health) = watch::channel(Health::Starting);
    let stop = CancellationToken::new();
    let (ground, stopped) = (ground.clone(), stop.clone());
    let ended = tokio::spawn(async move {
        let log = ground.log.of(&launch.name);
        if let Err(fault) = Box::pin(work(&ground, launch, &tell, &stopped)).await {
            log.line(&fault.message);
            tell.send_replace(Health::Failed(fault));
        }
    });
    Running { health, ended, stop }
}

impl Running {
    /// How it is, and when that changes.
    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Lets its tasks finish what they store, and returns when they have ended. May be given up and called again.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if !self.ended.is_finished() {
            // A panic in a task has been told as a fault.
            let _ended = (&mut self.ended).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn work(
    ground: &Ground,
    launch: Launch,
    tell: &watch::Sender<Health>,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let sink = Sink::read(&launch.name, &launch.configuration, &launch.worker).map_err(Fault::configuration)?;
    let Some(cluster) = cluster(ground, &launch, stop).await? else { return Ok(()) };
    let access = Access::assume(&ground.iam, &launch.role, launch.iam, cluster.spec())?;
    check(&access, &launch, &sink)?;
    let region = ground.s3.region_of(&sink.bucket).await.map_err(|refused| upload::failed(&sink.bucket, &refused))?;
    if region != sink.region {
        return Err(Fault::configuration(format!(
            "The bucket `{}` is in this region: {region}. Please use this region to retry the request: `s3.region` is {} \
             (Service: Amazon S3; Status Code: 301; Error Code: PermanentRedirect)",
            sink.bucket, sink.region
        )));
    }
    if let Some(letters) = &sink.errors.dead_letters {
        dead_letters::prepare(&cluster, &access, letters)?;
    }

    let log = ground.log.of(&launch.name);
    if let Some(warning) = sink.plan.warning() {
        log.line(&warning);
    }
    let shared = Arc::new(Shared {
        name: launch.name,
        plan: Arc::new(sink.plan.clone()),
        sink,
        cluster,
        access,
        s3: ground.s3.clone(),
        clock: ground.clock.clone(),
        folder: SpoolFolder::of(&ground.data_dir),
        log,
    });
    let mut topics = Subscribed::now(&shared)?;
    loop {
        match generation(&shared, &topics, tell, stop).await? {
            None => return Ok(()),
            Some(changed) => topics = changed,
        }
    }
}

/// The cluster behind the bootstrap addresses, once it is there; `None` when stopped before.
async fn cluster(ground: &Ground, launch: &Launch, stop: &CancellationToken) -> Result<Option<Arc<Cluster>>, Fault> {
    let deadline = tokio::time::Instant::now() + launch.patience;
    loop {
        let known = launch.cluster_arn.as_deref().and_then(|arn| ground.kafka.cluster(arn));
        if let Some(cluster) = known.or_else(|| ground.kafka.by_bootstrap(&launch.bootstrap)) {
            return Ok(Some(cluster));
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Fault::brokers(format!(
                "No resolvable bootstrap urls given in bootstrap.servers: no cluster of the local cloud listens at {}; \
                 GetBootstrapBrokers tells the addresses of one",
                launch.bootstrap
            )));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// What MSK Connect and its consumers ask of the cluster before anything is read ("IAM roles and policies for MSK Connect",
/// MSK developer guide).
fn check(access: &Access, launch: &Launch, sink: &Sink) -> Result<(), Fault> {
    access.cluster("Connect")?;
    access.cluster("DescribeCluster")?;
    for of in ["configs", "offsets", "status"] {
        let internal = format!("__amazon_msk_connect_{of}_{}_{}", launch.name, launch.uuid);
        for action in ["CreateTopic", "DescribeTopic", "ReadData", "WriteData"] {
            access.topic(action, &internal)?;
        }
    }
    let internal = format!("__amazon_msk_connect_{}_{}", launch.name, launch.uuid);
    for group in [&internal, &sink.group] {
        access.group("AlterGroup", group)?;
        access.group("DescribeGroup", group)?;
    }
    Ok(())
}

/// The partitions that a connector reads, each with the id of its topic: one that was made again is another.
#[derive(PartialEq, Eq)]
struct Subscribed(Vec<(String, Uuid, i32)>);

impl Subscribed {
    fn now(shared: &Shared) -> Result<Subscribed, Fault> {
        let wanted = |name: &str| match &shared.sink.topics {
            Topics::Named(names) => names.iter().any(|wanted| wanted == name),
            Topics::Matching(regex) => regex.is_match(name),
        };
        if let Topics::Named(names) = &shared.sink.topics {
            names.iter().try_for_each(|name| shared.access.topic("DescribeTopic", name))?;
        }
        let mut found = Vec::new();
        for topic in shared.cluster.topics() {
            // What may not be described is not seen, and so no pattern matches it.
            if !wanted(&topic.name) || shared.access.topic("DescribeTopic", &topic.name).is_err() {
                continue;
            }
            found.extend(topic.partitions.iter().map(|partition| (topic.name.clone(), topic.id, partition.id)));
        }
        Ok(Subscribed(found))
    }

    /// In turns, to no more tasks than there are partitions.
    fn spread(&self, tasks_max: usize) -> Vec<Vec<(String, i32)>> {
        let mut tasks = vec![Vec::new(); tasks_max.min(self.0.len())];
        let count = tasks.len();
        for (index, (topic, _, partition)) in self.0.iter().enumerate() {
            if let Some(task) = tasks.get_mut(index.checked_rem(count).unwrap_or(0)) {
                task.push((topic.clone(), *partition));
            }
        }
        tasks
    }
}

/// Runs tasks until topics change (then the new ones are returned) or the connector is stopped (`None`).
async fn generation(
    shared: &Arc<Shared>,
    topics: &Subscribed,
    tell: &watch::Sender<Health>,
    stop: &CancellationToken,
) -> Result<Option<Subscribed>, Fault> {
    let ending = stop.child_token();
    let mut tasks = JoinSet::new();
    let mut rounds = Vec::new();
    for (id, assignment) in topics.spread(shared.sink.tasks_max).into_iter().enumerate() {
        let (done, round) = oneshot::channel();
        tasks.spawn(Box::pin(task::run(Arc::clone(shared), id, assignment, ending.clone(), done)));
        rounds.push(round);
    }
    let mut first_round = Box::pin(tokio::time::timeout(FIRST_ROUND, futures::future::try_join_all(rounds)));
    let mut begun = false;
    let mut changes = Box::pin(changed(shared, topics));
    let outcome = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(None),
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => break Err(fault),
                Err(error) => break Err(Fault::task(format!("a task broke off: {error}"))),
            },
            told = &mut first_round, if !begun => {
                begun = true;
                // A task that ended before its first round tells why itself.
                if !matches!(told, Ok(Err(_))) {
                    tell.send_replace(Health::Running(shared.cluster.spec().arn));
                }
            }
            changed = &mut changes => break changed.map(Some),
        }
    };
    ending.cancel();
    while let Some(ended) = tasks.join_next().await {
        if let (Ok(Err(fault)), Ok(_)) = (ended, &outcome) {
            shared.log.line(&fault.message);
        }
    }
    match outcome {
        // The brokers were closed or a topic went while it was read: the next generation sees what there is.
        Err(fault) if fault.passing && !stop.is_cancelled() => {
            tokio::time::sleep(TOPICS_REST).await;
            Subscribed::now(shared).map(Some)
        }
        outcome => outcome,
    }
}

/// Returns when there are other partitions to read.
async fn changed(shared: &Shared, before: &Subscribed) -> Result<Subscribed, Fault> {
    let mut ends = shared.cluster.ends();
    loop {
        let now = Subscribed::now(shared)?;
        if now != *before {
            return Ok(now);
        }
        if ends.changed().await.is_err() {
            return Err(Fault::brokers("the cluster was closed"));
        }
        tokio::time::sleep(TOPICS_REST).await;
    }
}
