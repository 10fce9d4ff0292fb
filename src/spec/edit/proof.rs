//! What is compared after an edit: that two trees are the same but for one value.

use super::{Scalar, holds, name};
use crate::spec::node::{Data, Entry, Node};
use crate::spec::source::Source;

/// Whether one tree is the other but for the value at `path`, which is `to`.
pub(super) fn differs_in_this_alone(
    before: (&Source, &Node),
    after: (&Source, &Node),
    path: &[&str],
    to: &Scalar,
) -> bool {
    let Some((key, rest)) = path.split_first() else { return holds(after.1, to) };
    let (Data::Map(old), Data::Map(new)) = (&before.1.data, &after.1.data) else { return false };
    let old_entry = old.iter().find(|entry| name(before.0, entry) == *key);
    let Some(new_entry) = new.iter().find(|entry| name(after.0, entry) == *key) else { return false };
    let right = match old_entry {
        Some(old) => differs_in_this_alone((before.0, &old.node), (after.0, &new_entry.node), rest, to),
        None => is_only(after.0, &new_entry.node, rest, to),
    };
    right && others(before.0, old, old_entry) == others(after.0, new, Some(new_entry))
}

/// Whether one tree is the other but for the key at `path`, which it does not have.
pub(super) fn lacks_this_alone(before: (&Source, &Node), after: (&Source, &Node), path: &[&str]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    let (Data::Map(old), Data::Map(new)) = (&before.1.data, &after.1.data) else { return false };
    let Some(old_entry) = old.iter().find(|entry| name(before.0, entry) == *key) else { return false };
    let new_entry = new.iter().find(|entry| name(after.0, entry) == *key);
    let right = match (rest.is_empty(), new_entry) {
        (true, gone) => gone.is_none(),
        (false, Some(new)) => lacks_this_alone((before.0, &old_entry.node), (after.0, &new.node), rest),
        (false, None) => false,
    };
    right && others(before.0, old, Some(old_entry)) == others(after.0, new, new_entry)
}

/// All entries of a section but one.
fn others(source: &Source, entries: &[Entry], but: Option<&Entry>) -> Vec<String> {
    let other = |entry: &&Entry| but.is_none_or(|but| !std::ptr::eq(*entry, but));
    let both = |entry: &Entry| format!("{}: {}", fingerprint(source, &entry.key), fingerprint(source, &entry.node));
    entries.iter().filter(other).map(both).collect()
}

/// Whether a new section holds this one value and nothing else.
fn is_only(source: &Source, node: &Node, path: &[&str], to: &Scalar) -> bool {
    let Some((key, rest)) = path.split_first() else { return holds(node, to) };
    match &node.data {
        Data::Map(entries) => {
            matches!(entries.as_slice(), [one] if name(source, one) == *key && is_only(source, &one.node, rest, to))
        }
        _ => false,
    }
}

/// A text that two nodes have in common only when they hold the same.
fn fingerprint(source: &Source, node: &Node) -> String {
    match &node.data {
        Data::Null => "null".to_owned(),
        Data::Flag(flag) => flag.to_string(),
        Data::Whole(number) => number.to_string(),
        Data::Number => format!("number {}", node.written(source)),
        Data::Text(text) => format!("{text:?}"),
        Data::List(items) => {
            let items: Vec<String> = items.iter().map(|item| fingerprint(source, item)).collect();
            format!("[{}]", items.join(","))
        }
        Data::Map(entries) => {
            let one =
                |entry: &Entry| format!("{}:{}", fingerprint(source, &entry.key), fingerprint(source, &entry.node));
            format!("{{{}}}", entries.iter().map(one).collect::<Vec<_>>().join(","))
        }
    }
}
