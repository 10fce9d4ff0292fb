//! What workers are told, and what they tell: the JSON that goes through the lake bucket.
//!
//! All of it lies under `_pinfra/` in the lake bucket:
//!
//! | key | what | written by |
//! |---|---|---|
//! | `bin/<sha256>.gz` | a build of pinfra, gzipped; named by the SHA-256 of the program itself | `pinfra up` |
//! | `agent.json` | [`Program`]: what agents shall run as | `pinfra up` |
//! | `sources/<sha256>` | a file that the emulator reads, such as an SQLite database | `pinfra up` |
//! | `workers/<name>.json` | [`Manifest`]: what the agent shall run | `pinfra up` |
//! | `agents/<instance>/heartbeat.json` | [`Heartbeat`]: what it runs, how that is, what it has counted | the agent |
//! | `agents/<instance>/logs/<worker>.log` | the last 256 KiB of a worker's output; metadata `offset`: how many bytes came before | the agent |
//! | `probes/<id>/<table>.json` | [`Arrival`] of a probe; `pinfra verify` deletes it once it has read it | the cleaner |
//! | `cleaning/last.json` | how the last batch cleaning on a schedule went: [`LastRun`](crate::batch::LastRun) | the cleaner |
//! | `leases/<stream>/<shard>.json` | which cleaner reads a shard | the cleaner |
//! | `leases/<stream>/cleaners/<holder>.json` | that a cleaner lives | the cleaner |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::report::Report;

/// The field that makes an event a probe. It travels as data does and is kept out of the tables.
pub const PROBE_FIELD: &str = "_pinfra_probe";

/// Which worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerKind {
    /// Posts source rows to the API.
    Emulator,
    /// Takes records over HTTP and produces them to Kafka.
    Gateway,
    /// Cleans events into Delta tables.
    Cleaner,
}

/// A program in the lake bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The object's key; its body is gzipped.
    pub key: String,
    /// The SHA-256 of the program itself, in hex.
    pub sha256: String,
}

/// One worker that the agent shall run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The worker's name on its machine.
    pub name: String,
    /// What it does.
    pub worker: WorkerKind,
    /// What runs it.
    pub program: Program,
    /// [`EmulatorConfig`], [`GatewayConfig`] or [`CleanerConfig`].
    pub config: Value,
}

/// The agent's own settings: all that the user data of a machine says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The lake bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The machine's id, which names its heartbeat.
    pub instance: String,
    /// Where programs, workers' folders and logs are kept.
    pub folder: std::path::PathBuf,
}

/// What an agent says every few seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The machine.
    pub instance: String,
    /// The agent's version of pinfra.
    pub version: String,
    /// The SHA-256 of the program that the agent runs as.
    pub program: String,
    /// When this was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// When the agent started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// What is wrong with the agent itself, such as a manifest that cannot be read.
    pub error: Option<String>,
    /// Its workers by name.
    pub workers: BTreeMap<String, WorkerState>,
}

/// One worker, as its agent sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// The SHA-256 of the manifest object that it runs by: equal to what was deployed once it has been taken up.
    pub manifest: String,
    /// Where it stands.
    pub phase: Phase,
    /// Its process.
    pub pid: Option<u32>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
    /// What the worker says, when it answered last.
    pub report: Option<Report>,
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its program is being fetched, or it has not answered yet.
    Starting,
    /// It runs and answers.
    Running,
    /// It ended and is started again after a while.
    BackingOff,
    /// It is being stopped.
    Stopping,
}

/// How the emulator runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulatorConfig {
    /// Where rows come from.
    pub source: Source,
    /// What is posted.
    pub tables: Vec<EmulatedTable>,
    /// Events a second over all tables.
    pub rate: f64,
    /// How many events may go out at once after a pause.
    pub burst: u32,
    /// Seconds over which the rate grows from nothing to `rate`.
    pub ramp_seconds: u32,
    /// Stop after so many events over all tables; the worker stays and goes on reporting.
    pub count: Option<u64>,
    /// Of the row numbers that are drawn.
    pub seed: u64,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Where events go.
    pub api: ApiTarget,
    /// The loopback port of its report; any free one when absent.
    pub port: Option<u16>,
}

