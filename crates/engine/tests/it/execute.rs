//! Carrying plans out: width and priority, interrupts, failures of every sort, and finding what is there already.

use std::time::Duration;

use pinfra_engine::state::Status;
use pinfra_engine::testing::{Fault, Inputs, Object, arn_of, version_of};
use pinfra_engine::value::Input;
use pinfra_engine::{Action, ErrorKind, Event, PlanError};
use tokio_util::sync::CancellationToken;

use crate::world::{World, address, assert_converged, assert_empty, comes_before, graph, item, paused, story, thing};

#[test]
fn no_more_steps_run_at_once_than_were_asked_for() {
    paused(async {
        for width in [1, 3, 8] {
            let world = World { width, ..World::new() };
            let run = world.up(&graph((0..8).map(|n| thing(&format!("t{n}"), |_| {})))).await;
            assert!(run.outcome.is_complete());
            assert_eq!(world.cloud.most_running(), width);
        }
    });
}

#[test]
fn the_longest_chain_starts_first() {
    paused(async {
        let world = World { width: 1, ..World::new() };
        let run = world
            .up(&graph([
                thing("alone", |_| {}),
                thing("z1", |_| {}),
                thing("z2", |i| i.uses = vec![arn_of("fake/thing.z1")]),
                thing("z3", |i| i.uses = vec![arn_of("fake/thing.z2")]),
            ]))
            .await;
        let starts: Vec<String> =
            story(&run.events).iter().filter_map(|l| l.strip_prefix("start create ").map(str::to_owned)).collect();
        // `z3` and `alone` are equally long; the plan has `alone` first.
        assert_eq!(starts, ["z1", "z2", "alone", "z3"]);
        assert_eq!(run.plan.usual_duration(), Duration::from_secs(30));
    });
}

#[test]
fn the_first_interrupt_waits_for_what_is_running_and_starts_nothing_more() {
    paused(async {
        let world = World { width: 1, ..World::new() };
        let file = graph([thing("a", |_| {}), thing("b", |_| {})]);
        world.cloud.fault("create a", 1, Fault::Park);
        let interrupt = async {
            world.cloud.wait_parked(1).await;
            world.stop.cancel();
            world.cloud.release();
        };
        let (run, ()) = tokio::join!(world.up(&file), interrupt);
        assert_eq!((run.outcome.done, run.outcome.left), (1, 1));
        assert_eq!(story(&run.events), ["start create a", "end create a"]);
        assert_eq!(run.after.resources[&address("fake/thing.a")].status, Status::Settled);
        let world = World { stop: CancellationToken::new(), ..world };
        assert!(world.up(&file).await.outcome.is_complete());
        assert_converged(&world, &file).await;
    });
}

#[test]
fn the_second_interrupt_leaves_and_no_step_runs_on() {
    paused(async {
        let world = World { width: 2, ..World::new() };
        let file = graph([thing("a", |_| {}), thing("b", |_| {}), thing("c", |_| {})]);
        world.cloud.fault("create a", 1, Fault::ParkAnswer);
        world.cloud.fault("create b", 1, Fault::Park);
        let interrupt = async {
            world.cloud.wait_parked(2).await;
            world.stop.cancel();
            world.leave.cancel();
        };
        let (run, ()) = tokio::join!(world.up(&file), interrupt);
        assert_eq!((run.outcome.done, run.outcome.left), (0, 3));
        // Steps that were parked would go on now, if they still ran.
        world.cloud.release();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.cloud.objects().len(), 1);
        assert_eq!(run.after.open.len(), 2);
        let world = World { stop: CancellationToken::new(), leave: CancellationToken::new(), ..world };
        assert!(world.up(&file).await.outcome.is_complete());
        assert_converged(&world, &file).await;
    });
}

#[test]
fn a_failure_blocks_its_dependents_and_the_rest_goes_on() {
    paused(async {
        let world = World::new();
        let file = graph([
            thing("a", |_| {}),
            thing("b", |i| i.uses = vec![arn_of("fake/thing.a")]),
            thing("c", |i| i.uses = vec![arn_of("fake/thing.b")]),
            thing("d", |_| {}),
        ]);
        world.cloud.fault("create a", 1, Fault::Refuse(ErrorKind::Quota));
        let run = world.up(&file).await;
        assert_eq!(run.outcome.blocked, [address("fake/thing.b"), address("fake/thing.c")]);
        assert_eq!((run.outcome.done, run.outcome.failed[0].1.kind), (1, ErrorKind::Quota));
        let blocked_by = run.events.iter().find_map(|event| match event {
            Event::Blocked { address, by, .. } if address.name() == "c" => Some(by.name()),
            _ => None,
        });
        assert_eq!(blocked_by, Some("a"));
        assert!(world.up(&file).await.outcome.is_complete());
        assert_converged(&world, &file).await;
    });
}

