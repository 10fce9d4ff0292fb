//! The same where the cloud does not show at once what it has made: the run after the kill looks for what nobody shows yet.

use std::time::{Duration, Instant};

use pinfra_aws::Clients;

use super::stack::NAME;
use crate::support::Sandbox;

/// Longer than the next run takes to begin.
const STALE_MS: &str = "2000";
/// Far more than it takes until all is shown.
const LIMIT: Duration = Duration::from_secs(30);
/// What EC2 and IAM make, of which they say nothing for that long.
const CREATES: [&str; 4] =
    ["ec2:CreateSecurityGroup", "ec2:RunInstances", "iam:CreateRole", "iam:CreateInstanceProfile"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", &format!("name: {NAME}\nlake: {{}}\nclient: {{ instance: t3.small }}\n"));
    sandbox.ok(&["local", "start", "--settle-ms", "20", "--stale", STALE_MS]);
    sandbox
}

/// `up` that is killed when it was answered that this was made.
fn killed_after(sandbox: &Sandbox, create: &str) {
    sandbox.write("rules", &format!("on {create} nth=1 do kill answered\n"));
    sandbox.ok(&["local", "faults", "set", "rules"]);
    assert_eq!(sandbox.run(&["up", "stack.yaml"]).code, -1, "it was not killed");
    sandbox.ok(&["local", "faults", "clear"]);
}

/// The states of all machines.
async fn machines(clients: &Clients) -> Vec<String> {
    let answer = clients.ec2.describe_instances().send().await.unwrap();
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    instances.map(|instance| instance.state().unwrap().name().unwrap().as_str().to_owned()).collect()
}

#[tokio::test]
async fn what_is_not_shown_yet_is_not_left_behind_by_down() {
    let sandbox = sandbox();
    killed_after(&sandbox, "ec2:RunInstances");
    sandbox.ok(&["down", NAME]);
    let clients = sandbox.clients().await;
    let until = Instant::now() + LIMIT;
    let mut seen = machines(&clients).await;
    while seen != ["terminated"] {
        assert!(Instant::now() < until, "{seen:?}");
        seen = machines(&clients).await;
    }
}

#[tokio::test]
async fn what_is_not_shown_yet_is_not_made_twice_by_up() {
    let sandbox = sandbox();
    let clients = sandbox.clients().await;
    for create in CREATES {
        killed_after(&sandbox, create);
        sandbox.ok(&["up", "stack.yaml"]);
        let until = Instant::now() + LIMIT;
        let alive = |seen: &[String]| seen.iter().filter(|state| *state != "terminated").count();
        while alive(&machines(&clients).await) != 1 {
            assert!(Instant::now() < until, "{create}: {:?}", machines(&clients).await);
        }
        sandbox.ok(&["down", NAME]);
        assert_eq!(alive(&machines(&clients).await), 0, "{create}");
    }
}
