//! `ttl` and `protect`: when a stack may go, and what must not.

use std::time::Duration;

use schemars::JsonSchema;

use super::lists::KINDS;
use super::nearest::{nearest, quoted};
use super::node::{Data, Node};
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::Reader;
use super::schema;
use super::tables::Table;
use super::value::Value;

/// Shorter, and a stack would go while it comes; longer, and nobody means it.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn ttl(reader: &mut Reader<'_>, node: &Node) -> Option<Value<Duration>> {
    const HELP: &str = "write a number with a unit, such as `30m`, `8h` or `2days`";
    if let Data::Whole(_) = &node.data {
        let written = node.written(reader.source).to_owned();
        let problem = Problem::error("`ttl` has no unit").at(node.place, "seconds, hours, days?");
        reader.report(problem.help(format!("write `{written}h` for hours, `{written}days` for days")));
        return None;
    }
    let text = reader.text(node, "`ttl`")?;
    let Ok(ttl) = humantime::parse_duration(text.get()) else {
        reader.report(Problem::error("`ttl` is not a length of time").at(text.place, "not understood").help(HELP));
        return None;
    };
    if !(SHORTEST..=LONGEST).contains(&ttl) {
        let label = if ttl < SHORTEST { "too short" } else { "too long" };
        reader.report(Problem::error("`ttl` has to be from a minute to 365 days").at(text.place, label).help(HELP));
        return None;
    }
    Some(text.map(|_| ttl))
}

/// `protect` where it is not the same for both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "its schema is what the reader checks against")]
pub(super) struct Protect {
    /// What neither `down` nor an edit of the stack file may take away
    #[schemars(schema_with = "schema::kinds_and_addresses", extend("default" = []))]
    destroy: Vec<String>,
    /// What may not be made anew in its place
    #[schemars(schema_with = "schema::kinds_and_addresses", extend("default" = []))]
    replace: Vec<String>,
}

/// Kinds and addresses, each known: a list of what is protected from both, or a list for each. Those that are protected from
/// one alone have it before them, as the engine takes them.
pub(super) fn protect(reader: &mut Reader<'_>, node: &Node, tables: &[Table]) -> Vec<Spanned<String>> {
    if !matches!(node.data, Data::Map(_)) {
        return protected(reader, node, "`protect`", tables);
    }
    let Some(mut fields) = reader.fields::<Protect>(node, "`protect`") else { return Vec::new() };
    let mut both = Vec::new();
    for key in ["destroy", "replace"] {
        let Some(list) = fields.node(key) else { continue };
        let entries = protected(reader, list, &format!("`protect.{key}`"), tables);
        both.extend(
            entries.into_iter().map(|entry| Spanned { value: format!("{key}:{}", *entry), place: entry.place }),
        );
    }
    fields.finish();
    both
}

fn protected(reader: &mut Reader<'_>, node: &Node, what: &str, tables: &[Table]) -> Vec<Spanned<String>> {
    let items = reader.list(node, what).unwrap_or_default();
    let mut protected = Vec::new();
    for item in items {
        let Some(entry) = reader.identity(item, &format!("an entry of {what}")) else { continue };
        check_protected(reader, &entry, item.place, tables);
        protected.push(entry);
    }
    protected
}

fn check_protected(reader: &mut Reader<'_>, entry: &str, place: Place, tables: &[Table]) {
    let (kind, name) = match entry.split_once('.') {
        Some((kind, name)) => (kind, Some(name)),
        None => (entry, None),
    };
    if !KINDS.contains(&kind) {
        // `kinesis` alone, or a service with a misspelt object, still says which kinds there are.
        let service = kind.split('/').next().unwrap_or_default();
        let of_service: Vec<&str> =
            KINDS.iter().copied().filter(|known| known.split('/').next() == Some(service)).collect();
        let near = nearest(kind, KINDS.iter().copied()).or(of_service.first().copied());
        let label = near.map_or("not known".to_owned(), |near| match name {
            Some(name) => format!("did you mean {}?", quoted(&format!("{near}.{name}"))),
            None => format!("did you mean `{near}`?"),
        });
        let problem = Problem::error(format!("{} is not a kind of resource", quoted(kind)));
        reader.report(
            problem.at(place, label).help("write a kind, such as `s3/bucket`, or an address, such as `s3/bucket.lake`"),
        );
        return;
    }
    // These two kinds are named after the tables, so that a name which is none can be found here.
    if let (Some(name), "kinesis/stream" | "msk/topic") = (name, kind)
        && !tables.iter().any(|table| *table.name == name)
    {
        let near = nearest(name, tables.iter().map(|table| table.name.value.as_str()));
        let label = near.map_or("no such table".to_owned(), |near| format!("did you mean `{kind}.{near}`?"));
        let problem = Problem::error(format!("{} protects something that is not in this stack", quoted(entry)));
        reader.report(problem.at(place, label).help(format!("`{kind}` resources are named after the tables")));
    }
    if let (Some(name), "s3/bucket") = (name, kind)
        && name != "lake"
    {
        let problem = Problem::error(format!("{} protects something that is not in this stack", quoted(entry)));
        reader.report(problem.at(place, "did you mean `s3/bucket.lake`?").help("the lake is a stack's only bucket"));
    }
}
