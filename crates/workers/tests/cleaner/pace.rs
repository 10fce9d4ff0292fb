//! How fast records become visible. Figures, not limits: `cargo test -p pinfra-workers --test cleaner -- --ignored
//! --nocapture pace`.

use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::config::Arrival;
use tokio::time::Instant;

use crate::world::{Cleaner, World};

/// Ticks of 50 ms, in each of which ten records come: 200 records a second.
const TICKS: usize = 1_200;

const TABLES: [(&str, &str); 3] = [("pin", "streaming-pin"), ("geo", "streaming-geo"), ("user", "streaming-user")];

/// Probes tell when they came and when their commit was done, so they are the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; takes two minutes"]
#[expect(clippy::print_stderr, reason = "the figures are what it is for")]
async fn pace() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    for (_, stream) in TABLES {
        world.create(stream, 2).await;
    }
    let backlog: Vec<Vec<u8>> =
        (0..20_000).map(|n| format!("{{\"index\": {n}, \"word\": \"w\"}}").into_bytes()).collect();
    world.put_to(TABLES[0].1, &backlog).await;
    let mut config = Cleaner::config(&lake, &TABLES);
    (config.commit_ms, config.commit_records) = (1_000, 5_000);
    let began = Instant::now();
    let cleaner = Cleaner::run(&world, &lake, folder.path(), config);
    crate::world::until("the backlog is read", async || cleaner.counter_of("pin", "read") == 20_000).await;
    let rate = 20_000.0 / began.elapsed().as_secs_f64();

    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for tick in 0..TICKS {
        ticks.tick().await;
        let mut records: Vec<Vec<u8>> = Vec::new();
        for number in 0..9 {
            records.push(format!("{{\"index\": {}, \"word\": \"x\"}}", tick * 10 + number).into_bytes());
        }
        records.push(format!("{{\"index\": 1, \"_pinfra_probe\": \"{tick:x}\"}}").into_bytes());
        world.put_to(TABLES[tick % 3].1, &records).await;
    }
    let mut hops = Vec::new();
    for probe in 0..TICKS {
        let path = Path::from(format!("_pinfra/probes/{probe:x}/{}.json", TABLES[probe % 3].0));
        crate::world::until("the probe is said", async || lake.store().get(&path).await.is_ok()).await;
        let said = lake.store().get(&path).await.unwrap().bytes().await.unwrap();
        let arrival: Arrival = serde_json::from_slice(&said).unwrap();
        hops.push([arrival.committed - arrival.in_stream, arrival.read - arrival.in_stream]);
    }
    cleaner.stopped().await;
    eprintln!("{rate:.0} records/s of backlog");
    for (hop, what) in ["visible", "read"].into_iter().enumerate() {
        let mut millis: Vec<_> = hops.iter().map(|hops| hops[hop].whole_milliseconds()).collect();
        millis.sort_unstable();
        let at = |share: usize| millis[(TICKS - 1) * share / 100];
        eprintln!("{what} after {} ms (p50), {} ms (p90), {} ms (p99), {} ms (most)", at(50), at(90), at(99), at(100));
    }
}