/// Where the emulator's rows come from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Built-in synthetic rows, so many in each table.
    Sample {
        /// Rows in each table.
        rows: u32,
        /// Of their content.
        seed: u64,
    },
    /// An SQLite database: an object of the lake bucket.
    Sqlite {
        /// The lake bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The SHA-256 of its content, in hex.
        sha256: String,
    },
    /// A MySQL database; the URL may have a password in it.
    Mysql {
        /// `mysql://user:password@host:port/database`.
        url: String,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Sample { rows, seed } => f.debug_struct("Sample").field("rows", rows).field("seed", seed).finish(),
            Source::Sqlite { key, .. } => f.debug_struct("Sqlite").field("key", key).finish_non_exhaustive(),
            Source::Mysql { .. } => f.write_str("Mysql { .. }"),
        }
    }
}

/// A table that the emulator posts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulatedTable {
    /// Its name in the stack.
    pub name: String,
    /// The field that identifies a row.
    pub key: String,
    /// The table of the source that has its rows, such as `pinterest_data`.
    pub source: String,
    /// The Kinesis stream that takes them, where the stack has that path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The Kafka topic that takes them, where the stack has that path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// The API that takes events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTarget {
    /// The invoke URL of the stage.
    pub url: String,
    /// How it knows its callers.
    pub auth: ApiAuth,
    /// Its region.
    pub region: String,
}

/// How an API knows its callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApiAuth {
    /// By an API key, which the worker fetches from API Gateway with its role.
    Key {
        /// The key's id (not its value).
        id: String,
    },
    /// By a signature (SigV4, service `execute-api`).
    Iam,
    /// Not at all.
    None,
}

/// How the gateway runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// The region of the cluster.
    pub region: String,
    /// Where the brokers are, such as `b-1.pins.….amazonaws.com:9098,b-2.…:9098`.
    pub bootstrap: String,
    /// How the brokers know the gateway.
    pub security: KafkaSecurity,
    /// The port it answers on.
    pub port: u16,
    /// What every request has to carry in the header `x-pinfra-gateway`; nothing is asked for when absent.
    pub secret: Option<String>,
    /// The table of each topic that is counted.
    pub topics: BTreeMap<String, String>,
    /// The connector's consumer group: how far it has stored the topics is told along.
    pub group: Option<String>,
    /// The loopback port of its report; any free one when absent.
    pub report_port: Option<u16>,
}

impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let config = (&self.bootstrap, self.security, self.port, &self.topics);
        f.debug_tuple("GatewayConfig").field(&config).finish()
    }
}

/// How brokers know a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaSecurity {
    /// TLS, and a token signed with the credentials of a role (SASL/OAUTHBEARER).
    Iam,
    /// Not at all, and in the clear.
    Plaintext,
}

/// How the cleaner runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanerConfig {
    /// The lake bucket.
    pub bucket: String,
    /// The region of bucket and streams.
    pub region: String,
    /// What is cleaned.
    pub tables: Vec<CleanedTable>,
    /// Clean what is in the streams as it comes.
    pub streaming: bool,
    /// When to clean what the connector has stored, as a cron expression in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// What was read is to be visible in the table after so many milliseconds.
    pub commit_ms: u32,
    /// A commit is also made once so many records wait for it.
    pub commit_records: u32,
    /// The loopback port of its report; any free one when absent.
    pub port: Option<u16>,
}

/// A table that the cleaner writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanedTable {
    /// Its name.
    pub name: String,
    /// The field of an event that identifies a row.
    pub key: String,
    /// The Kinesis stream it comes from, where the stack has that path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The Kafka topic whose objects it comes from, where the stack has that path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The cleaning SQL.
    pub sql: String,
}

/// A probe that has arrived: written after the commit that it was read before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The probe's id.
    pub id: String,
    /// The table that it was sent to.
    pub table: String,
    /// When Kinesis took it.
    #[serde(with = "time::serde::rfc3339")]
    pub in_stream: OffsetDateTime,
    /// When the cleaner read it.
    #[serde(with = "time::serde::rfc3339")]
    pub read: OffsetDateTime,
    /// When the commit was done that has its position.
    #[serde(with = "time::serde::rfc3339")]
    pub committed: OffsetDateTime,
    /// Why it would have been rejected, had it been an event.
    pub rejected: Option<String>,
}
