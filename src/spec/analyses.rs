//! Analyses: questions to the Delta tables, each a file of SQL called by its name. Its first line is a comment with the
//! question in words.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::FutureExt;
use pinfra_workers::query;

use super::cleaning;
use super::problem::Problem;
use super::reader::Reader;
use super::source::{Source, read_named};
use super::stack::Stack;

/// A question to the tables.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// What it is called: the file's name without `.sql`.
    pub name: String,
    /// Its SQL.
    pub sql: Arc<Source>,
}

/// The analyses that are built in, in the order of the questions.
const BUILT_IN: &[(&str, &str)] = &[
    ("most-popular-category-by-country", include_str!("../../templates/analyses/most-popular-category-by-country.sql")),
    ("most-popular-category-by-year", include_str!("../../templates/analyses/most-popular-category-by-year.sql")),
    ("most-followed-user-by-country", include_str!("../../templates/analyses/most-followed-user-by-country.sql")),
    ("country-of-most-followed-user", include_str!("../../templates/analyses/country-of-most-followed-user.sql")),
    (
        "most-popular-category-by-age-group",
        include_str!("../../templates/analyses/most-popular-category-by-age-group.sql"),
    ),
    (
        "median-follower-count-by-age-group",
        include_str!("../../templates/analyses/median-follower-count-by-age-group.sql"),
    ),
    ("users-joined-by-year", include_str!("../../templates/analyses/users-joined-by-year.sql")),
    (
        "median-follower-count-by-joining-year",
        include_str!("../../templates/analyses/median-follower-count-by-joining-year.sql"),
    ),
    (
        "median-follower-count-by-joining-year-and-age-group",
        include_str!("../../templates/analyses/median-follower-count-by-joining-year-and-age-group.sql"),
    ),
];

impl Analysis {
    /// The question in words: the comment that the SQL begins with.
    pub fn question(&self) -> Option<&str> {
        let comment = self.sql.text.lines().next()?.trim().strip_prefix("--")?.trim();
        (!comment.is_empty()).then_some(comment)
    }
}

/// The analyses that every stack has.
pub fn built_in_analyses() -> Vec<Analysis> {
    let built_in = |(name, sql): &(&str, &str)| Analysis {
        name: (*name).to_owned(),
        sql: Arc::new(Source::new(format!("templates/analyses/{name}.sql"), *sql)),
    };
    BUILT_IN.iter().map(built_in).collect()
}

/// The analyses of a stack: its own first, then those that are built in and that none of its own takes the name of.
pub fn analyses(stack: &Stack) -> Result<Vec<Analysis>, Problem> {
    let mut all = match &stack.analyses {
        Some(folder) => in_folder(folder.get(), folder.from_env)?,
        None => Vec::new(),
    };
    let mut built_in = built_in_analyses();
    built_in.retain(|built_in| all.iter().all(|own| own.name != built_in.name));
    all.append(&mut built_in);
    Ok(all)
}

/// The `.sql` files of a folder by name. The path of a folder that came from the environment is not shown.
fn in_folder(folder: &Path, from_env: bool) -> Result<Vec<Analysis>, Problem> {
    let entries = std::fs::read_dir(folder);
    let entries =
        entries.map_err(|error| Problem::error(format!("the folder that `analyses` names cannot be read: {error}")))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "sql"));
    paths.sort();
    let mut analyses = Vec::new();
    for path in paths {
        // Names that are no text cannot be asked for.
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let sql = read_named(&path, &format!("the analysis `{name}.sql`"))?;
        let shown =
            if from_env { Path::new("(from the environment)").join(format!("{name}.sql")) } else { path.clone() };
        analyses.push(Analysis { name: name.to_owned(), sql: Arc::new(Source::new(shown, sql)) });
    }
    Ok(analyses)
}

/// Plans the stack's own analyses over the tables whose columns are known. Those about a table whose cleaning is wrong, or
/// missing, are left for when that has been put right.
pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack, schemas: &BTreeMap<String, SchemaRef>) {
    let Some(folder) = &stack.analyses else { return };
    let analyses = match in_folder(folder.get(), folder.from_env) {
        Ok(analyses) => analyses,
        Err(problem) => {
            reader.report(problem.at(folder.place, "this folder"));
            return;
        }
    };
    let mut tables: Vec<(&str, SchemaRef)> =
        schemas.iter().map(|(name, schema)| (name.as_str(), Arc::clone(schema))).collect();
    tables.push((query::REJECTS, query::rejects_schema()));
    for analysis in analyses {
        let checked = query::check(&analysis.sql.text, &tables).now_or_never();
        let Err(error) = checked.expect("planning over tables in memory waits for nothing") else { continue };
        if error.unknown_table.as_ref().is_some_and(|table| stack.table(table).is_some()) {
            continue;
        }
        reader.report(cleaning::problem(&error, &analysis.sql, folder.place));
    }
}
