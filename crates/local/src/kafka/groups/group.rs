//! The state machine of one group.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::member::Member;
use super::{
    Answer, Described, DescribedMember, Join, JoinAnswer, Joined, NotJoined, Resident, Sync, SyncAnswer, Synced,
};

/// As in Kafka's `GroupCoordinator`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    /// Members come (back) in until all have or the deadline is there.
    Preparing,
    /// The leader assigns.
    Completing,
    Stable,
}

/// A consumer group.
#[derive(Default)]
pub(super) struct Group {
    state: State,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Which member is a static one now.
    instances: HashMap<String, String>,
    /// Ids that were given out and not used yet, and when they end.
    pending: HashMap<String, Instant>,
    /// When a rebalance ends without those who have not come.
    deadline: Option<Instant>,
    /// When the first rebalance of an empty group may end at the earliest.
    not_before: Option<Instant>,
    residents: Vec<Resident>,
}

impl Group {
    /// A member joins: a new one, or one that does so again.
    pub(super) fn join(&mut self, join: Join, now: Instant) -> Answer<JoinAnswer> {
        let refused = |code, join: &Join| Answer::Now(Err(NotJoined { code, member_id: join.member_id.clone() }));
        if !self.takes(&join) {
            return refused(ResponseError::InconsistentGroupProtocol, &join);
        }
        if !join.member_id.is_empty() {
            if self.pending.remove(&join.member_id).is_some() {
                let id = join.member_id.clone();
                return self.add(id, join, now);
            }
            return match self.known(&join.member_id, join.instance.as_deref()) {
                Ok(()) => self.rejoin(join, now),
                Err(code) => refused(code, &join),
            };
        }
        let prefix = join.instance.as_deref().unwrap_or(&join.client_id);
        let id = format!("{prefix}-{}", Uuid::new_v4());
        let taken = join.instance.as_ref().and_then(|instance| self.instances.get(instance)).cloned();
        if let Some(old) = taken {
            return self.replace(&old, id, join, now);
        }
        if join.needs_id && join.instance.is_none() {
            self.pending.insert(id.clone(), now + join.session);
            return Answer::Now(Err(NotJoined { code: ResponseError::MemberIdRequired, member_id: id }));
        }
        self.add(id, join, now)
    }

