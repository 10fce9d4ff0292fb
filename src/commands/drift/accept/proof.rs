//! The proof that an edited stack file asks for what is there in what was accepted, and for nothing else than before.

use std::collections::BTreeSet;

use pinfra_aws::catalog::KINDS;
use pinfra_engine::diff::{FieldChange, Shown, Views, diff};
use pinfra_engine::{Graph, Node};
use serde_json::Value;

use super::{Accepted, Ground};
use crate::expand::expand;
use crate::report::Failure;
use crate::report::value::inline;
use crate::spec::{self, Checks, Source};

/// Whether the new file asks for exactly what is there in what was accepted, and for the same as before in all else.
pub(super) fn prove(ground: &Ground<'_>, edited: &Source, accepted: &[Accepted]) -> Result<(), Failure> {
    let before = expand(ground.stack, ground.place, ground.facts)?;
    let again = spec::parse(&edited.path, edited.text.clone(), ground.environment, Checks::File);
    let stack = again.map_err(|problems| {
        let message = "the stack file would be wrong with what is there; nothing was written";
        Failure::many(vec![Failure::new(message), Failure::Problems(problems)])
    })?;
    let after = expand(&stack, ground.place, ground.facts)?;
    let others = others(ground, &before, &after);
    if !others.is_empty() {
        let keys: BTreeSet<String> = accepted.iter().map(|one| format!("`{}`", one.key)).collect();
        let keys = keys.into_iter().collect::<Vec<_>>().join(" and ");
        let message = format!("{keys} cannot be changed for this alone: it would also change {}", others.join(", "));
        return Err(Failure::new(message).hint(BY_HAND));
    }
    for one in accepted {
        let left = after.get(&one.address).map(|node| differing(ground, node)).unwrap_or_default();
        if left.contains(&one.field) {
            let message = format!("`{}` would not make `{}#{}` what is there", one.key, one.address, one.field);
            return Err(Failure::new(message).hint(BY_HAND));
        }
    }
    Ok(())
}

const BY_HAND: &str = "nothing was written; edit the stack file by hand and look at `pinfra plan`";

/// Everything that the second graph asks for otherwise than the first, and that is not there.
fn others(ground: &Ground<'_>, before: &Graph, after: &Graph) -> Vec<String> {
    let mut others = Vec::new();
    for node in after.nodes() {
        let Some(old) = before.get(&node.address) else {
            others.push(format!("`{}`, which would be made", node.address));
            continue;
        };
        let left = differing(ground, node);
        let changed = compared(node, &old.inputs).into_iter().filter(|change| left.contains(&change.path));
        others.extend(changed.map(|change| {
            format!("`{}#{}` from {} to {}", node.address, change.path, said(&change.before), said(&change.after))
        }));
    }
    let gone = before.nodes().filter(|node| after.get(&node.address).is_none());
    others.extend(gone.map(|node| format!("`{}`, which would go", node.address)));
    others
}

/// The fields of a node that are not as they are in the cloud; all of them where it is not there.
fn differing(ground: &Ground<'_>, node: &Node) -> BTreeSet<String> {
    let live = ground.live(&node.address).unwrap_or(&Value::Null);
    compared(node, live).into_iter().map(|change| change.path).collect()
}

/// The fields of a node that other inputs of its kind have otherwise.
fn compared(node: &Node, other: &Value) -> Vec<FieldChange> {
    let Some(info) = KINDS.iter().find(|info| info.kind == node.address.kind()) else { return Vec::new() };
    diff(info, &Views { desired: &node.inputs, secrets: &node.secrets, recorded: None, live: Some(other), salt: "" })
}

fn said(shown: &Shown) -> String {
    match shown {
        Shown::Value(value) => inline(value),
        Shown::Absent => "nothing".to_owned(),
        Shown::Unknown(_) => "what another resource tells".to_owned(),
        Shown::Secret => "a secret".to_owned(),
    }
}
