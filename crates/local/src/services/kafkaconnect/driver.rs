//! Carries out what the documents say: a task a connector, which runs it, watches it, and writes what became of it.
//!
//! The state of the document is the order. A driver does what it asks for and writes the next state, unless somebody has
//! given another order meanwhile. So it does not matter when the process is killed: the next one finds the same order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::book::{Connector, Operation, Setting, State, Trouble};
use super::desk::Desk;
use super::{capacity, connectors};
use crate::connect::{Fault, Ground, Health, Launch, Running, TASKS_MAX, launch};
use crate::wire::error::ApiError;

/// What clusters may take to be opened when the local cloud starts. A connector that is made meanwhile has none: its
/// address is right or wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// The drivers, by the ARN of their connector.
pub(super) struct Crew {
    drivers: Mutex<HashMap<String, Hand>>,
    stopping: CancellationToken,
}

struct Hand {
    nudge: Arc<Notify>,
    driver: JoinHandle<()>,
}

/// What one driver works with. It holds no documents while it waits, so it keeps none alive.
struct Driver {
    desk: Weak<Desk>,
    ground: Ground,
    arn: String,
    nudge: Arc<Notify>,
    stopping: CancellationToken,
    running: Option<Running>,
    /// For the clusters of connectors that were there before the local cloud was started.
    patience: Duration,
}

impl Crew {
    /// Engages a driver for every connector that there is.
    pub(super) fn start(desk: &Arc<Desk>, ground: &Ground) -> Crew {
        let crew = Crew { drivers: Mutex::default(), stopping: CancellationToken::new() };
        let known: Vec<String> = desk.book().connectors.keys().cloned().collect();
        for arn in known {
            crew.engage_with(desk, ground, &arn, PATIENCE);
        }
        crew
    }

    /// Engages a driver for a connector.
    pub(super) fn engage(&self, desk: &Arc<Desk>, ground: &Ground, arn: &str) {
        self.engage_with(desk, ground, arn, Duration::ZERO);
    }

    fn engage_with(&self, desk: &Arc<Desk>, ground: &Ground, arn: &str, patience: Duration) {
        let nudge = Arc::new(Notify::new());
        let driver = Driver {
            desk: Arc::downgrade(desk),
            ground: ground.clone(),
            arn: arn.to_owned(),
            nudge: Arc::clone(&nudge),
            stopping: self.stopping.clone(),
            running: None,
            patience,
        };
        let driver = tokio::spawn(Box::pin(driver.drive()));
        let mut drivers = self.drivers();
        drivers.retain(|_, hand| !hand.driver.is_finished());
        drivers.insert(arn.to_owned(), Hand { nudge, driver });
    }

    /// Tells the driver of a connector that there is an order.
    pub(super) fn nudge(&self, arn: &str) {
        if let Some(hand) = self.drivers().get(arn) {
            hand.nudge.notify_one();
        }
    }