#[test]
fn a_panic_is_a_failed_step() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {}), thing("b", |_| {})]);
        world.cloud.fault("create a", 1, Fault::Panic);
        let run = world.up(&file).await;
        assert_eq!(run.outcome.done, 1);
        let message = &run.outcome.failed[0].1.message;
        assert_eq!(message, "this step panicked, which is a bug: planned panic in create a");
        assert!(world.up(&file).await.outcome.is_complete());
    });
}

#[test]
fn elapsed_time_is_that_of_the_call() {
    paused(async {
        let world = World::new();
        world.cloud.fault("create a", 1, Fault::Delay(Duration::from_secs(90)));
        let run = world.up(&graph([thing("a", |_| {})])).await;
        let elapsed = run.events.iter().find_map(|event| match event {
            Event::Done { elapsed, .. } => Some(*elapsed),
            _ => None,
        });
        assert!(elapsed.is_some_and(|elapsed| elapsed.as_secs() == 90), "{elapsed:?}");
    });
}

#[test]
fn a_create_whose_answer_was_lost_is_found_and_not_made_twice() {
    paused(async {
        for node in [thing("a", |_| {}), item("a", |_| {})] {
            let (world, file) = (World::new(), graph([node]));
            world.cloud.fault("create", 1, Fault::LoseAnswer);
            let run = world.up(&file).await;
            assert_eq!(story(&run.events), ["start create a", "end create a"]);
            assert_eq!(world.cloud.calls("create"), 1);
            assert_converged(&world, &file).await;
        }
    });
}

#[test]
fn a_create_that_refers_to_others_is_found_too() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {}), item("b", |i| i.uses = vec![arn_of("fake/thing.a")])]);
        world.cloud.fault("create b", 1, Fault::ParkAnswer);
        world.up_killed_at_park(&file).await;
        assert!(world.up(&file).await.outcome.is_complete());
        assert_eq!(world.cloud.calls("create b"), 1);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn what_an_interrupted_create_made_is_found_under_its_old_name() {
    paused(async {
        let world = World::new();
        let named = |name: &'static str| graph([thing("a", |i| i.name = name.to_owned())]);
        world.cloud.fault("create", 1, Fault::ParkAnswer);
        world.up_killed_at_park(&named("old")).await;
        let run = world.up(&named("new")).await;
        assert_eq!(story(&run.events), ["start delete a", "end delete a", "start create a", "end create a"]);
        assert_converged(&world, &named("new")).await;
    });
}

#[test]
fn what_an_interrupted_create_made_is_taken_down_although_the_file_is_gone() {
    paused(async {
        let world = World::new();
        world.cloud.fault("create", 1, Fault::ParkAnswer);
        world.up_killed_at_park(&graph([thing("a", |i| i.password = Some("hunter2".to_owned()))])).await;
        assert_eq!(world.cloud.objects().len(), 1);
        assert!(world.down().await.outcome.is_complete());
        assert_empty(&world);
    });
}

#[test]
fn a_create_that_is_tried_again_says_the_same_token_and_a_new_one_another() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {})]);
        world.cloud.fault("create", 1, Fault::Park);
        world.cloud.fault("settle", 1, Fault::Refuse(ErrorKind::Other));
        world.up_killed_at_park(&file).await;
        assert_eq!(world.cloud.tokens(), [""; 0]);
        let begun = world.state().open.into_keys().next().unwrap();
        // Killed before the call had left, as far as the cloud knows; the next run's create is the same one.
        world.up(&file).await;
        let tokens = world.cloud.tokens();
        assert!(tokens[0].ends_with(&format!("-{begun}")), "{tokens:?} {begun}");
        // Once it had an id and is gone, what is made is another one.
        let (id, _) = world.cloud.object("fake/thing.a").unwrap();
        world.cloud.remove(&id);
        assert!(world.up(&file).await.outcome.is_complete());
        let tokens = world.cloud.tokens();
        assert_eq!(tokens.len(), 2);
        assert_ne!(tokens[0], tokens[1]);
    });
}

