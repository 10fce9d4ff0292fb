//! The same where the cloud does not show at once what it has made: the run after the kill looks for what nobody shows yet.

use std::time::{Duration, Instant};

use pinfra_aws::Clients;

use super::points::Call;
use super::stack::NAME;
use crate::support::Sandbox;

/// Longer than the next run takes to begin.
const STALE_MS: &str = "2000";
/// Longer than is looked for what was perhaps never made, and shorter than for what has a name.
const LONGER_MS: &str = "6000";
/// Far more than it takes until all is shown.
const LIMIT: Duration = Duration::from_secs(30);
/// What EC2 and IAM make, of which they say nothing for that long.
const CREATES: [&str; 4] =
    ["ec2:CreateSecurityGroup", "ec2:RunInstances", "iam:CreateRole", "iam:CreateInstanceProfile"];

fn sandbox(stale_ms: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", &format!("name: {NAME}\nlake: {{}}\nclient: {{ instance: t3.small }}\n"));
    sandbox.ok(&["local", "start", "--settle-ms", "20", "--stale", stale_ms]);
    sandbox
}

/// `up` that meets this and is killed by it.
fn killed(sandbox: &Sandbox, rule: &str) {
    sandbox.write("rules", rule);
    sandbox.ok(&["local", "faults", "set", "rules"]);
    assert_eq!(sandbox.run(&["up", "stack.yaml"]).code, -1, "it was not killed");
    sandbox.ok(&["local", "faults", "clear"]);
}

/// `up` that is killed when it was answered that this was made.
fn killed_after(sandbox: &Sandbox, create: &str) {
    killed(sandbox, &format!("on {create} nth=1 do kill answered\n"));
}

/// `up` that is killed when it has recorded the id of its machine: at the first look at it, which comes after that.
fn killed_once_named(sandbox: &Sandbox) {
    let undisturbed = self::sandbox("0");
    undisturbed.ok(&["up", "stack.yaml"]);
    let calls = undisturbed.ok(&["local", "calls", "--json"]).stdout;
    let calls = calls.lines().map(|line| serde_json::from_str::<Call>(line).unwrap().operation);
    let before = calls.take_while(|operation| operation != "RunInstances");
    let looks = before.filter(|operation| operation == "DescribeInstances").count();
    killed(sandbox, &format!("on ec2:DescribeInstances nth={} do kill before\n", looks + 1));
    let journal = std::fs::read_to_string(sandbox.folder.path().join(".pinfra").join(NAME).join("journal.ndjson"));
    assert!(journal.unwrap().contains("\"id\":\"i-"), "its id is recorded");
}

/// Waits until all machines that are shown are these, of which those that were made are shown by and by.
async fn until_machines_are(sandbox: &Sandbox, expected: &[&str]) {
    let clients = sandbox.clients().await;
    let until = Instant::now() + LIMIT;
    let mut seen = machines(&clients).await;
    while seen != expected {
        assert!(Instant::now() < until, "{seen:?}");
        seen = machines(&clients).await;
    }
}

/// The states of all machines.
async fn machines(clients: &Clients) -> Vec<String> {
    let answer = clients.ec2.describe_instances().send().await.unwrap();
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    instances.map(|instance| instance.state().unwrap().name().unwrap().as_str().to_owned()).collect()
}

#[tokio::test]
async fn what_is_not_shown_yet_is_not_left_behind_by_down() {
    let sandbox = sandbox(STALE_MS);
    killed_after(&sandbox, "ec2:RunInstances");
    sandbox.ok(&["down", NAME]);
    until_machines_are(&sandbox, &["terminated"]).await;
}

#[tokio::test]
async fn what_has_a_name_and_is_not_shown_yet_is_not_left_behind_by_down() {
    let sandbox = sandbox(LONGER_MS);
    killed_once_named(&sandbox);
    sandbox.ok(&["down", NAME]);
    until_machines_are(&sandbox, &["terminated"]).await;
}

#[tokio::test]
async fn what_is_not_shown_yet_and_not_in_the_file_any_more_is_not_left_behind_by_up() {
    let sandbox = sandbox(STALE_MS);
    for named in [false, true] {
        sandbox.write("stack.yaml", &format!("name: {NAME}\nlake: {{}}\nclient: {{ instance: t3.small }}\n"));
        match named {
            true => killed_once_named(&sandbox),
            false => killed_after(&sandbox, "ec2:RunInstances"),
        }
        sandbox.write("stack.yaml", &format!("name: {NAME}\nlake: {{}}\n"));
        sandbox.ok(&["up", "stack.yaml"]);
        let expected: &[&str] = if named { &["terminated", "terminated"] } else { &["terminated"] };
        until_machines_are(&sandbox, expected).await;
    }
}

#[tokio::test]
async fn what_is_not_shown_yet_and_is_asked_for_otherwise_by_now_is_not_made_twice_by_up() {
    let sandbox = sandbox(STALE_MS);
    killed_after(&sandbox, "ec2:RunInstances");
    sandbox.write("stack.yaml", &format!("name: {NAME}\nlake: {{}}\nclient: {{ instance: t3.medium }}\n"));
    sandbox.ok(&["up", "stack.yaml"]);
    until_machines_are(&sandbox, &["running"]).await;
}

#[tokio::test]
async fn what_is_not_shown_yet_is_not_made_twice_by_up() {
    let sandbox = sandbox(STALE_MS);
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
