//! Consumer groups by the classic protocol: members join, one of them assigns partitions, heartbeats keep them in.
//!
//! A [`Group`](group::Group) is a state machine without I/O or clock: a call gives it the time and gets an answer, now or
//! over a channel when the others have come. [`Groups`] holds all of a cluster and wakes the task that lets time pass
//! (`server::timers`). Members are in memory, as in Kafka their leases are: after a restart they join again.

mod group;
mod member;
mod resident;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::log::lock;
use group::Group;
pub(crate) use resident::Resident;

/// More groups than any stack has; bounds what a client can make us remember.
const MOST_GROUPS: usize = 10_000;

/// A member that asks to join.
pub(crate) struct Join {
    /// Empty for one that is new.
    pub(crate) member_id: String,
    /// Of a static member.
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session: Duration,
    pub(crate) rebalance: Duration,
    pub(crate) protocol_type: String,
    /// Assignment strategies with what the member says for each, the preferred first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Whether a new member must come again with the id that it is given (JoinGroup 4 and later).
    pub(crate) needs_id: bool,
    /// Whether a leader can be told not to assign anew (JoinGroup 9 and later).
    pub(crate) may_skip: bool,
    /// How long the first members of an empty group wait for more.
    pub(crate) delay: Duration,
}

/// What a member that joined is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    /// For the leader alone: id, instance, and what each said for the protocol.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
    pub(crate) skip_assignment: bool,
}

/// Why a member was not let in; with the id to come back with, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotJoined {
    pub(crate) code: ResponseError,
    pub(crate) member_id: String,
}

/// A member that asks for its assignment, or brings all.
pub(crate) struct Sync {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A member's assignment, and by which protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

pub(crate) type JoinAnswer = Result<Joined, NotJoined>;
pub(crate) type SyncAnswer = Result<Synced, ResponseError>;

/// An answer that is there, or comes when others have done their part.
pub(crate) enum Answer<T> {
    Now(T),
    Later(oneshot::Receiver<T>),
}

/// What is told of a group.
pub(crate) struct Described {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<DescribedMember>,
}

/// What is told of a member.
pub(crate) struct DescribedMember {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

/// The groups of a cluster that have, or had, members.
#[derive(Default)]
pub(crate) struct Groups {
    by_id: Mutex<BTreeMap<String, Group>>,
    /// Something may have to happen earlier than was thought.
    pub(crate) changed: Notify,
}

impl Groups {
    /// A member joins.
    pub(crate) fn join(&self, group: &str, join: Join, now: Instant) -> Answer<JoinAnswer> {
        let mut groups = lock(&self.by_id);
        let refused = |code| Answer::Now(Err(NotJoined { code, member_id: join.member_id.clone() }));
        if group.is_empty() {
            return refused(ResponseError::InvalidGroupId);
        }
        if !groups.contains_key(group) {
            if !join.member_id.is_empty() {
                return refused(ResponseError::UnknownMemberId);
            }
            if groups.len() >= MOST_GROUPS {
                return refused(ResponseError::GroupMaxSizeReached);
            }
        }
        let answer = groups.entry(group.to_owned()).or_default().join(join, now);
        self.changed.notify_one();
        answer
    }

    /// A member asks for its assignment.
    pub(crate) fn sync(&self, group: &str, sync: Sync, now: Instant) -> Answer<SyncAnswer> {
        let mut groups = lock(&self.by_id);
        let Some(group) = groups.get_mut(group) else { return Answer::Now(Err(ResponseError::UnknownMemberId)) };
        let answer = group.sync(sync, now);
        self.changed.notify_one();
        answer
    }

    /// A member is still there.
    pub(crate) fn heartbeat(
        &self,
        group: &str,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let mut groups = lock(&self.by_id);
        let group = groups.get_mut(group).ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(member_id, instance, generation, now)
    }

    /// A member goes. Administrators name static members by their instances alone.
    pub(crate) fn leave(
        &self,
        group: &str,
        member_id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let mut groups = lock(&self.by_id);
        let group = groups.get_mut(group).ok_or(ResponseError::UnknownMemberId)?;
        let left = group.leave(member_id, instance, now);
        self.changed.notify_one();
        left
    }

    /// Whether a member may commit offsets. Who is in no generation may when the group has no members.
    pub(crate) fn may_commit(
        &self,
        group: &str,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        match lock(&self.by_id).get_mut(group) {
            Some(group) => group.may_commit(member_id, instance, generation, now),
            None if generation < 0 => Ok(()),
            None => Err(ResponseError::IllegalGeneration),
        }
    }

    /// Ids, states and protocol types of all.
    pub(crate) fn list(&self) -> Vec<(String, &'static str, String)> {
        let groups = lock(&self.by_id);
        groups.iter().map(|(id, group)| (id.clone(), group.state_name(), group.protocol_type())).collect()
    }

    /// What is to be told of one.
    pub(crate) fn describe(&self, group: &str) -> Option<Described> {
        lock(&self.by_id).get(group).map(Group::describe)
    }

    /// Forgets a group without members; `None` when it was not known.
    pub(crate) fn delete(&self, group: &str) -> Option<Result<(), ResponseError>> {
        let mut groups = lock(&self.by_id);
        if !groups.get(group)?.is_empty() {
            return Some(Err(ResponseError::NonEmptyGroup));
        }
        groups.remove(group);
        Some(Ok(()))
    }

    /// Adds a member that lives in this process.
    pub(crate) fn add_resident(&self, group: &str, resident: Resident) {
        lock(&self.by_id).entry(group.to_owned()).or_default().add_resident(resident);
    }

    /// Takes it out again.
    pub(crate) fn remove_resident(&self, group: &str, member_id: &str) {
        if let Some(group) = lock(&self.by_id).get_mut(group) {
            group.remove_resident(member_id);
        }
    }

    /// Lets time pass: members that were not heard of go, rebalances end. Returns when to come again.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut groups = lock(&self.by_id);
        groups.values_mut().filter_map(|group| group.expire(now)).min()
    }
}
