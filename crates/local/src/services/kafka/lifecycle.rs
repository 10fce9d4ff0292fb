//! Clusters, operations and configurations on their way: a task brings brokers and documents from the state that is
//! written down to the next one. It looks at the document, not at why it was started; so it may run twice, and goes on
//! after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::{Cluster, OperationState, Revised, State};
use super::desk::Desk;
use super::{clusters, properties};
use crate::kafka::ClusterSpec;
use crate::wire::error::ApiError;

/// The tasks.
pub(super) struct Lifecycle {
    tasks: TaskTracker,
    ending: CancellationToken,
    resumed: watch::Sender<bool>,
}

impl Default for Lifecycle {
    fn default() -> Lifecycle {
        let (resumed, _) = watch::channel(false);
        Lifecycle { tasks: TaskTracker::new(), ending: CancellationToken::new(), resumed }
    }
}

impl Lifecycle {
    /// Drops what is under way.
    pub(super) fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
    }

    /// Returns when no task is left after [`Lifecycle::end`].
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// Returns when the brokers of the last process are open again, or the local cloud ends.
    pub(super) async fn resumed(&self) {
        let mut resumed = self.resumed.subscribe();
        let opened = resumed.wait_for(|resumed| *resumed);
        self.ending.run_until_cancelled(opened).await;
    }
}

/// Opens the brokers that were open, and goes on with what was under way.
pub(super) fn resume(desk: &Arc<Desk>) {
    let task = Arc::clone(desk);
    let opening = async move {
        let clusters: Vec<Cluster> = task.book().clusters.values().cloned().collect();
        for cluster in clusters.iter().filter(|cluster| cluster.state.is_up()) {
            if let Err(error) = task.brokers.open_cluster(spec(&task, cluster)).await {
                task.note_closed(&cluster.arn, chain(&error));
            }
        }
        task.resumed_all(&clusters);
    };
    spawn(desk, opening);
}

/// Starts what a change of a cluster has made necessary.
pub(super) fn follow(desk: &Arc<Desk>, arn: &str) {
    let (task, arn) = (Arc::clone(desk), arn.to_owned());
    spawn(desk, async move { advance(&task, &arn).await });
}

/// Starts the end of a configuration.
pub(super) fn follow_configuration(desk: &Arc<Desk>, arn: &str) {
    let (task, arn) = (Arc::clone(desk), arn.to_owned());
    spawn(desk, async move {
        tokio::time::sleep(task.settle).await;
        let gone = task.change_configuration(&arn, |place, _| {
            *place = None;
            Ok(())
        });
        // A full disk leaves it in DELETING; the next start tries again.
        drop(gone);
    });
}

impl Desk {
    fn resumed_all(self: &Arc<Self>, clusters: &[Cluster]) {
        self.lifecycle.resumed.send_replace(true);
        for cluster in clusters.iter().filter(|cluster| !matches!(cluster.state, State::Active | State::Failed)) {
            follow(self, &cluster.arn);
        }
        let going: Vec<String> = {
            let book = self.book();
            book.configurations.values().filter(|one| one.deleting).map(|one| one.arn.clone()).collect()
        };
        for arn in going {
            follow_configuration(self, &arn);
        }
    }
}

fn spawn(desk: &Arc<Desk>, task: impl Future<Output = ()> + Send + 'static) {
    let ending = desk.lifecycle.ending.clone();
    desk.lifecycle.tasks.spawn(async move { ending.run_until_cancelled(task).await });
}

/// Brings a cluster to where its state is going.
async fn advance(desk: &Arc<Desk>, arn: &str) {
    let found = desk.book().clusters.get(arn).cloned();
    let Some(cluster) = found else { return };
    match cluster.state {
        State::Creating => create(desk, &cluster).await,
        State::Updating | State::RebootingBroker => operate(desk, &cluster).await,
        State::Deleting => delete(desk, &cluster).await,
        State::Active | State::Failed => {}
    }
}

async fn create(desk: &Desk, cluster: &Cluster) {
    if cluster.failure.is_some() {
        tokio::time::sleep(desk.settle * 4).await;
        write(desk, &cluster.arn, State::Creating, |cluster| cluster.state = State::Failed);
        return;
    }
    // A kill of the process may have come before the interfaces.
    let connected = clusters::connect(desk, cluster).map_err(|error| error.message);
    let opened = desk.brokers.open_cluster(spec(desk, cluster)).await.map_err(|error| chain(&error));
    let ready = connected.and(opened);
    // Of all that is asynchronous here this takes longest, as it does on AWS.
    tokio::time::sleep(desk.settle * 4).await;
    write(desk, &cluster.arn, State::Creating, |cluster| match ready {
        Ok(_) => cluster.state = State::Active,
        Err(why) => {
            cluster.state = State::Failed;
            cluster.failure = Some(("InternalError".to_owned(), why));
        }
    });
}

