//! What a local cloud is started with.

use std::path::PathBuf;
use std::time::Duration;

/// How one local cloud runs. `Settings::new` is what `pinfra up` uses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept; one process at a time uses it.
    pub data_dir: PathBuf,
    /// The loopback port; 0 takes any free one.
    pub port: u16,
    /// How long an asynchronous change (CREATING, UPDATING, DELETING) takes.
    pub settle: Duration,
    /// Whether throughput limits of the data planes are enforced (Kinesis: 1 MiB/s and 1,000 records/s in,
    /// 2 MiB/s and 5 calls/s out, for each shard).
    pub limits: bool,
    /// How long other services do not know a new role, policy or instance profile, as on AWS for some seconds.
    pub iam_propagation: Duration,
    /// Whether the request rates that AWS publishes for control planes are enforced.
    pub rates: bool,
    /// Added to every AWS call.
    pub latency: Duration,
    /// How long reads of EC2, IAM and the Tagging API do not know what was just made.
    pub stale: Duration,
}

impl Settings {
    /// The defaults: any port, a quarter of a second for asynchronous changes, throughput limits as on AWS but no
    /// request rates, what is made known everywhere at once, and answers as fast as they are made.
    pub fn new(data_dir: impl Into<PathBuf>) -> Settings {
        Settings {
            data_dir: data_dir.into(),
            port: 0,
            settle: Duration::from_millis(250),
            limits: true,
            iam_propagation: Duration::ZERO,
            rates: false,
            latency: Duration::ZERO,
            stale: Duration::ZERO,
        }
    }
}
