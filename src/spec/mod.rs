//! The stack file: one YAML file, read into plain typed data, with every problem found at once.
//!
//! ```text
//! text ─node→ tree with places ─sections→ Stack ─combinations→ Stack, or all Problems
//! ```
//!
//! - [`load`] is all that other modules call, and [`Stack`] all that they see. Nothing is contacted; files that the stack
//!   file names are looked at, not changed.
//! - A value with `${env:…}` in it is a secret ([`Value`]); what identifies things ([`Spanned`]) cannot be one.
//! - The types of the sections derive their JSON Schema ([`schema`]), and are read by it: see `reader.rs`.
//! - SQL files that it names are read with it, and planned where that is asked for ([`Checks`]): a typing mistake in SQL
//!   is a problem of the stack file, shown in the SQL.
//! - What AWS would refuse is refused here: `lists.rs` has what it offers, `names.rs` what it allows in names.

mod analyses;
mod api;
mod cleaning;
mod client;
mod cluster;
mod combinations;
mod connector;
pub(crate) mod edit;
mod environment;
mod fields;
mod lake;
mod lifetime;
mod lists;
mod names;
pub mod nearest;
mod network;
mod node;
mod paths;
mod place;
mod problem;
mod read;
mod reader;
mod schema;
mod source;
mod stack;
mod streams;
mod tables;
mod tags;
mod value;
mod workers;
mod yaml_error;

use std::path::Path;
use std::sync::Arc;

pub use analyses::{Analysis, analyses, built_in_analyses};
pub use api::{Api, ApiAuth};
pub use cleaning::sql_problem;
pub use client::Client;
pub use cluster::Cluster;
pub use connector::Connector;
pub use lake::Lake;
pub use network::Network;
pub use place::{Place, Spanned};
pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
pub use source::{MAX_BYTES, Source};
pub use stack::{Stack, Target};
pub use streams::{Capacity, Encryption, StreamMode, Streams};
pub use tables::Table;
pub use value::Value;
pub use workers::{Cleaner, Emulator, EventSource, Gateway, Paths, Workers};

/// How much of a stack file is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// The file and what it says.
    File,
    /// The SQL that it names as well: parsed, and planned against the columns that there will be. Takes some milliseconds
    /// more, so it is for commands that act on it.
    FileAndSql,
}

/// Reads and checks a stack file. `env` gives the environment's variables, in the program [`environment_variable`].
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>, checks: Checks) -> Result<Stack, Problems> {
    match source::read(path) {
        Ok(text) => parse(path, text, env, checks),
        Err(problem) => Err(Problems::new(Arc::new(Source::new(path, "")), vec![problem])),
    }
}

/// The same from text that was read already; `path` says what it is called and where relative paths begin.
pub fn parse(
    path: &Path,
    text: impl Into<String>,
    env: &dyn Fn(&str) -> Option<String>,
    checks: Checks,
) -> Result<Stack, Problems> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    read::read(Source::new(path, text), folder, env, checks)
}

/// A variable of the process's environment.
pub fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