    /// Stops all connectors and returns when they have ended.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        let hands: Vec<Hand> = self.drivers().drain().map(|(_, hand)| hand).collect();
        for hand in hands {
            // A panic in one has ended it as well.
            let _ended = hand.driver.await;
        }
    }

    /// Ends them where they are, as a kill would.
    pub(super) fn abandon(&self) {
        for hand in self.drivers().values() {
            hand.driver.abort();
        }
    }

    fn drivers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Hand>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Driver {
    async fn drive(mut self) {
        while let Some(connector) = self.desk.upgrade().and_then(|desk| desk.connector(&self.arn)) {
            let stopping = self.stopping.clone();
            let gone = tokio::select! {
                () = stopping.cancelled() => true,
                gone = Box::pin(self.carry_out(connector)) => gone,
            };
            if gone {
                break;
            }
        }
        self.halt().await;
    }

    /// Does what the state asks for, and returns when there may be another. True when the connector is gone.
    async fn carry_out(&mut self, connector: Connector) -> bool {
        match connector.state {
            State::Creating => {
                self.settle().await;
                if connector.trouble.is_some() {
                    self.write(State::Creating, |connector, _| connector.state = State::Failed);
                    return false;
                }
                let outcome = self.start(&connector, &connector.setting).await;
                self.write(State::Creating, |connector, _| become_of(connector, outcome));
            }
            State::Running => self.watch(&connector).await,
            State::Failed | State::Paused => {
                self.halt().await;
                self.nudge.notified().await;
            }
            State::Pausing => {
                self.halt().await;
                self.settle().await;
                self.write(State::Pausing, |connector, operation| {
                    connector.state = State::Paused;
                    connector.version = connectors::version();
                    end(operation, "PAUSE_COMPLETE", None);
                });
            }
            State::Resuming | State::Restarting => self.start_again(&connector).await,
            State::Updating => self.update(&connector).await,
            State::Deleting => {
                self.halt().await;
                self.settle().await;
                // A store that fails leaves it DELETING; the next delete, or the next start, tries again.
                return match self.desk.upgrade().map(|desk| desk.remove_connector(&self.arn)) {
                    Some(Err(_)) => {
                        self.nudge.notified().await;
                        false
                    }
                    _ => true,
                };
            }
        }
        false
    }

    /// A connector that runs: again after the local cloud has started, and until something happens.
    async fn watch(&mut self, connector: &Connector) {
        if self.running.is_none() {
            let nudge = Arc::clone(&self.nudge);
            let outcome = tokio::select! {
                outcome = self.start(connector, &connector.setting) => outcome,
                () = nudge.notified() => return,
            };
            if let Err(fault) = outcome {
                self.write(State::Running, |connector, _| become_of(connector, Err(fault)));
                return;
            }
        }
        let Some(mut health) = self.running.as_ref().map(Running::health) else { return };
        let failed = health.wait_for(|health| matches!(health, Health::Failed(_)));
        let fault = tokio::select! {
            failed = failed => match failed.as_deref() {
                Ok(Health::Failed(fault)) => fault.clone(),
                _ => Fault::configuration("the connector ended without saying why"),
            },
            () = self.nudge.notified() => return,
        };
        self.write(State::Running, |connector, _| become_of(connector, Err(fault)));
    }

    async fn start_again(&mut self, connector: &Connector) {
        self.halt().await;
        self.settle().await;
        let outcome = self.start(connector, &connector.setting).await;
        self.write(connector.state, |connector, operation| {
            let word = operation.as_ref().map_or("RESTART", |operation| operation.kind.word());
            match &outcome {
                Ok(_) => end(operation, &format!("{word}_COMPLETE"), None),
                Err(fault) => end(operation, &format!("{word}_FAILED"), Some(trouble(fault))),
            }
            connector.version = connectors::version();
            become_of(connector, outcome);
        });
    }

    /// An update: the new setting is tried, and taken back when it is not healthy and health matters.
    async fn update(&mut self, connector: &Connector) {
        let operation = self.desk.upgrade().and_then(|desk| {
            let book = desk.book();
            connector.operation.as_ref().and_then(|arn| book.operations.get(arn).cloned())
        });
        let Some(operation) = operation else {
            // Documents of this version always have it.
            self.write(State::Updating, |connector, _| connector.state = State::Running);
            return;
        };
        self.note(|operation| {
            step(operation, "UPDATE_IN_PROGRESS", &["COMPLETED", "IN_PROGRESS", "PENDING", "PENDING"]);
        });
        self.halt().await;
        self.settle().await;
        if operation.from == State::Paused {
            self.write(State::Updating, |connector, noted| {
                take_over(connector, &operation.target);
                connector.state = State::Paused;
                complete(noted);
            });
            return;
        }
        self.note(|operation| {
            step(operation, "UPDATE_IN_PROGRESS", &["COMPLETED", "COMPLETED", "IN_PROGRESS", "PENDING"]);
        });
        let outcome = self.start(connector, &operation.target).await;
        let Err(fault) = outcome else {
            self.write(State::Updating, |connector, noted| {
                take_over(connector, &operation.target);
                complete(noted);
                become_of(connector, outcome);
            });
            return;
        };
        if operation.skips_health {
            self.write(State::Updating, |connector, noted| {
                take_over(connector, &operation.target);
                complete(noted);
                become_of(connector, Err(fault));
            });
            return;
        }
        self.note(|operation| {
            step(operation, "ROLLBACK_IN_PROGRESS", &["COMPLETED", "COMPLETED", "FAILED", "CANCELLED"]);
            operation.trouble = Some(trouble(&fault));
        });
        self.halt().await;
        let restored = self.start(connector, &operation.origin).await;
        self.write(State::Updating, |connector, noted| {
            // What did not run before is as it was when it does not run again.
            let back = restored.is_ok() || operation.from == State::Failed;
            let state = if back { "ROLLBACK_COMPLETE" } else { "ROLLBACK_FAILED" };
            end(noted, state, Some(trouble(&fault)));
            connector.version = connectors::version();
            become_of(connector, restored);
        });
    }

    /// Starts a setting of the connector and returns when it runs, with the ARN of its cluster, or has failed.
    async fn start(&mut self, connector: &Connector, setting: &Setting) -> Result<String, Fault> {
        self.halt().await;
        let Some(desk) = self.desk.upgrade() else { return Err(Fault::configuration("the local cloud stops")) };
        let order = order(&desk, connector, setting, self.patience);
        drop(desk);
        let running = launch(&self.ground, order);
        let mut health = running.health();
        self.running = Some(running);
        let outcome = match health.wait_for(|health| *health != Health::Starting).await.as_deref() {
            Ok(Health::Running(cluster)) => Ok(cluster.clone()),
            Ok(Health::Failed(fault)) => Err(fault.clone()),
            _ => Err(Fault::configuration("the connector ended without saying why")),
        };
        if outcome.is_err() {
            self.halt().await;
        }
        outcome
    }

    async fn halt(&mut self) {
        // Taken out only when it has ended: whoever gives this up finds it there.
        if let Some(running) = &mut self.running {
            running.stop().await;
        }
        self.running = None;
    }

    async fn settle(&self) {
        if let Some(settle) = self.desk.upgrade().map(|desk| desk.settle) {
            tokio::time::sleep(settle).await;
        }
    }

    /// Changes the connector and its operation, if it still is in the state that was carried out.
    fn write(&self, done: State, change: impl FnOnce(&mut Connector, &mut Option<Operation>)) {
        let Some(desk) = self.desk.upgrade() else { return };
        let written = desk.change_connector(&self.arn, |connector, book| {
            if connector.state != done {
                return Ok(((), None));
            }
            let mut operation = connector.operation.as_ref().and_then(|arn| book.operations.get(arn).cloned());
            if let Some(operation) = &mut operation {
                operation.ended = operation.ended.or(Some(desk.now()));
            }
            change(connector, &mut operation);
            connector.operation = None;
            Ok(((), operation))
        });
        self.unwritten(written);
    }

    /// Changes the operation that is under way.
    fn note(&self, change: impl FnOnce(&mut Operation)) {
        let Some(desk) = self.desk.upgrade() else { return };
        let written = desk.change_connector(&self.arn, |connector, book| {
            let mut operation = connector.operation.as_ref().and_then(|arn| book.operations.get(arn).cloned());
            if let Some(operation) = &mut operation {
                change(operation);
            }
            Ok(((), operation))
        });
        self.unwritten(written);
    }

    /// A store that fails leaves the order as it was, and it is carried out once more when somebody nudges.
    fn unwritten(&self, written: Result<(), ApiError>) {
        if let Err(error) = written {
            self.ground.log.line(&format!("the state of {} cannot be written: {error}", self.arn));
        }
    }
}

