//! The workers of a stack and the events that they counted, for `pinfra status`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinfra_workers::config::{CleanedTable, Heartbeat, Phase, WorkerState};
use pinfra_workers::query::TableSet;
use pinfra_workers::report::Counters;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::deployed::{Deployed, Sink};
use super::reconcile::{Verdict, batch, stream};
use crate::report::hops::{self, Passage};
use crate::report::{Paint, duration};

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

/// What the tables of the lake say of themselves.
#[derive(Default)]
pub(super) struct Lake {
    /// By table of the streaming path, the rows beyond the first of a key.
    pub(super) stream_versions: BTreeMap<String, u64>,
    /// The same of the batch path.
    pub(super) batch_versions: BTreeMap<String, u64>,
    /// The tables that batch cleaning has not made yet.
    pub(super) never_cleaned: BTreeSet<String>,
}

impl Lake {
    /// What is there of a table: the rows beyond the first of a key, or no table.
    pub(super) fn of_table(&mut self, set: TableSet, table: &str, versions: Option<u64>) {
        let known = match set {
            TableSet::Stream => &mut self.stream_versions,
            TableSet::Batch => &mut self.batch_versions,
        };
        if let Some(versions) = versions {
            known.insert(table.to_owned(), versions);
        } else if set == TableSet::Batch {
            self.never_cleaned.insert(table.to_owned());
        }
    }
}

/// What the machine's agent and the lake said, as people read it.
pub(super) fn tell(deployed: &Deployed, heartbeat: Option<&Heartbeat>, lake: &Lake, paint: Paint) -> Told {
    let mut told = Told { text: String::new(), workers: Vec::new(), events: Vec::new(), healthy: true };
    if deployed.workers.is_empty() {
        return told;
    }
    tell_workers(&mut told, deployed, heartbeat, paint);
    if let Some(heartbeat) = heartbeat {
        tell_events(&mut told, deployed, heartbeat, lake, paint);
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
        let (mut healthy, mut condition) = condition(state);
        if silent > SILENT {
            (healthy, condition) = (false, format!("not known; the last was: {condition}"));
        }
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
    if silent > SILENT {
        told.text.push_str(&format!("  {}\n", paint.faint(&wake(deployed))));
    }
}

/// What keeps events from flowing as far as the machine tells, and what to do about it.
pub(super) fn trouble(deployed: &Deployed, heartbeat: Option<&Heartbeat>) -> Option<String> {
    let wake = wake(deployed);
    let Some(heartbeat) = heartbeat else {
        return Some(format!("the machine has not said anything yet; {wake}"));
    };
    let silent = Duration::try_from(OffsetDateTime::now_utc() - heartbeat.at).unwrap_or_default();
    if silent > SILENT {
        return Some(format!("the machine has said nothing for {}; {wake}", duration(silent)));
    }
    let sick = deployed.workers.iter().find(|name| !condition(heartbeat.workers.get(*name)).0)?;
    Some(format!("the worker `{sick}` does not work: `pinfra status` shows how it is, `pinfra logs {sick}` why"))
}

/// What makes a silent machine speak.
fn wake(deployed: &Deployed) -> String {
    let machine = deployed.instance.as_deref().unwrap_or("ID");
    format!(
        "`pinfra up` starts a machine that is stopped, `aws ec2 reboot-instances --instance-ids {machine}` one that hangs"
    )
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

fn tell_events(told: &mut Told, deployed: &Deployed, heartbeat: &Heartbeat, lake: &Lake, paint: Paint) {
    let report = |name: &str| heartbeat.workers.get(name).and_then(|state| state.report.as_ref()).map(|r| &r.counters);
    let (emulator, gateway, cleaner) = (report("emulator"), report("gateway"), report("cleaner"));
    let streamed = tables(deployed.tables.iter().filter(|table| table.stream.is_some()), emulator, "emitted");
    let stored = tables(deployed.tables.iter().filter(|table| table.topic.is_some()), emulator, "kafka_emitted");
    let mut text = String::new();
    let mut passages = Vec::new();
    for table in streamed {
        let mut counts = stream::Counts::of(&table, emulator, cleaner);
        counts.versions = lake.stream_versions.get(&table).copied();
        let verdict = stream::verdict(&counts);
        told.events.push(event("stream", &table, &json!(counts), &verdict));
        passages.push(passage(table, counts.hops(), verdict));
    }
    text.push_str(&hops::draw("stream", &passages, paint));
    told.healthy &= passages.iter().all(|passage| passage.good);
    let (mut passages, mut not_cleaned) = (Vec::new(), 0);
    for table in with(stored, deployed.topics.keys()) {
        let mut counts = batch::Counts::of(&table, emulator, gateway, cleaner);
        if counts.read.is_none() && lake.never_cleaned.contains(&table) {
            counts.nothing_cleaned();
        }
        counts.versions = lake.batch_versions.get(&table).copied();
        counts.remade = deployed.sink.as_ref().is_some_and(Sink::is_made_again);
        let verdict = batch::verdict(&counts);
        not_cleaned += counts.not_cleaned();
        told.events.push(event("batch", &table, &json!(counts), &verdict));
        passages.push(passage(table, counts.hops(), verdict));
    }
    text.push_str(&hops::draw("batch", &passages, paint));
    told.healthy &= passages.iter().all(|passage| passage.good);
    if not_cleaned > 0 {
        let scheduled = if deployed.scheduled { ", as the next scheduled run does" } else { "" };
        let hint = format!("    `pinfra clean` cleans what is in S3{scheduled}");
        text.push_str(&format!("{}\n", paint.faint(&hint)));
    }
    if !text.is_empty() {
        told.text.push_str("events\n");
        told.text.push_str(&text);
    }
}

/// The tables of a path, by what the cleaner is told and what the emulator counts under that name.
fn tables<'a>(
    cleaned: impl Iterator<Item = &'a CleanedTable>,
    emulator: Option<&'a Counters>,
    counter: &str,
) -> BTreeSet<String> {
    let emulated = emulator.into_iter().flatten().filter(|(_, counters)| counters.contains_key(counter));
    cleaned.map(|table| table.name.clone()).chain(emulated.map(|(table, _)| table.clone())).collect()
}

fn with<'a>(mut tables: BTreeSet<String>, more: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    tables.extend(more.cloned());
    tables
}

