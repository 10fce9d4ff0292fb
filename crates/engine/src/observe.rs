//! Refresh: reads what the cloud holds of everything that the graph asks for or state records. Writes nothing.
//!
//! What state has an id for is read by that id. The rest is found by name or tag, and so is what is not there any
//! more under its id: state may be lost, or older than the cloud, and nothing must be made twice.

mod whose;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value;

use crate::resource::{Catalog, Found, LiveValue, Owner};
use crate::value::{Reference, references, resolve, with_secrets_of};
use crate::{Address, CloudError, Graph, Node, State};
pub(crate) use whose::is_part_of_theirs;
use whose::{leave_parts_of_theirs, unless_theirs};

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

/// Reads what the cloud holds. Kinds are read at the same time, and each kind's objects together; as long as state
/// and cloud agree, that is one round.
pub async fn observe(graph: &Graph, state: &State, catalog: &Catalog) -> Result<Observed, Unreadable> {
    let mut refresh =
        Refresh { catalog, state, asked: BTreeMap::new(), observed: Observed::new(), unreadable: Vec::new() };
    let mut later: BTreeMap<&Address, &Node> = BTreeMap::new();
    for (address, record) in &state.resources {
        match &record.id {
            Some(id) => refresh.read(address, id),
            // An interrupted create asked for what is recorded, whatever the stack file says now.
            None => {
                let node = graph.get(address);
                let inputs = with_secrets_of(&record.inputs, node.map(|node| &node.inputs));
                match node {
                    _ if refresh.can_find(address, &inputs) => refresh.find(address, inputs),
                    // It was recorded by a version that had other inputs: its name or tags are those that are asked for.
                    Some(node) => drop(later.insert(address, node)),
                    None => refresh.is_absent(address),
                }
            }
        }
    }
    for node in graph.nodes().filter(|node| !state.resources.contains_key(&node.address)) {
        if references(&node.inputs).is_empty() {
            refresh.find(&node.address, node.inputs.clone());
        } else {
            later.insert(&node.address, node);
        }
    }
    refresh.run().await;
    for (address, record) in &state.resources {
        if !matches!(refresh.observed.get(address), Some(Observation::Absent | Observation::Theirs { .. })) {
            continue;
        }
        if let Some(node) = graph.get(address) {
            later.insert(address, node);
        } else if record.id.is_some() && refresh.can_find(address, &record.inputs) {
            refresh.find(address, with_secrets_of(&record.inputs, None));
        }
    }
    refresh.run().await;
    refresh.find_in_order(&later).await;
    leave_parts_of_theirs(state, &mut refresh.observed);
    if refresh.unreadable.is_empty() { Ok(refresh.observed) } else { Err(refresh.unreadable) }
}

struct Refresh<'a> {
    catalog: &'a Catalog,
    state: &'a State,
    /// What the next round asks, by kind.
    asked: BTreeMap<String, Asked>,
    observed: Observed,
    unreadable: Unreadable,
}

#[derive(Default)]
struct Asked {
    by_id: Vec<(Address, String)>,
    by_inputs: Vec<(Address, Value)>,
}

type Answers = Vec<(Address, Result<Observation, CloudError>)>;

