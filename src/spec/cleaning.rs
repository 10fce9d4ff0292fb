//! The SQL that cleans each table: read with the stack file, and planned when its mistakes are wanted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::FutureExt;
use pinfra_workers::clean::Cleaning;
use pinfra_workers::sql::SqlError;

use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::Reader;
use super::source::{Source, read_named};
use super::stack::Stack;
use super::value::Value;

/// The tables whose cleaning is built in: name, key, file, SQL.
const BUILT_IN: &[(&str, &str, &str, &str)] = &[
    ("pin", "index", "templates/clean/pin.sql", include_str!("../../templates/clean/pin.sql")),
    ("geo", "ind", "templates/clean/geo.sql", include_str!("../../templates/clean/geo.sql")),
    ("user", "ind", "templates/clean/user.sql", include_str!("../../templates/clean/user.sql")),
];

/// The SQL that is built in for a table of this name and key.
pub(super) fn built_in(name: &str, key: &Spanned<String>) -> Option<Arc<Source>> {
    let (.., file, sql) = BUILT_IN.iter().find(|(table, of, ..)| *table == name && *of == **key)?;
    Some(Arc::new(Source::new(*file, *sql)))
}

/// The key that the SQL which is built in for a table of this name goes by.
pub(super) fn built_in_key(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(table, ..)| *table == name).map(|(_, key, ..)| *key)
}

/// The file that `clean` names.
pub(super) fn read(reader: &mut Reader<'_>, path: &Value<PathBuf>) -> Option<Arc<Source>> {
    match read_named(path.get(), "the file that `clean` names") {
        // A path from the environment is a secret, and the path of a source is shown.
        Ok(sql) if path.from_env => Some(Arc::new(Source::new("(from the environment)", sql))),
        Ok(sql) => Some(Arc::new(Source::new(path.get(), sql))),
        Err(problem) => {
            reader.report(problem.at(path.place, "this file"));
            None
        }
    }
}

/// Plans the cleaning of every table that has some. Returns the columns of those that are right.
pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack) -> BTreeMap<String, SchemaRef> {
    let mut schemas = BTreeMap::new();
    for table in &stack.tables {
        let Some(sql) = &table.sql else { continue };
        let planned = Cleaning::new(&table.name, &table.key, &sql.text).now_or_never();
        match planned.expect("planning over a table in memory waits for nothing") {
            Ok(cleaning) => {
                schemas.insert(table.name.value.clone(), cleaning.schema());
            }
            Err(error) => {
                let named_at = table.clean.as_ref().map_or(table.name.place, |path| path.place);
                reader.report(problem(&error, sql, named_at));
            }
        }
    }
    schemas
}

/// A mistake in a file of SQL that the stack file names at a place.
pub(super) fn problem(error: &SqlError, sql: &Arc<Source>, named_at: Place) -> Problem {
    sql_problem(error, sql).in_file(Arc::clone(sql), named_at)
}

/// A mistake in SQL, with its place in it.
pub fn sql_problem(error: &SqlError, sql: &Source) -> Problem {
    let start = sql.offset(error.line, error.column);
    let end = sql.offset(error.line, error.column + error.width);
    let label = if end > start { "here" } else { "the SQL ends here" };
    Problem::error(error.message.clone()).at(Place::new(start, end - start), label).maybe_help(error.help.clone())
}
