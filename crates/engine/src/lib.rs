//! Graph, diff, plan, execution and state: no AWS, no YAML, no terminal.
//!
//! ```text
//! Graph ─plan(State, Observed)→ Plan ─execute→ Journal → State
//!        pure                         effects
//! ```
//!
//! The pure half ([`address`], [`value`], [`graph`], [`diff`], [`mod@plan`], [`queue`]) takes no client, reads no clock
//! and opens no file. The other half ([`mod@observe`], [`mod@execute`], [`state`]) talks to the cloud through the one trait
//! in [`resource`] and writes what it is about to do before it does it.

pub mod address;
pub mod call;
pub mod diff;
pub mod drift;
pub mod error;
pub mod event;
pub mod execute;
pub mod graph;
pub mod observe;
pub mod plan;
pub mod queue;
pub mod resource;
pub mod state;
pub mod testing;
pub mod value;

pub use address::Address;
pub use call::Call;
pub use drift::{Drift, Finding, What};
pub use error::{CloudError, ErrorKind};
pub use event::Event;
pub use execute::{Options, Outcome, Parked, execute};
pub use graph::{Graph, GraphError, Node};
pub use observe::{Observation, Observed, observe};
pub use plan::{Action, Fingerprint, Moved, Plan, PlanError, Step, Would, plan, plan_destroy};
pub use resource::{Catalog, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
pub use state::{Lock, Record, State, StateStore};
