//! What goes out, and what answers do to it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pinfra_workers::emulator::EmulatorError;
use pinfra_workers::sample::{Sample, SampleTable};
use serde_json::Value;

use super::api::{Act, Api};
use super::{Emulator, ROWS, SEED, all, config, reconciles};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_number_go_to_all_streams() {
    let api = Api::start(|seen| {
        assert_eq!((seen.method.as_str(), seen.headers["content-type"].to_str().unwrap()), ("PUT", "application/json"));
        Act::Take
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 300), folder.path());
    let report = emulator.done().await;
    assert!(report.healthy);
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "retried"), all(&report, "unknown")), (300, 0, 0));
    let (sample, mut numbers) = (Sample::new(ROWS, SEED), [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()]);
    for record in api.records() {
        let stream = record.body["StreamName"].as_str().unwrap();
        let i = ["streaming-pin", "streaming-geo", "streaming-user"].iter().position(|one| *one == stream).unwrap();
        let table = SampleTable::ALL[i];
        let number = record.body["Data"][table.key()].as_u64().unwrap();
        assert_eq!(record.path, format!("/stage/streams/{stream}/record"));
        assert_eq!(record.body["PartitionKey"], number.to_string());
        assert_eq!(record.body["Data"], Value::Object(sample.row(table, number as u32)));
        numbers[i].insert(number);
    }
    assert!(numbers[0].len() > 60 && numbers.iter().all(|one| *one == numbers[0]));
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn troubles_of_the_api_lose_nothing() {
    let api = Api::start(|seen| match seen.number {
        // A burst of throttling, then a bit of everything.
        50..90 => Act::Throttle,
        n if n % 11 == 3 => Act::TakeAndHangUp,
        n if n % 11 == 5 => Act::HangUp,
        n if n % 11 == 7 => Act::Say(500, r#"{"message":"Internal server error"}"#),
        n if n % 11 == 9 => Act::TakeAfter(Duration::from_millis(30)),
        _ => Act::Take,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 300), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "emitted"), all(&report, "accepted"), all(&report, "refused")), (300, 300, 0));
    assert!(all(&report, "retried") >= 40 && all(&report, "unknown") > 20, "{report:?}");
    // Throttling is not unknown: the record was not taken.
    assert_eq!(api.requests(), 300 + all(&report, "retried"));
    assert!(all(&report, "unknown") <= all(&report, "retried") - 40);
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_counted_and_not_sent_again() {
    let api = Api::start(|seen| match seen.path.as_str() {
        "/stage/streams/streaming-geo/record" => Act::Say(400, r#"{"message":"Invalid request body"}"#),
        _ => Act::Take,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    // A name below `localhost` is this machine, whether its resolver knows or not.
    let url = api.url.replace("127.0.0.1", "abc.execute-api.localhost");
    let emulator = Emulator::start(config(&url, 90), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((report.counters["geo"]["refused"], all(&report, "accepted"), api.requests()), (30, 60, 90));
    assert!(report.last_error.unwrap().message.contains("Invalid request body"));
    // It stays, and stays well.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let report = emulator.done().await;
    assert!(report.healthy && !emulator.task.is_finished(), "{report:?}");
    emulator.stop().await;
}

/// One event that the API always fails at must not hold up a slot for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_breaks_the_api_is_given_up() {
    let first = Mutex::new(None);
    let api = Api::start(move |seen| {
        let mut first = first.lock().unwrap();
        let poison = first.get_or_insert_with(|| seen.body.clone());
        if *poison == seen.body { Act::Say(500, "") } else { Act::Take }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 90), folder.path());
    let report = emulator.done().await;
    assert_eq!((all(&report, "accepted"), all(&report, "refused")), (89, 1));
    assert_eq!((all(&report, "unknown"), all(&report, "retried")), (8, 7));
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_away_is_waited_for() {
    // A port that nobody listens at any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&format!("http://{gone}"), 40), folder.path());
    let report = emulator.until("failing", |report| report.last_error.is_some() && all(report, "emitted") == 16).await;
    assert!(!report.healthy);
    let report = emulator.stop().await;
    // Only as many as there are slots, and nobody has seen them.
    assert_eq!((all(&report, "emitted"), all(&report, "accepted"), all(&report, "unknown")), (16, 0, 0));
    let api = Api::start(|_| Act::Take).await;
    let emulator = Emulator::start(config(&api.url, 40), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), api.records().len()), (40, 40));
    emulator.stop().await;
}

/// A caller that is turned away keeps its events: a wrong policy is no reason to throw them away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_turned_away_waits() {
    let api =
        Api::start(|seen| if seen.number < 40 { Act::Say(403, r#"{"message":"Forbidden"}"#) } else { Act::Take }).await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 60), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "refused"), all(&report, "retried")), (60, 0, 40));
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_api_makes_it_lag_and_say_so() {
    let api = Api::start(|_| Act::TakeAfter(Duration::from_millis(100))).await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 100_000), folder.path());
    let report = emulator.until("lagging", |report| report.doing.contains("the API is slower")).await;
    assert!(report.healthy, "{report:?}");
    assert!(
        all(&report, "emitted") <= all(&report, "accepted") + 16,
        "no more than the slots are under way: {report:?}"
    );
    let report = emulator.stop().await;
    assert_eq!(all(&report, "emitted"), all(&report, "accepted"), "what was under way was finished");
    reconciles(&report, &api);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_is_kept() {
    let api = Api::start(|_| Act::Take).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&api.url, 61);
    (config.rate, config.burst) = (40.0, 1);
    let started = Instant::now();
    let emulator = Emulator::start(config, folder.path());
    emulator.done().await;
    let seconds = started.elapsed().as_secs_f64();
    assert!((1.45..6.0).contains(&seconds), "61 events at 40 a second took {seconds:.2} s");
    emulator.stop().await;
}

#[tokio::test]
async fn settings_without_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (wrong, setting) in [(0.0, "rate"), (f64::NAN, "rate"), (-1.0, "rate")] {
        let mut config = config("http://127.0.0.1:1", 1);
        config.rate = wrong;
        let error = Emulator::start(config, folder.path()).task.await.unwrap().unwrap_err();
        assert!(matches!(&error, EmulatorError::Setting { setting: found, .. } if *found == setting), "{error}");
    }
    let error = Emulator::start(config("ftp://somewhere", 1), folder.path()).task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("does not start with `https://`"), "{error}");
}
