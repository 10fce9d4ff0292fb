//! The command line: clap types only, no behaviour.

pub mod drift;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pinfra_aws::state::{Location, NotALocation};

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
    /// Where state is kept: a folder, or `s3://bucket/prefix`
    #[arg(long, global = true, value_name = "DIR|S3-URL", default_value = ".pinfra", env = "PINFRA_STATE", value_parser = state_place)]
    pub state: StateArg,
    /// The program to deploy onto the client machine; by default this one. On AWS it has to be a Linux program
    #[arg(long, global = true, value_name = "FILE", env = "PINFRA_PROGRAM")]
    pub program: Option<PathBuf>,
}

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum StateArg {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In S3.
    S3(Location),
}

/// Any other URL would make a folder of that name, which nobody means.
fn state_place(text: &str) -> Result<StateArg, String> {
    match text.split_once("://") {
        Some(("s3", _)) => text.parse().map(StateArg::S3).map_err(|error: NotALocation| error.to_string()),
        Some((scheme, _)) => {
            Err(format!("state is kept in a folder or at `s3://bucket/prefix`, not at `{scheme}://…`"))
        }
        None if text.starts_with("s3:") => Err(format!("write `s3://bucket/prefix`; `{text}` would be a folder")),
        None if text.is_empty() => Err("name a folder or `s3://bucket/prefix`".to_owned()),
        None => Ok(StateArg::Folder(PathBuf::from(text))),
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
        /// Save the plan, for `up --plan`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make it so
    Up {
        /// The stack file
        stack: PathBuf,
        /// Do what this saved plan says, or nothing: it is refused when anything has moved since. Does not ask
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Do not ask before acting
        #[arg(long, short)]
        yes: bool,
        /// Set damaged state aside and rebuild it from what the cloud holds
        #[arg(long)]
        recover: bool,
        /// How long to wait
        #[command(flatten)]
        patience: Patience,
    },
    /// Destroy all of a stack; needs no stack file
    Down {
        /// The stack's name or its stack file; absent when one stack is recorded
        stack: Option<String>,
        /// Do not ask before acting
        #[arg(long, short)]
        yes: bool,
        /// Set damaged state aside and destroy what the cloud holds of the stack; needs its stack file
        #[arg(long)]
        recover: bool,
        /// How long to wait
        #[command(flatten)]
        patience: Patience,
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
    /// Who holds a stack, and the way out when its holder is gone
    Lock {
        /// What to do about it
        #[command(subcommand)]
        command: LockCommand,
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

/// What to do about a stack's lock.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Who holds the stack, since when, and whether its process lives
    Status {
        /// The stack's name or its stack file; without it, all stacks
        stack: Option<String>,
    },
    /// Take the lock from a holder that has ended or has not renewed it in time
    Break {
        /// The stack's name or its stack file; absent when there is one stack
        stack: Option<String>,
        /// Also from one that is at work: it stops at its next write
        #[arg(long)]
        force: bool,
        /// Do not ask before acting
        #[arg(long, short)]
        yes: bool,
    },
}

/// How long a run waits for what it has begun.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Return as soon as only what takes long is waited for: it goes on by itself, and the next run from there
    #[arg(long)]
    pub detach: bool,
    /// Wait no longer than this, such as `30m`; exits 1 when something is left, and the next run goes on from there
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
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
    /// Make calls fail as they fail on AWS, by rules
    Faults {
        /// What to do with the rules
        #[command(subcommand)]
        command: FaultsCommand,
    },
    /// What this tool has called, in order
    Calls {
        /// Begin the log anew instead of printing it
        #[arg(long)]
        reset: bool,
        /// From now on log calls of roles, such as the workers', as well
        #[arg(long, requires = "reset")]
        all: bool,
    },
}

/// What to do with the rules of trouble.
#[derive(Debug, Subcommand)]
pub enum FaultsCommand {
    /// Replace all rules, one a line, such as `on kafka:CreateClusterV2 nth=1 do kill after`; counting begins at 0
    Set {
        /// The file with the rules; `-` reads them from stdin
        file: String,
    },
    /// The rules that stand, with how often each matched and fired
    List,
    /// Take all rules away
    Clear,
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
    /// Refuse what exceeds the request rates that AWS publishes
    #[arg(long)]
    pub rates: bool,
    /// Milliseconds that are added to every AWS call
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub latency: u64,
    /// Seconds for which other services do not know a new role, policy or instance profile
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub propagation: u64,
    /// Milliseconds for which reads of EC2, IAM and tags do not know what was just made
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub stale: u64,
    /// Stop when the last stack is gone
    #[arg(long, hide = true)]
    pub for_stacks: bool,
}
