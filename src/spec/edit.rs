//! Changes or removes one value of a stack file, and touches not a byte besides: comments, layout and order stay as people wrote them.
//!
//! ```text
//! text ─node→ tree ─place of the value→ text with another value there ─node→ the same tree but for that value, or refused
//! ```
//!
//! The value is written as the old one was: in quotes where that was in quotes. A key that is not in the file goes to the end
//! of its section, in braces or on a line of its own as its siblings are. Then the text is read again and both trees are
//! compared, so that whatever YAML can do (anchors, merges, odd quoting) either leads to exactly this change or to none.

mod insert;
mod proof;
mod remove;
mod write;

use insert::new_key_edit;
use proof::{differs_in_this_alone, lacks_this_alone};
use write::{as_written, double_quoted, escaped_variables, single_quoted};

use super::environment::mentions_variable;
use super::nearest::quoted;
use super::node::{self, Data, Entry, Node};
use super::place::Place;
use super::source::Source;

/// A value as a stack file can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Text; `${` in it is no variable.
    Text(String),
}

/// A stack file with one value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    /// All of its text.
    pub(crate) text: String,
    /// Whether anything had to be changed.
    pub(crate) changed: bool,
}

/// Why a value of a stack file cannot be changed. Each says which key it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CannotEdit {
    /// The file is not YAML, or has nothing in it.
    #[error("the stack file cannot be read as YAML")]
    NotYaml,
    /// It is an alias, or merged in with `<<`.
    #[error(
        "{key} is written elsewhere in the file, under an anchor (`&`), and used in several places: change it by hand, at line {line}"
    )]
    Borrowed {
        /// The key.
        key: String,
        /// The line where the value is written.
        line: usize,
    },
    /// It has a `${env:…}` in it.
    #[error("{key} comes from the environment: change the variable that line {line} names")]
    Variable {
        /// The key.
        key: String,
        /// The line.
        line: usize,
    },
    /// It is a list or a section.
    #[error("{key} is a list or a section, of which no single value can be changed: edit line {line} by hand")]
    NotOneValue {
        /// The key.
        key: String,
        /// The line.
        line: usize,
    },
    /// The edit would not be this change and no other.
    #[error("{key} is written in a way that cannot be changed without changing more: edit the file by hand")]
    MoreThanThis {
        /// The key.
        key: String,
    },
}

/// The file with the value at `path` (`["cluster", "storage_gib"]`) set.
pub(crate) fn set(source: &Source, path: &[&str], to: &Scalar) -> Result<Edited, CannotEdit> {
    let root = node::parse(source).ok().flatten().ok_or(CannotEdit::NotYaml)?;
    let refused = || CannotEdit::MoreThanThis { key: called(path) };
    let edit = match find(source, &root, path)? {
        Found::Value(node) if holds(node, to) => return Ok(Edited { text: source.text.clone(), changed: false }),
        Found::Value(node) => value_edit(source, node, path, to)?,
        Found::Missing { section, keys } => new_key_edit(source, section, keys, to).ok_or_else(refused)?,
    };
    let (edited, read_again) = apply(source, &edit).ok_or_else(refused)?;
    if !differs_in_this_alone((source, &root), (&edited, &read_again), path, to) {
        return Err(refused());
    }
    Ok(Edited { text: edited.text, changed: true })
}