#[test]
fn a_half_made_object_stays_in_state_and_is_finished() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {})]);
        world.cloud.fault("settle", 1, Fault::Refuse(ErrorKind::Other));
        let run = world.up(&file).await;
        assert!(matches!(run.after.resources[&address("fake/thing.a")].status, Status::Tainted { .. }));
        let run = world.up(&file).await;
        assert_eq!(run.plan.steps[0].action, Action::Update);
        assert_eq!(run.plan.steps[0].reason, "it is half-made, and is finished: settle: `a` was refused");
        assert_eq!(world.cloud.calls("update"), 0);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn an_update_that_was_killed_before_it_had_settled_is_finished() {
    paused(async {
        let world = World::new();
        let sized = |size| graph([thing("a", move |i| i.size = size)]);
        assert!(world.up(&sized(1)).await.outcome.is_complete());
        world.cloud.fault("settle", 2, Fault::Park);
        world.up_killed_at_park(&sized(2)).await;
        let run = world.up(&sized(2)).await;
        assert_eq!(run.plan.steps[0].reason, "an earlier run was interrupted while making or changing it");
        assert_converged(&world, &sized(2)).await;
    });
}

#[test]
fn an_object_that_somebody_removed_is_made_again() {
    paused(async {
        for node in [thing("a", |_| {}), item("a", |_| {})] {
            let (world, file) = (World::new(), graph([node]));
            assert!(world.up(&file).await.outcome.is_complete());
            let id = world.cloud.objects().into_keys().next().unwrap();
            world.cloud.remove(&id);
            let run = world.up(&file).await;
            assert_eq!(run.plan.steps[0].reason, format!("recorded as `{id}`, but it is gone"));
            assert_converged(&world, &file).await;
        }
    });
}

#[test]
fn what_somebody_changed_is_changed_back() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |i| i.size = 1)]);
        assert!(world.up(&file).await.outcome.is_complete());
        let (id, mut object) = world.cloud.object("fake/thing.a").unwrap();
        object.inputs.size = 9;
        world.cloud.put(&id, object);
        let run = world.up(&file).await;
        assert_eq!(run.plan.steps[0].changes[0].cause, pinfra_engine::diff::Cause::Drift);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn what_is_there_and_ours_is_adopted_when_state_is_lost() {
    paused(async {
        let world = World::new();
        let file = graph([
            thing("a", |_| {}),
            item("b", |i| i.uses = vec![arn_of("fake/thing.a")]),
            item("c", |i| i.within = Some(arn_of("fake/item.b"))),
        ]);
        assert!(world.up(&file).await.outcome.is_complete());
        let world = World::on(world.cloud.copy());
        let run = world.up(&file).await;
        assert!(run.plan.steps.iter().all(|step| step.action == Action::Adopt), "{:#?}", run.plan);
        assert_eq!(world.cloud.calls("change"), 0);
        assert_converged(&world, &file).await;
        assert!(world.down().await.outcome.is_complete());
        assert_empty(&world);
    });
}

#[test]
fn what_is_there_and_ours_but_cannot_be_changed_is_replaced_with_what_is_within_it_and_a_kill_loses_neither() {
    paused(async {
        let world = World::new();
        let file = |name: &'static str| {
            graph([item("a", |i| i.name = name.to_owned()), item("b", |i| i.within = Some(arn_of("fake/item.a")))])
        };
        assert!(world.up(&file("old")).await.outcome.is_complete());
        let world = World::on(world.cloud.copy());
        world.cloud.fault("delete", 2, Fault::Park);
        world.up_killed_at_park(&file("new")).await;
        let copy = World::on(world.cloud.copy());
        for name in ["state.json", "journal.ndjson"] {
            std::fs::copy(world.folder.path().join(name), copy.folder.path().join(name)).unwrap();
        }
        assert!(copy.down().await.outcome.is_complete());
        assert_empty(&copy);
        assert!(world.up(&file("new")).await.outcome.is_complete());
        assert_converged(&world, &file("new")).await;
    });
}

fn somebody_elses(name: &str) -> Object {
    let tags = [("owner".to_owned(), "them".to_owned())].into();
    Object {
        kind: "fake/thing",
        inputs: Inputs { name: name.to_owned(), tags, ..Inputs::default() },
        version: 0,
        ready: true,
    }
}

#[test]
fn a_name_that_somebody_else_has_is_refused_before_anything_is_done() {
    paused(async {
        let world = World::new();
        world.cloud.put("theirs", somebody_elses("a"));
        let wrong = world.plan(&graph([thing("a", |_| {}), thing("b", |_| {})])).await.unwrap_err();
        assert!(matches!(&wrong[..], [PlanError::NotOurs { id, .. }] if id == "theirs"), "{wrong:?}");
    });
}

