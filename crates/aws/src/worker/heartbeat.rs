//! What an agent says of a worker, as far as `worker/process` has to know, and what that means for who waits.

use std::time::Duration;

use serde::Deserialize;

use crate::wait::Progress;

/// A worker that does not get well within this time will hardly do so later.
pub(super) const FAILING: Duration = Duration::from_secs(60);

/// An agent's heartbeat; it has more fields than these.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Heartbeat {
    /// What is wrong with the agent itself.
    pub(super) error: Option<String>,
    pub(super) workers: std::collections::BTreeMap<String, WorkerState>,
}

/// One worker.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct WorkerState {
    /// The SHA-256 of the manifest that it runs by.
    manifest: String,
    phase: String,
    report: Option<Report>,
}

#[derive(Clone, Debug, Deserialize)]
struct Report {
    healthy: bool,
    last_error: Option<LastError>,
}

#[derive(Clone, Debug, Deserialize)]
struct LastError {
    message: String,
}

/// What one look at a heartbeat means for a worker that shall run by `manifest`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs and is well.
    Well,
    /// It is on its way; the text says how far.
    OnItsWay(String),
    /// It is not well; the text says why.
    Failing(String),
}

/// How the worker `name` stands.
pub(super) fn standing(heartbeat: &Heartbeat, name: &str, manifest: &str) -> Standing {
    let Some(worker) = heartbeat.workers.get(name).filter(|worker| worker.manifest == manifest) else {
        let error = heartbeat.error.as_ref().map(|error| format!("not taken up: {error}"));
        return Standing::OnItsWay(error.unwrap_or_else(|| "not taken up yet".to_owned()));
    };
    let last_error = worker.report.as_ref().and_then(|report| report.last_error.as_ref());
    let why = last_error.map(|error| error.message.clone());
    match (worker.phase.as_str(), worker.report.as_ref().is_some_and(|report| report.healthy)) {
        ("running", true) => Standing::Well,
        ("stopping", _) => Standing::OnItsWay("its predecessor is being stopped".to_owned()),
        // Started again after an error, or running with one.
        (_, false) if why.is_some() => Standing::Failing(why.unwrap_or_default()),
        ("running", false) => Standing::OnItsWay("it runs, and has not said yet that all is well".to_owned()),
        ("backing_off", _) => Standing::Failing("it ended".to_owned()),
        _ => Standing::OnItsWay("starting".to_owned()),
    }
}

/// The same for who waits, when the worker has been failing for `failing`.
pub(super) fn look(standing: Standing, failing: Duration) -> Progress<()> {
    match standing {
        Standing::Well => Progress::Ready(()),
        Standing::OnItsWay(how) => Progress::Pending(how),
        Standing::Failing(why) if failing < FAILING => Progress::Pending(format!("failing: {why}")),
        Standing::Failing(why) => Progress::Failed(format!("it has been failing for {} s: {why}", FAILING.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stands(worker: &serde_json::Value) -> Standing {
        let heartbeat = json!({"at": "now", "error": null, "workers": {"emulator": worker}});
        standing(&serde_json::from_value(heartbeat).unwrap(), "emulator", "abc")
    }

    #[test]
    fn only_the_manifest_that_was_deployed_counts() {
        let report = json!({"healthy": true, "doing": "posting", "counters": {}, "last_error": null});
        let worker = |manifest: &str| json!({"manifest": manifest, "phase": "running", "report": report});
        assert_eq!(stands(&worker("abc")), Standing::Well);
        assert_eq!(stands(&worker("old")), Standing::OnItsWay("not taken up yet".into()));
    }

    #[test]
    fn an_error_counts_as_failing_in_whatever_phase() {
        let report = json!({"healthy": false, "last_error": {"at": "now", "message": "no such table"}});
        for phase in ["starting", "running", "backing_off"] {
            let stands = stands(&json!({"manifest": "abc", "phase": phase, "report": report}));
            assert_eq!(stands, Standing::Failing("no such table".into()), "{phase}");
        }
        let first = json!({"manifest": "abc", "phase": "starting", "report": null});
        assert_eq!(stands(&first), Standing::OnItsWay("starting".into()));
        // What it got over is no failure.
        let report = json!({"healthy": true, "last_error": {"at": "now", "message": "throttled"}});
        assert_eq!(stands(&json!({"manifest": "abc", "phase": "running", "report": report})), Standing::Well);
    }

    #[test]
    fn failing_is_waited_for_a_while() {
        let failing = || Standing::Failing("x".into());
        assert!(matches!(look(failing(), Duration::from_secs(59)), Progress::Pending(_)));
        assert!(matches!(look(failing(), FAILING), Progress::Failed(why) if why.ends_with(": x")));
    }
}
