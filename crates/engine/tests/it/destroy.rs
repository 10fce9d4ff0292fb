//! The order of destroying, case by case. Terraform's `docs/destroying.md` is the list.

use pinfra_engine::state::snapshot_of;
use pinfra_engine::testing::{Fault, arn_of};
use pinfra_engine::{Action, ErrorKind, Graph, Node, PlanError, Would};

use crate::world::{World, address, assert_converged, assert_empty, comes_before, graph, item, paused, story, thing};

/// Brings up one stack file after the other, and returns what the last run did.
async fn edit(world: &World, first: Vec<Node>, second: Vec<Node>) -> Vec<String> {
    assert!(world.up(&graph(first)).await.outcome.is_complete());
    let second = graph(second);
    let run = world.up(&second).await;
    assert!(run.outcome.is_complete(), "{:#?}", run.outcome);
    assert_converged(world, &second).await;
    story(&run.events)
}

#[test]
fn one_of_two_is_removed_and_the_other_left_alone() {
    paused(async {
        let world = World::new();
        let (a, b) = (thing("a", |_| {}), thing("b", |_| {}));
        let story = edit(&world, vec![a.clone(), b], vec![a]).await;
        assert_eq!(story, ["start delete b", "end delete b"]);
    });
}

#[test]
fn a_dependent_goes_before_what_it_needs() {
    paused(async {
        let world = World::new();
        let chain = vec![
            thing("a", |_| {}),
            thing("b", |i| i.within = Some(arn_of("fake/thing.a"))),
            item("c", |i| i.uses = vec![arn_of("fake/thing.b")]),
        ];
        assert!(world.up(&graph(chain)).await.outcome.is_complete());
        let run = world.down().await;
        let expected =
            ["start delete c", "end delete c", "start delete b", "end delete b", "start delete a", "end delete a"];
        assert_eq!(story(&run.events), expected);
        assert_empty(&world);
    });
}

#[test]
fn a_resource_that_only_asked_to_come_after_another_goes_before_it() {
    paused(async {
        let world = World::new();
        let after = Node { after: vec![address("fake/thing.b")], ..thing("a", |_| {}) };
        assert!(world.up(&graph(vec![after, thing("b", |_| {})])).await.outcome.is_complete());
        let run = world.down().await;
        assert!(comes_before(&story(&run.events), "end delete a", "start delete b"));
    });
}

#[test]
fn an_order_that_is_asked_for_later_holds_when_destroying_although_nothing_was_done_for_it() {
    paused(async {
        let world = World::new();
        let (a, b) = (thing("a", |_| {}), thing("b", |_| {}));
        let after = Node { after: vec![address("fake/thing.b")], ..a.clone() };
        assert_eq!(edit(&world, vec![a, b.clone()], vec![after, b]).await, [""; 0]);
        let run = world.down().await;
        assert!(comes_before(&story(&run.events), "end delete a", "start delete b"));
    });
}

#[test]
fn the_middle_of_a_chain_is_replaced_with_what_is_within_it() {
    paused(async {
        let world = World::new();
        let chain = |name: &'static str| {
            vec![
                thing("a", |_| {}),
                thing("b", |i| {
                    i.name = name.to_owned();
                    i.within = Some(arn_of("fake/thing.a"));
                }),
                thing("c", |i| i.within = Some(arn_of("fake/thing.b"))),
                thing("d", |i| i.uses = vec![arn_of("fake/thing.c")]),
            ]
        };
        let story = edit(&world, chain("old"), chain("new")).await;
        let ends: Vec<&str> = story.iter().filter_map(|line| line.strip_prefix("end ")).collect();
        assert_eq!(ends, ["delete c", "delete b", "create b", "create c", "update d"]);
    });
}

