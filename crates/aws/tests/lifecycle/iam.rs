//! The lives of roles, inline policies and instance profiles.

use std::time::Duration;

use pinfra_aws::iam::instance_profile::{InstanceProfile, InstanceProfileInputs};
use pinfra_aws::iam::path_of;
use pinfra_aws::iam::role::{Role, RoleInputs};
use pinfra_aws::iam::role_policy::{RolePolicy, RolePolicyInputs};
use pinfra_aws::policy::normalise_policy;
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{Clients, Connection, catalog, claims};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, ErrorKind, Owner, Resource};
use pinfra_local::{LocalCloud, Settings};
use serde_json::{Value, json};

use crate::{cloud, deleted, made, unique, updated};

fn trust(service: &str) -> Value {
    let statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    normalise_policy(&json!({"Version": "2012-10-17", "Statement": [statement]}))
}

fn allows(action: &str) -> Value {
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": "arn:aws:kinesis:*:*:stream/pins-*"});
    normalise_policy(&json!({"Version": "2012-10-17", "Statement": [statement]}))
}

pub(crate) fn role_inputs(name: &str) -> RoleInputs {
    RoleInputs {
        name: name.to_owned(),
        path: path_of(name),
        description: None,
        trust: trust("ec2.amazonaws.com"),
        max_session_seconds: 3_600,
        tags: ownership(name, &Address::new("iam/role", "cleaner"), &Tags::new()),
    }
}

pub(crate) fn policy_inputs(role: &str) -> RolePolicyInputs {
    RolePolicyInputs {
        role: Input::Known(role.to_owned()),
        name: "read-streams".to_owned(),
        policy: allows("kinesis:GetRecords"),
    }
}

pub(crate) fn profile_inputs(name: &str, role: &str) -> InstanceProfileInputs {
    InstanceProfileInputs {
        name: name.to_owned(),
        path: path_of(name),
        role: Input::Known(role.to_owned()),
        tags: ownership(name, &Address::new("iam/instance_profile", "cleaner"), &Tags::new()),
    }
}

fn call() -> Call {
    Call::silent(Address::new("iam/role", "cleaner"))
}

#[tokio::test]
async fn a_role_lives_through_every_change() {
    let cloud = cloud().await;
    let kind = Role::new(&cloud.clients);
    let mut inputs = role_inputs(&unique("role"));
    let id = made(&kind, &call(), &inputs).await;
    inputs.description = Some("reads what was emitted & cleans it".to_owned());
    inputs.max_session_seconds = 7_200;
    updated(&kind, &call(), &id, &inputs).await;
    inputs.trust = trust("apigateway.amazonaws.com");
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call(), &id, &inputs).await;
    inputs.description = None;
    inputs.tags.remove("team");
    updated(&kind, &call(), &id, &inputs).await;
    assert_eq!(kind.create(&call(), &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call(), &id).await;
}

#[tokio::test]
async fn a_role_is_found_by_its_name_and_told_apart_by_its_tags() {
    let cloud = cloud().await;
    let kind = Role::new(&cloud.clients);
    let inputs = role_inputs(&unique("found"));
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = kind.create(&call(), &inputs).await.unwrap();
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().owner, Owner::Ours);
    let other = RoleInputs { tags: ownership("another", &Address::new("iam/role", "x"), &Tags::new()), ..inputs };
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    deleted(&kind, &call(), &id).await;
}

#[tokio::test]
async fn a_policy_is_written_changed_and_goes_with_its_role() {
    let cloud = cloud().await;
    let (roles, kind) = (Role::new(&cloud.clients), RolePolicy::new(&cloud.clients));
    let role = made(&roles, &call(), &role_inputs(&unique("policy"))).await;
    let mut inputs = policy_inputs(&role);
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = made(&kind, &call(), &inputs).await;
    assert_eq!(id, format!("{role}/read-streams"));
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().owner, Owner::Ours);
    inputs.policy = allows("kinesis:*");
    updated(&kind, &call(), &id, &inputs).await;
    deleted(&kind, &call(), &id).await;
    let left = made(&kind, &call(), &inputs).await;
    deleted(&roles, &call(), &role).await;
    assert!(kind.read(&left).await.unwrap().is_none());
}

