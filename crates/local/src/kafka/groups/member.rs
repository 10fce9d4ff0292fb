//! A member of a group.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{JoinAnswer, SyncAnswer};

/// A member, and what it waits for.
pub(super) struct Member {
    pub(super) instance: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    pub(super) joining: Option<oneshot::Sender<JoinAnswer>>,
    pub(super) syncing: Option<oneshot::Sender<SyncAnswer>>,
    pub(super) seen: Instant,
}

impl Member {
    /// Whether it waits for an answer: no heartbeat is due then.
    pub(super) fn waits(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    /// When it counts as gone.
    pub(super) fn ends(&self) -> Option<Instant> {
        (!self.waits()).then(|| self.seen + self.session)
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// What it says for a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Answers its JoinGroup. Nobody may be there any more to hear it.
    pub(super) fn answer_join(&mut self, answer: JoinAnswer) {
        if let Some(waiting) = self.joining.take() {
            let _heard = waiting.send(answer);
        }
    }

    /// Answers its SyncGroup.
    pub(super) fn answer_sync(&mut self, answer: SyncAnswer) {
        if let Some(waiting) = self.syncing.take() {
            let _heard = waiting.send(answer);
        }
    }
}
