//! The lives of security groups, key pairs, addresses and machines.

use std::time::Duration;

use pinfra_aws::ec2::elastic_ip::{ElasticIp, ElasticIpInputs};
use pinfra_aws::ec2::instance::{Instance, InstanceInputs};
use pinfra_aws::ec2::key_pair::{KeyPair, KeyPairInputs};
use pinfra_aws::ec2::security_group::{Direction, Rule, SecurityGroup, SecurityGroupInputs};
use pinfra_aws::ec2::vpc_endpoint::{VpcEndpoint, VpcEndpointInputs};
use pinfra_aws::error::classify;
use pinfra_aws::iam::instance_profile::InstanceProfile;
use pinfra_aws::iam::role::Role;
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{catalog, claims};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, ErrorKind, Owner, Resource};
use serde_json::Value;

use crate::iam::{profile_inputs, role_inputs};
use crate::msk::compared;
use crate::{Cloud, cloud, deleted, made, unique, updated};

pub(crate) const UBUNTU: &str = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0h5lkuKPTA5gr2gZkZ5BqzcZ1bVGyT0t9q8u3o3gkq";

/// One of each kind.
pub(crate) fn samples() -> Vec<(&'static str, Value)> {
    vec![
        ("ec2/security_group", serde_json::to_value(group_inputs("a")).unwrap()),
        ("ec2/key_pair", serde_json::to_value(key_inputs("a")).unwrap()),
        ("ec2/elastic_ip", serde_json::to_value(address_inputs("a", None)).unwrap()),
        ("ec2/vpc_endpoint", serde_json::to_value(endpoint_inputs("a")).unwrap()),
        ("ec2/instance", serde_json::to_value(instance_inputs("a", "sg-1", "a")).unwrap()),
    ]
}

pub(crate) fn group_inputs(name: &str) -> SecurityGroupInputs {
    let mut rules = vec![Rule::all_egress(), ssh("203.0.113.0/24", "the office")];
    rules.sort();
    SecurityGroupInputs {
        name: name.to_owned(),
        description: "for tests".to_owned(),
        vpc: None,
        rules,
        tags: ownership(name, &Address::new("ec2/security_group", "client"), &Tags::new()),
    }
}

fn ssh(peer: &str, description: &str) -> Rule {
    Rule {
        direction: Direction::Ingress,
        protocol: "tcp".to_owned(),
        from_port: Some(22),
        to_port: Some(22),
        peer: Input::Known(peer.to_owned()),
        description: description.to_owned(),
    }
}

fn endpoint_inputs(name: &str) -> VpcEndpointInputs {
    VpcEndpointInputs {
        vpc: None,
        service: "s3".to_owned(),
        tags: ownership(name, &Address::new("ec2/vpc_endpoint", "s3"), &Tags::new()),
    }
}

fn key_inputs(name: &str) -> KeyPairInputs {
    KeyPairInputs {
        name: name.to_owned(),
        public_key: KEY.to_owned(),
        tags: ownership(name, &Address::new("ec2/key_pair", "client"), &Tags::new()),
    }
}

fn address_inputs(name: &str, instance: Option<&str>) -> ElasticIpInputs {
    ElasticIpInputs {
        instance: instance.map(|instance| Input::Known(instance.to_owned())),
        tags: ownership(name, &Address::new("ec2/elastic_ip", "client"), &Tags::new()),
    }
}

fn instance_inputs(name: &str, group: &str, profile: &str) -> InstanceInputs {
    InstanceInputs {
        name: name.to_owned(),
        image: UBUNTU.to_owned(),
        instance_type: "t3.small".to_owned(),
        subnet: None,
        security_groups: vec![Input::Known(group.to_owned())],
        profile: Input::Known(profile.to_owned()),
        key: None,
        user_data: "#!/bin/sh\necho ready\n".to_owned(),
        metadata_tokens_required: true,
        encrypted: true,
        tags: ownership(name, &Address::new("ec2/instance", "client"), &Tags::new()),
    }
}

fn call(kind: &str) -> Call {
    Call::silent(Address::new(kind, "client"))
}

