//! The secret that the gateway and the API share. It is nowhere but with the two, so what is there is compared with the
//! hash that state has of it.

use pinfra_engine::{Graph, GraphError, Node, State};
use serde_json::Value;

/// Stands in the graph for the secret that is kept, until [`compared_by_hash`] puts its hash there.
pub(super) const KEPT: &str = "the secret that the gateway and the API share";

/// The graph with what state has in each place of [`KEPT`].
pub(super) fn compared_by_hash(graph: &Graph, state: &State) -> Result<Graph, Vec<GraphError>> {
    let kept = |node: &Node| {
        let mut node = node.clone();
        let Some(record) = state.resources.get(&node.address) else { return node };
        for path in &node.secrets {
            let pointer = format!("/{}", path.replace('.', "/"));
            let recorded = record.inputs.pointer(&pointer);
            if let (Some(asked), Some(recorded)) = (node.inputs.pointer_mut(&pointer), recorded)
                && *asked == Value::String(KEPT.to_owned())
            {
                *asked = recorded.clone();
            }
        }
        node
    };
    let compared = Graph::new(graph.nodes().map(kept).collect())?;
    Ok(compared.protecting(graph.protected().clone()))
}
