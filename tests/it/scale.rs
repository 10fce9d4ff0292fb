//! A stack of two hundred streams: what it asks the cloud for grows as it must and no faster.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::support::Sandbox;

const STREAMS: usize = 200;

fn stack(streams: &str) -> String {
    let mut text = "name: many\ntables:\n".to_owned();
    for number in 0..STREAMS {
        writeln!(text, "  t{number:03}: {{ key: ind }}").unwrap();
    }
    writeln!(text, "streams: {{ {streams} }}").unwrap();
    text
}

/// Requests between two counts, by operation.
fn between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = |(name, count): (&String, &u64)| (name.clone(), count - before.get(name).unwrap_or(&0));
    after.iter().map(more).filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn two_hundred_streams_are_made_read_edited_and_destroyed() {
    let sandbox = Sandbox::new();
    // Started by name, it stays after the last stack and can be asked what is left.
    sandbox.ok(&["local", "start", "--settle-ms", "50"]);
    sandbox.write("many.yaml", &stack("shards: 1"));
    let up = sandbox.ok(&["up", "many.yaml"]);
    assert!(up.stderr.contains("200 steps done"), "{}", up.stderr);

    let before = sandbox.requests();
    let plan = sandbox.ok(&["plan", "many.yaml", "-v", "--detailed-exitcode"]);
    assert_eq!(plan.stdout, "no changes: 200 resources are as the stack file says\n");
    assert_eq!(
        plan.stderr,
        "203 requests: Kinesis.DescribeStreamSummary 200, Resource Groups Tagging API.GetResources 2, \
         STS.GetCallerIdentity 1\n"
    );
    // The cloud's own count agrees.
    let asked = [("kinesis.DescribeStreamSummary", 200), ("sts.GetCallerIdentity", 1), ("tagging.GetResources", 2)];
    let asked: BTreeMap<String, u64> = asked.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(between(&before, &sandbox.requests()), asked);

    sandbox.write("many.yaml", &stack("shards: 1, retention_hours: 48"));
    let before = sandbox.requests();
    let edit = sandbox.ok(&["up", "many.yaml"]);
    assert!(edit.stderr.contains("200 steps done"), "{}", edit.stderr);
    let made = between(&before, &sandbox.requests());
    assert_eq!(made.get("kinesis.IncreaseStreamRetentionPeriod"), Some(&200), "{made:?}");
    assert_eq!(made.get("kinesis.CreateStream"), None);
    sandbox.ok(&["plan", "many.yaml", "--detailed-exitcode"]);

    let down = sandbox.ok(&["down"]);
    assert!(down.stderr.contains("200 steps done"), "{}", down.stderr);
    assert_eq!(sandbox.streams().await, [""; 0]);
}