#[test]
fn what_is_removed_goes_before_what_it_needs_is_replaced() {
    paused(async {
        let world = World::new();
        let base = |name: &'static str| thing("a", |i| i.name = name.to_owned());
        let inner = thing("b", |i| i.within = Some(arn_of("fake/thing.a")));
        let story = edit(&world, vec![base("old"), inner], vec![base("new")]).await;
        let ends: Vec<&str> = story.iter().filter_map(|line| line.strip_prefix("end ")).collect();
        assert_eq!(ends, ["delete b", "delete a", "create a"]);
    });
}

#[test]
fn what_stays_lets_go_of_a_removed_resource_before_it_is_deleted() {
    paused(async {
        let world = World::new();
        let user = |uses| thing("b", |i| i.uses = uses);
        let first = vec![thing("a", |_| {}), user(vec![arn_of("fake/thing.a")])];
        let story = edit(&world, first, vec![user(vec![])]).await;
        assert_eq!(story, ["start update b", "end update b", "start delete a", "end delete a"]);
    });
}

#[test]
fn what_is_replaced_lets_go_by_its_delete_and_the_removed_resource_does_not_wait_for_its_create() {
    paused(async {
        let world = World::new();
        let user = |name: &'static str, uses| {
            thing("b", |i| {
                i.name = name.to_owned();
                i.uses = uses;
            })
        };
        let first = vec![thing("a", |_| {}), user("old", vec![arn_of("fake/thing.a")])];
        assert!(world.up(&graph(first)).await.outcome.is_complete());
        let plan = world.plan(&graph(vec![user("new", vec![])])).await.unwrap();
        let a = plan.steps.iter().find(|step| step.address == address("fake/thing.a")).unwrap();
        let waits_for: Vec<_> = a.needs.iter().map(|need| (plan.steps[*need].address.name(), a.action)).collect();
        assert_eq!(waits_for, [("b", Action::Delete)]);
        assert!(plan.steps[a.needs[0]].action == Action::Delete);
    });
}

/// `gone` is within `base`, which is replaced; `user` let go of `gone`, but needs the new `base`. Letting go first
/// would mean: gone after user, user after base, base after gone.
#[test]
fn a_cycle_of_release_and_replacement_is_avoided() {
    paused(async {
        let world = World::new();
        let base = |name: &'static str| thing("base", |i| i.name = name.to_owned());
        let user = |uses| thing("user", |i| i.uses = uses);
        let gone = thing("gone", |i| i.within = Some(arn_of("fake/thing.base")));
        let first = vec![base("old"), gone, user(vec![arn_of("fake/thing.base"), arn_of("fake/thing.gone")])];
        let story = edit(&world, first, vec![base("new"), user(vec![arn_of("fake/thing.base")])]).await;
        let ends: Vec<&str> = story.iter().filter_map(|line| line.strip_prefix("end ")).collect();
        assert_eq!(ends, ["delete gone", "delete base", "create base", "update user"]);
    });
}

/// As above, but `user` needs another replaced resource, so that letting go first makes no cycle.
#[test]
fn what_waits_for_another_replacement_still_lets_go_first() {
    paused(async {
        let world = World::new();
        let named = |address: &'static str, name: &'static str| thing(address, |i| i.name = name.to_owned());
        let user = |uses| thing("user", |i| i.uses = uses);
        let gone = thing("gone", |i| i.within = Some(arn_of("fake/thing.base")));
        let uses = vec![arn_of("fake/thing.gone"), arn_of("fake/thing.other")];
        let first = vec![named("base", "b1"), named("other", "o1"), gone, user(uses)];
        let second = vec![named("base", "b2"), named("other", "o2"), user(vec![arn_of("fake/thing.other")])];
        let story = edit(&world, first, second).await;
        assert!(comes_before(&story, "end update user", "start delete gone"));
        assert!(comes_before(&story, "end delete gone", "start delete base"));
    });
}

#[test]
fn an_edge_can_be_turned_round() {
    paused(async {
        let world = World::new();
        let file = |user: &'static str, used: &'static str| {
            let used_arn = arn_of(&format!("fake/thing.{used}"));
            vec![thing(user, |i| i.uses = vec![used_arn]), thing(used, |_| {})]
        };
        edit(&world, file("a", "b"), file("b", "a")).await;
        let run = world.down().await;
        assert!(comes_before(&story(&run.events), "end delete b", "start delete a"));
        assert_empty(&world);
    });
}

