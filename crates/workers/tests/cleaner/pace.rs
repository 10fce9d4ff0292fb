//! How fast records become visible. Figures, not limits: `cargo test -p pinfra-workers --test cleaner -- --ignored
//! --nocapture pace`.

use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::config::Arrival;
use tokio::time::Instant;

use crate::world::{Cleaner, World};

/// Probes tell when they came and when their commit was done, so they are the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; takes half a minute"]
#[expect(clippy::print_stderr, reason = "the figures are what it is for")]
async fn pace() {
    let world = World::with_shards(2).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let backlog: Vec<Vec<u8>> =
        (0..20_000).map(|n| format!("{{\"index\": {n}, \"word\": \"w\"}}").into_bytes()).collect();
    world.put(&backlog).await;
    let began = Instant::now();
    let cleaner = Cleaner::commits(&world, &lake, folder.path(), 1_000, 5_000);
    cleaner.has_read(20_000).await;
    let rate = 20_000.0 / began.elapsed().as_secs_f64();

    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for tick in 0..300 {
        ticks.tick().await;
        let mut records: Vec<Vec<u8>> = Vec::new();
        for number in 0..9 {
            records.push(format!("{{\"index\": {}, \"word\": \"x\"}}", tick * 10 + number).into_bytes());
        }
        records.push(format!("{{\"index\": 1, \"_pinfra_probe\": \"{tick:x}\"}}").into_bytes());
        world.put(&records).await;
    }
    cleaner.has_read(23_000).await;
    cleaner.stopped().await;
    let mut millis = Vec::new();
    for probe in 0..300 {
        let path = Path::from(format!("_pinfra/probes/{probe:x}/words.json"));
        let said = lake.store().get(&path).await.unwrap().bytes().await.unwrap();
        let arrival: Arrival = serde_json::from_slice(&said).unwrap();
        millis.push((arrival.committed - arrival.in_stream).whole_milliseconds());
    }
    millis.sort_unstable();
    eprintln!(
        "{rate:.0} records/s; at 200 records/s visible after {} ms (p50), {} ms (p99), {} ms (most)",
        millis[150], millis[297], millis[299]
    );
}