async fn delete(desk: &Desk, cluster: &Cluster) {
    // Files that cannot be removed are tried again at the next start; the cluster stays in DELETING until then.
    if desk.brokers.delete_cluster(&cluster.arn).await.is_err() {
        return;
    }
    tokio::time::sleep(desk.settle * 2).await;
    if desk.network.place_interfaces(&cluster.region, &cluster.arn, "", &[]).is_ok() {
        let _stays_on_a_full_disk = desk.forget_cluster(&cluster.arn);
    }
}

async fn operate(desk: &Desk, cluster: &Cluster) {
    let Some(arn) = cluster.operation.clone() else { return };
    tokio::time::sleep(desk.settle / 2).await;
    let begun = desk.change_cluster(&cluster.arn, |_, book| {
        let mut operation = book.operations.get(&arn).cloned();
        if let Some(operation) = &mut operation {
            operation.state = OperationState::UpdateInProgress;
        }
        Ok((operation.clone(), operation))
    });
    let Ok(Some(operation)) = begun else { return };
    let carried_out = carry_out(desk, cluster, &operation.target).await;
    tokio::time::sleep(desk.settle).await;
    let now = desk.clock.now_millis();
    let written = desk.change_cluster(&cluster.arn, |cluster, book| {
        let mut operation = book.operations.get(&arn).cloned();
        match carried_out {
            Ok(brokers) => {
                apply(cluster, &operation.as_ref().map(|one| one.target.clone()).unwrap_or_default());
                cluster.brokers = brokers;
                cluster.version = clusters::new_version();
            }
            Err(why) => {
                if let Some(operation) = &mut operation {
                    operation.failure = Some(("InternalError".to_owned(), why));
                }
            }
        }
        cluster.state = State::Active;
        cluster.operation = None;
        if let Some(operation) = &mut operation {
            let failed = operation.failure.is_some();
            operation.state = if failed { OperationState::UpdateFailed } else { OperationState::UpdateComplete };
            operation.ended = Some(now);
        }
        Ok(((), operation))
    });
    // A full disk leaves the operation under way; the next start tries again.
    drop(written);
}

/// Does to the brokers what an operation asks for; the brokers as the network knows them afterwards.
async fn carry_out(
    desk: &Desk,
    cluster: &Cluster,
    target: &Map<String, Value>,
) -> Result<Vec<super::book::Broker>, String> {
    let mut wanted = cluster.clone();
    apply(&mut wanted, target);
    let brokers = desk.open_brokers(cluster).map_err(|error| error.message)?;
    let count = wanted.broker_count();
    if count != cluster.broker_count() {
        brokers.resize(count).await.map_err(|error| chain(&error))?;
    }
    if wanted.configuration != cluster.configuration || wanted.kafka_version != cluster.kafka_version {
        let properties = properties_of(desk, &wanted);
        brokers.configure(properties, wanted.kafka_version.clone()).map_err(|error| chain(&error))?;
    }
    clusters::place_brokers(desk, cluster, count).map_err(|error| error.message)
}

/// Sets the members of `MutableClusterInfo` where a cluster has them.
fn apply(cluster: &mut Cluster, target: &Map<String, Value>) {
    for (member, value) in target {
        match member.as_str() {
            "KafkaVersion" => value.as_str().unwrap_or_default().clone_into(&mut cluster.kafka_version),
            "ConfigurationInfo" => {
                cluster.configuration = Some(Revised {
                    arn: value["Arn"].as_str().unwrap_or_default().to_owned(),
                    revision: value["Revision"].as_i64().unwrap_or_default(),
                });
            }
            "InstanceType" | "ConnectivityInfo" => {
                cluster.settings["BrokerNodeGroupInfo"][member.as_str()] = value.clone();
            }
            "BrokerEBSVolumeInfo" => {
                let mut volume = json!({"VolumeSize": value[0]["VolumeSizeGB"]});
                if !value[0]["ProvisionedThroughput"].is_null() {
                    volume["ProvisionedThroughput"] = value[0]["ProvisionedThroughput"].clone();
                }
                cluster.settings["BrokerNodeGroupInfo"]["StorageInfo"] = json!({ "EbsStorageInfo": volume });
            }
            _ => drop(cluster.settings.insert(member.clone(), value.clone())),
        }
    }
}

/// What the brokers of a cluster are opened with.
fn spec(desk: &Desk, cluster: &Cluster) -> ClusterSpec {
    ClusterSpec {
        arn: cluster.arn.clone(),
        name: cluster.name.clone(),
        uuid: cluster.uuid.clone(),
        region: cluster.region.clone(),
        account: cluster.account.clone(),
        nodes: cluster.broker_count(),
        properties: properties_of(desk, cluster),
        kafka_version: cluster.kafka_version.clone(),
    }
}

fn properties_of(desk: &Desk, cluster: &Cluster) -> BTreeMap<String, String> {
    properties::of(&desk.book(), cluster.configuration.as_ref())
}

/// Writes a new state, if the cluster is still where it was.
fn write(desk: &Desk, arn: &str, from: State, change: impl FnOnce(&mut Cluster)) {
    let written: Result<(), ApiError> = desk.change_cluster(arn, |cluster, _| {
        if cluster.state == from {
            change(cluster);
        }
        Ok(((), None))
    });
    // A full disk leaves the old state; the next start of the local cloud tries again.
    drop(written);
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
