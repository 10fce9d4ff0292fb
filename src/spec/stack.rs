//! The whole stack file, typed and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::Api;
use super::client::Client;
use super::cluster::Cluster;
use super::connector::Connector;
use super::lake::Lake;
use super::network::Network;
use super::place::{Place, Spanned};
use super::problem::{Problem, Problems};
use super::source::Source;
use super::streams::Streams;
use super::tables::Table;
use super::value::Value;
use super::workers::Workers;
use super::{names, schema};

/// The sections whose resources this version makes.
const BUILT: &[&str] = &[
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
];

/// A streaming data pipeline, as one file describes it. Every part may be left out.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stack {
    /// The file it was read from.
    #[schemars(skip)]
    pub source: Arc<Source>,
    /// Where the sections stand, and each table as `tables.<name>`.
    #[schemars(skip)]
    pub(super) places: BTreeMap<String, Place>,
    /// What is allowed, though hardly meant.
    #[schemars(skip)]
    pub(super) warnings: Vec<Problem>,

    /// The stack's name: every cloud name starts with it
    #[schemars(regex(pattern = names::STACK_PATTERN))]
    pub name: Spanned<String>,
    /// Where the stack lives when `--target` does not say
    #[schemars(extend("default" = "local"))]
    pub target: Spanned<Target>,
    /// The AWS region
    #[schemars(schema_with = "schema::region", extend("default" = "us-east-1"))]
    pub region: Spanned<String>,
    /// Tags put on everything that takes tags, beside pinfra's own
    #[schemars(extend("default" = {}, "maxProperties" = 48))]
    pub tags: BTreeMap<String, Value<String>>,
    /// The tables, each a Kafka topic `<name>.<table>` and a Kinesis stream `<name>-<table>`
    #[schemars(schema_with = "schema::tables", extend("default" = {}))]
    pub tables: Vec<Table>,
    /// The VPC of cluster, connector and client
    pub network: Option<Network>,
    /// Amazon MSK (Kafka), with one topic for each table
    pub cluster: Option<Cluster>,
    /// The Amazon EC2 machine that the workers run on
    pub client: Option<Client>,
    /// Amazon MSK Connect: the S3 sink that writes every topic to the lake
    pub connector: Option<Connector>,
    /// Amazon API Gateway: the REST API that takes events
    pub api: Option<Api>,
    /// Amazon Kinesis data streams, one for each table
    pub streams: Option<Streams>,
    /// The Amazon S3 bucket of the stack: raw events, Delta tables, what is deployed
    pub lake: Option<Lake>,
    /// The processes on the client machine
    pub workers: Option<Workers>,
    /// A folder of `.sql` files to ask the Delta tables
    #[schemars(with = "Option<String>")]
    pub analyses: Option<Value<PathBuf>>,
    /// Kinds (`s3/bucket`) or addresses (`s3/bucket.lake`) that are neither destroyed nor replaced; `destroy` and `replace`
    /// name those that are protected from one of them
    #[schemars(schema_with = "schema::protect", extend("default" = []))]
    pub protect: Vec<Spanned<String>>,
    /// How long the stack is needed, such as `8h`: after it `pinfra reap` may take it down
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Value<Duration>>,
}

/// Where a stack lives.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Target {
    /// The local cloud on this machine.
    #[default]
    Local,
    /// An AWS account.
    Aws,
}

impl Target {
    /// As the stack file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Target::Local => "local",
            Target::Aws => "aws",
        }
    }
}

impl Stack {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| *table.name == name)
    }

    /// Where a section stands, such as `streams`, or a table, such as `tables.pin`.
    pub fn place(&self, section: &str) -> Option<Place> {
        self.places.get(section).copied()
    }

    /// The same as `stacks/dev.yaml:12:3`, for messages.
    pub fn declared_at(&self, section: &str) -> Option<String> {
        self.place(section).map(|place| self.source.location(place))
    }

    /// Whether a section was written in the file.
    pub(super) fn has(&self, section: &str) -> bool {
        self.places.contains_key(section)
    }

    /// The sections of the file that this version checks and cannot make yet, in the order of the file.
    pub fn sections_not_built(&self) -> Vec<(&str, Place)> {
        let sections = self.places.iter().map(|(section, place)| (section.as_str(), *place));
        let mut missing: Vec<_> =
            sections.filter(|(section, _)| !section.contains('.') && !BUILT.contains(section)).collect();
        missing.sort_by_key(|(_, place)| *place);
        missing
    }

    /// These sections as errors, for the commands that make things; empty when there are none.
    pub fn not_built_errors(&self) -> Problems {
        let errors =
            self.sections_not_built().into_iter().map(|(section, place)| not_built(Problem::error, section, place));
        Problems::new(Arc::clone(&self.source), errors.collect())
    }

    /// What is allowed, though hardly meant, and the sections that are not built yet.
    pub fn warnings(&self) -> Problems {
        let missing = self.sections_not_built();
        let missing = missing.into_iter().map(|(section, place)| not_built(Problem::warning, section, place));
        Problems::new(Arc::clone(&self.source), self.warnings.iter().cloned().chain(missing).collect())
    }
}

fn not_built(problem: fn(String) -> Problem, section: &str, place: Place) -> Problem {
    problem(format!("this version of pinfra checks `{section}` and cannot make it yet"))
        .at(place, "nothing would be made of this")
        .help(format!("leave `{section}` out to bring up the rest"))
}
