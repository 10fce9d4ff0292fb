//! What must be done, as data: the steps, why each, and what each waits for.
//!
//! Order lives in the edges. A replacement is a delete and a create; destroying is the same graph with its edges
//! turned, taken from what state recorded, since the stack file may be gone.

mod fingerprint;
mod order;
mod planning;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diff::FieldChange;
use crate::observe::Observed;
use crate::resource::Catalog;
use crate::state::{Entry, State};
use crate::{Address, Graph};
pub use fingerprint::{Fingerprint, Moved};
use planning::{Unwanted, plan_with};

/// What is done to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it where it is, or finish what an interrupted create began.
    Update,
    /// Take over an object that is there and ours, and make it what is asked for.
    Adopt,
    /// Destroy it.
    Delete,
    /// Drop it from state: it is gone.
    Forget,
}

/// One entry of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What it is done to.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// Whether it is half of a replacement.
    pub replaces: bool,
    /// Why, for people.
    pub reason: String,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// Indexes of the steps that must have succeeded before.
    pub needs: Vec<usize>,
    /// How long it usually takes on AWS.
    #[serde(skip)]
    pub usual: Duration,
    /// The object's id, where one is known; of what is dropped from state, that of somebody else's object in its place.
    pub id: Option<String>,
    /// What is asked for, with its references: they are resolved when its turn comes. Not for printing.
    #[serde(skip)]
    pub inputs: Value,
    /// Paths in `inputs` that came from the environment.
    #[serde(skip)]
    pub secrets: BTreeSet<String>,
    /// What the cloud holds now.
    #[serde(skip)]
    pub live: Option<Value>,
    /// The resources it will be recorded to need.
    #[serde(skip)]
    pub recorded_needs: Vec<Address>,
    /// Where it is declared; empty when the stack file has it no more.
    pub declared_at: String,
}

/// Steps with their order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// In an order in which they could run one by one.
    pub steps: Vec<Step>,
    /// How many resources are as they should be.
    pub unchanged: usize,
    /// The state it was made for.
    pub serial: u64,
    /// What the stack file protects, to be recorded.
    #[serde(skip)]
    pub protected: BTreeSet<String>,
    /// What is recorded otherwise than it was found, although no step is needed. Executing records it.
    #[serde(skip)]
    pub seen: Vec<Entry>,
    /// What it takes for gone or never made though the cloud may only not show it yet: a run was interrupted while it
    /// made, changed or mended this. Carried out like that, the plan would leave it behind, so look again before.
    #[serde(skip)]
    pub unseen: BTreeSet<Address>,
}

/// What a resource may be protected from. A replacement takes the old object away as well, but what is in its place does
/// the same; so the two are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Would {
    /// It goes, and nothing comes in its place.
    Destroy,
    /// Another object comes in its place.
    Replace,
}

impl Would {
    /// How [`Graph::protecting`] takes a kind or address that is protected from this alone.
    pub fn protecting(self, kind_or_address: &str) -> String {
        format!("{self}:{kind_or_address}")
    }

    /// Whether this is forbidden by such a list of kinds and addresses.
    fn is_forbidden(self, protected: &BTreeSet<String>, address: &Address) -> bool {
        [address.kind(), &address.to_string()]
            .iter()
            .any(|name| protected.contains(*name) || protected.contains(&self.protecting(name)))
    }
}

impl fmt::Display for Would {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Would::Destroy => "destroy",
            Would::Replace => "replace",
        })
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The name is taken.
    #[error("`{address}` cannot be made: `{id}` exists and is {owner}")]
    NotOurs {
        /// What should be made.
        address: Address,
        /// What is there.
        id: String,
        /// Whose.
        owner: String,
        /// Where it is declared.
        declared_at: String,
    },
    /// The stack file, or state, forbids it.
    #[error("`{address}` is protected, and this would {would} it{because}")]
    Protected {
        /// Which.
        address: Address,
        /// What it is protected from.
        would: Would,
        /// Which fields make it so.
        because: String,
        /// Where it is declared.
        declared_at: String,
    },
    /// What is there cannot become what is asked for.
    #[error("`{address}` cannot be changed like this: {why}")]
    Refused {
        /// Which.
        address: Address,
        /// Why not.
        why: String,
        /// Where it is declared.
        declared_at: String,
    },
    /// A kind this version does not have.
    #[error("`{0}` is of a kind that this version of pinfra does not have")]
    UnknownKind(Address),
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How long it should take on AWS: the longest chain of steps.
    pub fn usual_duration(&self) -> Duration {
        let mut ends: Vec<Duration> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = step.needs.iter().filter_map(|need| ends.get(*need)).max().copied().unwrap_or_default();
            ends.push(start + step.usual);
        }
        ends.into_iter().max().unwrap_or_default()
    }
}

/// The plan that makes the cloud what `graph` asks for.
pub fn plan(graph: &Graph, state: &State, observed: &Observed, catalog: &Catalog) -> Result<Plan, Vec<PlanError>> {
    let why = Unwanted { reason: "not in the stack file", because: ", because the stack file has it no more" };
    plan_with(graph, state, observed, catalog, &why)
}

/// The plan that destroys all that `state` records.
pub fn plan_destroy(state: &State, observed: &Observed, catalog: &Catalog) -> Result<Plan, Vec<PlanError>> {
    let nothing = Graph::default().protecting(state.protected.clone());
    plan_with(&nothing, state, observed, catalog, &Unwanted { reason: "the stack is taken down", because: "" })
}