    /// A member asks for its assignment; the leader brings all.
    pub(super) fn sync(&mut self, sync: Sync, now: Instant) -> Answer<SyncAnswer> {
        if let Err(code) = self.in_generation(&sync.member_id, sync.instance.as_deref(), sync.generation) {
            return Answer::Now(Err(code));
        }
        let differs = |said: &Option<String>, is: &str| said.as_deref().is_some_and(|said| said != is);
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Answer::Now(Err(ResponseError::InconsistentGroupProtocol));
        }
        let is_leader = sync.member_id == self.leader;
        let Some(member) = self.members.get_mut(&sync.member_id) else {
            return Answer::Now(Err(ResponseError::UnknownMemberId));
        };
        member.seen = now;
        match self.state {
            State::Empty => Answer::Now(Err(ResponseError::UnknownMemberId)),
            State::Preparing => Answer::Now(Err(ResponseError::RebalanceInProgress)),
            State::Stable => {
                let assignment = member.assignment.clone();
                Answer::Now(Ok(self.synced(assignment)))
            }
            State::Completing => {
                let (answer, waiting) = oneshot::channel();
                member.syncing = Some(answer);
                if is_leader {
                    self.assign(sync.assignments, now);
                }
                Answer::Later(waiting)
            }
        }
    }

    /// A member is still there.
    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.in_generation(member_id, instance, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.seen = now;
        }
        if self.state == State::Preparing { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }

    /// A member goes.
    pub(super) fn leave(&mut self, member_id: &str, instance: Option<&str>, now: Instant) -> Result<(), ResponseError> {
        if self.pending.remove(member_id).is_some() {
            self.complete_if_all_are_here(now);
            return Ok(());
        }
        let id = match instance {
            Some(instance) if member_id.is_empty() => {
                self.instances.get(instance).cloned().ok_or(ResponseError::UnknownMemberId)?
            }
            _ => {
                self.known(member_id, instance)?;
                member_id.to_owned()
            }
        };
        self.remove(&id, now);
        Ok(())
    }

    /// Whether a member may commit offsets.
    pub(super) fn may_commit(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        self.in_generation(member_id, instance, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.seen = now;
        }
        if self.state == State::Completing { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }

    /// Lets time pass; returns when something is due next.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        self.pending.retain(|_, ends| *ends > now);
        let gone = self.members.iter().filter(|(_, member)| member.ends().is_some_and(|ends| ends <= now));
        let gone: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.remove(&id, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end_of_patience(now);
        }
        self.complete_if_all_are_here(now);
        let leases = self.members.values().filter_map(Member::ends).chain(self.pending.values().copied());
        // Once passed it is no longer something to wait for.
        let not_before = self.not_before.filter(|at| self.state == State::Preparing && *at > now);
        leases.chain(self.deadline).chain(not_before).min()
    }

    pub(super) fn add_resident(&mut self, resident: Resident) {
        self.residents.push(resident);
    }

    pub(super) fn remove_resident(&mut self, member_id: &str) {
        self.residents.retain(|resident| resident.member_id != member_id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.residents.is_empty()
    }

    pub(super) fn state_name(&self) -> &'static str {
        match self.state {
            _ if !self.residents.is_empty() => "Stable",
            State::Empty => "Empty",
            State::Preparing => "PreparingRebalance",
            State::Completing => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    pub(super) fn protocol_type(&self) -> String {
        if self.residents.is_empty() { self.protocol_type.clone() } else { "consumer".to_owned() }
    }

    pub(super) fn describe(&self) -> Described {
        let settled = matches!(self.state, State::Stable);
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            member_id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if settled { member.metadata(&self.protocol) } else { Bytes::new() },
            assignment: if settled { member.assignment.clone() } else { Bytes::new() },
        });
        let residents = !self.residents.is_empty();
        Described {
            state: self.state_name(),
            protocol_type: self.protocol_type(),
            protocol: if residents { "range".to_owned() } else { self.protocol.clone() },
            members: members.chain(self.residents.iter().map(Resident::described)).collect(),
        }
    }

    /// Whether a member fits to those that are there.
    fn takes(&self, join: &Join) -> bool {
        if !self.residents.is_empty() || join.protocols.is_empty() || join.protocol_type.is_empty() {
            return false;
        }
        let others: Vec<&Member> =
            self.members.iter().filter(|(id, _)| **id != join.member_id).map(|(_, member)| member).collect();
        others.is_empty()
            || (self.protocol_type == join.protocol_type
                && join.protocols.iter().any(|(name, _)| others.iter().all(|member| member.supports(name))))
    }

    fn add(&mut self, id: String, join: Join, now: Instant) -> Answer<JoinAnswer> {
        let (answer, waiting) = oneshot::channel();
        let delay = join.delay;
        let was_empty = self.members.is_empty();
        self.protocol_type = join.protocol_type;
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let member = Member {
            instance: join.instance,
            client_id: join.client_id,
            client_host: join.client_host,
            session: join.session,
            rebalance: join.rebalance,
            protocols: join.protocols,
            assignment: Bytes::new(),
            joining: Some(answer),
            syncing: None,
            seen: now,
        };
        self.members.insert(id, member);
        if was_empty && !delay.is_zero() {
            self.not_before = Some(now + delay);
        }
        self.rebalance(now);
        Answer::Later(waiting)
    }

    fn rejoin(&mut self, join: Join, now: Instant) -> Answer<JoinAnswer> {
        let id = join.member_id;
        let is_leader = id == self.leader;
        let Some(member) = self.members.get_mut(&id) else {
            return Answer::Now(Err(NotJoined { code: ResponseError::UnknownMemberId, member_id: id }));
        };
        member.seen = now;
        let same = member.protocols == join.protocols;
        // The answer to its JoinGroup was lost, or a follower asks again without need.
        let nothing_new = match self.state {
            State::Completing => same,
            State::Stable => same && !is_leader,
            State::Empty | State::Preparing => false,
        };
        if nothing_new {
            return Answer::Now(Ok(self.joined(&id)));
        }
        let (answer, waiting) = oneshot::channel();
        member.protocols = join.protocols;
        member.session = join.session;
        member.rebalance = join.rebalance;
        member.client_id = join.client_id;
        member.joining = Some(answer);
        self.rebalance(now);
        Answer::Later(waiting)
    }

    /// A static member has come back under a new id: the one before is fenced. Where it says what it said before, nobody
    /// else has to know.
    fn replace(&mut self, old: &str, id: String, join: Join, now: Instant) -> Answer<JoinAnswer> {
        let Some(mut member) = self.members.remove(old) else { return self.add(id, join, now) };
        let fenced = ResponseError::FencedInstanceId;
        member.answer_join(Err(NotJoined { code: fenced, member_id: old.to_owned() }));
        member.answer_sync(Err(fenced));
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let said_before = member.metadata(&self.protocol);
        member.protocols = join.protocols;
        member.session = join.session;
        member.rebalance = join.rebalance;
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        member.seen = now;
        let unchanged = self.state == State::Stable
            && member.supports(&self.protocol)
            && member.metadata(&self.protocol) == said_before;
        let (answer, waiting) = oneshot::channel();
        if !unchanged {
            member.joining = Some(answer);
        }
        self.members.insert(id.clone(), member);
        let led = self.leader == old;
        if led {
            self.leader.clone_from(&id);
        }
        if !unchanged {
            self.rebalance(now);
            return Answer::Later(waiting);
        }
        let mut joined = self.joined(&id);
        if led && join.may_skip {
            joined.skip_assignment = true;
        } else if led {
            // It must not assign anew, so it is told that another leads.
            joined.leader = old.to_owned();
            joined.members.clear();
        }
        Answer::Now(Ok(joined))
    }

    /// Everybody has to come again.
    fn rebalance(&mut self, now: Instant) {
        if self.state == State::Completing {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                member.answer_sync(Err(ResponseError::RebalanceInProgress));
            }
        }
        if self.state != State::Preparing {
            self.state = State::Preparing;
            let patience = self.members.values().map(|member| member.rebalance).max().unwrap_or_default();
            self.deadline = Some(now + patience);
        }
        self.complete_if_all_are_here(now);
    }

    fn complete_if_all_are_here(&mut self, now: Instant) {
        let here = self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if self.state == State::Preparing && here && self.not_before.is_none_or(|at| at <= now) {
            self.complete(now);
        }
    }

    /// The rebalance goes on without those who have not come, or ends without those who do not ask for their assignment.
    fn end_of_patience(&mut self, now: Instant) {
        match self.state {
            State::Preparing => self.complete(now),
            State::Completing => {
                let missing = self.members.iter().filter(|(_, member)| member.syncing.is_none());
                let missing: Vec<String> = missing.map(|(id, _)| id.clone()).collect();
                self.deadline = None;
                for id in missing {
                    self.remove(&id, now);
                }
            }
            State::Empty | State::Stable => self.deadline = None,
        }
    }

    fn complete(&mut self, now: Instant) {
        // A static member keeps its place until its session ends.
        let absent = self.members.iter().filter(|(_, member)| member.joining.is_none() && member.instance.is_none());
        let absent: Vec<String> = absent.map(|(id, _)| id.clone()).collect();
        for id in &absent {
            self.members.remove(id);
        }
        self.not_before = None;
        self.generation += 1;
        if self.members.values().all(|member| member.joining.is_none()) {
            self.deadline = None;
            self.protocol.clear();
            self.leader.clear();
            self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
            return;
        }
        self.protocol = self.vote();
        let leads_on = self.members.get(&self.leader).is_some_and(|member| member.joining.is_some());
        if !leads_on {
            let first = self.members.iter().find(|(_, member)| member.joining.is_some());
            self.leader = first.map(|(id, _)| id.clone()).unwrap_or_default();
        }
        self.state = State::Completing;
        let patience = self.members.values().map(|member| member.rebalance).max().unwrap_or_default();
        self.deadline = Some(now + patience);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now;
                member.answer_join(Ok(joined));
            }
        }
    }

    /// The protocol that all support and most prefer.
    fn vote(&self) -> String {
        let supported = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| supported(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Instant) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
        self.deadline = None;
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        for member in self.members.values_mut().filter(|member| member.syncing.is_some()) {
            member.seen = now;
            let assignment = member.assignment.clone();
            let (protocol_type, protocol) = (protocol_type.clone(), protocol.clone());
            member.answer_sync(Ok(Synced { protocol_type, protocol, assignment }));
        }
    }

    fn remove(&mut self, id: &str, now: Instant) {
        let Some(mut member) = self.members.remove(id) else { return };
        let unknown = ResponseError::UnknownMemberId;
        member.answer_join(Err(NotJoined { code: unknown, member_id: id.to_owned() }));
        member.answer_sync(Err(unknown));
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        match self.state {
            State::Empty => {}
            State::Preparing => self.complete_if_all_are_here(now),
            State::Completing | State::Stable => self.rebalance(now),
        }
    }

    fn joined(&self, id: &str) -> Joined {
        let members = if id == self.leader {
            let told = |(id, member): (&String, &Member)| {
                (id.clone(), member.instance.clone(), member.metadata(&self.protocol))
            };
            self.members.iter().map(told).collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member_id: id.to_owned(),
            members,
            skip_assignment: false,
        }
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced { protocol_type: self.protocol_type.clone(), protocol: self.protocol.clone(), assignment }
    }

    /// Whether there is such a member, and the instance is still its own.
    fn known(&self, member_id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            let now = self.instances.get(instance).ok_or(ResponseError::UnknownMemberId)?;
            if now != member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    fn in_generation(&self, member_id: &str, instance: Option<&str>, generation: i32) -> Result<(), ResponseError> {
        self.known(member_id, instance)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }
}
