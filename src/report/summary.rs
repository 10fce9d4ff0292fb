//! How a run ended, and what to do next.

use std::collections::BTreeMap;
use std::time::Duration;

use pinfra_engine::Outcome;

use super::{Paint, count, duration};

/// One line on what was done, with the errors that stood in the way.
pub fn draw(outcome: &Outcome, elapsed: Duration, declared: &BTreeMap<String, String>, paint: Paint) -> String {
    let mut text = String::new();
    for (address, error) in &outcome.failed {
        text.push_str(&format!("{} `{address}` failed: {}\n", paint.bad("error:"), error.message));
        if let Some(at) = declared.get(&address.to_string()).filter(|at| !at.is_empty()) {
            text.push_str(&format!("  declared at {at}\n"));
        }
        let code = error.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        let request = error.request_id.as_deref().map(|id| format!(" (request {id})")).unwrap_or_default();
        text.push_str(&format!("  caused by: {}{code}{request}\n", error.operation));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("{} {hint}\n", paint.change("hint:")));
        }
    }
    let mut parts = vec![format!("{} done", count(outcome.done, "step"))];
    for (number, what) in
        [(outcome.failed.len(), "failed"), (outcome.blocked.len(), "blocked"), (outcome.left, "not finished")]
    {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let goes_on = if outcome.is_complete() { "" } else { "; run the command again to go on from here" };
    text.push_str(&format!("{} in {}{goes_on}\n", parts.join(", "), duration(elapsed)));
    text
}

/// How many requests were made, by operation.
pub fn requests(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each: Vec<String> = counts.iter().map(|(operation, n)| format!("{operation} {n}")).collect();
    format!("{total} requests: {}", each.join(", "))
}