#[test]
fn a_stack_whose_edge_was_turned_round_by_a_run_that_failed_can_be_taken_down() {
    paused(async {
        let world = World::new();
        let after = |name: &str, other: &str| Node { after: vec![address(other)], ..thing(name, |_| {}) };
        let first = vec![thing("a", |i| i.within = Some(arn_of("fake/thing.b"))), thing("b", |_| {})];
        assert!(world.up(&graph(first)).await.outcome.is_complete());
        world.cloud.fault("delete a", 1, Fault::Refuse(ErrorKind::Permission));
        world.up(&graph(vec![thing("a", |_| {}), after("b", "fake/thing.a")])).await;
        let run = world.down().await;
        assert!(comes_before(&story(&run.events), "end delete a", "start delete b"));
        assert_empty(&world);
    });
}

#[test]
fn what_a_killed_change_had_begun_to_need_is_taken_down_after_it() {
    paused(async {
        let world = World::new();
        assert!(world.up(&graph([thing("z", |_| {})])).await.outcome.is_complete());
        world.cloud.fault("update z", 1, Fault::ParkAnswer);
        let uses = thing("z", |i| i.uses = vec![arn_of("fake/thing.a")]);
        world.up_killed_at_park(&graph([thing("a", |_| {}), uses])).await;
        let run = world.down().await;
        assert!(comes_before(&story(&run.events), "end delete z", "start delete a"));
        assert_empty(&world);
    });
}

#[test]
fn a_state_whose_needs_go_round_in_a_circle_is_taken_down_in_some_runs() {
    paused(async {
        let world = World::new();
        let within = |name: &'static str, other: &str| thing(name, |i| i.within = Some(arn_of(other)));
        let file = vec![thing("a", |_| {}), within("b", "fake/thing.a"), within("c", "fake/thing.b")];
        assert!(world.up(&graph(file)).await.outcome.is_complete());
        let path = world.folder.path().join("state.json");
        let mut state = world.state();
        state.resources.get_mut(&address("fake/thing.a")).unwrap().needs = vec![address("fake/thing.c")];
        std::fs::write(&path, snapshot_of(&state)).unwrap();
        let mut runs = 1;
        while !world.down().await.outcome.is_complete() {
            runs += 1;
            assert!(runs <= 3, "each run gets further");
        }
        assert_empty(&world);
    });
}

#[test]
fn a_replacement_that_was_interrupted_between_its_halves_is_finished() {
    paused(async {
        let world = World::new();
        let named = |name: &'static str| thing("a", |i| i.name = name.to_owned());
        assert!(world.up(&graph(vec![named("old")])).await.outcome.is_complete());
        world.cloud.fault("create a", 2, Fault::Refuse(ErrorKind::Quota));
        let run = world.up(&graph(vec![named("new")])).await;
        assert_eq!((run.outcome.done, run.outcome.failed.len()), (1, 1));
        assert!(world.cloud.objects().is_empty());
        let graph = graph(vec![named("new")]);
        let run = world.up(&graph).await;
        assert_eq!(story(&run.events), ["start create a", "end create a"]);
        assert_converged(&world, &graph).await;
    });
}

#[test]
fn a_delete_that_fails_keeps_what_it_needs_and_is_tried_again() {
    paused(async {
        let world = World::new();
        let inner = thing("b", |i| i.within = Some(arn_of("fake/thing.a")));
        assert!(world.up(&graph(vec![thing("a", |_| {}), inner])).await.outcome.is_complete());
        world.cloud.fault("delete b", 1, Fault::Refuse(ErrorKind::Permission));
        let run = world.down().await;
        assert_eq!(story(&run.events), ["start delete b", "fail delete b", "block delete a"]);
        assert_eq!(world.state().resources.len(), 2);
        assert!(world.down().await.outcome.is_complete());
        assert_empty(&world);
    });
}