fn event(path: &str, table: &str, counts: &Value, verdict: &Verdict) -> Value {
    json!({"path": path, "table": table, "counts": counts, "adds_up": verdict.adds_up, "verdict": verdict.text})
}

fn passage(table: String, hops: Vec<(&'static str, Option<u64>)>, verdict: Verdict) -> Passage {
    Passage { table, hops, verdict: verdict.text, good: verdict.adds_up }
}

#[cfg(test)]
mod tests {
    use pinfra_workers::report::Report;

    use super::*;

    const TABLES: [&str; 3] = ["geo", "pin", "user"];

    fn cleaned(name: &str) -> CleanedTable {
        let (stream, topic) = (Some(format!("s-{name}")), Some(format!("s.{name}")));
        CleanedTable { name: name.into(), key: "ind".into(), stream, topic, sql: String::new() }
    }

    fn whole() -> Deployed {
        Deployed {
            instance: Some("i-1".into()),
            tables: TABLES.map(cleaned).to_vec(),
            streaming: true,
            scheduled: true,
            topics: TABLES.map(|name| (name.to_owned(), format!("s.{name}"))).into(),
            workers: ["cleaner", "emulator", "gateway"].map(str::to_owned).to_vec(),
            ..Deployed::default()
        }
    }

    fn counters(counts: &[(&str, u64)]) -> Counters {
        let counts: BTreeMap<_, _> = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        TABLES.map(|table| (table.to_owned(), counts.clone())).into()
    }

    fn worker(doing: &str, counters: Counters) -> WorkerState {
        let report = Report { healthy: true, doing: doing.to_owned(), counters, last_error: None };
        WorkerState { manifest: String::new(), phase: Phase::Running, pid: Some(1), restarts: 0, report: Some(report) }
    }

    fn heartbeat() -> Heartbeat {
        let emulator = counters(&[
            ("emitted", 1_234_567),
            ("accepted", 1_234_560),
            ("refused", 2),
            ("unknown", 0),
            ("kafka_emitted", 1_234_567),
            ("kafka_accepted", 1_234_567),
            ("kafka_refused", 0),
            ("kafka_unknown", 0),
        ]);
        let gateway = counters(&[("accepted", 1_234_568), ("in_kafka", 1_234_568), ("stored", 1_234_000)]);
        let cleaner = counters(&[
            ("read", 1_234_561),
            ("rows", 1_200_000),
            ("rejected", 3),
            ("duplicates", 34_557),
            ("probes", 1),
            ("batch_read", 1_000_000),
            ("batch_rows", 970_000),
            ("batch_rejected", 3),
            ("batch_duplicates", 29_996),
            ("batch_probes", 1),
        ]);
        let workers = [
            ("emulator", worker("posting 600.0 events/s to streams, 600.0 events/s to Kafka", emulator)),
            ("gateway", worker("taking 600 records/s", gateway)),
            ("cleaner", worker("3 shards, 0 ms behind", cleaner)),
        ];
        Heartbeat {
            instance: "i-1".into(),
            version: "0.1.0".into(),
            program: String::new(),
            at: OffsetDateTime::now_utc(),
            started: OffsetDateTime::now_utc(),
            error: None,
            workers: workers.map(|(name, state)| (name.to_owned(), state)).into(),
        }
    }

    fn lake() -> Lake {
        Lake { stream_versions: BTreeMap::from([("pin".into(), 4)]), ..Lake::default() }
    }

    #[test]
    fn both_paths_are_told_within_eighty_columns() {
        let told = tell(&whole(), Some(&heartbeat()), &lake(), Paint::OFF);
        assert!(told.healthy, "{}", told.text);
        let events = told.text.split_once("events\n").unwrap().1;
        insta::assert_snapshot!(events);
        assert!(told.text.lines().all(|line| line.chars().count() <= 80), "{}", told.text);
        let paths: Vec<&str> = told.events.iter().filter_map(|event| event["path"].as_str()).collect();
        assert_eq!(paths, ["stream", "stream", "stream", "batch", "batch", "batch"]);
        assert_eq!(told.events[3]["counts"]["in_s3"], 1_233_999);
    }

    #[test]
    fn a_path_that_is_not_there_is_not_told() {
        let mut stream_alone = whole();
        stream_alone.topics.clear();
        stream_alone.tables.iter_mut().for_each(|table| table.topic = None);
        let mut heartbeat = heartbeat();
        heartbeat.workers.remove("gateway");
        let emulator = heartbeat.workers.get_mut("emulator").unwrap().report.as_mut().unwrap();
        emulator.counters = counters(&[("emitted", 5), ("accepted", 5), ("refused", 0)]);
        let told = tell(&stream_alone, Some(&heartbeat), &Lake::default(), Paint::OFF);
        assert!(told.text.contains("  stream:") && !told.text.contains("batch:"), "{}", told.text);
        let mut batch_alone = whole();
        batch_alone.tables.iter_mut().for_each(|table| table.stream = None);
        emulated_by_kafka_alone(&mut heartbeat);
        let told = tell(&batch_alone, Some(&heartbeat), &lake(), Paint::OFF);
        assert!(told.text.contains("  batch:") && !told.text.contains("stream:"), "{}", told.text);
    }

    fn emulated_by_kafka_alone(heartbeat: &mut Heartbeat) {
        let emulator = heartbeat.workers.get_mut("emulator").unwrap().report.as_mut().unwrap();
        emulator.counters = counters(&[("kafka_emitted", 5), ("kafka_accepted", 5), ("kafka_refused", 0)]);
    }

    #[test]
    fn what_is_in_no_table_is_not_healthy() {
        let mut heartbeat = heartbeat();
        let cleaner = heartbeat.workers.get_mut("cleaner").unwrap().report.as_mut().unwrap();
        cleaner.counters.get_mut("pin").unwrap().insert("batch_rows".into(), 969_999);
        let told = tell(&whole(), Some(&heartbeat), &lake(), Paint::OFF);
        assert!(!told.healthy);
        // The line may have been broken anywhere.
        let words: Vec<&str> = told.text.split_whitespace().collect();
        assert!(words.join(" ").contains("not cleaned, 1 read and in no table"), "{}", told.text);
    }

    #[test]
    fn before_the_first_cleaning_all_is_in_s3() {
        let mut heartbeat = heartbeat();
        let cleaner = heartbeat.workers.get_mut("cleaner").unwrap().report.as_mut().unwrap();
        cleaner.counters.clear();
        let lake = Lake { never_cleaned: TABLES.map(str::to_owned).into(), ..lake() };
        let told = tell(&whole(), Some(&heartbeat), &lake, Paint::OFF);
        assert!(told.healthy && told.text.contains("1234000 in S3 and not cleaned"), "{}", told.text);
    }
}