#[test]
fn a_name_that_somebody_took_meanwhile_fails_the_step_and_another_name_helps() {
    paused(async {
        let world = World::new();
        let named = |name: &'static str| graph([thing("a", |i| i.name = name.to_owned())]);
        let plan = world.plan(&named("taken")).await.unwrap();
        world.cloud.put("theirs", somebody_elses("taken"));
        let run = world.run(plan, true).await;
        let hint = run.outcome.failed[0].1.hint.clone().unwrap();
        assert!(hint.contains("them") && hint.contains("choose another name"), "{hint}");
        assert!(world.up(&named("free")).await.outcome.is_complete());
        assert!(world.down().await.outcome.is_complete());
        assert_eq!(world.cloud.objects().into_keys().collect::<Vec<_>>(), ["theirs"]);
        assert!(world.state().resources.is_empty());
    });
}

#[test]
fn what_a_create_runs_into_is_ours_but_cannot_be_changed_and_is_replaced_by_the_next_run() {
    paused(async {
        let world = World::new();
        let file = graph([thing("base", |_| {}), thing("a", |_| {})]);
        assert!(world.up(&graph([thing("base", |_| {})])).await.outcome.is_complete());
        let plan = world.plan(&file).await.unwrap();
        let (base, _) = world.cloud.object("fake/thing.base").unwrap();
        let within = thing("a", |i| i.within = Some(Input::Known(format!("arn:{base}"))));
        let inputs = serde_json::from_value(within.inputs).unwrap();
        world.cloud.put("earlier", Object { kind: "fake/thing", inputs, version: 0, ready: true });
        let run = world.run(plan, true).await;
        assert_eq!(run.outcome.failed[0].1.kind, ErrorKind::AlreadyExists);
        let run = world.up(&file).await;
        let expected = ["start delete a", "end delete a", "start create a", "end create a"];
        assert_eq!(story(&run.events), expected);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn what_a_create_runs_into_is_ours_and_is_made_what_is_asked_for() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |i| i.size = 2)]);
        let plan = world.plan(&file).await.unwrap();
        let inputs = serde_json::from_value(thing("a", |_| {}).inputs).unwrap();
        world.cloud.put("earlier", Object { kind: "fake/thing", inputs, version: 0, ready: false });
        assert!(world.run(plan, true).await.outcome.is_complete());
        assert_converged(&world, &file).await;
    });
}

#[test]
fn a_change_that_another_replacement_brings_is_planned_and_done_in_one_run() {
    paused(async {
        let world = World::new();
        let file = |name: &'static str| {
            graph([thing("a", |i| i.name = name.to_owned()), thing("b", |i| i.uses = vec![arn_of("fake/thing.a")])])
        };
        assert!(world.up(&file("old")).await.outcome.is_complete());
        let run = world.up(&file("new")).await;
        assert!(comes_before(&story(&run.events), "end create a", "start update b"));
        assert_converged(&world, &file("new")).await;
    });
}

#[test]
fn what_follows_an_output_that_updates_change_is_changed_along_in_the_same_run() {
    paused(async {
        let world = World::new();
        let file = |size| {
            graph([
                thing("a", |i| i.size = size),
                thing("b", |i| i.follows = Some(version_of("fake/thing.a"))),
                thing("c", |i| i.uses = vec![arn_of("fake/thing.a")]),
            ])
        };
        assert!(world.up(&file(1)).await.outcome.is_complete());
        let run = world.up(&file(2)).await;
        assert_eq!(story(&run.events), ["start update a", "end update a", "start update b", "end update b"]);
        assert_converged(&world, &file(2)).await;
    });
}

#[test]
fn what_cannot_be_read_is_said_and_nothing_is_planned() {
    paused(async {
        let world = World::new();
        assert!(world.up(&graph([thing("a", |_| {})])).await.outcome.is_complete());
        let (id, _) = world.cloud.object("fake/thing.a").unwrap();
        world.cloud.fault(&format!("read {id}"), world.cloud.calls("read") + 1, Fault::Refuse(ErrorKind::Permission));
        let (state, catalog) = (world.state(), world.cloud.catalog());
        let unreadable = pinfra_engine::observe(&graph([]), &state, &catalog).await.unwrap_err();
        assert_eq!((unreadable[0].0.name(), unreadable[0].1.kind), ("a", ErrorKind::Permission));
    });
}
