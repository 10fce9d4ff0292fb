//! Runs that end before their plan does, and runs that go on through trouble.

use std::time::Duration;

use pinfra_engine::state::Status;
use pinfra_engine::testing::{Fault, arn_of};
use pinfra_engine::{Action, ErrorKind, Event};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::world::{World, address, assert_converged, assert_empty, graph, item, paused, story, thing};

#[test]
fn the_first_interrupt_parks_waits_at_once_and_the_next_run_goes_on_with_them() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {}), thing("b", |i| i.uses = vec![arn_of("fake/thing.a")])]);
        world.cloud.be_slow("a");
        let interrupt = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            world.stop.cancel();
            Instant::now()
        };
        let (run, interrupted) = tokio::join!(world.up(&file), interrupt);
        assert_eq!(interrupted.elapsed(), Duration::ZERO, "no wait is waited out");
        assert_eq!(story(&run.events), ["start create a", "park create a"]);
        assert!(run.outcome.failed.is_empty() && run.outcome.halted.is_none());
        assert_eq!((run.outcome.parked.len(), run.outcome.left), (1, 1));
        assert_eq!(run.outcome.parked[0].waiting_for.as_deref(), Some("CREATING"));
        assert_eq!(run.after.resources[&address("fake/thing.a")].status, Status::Named);
        world.cloud.hurry();
        let world = World { stop: CancellationToken::new(), ..world };
        let run = world.up(&file).await;
        assert_eq!(run.plan.steps[0].action, Action::Update);
        assert_eq!(world.cloud.calls("create a"), 1);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn a_wait_that_takes_much_longer_than_usual_is_no_failure() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {})]);
        world.cloud.be_slow("a");
        let day = async {
            tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
            world.cloud.hurry();
        };
        let (run, ()) = tokio::join!(world.up(&file), day);
        assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
    });
}

#[test]
fn a_run_that_detaches_leaves_what_takes_long_and_does_the_rest() {
    paused(async {
        let world = World { detach: true, width: 1, ..World::new() };
        let file = graph([
            thing("slow", |_| {}),
            thing("after", |i| i.uses = vec![arn_of("fake/thing.slow")]),
            thing("a", |_| {}),
            thing("b", |i| i.uses = vec![arn_of("fake/thing.a")]),
        ]);
        world.cloud.be_slow("slow");
        let run = world.up(&file).await;
        assert_eq!((run.outcome.done, run.outcome.parked.len(), run.outcome.left), (2, 1, 1));
        assert_eq!(run.outcome.parked[0].address, address("fake/thing.slow"));
        assert!(run.outcome.failed.is_empty() && run.outcome.blocked.is_empty());
        // Another one finds it as it was, and detaches again.
        let run = world.up(&file).await;
        assert_eq!((run.outcome.done, run.outcome.parked.len(), run.outcome.left), (0, 1, 1));
        world.cloud.hurry();
        assert!(world.up(&file).await.outcome.is_complete());
        assert_converged(&world, &file).await;
        assert_eq!(world.cloud.calls("create"), 4);
    });
}

#[test]
fn a_run_that_detaches_from_deletes_is_gone_on_with_and_waits_for_their_end() {
    paused(async {
        let world = World { detach: true, ..World::new() };
        let file = graph([thing("a", |_| {}), thing("b", |i| i.within = Some(arn_of("fake/thing.a")))]);
        assert!(world.up(&file).await.outcome.is_complete());
        world.cloud.be_slow("b");
        let run = world.down().await;
        assert_eq!(story(&run.events), ["start delete b", "park delete b"]);
        let plan = world.plan_destroy().await.unwrap();
        assert_eq!((plan.steps[0].action, plan.steps[0].address.name()), (Action::Delete, "b"));
        assert_eq!(plan.steps[0].reason, "an earlier run began to destroy it");
        world.cloud.hurry();
        assert!(world.down().await.outcome.is_complete());
        assert_empty(&world);
    });
}

#[test]
fn credentials_that_expire_stop_the_run_and_fail_nothing() {
    paused(async {
        let world = World { width: 2, ..World::new() };
        let file = graph((0..4).map(|n| thing(&format!("t{n}"), |_| {})));
        world.cloud.be_slow("t0");
        world.cloud.fault("create t1", 1, Fault::Refuse(ErrorKind::Credentials));
        let run = world.up(&file).await;
        assert_eq!(run.outcome.halted.as_ref().map(|error| error.kind), Some(ErrorKind::Credentials));
        assert_eq!((run.outcome.done, run.outcome.parked.len(), run.outcome.left), (0, 2, 2));
        assert!(run.outcome.failed.is_empty());
        let halts = run.events.iter().filter(|event| matches!(event, Event::Halted { .. })).count();
        assert_eq!(halts, 1);
        assert_eq!(run.after.resources[&address("fake/thing.t0")].status, Status::Named);
        world.cloud.hurry();
        assert!(world.up(&file).await.outcome.is_complete());
        assert_converged(&world, &file).await;
    });
}

