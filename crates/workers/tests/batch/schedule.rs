//! Cleaning when it is due, by a clock that is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::batch::LastRun;
use pinfra_workers::cleaner;
use pinfra_workers::config::CleanerConfig;
use pinfra_workers::keys::LAST_RUN;
use pinfra_workers::lake::Lake;
use pinfra_workers::report::Teller;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{Events, World, rows, until, words};

/// A cleaner on a schedule, with streaming off.
struct Scheduled {
    teller: Teller,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn at(time: OffsetDateTime) -> Hands {
        Hands(Arc::new(AtomicI64::new(time.unix_timestamp())))
    }

    fn set(&self, time: OffsetDateTime) {
        self.0.store(time.unix_timestamp(), Ordering::Relaxed);
    }
}

impl Scheduled {
    fn start(world: &World, lake: &Lake, hands: &Hands) -> Scheduled {
        let config = CleanerConfig {
            bucket: lake.bucket().to_owned(),
            region: "us-east-1".to_owned(),
            tables: vec![words()],
            streaming: false,
            schedule: Some("0 12 * * *".to_owned()),
            commit_ms: 200,
            commit_records: 60,
            port: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let (teller, stop) = (Teller::default(), CancellationToken::new());
        let (told, stopping, lake, sdk) = (teller.clone(), stop.clone(), lake.clone(), world.sdk.clone());
        let (path, hands) = (folder.path().to_owned(), hands.clone());
        let clock: pinfra_workers::batch::Clock =
            Arc::new(move || OffsetDateTime::from_unix_timestamp(hands.0.load(Ordering::Relaxed)).unwrap());
        let task = tokio::spawn(async move {
            Box::pin(cleaner::run_by(config, &path, told, stopping, lake, &sdk, clock)).await.unwrap();
        });
        Scheduled { teller, stop, task, _folder: folder }
    }

    async fn says(&self, what: &str) {
        until(what, async || {
            let report = self.teller.report();
            report.healthy && report.doing.contains(what)
        })
        .await;
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn last(lake: &Lake) -> LastRun {
    let found = lake.store().get(&Path::from(LAST_RUN)).await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&found).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_done_and_what_was_missed_is_caught_up_once() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let hands = Hands::at(datetime!(2026-11-21 11:00 UTC));
    let first = Events::put(&lake, 0, 100, 20).await;
    let cleaner = Scheduled::start(&world, &lake, &hands);
    cleaner.says("batch: next run 2026-11-21 12:00 UTC").await;
    assert!(rows(&lake).await.is_empty());
    hands.set(datetime!(2026-11-21 12:00:05 UTC));
    cleaner.says("next run 2026-11-22 12:00 UTC, the last at 2026-11-21 12:00 UTC added 70 rows").await;
    first.are_in(&lake).await;
    let done = last(&lake).await;
    assert_eq!((done.due, done.error.clone()), (datetime!(2026-11-21 12:00 UTC), None));
    assert_eq!(done.tables["words"].rows, 70);

    // Off for three days: one run, for the newest of them.
    cleaner.stopped().await;
    let second = Events::put(&lake, 100, 100, 20).await;
    hands.set(datetime!(2026-11-24 15:00 UTC));
    let cleaner = Scheduled::start(&world, &lake, &hands);
    cleaner.says("next run 2026-11-25 12:00 UTC, the last at 2026-11-24 15:00 UTC added 70 rows").await;
    assert_eq!(last(&lake).await.due, datetime!(2026-11-24 12:00 UTC));
    let counters = cleaner.teller.report().counters;
    until("the counters of both runs are told", async || {
        cleaner.teller.report().counters["words"]["batch_read"] == 200
    })
    .await;
    assert!(counters.contains_key("words"));
    cleaner.stopped().await;

    // Started once more on that day, it does nothing.
    Events::put(&lake, 200, 100, 20).await;
    hands.set(datetime!(2026-11-24 18:00 UTC));
    let cleaner = Scheduled::start(&world, &lake, &hands);
    cleaner.says("next run 2026-11-25 12:00 UTC").await;
    assert_eq!(rows(&lake).await, [first.rows, second.rows].concat());
    cleaner.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_none_ends_the_worker() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let config = CleanerConfig {
        bucket: lake.bucket().to_owned(),
        region: "us-east-1".to_owned(),
        tables: vec![words()],
        streaming: false,
        schedule: Some("noon".to_owned()),
        commit_ms: 200,
        commit_records: 60,
        port: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let (teller, stop) = (Teller::default(), CancellationToken::new());
    let ended = Box::pin(cleaner::run_with(config, folder.path(), teller, stop, lake, &world.sdk)).await;
    assert!(ended.unwrap_err().to_string().contains("no schedule"));
}
