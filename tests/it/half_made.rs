//! What AWS began to make and gave up: kept as half-made with its reason, and the next plan says what becomes of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::InstanceStateName;
use pinfra_aws::Clients;

use crate::support::{Sandbox, said};

const FILE: &str = "name: pins
tables: { pin: { key: index } }
cluster: { brokers: 2, partitions: 1 }
connector: { flush_size: 7 }
lake: {}
";
/// What comes up by and by, and fails.
const FAILING: [(&str, &str); 3] = [
    ("kafka:CreateClusterV2", "msk/cluster."),
    ("kafkaconnect:CreateCustomPlugin", "msk_connect/plugin."),
    ("kafkaconnect:CreateConnector", "msk_connect/connector."),
];
const REASON: &str = "there is no room left for it";

/// How many clusters, plugins and connectors there are.
async fn there(clients: &Clients) -> [usize; 3] {
    let connect = &clients.kafkaconnect;
    [
        clients.kafka.list_clusters_v2().send().await.unwrap().cluster_info_list().len(),
        connect.list_custom_plugins().send().await.unwrap().custom_plugins().len(),
        connect.list_connectors().send().await.unwrap().connectors().len(),
    ]
}

/// `up` that meets a failing create, which it tells.
fn half_made(sandbox: &Sandbox, create: &str, address: &str) {
    sandbox.write("rules", &format!("on {create} nth=1 do fail \"{REASON}\"\n"));
    sandbox.ok(&["local", "faults", "set", "rules"]);
    let up = sandbox.run(&["up", "stack.yaml"]);
    assert_eq!(up.code, 1, "{create}: {}", up.stderr);
    let told = up.stderr.lines().any(|line| line.contains("error") && line.contains(address));
    assert!(told && up.stderr.contains(REASON), "{create}: {}", up.stderr);
    assert!(up.stderr.contains("1 failed"), "{create}: {}", up.stderr);
}

#[tokio::test]
async fn a_cluster_a_plugin_and_a_connector_that_fail_are_replaced_by_the_next_up_and_destroyed_by_down() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", FILE);
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    let clients = sandbox.clients().await;
    for (create, address) in FAILING {
        half_made(&sandbox, create, address);
        sandbox.ok(&["down", "pins"]);
        assert_eq!(there(&clients).await, [0; 3], "{create}");
        assert!(clients.s3.list_buckets().send().await.unwrap().buckets().is_empty(), "{create}");

        half_made(&sandbox, create, address);
        let drift = sandbox.run(&["drift", "stack.yaml"]);
        assert_eq!(drift.code, 2, "{create}: {}", drift.stderr);
        assert!(drift.stdout.contains(REASON), "{create}: {}", drift.stdout);
        let plan = sandbox.ok(&["plan", "stack.yaml"]).stdout;
        let replaced = plan.lines().find(|line| line.contains(address)).unwrap_or_default();
        assert!(replaced.contains("replace") && replaced.contains(REASON), "{create}: {plan}");
        sandbox.ok(&["up", "stack.yaml"]);
        sandbox.ok(&["plan", "stack.yaml", "--detailed-exitcode"]);
        assert_eq!(there(&clients).await, [1; 3], "{create}");
        sandbox.ok(&["down", "pins"]);
        assert_eq!(there(&clients).await, [0; 3], "{create}");
    }
}

/// The machines that there are, with their states.
async fn machines(clients: &Clients) -> Vec<(String, InstanceStateName)> {
    let answer = clients.ec2.describe_instances().send().await.unwrap();
    let machines = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    let state = |machine: &aws_sdk_ec2::types::Instance| machine.state().unwrap().name().unwrap().clone();
    machines.map(|machine| (machine.instance_id().unwrap().to_owned(), state(machine))).collect()
}

#[tokio::test]
async fn a_machine_that_is_terminated_while_it_comes_up_is_made_again() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", "name: pins\nlake: {}\nclient: { instance: t3.small }\n");
    sandbox.ok(&["local", "start", "--settle-ms", "1500"]);
    let clients = sandbox.clients().await;
    let up = sandbox.command(&["up", "stack.yaml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let id = loop {
        if let [(id, InstanceStateName::Pending)] = &machines(&clients).await[..] {
            break id.clone();
        }
        assert!(Instant::now() < until, "it was not made");
    };
    clients.ec2.terminate_instances().instance_ids(&id).send().await.unwrap();
    let up = said(&up.wait_with_output().unwrap());
    assert_eq!(up.code, 1, "{}", up.stderr);
    assert!(up.stderr.contains("ec2/instance.client") && up.stderr.contains("1 failed"), "{}", up.stderr);
    let plan = sandbox.ok(&["plan", "stack.yaml"]).stdout;
    assert!(plan.contains(&format!("recorded as `{id}`, which was half-made and is gone")), "{plan}");
    sandbox.ok(&["up", "stack.yaml"]);
    sandbox.ok(&["plan", "stack.yaml", "--detailed-exitcode"]);
    let running = machines(&clients).await.into_iter().filter(|(_, state)| *state == InstanceStateName::Running);
    assert_eq!(running.count(), 1);
    sandbox.ok(&["down", "pins"]);
    let left = machines(&clients).await.into_iter().filter(|(_, state)| *state != InstanceStateName::Terminated);
    assert_eq!(left.count(), 0);
}
