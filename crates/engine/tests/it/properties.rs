//! What must hold for any stack file, any edit of it, any failures and any kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pinfra_engine::resource::{Field, KindInfo};
use pinfra_engine::state::{read_snapshot, replay};
use pinfra_engine::testing::Fault;
use pinfra_engine::value::{Reference, resolve};
use pinfra_engine::{Action, Address, ErrorKind, Event, Graph, OnChange};
use proptest::prelude::*;
use serde_json::json;

use crate::wishes::{file, files, graph_of};
use crate::world::{Run, World, assert_converged, assert_empty, paused};

/// When each step started and ended, by address and by whether it destroys: places in the list of events.
fn times(run: &Run) -> BTreeMap<(&Address, bool), (usize, Option<usize>)> {
    let destroys = |action: &Action| matches!(action, Action::Delete | Action::Forget);
    let mut times = BTreeMap::new();
    for (now, event) in run.events.iter().enumerate() {
        match event {
            Event::Started { address, action, .. } => {
                times.insert((address, destroys(action)), (now, None));
            }
            Event::Done { address, action, .. } => {
                times.get_mut(&(address, destroys(action))).unwrap().1 = Some(now);
            }
            _ => {}
        }
    }
    times
}

/// No step started before what it needs had ended: makes after the makes they need and after their own delete,
/// deletes after the deletes of what was recorded to need them. Worked out from graph and state, not from the plan.
fn assert_in_order(run: &Run, graph: &Graph) {
    let times = times(run);
    let planned: BTreeSet<(&Address, bool)> =
        run.plan.steps.iter().map(|s| (&s.address, matches!(s.action, Action::Delete | Action::Forget))).collect();
    let check = |later: (&Address, bool), earlier: (&Address, bool)| {
        let Some((start, _)) = times.get(&later) else { return };
        if planned.contains(&earlier) {
            let end = times.get(&earlier).and_then(|(_, end)| *end);
            assert!(end.is_some_and(|end| end < *start), "{later:?} started before {earlier:?} had ended");
        }
    };
    for node in graph.nodes() {
        check((&node.address, false), (&node.address, true));
        graph.needs(&node.address).for_each(|need| check((&node.address, false), (need, false)));
    }
    for (address, record) in &run.before.resources {
        record.needs.iter().for_each(|need| check((need, true), (address, true)));
    }
}

/// What did not fail, and needs nothing that failed, was done; everything else that was not done is blocked.
fn assert_only_dependents_blocked(run: &Run) {
    let failed: BTreeSet<&Address> = run.outcome.failed.iter().map(|(address, _)| address).collect();
    let mut hopeless = vec![false; run.plan.steps.len()];
    let (mut done, mut blocked) = (0, 0);
    let started = times(run);
    for (index, step) in run.plan.steps.iter().enumerate() {
        let destroys = matches!(step.action, Action::Delete | Action::Forget);
        let is_blocked = step.needs.iter().any(|need| hopeless[*need]);
        let ended = started.get(&(&step.address, destroys)).and_then(|(_, end)| *end).is_some();
        hopeless[index] = !ended;
        assert!(!(is_blocked && ended), "{} ran although it was blocked", step.address);
        assert!(ended || is_blocked || failed.contains(&step.address), "{} was forgotten", step.address);
        done += usize::from(ended);
        blocked += usize::from(is_blocked);
    }
    assert_eq!((run.outcome.done, run.outcome.blocked.len(), run.outcome.left), (done, blocked, 0));
}

fn a_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Refuse(ErrorKind::Other)),
        Just(Fault::Refuse(ErrorKind::Conflict)),
        Just(Fault::LoseAnswer),
        Just(Fault::Panic),
    ]
}

/// Which call goes wrong: a create, update or delete, or a wait.
fn a_call() -> impl Strategy<Value = (&'static str, usize)> {
    (prop_oneof![3 => Just("change"), 1 => Just("settle")], 1..12usize)
}

