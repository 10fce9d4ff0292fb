//! Events that go on both paths: each has its own outcome on each, and an outage of one stops neither.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use pinfra_workers::config::EmulatorConfig;
use pinfra_workers::report::Report;

use super::api::{Act, Api};
use super::{Emulator, all, child, config, reconciles};

const COUNT: u64 = 900;

/// Every table has a stream and a topic.
fn both(url: &str, count: u64) -> EmulatorConfig {
    let mut config = config(url, count);
    for table in &mut config.tables {
        table.topic = Some(format!("batch.{}", table.name));
    }
    config
}

/// Topics alone.
fn kafka_alone(url: &str, count: u64) -> EmulatorConfig {
    let mut config = both(url, count);
    config.tables.iter_mut().for_each(|table| table.stream = None);
    config
}

type Rows = BTreeMap<String, u64>;

/// The rows of each table in its stream and in its topic.
fn sides(api: &Api) -> [(Rows, Rows); 3] {
    let rows = api.rows();
    let of = |place: String| rows.get(&place).cloned().unwrap_or_default();
    ["pin", "geo", "user"].map(|table| (of(format!("streaming-{table}")), of(format!("batch.{table}"))))
}

fn counts(report: &Report, names: [&str; 5]) -> [u64; 5] {
    names.map(|name| all(report, name))
}