#[test]
fn trouble_is_gone_through_and_makes_nothing_twice() {
    paused(async {
        let troubles = [ErrorKind::Throttled, ErrorKind::Transient, ErrorKind::Unreachable, ErrorKind::Conflict]
            .map(Fault::Refuse)
            .into_iter()
            .chain([Fault::LoseAnswer]);
        for trouble in troubles {
            for call in ["create a", "settle a", "update a", "delete a"] {
                let world = World::new();
                let file = |size| graph([item("a", move |i| i.size = size)]);
                for nth in 1..=3 {
                    world.cloud.fault(call, nth, trouble);
                }
                for size in [1, 2] {
                    let run = world.up(&file(size)).await;
                    assert!(run.outcome.is_complete(), "{trouble:?} in {call}: {:#?}", run.outcome);
                    assert_converged(&world, &file(size)).await;
                }
                assert!(world.down().await.outcome.is_complete(), "{trouble:?} in {call}");
                assert_empty(&world);
            }
        }
    });
}

#[test]
fn what_has_no_name_and_cannot_be_looked_for_is_not_made_again() {
    paused(async {
        let world = World::new();
        let file = graph([item("a", |_| {})]);
        world.cloud.fault("create a", 1, Fault::LoseAnswer);
        // The first look is the plan's.
        for nth in 2..=6 {
            world.cloud.fault("find a", nth, Fault::Refuse(ErrorKind::Transient));
        }
        let run = world.up(&file).await;
        assert_eq!(run.outcome.failed[0].1.kind, ErrorKind::Unreachable, "{:#?}", run.outcome);
        assert_eq!(world.cloud.calls("create a"), 1);
        assert!(world.up(&file).await.outcome.is_complete());
        assert_eq!(world.cloud.objects().len(), 1);
        assert_converged(&world, &file).await;
    });
}

#[test]
fn credentials_that_expire_while_a_lost_answer_is_made_good_fail_no_step() {
    paused(async {
        let world = World::new();
        let file = graph([item("a", |_| {})]);
        world.cloud.fault("create a", 1, Fault::LoseAnswer);
        world.cloud.fault("read", 1, Fault::Refuse(ErrorKind::Credentials));
        let run = world.up(&file).await;
        assert!(run.outcome.failed.is_empty(), "{:#?}", run.outcome);
        assert_eq!(run.outcome.halted.as_ref().map(|error| error.kind), Some(ErrorKind::Credentials));
        assert!(world.up(&file).await.outcome.is_complete());
        assert_eq!(world.cloud.objects().len(), 1);
    });
}

#[test]
fn trouble_that_stays_fails_the_step_in_the_end() {
    paused(async {
        let world = World::new();
        for nth in 1..100 {
            world.cloud.fault("create a", nth, Fault::Refuse(ErrorKind::Throttled));
        }
        let run = world.up(&graph([thing("a", |_| {})])).await;
        assert_eq!(run.outcome.failed[0].1.kind, ErrorKind::Throttled);
        assert_eq!(world.cloud.calls("create a"), 6);
    });
}

#[test]
fn what_is_too_new_to_be_known_is_asked_for_for_two_minutes_and_no_longer() {
    paused(async {
        let world = World::new();
        let file = graph([thing("a", |_| {}), thing("b", |i| i.uses = vec![arn_of("fake/thing.a")])]);
        for nth in 1..=4 {
            world.cloud.fault("create b", nth, Fault::Refuse(ErrorKind::NotFound));
        }
        assert!(world.up(&file).await.outcome.is_complete());
        assert_eq!(world.cloud.calls("create b"), 5);

        let world = World::new();
        for nth in 1..1000 {
            world.cloud.fault("create b", nth, Fault::Refuse(ErrorKind::NotFound));
        }
        let began = Instant::now();
        let run = world.up(&file).await;
        assert_eq!(run.outcome.failed[0].1.kind, ErrorKind::NotFound);
        assert!((120..140).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    });
}