impl Refresh<'_> {
    fn read(&mut self, address: &Address, id: &str) {
        let asked = self.asked.entry(address.kind().to_owned()).or_default();
        asked.by_id.push((address.clone(), id.to_owned()));
    }

    fn find(&mut self, address: &Address, inputs: Value) {
        let asked = self.asked.entry(address.kind().to_owned()).or_default();
        asked.by_inputs.push((address.clone(), inputs));
    }

    /// What can be looked for neither by an id nor by inputs, is found by its tags or not at all.
    fn is_absent(&mut self, address: &Address) {
        self.observed.insert(address.clone(), Observation::Absent);
    }

    /// Whether recorded inputs are enough to look for an object by.
    fn can_find(&self, address: &Address, recorded: &Value) -> bool {
        let kind = self.catalog.get(address.kind());
        kind.is_some_and(|kind| kind.normalise(&with_secrets_of(recorded, None)).is_ok())
    }

    /// Asks all that is to be asked.
    async fn run(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        let catalog = self.catalog;
        for answers in join_all(asked.into_iter().map(|(kind, asked)| ask(catalog, kind, asked))).await {
            for (address, answer) in answers {
                match answer {
                    Ok(observation) => {
                        let observation = unless_theirs(catalog, self.state, &address, observation);
                        self.note(address, observation);
                    }
                    Err(error) => self.unreadable.push((address, error)),
                }
            }
        }
    }

    fn note(&mut self, address: Address, seen: Observation) {
        if let (Some(Observation::Theirs { id: known, .. }), Observation::Theirs { id, .. }) =
            (self.observed.get(&address), &seen)
        {
            let kind = self.catalog.get(address.kind());
            // Found once more by its name: what was said of it by its id says more.
            if id == known || kind.and_then(|kind| kind.id_in(id)).as_ref() == Some(known) {
                return;
            }
        }
        self.observed.insert(address, seen);
    }

    /// Finds each node by its inputs, after those that it refers to. What refers to something that is not there
    /// cannot be there either, unless its name says so: the create that runs into it finds out.
    async fn find_in_order(&mut self, nodes: &BTreeMap<&Address, &Node>) {
        let mut missing: BTreeMap<&Address, usize> = BTreeMap::new();
        let mut wanted_by: BTreeMap<Address, Vec<&Address>> = BTreeMap::new();
        for (address, node) in nodes {
            let referred: BTreeSet<Address> = references(&node.inputs).into_iter().map(|(_, r)| r.address).collect();
            let open: Vec<Address> = referred.into_iter().filter(|to| nodes.contains_key(to)).collect();
            missing.insert(address, open.len());
            for to in open {
                wanted_by.entry(to).or_default().push(address);
            }
        }
        let mut ready: Vec<&Address> = missing.iter().filter(|(_, open)| **open == 0).map(|(a, _)| *a).collect();
        while !ready.is_empty() {
            for address in &ready {
                match resolve(&nodes[address].inputs, &|reference| self.output(reference)) {
                    Ok(inputs) => self.find(address, inputs),
                    Err(_) => {
                        self.observed.insert((*address).clone(), Observation::Absent);
                    }
                }
            }
            self.run().await;
            let mut next = Vec::new();
            for waiting in ready.iter().filter_map(|address| wanted_by.get(*address)).flatten() {
                if let Some(open) = missing.get_mut(waiting) {
                    *open -= 1;
                    if *open == 0 {
                        next.push(*waiting);
                    }
                }
            }
            ready = next;
        }
    }

    fn output(&self, reference: &Reference) -> Option<Value> {
        match self.observed.get(&reference.address)? {
            Observation::Present { live, .. } => live.outputs.get(&reference.output).cloned(),
            Observation::Absent | Observation::Theirs { .. } => None,
        }
    }
}

async fn ask(catalog: &Catalog, kind: String, asked: Asked) -> Answers {
    let Asked { mut by_id, by_inputs } = asked;
    let kind = match catalog.require(&kind) {
        Ok(kind) => kind,
        Err(error) => {
            let by_id = by_id.into_iter().map(|(address, _)| address);
            let all = by_id.chain(by_inputs.into_iter().map(|(address, _)| address));
            return all.map(|address| (address, Err(error.clone()))).collect();
        }
    };
    let mut answers = Answers::new();
    let (addresses, inputs): (Vec<Address>, Vec<Value>) = by_inputs.into_iter().unzip();
    let found = if inputs.is_empty() { Vec::new() } else { kind.find_many(&inputs).await };
    for (address, found) in addresses.into_iter().zip(found) {
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
    let read = if ids.is_empty() { Vec::new() } else { kind.read_many(&ids).await };
    for ((address, id), live) in addresses.into_iter().zip(ids).zip(read) {
        let observation = live.map(|live| match live {
            Some(live) => Observation::Present { id, live },
            None => Observation::Absent,
        });
        answers.push((address, observation));
    }
    answers
}
