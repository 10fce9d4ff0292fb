//! `tags`: put on everything that takes tags.

use std::collections::BTreeMap;

use super::environment::mentions_variable;
use super::fields::named_entries;
use super::nearest::quoted;
use super::node::{Data, Node};
use super::place::Place;
use super::problem::Problem;
use super::reader::{Reader, variable_refused};
use super::value::Value;

/// A resource takes 50 tags ("Tag naming limits and requirements", Tagging AWS Resources); two are pinfra's own.
pub(super) const MOST_TAGS: usize = 48;

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Value<String>> {
    let Data::Map(entries) = &node.data else {
        reader.wrong_type(node, "`tags`", "a mapping");
        return BTreeMap::new();
    };
    let mut tags = BTreeMap::new();
    for (key, entry) in named_entries(reader, entries, "`tags`") {
        check_key(reader, &key, entry.key.place);
        let Some(value) = reader.text(&entry.node, &format!("tag {}", quoted(&key))) else { continue };
        check_text(reader, value.get(), value.place, &format!("the value of tag {}", quoted(&key)), 256);
        tags.insert(key, value);
    }
    if tags.len() > MOST_TAGS {
        let problem =
            Problem::error(format!("{} tags are too many", tags.len())).at(node.place, format!("at most {MOST_TAGS}"));
        reader.report(problem.help("AWS puts at most 50 on a resource, and pinfra adds two of its own"));
    }
    tags
}

fn check_key(reader: &mut Reader<'_>, key: &str, place: Place) {
    if mentions_variable(key) {
        reader.report(variable_refused("a tag's key", place));
        return;
    }
    for (prefix, whose) in [("aws:", "AWS keeps"), ("pinfra:", "pinfra keeps")] {
        if key.to_ascii_lowercase().starts_with(prefix) {
            let problem = Problem::error(format!("a tag cannot begin with `{prefix}`"));
            reader.report(problem.at(place, format!("{whose} these for itself")).help("choose another key"));
            return;
        }
    }
    if key.is_empty() {
        reader.report(Problem::error("a tag's key is empty").at(place, "expected 1 to 128 characters"));
        return;
    }
    check_text(reader, key, place, "a tag's key", 128);
}

/// Letters, digits and spaces of any script, and `_ . : / = + - @`.
fn check_text(reader: &mut Reader<'_>, text: &str, place: Place, what: &str, most: usize) {
    let length = text.chars().count();
    if length > most {
        let problem = Problem::error(format!("{what} is too long"));
        reader.report(problem.at(place, format!("{length} characters, and AWS takes {most}")));
    }
    if !text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)) {
        let problem = Problem::error(format!("{what} has a character that AWS does not take"));
        reader.report(problem.at(place, "has it").help("use letters, digits, spaces and `_ . : / = + - @`"));
    }
}
