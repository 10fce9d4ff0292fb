//! A stack file becomes a graph of resources: names, defaults, fan-out. Pure.

mod api;
mod client;
mod cluster;
mod connector;
mod facts;
pub(crate) mod feeds;
mod lake;
mod names;
mod streams;
pub mod user_data;
mod workers;

use std::collections::BTreeSet;

use pinfra_aws::tags::{Tags, ownership};
use pinfra_engine::state::Place;
use pinfra_engine::{Address, Graph, GraphError, Node};
use serde::Serialize;
use serde_json::Value;

pub(crate) use client::architecture;
pub use facts::{ExistingCluster, Facts, PluginFile, ProgramFile, SourceFile};

use crate::spec::{self, Stack};

/// The name of the lake bucket.
pub fn bucket_name(stack: &Stack, place: &Place) -> String {
    names::bucket(stack, place)
}

/// The resources that `stack` asks for, at `place`.
pub fn expand(stack: &Stack, place: &Place, facts: &Facts) -> Result<Graph, Vec<GraphError>> {
    let mut nodes = Vec::new();
    nodes.extend(stack.lake.as_ref().and_then(|lake| lake::bucket(stack, lake, place)));
    if let Some(streams) = &stack.streams {
        nodes.extend(stack.tables.iter().map(|table| streams::stream(stack, streams, table)));
    }
    if let Some(cluster) = &stack.cluster {
        nodes.extend(cluster::nodes(stack, cluster, facts));
    }
    if let Some(connector) = &stack.connector {
        nodes.extend(connector::nodes(stack, connector, place, facts));
    }
    if let Some(api) = &stack.api {
        nodes.extend(api::nodes(stack, api, place, facts));
    }
    if let Some(client) = &stack.client {
        nodes.extend(client::nodes(stack, client, place, facts));
    }
    if let Some(workers) = stack.workers.as_ref().filter(|workers| !workers.is_empty()) {
        nodes.extend(workers::nodes(stack, workers, place, facts));
    }
    let protected = stack.protect.iter().map(|protected| protected.value.clone()).collect();
    Ok(Graph::new(nodes)?.protecting(protected))
}

/// A node under construction: inputs as the kind's own type, and which of them came from the environment.
fn node(
    stack: &Stack,
    address: Address,
    inputs: &impl Serialize,
    mut secrets: BTreeSet<String>,
    declared: spec::Place,
) -> Node {
    // Inputs are structs of text, numbers and maps with text keys, which always have a JSON form.
    let inputs: Value = serde_json::to_value(inputs).expect("inputs can be written as JSON");
    secrets.extend(stack.tags.iter().filter(|(_, value)| value.from_env).map(|(key, _)| format!("tags.{key}")));
    Node { address, inputs, secrets, after: Vec::new(), declared_at: stack.source.location(declared) }
}

/// The tags of a resource: the stack file's, and the two that say whose it is.
fn tags(stack: &Stack, address: &Address) -> Tags {
    let user = stack.tags.iter().map(|(key, value)| (key.clone(), value.get().clone())).collect();
    ownership(&stack.name, address, &user)
}

#[cfg(test)]
mod tests;
