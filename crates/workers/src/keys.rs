//! Where in the lake bucket things lie that tool and machines tell each other. [`config`](crate::config) says what is in them,
//! and who writes them.

/// Where manifests lie.
pub const MANIFESTS: &str = "_pinfra/workers/";

/// The program that agents run as.
pub const AGENT: &str = "_pinfra/agent.json";

/// How the last cleaning on a schedule went.
pub const LAST_RUN: &str = "_pinfra/cleaning/last.json";

/// What the agent shall run as `worker`.
pub fn manifest(worker: &str) -> String {
    format!("{MANIFESTS}{worker}.json")
}

/// A build of pinfra, by the hash of the program itself.
pub fn program(sha256: &str) -> String {
    format!("_pinfra/bin/{sha256}.gz")
}

/// A file that the emulator reads, by its hash.
pub fn source(sha256: &str) -> String {
    format!("_pinfra/sources/{sha256}")
}

/// What the agent of a machine says.
pub fn heartbeat(instance: &str) -> String {
    format!("_pinfra/agents/{instance}/heartbeat.json")
}

/// The end of a worker's log.
pub fn log(instance: &str, worker: &str) -> String {
    format!("_pinfra/agents/{instance}/logs/{worker}.log")
}

/// That a probe has arrived in a table.
pub fn probe(id: &str, table: &str) -> String {
    format!("_pinfra/probes/{id}/{table}.json")
}

/// Where the leases of a stream's cleaners lie.
pub fn leases(stream: &str) -> String {
    format!("_pinfra/leases/{stream}")
}
