//! The process dies at each of its writes in turn, before or after the write took effect.

use std::sync::Arc;

use futures::StreamExt;
use pinfra_workers::lake::Lake;

use crate::store::{Dies, Mortal};
use crate::world::{Cleaner, Events, World};

/// More writes than a run makes: the last ones die at a lease's renewal or not at all.
const WRITES: usize = 26;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_write_loses_and_doubles_nothing() {
    let world = World::with_shards(2).await;
    let events = Events::new(100, 200);
    world.put(&events.records).await;
    let deaths = (0..WRITES).flat_map(|at| [Dies::Before(at), Dies::After(at)]);
    let (world, events) = (&world, &events);
    let died: Vec<bool> = futures::stream::iter(deaths.enumerate())
        .map(|(number, dies)| survived(world, events, number, dies))
        .buffer_unordered(6)
        .collect()
        .await;
    // The test is about deaths: so many must have happened for it to mean anything.
    assert!(died.iter().filter(|died| **died).count() > 24, "{died:?}");
}

async fn survived(world: &World, events: &Events, number: usize, dies: Dies) -> bool {
    let lake = world.lake(&format!("lake-{number}")).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Mortal::new(lake.store().clone(), dies);
    let mortal = Lake::over(lake.bucket(), Arc::new(store.clone())).unwrap();
    let first = Cleaner::start(world, &mortal, folder.path());
    let died = tokio::select! {
        () = store.died.cancelled() => true,
        () = first.has_read(events.count()) => false,
    };
    drop(first);
    if number.is_multiple_of(3) {
        // The index is only a cache.
        let _ = std::fs::remove_file(folder.path().join("known-words.redb"));
    }
    let second = Cleaner::start(world, &lake, folder.path());
    second.has_read(events.count()).await;
    assert_eq!(second.counters(), events.counters(), "{dies:?}");
    second.stopped().await;
    events.are_in(&lake).await;
    died
}