#[test]
fn what_is_gone_already_is_forgotten_without_a_call() {
    paused(async {
        let world = World::new();
        assert!(world.up(&graph(vec![thing("a", |_| {})])).await.outcome.is_complete());
        let (id, _) = world.cloud.object("fake/thing.a").unwrap();
        world.cloud.remove(&id);
        let run = world.down().await;
        assert_eq!(run.plan.steps[0].action, Action::Forget);
        assert_eq!(world.cloud.calls("delete"), 0);
        assert_empty(&world);
    });
}

#[test]
fn a_protected_kind_or_address_is_neither_removed_nor_replaced_nor_taken_down() {
    paused(async {
        for protected in ["fake/thing", "fake/thing.a"] {
            let world = World::new();
            let protect = |graph: Graph| graph.protecting([protected.to_owned()].into());
            let first = protect(graph(vec![thing("a", |_| {}), item("b", |_| {})]));
            assert!(world.up(&first).await.outcome.is_complete());

            let refused = world.plan(&protect(graph(vec![thing("a", |i| i.name = "other".to_owned())]))).await;
            let texts: Vec<String> = refused.unwrap_err().iter().map(ToString::to_string).collect();
            let replace = "`fake/thing.a` is protected, and this would replace it, \
                           because `name` cannot be changed in place";
            assert_eq!(texts, [replace]);

            let refused = world.plan(&protect(graph(vec![item("b", |_| {})]))).await;
            let texts: Vec<String> = refused.unwrap_err().iter().map(ToString::to_string).collect();
            let destroy = "`fake/thing.a` is protected, and this would destroy it, \
                           because the stack file has it no more";
            assert_eq!(texts, [destroy]);

            // Changes in place, and what is not protected, go on.
            let allowed = protect(graph(vec![thing("a", |i| i.size = 2)]));
            assert!(world.up(&allowed).await.outcome.is_complete());
            assert_converged(&world, &allowed).await;
        }
    });
}

#[test]
fn what_is_protected_from_one_thing_may_be_done_the_other() {
    paused(async {
        for (only, name) in [(Would::Destroy, "fake/thing"), (Would::Replace, "fake/thing.a")] {
            let world = World::new();
            let protect = |graph: Graph| graph.protecting([only.protecting(name)].into());
            assert!(world.up(&protect(graph(vec![thing("a", |_| {})]))).await.outcome.is_complete());
            let replaced = world.plan(&protect(graph(vec![thing("a", |i| i.name = "other".to_owned())]))).await;
            let removed = world.plan(&protect(graph(vec![]))).await;
            let refused = |plan: &Result<_, Vec<PlanError>>| {
                plan.as_ref()
                    .err()
                    .is_some_and(|wrong| matches!(&wrong[..], [PlanError::Protected { would, .. }] if *would == only))
            };
            assert_eq!((refused(&replaced), refused(&removed)), (only == Would::Replace, only == Would::Destroy));
            assert_eq!((replaced.is_ok(), removed.is_ok()), (only == Would::Destroy, only == Would::Replace));
        }
    });
}

#[test]
fn what_state_protects_is_not_taken_down_unless_it_is_gone() {
    paused(async {
        let world = World::new();
        assert!(world.up(&graph(vec![thing("a", |_| {})])).await.outcome.is_complete());
        let place = pinfra_engine::state::Place {
            target: "local".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        };
        let mut store = world.store();
        let protected = ["fake/thing".to_owned()].into();
        store.append(vec![pinfra_engine::state::Entry::Stack { place, protected }]).unwrap();
        store.close().unwrap();
        let wrong = world.plan_destroy().await.unwrap_err();
        assert!(matches!(&wrong[..], [PlanError::Protected { would: Would::Destroy, .. }]), "{wrong:?}");
        let (id, _) = world.cloud.object("fake/thing.a").unwrap();
        world.cloud.remove(&id);
        assert!(world.down().await.outcome.is_complete());
    });
}
