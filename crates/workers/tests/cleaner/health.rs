//! What a cleaner says about itself while something is not as it should be.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::lake::Lake;

use crate::store::Mortal;
use crate::world::{Cleaner, Events, World, until};

/// `doing` is set by the first word of health and never empty after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_healthy_before_it_can_do_all_that_it_is_there_for() {
    let world = World::with_shards(1).await;
    let events = Events::new(100, 40);
    world.put(&events.records).await;
    for part in ["_pinfra/leases/", "tables/stream/words/part-", "tables/rejects/part-"] {
        let lake = world.lake(&format!("lake-{}", part.len())).await;
        let store = Mortal::refusing(lake.store().clone(), part, 4);
        let refusing = Lake::over(lake.bucket(), Arc::new(store.clone())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cleaner = Cleaner::start(&world, &refusing, folder.path());
        until("four writes are refused", async || store.refusals_left() == 0).await;
        let report = cleaner.teller.report();
        assert!(!report.healthy && report.doing.is_empty() && report.last_error.is_some(), "{part}: {report:?}");
        until("it is well again", async || cleaner.teller.report().healthy).await;
        assert_eq!(cleaner.counters(), events.counters());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_cannot_be_announced_is_in_nobodys_way() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let events = Events::new(100, 200);
    world.put(&events.records).await;
    let store = Mortal::refusing(lake.store().clone(), "_pinfra/probes/", 3);
    let refusing = Lake::over(lake.bucket(), Arc::new(store)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cleaner = Cleaner::start(&world, &refusing, folder.path());
    for id in &events.probes {
        let path = Path::from(format!("_pinfra/probes/{id}/words.json"));
        until("the probe's arrival is said", async || lake.store().get(&path).await.is_ok()).await;
    }
    let report = cleaner.teller.report();
    assert!(report.healthy && report.last_error.is_some_and(|error| error.message.contains("probe")));
}
