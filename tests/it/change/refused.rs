//! What is refused before anything is done, and says why.

use serde_json::{Value, json};

use super::stack::Stack;
use crate::support::Said;

fn refused(stack: &Stack, command: &[&str]) -> Said {
    let before = stack.recorded();
    let said = stack.sandbox.run(command);
    assert_eq!(said.code, 1, "{command:?}\n{}\n{}", said.stdout, said.stderr);
    assert_eq!(stack.recorded(), before, "{command:?} was refused and did something");
    said
}

#[test]
fn brokers_that_do_not_go_into_the_zones_are_refused_and_fewer_are_another_cluster() {
    let mut stack = Stack::new(json!({
        "name": "zones", "tables": { "t": { "key": "id" } }, "cluster": { "brokers": 3, "partitions": 1 },
    }));
    stack.up(&[]);
    stack.edit("/cluster/brokers", json!(4));
    stack.sandbox.ok(&["validate", "stack.yaml"]);
    for command in [["plan", "stack.yaml"], ["up", "stack.yaml"]] {
        let said = refused(&stack, &command);
        assert!(said.stderr.contains("it is in 3 zones, each with as many brokers: not 4, but such as 6"), "{said:?}");
        assert!(said.stderr.contains("declared at stack.yaml:"), "{said:?}");
    }
    stack.edit("/cluster/brokers", json!(6));
    assert!(Stack::steps(&stack.plan(&[])).contains(&"update msk/cluster.cluster".to_owned()));
    stack.up(&[]);

    // Brokers with partitions on them do not go; what is lost is said.
    stack.edit("/cluster/brokers", json!(3));
    let plan = stack.sandbox.ok(&["plan", "stack.yaml"]).stdout;
    assert!(plan.contains("msk/cluster.cluster  replace, with every topic with its events"), "{plan}");
    assert!(plan.contains("a cluster with topics cannot go from 6 to 3 brokers"), "{plan}");
    stack.edit("/protect", json!({ "replace": ["msk/cluster"] }));
    let said = refused(&stack, &["up", "stack.yaml"]);
    assert!(said.stderr.contains("`msk/cluster.cluster` is protected, and this would replace it"), "{said:?}");
    assert!(said.stderr.contains("protect.replace"), "{said:?}");
    stack.edit("/cluster/brokers", json!(6));
    stack.sandbox.ok(&["down", "zones"]);
}

#[test]
fn protection_is_from_destroying_from_replacing_or_from_both() {
    let mut stack = Stack::new(json!({
        "name": "safe", "tables": { "t": { "key": "id" } }, "streams": {}, "lake": {},
        "protect": { "destroy": ["s3/bucket", "kinesis/stream.t"], "replace": ["s3/bucket"] },
    }));
    stack.up(&[]);
    assert_eq!(Stack::steps(&stack.plan(&[])), Vec::<String>::new());
    let said = refused(&stack, &["down", "safe"]);
    for address in ["s3/bucket.lake", "kinesis/stream.t"] {
        assert!(said.stderr.contains(&format!("`{address}` is protected, and this would destroy it")), "{said:?}");
    }
    stack.edit("/streams", Value::Null);
    stack.edit("/tables", Value::Null);
    stack.edit("/protect", json!(["s3/bucket"]));
    let said = refused(&stack, &["up", "stack.yaml"]);
    assert!(said.stderr.contains("the stack file has it no more"), "what was recorded still counts: {said:?}");

    stack.edit("/tables", json!({ "t": { "key": "id" } }));
    stack.edit("/streams", json!({}));
    stack.up(&[]);
    stack.edit("/streams", Value::Null);
    stack.edit("/tables", Value::Null);
    stack.up(&[]);
    // The plain list is for both, as it always was.
    let said = refused(&stack, &["down", "safe"]);
    assert!(said.stderr.contains("`s3/bucket.lake` is protected") && !said.stderr.contains("kinesis"), "{said:?}");
    stack.edit("/protect", json!({ "replace": ["s3/bucket"] }));
    stack.up(&[]);
    stack.sandbox.ok(&["down", "safe"]);

    for (wrong, says) in [
        (json!({ "destroy": ["s3/bukket"] }), "did you mean `s3/bucket`?"),
        (json!({ "destory": ["s3/bucket"] }), "did you mean `destroy`?"),
        (json!({ "destroy": "s3/bucket" }), "`protect.destroy`"),
    ] {
        stack.edit("/protect", wrong);
        let said = stack.sandbox.run(&["validate", "stack.yaml"]);
        assert!(said.code == 1 && said.stderr.contains(says), "{said:?}");
    }
}
