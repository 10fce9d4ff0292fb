//! All documents: a state that never changes, replaced as a whole once a change is on disk.
//!
//! Readers take the state and wait for nobody, so a Kinesis put does not wait for a role that is being made. A change
//! works on a copy (the documents in it are shared), and what differs afterwards is written in one commit a table. No
//! operation of IAM changes documents of two tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rand::Rng;
use serde::Serialize;

use super::document::{Managed, Profile, Role};
use super::errors;
use crate::clock::Clock;
use crate::store::{Change, Store, StoreError};
use crate::wire::error::ApiError;

const ROLES: &str = "roles";
const POLICIES: &str = "policies";
const PROFILES: &str = "instance_profiles";

/// Documents under the names that have to be unique: in lower case, but for policies, which go by their ARN.
type Table<T> = BTreeMap<String, Arc<T>>;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) roles: Table<Role>,
    pub(super) policies: Table<Managed>,
    pub(super) profiles: Table<Profile>,
}

/// The documents of one local cloud.
pub(super) struct Directory {
    store: Store,
    clock: Clock,
    /// How long other services do not know what is new.
    propagation: Duration,
    state: RwLock<Arc<State>>,
    /// Held by whoever changes something.
    changing: Mutex<()>,
}

impl Directory {
    pub(super) fn open(path: &Path, clock: Clock, propagation: Duration) -> Result<Directory, StoreError> {
        let store = Store::open(path)?;
        let state =
            State { roles: load(&store, ROLES)?, policies: load(&store, POLICIES)?, profiles: load(&store, PROFILES)? };
        Ok(Directory { store, clock, propagation, state: RwLock::new(Arc::new(state)), changing: Mutex::new(()) })
    }

    /// What there is now.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, or leaves it as it was if `edit` refuses. Returns once the change is on disk.
    pub(super) fn change<T>(&self, edit: impl FnOnce(&mut State) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state();
        let mut after = State::clone(&before);
        let answer = edit(&mut after)?;
        save(&self.store, ROLES, &before.roles, &after.roles)?;
        save(&self.store, POLICIES, &before.policies, &after.policies)?;
        save(&self.store, PROFILES, &before.profiles, &after.profiles)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(after);
        Ok(answer)
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now_millis()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether other services know by now what was made or written at `since`.
    pub(super) fn is_known(&self, since: i64) -> bool {
        let wait = i64::try_from(self.propagation.as_millis()).unwrap_or(i64::MAX);
        self.now() >= since.saturating_add(wait)
    }
}

impl State {
    /// The role of that very name.
    pub(super) fn role(&self, name: &str) -> Result<&Arc<Role>, ApiError> {
        let found = self.roles.get(&name.to_lowercase()).filter(|role| role.name == name);
        found.ok_or_else(|| errors::no_role(name))
    }

    /// The same, to be changed.
    pub(super) fn role_mut(&mut self, name: &str) -> Result<&mut Role, ApiError> {
        let found = self.roles.get_mut(&name.to_lowercase()).filter(|role| role.name == name);
        found.map(Arc::make_mut).ok_or_else(|| errors::no_role(name))
    }

    /// The role with that ARN.
    pub(super) fn role_by_arn(&self, arn: &str) -> Option<&Arc<Role>> {
        let name = arn.rsplit('/').next()?;
        self.role(name).ok().filter(|role| role.arn() == arn)
    }

    pub(super) fn profile(&self, name: &str) -> Result<&Arc<Profile>, ApiError> {
        let found = self.profiles.get(&name.to_lowercase()).filter(|profile| profile.name == name);
        found.ok_or_else(|| errors::no_profile(name))
    }

    pub(super) fn profile_mut(&mut self, name: &str) -> Result<&mut Profile, ApiError> {
        let found = self.profiles.get_mut(&name.to_lowercase()).filter(|profile| profile.name == name);
        found.map(Arc::make_mut).ok_or_else(|| errors::no_profile(name))
    }

    /// The names of the roles that a policy is attached to.
    pub(super) fn roles_with(&self, policy_arn: &str) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values().filter(move |role| role.attached.contains_key(policy_arn))
    }
}

/// A new unique id, such as `AROA` and seventeen letters and digits.
pub(super) fn new_id(prefix: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut random = rand::rng();
    let letters = (0..17).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    prefix.chars().chain(letters).collect()
}

fn load<T: serde::de::DeserializeOwned>(store: &Store, table: &'static str) -> Result<Table<T>, StoreError> {
    Ok(store.all(table)?.into_iter().map(|(key, document)| (key, Arc::new(document))).collect())
}

fn save<T: Serialize>(
    store: &Store,
    table: &'static str,
    before: &Table<T>,
    after: &Table<T>,
) -> Result<(), StoreError> {
    let mut changes: Vec<Change<'_, T>> = Vec::new();
    for (key, document) in after {
        if !before.get(key).is_some_and(|old| Arc::ptr_eq(old, document)) {
            changes.push((key, Some(document)));
        }
    }
    changes.extend(before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.as_str(), None)));
    if changes.is_empty() { Ok(()) } else { store.apply(table, &changes) }
}
