//! Plans that were saved: done as they were seen, or refused with what has moved.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::stack::Stack;
use crate::support::mutates;

const SECRET: &str = "hunter2-of-the-environment";

fn stack() -> Stack {
    Stack::new(json!({
        "name": "saved", "tags": { "team": "${env:TEAM}" }, "tables": { "a": { "key": "id" }, "b": { "key": "id" } },
        "streams": { "retention_hours": 24 }, "lake": {},
    }))
}

struct Saving(Stack);

impl Saving {
    fn run(&self, team: &str, arguments: &[&str]) -> crate::support::Said {
        crate::support::said(&self.0.sandbox.command(arguments).env("TEAM", team).output().unwrap())
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(SECRET, arguments);
        assert_eq!(said.code, 0, "{arguments:?}\n{}\n{}", said.stdout, said.stderr);
        said.stdout + &said.stderr
    }

    fn save(&self) {
        self.ok(&["plan", "stack.yaml", "--out", "saved.plan"]);
    }

    /// Refused, with these words, and nothing done.
    fn refused(&self, words: &[&str]) {
        self.refused_with(SECRET, words);
    }

    fn refused_with(&self, team: &str, words: &[&str]) {
        let before = self.0.sandbox.requests();
        let said = self.run(team, &["up", "stack.yaml", "--plan", "saved.plan"]);
        assert_eq!(said.code, 1, "{}\n{}", said.stdout, said.stderr);
        for word in words {
            assert!(said.stderr.contains(word), "no `{word}` in {}", said.stderr);
        }
        for (call, times) in self.0.sandbox.requests() {
            assert!(
                !mutates(&call) || before.get(&call) == Some(&times),
                "{call} was called by a plan that was refused"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_done_or_refused() {
    let mut saving = Saving(stack());
    let plan = saving.0.sandbox.folder.path().join("saved.plan");
    // It stays between the runs, and counts what it is asked.
    saving.ok(&["local", "start"]);
    saving.save();
    let text = std::fs::read_to_string(&plan).unwrap();
    assert!(!text.contains(SECRET) && text.contains("kinesis/stream.a"), "{text}");
    assert_eq!(std::fs::metadata(&plan).unwrap().permissions().mode() & 0o777, 0o600);

    // Another file, or another secret in it, is another plan.
    saving.0.edit("/streams/retention_hours", json!(48));
    saving.refused(&["the stack file asks for something else: `kinesis/stream.a`", "plan again"]);
    saving.0.edit("/streams/retention_hours", json!(24));
    saving.refused_with("another", &["the stack file asks for something else: `kinesis/stream.a`"]);
    saving.0.edit("/protect", json!(["s3/bucket"]));
    saving.refused(&["the stack file protects something else"]);
    saving.0.edit("/protect", serde_json::Value::Null);

    // As it was saved, of a stack of which nothing was recorded.
    saving.ok(&["up", "stack.yaml", "--plan", "saved.plan"]);
    assert_eq!(saving.0.recorded().len(), 3);
    saving.refused(&["a run has recorded steps since", "the cloud holds something else: `kinesis/stream.a`"]);

    // A comment moves lines and asks for nothing else.
    saving.0.edit("/streams/retention_hours", json!(48));
    saving.save();
    let file = std::fs::read_to_string(saving.0.sandbox.folder.path().join("stack.yaml")).unwrap();
    saving.0.sandbox.write("stack.yaml", &format!("# two days\n\n{file}"));
    let clients = saving.0.sandbox.clients().await;
    let settled = async |hours: i32| {
        let name = "saved-b";
        loop {
            let now = clients.kinesis.describe_stream_summary().stream_name(name).send().await.unwrap();
            let now = now.stream_description_summary.unwrap();
            if now.retention_period_hours() == hours && now.stream_status().as_str() == "ACTIVE" {
                break;
            }
        }
    };
    let kinesis = &clients.kinesis;
    kinesis.increase_stream_retention_period().stream_name("saved-b").retention_period_hours(72).send().await.unwrap();
    settled(72).await;
    saving.refused(&["the cloud holds something else: `kinesis/stream.b`"]);
    kinesis.decrease_stream_retention_period().stream_name("saved-b").retention_period_hours(24).send().await.unwrap();
    settled(24).await;
    saving.ok(&["up", "stack.yaml", "--plan", "saved.plan"]);
    let next = saving.run(SECRET, &["plan", "stack.yaml", "--detailed-exitcode"]);
    assert_eq!(next.code, 0, "{}", next.stdout);

    // What is no plan says so.
    saving.0.sandbox.write("saved.plan", "{}");
    saving.refused(&["`saved.plan` is not a saved plan"]);
    saving.0.sandbox.write("saved.plan", &text.replace(env!("CARGO_PKG_VERSION"), "0.0.1-other"));
    saving.refused(&["was made by pinfra 0.0.1-other"]);
    saving.0.sandbox.write("saved.plan", &text.replace("000000000000", "999999999999"));
    saving.refused(&["account 999999999999"]);
    saving.ok(&["down", "saved"]);
}
