//! The stack file as a tree in which every node knows its place.
//!
//! Serde stops at the first thing it does not like; users want all of them. So `serde-saphyr` only builds this tree
//! (YAML syntax, aliases, merges, budgets are its work), and the typed readers of the sections walk it and go on after
//! a mistake.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::place::Place;
use super::problem::Problem;
use super::source::Source;
use super::yaml_error;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) data: Data,
    /// Where it is used: of an alias, where the `*` is.
    pub(super) place: Place,
    /// Where it is written. A block mapping or list has no width there, one in brackets begins with its bracket.
    pub(super) defined: Place,
    /// Whether it is written elsewhere than it is used: an alias, or merged in.
    pub(super) borrowed: bool,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Flag(bool),
    Whole(i128),
    /// With a fraction, or beyond every whole number: nothing in a stack file is one.
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) node: Node,
}

impl Node {
    /// What it is, as a message says it.
    pub(super) fn found(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Flag(_) => "true or false",
            Data::Whole(_) => "a whole number",
            Data::Number => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// How a scalar is written in the file.
    pub(super) fn written<'s>(&self, source: &'s Source) -> &'s str {
        source.slice(self.defined).trim_end()
    }
}

/// Parses the text into a tree. `Ok(None)` is a file with nothing in it.
pub(super) fn parse(source: &Source) -> Result<Option<Node>, Problem> {
    let options = serde_saphyr::options! {
        // All of them reach the reader, which can then show both places.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        // YAML 1.2, as editors read it: `no` is text.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        // No honest stack file comes near: ten thousand replayed events is a hundred sections merged into a hundred others.
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    let mut root: Node = serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|error| yaml_error::explain(&error, source))?;
    if matches!(root.data, Data::Null) {
        return Ok(None);
    }
    settle_places(&mut root, None);
    Ok(Some(root))
}

/// Gives every node a place that can be underlined: a block mapping has no width of its own, so its key stands for it; and
/// a block of text is underlined in its first line.
fn settle_places(node: &mut Node, key: Option<Place>) {
    if node.place.len == 0 || matches!(node.data, Data::List(_) | Data::Map(_)) {
        let first = match &node.data {
            Data::Map(entries) => entries.first().map(|entry| entry.key.place),
            _ => None,
        };
        node.place = key.or(first).unwrap_or(node.place);
    }
    match &mut node.data {
        Data::List(items) => items.iter_mut().for_each(|item| settle_places(item, None)),
        Data::Map(entries) => {
            for entry in entries {
                let key = entry.key.place;
                settle_places(&mut entry.node, Some(key));
            }
        }
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<Data>::deserialize(deserializer)?;
        let (place, defined) = (place(&spanned.referenced), place(&spanned.defined));
        Ok(Node { data: spanned.value, place, defined, borrowed: place != defined })
    }
}

fn place(location: &serde_saphyr::Location) -> Place {
    let span = location.span();
    let byte = |bytes: Option<u64>| usize::try_from(bytes.unwrap_or(0)).unwrap_or(0);
    Place::new(byte(span.byte_offset()), byte(span.byte_len()))
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Whole(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Data, E> {
        Ok(Data::Whole(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Data, E> {
        Ok(Data::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = access.next_entry()? {
            entries.push(Entry { key, node });
        }
        Ok(Data::Map(entries))
    }
}
