//! Refresh: reads what the cloud holds of everything that the graph asks for or state records. Writes nothing.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;

use crate::resource::{Catalog, Found, LiveValue, Owner};
use crate::value::references;
use crate::{Address, CloudError, Graph, State};

/// What the cloud holds under one address.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// It is there and ours.
    Present {
        /// The cloud's handle.
        id: String,
        /// What it is like.
        live: LiveValue,
    },
    /// Nothing is there.
    Absent,
    /// Something of that name is there, and somebody else's.
    Theirs {
        /// The cloud's handle.
        id: String,
        /// Whose.
        owner: String,
    },
}

/// What the cloud holds, by address.
pub type Observed = BTreeMap<Address, Observation>;

/// Everything that could not be read.
pub type Unreadable = Vec<(Address, CloudError)>;

/// Reads what the cloud holds: by id what state has an id for, by name or tag the rest. Kinds are read at the same
/// time, and each kind's objects together.
pub async fn observe(graph: &Graph, state: &State, catalog: &Catalog) -> Result<Observed, Unreadable> {
    let mut asked: BTreeMap<&str, Asked> = BTreeMap::new();
    for (address, record) in &state.resources {
        let of_kind = asked.entry(address.kind()).or_default();
        match &record.id {
            Some(id) => of_kind.by_id.push((address.clone(), id.clone())),
            None => {
                let inputs = graph.get(address).map_or(&record.inputs, |node| &node.inputs);
                of_kind.by_inputs.push((address.clone(), inputs.clone()));
            }
        }
    }
    for node in graph.nodes().filter(|node| !state.resources.contains_key(&node.address)) {
        asked.entry(node.address.kind()).or_default().by_inputs.push((node.address.clone(), node.inputs.clone()));
    }
    let (mut observed, mut unreadable) = (Observed::new(), Unreadable::new());
    for answers in join_all(asked.into_iter().map(|(kind, asked)| ask(catalog, kind, asked))).await {
        for (address, answer) in answers {
            match answer {
                Ok(observation) => {
                    observed.insert(address, observation);
                }
                Err(error) => unreadable.push((address, error)),
            }
        }
    }
    if unreadable.is_empty() { Ok(observed) } else { Err(unreadable) }
}

#[derive(Default)]
struct Asked {
    by_id: Vec<(Address, String)>,
    by_inputs: Vec<(Address, Value)>,
}

type Answers = Vec<(Address, Result<Observation, CloudError>)>;

async fn ask(catalog: &Catalog, kind: &str, asked: Asked) -> Answers {
    let kind = match catalog.require(kind) {
        Ok(kind) => kind,
        Err(error) => {
            let by_id = asked.by_id.into_iter().map(|(address, _)| address);
            let all = by_id.chain(asked.by_inputs.into_iter().map(|(address, _)| address));
            return all.map(|address| (address, Err(error.clone()))).collect();
        }
    };
    let mut answers = Answers::new();
    // What refers to something that is not made yet cannot be there either, unless its name says so: the create
    // that runs into it finds out.
    let (findable, pending): (Vec<_>, Vec<_>) =
        asked.by_inputs.into_iter().partition(|(_, inputs)| references(inputs).is_empty());
    answers.extend(pending.into_iter().map(|(address, _)| (address, Ok(Observation::Absent))));

    let (addresses, inputs): (Vec<Address>, Vec<Value>) = findable.into_iter().unzip();
    let mut by_id = asked.by_id;
    for (address, found) in addresses.into_iter().zip(kind.find_many(&inputs).await) {
        match found {
            Ok(Some(Found { id, owner: Owner::Ours })) => by_id.push((address, id)),
            Ok(Some(Found { id, owner: Owner::Theirs(owner) })) => {
                answers.push((address, Ok(Observation::Theirs { id, owner })));
            }
            Ok(None) => answers.push((address, Ok(Observation::Absent))),
            Err(error) => answers.push((address, Err(error))),
        }
    }
    let (addresses, ids): (Vec<Address>, Vec<String>) = by_id.into_iter().unzip();
    let read = kind.read_many(&ids).await;
    for ((address, id), live) in addresses.into_iter().zip(ids).zip(read) {
        let observation = live.map(|live| match live {
            Some(live) => Observation::Present { id, live },
            None => Observation::Absent,
        });
        answers.push((address, observation));
    }
    answers
}
