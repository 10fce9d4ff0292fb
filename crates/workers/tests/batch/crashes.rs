//! The process dies at each of its writes in turn, before or after the write took effect.

use std::sync::Arc;

use futures::StreamExt;
use pinfra_workers::batch::Options;
use pinfra_workers::lake::Lake;

use crate::store::{Dies, Mortal};
use crate::world::{Events, World, often, run};

/// More writes than a run makes.
const WRITES: usize = 14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_write_loses_and_doubles_nothing() {
    let world = World::new();
    let deaths: Vec<Dies> = (0..WRITES).flat_map(|at| [Dies::Before(at), Dies::After(at)]).collect();
    let world = &world;
    let died: Vec<bool> = futures::stream::iter(deaths.into_iter().enumerate())
        .map(|(number, dies)| async move {
            let lake = world.lake(&format!("lake-{number}")).await;
            survived(&lake, dies, often(), true).await
        })
        .buffer_unordered(4)
        .collect()
        .await;
    // The test is about deaths: so many must have happened for it to mean anything.
    assert!(died.iter().filter(|died| **died).count() > 20, "{died:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_does_one_while_everything_is_read_anew() {
    let world = World::new();
    let full = Options { full: true, ..often() };
    for at in 0..6 {
        for dies in [Dies::Before(at), Dies::After(at)] {
            let lake = world.lake(&format!("lake-{}-{at}", matches!(dies, Dies::After(_)))).await;
            Events::put(&lake, 0, 60, 20).await;
            run(&lake, often()).await.unwrap();
            // Afterwards a run that adds, or another one that rebuilds.
            survived(&lake, dies, full, at % 2 == 0).await;
        }
    }
}

/// Whether it died; either way another run puts everything right.
async fn survived(lake: &Lake, dies: Dies, options: Options, then_adds: bool) -> bool {
    let events = Events::put(lake, 0, 100, 20).await;
    let store = Mortal::new(lake.store().clone(), dies);
    let mortal = Lake::over(lake.bucket(), Arc::new(store.clone())).unwrap();
    let died = tokio::select! {
        () = store.died.cancelled() => true,
        done = run(&mortal, options) => { done.unwrap(); false }
    };
    let options = if then_adds { often() } else { Options { full: true, ..often() } };
    run(lake, options).await.unwrap();
    events.are_in(lake).await;
    let [_, counts @ ..] = events.counts;
    assert_eq!(crate::together::committed(lake).await, counts, "{dies:?}");
    died
}
