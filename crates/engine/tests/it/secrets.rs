//! A value that came from the environment is nowhere to be read.

use std::fs;

use pinfra_engine::testing::Fault;
use pinfra_engine::{ErrorKind, Graph};

use crate::world::{Run, World, assert_converged, graph, paused, thing};

fn with_password(password: &str) -> Graph {
    graph([thing("a", |i| i.password = Some(password.to_owned()))])
}

/// Everything that a run writes or tells, as text.
fn all_text(world: &World, run: &Run) -> String {
    let mut text = serde_json::to_string(&run.plan).unwrap();
    text.push_str(&format!("{:?} {:?} {:?}", run.events, run.outcome, run.plan.seen));
    for file in fs::read_dir(world.folder.path()).unwrap() {
        text.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
    }
    text
}

#[test]
fn a_secret_is_in_no_plan_journal_snapshot_or_event() {
    paused(async {
        let world = World::new();
        for password in ["hunter2-first", "hunter2-second", "refused-hunter2"] {
            let plan = world.plan(&with_password(password)).await.unwrap();
            assert!(!plan.is_empty());
            // Once as a kill leaves the files, with the journal in full.
            let run = world.run(plan, false).await;
            assert_eq!(run.outcome.is_complete(), !password.starts_with("refused"));
            let text = all_text(&world, &run);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("$secret"));
        }
        let run = world.up(&with_password("hunter2-third")).await;
        assert!(!all_text(&world, &run).contains("hunter2"));
        assert_converged(&world, &with_password("hunter2-third")).await;
    });
}

#[test]
fn a_secret_in_a_panic_is_blotted_out() {
    paused(async {
        let world = World::new();
        world.cloud.fault("create hunter2", 1, Fault::Panic);
        world.cloud.fault("create hunter2", 2, Fault::Refuse(ErrorKind::Other));
        for _ in 0..2 {
            let run = world.up(&graph([thing("hunter2", |i| i.password = Some("hunter2".to_owned()))])).await;
            let failed = &run.outcome.failed[0].1.message;
            assert!(failed.contains("(secret)") && !failed.contains("hunter2"), "{failed}");
        }
    });
}
