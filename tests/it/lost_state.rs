//! A stack whose state is gone, or never knew: what carries its tags or its names is found.

use crate::support::{STREAMS, Sandbox};

/// The bucket of [`STREAMS`].
const BUCKET: &str = "pins-000000000000-us-east-1";

/// The stack that [`STREAMS`] is the file of, made, and its state lost.
fn made_and_lost() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    // Started by name, it outlives the stack and can be asked what is left.
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "streams.yaml"]);
    lose_state(&sandbox);
    sandbox
}

fn lose_state(sandbox: &Sandbox) {
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/pins")).unwrap();
}

#[tokio::test]
async fn what_the_file_has_no_more_goes_also_without_state() {
    let sandbox = made_and_lost();
    sandbox.write("streams.yaml", &STREAMS.replace("  user: { key: ind }\n", ""));
    let plan = sandbox.run(&["plan", "streams.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    assert!(plan.stdout.contains("kinesis/stream.user"), "{}", plan.stdout);
    sandbox.ok(&["up", "streams.yaml"]);
    assert_eq!(sandbox.streams().await, ["pins-geo", "pins-pin"]);
    sandbox.ok(&["plan", "streams.yaml", "--detailed-exitcode"]);
}

#[tokio::test]
async fn a_neighbour_of_a_like_name_is_left_alone() {
    let sandbox = made_and_lost();
    sandbox.write("other.yaml", "name: pins-two\ntables: { pin: { key: index } }\nstreams: { shards: 1 }\n");
    sandbox.ok(&["up", "other.yaml"]);
    sandbox.write("streams.yaml", "name: pins\ntables: { pin: { key: index } }\nstreams: { shards: 1 }\nlake: {}\n");
    sandbox.ok(&["up", "streams.yaml"]);
    assert_eq!(sandbox.streams().await, ["pins-pin", "pins-two-pin"]);
    lose_state(&sandbox);
    sandbox.ok(&["down", "streams.yaml"]);
    assert_eq!(sandbox.streams().await, ["pins-two-pin"]);
}

#[tokio::test]
async fn a_bucket_that_was_just_being_made_goes_with_down() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    let clients = sandbox.clients().await;
    clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let down = sandbox.ok(&["down", "streams.yaml"]);
    assert!(down.stderr.contains("1 step done"), "{}", down.stderr);
    assert!(clients.s3.list_buckets().send().await.unwrap().buckets().is_empty());
    // Somebody's who has put something into it.
    clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    clients.s3.put_object().bucket(BUCKET).key("theirs").body(Vec::new().into()).send().await.unwrap();
    sandbox.ok(&["down", "streams.yaml"]);
    assert_eq!(clients.s3.list_buckets().send().await.unwrap().buckets().len(), 1);
}

#[tokio::test]
async fn a_down_without_state_that_is_killed_has_recorded_where_the_stack_is() {
    let sandbox = made_and_lost();
    sandbox.write("rules", "on kinesis:DeleteStream nth=2 do kill before\n");
    sandbox.ok(&["local", "faults", "set", "rules"]);
    assert_eq!(sandbox.run(&["down", "streams.yaml"]).code, -1, "it was not killed");
    sandbox.ok(&["local", "faults", "clear"]);
    sandbox.ok(&["down", "pins"]);
    assert_eq!(sandbox.streams().await, [""; 0]);
}

#[tokio::test]
async fn what_is_there_twice_is_taken_away_with_the_stack_and_without_state_before() {
    let sandbox = Sandbox::new();
    sandbox.write("api.yaml", "name: pins\ntables: { pin: { key: index } }\nstreams: { shards: 1 }\napi: {}\n");
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "api.yaml"]);
    let clients = sandbox.clients().await;
    let apis = || async { clients.apigateway.get_rest_apis().send().await.unwrap().items.unwrap_or_default() };
    let ours = apis().await.remove(0);
    let twin = || async {
        let request = clients.apigateway.create_rest_api().name("pins").set_tags(ours.tags.clone());
        request.send().await.unwrap();
    };
    twin().await;
    lose_state(&sandbox);
    sandbox.ok(&["up", "api.yaml"]);
    assert_eq!(apis().await.len(), 1);
    twin().await;
    sandbox.ok(&["down", "pins"]);
    assert_eq!(apis().await.len(), 0);
}

#[tokio::test]
async fn what_could_not_be_listed_is_told_and_not_left_in_silence() {
    let sandbox = made_and_lost();
    sandbox.write(
        "rules",
        "on iam:ListRoles do refuse AccessDenied status=403\non kafka:ListConfigurations do refuse AccessDeniedException status=403\n",
    );
    sandbox.ok(&["local", "faults", "set", "rules"]);
    let down = sandbox.ok(&["down", "streams.yaml"]);
    for operation in ["iam:ListRoles", "kafka:ListConfigurations"] {
        let told = down.stderr.lines().filter(|line| line.contains("cannot be looked for") && line.contains(operation));
        assert_eq!(told.count(), 1, "{operation}: {}", down.stderr);
    }
    assert_eq!(sandbox.streams().await, [""; 0]);
}
