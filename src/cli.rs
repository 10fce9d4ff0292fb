//! The command line: clap types only, no behaviour.

pub mod drift;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// One YAML stack file describes a streaming data pipeline; pinfra makes it exist, on a laptop or on AWS.
#[derive(Debug, Parser)]
#[command(name = "pinfra", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Where the stack lives: this wins over `target` in the stack file
    #[arg(long, global = true, value_enum)]
    pub target: Option<TargetArg>,
    /// One JSON event a line on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Errors and results only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Whole values, however long, and the number of requests made
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColorArg::Auto)]
    pub color: ColorArg,
    /// How many resources are worked on at once
    #[arg(long, global = true, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub parallelism: u16,
    /// Where state is kept
    #[arg(long, global = true, value_name = "DIR", default_value = ".pinfra", value_parser = state_folder)]
    pub state: PathBuf,
    /// The program to deploy onto the client machine; by default this one. On AWS it has to be a Linux program
    #[arg(long, global = true, value_name = "FILE", env = "PINFRA_PROGRAM")]
    pub program: Option<PathBuf>,
}

/// A folder of this machine. A URL would make a folder of that name, which nobody means.
fn state_folder(text: &str) -> Result<PathBuf, String> {
    match text.split_once("://") {
        Some((scheme, _)) => Err(format!("this version of pinfra keeps state in a folder, not at `{scheme}://…`")),
        None if text.is_empty() => Err("name a folder".to_owned()),
        None => Ok(PathBuf::from(text)),
    }
}

/// Where a stack lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetArg {
    /// The local cloud on this machine.
    Local,
    /// An AWS account.
    Aws,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal that has it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented stack file to start from
    Init {
        /// The folder to write to
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check a stack file; contacts nobody
    Validate {
        /// The stack file
        stack: PathBuf,
    },
    /// Show what `up` would do and why
    Plan {
        /// The stack file
        stack: PathBuf,
        /// Exit 2 when there are changes
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Make it so
    Up {
        /// The stack file
        stack: PathBuf,
        /// Do not ask before acting
        #[arg(long, short)]
        yes: bool,
    },
    /// Destroy all of a stack; needs no stack file
    Down {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Do not ask before acting
        #[arg(long, short)]
        yes: bool,
    },
    /// What the cloud holds otherwise than the stack file says; cannot change anything. Exit 2 when there is drift
    Drift(drift::DriftArgs),
    /// What exists and whether it is healthy
    Status {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
    },
    /// Send a probe event to every table on every path and wait until it has arrived; shows the time at each hop
    Verify {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Seconds to wait for it; a connector that stores less often is given its interval
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// What a worker wrote: emulator, gateway or cleaner
    Logs {
        /// The worker
        worker: String,
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Go on with what comes, until interrupted
        #[arg(long, short)]
        follow: bool,
    },
    /// Endpoint, bucket, streams, topics, bootstrap servers …
    Outputs {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Print this one alone
        #[arg(long, value_name = "NAME")]
        show: Option<String>,
    },
    /// Ask the Delta tables: an analysis by name, or any SQL; without NAME, the analyses that there are
    Query {
        /// The analysis; with --sql, the stack
        name: Option<String>,
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// A query of your own, such as "SELECT count(*) FROM pin"
        #[arg(long, value_name = "SQL")]
        sql: Option<String>,
        /// Which tables: those cleaned as events stream, or those cleaned in batches. Streaming ones where there are any
        #[arg(long, value_name = "PATH")]
        from: Option<EventPath>,
        /// How to print the answer
        #[arg(long, value_enum, default_value_t = RowFormat::Table)]
        format: RowFormat,
    },
    /// Clean what the connector has stored into the batch tables, now
    Clean {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Make the tables anew from all objects, instead of adding what is new
        #[arg(long)]
        full: bool,
        /// Only this table; may be given several times
        #[arg(long = "table", value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// The resource graph
    Graph {
        /// The stack file
        stack: PathBuf,
        /// How to write it
        #[arg(long, value_enum, default_value_t = GraphFormat::Dot)]
        format: GraphFormat,
    },
    /// One kind's fields and what a change to each costs; without KIND, all kinds
    Explain {
        /// Such as `kinesis/stream`
        kind: Option<String>,
    },
    /// The JSON Schema of the stack file
    Schema,
    /// A completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// What runs on the client machine; `up` puts it there
    Worker {
        /// Which
        #[command(subcommand)]
        command: WorkerCommand,
    },
    /// The local cloud by itself, for any AWS SDK or CLI
    Local {
        /// What to do with it
        #[command(subcommand)]
        command: LocalCommand,
    },
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// Columns for people, up to 1,000 rows.
    Table,
    /// Comma-separated, with a line of names.
    Csv,
    /// An array of objects.
    Json,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz.
    Dot,
    /// Mermaid, as GitHub draws it.
    Mermaid,
    /// A picture.
    Svg,
}

/// What runs on the client machine.
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Keeps the workers of its machine as the lake bucket says they are
    Agent(WorkerArgs),
    /// Posts source rows to the API
    Emulator(WorkerArgs),
    /// Takes records over HTTP and produces them to Kafka
    Gateway(WorkerArgs),
    /// Cleans events into Delta tables
    Cleaner(WorkerArgs),
}

/// One of the two ways that events come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EventPath {
    /// Kafka and S3
    Batch,
    /// Kinesis
    Stream,
}

/// How a worker is started.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// Its configuration, as JSON
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// What to do with the local cloud.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Start it in the background, or in this terminal with --foreground
    Start(LocalStart),
    /// Stop it; what it holds is kept
    Stop,
    /// Whether it runs, where, and how to point a client at it
    Status {
        /// Print shell `export` lines with the endpoint and the credentials
        #[arg(long)]
        env: bool,
    },
}

/// How to start the local cloud.
#[derive(Args, Clone, Debug)]
pub struct LocalStart {
    /// The loopback port; by default the one it had before, or any free one
    #[arg(long)]
    pub port: Option<u16>,
    /// Stay in this terminal until interrupted
    #[arg(long)]
    pub foreground: bool,
    /// Milliseconds that an asynchronous change takes
    #[arg(long, value_name = "MS", default_value_t = 250, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub settle_ms: u64,
    /// Do not enforce throughput limits
    #[arg(long)]
    pub no_limits: bool,
    /// Stop when the last stack is gone
    #[arg(long, hide = true)]
    pub for_stacks: bool,
}
