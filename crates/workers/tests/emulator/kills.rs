//! Kills: whatever is cut off, counts add up, and each event arrives.

use super::api::{Act, Api};
use super::{Emulator, all, child, config, reconciles};

const COUNT: u64 = 1_500;

/// All rows that an emulator without troubles sends are there; those that are there more often are `unknown`.
#[track_caller]
fn nothing_is_missing(api: &Api, untroubled: &Api, unknown: u64) {
    let (rows, expected, mut double) = (api.rows(), untroubled.rows(), 0);
    for (stream, expected) in expected {
        for (row, expected) in expected {
            let found = rows[&stream].get(&row).copied().unwrap_or(0);
            assert!(found >= expected, "{stream} has {found} of {expected}: {row}");
            double += found - expected;
        }
    }
    assert_eq!(api.records().len() as u64, COUNT + double, "no row is of another making");
    assert!(double <= unknown, "{double} records are there again, {unknown} may be");
}

async fn untroubled() -> Api {
    let (api, folder) = (Api::start(|_| Act::Take).await, tempfile::tempdir().unwrap());
    let emulator = Emulator::start(config(&api.url, COUNT), folder.path());
    emulator.done().await;
    emulator.stop().await;
    api
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_killed() {
    let mut api = Api::start(|seen| match seen.number % 13 {
        4 => Act::Throttle,
        8 => Act::TakeAndHangUp,
        _ => Act::Take,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&api.url, COUNT);
    for round in 1..=6 {
        let process = child::start(&config, folder.path(), &[]);
        api.seen(round * 190).await;
        process.kill();
    }
    let report = child::start(&config, folder.path(), &[]).report(folder.path()).await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "emitted"), all(&report, "accepted")), (COUNT, COUNT));
    assert!(all(&report, "unknown") < 300, "{report:?}");
    nothing_is_missing(&api, &untroubled().await, all(&report, "unknown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_in_between_leave_nothing_unknown() {
    let mut api = Api::start(|_| Act::Take).await;
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let emulator = Emulator::start(config(&api.url, COUNT), folder.path());
        api.seen(round * 200).await;
        emulator.stop().await;
    }
    let emulator = Emulator::start(config(&api.url, COUNT), folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "unknown")), (COUNT, 0));
    assert_eq!(api.rows(), untroubled().await.rows());
    emulator.stop().await;
}

/// A second emulator of the same folder, left over from an agent that was killed, must not send all again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_has_one_emulator() {
    let mut api = Api::start(|_| Act::Take).await;
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(config(&api.url, 1_000_000), folder.path());
    api.seen(1).await;
    let error = Emulator::start(config(&api.url, 10), folder.path()).task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("another emulator is using it"), "{error}");
    reconciles(&emulator.stop().await, &api);
}