/// What a connector is started with.
fn order(desk: &Desk, connector: &Connector, setting: &Setting, patience: Duration) -> Launch {
    let cluster = &connector.fixed["kafkaCluster"]["apacheKafkaCluster"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let worker = setting.worker_configuration["workerConfigurationArn"].as_str();
    let worker = worker.and_then(|arn| Some(desk.book().worker_configurations.get(arn)?.properties.clone()));
    let mut configuration = setting.configuration.clone();
    if let Some(tasks) = capacity::tasks_max(&setting.capacity) {
        configuration.insert(TASKS_MAX.to_owned(), tasks.to_string());
    }
    Launch {
        name: connector.name.clone(),
        uuid: connector.uuid.clone(),
        configuration,
        worker: worker.unwrap_or_default(),
        bootstrap: text(&cluster["bootstrapServers"]),
        cluster_arn: connector.cluster_arn.clone(),
        patience,
        role: text(&connector.fixed["serviceExecutionRoleArn"]),
        iam: connector.fixed["kafkaClusterClientAuthentication"]["authenticationType"] == "IAM",
    }
}

fn become_of(connector: &mut Connector, outcome: Result<String, Fault>) {
    match outcome {
        Ok(cluster) => {
            connector.state = State::Running;
            connector.trouble = None;
            connector.cluster_arn = Some(cluster);
        }
        Err(fault) => {
            connector.state = State::Failed;
            connector.trouble = Some(trouble(&fault));
        }
    }
}

fn take_over(connector: &mut Connector, setting: &Setting) {
    connector.setting = setting.clone();
    connector.version = connectors::version();
}

fn trouble(fault: &Fault) -> Trouble {
    Trouble { code: fault.code.to_owned(), message: fault.message.clone() }
}

fn complete(operation: &mut Option<Operation>) {
    if let Some(operation) = operation {
        step(operation, "UPDATE_COMPLETE", &["COMPLETED"; 4]);
    }
}

fn end(operation: &mut Option<Operation>, state: &str, why: Option<Trouble>) {
    if let Some(operation) = operation {
        state.clone_into(&mut operation.state);
        operation.trouble = why;
    }
}

fn step(operation: &mut Operation, state: &str, steps: &[&str; 4]) {
    state.clone_into(&mut operation.state);
    for ((_, current), next) in operation.steps.iter_mut().zip(steps) {
        (*next).clone_into(current);
    }
}
