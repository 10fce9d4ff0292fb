//! What is known of all workers at this moment: workers' tasks write it, the heartbeat reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::config::{Phase, WorkerState};
use crate::log::say;
use crate::report::{LastError, Report};

/// Cheap to clone; all clones are one board.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    error: Option<String>,
    workers: BTreeMap<String, WorkerState>,
}

impl Board {
    /// What is wrong with the agent itself, if anything. A change of it is said in the log.
    pub(super) fn agent_error(&self, error: Option<String>) {
        let mut state = self.lock();
        if state.error == error {
            return;
        }
        say(error.as_deref().unwrap_or("the lake answers, and all manifests can be used"));
        state.error = error;
        drop(state);
        self.shared.changed.notify_one();
    }

    /// A worker begins to run by this manifest.
    pub(super) fn begins(&self, worker: &str, manifest: &str) {
        let state =
            WorkerState { manifest: manifest.to_owned(), phase: Phase::Starting, pid: None, restarts: 0, report: None };
        self.lock().workers.insert(worker.to_owned(), state);
        self.shared.changed.notify_one();
    }

    /// Changes what is known of a worker; news that somebody may wait for are told at once.
    pub(super) fn update(&self, worker: &str, change: impl FnOnce(&mut WorkerState)) {
        let mut state = self.lock();
        let Some(known) = state.workers.get_mut(worker) else { return };
        let news = |state: &WorkerState| (state.phase, state.report.as_ref().is_some_and(|report| report.healthy));
        let before = news(known);
        change(known);
        if before != news(known) {
            self.shared.changed.notify_one();
        }
    }

    /// A worker does not work, because of this. What it has counted stays.
    pub(super) fn fails(&self, worker: &str, why: &str) {
        say(&format!("{worker}: {why}"));
        let error = LastError { at: OffsetDateTime::now_utc(), message: why.to_owned() };
        self.update(worker, |state| {
            let report = state.report.take().unwrap_or_default();
            state.report = Some(Report { healthy: false, last_error: Some(error), ..report });
        });
    }

    /// A worker is no more.
    pub(super) fn gone(&self, worker: &str) {
        self.lock().workers.remove(worker);
        self.shared.changed.notify_one();
    }

    /// All there is to tell.
    pub(super) fn read(&self) -> (Option<String>, BTreeMap<String, WorkerState>) {
        let state = self.lock();
        (state.error.clone(), state.workers.clone())
    }

    /// Returns once there is news since it was last asked.
    pub(super) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Each change is made in one go, so what a panicking thread left is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_change_of_health_is_news_and_another_count_is_not() {
        let board = Board::default();
        let is_news = || board.changed().now_or_never().is_some();
        board.begins("emulator", "abc");
        assert!(is_news());
        let report = |healthy| Some(Report { healthy, ..Report::default() });
        board.update("emulator", |state| state.report = report(true));
        assert!(is_news());
        board.update("emulator", |state| state.report = report(true));
        assert!(!is_news());
        board.fails("emulator", "ended");
        assert!(is_news());
        assert_eq!(board.read().1["emulator"].report.as_ref().unwrap().last_error.as_ref().unwrap().message, "ended");
        board.gone("emulator");
        assert!(is_news() && board.read().1.is_empty());
    }
}