#[tokio::test]
async fn a_security_group_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (SecurityGroup::new(&cloud.clients), call("ec2/security_group"));
    let mut inputs = group_inputs(&unique("group"));
    let id = made(&kind, &call, &inputs).await;

    // A rule comes, one goes, one is described otherwise, and IPv6 and the group itself can be the other side.
    inputs.rules = vec![
        ssh("203.0.113.0/24", "the old office"),
        ssh("2001:db8::/32", ""),
        Rule { protocol: "-1".into(), from_port: None, to_port: None, ..ssh(&id, "its own") },
    ];
    inputs.rules.sort();
    updated(&kind, &call, &id, &inputs).await;
    inputs.rules.clear();
    updated(&kind, &call, &id, &inputs).await;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;

    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    let mut other = inputs.clone();
    other.tags.insert("pinfra:stack".to_owned(), "another".to_owned());
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    let again = kind.create(&call, &inputs).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_key_pair_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (KeyPair::new(&cloud.clients), call("ec2/key_pair"));
    let mut inputs = key_inputs(&unique("key"));
    let id = made(&kind, &call, &inputs).await;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().id, id);
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call, &id).await;
}

/// A role, a profile of it, a security group and a machine.
async fn machine(cloud: &Cloud, name: &str) -> (InstanceInputs, String) {
    let role = Role::new(&cloud.clients);
    let iam = Call::silent(Address::new("iam/role", "client"));
    made(&role, &iam, &role_inputs(name)).await;
    made(&InstanceProfile::new(&cloud.clients), &iam, &profile_inputs(name, name)).await;
    let group = made(&SecurityGroup::new(&cloud.clients), &call("ec2/security_group"), &group_inputs(name)).await;
    let inputs = instance_inputs(name, &group, name);
    let id = made(&Instance::new(&cloud.clients), &call("ec2/instance"), &inputs).await;
    (inputs, id)
}

async fn machine_gone(cloud: &Cloud, name: &str, inputs: &InstanceInputs, id: &str) {
    deleted(&Instance::new(&cloud.clients), &call("ec2/instance"), id).await;
    let group = inputs.security_groups[0].known().unwrap();
    deleted(&SecurityGroup::new(&cloud.clients), &call("ec2/security_group"), group).await;
    let iam = Call::silent(Address::new("iam/role", "client"));
    deleted(&InstanceProfile::new(&cloud.clients), &iam, name).await;
    deleted(&Role::new(&cloud.clients), &iam, name).await;
}

#[tokio::test]
async fn a_machine_lives_through_every_change() {
    let cloud = cloud().await;
    let name = unique("machine");
    let (kind, call) = (Instance::new(&cloud.clients), call("ec2/instance"));
    let (mut inputs, id) = machine(&cloud, &name).await;

    // Its type changes while it is stopped, and it runs again.
    inputs.instance_type = "t3.medium".to_owned();
    updated(&kind, &call, &id, &inputs).await;
    inputs.metadata_tokens_required = false;
    updated(&kind, &call, &id, &inputs).await;
    inputs.metadata_tokens_required = true;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    inputs.name = format!("{name}-2");
    updated(&kind, &call, &id, &inputs).await;
    let group = group_inputs(&format!("{name}-2"));
    let groups = SecurityGroup::new(&cloud.clients);
    let group_call = Call::silent(Address::new("ec2/security_group", "client"));
    let other = made(&groups, &group_call, &group).await;
    let first = std::mem::replace(&mut inputs.security_groups, vec![Input::Known(other.clone())]);
    updated(&kind, &call, &id, &inputs).await;

    // What an interrupted create left is found by its tags, and made again by the same token it is the same machine.
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().id, id);
    let owned = claims::owned_by(&cloud.clients, &catalog(&cloud.clients), &name).await.unwrap().found;
    let machines: Vec<_> = owned.iter().filter(|(address, _)| address.kind() == "ec2/instance").collect();
    assert_eq!(machines, [&(Address::new("ec2/instance", "client"), id.clone())], "its volume has its tags, too");

    inputs.security_groups = first;
    updated(&kind, &call, &id, &inputs).await;
    deleted(&groups, &group_call, &other).await;
    machine_gone(&cloud, &name, &inputs, &id).await;
}

