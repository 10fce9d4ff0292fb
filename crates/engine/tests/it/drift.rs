//! Drift over the fake cloud: after a run nothing differs, and each change of the cloud is told.

use std::collections::BTreeSet;

use pinfra_engine::drift::drift;
use pinfra_engine::testing::Inputs;
use pinfra_engine::{Action, Drift, Finding, Graph, What, observe, plan_destroy};
use serde_json::json;

use crate::world::{World, address, graph, item, paused, thing};

async fn look(world: &World, graph: Option<&Graph>) -> Drift {
    let (state, catalog) = (world.state(), world.cloud.catalog());
    let nothing = Graph::default();
    let observed = observe(graph.unwrap_or(&nothing), &state, &catalog).await.unwrap();
    drift(graph, &state, &observed, &catalog)
}

fn short(findings: &[Finding]) -> Vec<String> {
    let short = |finding: &Finding| {
        let field = finding.field.as_ref().map(|field| format!("#{field}")).unwrap_or_default();
        format!("{} {}{field}", finding.what.name(), finding.address.name())
    };
    findings.iter().map(short).collect()
}

/// The same, with the object of that name changed by somebody.
fn change(world: &World, name: &str, edit: impl FnOnce(&mut Inputs)) {
    let (id, mut object) = world.cloud.object(&format!("fake/thing.{name}")).unwrap();
    edit(&mut object.inputs);
    world.cloud.put(&id, object);
}

#[test]
fn what_was_made_and_left_alone_does_not_differ() {
    paused(async {
        let (world, graph) = (World::new(), graph([thing("a", |a| a.size = 1), thing("b", |b| b.size = 2)]));
        assert_eq!(short(&look(&world, Some(&graph)).await.findings), ["missing a", "missing b"]);
        world.up(&graph).await;
        for with in [Some(&graph), None] {
            let found = look(&world, with).await;
            assert_eq!((found.compared, found.findings), (2, vec![]));
        }
    });
}

#[test]
fn a_change_is_told_where_it_is_with_and_without_a_stack_file() {
    paused(async {
        let (world, graph) = (World::new(), graph([thing("a", |a| a.size = 1), thing("b", |b| b.size = 2)]));
        world.up(&graph).await;
        change(&world, "a", |a| a.size = 7);
        change(&world, "b", |b| {
            b.tags.insert("owner.of".to_owned(), "me".to_owned());
        });
        for with in [Some(&graph), None] {
            let found = look(&world, with).await.findings;
            assert_eq!(short(&found), ["changed a#size", "changed b#tags.owner.of"]);
            assert_eq!((&found[0].wanted, &found[0].live), (&Some(json!(1)), &Some(json!(7))));
            assert_eq!((&found[1].wanted, &found[1].live), (&None, &Some(json!("me"))));
        }
        let (id, _) = world.cloud.object("fake/thing.a").unwrap();
        world.cloud.remove(&id);
        let found = look(&world, Some(&graph)).await.findings;
        assert_eq!(short(&found), ["missing a", "changed b#tags.owner.of"]);
        assert!(found[0].detail.contains("is gone"), "{}", found[0].detail);
    });
}

#[test]
fn a_stack_file_that_asks_for_less_leaves_something_unmanaged() {
    paused(async {
        let world = World::new();
        world.up(&graph([thing("a", |a| a.size = 1), thing("b", |b| b.size = 2)])).await;
        let less = graph([thing("a", |a| a.size = 3)]);
        let found = look(&world, Some(&less)).await.findings;
        assert_eq!(short(&found), ["changed a#size", "unmanaged b"]);
        assert_eq!(found[1].what, What::Unmanaged);
    });
}

#[test]
fn a_secret_is_compared_and_never_told() {
    paused(async {
        let world = World::new();
        let mut node = thing("a", |a| a.password = Some("hunter2".to_owned()));
        node.secrets = BTreeSet::from(["password".to_owned()]);
        let graph = graph([node]);
        world.up(&graph).await;
        assert_eq!(look(&world, None).await.findings, vec![], "by its hash");
        change(&world, "a", |a| a.password = Some("hunter3".to_owned()));
        for with in [Some(&graph), None] {
            let found = look(&world, with).await.findings;
            assert_eq!(short(&found), ["changed a#password"]);
            assert!(found[0].secret && found[0].wanted.is_none() && found[0].live.is_none());
            assert!(!serde_json::to_string(&found).unwrap().contains("hunter"));
        }
        change(&world, "a", |a| a.password = None);
        assert_eq!(short(&look(&world, None).await.findings), ["changed a#password"], "gone is changed");
    });
}

#[test]
fn an_object_that_was_made_again_is_not_the_one_that_was_recorded() {
    paused(async {
        let (world, graph) = (World::new(), graph([item("a", |a| a.size = 1)]));
        world.up(&graph).await;
        let mut state = world.state();
        state.resources.get_mut(&address("fake/item.a")).unwrap().outputs["arn"] = json!("arn:of-before");
        let catalog = world.cloud.catalog();
        let observed = observe(&graph, &state, &catalog).await.unwrap();
        let found = drift(Some(&graph), &state, &observed, &catalog).findings;
        assert_eq!(short(&found), ["unhealthy a"]);
        assert!(found[0].detail.contains("`arn`"), "{}", found[0].detail);
    });
}

#[test]
fn what_was_made_again_without_the_tags_that_say_whose_it_is_is_somebody_elses() {
    paused(async {
        let (world, graph) = (World::new(), graph([thing("a", |a| a.size = 1)]));
        world.up(&graph).await;
        let mut state = world.state();
        state.resources.get_mut(&address("fake/thing.a")).unwrap().outputs["arn"] = json!("arn:of-before");
        let catalog = world.cloud.catalog();
        let observed = observe(&Graph::default(), &state, &catalog).await.unwrap();
        let found = drift(None, &state, &observed, &catalog).findings;
        assert_eq!(short(&found), ["missing a"]);
        assert!(found[0].detail.contains("made again by somebody else"), "{}", found[0].detail);
        let plan = plan_destroy(&state, &observed, &catalog).unwrap();
        assert_eq!(plan.steps[0].action, Action::Forget);
    });
}