#[tokio::test]
async fn an_instance_profile_changes_its_role() {
    let cloud = cloud().await;
    let (roles, kind) = (Role::new(&cloud.clients), InstanceProfile::new(&cloud.clients));
    let name = unique("profile");
    let first = made(&roles, &call(), &role_inputs(&name)).await;
    let second = made(&roles, &call(), &role_inputs(&format!("{name}-b"))).await;
    let mut inputs = profile_inputs(&name, &first);
    let id = made(&kind, &call(), &inputs).await;
    inputs.role = Input::Known(second.clone());
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call(), &id, &inputs).await;
    // Somebody took the role away: that is drift, and is put right.
    let taken = cloud.clients.iam.remove_role_from_instance_profile().instance_profile_name(&id).role_name(&second);
    taken.send().await.unwrap();
    assert_ne!(kind.read(&id).await.unwrap().unwrap().inputs, inputs);
    updated(&kind, &call(), &id, &inputs).await;
    deleted(&kind, &call(), &id).await;
    deleted(&roles, &call(), &first).await;
    deleted(&roles, &call(), &second).await;
}

#[tokio::test]
async fn a_role_that_was_made_again_is_drift_in_the_policies_that_name_it() {
    let cloud = cloud().await;
    let kind = Role::new(&cloud.clients);
    let name = unique("again");
    let named = role_inputs(&format!("{name}-named"));
    made(&kind, &call(), &named).await;
    let arn = kind.read(&named.name).await.unwrap().unwrap().outputs.arn;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"});
    let mut naming = role_inputs(&name);
    naming.trust = normalise_policy(&json!({"Version": "2012-10-17", "Statement": statement}));
    let id = made(&kind, &call(), &naming).await;
    deleted(&kind, &call(), &named.name).await;
    made(&kind, &call(), &named).await;
    let read = kind.read(&id).await.unwrap().unwrap().inputs.trust;
    assert!(read.to_string().contains("AROA"), "{read}");
    updated(&kind, &call(), &id, &naming).await;
    deleted(&kind, &call(), &id).await;
    deleted(&kind, &call(), &named.name).await;
}

/// A role that is not known everywhere yet is waited for; and what a stack owns is found by its path.
#[tokio::test]
async fn what_is_new_is_waited_for_and_found_without_state() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { iam_propagation: Duration::from_secs(2), ..Settings::new(folder.path()) };
    let local = LocalCloud::start(settings).unwrap();
    let endpoint = pinfra_aws::clients::Endpoint {
        url: local.endpoint().to_owned(),
        access_key: local.access_key().to_owned(),
        secret_key: local.secret_key().to_owned(),
    };
    let connection = Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None };
    let clients = Clients::connect(&connection).await.unwrap();
    let (roles, profiles) = (Role::new(&clients), InstanceProfile::new(&clients));
    let role = made(&roles, &call(), &role_inputs("pins")).await;
    let profile = made(&profiles, &call(), &profile_inputs("pins", &role)).await;
    assert!(clients.meter.counts()["IAM.AddRoleToInstanceProfile"] > 1, "it was known at once");

    let mut owned = claims::owned_by(&clients, &catalog(&clients), "pins").await.unwrap().found;
    owned.sort();
    let expected = [
        (Address::new("iam/instance_profile", "cleaner"), profile.clone()),
        (Address::new("iam/role", "cleaner"), role.clone()),
    ];
    assert_eq!(owned, expected);
    assert!(claims::owned_by(&clients, &catalog(&clients), "pin").await.unwrap().found.is_empty());
    deleted(&profiles, &call(), &profile).await;
    deleted(&roles, &call(), &role).await;
    local.stop().await;
}