/// The file without the key at `path`.
pub(crate) fn remove(source: &Source, path: &[&str]) -> Result<Edited, CannotEdit> {
    let root = node::parse(source).ok().flatten().ok_or(CannotEdit::NotYaml)?;
    let refused = || CannotEdit::MoreThanThis { key: called(path) };
    let Some((key, sections)) = path.split_last() else { return Err(refused()) };
    let section = match find(source, &root, sections)? {
        Found::Value(section) => section,
        Found::Missing { .. } => return Ok(Edited { text: source.text.clone(), changed: false }),
    };
    if let Found::Missing { .. } = find(source, &root, path)? {
        return Ok(Edited { text: source.text.clone(), changed: false });
    }
    let Data::Map(entries) = &section.data else { return Err(refused()) };
    let entry = entries.iter().find(|entry| name(source, entry) == *key).ok_or_else(refused)?;
    let edit = remove::removal(source, section, entry).ok_or_else(refused)?;
    let (edited, read_again) = apply(source, &edit).ok_or_else(refused)?;
    if !lacks_this_alone((source, &root), (&edited, &read_again), path) {
        return Err(refused());
    }
    Ok(Edited { text: edited.text, changed: true })
}

/// The text with an edit made, read again.
fn apply(source: &Source, edit: &Edit) -> Option<(Source, Node)> {
    let (before, after) = (source.text.get(..edit.at.start)?, source.text.get(edit.at.end()..)?);
    let edited = Source::new(&source.path, format!("{before}{}{after}", edit.text));
    let read_again = node::parse(&edited).ok().flatten()?;
    Some((edited, read_again))
}

/// The key as messages call it.
pub(super) fn called(path: &[&str]) -> String {
    quoted(&path.join("."))
}

/// What is to be written where.
struct Edit {
    at: Place,
    text: String,
}

enum Found<'n, 'p> {
    Value(&'n Node),
    Missing { section: &'n Node, keys: &'p [&'p str] },
}

fn find<'n, 'p>(source: &Source, root: &'n Node, path: &'p [&'p str]) -> Result<Found<'n, 'p>, CannotEdit> {
    let line = |place: Place| source.line_column(place.start).0;
    let mut node = root;
    for (depth, key) in path.iter().enumerate() {
        let Data::Map(entries) = &node.data else {
            return Err(CannotEdit::NotOneValue { key: called(&path[..depth]), line: line(node.place) });
        };
        let Some(entry) = entries.iter().find(|entry| name(source, entry) == *key) else {
            return Ok(Found::Missing { section: node, keys: &path[depth..] });
        };
        if entry.node.borrowed || entry.key.borrowed {
            let line = line(entry.node.defined);
            return Err(CannotEdit::Borrowed { key: called(&path[..=depth]), line });
        }
        node = &entry.node;
    }
    Ok(Found::Value(node))
}

/// A key as text.
fn name<'n>(source: &'n Source, entry: &'n Entry) -> &'n str {
    match &entry.key.data {
        Data::Text(text) => text,
        _ => entry.key.written(source),
    }
}

fn holds(node: &Node, scalar: &Scalar) -> bool {
    match (&node.data, scalar) {
        (Data::Flag(is), Scalar::Flag(wanted)) => is == wanted,
        (Data::Whole(is), Scalar::Whole(wanted)) => is == wanted,
        (Data::Text(is), Scalar::Text(wanted)) => *is == escaped_variables(wanted),
        _ => false,
    }
}

fn value_edit(source: &Source, node: &Node, path: &[&str], to: &Scalar) -> Result<Edit, CannotEdit> {
    let (key, line) = (called(path), source.line_column(node.defined.start).0);
    let written = node.written(source);
    match &node.data {
        Data::Text(text) if mentions_variable(text) => return Err(CannotEdit::Variable { key, line }),
        Data::List(_) | Data::Map(_) => return Err(CannotEdit::NotOneValue { key, line }),
        // Nothing is written there, or a block over several lines.
        _ if written.is_empty() || written.contains('\n') => return Err(CannotEdit::MoreThanThis { key }),
        _ => {}
    }
    let text = match to {
        Scalar::Text(text) if written.starts_with('\'') => single_quoted(&escaped_variables(text)),
        Scalar::Text(text) if written.starts_with('"') => double_quoted(&escaped_variables(text)),
        other => as_written(other),
    };
    Ok(Edit { at: Place::new(node.defined.start, written.len()), text })
}

#[cfg(test)]
mod tests;
