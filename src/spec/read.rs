//! From the tree to a [`Stack`]: every section by its own reader, then what they say together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as SerdeError, StrDeserializer};

use super::fields::Fields;
use super::lists::REGIONS;
use super::node::{self, Node};
use super::place::{Place, Spanned};
use super::problem::{Problem, Problems, Severity};
use super::reader::Reader;
use super::source::Source;
use super::stack::{Stack, Target};
use super::value::Value;
use super::{
    Checks, analyses, api, cleaning, client, cluster, combinations, connector, lake, lifetime, names, network, paths,
    streams, tables, tags, workers,
};

/// The sections whose places are remembered.
const SECTIONS: &[&str] = &[
    "name",
    "target",
    "region",
    "tags",
    "tables",
    "network",
    "cluster",
    "client",
    "connector",
    "api",
    "streams",
    "lake",
    "workers",
    "analyses",
    "protect",
    "ttl",
];

/// Reads a stack from the text of a file in `folder`, or says everything that is wrong with it.
pub(super) fn read(
    source: Source,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    checks: Checks,
) -> Result<Stack, Problems> {
    let source = Arc::new(source);
    let failed = |problem: Problem| Problems::new(Arc::clone(&source), vec![problem]);
    let root = node::parse(&source).map_err(failed)?.ok_or_else(|| failed(empty(&source)))?;
    let mut reader = Reader::new(&source, folder, env);
    let stack = read_root(&mut reader, &source, &root);
    if let (Some(stack), Checks::FileAndSql) = (&stack, checks) {
        let schemas = cleaning::check(&mut reader, stack);
        analyses::check(&mut reader, stack, &schemas);
    }
    let problems = reader.problems;
    match stack {
        Some(stack) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
            Ok(Stack { warnings: problems, ..stack })
        }
        _ => Err(Problems::new(source, problems)),
    }
}

fn empty(source: &Source) -> Problem {
    Problem::error(format!("there is nothing in `{}`", source.path.display()))
        .help("a stack file needs at least `name: my-stack`; `pinfra init` writes one with comments")
}

fn read_root(reader: &mut Reader<'_>, source: &Arc<Source>, root: &Node) -> Option<Stack> {
    let mut fields = reader.fields::<Stack>(root, "the stack file")?;
    // Missing keys of the whole file are shown at its first key, not as an underlined file.
    let place = fields.place;
    let mut places: BTreeMap<String, Place> =
        SECTIONS.iter().filter_map(|section| Some(((*section).to_owned(), fields.key_place(section)?))).collect();

    let name = read_name(reader, &mut fields);
    let region = read_region(reader, &mut fields);
    let target = read_target(reader, &mut fields);
    let tags = fields.node("tags").map(|node| tags::read(reader, node)).unwrap_or_default();
    let tables = fields.node("tables").map(|node| tables::read(reader, node)).unwrap_or_default();
    for table in &tables {
        places.insert(format!("tables.{}", table.name), table.name.place);
    }
    let stack = Stack {
        source: Arc::clone(source),
        places,
        warnings: Vec::new(),
        name: name.unwrap_or_else(|| Spanned::new("unnamed".to_owned(), place)),
        target,
        region,
        tags,
        network: fields.node("network").and_then(|node| network::read(reader, node)),
        cluster: fields.node("cluster").and_then(|node| cluster::read(reader, node)),
        client: fields.node("client").and_then(|node| client::read(reader, node)),
        connector: fields.node("connector").and_then(|node| connector::read(reader, node)),
        api: fields.node("api").and_then(|node| api::read(reader, node)),
        streams: fields.node("streams").and_then(|node| streams::read(reader, node)),
        lake: fields.node("lake").and_then(|node| lake::read(reader, node)),
        workers: fields.node("workers").and_then(|node| workers::read(reader, node)),
        analyses: fields.text(reader, "analyses").and_then(|path| read_analyses(reader, &path)),
        protect: fields.node("protect").map(|node| lifetime::protect(reader, node, &tables)).unwrap_or_default(),
        ttl: fields.node("ttl").and_then(|node| lifetime::ttl(reader, node)),
        tables,
    };
    fields.finish();
    combinations::check(reader, &stack);
    Some(stack)
}

fn read_name(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Spanned<String>> {
    let node =
        fields.required(reader, "name", "name the stack, such as `name: my-stack`: every cloud name begins with it")?;
    let name = reader.identity(node, "`name`")?;
    if let Some((message, label, help)) = names::stack_name_problem(&name) {
        reader.report(Problem::error(message).at(name.place, label).help(help));
    }
    Some(name)
}

fn read_region(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Spanned<String> {
    let default = Spanned::new("us-east-1".to_owned(), fields.place);
    let Some(region) = fields.identity(reader, "region") else { return default };
    reader.is_one_of(&Value::written(region.value.clone(), region.place), "region of AWS", REGIONS);
    region
}

fn read_target(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Spanned<Target> {
    let default = Spanned::new(Target::default(), fields.place);
    let Some(written) = fields.identity(reader, "target") else { return default };
    let names = [Target::Local.name(), Target::Aws.name()];
    if !reader.is_one_of(&Value::written(written.value.clone(), written.place), "target", &names) {
        return default;
    }
    let deserializer: StrDeserializer<'_, SerdeError> = written.as_str().into_deserializer();
    Target::deserialize(deserializer).map_or(default, |target| Spanned::new(target, written.place))
}

/// A folder with at least one `.sql` file.
fn read_analyses(reader: &mut Reader<'_>, path: &Value<String>) -> Option<Value<std::path::PathBuf>> {
    let folder = paths::folder(reader, path, "`analyses`")?;
    let has_sql = std::fs::read_dir(folder.get())
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "sql")));
    if !has_sql {
        reader.report(
            Problem::error("there are no analyses in the folder that `analyses` names")
                .at(path.place, "has no `.sql` file")
                .help("each analysis is a `.sql` file, called by its name"),
        );
    }
    Some(folder)
}
