//! Where in the lake bucket manifests are written, and where agents tell how their workers are.
//!
//! This crate does not know the workers, so the keys stand here a second time; a test of the tool compares them with
//! `pinfra_workers::keys`.

/// Where manifests lie.
pub const MANIFESTS: &str = "_pinfra/workers/";

/// What the agent shall run as `worker`.
pub fn manifest(worker: &str) -> String {
    format!("{MANIFESTS}{worker}.json")
}

/// The worker of a manifest.
pub(crate) fn worker(manifest: &str) -> Option<&str> {
    manifest.strip_prefix(MANIFESTS)?.strip_suffix(".json")
}

/// What the agent of a machine says.
pub fn heartbeat(instance: &str) -> String {
    format!("_pinfra/agents/{instance}/heartbeat.json")
}

/// The end of a worker's log.
pub fn log(instance: &str, worker: &str) -> String {
    format!("_pinfra/agents/{instance}/logs/{worker}.log")
}
