//! The resources of a stack and what each needs. An edge is a reference, or an order that was asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Address;
use crate::value::references;

/// One resource that the stack file asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the stack.
    pub address: Address,
    /// What is asked for, in the kind's words; may hold references.
    pub inputs: Value,
    /// Paths of inputs that came from the environment: never printed, and kept as a hash.
    pub secrets: BTreeSet<String>,
    /// Resources that must be there first although no input refers to them.
    pub after: Vec<Address>,
    /// Where it is declared, such as `stacks/dev.yaml:12:3`.
    pub declared_at: String,
}

/// Resources with their edges, free of cycles.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<Address, Node>,
    needs: BTreeMap<Address, BTreeSet<Address>>,
    order: Vec<Address>,
    protected: BTreeSet<String>,
}

/// Nodes that make no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two nodes of one address.
    #[error("`{0}` is declared twice")]
    Duplicate(Address),
    /// A reference to what is not there.
    #[error("`{from}` needs `{to}` (in `{field}`), which the stack does not have")]
    Dangling {
        /// Who refers.
        from: Address,
        /// To whom.
        to: Address,
        /// In which input.
        field: String,
    },
    /// Resources that need each other.
    #[error("these need each other, so none can be first: {}", chain(.0))]
    Cycle(Vec<Address>),
}

fn chain(addresses: &[Address]) -> String {
    let names: Vec<String> = addresses.iter().chain(addresses.first()).map(|a| format!("`{a}`")).collect();
    names.join(" → ")
}

impl Graph {
    /// The graph of these nodes, or everything that is wrong with them.
    pub fn new(nodes: Vec<Node>) -> Result<Graph, Vec<GraphError>> {
        let mut graph = Graph::default();
        let mut wrong = Vec::new();
        for node in nodes {
            let address = node.address.clone();
            if graph.nodes.insert(address.clone(), node).is_some() {
                wrong.push(GraphError::Duplicate(address));
            }
        }
        for (address, node) in &graph.nodes {
            let mut needs = BTreeSet::new();
            let referred = references(&node.inputs).into_iter().map(|(field, r)| (field, r.address));
            for (field, to) in referred.chain(node.after.iter().map(|a| ("after".to_owned(), a.clone()))) {
                if graph.nodes.contains_key(&to) {
                    needs.insert(to);
                } else {
                    wrong.push(GraphError::Dangling { from: address.clone(), to, field });
                }
            }
            graph.needs.insert(address.clone(), needs);
        }
        match order(&graph.needs) {
            Ok(order) => graph.order = order,
            Err(cycle) => wrong.push(GraphError::Cycle(cycle)),
        }
        if wrong.is_empty() { Ok(graph) } else { Err(wrong) }
    }

    /// The same graph with these kinds and addresses protected, from being destroyed and replaced or, with
    /// [`Would::protecting`](crate::Would::protecting), from one of the two.
    pub fn protecting(mut self, kinds_and_addresses: BTreeSet<String>) -> Graph {
        self.protected = kinds_and_addresses;
        self
    }

    /// Kinds and addresses that must not be destroyed or replaced.
    pub fn protected(&self) -> &BTreeSet<String> {
        &self.protected
    }

    /// The node of that address.
    pub fn get(&self, address: &Address) -> Option<&Node> {
        self.nodes.get(address)
    }

    /// What `address` needs, directly.
    pub fn needs(&self, address: &Address) -> impl Iterator<Item = &Address> {
        self.needs.get(address).into_iter().flatten()
    }

    /// All nodes, each after what it needs; among equals by address.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().filter_map(|address| self.nodes.get(address))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Every key after what it needs (Kahn's algorithm, smallest address first), or one cycle.
fn order(needs: &BTreeMap<Address, BTreeSet<Address>>) -> Result<Vec<Address>, Vec<Address>> {
    let mut missing: BTreeMap<&Address, usize> = needs.iter().map(|(a, n)| (a, n.len())).collect();
    let mut wanted_by: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for (address, needed) in needs {
        for one in needed {
            wanted_by.entry(one).or_default().push(address);
        }
    }
    let mut ready: BTreeSet<&Address> = missing.iter().filter(|(_, n)| **n == 0).map(|(a, _)| *a).collect();
    let mut sorted = Vec::with_capacity(needs.len());
    while let Some(address) = ready.pop_first() {
        sorted.push(address.clone());
        for waiting in wanted_by.get(address).into_iter().flatten() {
            if let Some(left) = missing.get_mut(waiting) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(waiting);
                }
            }
        }
    }
    if sorted.len() == needs.len() {
        return Ok(sorted);
    }
    let stuck: BTreeSet<&Address> = missing.iter().filter(|(_, n)| **n > 0).map(|(a, _)| *a).collect();
    Err(cycle_in(needs, &stuck))
}

/// Walks along needs inside `stuck`, where each has one, until an address comes up again.
fn cycle_in(needs: &BTreeMap<Address, BTreeSet<Address>>, stuck: &BTreeSet<&Address>) -> Vec<Address> {
    let (mut path, mut place): (Vec<&Address>, BTreeMap<&Address, usize>) = Default::default();
    let mut at = stuck.first().copied();
    while let Some(address) = at {
        if let Some(start) = place.insert(address, path.len()) {
            return path[start..].iter().map(|a| (*a).clone()).collect();
        }
        path.push(address);
        at = needs.get(address).and_then(|n| n.iter().find(|one| stuck.contains(one)));
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, needs: &[&str]) -> Node {
        let refs: Vec<Value> = needs.iter().map(|n| json!({"$ref": format!("test/thing.{n}#id")})).collect();
        Node {
            address: Address::new("test/thing", name),
            inputs: json!({ "refs": refs }),
            secrets: BTreeSet::new(),
            after: Vec::new(),
            declared_at: String::new(),
        }
    }

    #[test]
    fn nodes_come_after_what_they_need() {
        let graph = Graph::new(vec![node("a", &["c"]), node("b", &[]), node("c", &["b"])]).unwrap();
        let names: Vec<_> = graph.nodes().map(|n| n.address.name()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }

    #[test]
    fn a_cycle_is_reported_by_name() {
        let wrong = Graph::new(vec![node("a", &["b"]), node("b", &["c"]), node("c", &["b"])]).unwrap_err();
        assert_eq!(
            wrong[0].to_string(),
            "these need each other, so none can be first: `test/thing.b` → `test/thing.c` → `test/thing.b`"
        );
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let wrong = Graph::new(vec![node("a", &["x"]), node("a", &["y"]), node("b", &["z"])]).unwrap_err();
        let texts: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "`test/thing.a` is declared twice",
                "`test/thing.a` needs `test/thing.y` (in `refs.0`), which the stack does not have",
                "`test/thing.b` needs `test/thing.z` (in `refs.0`), which the stack does not have",
            ]
        );
    }
}
