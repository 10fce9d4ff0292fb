//! `down` leaves nothing, whatever hangs and whatever was lost.

use std::time::{Duration, Instant};

use crate::pipeline::{NAME, Pipeline, signal, wait_for};
use crate::support::{STREAMS, Sandbox};

/// It takes less than five seconds; with many tests on two cores it may take longer.
const DOWN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn down_leaves_nothing_though_a_worker_hangs() {
    let pipeline = Pipeline::up(Some("rate: 30"));
    let sandbox = &pipeline.sandbox;
    // Another stack keeps the local cloud running.
    sandbox.write("other.yaml", &STREAMS.replace("name: pins", "name: other"));
    sandbox.ok(&["up", "other.yaml"]);
    let machine = pipeline.machine();
    // It hears no SIGTERM any more.
    assert!(signal(machine.process("cleaner"), "STOP"));
    assert!(signal(machine.process("emulator"), "STOP"));
    down(sandbox, &["down", NAME]);
    assert_eq!(machine.processes(), []);
    nothing_left(sandbox, &["other-geo", "other-pin", "other-user"]).await;
    let server = sandbox.server()["pid"].clone();
    sandbox.ok(&["down", "other"]);
    wait_for("the end of the local cloud", || (!signal(&server, "0")).then_some(()));
    assert!(!sandbox.folder.path().join(".pinfra/local/server.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn down_leaves_nothing_though_its_state_is_lost() {
    let pipeline = Pipeline::up(Some("rate: 30"));
    let sandbox = &pipeline.sandbox;
    // Started by hand, it stays after the last stack.
    sandbox.ok(&["local", "start"]);
    let machine = pipeline.machine();
    assert!(!machine.processes().is_empty());
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra").join(NAME)).unwrap();
    down(sandbox, &["down", "stack.yaml"]);
    assert_eq!(machine.processes(), []);
    nothing_left(sandbox, &[]).await;
}

fn down(sandbox: &Sandbox, arguments: &[&str]) {
    let started = Instant::now();
    let said = sandbox.ok(arguments);
    let took = started.elapsed();
    assert!(took < DOWN, "{took:?}\n{}", said.stderr);
}

/// The local cloud holds these streams, their bucket if there are any, and else what every account has.
async fn nothing_left(sandbox: &Sandbox, streams: &[&str]) {
    let clients = sandbox.clients().await;
    let mut found = sandbox.streams().await;
    found.sort();
    assert_eq!(found, streams);
    let buckets = clients.s3.list_buckets().send().await.unwrap();
    let buckets: Vec<_> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(buckets.len(), usize::from(!streams.is_empty()), "{buckets:?}");
    assert!(buckets.iter().all(|bucket| bucket.starts_with("other-")), "{buckets:?}");
    let roles = clients.iam.list_roles().send().await.unwrap();
    assert!(roles.roles().is_empty(), "{roles:?}");
    let profiles = clients.iam.list_instance_profiles().send().await.unwrap();
    assert!(profiles.instance_profiles().is_empty(), "{profiles:?}");
    let instances = clients.ec2.describe_instances().send().await.unwrap();
    let mut states = instances.reservations().iter().flat_map(|reservation| reservation.instances());
    assert!(states.all(|instance| instance.state().unwrap().name().unwrap().as_str() == "terminated"), "{instances:?}");
    let groups = clients.ec2.describe_security_groups().send().await.unwrap();
    assert!(groups.security_groups().iter().all(|group| group.group_name() == Some("default")), "{groups:?}");
    let apis = clients.apigateway.get_rest_apis().send().await.unwrap();
    assert!(apis.items().is_empty(), "{apis:?}");
    let keys = clients.apigateway.get_api_keys().send().await.unwrap();
    assert!(keys.items().is_empty(), "{keys:?}");
    let plans = clients.apigateway.get_usage_plans().send().await.unwrap();
    assert!(plans.items().is_empty(), "{plans:?}");
}
