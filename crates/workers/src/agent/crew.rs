//! All workers of a machine: one task each. What is to be done is decided from what is wanted and what each was told
//! last, so it does not matter in which order things happen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::GRACE;
use super::board::Board;
use super::lake::Lake;
use super::manifests::Assignment;
use super::programs::Programs;
use super::worker::{Orders, Worker};
use crate::log::say;

/// The tasks of all workers.
#[derive(Debug)]
pub(super) struct Crew {
    folder: PathBuf,
    programs: Programs,
    lake: Lake,
    board: Board,
    orders: BTreeMap<String, watch::Sender<Orders>>,
    tasks: JoinSet<String>,
}

/// What one worker is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Start(String),
    Run(String),
    Stop(String),
}

impl Crew {
    pub(super) fn new(folder: PathBuf, programs: Programs, lake: Lake, board: Board) -> Crew {
        Crew { folder, programs, lake, board, orders: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Tells each worker what is wanted of it, and starts the tasks of those that have none.
    pub(super) fn assign(&mut self, wanted: &BTreeMap<String, Arc<Assignment>>) {
        let told = self.orders.iter().map(|(name, orders)| (name.clone(), told(&orders.borrow()))).collect();
        let hashes = wanted.iter().map(|(name, wanted)| (name.clone(), wanted.hash.clone())).collect();
        for change in changes(&hashes, &told) {
            match change {
                Change::Start(name) => {
                    if let Some(assignment) = wanted.get(&name) {
                        say(&format!("{name}: taken up"));
                        self.start(name, Arc::clone(assignment));
                    }
                }
                Change::Run(name) => {
                    if let (Some(orders), Some(assignment)) = (self.orders.get(&name), wanted.get(&name)) {
                        say(&format!("{name}: its manifest has changed"));
                        orders.send_replace(Orders::Run(Arc::clone(assignment)));
                    }
                }
                Change::Stop(name) => {
                    if let Some(orders) = self.orders.get(&name) {
                        say(&format!("{name}: not wanted any more"));
                        orders.send_replace(Orders::Stop { grace: GRACE });
                    }
                }
            }
        }
    }

    /// Returns when a worker's task has ended; one that is wanted again has to be assigned again.
    pub(super) async fn one_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    /// Stops all and returns when they have ended.
    pub(super) async fn stop(mut self, grace: Duration) {
        for orders in self.orders.values() {
            orders.send_replace(Orders::Stop { grace });
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.forget(ended);
        }
    }

    fn start(&mut self, name: String, assignment: Arc<Assignment>) {
        let (orders, receiver) = watch::channel(Orders::Run(assignment));
        let worker = Worker::new(name.clone(), &self.folder, &self.programs, &self.lake, &self.board);
        self.orders.insert(name.clone(), orders);
        self.tasks.spawn(async move {
            worker.run(receiver).await;
            name
        });
    }

    fn forget(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(name) => {
                self.orders.remove(&name);
                self.board.gone(&name);
            }
            // Its process was killed as it was dropped. Which it was is seen from the orders nobody listens to.
            Err(panicked) => {
                say(&format!("a worker's task ended by a bug: {panicked}"));
                let board = &self.board;
                self.orders.retain(|name, orders| {
                    let listens = !orders.is_closed();
                    if !listens {
                        board.gone(name);
                    }
                    listens
                });
            }
        }
    }
}

/// The manifest that a worker was told to run by, if any.
fn told(orders: &Orders) -> Option<String> {
    match orders {
        Orders::Run(assignment) => Some(assignment.hash.clone()),
        Orders::Stop { .. } => None,
    }
}

/// What leads from `told` to `wanted`. A worker that is being stopped is in `told` without a manifest.
fn changes(wanted: &BTreeMap<String, String>, told: &BTreeMap<String, Option<String>>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, hash) in wanted {
        match told.get(name) {
            None => changes.push(Change::Start(name.clone())),
            Some(before) if before.as_ref() != Some(hash) => changes.push(Change::Run(name.clone())),
            Some(_) => {}
        }
    }
    for (name, before) in told {
        if before.is_some() && !wanted.contains_key(name) {
            changes.push(Change::Stop(name.clone()));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn names<T>(values: impl Strategy<Value = T>) -> impl Strategy<Value = BTreeMap<String, T>>
    where
        T: std::fmt::Debug,
    {
        btree_map("[a-d]", values, 0..4)
    }

    proptest! {
        #[test]
        fn one_round_leads_to_what_is_wanted_and_the_next_does_nothing(
            wanted in names("[12]"),
            told in names(proptest::option::of("[12]")),
        ) {
            let mut after = told.clone();
            for change in changes(&wanted, &told) {
                match change {
                    Change::Start(name) => {
                        prop_assert!(!told.contains_key(&name), "{} would run twice", name);
                        after.insert(name.clone(), Some(wanted[&name].clone()));
                    }
                    Change::Run(name) => { after.insert(name.clone(), Some(wanted[&name].clone())); }
                    Change::Stop(name) => { after.insert(name, None); }
                }
            }
            let running: BTreeMap<String, String> =
                after.iter().filter_map(|(name, hash)| Some((name.clone(), hash.clone()?))).collect();
            prop_assert_eq!(&running, &wanted);
            prop_assert_eq!(changes(&wanted, &after), vec![]);
        }
    }
}
