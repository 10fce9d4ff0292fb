//! How a run ended, and what to do next.

use std::collections::BTreeMap;
use std::time::Duration;

use pinfra_engine::{Action, CloudError, Outcome, Parked};

use super::{Paint, count, duration};

/// How many steps under way are named; the rest is in the count.
const NAMED: usize = 8;

/// Who reads a summary has to know this besides the outcome.
pub struct Run<'a> {
    /// What carried the plan out, and goes on: `pinfra up` or `pinfra down`.
    pub command: &'a str,
    /// How long it took.
    pub elapsed: Duration,
    /// Where resources are declared, by address.
    pub declared: &'a BTreeMap<String, String>,
    /// The time after which nothing was waited for any more, if that is what ended the run.
    pub timed_out: Option<Duration>,
}

/// One line on what was done, with what stood in the way and what is still under way.
pub fn draw(outcome: &Outcome, run: &Run<'_>, paint: Paint) -> String {
    let mut text = String::new();
    for (address, error) in &outcome.failed {
        text.push_str(&format!("{} `{address}` failed: {}\n", paint.bad("error:"), error.message));
        if let Some(at) = run.declared.get(&address.to_string()).filter(|at| !at.is_empty()) {
            text.push_str(&format!("  declared at {at}\n"));
        }
        text.push_str(&cause(error, paint));
    }
    if let Some(error) = &outcome.halted {
        let message = "AWS does not take these credentials any more, so nothing more was started";
        text.push_str(&format!("{} {message}: {}\n{}", paint.bad("error:"), error.message, cause(error, paint)));
    }
    if let Some(time) = run.timed_out {
        let message = format!("not all was done within {} (`--timeout`)", duration(time));
        text.push_str(&format!("{} {message}\n", paint.bad("error:")));
    }
    for parked in outcome.parked.iter().take(NAMED) {
        text.push_str(&format!("  {}\n", under_way(parked)));
    }
    if outcome.parked.len() > NAMED {
        text.push_str(&format!("  and {} more\n", outcome.parked.len() - NAMED));
    }
    let mut parts = vec![format!("{} done", count(outcome.done, "step"))];
    for (number, what) in [
        (outcome.failed.len(), "failed"),
        (outcome.blocked.len(), "blocked"),
        (outcome.parked.len(), "under way"),
        (outcome.left, "not started"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let goes_on = if outcome.is_complete() { String::new() } else { format!("; `{}` goes on from here", run.command) };
    text.push_str(&format!("{} in {}{goes_on}\n", parts.join(", "), duration(run.elapsed)));
    text
}

fn cause(error: &CloudError, paint: Paint) -> String {
    let code = error.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let request = error.request_id.as_deref().map(|id| format!(" (request {id})")).unwrap_or_default();
    let mut text = format!("  caused by: {}{code}{request}\n", error.operation);
    if let Some(hint) = &error.hint {
        text.push_str(&format!("{} {hint}\n", paint.change("hint:")));
    }
    text
}

/// Such as `msk/cluster.pins is being made: CREATING`.
fn under_way(parked: &Parked) -> String {
    let doing = match parked.action {
        Action::Create | Action::Adopt => "is being made",
        Action::Update => "is being changed",
        Action::Delete | Action::Forget => "is being destroyed",
    };
    let at = parked.waiting_for.as_ref().map(|at| format!(": {at}")).unwrap_or_default();
    format!("{} {doing}{at}", parked.address)
}

/// How many requests were made, by operation.
pub fn requests(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each: Vec<String> = counts.iter().map(|(operation, n)| format!("{operation} {n}")).collect();
    format!("{total} requests: {}", each.join(", "))
}

#[cfg(test)]
mod tests {
    use pinfra_engine::{Address, ErrorKind};

    use super::*;

    fn drawn(outcome: &Outcome, timed_out: Option<Duration>) -> String {
        let declared = BTreeMap::from([("msk/cluster.pins".to_owned(), "stacks/a.yaml:3:1".to_owned())]);
        let elapsed = Duration::from_secs(4);
        draw(outcome, &Run { command: "pinfra up", elapsed, declared: &declared, timed_out }, Paint::OFF)
    }

    fn cluster() -> Parked {
        let address = Address::new("msk/cluster", "pins");
        Parked { address, action: Action::Create, waiting_for: Some("CREATING".to_owned()) }
    }

    #[test]
    fn what_is_under_way_is_named_and_who_goes_on_with_it() {
        let outcome = Outcome { done: 12, parked: vec![cluster()], left: 3, ..Outcome::default() };
        assert_eq!(
            drawn(&outcome, None),
            "  msk/cluster.pins is being made: CREATING\n\
             12 steps done, 1 under way, 3 not started in 4.0 s; `pinfra up` goes on from here\n"
        );
        let timed_out = drawn(&outcome, Some(Duration::from_secs(1800)));
        assert!(timed_out.starts_with("error: not all was done within 30 min (`--timeout`)\n"), "{timed_out}");
    }

    #[test]
    fn expired_credentials_are_told_with_what_to_do() {
        let error =
            CloudError::new(ErrorKind::Credentials, "kafka:DescribeClusterV2", "The security token has expired");
        let halted = Some(error.with_hint("sign in again"));
        let outcome = Outcome { done: 1, parked: vec![cluster()], left: 2, halted, ..Outcome::default() };
        assert_eq!(
            drawn(&outcome, None),
            "error: AWS does not take these credentials any more, so nothing more was started: The security token has expired\n  \
             caused by: kafka:DescribeClusterV2\n\
             hint: sign in again\n  \
             msk/cluster.pins is being made: CREATING\n\
             1 step done, 1 under way, 2 not started in 4.0 s; `pinfra up` goes on from here\n"
        );
    }

    #[test]
    fn a_whole_run_is_one_line() {
        assert_eq!(drawn(&Outcome { done: 2, ..Outcome::default() }, None), "2 steps done in 4.0 s\n");
    }
}
