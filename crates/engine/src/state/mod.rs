//! What is recorded of a stack: a snapshot, and a journal of what happened since.
//!
//! The journal is written before a call leaves and after its answer is here, so at any moment the two files
//! together say what may exist in the cloud. [`replay`] rebuilds [`State`] from them; [`StateStore`] keeps them on a
//! [`Shelf`]; [`Lock`] keeps a second writer away. Files that were damaged, edited or mixed up are named and not acted on.

mod chain;
mod folder;
mod holder;
mod journal;
mod lock;
mod recover;
mod shelf;
mod snapshot;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use folder::FolderShelf;
pub use holder::{Holder, Life};
pub use journal::{Corrupt, Entry, StepId, apply, journal_of, replay};
pub use lock::{Broken, Lock, LockError, LockStatus, break_lock, lock_status};
pub use recover::Recovered;
pub use shelf::{Document, Shelf, ShelfError, Version, When};
pub use snapshot::{BadSnapshot, read_snapshot, snapshot_of};
pub use store::{StateError, StateStore};

use crate::Address;

/// The version of the format that this program writes, and the newest that it reads. 2 brought checksums.
pub const FORMAT: u32 = 2;

/// All that is recorded of one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The snapshot's format.
    pub format: u32,
    /// The stack's name.
    pub stack: String,
    /// Made with the state and never changed: tells it from another state of the same name.
    pub lineage: String,
    /// Raised by every snapshot.
    pub serial: u64,
    /// The fencing token of the lock under which the snapshot was written.
    #[serde(default)]
    pub token: u64,
    /// Where the stack lives; absent until the first `up`.
    pub place: Option<Place>,
    /// The number that the next step gets.
    pub next_step: StepId,
    /// Kinds and addresses that the stack file protects; those that it protects from one thing alone begin with
    /// `destroy:` or `replace:`.
    #[serde(default)]
    pub protected: BTreeSet<String>,
    /// The resources.
    pub resources: BTreeMap<Address, Record>,
    /// Steps that were begun and have not ended, with what they were to do.
    #[serde(default)]
    pub open: BTreeMap<StepId, Begun>,
}

/// Where a stack lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `local` or `aws`.
    pub target: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// The twelve-digit account.
    pub account: String,
}

/// What is recorded of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How far its making has come.
    pub status: Status,
    /// The cloud's handle, once it has named the object.
    pub id: Option<String>,
    /// What was asked for, references resolved and secrets hashed.
    pub inputs: Value,
    /// What the cloud answered.
    #[serde(default)]
    pub outputs: Value,
    /// The resources it needs, so that it can be destroyed before them without the stack file.
    #[serde(default)]
    pub needs: Vec<Address>,
    /// The step whose create may have made it. A create that is tried again keeps it, and with it its client token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<StepId>,
}

/// How far the making of a resource has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The request may have left: the object may exist.
    Begun,
    /// The object has a name, though it is not known to be usable: it is being made or changed.
    Named,
    /// Usable.
    Settled,
    /// It exists but is half-made, or its last change failed.
    Tainted {
        /// What the cloud said.
        reason: String,
    },
}

/// A step that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// To what.
    pub address: Address,
    /// What is done.
    pub action: crate::Action,
    /// What is asked for, secrets hashed.
    pub inputs: Value,
    /// The resources it will need.
    pub needs: Vec<Address>,
}

impl State {
    /// The state of a stack of which nothing is recorded.
    pub fn new(stack: impl Into<String>, lineage: impl Into<String>) -> State {
        State {
            format: FORMAT,
            stack: stack.into(),
            lineage: lineage.into(),
            serial: 0,
            token: 0,
            place: None,
            next_step: 1,
            protected: BTreeSet::new(),
            resources: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// The output of a resource that is there.
    pub fn output(&self, reference: &crate::value::Reference) -> Option<Value> {
        self.resources.get(&reference.address)?.outputs.get(&reference.output).cloned()
    }
}
