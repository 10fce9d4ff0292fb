//! Ten thousand resources, wide and deep. The limits are far above what linear work takes in a debug build, and far
//! below what quadratic work would.

use std::time::{Duration, Instant};

use pinfra_engine::testing::arn_of;
use pinfra_engine::{Graph, GraphError};

use crate::world::{Run, World, assert_empty, graph, item, paused};

const MANY: usize = 10_000;

fn wide(count: usize, size: u64) -> Graph {
    graph((0..count).map(|n| item(&format!("i{n}"), |i| i.size = size)))
}

/// A chain, each of which uses the one before it.
fn deep(count: usize, size: u64) -> Graph {
    let before = |n: usize| n.checked_sub(1).map(|before| arn_of(&format!("fake/item.i{before}")));
    graph((0..count).map(|n| {
        item(&format!("i{n}"), |i| {
            i.size = size;
            i.uses = before(n).into_iter().collect();
        })
    }))
}

/// State in memory where the machine has such a folder: 30,000 syncs of a busy disk are not what is measured here.
fn in_memory() -> World {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    World { width: 64, folder, ..World::new() }
}

/// Up, a plan with nothing to do, half of it removed and the rest changed, and down.
async fn life(first: &Graph, second: &Graph) {
    let world = in_memory();
    let mut start = Instant::now();
    let mut lap = |what: &str| {
        let time = std::mem::replace(&mut start, Instant::now()).elapsed();
        assert!(time < Duration::from_secs(60), "{what} took {time:?}");
    };
    let complete = |run: Run| assert!(run.outcome.is_complete());
    complete(world.up(first).await);
    lap("up");
    assert!(world.plan(first).await.unwrap().is_empty());
    lap("plan");
    complete(world.up(second).await);
    lap("edit");
    complete(world.down().await);
    lap("down");
    assert_empty(&world);
}

#[test]
fn ten_thousand_side_by_side() {
    paused(life(&wide(MANY, 1), &wide(MANY / 2, 2)));
}

#[test]
fn ten_thousand_in_a_chain() {
    paused(life(&deep(MANY, 1), &deep(MANY / 2, 2)));
}

#[test]
fn a_cycle_of_ten_thousand_is_reported() {
    let mut nodes: Vec<_> = deep(MANY, 1).nodes().cloned().collect();
    nodes[0].after = vec![nodes[MANY - 1].address.clone()];
    let wrong = Graph::new(nodes).unwrap_err();
    assert!(matches!(&wrong[..], [GraphError::Cycle(cycle)] if cycle.len() == MANY));
}

/// Every kept resource lets go of one that is removed from a replaced base, and needs the base as well: each release
/// has to be searched for a cycle.
#[test]
fn the_worst_tangle_of_removed_and_replaced_is_planned_in_time() {
    paused(async {
        let half = MANY / 4;
        let base = |name: &str| item("base", |i| i.name = name.to_owned());
        let gone = (0..half).map(|n| item(&format!("gone{n}"), |i| i.within = Some(arn_of("fake/item.base"))));
        let user = |n: usize, also: bool| {
            let gone = also.then(|| arn_of(&format!("fake/item.gone{n}")));
            let uses = gone.into_iter().chain([arn_of("fake/item.base")]).collect();
            item(&format!("user{n}"), |i| i.uses = uses)
        };
        let first = graph([base("old")].into_iter().chain(gone).chain((0..half).map(|n| user(n, true))));
        let world = in_memory();
        assert!(world.up(&first).await.outcome.is_complete());
        let second = graph([base("new")].into_iter().chain((0..half).map(|n| user(n, false))));
        let start = Instant::now();
        let plan = world.plan(&second).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        assert_eq!(plan.steps.len(), 2 + 2 * half);
    });
}
