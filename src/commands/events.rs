//! The workers of a stack and the events that they counted, for `pinfra status`.

use std::collections::BTreeMap;
use std::time::Duration;

use pinfra_workers::config::{Heartbeat, Phase, WorkerState};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::deployed::Deployed;
use super::reconcile::{Counts, counts, verdict};
use crate::report::{Paint, columns, duration};

/// An agent that has said nothing for so long is not well: it speaks every two seconds.
const SILENT: Duration = Duration::from_secs(20);

/// What is to be told of workers and events.
pub(super) struct Told {
    /// For people.
    pub(super) text: String,
    /// For programs.
    pub(super) workers: Vec<Value>,
    /// For programs.
    pub(super) events: Vec<Value>,
    /// Whether every worker works and every count adds up.
    pub(super) healthy: bool,
}

/// What the machine's agent said, as people read it. `versions` has, by table, the rows beyond the first of a key.
pub(super) fn tell(
    deployed: &Deployed,
    heartbeat: Option<&Heartbeat>,
    versions: &BTreeMap<String, u64>,
    paint: Paint,
) -> Told {
    let mut told = Told { text: String::new(), workers: Vec::new(), events: Vec::new(), healthy: true };
    if deployed.workers.is_empty() {
        return told;
    }
    tell_workers(&mut told, deployed, heartbeat, paint);
    if let Some(heartbeat) = heartbeat {
        tell_events(&mut told, deployed, heartbeat, versions, paint);
    }
    told
}

fn tell_workers(told: &mut Told, deployed: &Deployed, heartbeat: Option<&Heartbeat>, paint: Paint) {
    let machine = deployed.instance.as_deref().unwrap_or("a machine that is gone");
    let Some(heartbeat) = heartbeat else {
        told.healthy = false;
        told.text.push_str(&format!("workers on {machine}\n  {}\n", paint.bad("its agent has not said anything yet")));
        return;
    };
    let silent = Duration::try_from(OffsetDateTime::now_utc() - heartbeat.at).unwrap_or_default();
    let age = format!("{} ago", duration(silent));
    let age = if silent > SILENT { paint.bad(&format!("silent, heard {age}")) } else { format!("heard {age}") };
    told.healthy &= silent <= SILENT;
    told.text.push_str(&format!("workers on {machine} (pinfra {}, {age})\n", heartbeat.version));
    if let Some(error) = &heartbeat.error {
        told.healthy = false;
        told.text.push_str(&format!("  {}\n", paint.bad(error)));
    }
    let width = deployed.workers.iter().map(String::len).max().unwrap_or(0);
    for name in &deployed.workers {
        let state = heartbeat.workers.get(name);
        let (healthy, condition) = condition(state);
        told.healthy &= healthy;
        let shown = if healthy { paint.good(&condition) } else { paint.bad(&condition) };
        told.text.push_str(&format!("  {name:width$}  {shown}\n"));
        let last = state.and_then(|state| state.report.as_ref()?.last_error.as_ref());
        if let Some(last) = last {
            let age = Duration::try_from(OffsetDateTime::now_utc() - last.at).unwrap_or_default();
            let line = format!("{:width$}  {} ago: {}", "", duration(age), last.message);
            told.text.push_str(&format!("  {}\n", paint.faint(&line)));
        }
        told.workers.push(json!({"name": name, "healthy": healthy, "condition": condition, "state": state}));
    }
}

fn condition(state: Option<&WorkerState>) -> (bool, String) {
    let Some(state) = state else { return (false, "not taken up yet".to_owned()) };
    let restarts = match state.restarts {
        0 => String::new(),
        1 => "; restarted once".to_owned(),
        n => format!("; restarted {n} times"),
    };
    let (healthy, text) = match (state.phase, &state.report) {
        (Phase::Running, Some(report)) if report.healthy => (true, report.doing.clone()),
        (Phase::Running, Some(_)) => (false, "does not work for now".to_owned()),
        (Phase::Running | Phase::Starting, _) => (false, "starting".to_owned()),
        (Phase::BackingOff, _) => (false, "ended, and is started again soon".to_owned()),
        (Phase::Stopping, _) => (false, "being stopped".to_owned()),
    };
    (healthy, text + &restarts)
}

fn tell_events(
    told: &mut Told,
    deployed: &Deployed,
    heartbeat: &Heartbeat,
    versions: &BTreeMap<String, u64>,
    paint: Paint,
) {
    let report = |name: &str| heartbeat.workers.get(name).and_then(|state| state.report.as_ref()).map(|r| &r.counters);
    let (emulator, cleaner) = (report("emulator"), report("cleaner"));
    let mut tables: Vec<String> = deployed.tables.iter().map(|table| table.name.clone()).collect();
    tables.extend(emulator.into_iter().flat_map(|counters| counters.keys().cloned()));
    tables.sort();
    tables.dedup();
    if tables.is_empty() {
        return;
    }
    let head = ["", "emitted", "accepted", "refused", "read", "rows", "rejected", "duplicates", "versions"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut verdicts = vec![String::new()];
    for (table, mut counts) in counts(&tables, emulator, cleaner) {
        counts.versions = versions.get(&table).copied();
        let verdict = verdict(&counts);
        told.healthy &= verdict.adds_up;
        rows.push(row(&table, &counts));
        verdicts.push(if verdict.adds_up { paint.good(&verdict.text) } else { paint.bad(&verdict.text) });
        told.events
            .push(json!({"table": table, "counts": counts, "adds_up": verdict.adds_up, "verdict": verdict.text}));
    }
    told.text.push_str("events\n");
    // The verdict comes after the columns, since its colours have no width.
    let widest = columns::aligned(&rows).lines().map(|line| line.chars().count()).max().unwrap_or(0);
    for (line, verdict) in columns::aligned(&rows).lines().zip(&verdicts) {
        let line = format!("{line:widest$}  {verdict}");
        told.text.push_str(line.trim_end());
        told.text.push('\n');
    }
}

fn row(table: &str, counts: &Counts) -> Vec<String> {
    let cell = |count: Option<u64>| count.map_or("-".to_owned(), columns::number);
    let cells = [
        counts.emitted,
        counts.accepted,
        counts.refused,
        counts.read,
        counts.rows,
        counts.rejected,
        counts.duplicates,
        counts.versions,
    ];
    std::iter::once(table.to_owned()).chain(cells.map(cell)).collect()
}