/// `PROPTEST_CASES` asks for more, as for any property test.
fn cases(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: wanted.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn a_run_goes_in_order_and_leaves_nothing_to_do(files in files(3), width in 1..6usize) {
        paused(async {
            let world = World { width, ..World::new() };
            for file in &files {
                let graph = graph_of(file);
                let run = world.up(&graph).await;
                assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
                assert_in_order(&run, &graph);
                assert!(world.cloud.most_running() <= width);
                let changes = world.cloud.calls("change");
                assert_converged(&world, &graph).await;
                assert_eq!(world.cloud.calls("change"), changes);
            }
            let run = world.down().await;
            assert_in_order(&run, &Graph::default());
            assert_empty(&world);
        });
    }

    #[test]
    fn after_any_failures_state_is_valid_and_the_next_run_converges(
        files in files(3),
        faults in prop::collection::vec((a_call(), a_fault()), 1..5),
    ) {
        paused(async {
            let world = World::new();
            assert!(world.up(&graph_of(&files[0])).await.outcome.is_complete());
            let before: BTreeMap<&str, usize> = ["change", "settle"].map(|c| (c, world.cloud.calls(c))).into();
            for ((call, nth), fault) in &faults {
                world.cloud.fault(call, before[call] + nth, *fault);
            }
            let graph = graph_of(&files[1]);
            let run = world.up(&graph).await;
            assert_in_order(&run, &graph);
            assert_only_dependents_blocked(&run);
            assert_eq!(run.after.open, BTreeMap::new());
            world.cloud.heal();
            // Sometimes the file is edited before the next run, and sometimes the stack is taken down instead.
            let next = graph_of(&files[1 + faults.len() % 2]);
            let copy = copy_of(&world);
            let run = world.up(&next).await;
            assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
            assert_converged(&world, &next).await;
            assert!(world.down().await.outcome.is_complete());
            assert_empty(&world);
            assert!(copy.down().await.outcome.is_complete());
            assert_empty(&copy);
        });
    }

    #[test]
    fn a_run_that_was_killed_anywhere_is_finished_by_the_next(
        files in files(3),
        nth in 1..15usize,
        call in prop_oneof![3 => Just("change"), 1 => Just("settle")],
        answered in any::<bool>(),
        politely in any::<bool>(),
        edited in any::<bool>(),
    ) {
        paused(async {
            let world = World::new();
            assert!(world.up(&graph_of(&files[0])).await.outcome.is_complete());
            let fault = if answered { Fault::ParkAnswer } else { Fault::Park };
            world.cloud.fault(call, world.cloud.calls(call) + nth, fault);
            let graph = graph_of(&files[1]);
            let plan = world.plan(&graph).await.unwrap();
            // Either the second interrupt, or the process is gone: its tasks never run again.
            tokio::select! {
                _ = world.run(plan, politely) => {}
                () = async {
                    world.cloud.wait_parked(1).await;
                    if politely {
                        world.leave.cancel();
                        std::future::pending::<()>().await;
                    }
                } => {}
            }
            world.cloud.heal();
            let world = World { leave: Default::default(), ..world };
            let copy = copy_of(&world);
            let next = graph_of(&files[if edited { 2 } else { 1 }]);
            let run = world.up(&next).await;
            assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
            assert_converged(&world, &next).await;
            assert!(world.down().await.outcome.is_complete());
            assert_empty(&world);
            assert!(copy.down().await.outcome.is_complete());
            assert_empty(&copy);
        });
    }

    #[test]
    fn nothing_differs_from_itself(file in file()) {
        let graph = graph_of(&file);
        for node in graph.nodes() {
            let output = |r: &Reference| Some(if r.output == "version" { json!(1) } else { json!(r.to_string()) });
            let live = resolve(&node.inputs, &output).unwrap();
            let views = pinfra_engine::diff::Views {
                desired: &live, secrets: &node.secrets, recorded: None, live: Some(&live), salt: "",
            };
            let catalog = World::new().cloud.catalog();
            let kind = catalog.require(node.address.kind()).unwrap();
            prop_assert_eq!(pinfra_engine::diff::diff(kind.info(), &views), vec![]);
        }
    }

    #[test]
    fn the_longest_listed_field_above_a_path_says_what_a_change_costs(path in "[ab](\\.[ab]){0,3}") {
        const FIELDS: &[Field] = &[
            Field { name: "a", on_change: OnChange::Update, doc: "" },
            Field { name: "a.b", on_change: OnChange::Replace, doc: "" },
            Field { name: "a.b.a", on_change: OnChange::Ignore, doc: "" },
            Field { name: "b.a", on_change: OnChange::Update, doc: "" },
        ];
        let none = std::time::Duration::ZERO;
        let info = KindInfo {
            kind: "test/thing", summary: "", fields: FIELDS, outputs: &[],
            loses: "", usual_create: none, usual_update: none, usual_delete: none,
        };
        let words: Vec<&str> = path.split('.').collect();
        let listed = (1..=words.len()).rev().map(|n| words[..n].join("."));
        let expected = listed.into_iter().find_map(|above| FIELDS.iter().find(|field| field.name == above));
        prop_assert_eq!(info.on_change(&path), expected.map_or(OnChange::Replace, |field| field.on_change));
    }
}

proptest! {
    // Each case converges from every line of its journal.
    #![proptest_config(cases(6))]

    #[test]
    fn every_prefix_of_a_journal_replays_and_the_next_run_converges_from_it(files in files(2)) {
        paused(async {
            let world = World::new();
            world.up(&graph_of(&files[0])).await;
            let graph = graph_of(&files[1]);
            let plan = world.plan(&graph).await.unwrap();
            world.run(plan, false).await;
            let Ok(journal) = fs::read_to_string(world.folder.path().join("journal.ndjson")) else { return };
            let snapshot = fs::read(world.folder.path().join("state.json")).unwrap();
            let start = read_snapshot(&snapshot).unwrap();
            for end in (0..=journal.len()).filter(|end| journal.is_char_boundary(*end)) {
                replay(start.clone(), &journal[..end]).unwrap();
            }
            let lines = journal.match_indices('\n').map(|(at, _)| at + 1);
            for end in lines {
                let world = World::on(world.cloud.copy());
                fs::write(world.folder.path().join("state.json"), &snapshot).unwrap();
                fs::write(world.folder.path().join("journal.ndjson"), &journal[..end]).unwrap();
                let run = world.up(&graph).await;
                assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
                assert_converged(&world, &graph).await;
                assert!(world.down().await.outcome.is_complete());
                assert_empty(&world);
            }
        });
    }
}

/// The same stack once more, with its own state folder and its own cloud.
fn copy_of(world: &World) -> World {
    let copy = World::on(world.cloud.copy());
    for file in ["state.json", "journal.ndjson"] {
        if let Ok(bytes) = fs::read(world.folder.path().join(file)) {
            fs::write(copy.folder.path().join(file), bytes).unwrap();
        }
    }
    copy
}