#[tokio::test]
async fn a_security_group_is_kept_until_its_machine_is_gone() {
    let cloud = cloud().await;
    let name = unique("held");
    let (inputs, id) = machine(&cloud, &name).await;
    let group = inputs.security_groups[0].known().unwrap().clone();
    let groups = SecurityGroup::new(&cloud.clients);
    let group_call = call("ec2/security_group");
    let going = async { groups.delete(&group_call, &group).await };
    let patience = tokio::time::timeout(Duration::from_millis(400), going).await;
    assert!(patience.is_err(), "a group in use was deleted: {patience:?}");
    machine_gone(&cloud, &name, &inputs, &id).await;
}

#[tokio::test]
async fn an_address_is_given_to_a_machine_and_taken_back() {
    let cloud = cloud().await;
    let name = unique("address");
    let (kind, address_call) = (ElasticIp::new(&cloud.clients), call("ec2/elastic_ip"));
    let mut inputs = address_inputs(&name, None);
    let id = made(&kind, &address_call, &inputs).await;
    let (machine_inputs, machine_id) = machine(&cloud, &name).await;
    inputs = ElasticIpInputs { tags: inputs.tags, ..address_inputs(&name, Some(&machine_id)) };
    updated(&kind, &address_call, &id, &inputs).await;
    inputs.instance = None;
    updated(&kind, &address_call, &id, &inputs).await;
    inputs.instance = Some(Input::Known(machine_id.clone()));
    updated(&kind, &address_call, &id, &inputs).await;
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().id, id);
    deleted(&kind, &address_call, &id).await;
    machine_gone(&cloud, &name, &machine_inputs, &machine_id).await;
}

#[tokio::test]
async fn an_endpoint_is_made_where_there_is_none_and_shared_where_there_is() {
    let cloud = cloud().await;
    let (kind, call) = (VpcEndpoint::new(&cloud.clients), call("ec2/vpc_endpoint"));
    let mut inputs = endpoint_inputs(&unique("endpoint"));
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = kind.create(&call, &inputs).await.unwrap();
    assert!(kind.settle(&call, &id, &inputs).await.unwrap().outputs.ours);
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    let old = compared(&kind, &id, inputs.clone()).await;
    kind.update(&call, &id, &old, &inputs).await.unwrap();
    kind.settle(&call, &id, &inputs).await.unwrap();
    assert_eq!(compared(&kind, &id, inputs.clone()).await, inputs);
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));

    // Another stack in the same VPC.
    let theirs = endpoint_inputs(&unique("another"));
    assert_eq!(kind.find(&theirs).await.unwrap(), None);
    let shared = kind.create(&call, &theirs).await.unwrap();
    let settled = kind.settle(&call, &shared, &theirs).await.unwrap();
    assert_eq!((settled.outputs.id.as_str(), settled.outputs.ours), (id.as_str(), false));
    assert_eq!(compared(&kind, &shared, theirs.clone()).await, theirs);
    kind.delete(&call, &shared).await.unwrap();
    assert!(kind.read(&id).await.unwrap().is_some(), "it is not theirs to delete");

    deleted(&kind, &call, &id).await;
    assert!(kind.read(&shared).await.unwrap().is_none());
    let own = kind.create(&call, &theirs).await.unwrap();
    deleted(&kind, &call, &own).await;
}

#[tokio::test]
async fn a_zone_without_such_machines_is_asked_once() {
    let cloud = cloud().await;
    let Some((local, _)) = &cloud.local else { return };
    local.faults().set("on ec2:RunInstances do refuse InsufficientInstanceCapacity status=500").unwrap();
    let sent = cloud.clients.ec2.run_instances().image_id("ami-1").min_count(1).max_count(1).send().await;
    let error = classify("ec2:RunInstances", &sent.unwrap_err());
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Capacity, Some("InsufficientInstanceCapacity")));
    assert!(error.hint.is_some_and(|hint| hint.contains("client.instance")));
    assert_eq!(local.faults().rules()[0].fired, 1);
}
