//! Keys that are not in the file yet, put at the end of their section.

use super::write::{as_written, double_quoted, is_plain};
use super::{Edit, Scalar};
use crate::spec::node::{Data, Entry, Node};
use crate::spec::place::Place;
use crate::spec::source::Source;

/// A key of a name that is not there yet, with the sections around it that are not there either.
pub(super) fn new_key_edit(source: &Source, section: &Node, keys: &[&str], to: &Scalar) -> Option<Edit> {
    let Data::Map(entries) = &section.data else { return None };
    let (key, inner) = keys.split_first()?;
    let mut value = as_written(to);
    for section in inner.iter().rev() {
        value = format!("{{ {}: {value} }}", written_key(section));
    }
    let line = format!("{}: {value}", written_key(key));
    let start = section.defined.start;
    if source.text.get(start..)?.starts_with('{') {
        return in_braces(source, start, &line);
    }
    on_a_line(source, entries, &line)
}

fn written_key(key: &str) -> String {
    if is_plain(key) { key.to_owned() } else { double_quoted(key) }
}

/// After the last entry between braces, the first of which is at `start`.
fn in_braces(source: &Source, start: usize, line: &str) -> Option<Edit> {
    let end = closing(&source.text, start)?;
    let inside = &source.text[start + 1..end];
    if inside.trim().is_empty() {
        return Some(Edit { at: Place::new(start + 1, inside.len()), text: format!(" {line} ") });
    }
    // A comment may hide where the last entry ends.
    if inside.contains('#') {
        return Some(Edit { at: Place::new(start + 1, 0), text: format!(" {line},") });
    }
    let kept = inside.trim_end();
    let at = Place::new(start + 1 + kept.len(), 0);
    Some(Edit { at, text: format!("{} {line}", if kept.ends_with(',') { "" } else { "," }) })
}

/// On a line of its own below the last entry of a section, as far in as its first one.
fn on_a_line(source: &Source, entries: &[Entry], line: &str) -> Option<Edit> {
    let first = entries.first()?.key.defined.start;
    let line_start = source.text.get(..first)?.rfind('\n').map_or(0, |newline| newline + 1);
    let indent = source.text[line_start..first].trim_start_matches('\u{feff}');
    if !indent.chars().all(|c| c == ' ') {
        return None;
    }
    let last = end_of_entry(source, entries.last()?)?;
    let rest = source.text.get(last..)?;
    match rest.find('\n') {
        Some(newline) => {
            let ending = if rest[..newline].ends_with('\r') { "\r\n" } else { "\n" };
            Some(Edit { at: Place::new(last + newline + 1, 0), text: format!("{indent}{line}{ending}") })
        }
        None => Some(Edit { at: Place::new(source.text.len(), 0), text: format!("\n{indent}{line}") }),
    }
}

/// The byte after all that belongs to an entry, but for what follows on its last line.
pub(super) fn end_of_entry(source: &Source, entry: &Entry) -> Option<usize> {
    let node = &entry.node;
    let key_end = entry.key.defined.start + entry.key.written(source).len();
    if node.borrowed {
        return Some(key_end);
    }
    let end = match &node.data {
        Data::Map(_) | Data::List(_) if source.text.get(node.defined.start..)?.starts_with(['{', '[']) => {
            closing(&source.text, node.defined.start)? + 1
        }
        Data::Map(entries) => end_of_entry(source, entries.last()?)?,
        // A list of blocks ends somewhere in the last of them.
        Data::List(items) => items
            .last()
            .filter(|item| !matches!(item.data, Data::Map(_) | Data::List(_)))
            .map(|item| item.defined.start + item.written(source).len())?,
        _ => node.defined.start + node.written(source).len(),
    };
    Some(end.max(key_end))
}

/// The byte of the bracket that closes the one at `start`. Brackets in quotes and comments are none.
pub(super) fn closing(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote: Option<u8> = None;
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            // Within a word, a quote is a letter.
            (None, b'"' | b'\'')
                if matches!(bytes.get(at.wrapping_sub(1)), Some(b' ' | b'\n' | b'{' | b'[' | b',' | b':')) =>
            {
                quote = Some(byte);
            }
            (None, b'#') if matches!(bytes.get(at.wrapping_sub(1)), Some(b' ' | b'\t' | b'\n')) => {
                at += text.get(at..)?.find('\n')?;
            }
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            (None, _) => {}
        }
        at += 1;
    }
    None
}