const STREAM: [&str; 5] = ["emitted", "accepted", "refused", "retried", "unknown"];
const KAFKA: [&str; 5] = ["kafka_emitted", "kafka_accepted", "kafka_refused", "kafka_retried", "kafka_unknown"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_goes_on_both_paths() {
    let api = Api::start(|seen| {
        let (method, content_type) = if seen.topic().is_some() {
            ("POST", "application/vnd.kafka.json.v2+json")
        } else {
            ("PUT", "application/json")
        };
        assert_eq!((seen.method.as_str(), seen.headers["content-type"].to_str().unwrap()), (method, content_type));
        Act::Take
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(both(&api.url, COUNT), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!(counts(&report, STREAM), [COUNT, COUNT, 0, 0, 0]);
    assert_eq!(counts(&report, KAFKA), [COUNT, COUNT, 0, 0, 0]);
    assert_eq!(api.requests(), 2 * COUNT);
    for (stream, topic) in sides(&api) {
        assert!(!topic.is_empty() && stream == topic, "the same rows, as often");
    }
    assert!(report.healthy, "{report:?}");
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_alone_are_enough() {
    let api = Api::start(|_| Act::Take).await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(kafka_alone(&api.url, 90), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!(counts(&report, KAFKA), [90, 90, 0, 0, 0]);
    assert!(!report.counters["pin"].contains_key("emitted"), "what it does not do it does not count: {report:?}");
    emulator.stop().await;
}

/// Of the codes in an answer of 200, and of statuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_brokers_say_of_a_record_counts() {
    let api = Api::start(|seen| match (seen.topic(), seen.number % 10) {
        (Some("batch.geo"), _) => {
            Act::Say(200, r#"{"offsets":[{"partition":0,"offset":-1,"error_code":1,"error":"too large"}]}"#)
        }
        (Some(_), 1) => {
            Act::Say(200, r#"{"offsets":[{"partition":0,"offset":-1,"error_code":2,"error":"no leader"}]}"#)
        }
        (Some(_), 3) => Act::Say(503, r#"{"error_code":503,"message":"the gateway is stopping"}"#),
        (Some(_), 5) => Act::Throttle,
        (Some(_), 7) => Act::Say(504, r#"{"message":"Endpoint request timed out"}"#),
        (Some(_), 9) => Act::TakeAndHangUp,
        _ => Act::Take,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(both(&api.url, 300), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!(counts(&report, STREAM), [300, 300, 0, 0, 0]);
    let geo = &report.counters["geo"];
    assert_eq!((geo["kafka_refused"], geo["kafka_accepted"], geo["accepted"]), (100, 0, 100));
    assert_eq!((all(&report, "kafka_accepted"), all(&report, "kafka_refused")), (200, 100));
    let (retried, unknown) = (all(&report, "kafka_retried"), all(&report, "kafka_unknown"));
    assert!(unknown > 0 && unknown < retried, "throttled and stopping is not unknown: {report:?}");
    let message = report.last_error.unwrap().message;
    assert!(!message.is_empty());
    emulator.stop().await;
}

/// One path is away for as long as the other is done: its events wait, and all arrive when it is there again.
async fn survives(kafka_is_away: bool) {
    let away = Arc::new(AtomicBool::new(true));
    let gone = away.clone();
    let api = Api::start(move |seen| {
        let of_the_path = seen.topic().is_some() == kafka_is_away;
        if of_the_path && gone.load(SeqCst) { Act::Say(503, "") } else { Act::Take }
    })
    .await;
    let (up, down) = if kafka_is_away { (STREAM, KAFKA) } else { (KAFKA, STREAM) };
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(both(&api.url, COUNT), folder.path());
    let report = emulator.until("through on one path", |report| all(report, up[1]) == COUNT).await;
    assert_eq!((all(&report, down[0]), all(&report, down[1])), (COUNT, 0));
    let report = emulator.until("unwell", |report| !report.healthy && report.last_error.is_some()).await;
    let path = if kafka_is_away { "Kafka" } else { "streams" };
    let message = report.last_error.unwrap().message;
    assert!(message.contains(&format!("nothing is accepted by {path}")) || message.contains("503"), "{message}");
    // A restart in between forgets nothing of it.
    emulator.stop().await;
    let emulator = Emulator::start(both(&api.url, COUNT), folder.path());
    emulator.until("trying again", |report| report.last_error.is_some()).await;
    away.store(false, SeqCst);
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!(counts(&report, up), [COUNT, COUNT, 0, 0, 0]);
    assert_eq!(counts(&report, down)[..3], [COUNT, COUNT, 0]);
    for (stream, topic) in sides(&api) {
        assert_eq!(stream, topic);
    }
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_kafka_holds_up_no_stream() {
    survives(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_streams_holds_up_no_topic() {
    survives(false).await;
}

/// An event that one path always fails at is given up there, by what that path takes otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_given_up_on_its_path_alone() {
    let first = std::sync::Mutex::new(None);
    let api = Api::start(move |seen| {
        if seen.topic().is_none() {
            return Act::Take;
        }
        let mut first = first.lock().unwrap();
        let poison = first.get_or_insert_with(|| seen.body.clone());
        if *poison == seen.body { Act::Say(500, "") } else { Act::Take }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(both(&api.url, 90), folder.path());
    let report = emulator.done().await;
    assert_eq!(counts(&report, STREAM), [90, 90, 0, 0, 0]);
    assert_eq!(counts(&report, KAFKA)[..3], [90, 89, 1]);
    emulator.stop().await;
}

/// A path that is taken away leaves nothing behind that is tried for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_for_a_path_that_is_gone_are_refused() {
    let api = Api::start(|seen| if seen.topic().is_some() { Act::Say(503, "") } else { Act::Take }).await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(both(&api.url, 60), folder.path());
    emulator.until("through on one path", |report| all(report, "accepted") == 60).await;
    emulator.stop().await;
    let emulator = Emulator::start(config(&api.url, 90), folder.path());
    let report = emulator.done().await;
    assert_eq!(counts(&report, STREAM)[..3], [90, 90, 0]);
    assert_eq!(counts(&report, KAFKA)[..3], [60, 0, 60]);
    assert!(report.last_error.unwrap().message.contains("the stack has no Kafka any more"));
    emulator.stop().await;
}

/// Killed again and again, with troubles of all sorts on both paths: nothing is missing on either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_on_either_path() {
    let mut api = Api::start(|seen| match (seen.topic().is_some(), seen.number % 13) {
        (_, 4) => Act::Throttle,
        (_, 8) => Act::TakeAndHangUp,
        (true, 6) => Act::Say(503, ""),
        (true, 11) => Act::TakeAfter(Duration::from_millis(20)),
        _ => Act::Take,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = both(&api.url, COUNT);
    for round in 1..=5 {
        let process = child::start(&config, folder.path(), &[]);
        api.seen(round * 250).await;
        process.kill();
    }
    let report = child::start(&config, folder.path(), &[]).report(folder.path()).await;
    reconciles(&report, &api);
    assert_eq!(counts(&report, STREAM)[..3], [COUNT, COUNT, 0]);
    assert_eq!(counts(&report, KAFKA)[..3], [COUNT, COUNT, 0]);
    for (stream, topic) in sides(&api) {
        assert_eq!(stream.keys().collect::<Vec<_>>(), topic.keys().collect::<Vec<_>>());
    }
}

/// No more waits for a path that is away than there is room for, and then the other waits too: memory is bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_path_is_bounded() {
    let away = Arc::new(AtomicBool::new(true));
    let gone = away.clone();
    let api =
        Api::start(move |seen| if seen.topic().is_some() && gone.load(SeqCst) { Act::Say(429, "") } else { Act::Take })
            .await;
    let folder = tempfile::tempdir().unwrap();
    let config = both(&api.url, 10_100);
    let bound = 10_000 + u64::from(config.concurrency);
    let emulator = Emulator::start(config.clone(), folder.path());
    emulator.until("held up", |report| all(report, "accepted") == bound).await;
    // A restart does not make room either.
    emulator.stop().await;
    let emulator = Emulator::start(config, folder.path());
    let report = emulator.until("trying again", |report| report.last_error.is_some()).await;
    assert_eq!((all(&report, "emitted"), all(&report, "accepted")), (bound, bound));
    away.store(false, SeqCst);
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "kafka_accepted")), (10_100, 10_100));
    emulator.stop().await;
}
