//! Several runs at once.

use pinfra_workers::batch::Options;
use pinfra_workers::config::CleanerConfig;
use pinfra_workers::lake::Lake;
use pinfra_workers::report::Teller;
use tokio_util::sync::CancellationToken;

use crate::world::{Events, TOPIC, World, often, run, words};

/// What the table's log has counted, in the order read, rows, rejected, duplicates, probes.
pub(crate) async fn committed(lake: &Lake) -> [u64; 5] {
    let table = lake.open_table(&lake.table_url("batch", "words")).await.unwrap().unwrap();
    let log = table.log_store();
    let mut counters = [0; 5];
    for (counter, name) in counters.iter_mut().zip(["read", "rows", "rejected", "duplicates", "probes"]) {
        let app = format!("pinfra/batch/{TOPIC}:{name}");
        let version = table.snapshot().unwrap().transaction_version(log.as_ref(), &app).await.unwrap();
        *counter = version.unwrap_or(0).unsigned_abs();
    }
    counters
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_at_once_share_and_double_nothing() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let events = Events::put(&lake, 0, 1_000, 20).await;
    let full = Options { full: true, ..often() };
    let (one, two, three) = tokio::join!(run(&lake, often()), run(&lake, often()), run(&lake, full));
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    events.are_in(&lake).await;
    let [_, counts @ ..] = events.counts;
    assert_eq!(committed(&lake).await, counts);
    // The one that rebuilds reads all; the others never read an object for nothing twice in the table.
    assert_eq!(three.read, events.counts[1]);
    assert!(one.read <= events.counts[1] && two.read <= events.counts[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleaner_tells_what_somebody_else_has_cleaned() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let events = Events::put(&lake, 0, 100, 20).await;
    let config = CleanerConfig {
        bucket: lake.bucket().to_owned(),
        region: "us-east-1".to_owned(),
        tables: vec![words()],
        streaming: false,
        schedule: None,
        commit_ms: 200,
        commit_records: 60,
        port: None,
    };
    run(&lake, often()).await.unwrap();
    let (teller, stop) = (Teller::default(), CancellationToken::new());
    let folder = tempfile::tempdir().unwrap();
    let (told, stopping, lake, sdk) = (teller.clone(), stop.clone(), lake.clone(), world.sdk.clone());
    let path = folder.path().to_owned();
    let cleaner = tokio::spawn(async move {
        Box::pin(pinfra_workers::cleaner::run_with(config, &path, told, stopping, lake, &sdk)).await
    });
    let count = |name: &str| teller.report().counters.get("words").and_then(|table| table.get(name)).copied();
    crate::world::until("the counters are told", async || count("batch_read") == Some(events.counts[1])).await;
    assert_eq!(count("batch_rows"), Some(events.counts[2]));
    stop.cancel();
    cleaner.await.unwrap().unwrap();
}
