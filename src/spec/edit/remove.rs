//! Keys that go, with their value.

use super::Edit;
use super::insert::{closing, end_of_entry};
use crate::spec::node::{Data, Entry, Node};
use crate::spec::place::Place;
use crate::spec::source::Source;

/// Takes an entry out of its section: its lines, or what is between the commas. `None` where it cannot be told which bytes
/// those are, or where the section would be empty then: an empty section means something else.
pub(super) fn removal(source: &Source, section: &Node, entry: &Entry) -> Option<Edit> {
    let Data::Map(entries) = &section.data else { return None };
    if entries.len() < 2 {
        return None;
    }
    let (start, end) = (entry.key.defined.start, end_of_entry(source, entry)?);
    let at = match source.text.get(section.defined.start..)?.starts_with('{') {
        true => between_commas(source, section.defined.start, start, end)?,
        false => whole_lines(source, start, end)?,
    };
    Some(Edit { at, text: String::new() })
}

/// The entry with the comma after it, or with the one before it where it is the last.
fn between_commas(source: &Source, open: usize, start: usize, end: usize) -> Option<Place> {
    let close = closing(&source.text, open)?;
    let after = source.text.get(end..close)?;
    if let Some(rest) = after.trim_start().strip_prefix(',') {
        let taken = after.len() - rest.trim_start_matches(' ').len();
        return Some(Place::new(start, end + taken - start));
    }
    let before = source.text.get(open..start)?.trim_end().strip_suffix(',')?;
    let from = open + before.len();
    after.trim().is_empty().then(|| Place::new(from, end - from))
}

/// The lines of the entry, with the comment behind it. Nothing else may stand on them.
fn whole_lines(source: &Source, start: usize, end: usize) -> Option<Place> {
    let line_start = source.text.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
    if !source.text.get(line_start..start)?.chars().all(|c| c == ' ') {
        return None;
    }
    let rest = source.text.get(end..)?;
    let line_end = rest.find('\n').map_or(source.text.len(), |newline| end + newline + 1);
    let behind = source.text.get(end..line_end)?.trim();
    (behind.is_empty() || behind.starts_with('#')).then(|| Place::new(line_start, line_end - line_start))
}
