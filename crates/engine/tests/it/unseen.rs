//! What a plan takes for gone though the cloud may only not show it yet, so that whoever carries it out looks again.

use pinfra_engine::state::{Record, Status};
use pinfra_engine::testing::FakeCloud;
use pinfra_engine::{Graph, Node, Observation, Observed, State, plan, plan_destroy};
use serde_json::Value;

use crate::world::{graph, item, thing};

/// A stack of one resource that a run left so, and that is not to be seen.
fn left(node: &Node, status: Status) -> (State, Observed) {
    let record = Record {
        status,
        id: None,
        inputs: node.inputs.clone(),
        outputs: Value::Null,
        needs: Vec::new(),
        made_by: Some(1),
    };
    let mut state = State::new("s", "l");
    state.resources.insert(node.address.clone(), record);
    (state, Observed::from([(node.address.clone(), Observation::Absent)]))
}

/// Whether to look again before this is made of it.
fn looks_again(wanted: &Graph, node: &Node, status: Status) -> bool {
    let (state, observed) = left(node, status);
    let plan = plan(wanted, &state, &observed, &FakeCloud::new().catalog()).unwrap();
    assert!(plan.unseen.iter().all(|address| *address == node.address));
    !plan.unseen.is_empty()
}

#[test]
fn whatever_was_being_made_is_looked_for_before_its_record_is_dropped() {
    let node = thing("a", |a| a.size = 1);
    let tainted = Status::Tainted { reason: "no".to_owned() };
    for (status, again) in [(Status::Begun, true), (Status::Named, true), (tainted, true), (Status::Settled, false)] {
        assert_eq!(looks_again(&graph([]), &node, status.clone()), again, "{status:?}");
        let (state, observed) = left(&node, status.clone());
        let plan = plan_destroy(&state, &observed, &FakeCloud::new().catalog()).unwrap();
        assert_eq!(!plan.unseen.is_empty(), again, "{status:?}");
    }
}

#[test]
fn what_would_be_made_twice_is_looked_for_before_it_is_made_again() {
    let node = thing("a", |a| a.size = 1);
    let same = graph([node.clone()]);
    assert!(!looks_again(&same, &node, Status::Begun), "the cloud knows the second create for the first");
    assert!(!looks_again(&same, &node, Status::Named));
    assert!(looks_again(&same, &node, Status::Tainted { reason: "no".to_owned() }), "another one is asked for");
    assert!(looks_again(&graph([thing("a", |a| a.size = 2)]), &node, Status::Begun), "it is asked for otherwise");
    let nameless = item("a", |_| {});
    assert!(looks_again(&graph([nameless.clone()]), &nameless, Status::Begun));
    assert!(!looks_again(&graph([nameless.clone()]), &nameless, Status::Settled));
    let (mut state, observed) = left(&node, Status::Begun);
    state.resources.values_mut().for_each(|record| record.made_by = None);
    let older = plan(&same, &state, &observed, &FakeCloud::new().catalog()).unwrap();
    assert!(!older.unseen.is_empty(), "its token is not known");
}
