//! `pinfra graph`: the resources of a stack file and what each needs. Contacts nobody.

use std::path::Path;

use pinfra_engine::Graph;
use pinfra_engine::state::Place;

use super::stacks;
use crate::cli::GraphFormat;
use crate::expand::{Facts, expand};
use crate::report::{Failure, out, svg};

/// Prints the graph.
pub(super) fn run(file: &Path, format: GraphFormat) -> Result<(), Failure> {
    let stack = stacks::load(file)?;
    // Names hold the account, which only the cloud knows; edges depend neither on it nor on the program.
    let place = Place { target: String::new(), region: stack.region.value.clone(), account: "000000000000".to_owned() };
    let key = stack.client.as_ref().and_then(|client| client.key.as_ref());
    let facts = Facts { public_key: key.map(|_| String::new()), ..Facts::default() };
    let graph = expand(&stack, &place, &facts)?;
    out::data(&match format {
        GraphFormat::Dot => dot(&stack.name, &graph),
        GraphFormat::Mermaid => mermaid(&graph),
        GraphFormat::Svg => svg::draw(&stack.name, &graph),
    })?;
    Ok(())
}

fn dot(name: &str, graph: &Graph) -> String {
    let mut text = format!("digraph \"{name}\" {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for node in graph.nodes() {
        text.push_str(&format!("  \"{}\";\n", node.address));
    }
    for (from, to) in edges(graph) {
        text.push_str(&format!("  \"{from}\" -> \"{to}\";\n"));
    }
    text + "}\n"
}

fn mermaid(graph: &Graph) -> String {
    let id = |address: &str| address.replace(['/', '.', '-'], "_");
    let mut text = "graph LR\n".to_owned();
    for node in graph.nodes() {
        let address = node.address.to_string();
        text.push_str(&format!("  {}[\"{address}\"]\n", id(&address)));
    }
    for (from, to) in edges(graph) {
        text.push_str(&format!("  {} --> {}\n", id(&from), id(&to)));
    }
    text
}

/// From each resource to those that need it: the order of making.
fn edges(graph: &Graph) -> Vec<(String, String)> {
    let edges = graph
        .nodes()
        .flat_map(|node| graph.needs(&node.address).map(|need| (need.to_string(), node.address.to_string())));
    edges.collect()
}
