//! What touches a stack and is not of it: found by listing what hangs on its resources, and by its tags.
//!
//! What stands inside a resource that is compared (a rule of a security group, a method of an API) is found by comparing.
//! Here are the things that have a life of their own. Everything is read, and nothing changed.

mod api;
mod roles;
mod tagged;
mod topics;
mod workers;

use pinfra_engine::observe::{Observation, Observed};
use pinfra_engine::resource::LiveValue;
use pinfra_engine::{Address, Catalog, CloudError, ErrorKind, Finding, What};
use serde_json::Value;

use crate::clients::Clients;

/// What is known of a stack, against which things are judged.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// What was found of its resources.
    pub observed: &'a Observed,
}

/// Things that are not of the stack and touch it, and workers that do not do what was deployed. Where the caller may not
/// list something, the error says so: what was not looked at must not pass for clean.
pub async fn find(clients: &Clients, catalog: &Catalog, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let parts = async {
        futures::try_join!(
            roles::find(clients, known),
            api::find(clients, known),
            topics::find(clients, known),
            tagged::find(clients, catalog, known),
            workers::find(clients, known),
        )
    };
    let (roles, api, topics, tagged, workers) = Box::pin(parts).await?;
    Ok([roles, api, topics, tagged, workers].into_iter().flatten().collect())
}

impl<'a> Known<'a> {
    /// The resources of a kind that are there: address, id, and what they are.
    fn of_kind(self, kind: &'a str) -> impl Iterator<Item = (&'a Address, &'a str, &'a LiveValue)> {
        self.observed.iter().filter(move |(address, _)| address.kind() == kind).filter_map(|(address, observation)| {
            match observation {
                Observation::Present { id, live } => Some((address, id.as_str(), live)),
                Observation::Absent | Observation::Theirs { .. } => None,
            }
        })
    }

    /// Whether a resource of that kind has that id.
    fn has(self, kind: &'a str, id: &str) -> bool {
        self.of_kind(kind).any(|(_, known, _)| known == id)
    }
}

/// A thing that touches the resource at `address`.
fn unmanaged(address: &Address, id: String, live: Value, detail: String) -> Finding {
    Finding {
        address: address.clone(),
        id: Some(id),
        what: What::Unmanaged,
        field: None,
        wanted: None,
        live: Some(live).filter(|live| !live.is_null()),
        detail,
        declared_at: String::new(),
        secret: false,
    }
}

/// What hangs on something that went away in between.
fn or_nothing<T: Default>(answer: Result<T, CloudError>) -> Result<T, CloudError> {
    match answer {
        Err(gone) if gone.kind == ErrorKind::NotFound => Ok(T::default()),
        answer => answer,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
