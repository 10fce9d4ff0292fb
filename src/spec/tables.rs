//! `tables`: the kinds of events that flow through the stack.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;

use super::cleaning;
use super::environment::mentions_variable;
use super::fields::named_entries;
use super::nearest::quoted;
use super::node::{Data, Node};
use super::paths;
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::{Reader, variable_refused};
use super::source::Source;
use super::value::Value;

/// What a table may be called: it becomes part of a topic, a stream and a folder, and is a name in SQL. Without a hyphen,
/// `<stack>-<table>` can be read in one way only.
pub(super) const NAME_PATTERN: &str = "^[a-z][a-z0-9_]{0,62}$";

/// The lake keeps rejected rows of all tables under this name.
const RESERVED: &str = "rejects";

/// An event table: a Kafka topic `<stack>.<table>` and a Kinesis stream `<stack>-<table>`.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Table {
    /// The table's name.
    #[schemars(skip)]
    pub name: Spanned<String>,
    /// The field that identifies a row, such as `index`
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]{0,127}$"))]
    pub key: Spanned<String>,
    /// A file with the SQL that cleans its rows
    #[schemars(with = "Option<String>")]
    pub clean: Option<Value<PathBuf>>,
    /// The SQL itself: of that file, or what is built in for `pin`, `geo` and `user`.
    #[schemars(skip)]
    pub sql: Option<Arc<Source>>,
    /// Whether the file says `clean` at all: one that could not be read is no missing one.
    #[schemars(skip)]
    pub(super) clean_written: bool,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Table> {
    let Data::Map(entries) = &node.data else {
        reader.wrong_type(node, "`tables`", "a mapping");
        return Vec::new();
    };
    let named = named_entries(reader, entries, "`tables`");
    named.into_iter().filter_map(|(name, entry)| read_table(reader, &name, entry.key.place, &entry.node)).collect()
}

fn read_table(reader: &mut Reader<'_>, name: &str, name_place: Place, node: &Node) -> Option<Table> {
    check_name(reader, name, name_place);
    let help = "name the field that identifies a row, such as `key: index`";
    if let Data::Null = node.data {
        let problem = Problem::error(format!("`key` is missing in `tables.{}`", quoted(name).trim_matches('`')));
        reader.report(problem.at(name_place, "nothing follows").help(help));
        return None;
    }
    let mut fields = reader.fields::<Table>(node, &format!("`tables.{}`", quoted(name).trim_matches('`')))?;
    let clean = fields.text(reader, "clean");
    let clean_written = clean.is_some();
    let clean = clean.and_then(|path| paths::file(reader, &path, "`clean`", Some("sql")));
    let called = fields.called("key");
    let key = fields.required(reader, "key", help).and_then(|key| reader.identity(key, &called));
    fields.finish();
    let key = key?;
    check_key(reader, &key);
    let sql = match &clean {
        Some(path) => cleaning::read(reader, path),
        None if clean_written => None,
        None => cleaning::built_in(name, &key),
    };
    Some(Table { name: Spanned::new(name.to_owned(), name_place), key, clean, sql, clean_written })
}

fn check_name(reader: &mut Reader<'_>, name: &str, place: Place) {
    if mentions_variable(name) {
        reader.report(variable_refused("a table's name", place));
        return;
    }
    let good = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !good {
        reader.report(
            Problem::error(format!("{} cannot name a table", quoted(name)))
                .at(place, "becomes part of a topic, a stream and a name in SQL")
                .help("use up to 63 lower-case letters, digits and `_`, a letter first"),
        );
    } else if name == RESERVED {
        reader.report(
            Problem::error(format!("`{RESERVED}` cannot name a table"))
                .at(place, "taken")
                .help("the lake keeps the rejected rows of all tables under this name; choose another"),
        );
    }
}

fn check_key(reader: &mut Reader<'_>, key: &Spanned<String>) {
    let good = key.len() <= 128
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        reader.report(
            Problem::error(format!("{} cannot be a key", quoted(key)))
                .at(key.place, "not the name of a field")
                .help("use letters, digits and `_`, no digit first"),
        );
    }
}
