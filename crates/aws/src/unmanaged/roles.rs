//! What roles of the stack may do beyond it: policies that somebody added, a boundary, another profile that hands them out.

use std::collections::BTreeSet;

use aws_sdk_iam::types::RoleDetail;
use futures::try_join;
use pinfra_engine::{Address, CloudError, Finding};
use serde_json::{Value, json};

use super::{Known, or_nothing, text, unmanaged};
use crate::clients::Clients;
use crate::error::classify;
use crate::iam::listing::roles;
use crate::iam::read_policy;

/// What hangs on one role.
#[derive(Default)]
struct Hanging {
    /// Inline policies with their documents, as far as those are told.
    inline: Vec<(String, Option<String>)>,
    attached: Vec<String>,
    boundary: Option<String>,
    profiles: Vec<String>,
}

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let look = known.of_kind("iam/role").map(|(address, name, _)| async move {
        let hanging = or_nothing(hanging(clients, name).await)?;
        Ok(judge(known, address, name, hanging))
    });
    let found: Result<Vec<Vec<Finding>>, CloudError> = futures::future::try_join_all(look).await;
    Ok(found?.into_iter().flatten().collect())
}

/// From the list of all roles, or by asking for this one's.
async fn hanging(clients: &Clients, role: &str) -> Result<Hanging, CloudError> {
    let listed = roles(clients).await?;
    if let Some(detail) = listed.as_ref().and_then(|roles| roles.details.as_ref()?.get(role)) {
        return Ok(of_detail(detail));
    }
    // Four SDK calls at once make a large future, which has no place inside those that wait for it.
    let parts = Box::pin(async {
        try_join!(inline(clients, role), attached(clients, role), boundary(clients, role), profiles(clients, role))
    });
    let (inline, attached, boundary, profiles) = parts.await?;
    Ok(Hanging { inline: inline.into_iter().map(|name| (name, None)).collect(), attached, boundary, profiles })
}

async fn inline(clients: &Clients, role: &str) -> Result<Vec<String>, CloudError> {
    let names = clients.iam.list_role_policies().role_name(role).into_paginator().items().send();
    names.collect::<Result<Vec<_>, _>>().await.map_err(|error| classify("iam:ListRolePolicies", &error))
}

async fn attached(clients: &Clients, role: &str) -> Result<Vec<String>, CloudError> {
    let policies = clients.iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let policies = policies.collect::<Result<Vec<_>, _>>().await;
    let policies = policies.map_err(|error| classify("iam:ListAttachedRolePolicies", &error))?;
    Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// Of all lists of roles only that of their details has the boundary (API reference, `ListRoles`).
async fn boundary(clients: &Clients, role: &str) -> Result<Option<String>, CloudError> {
    let answer = clients.iam.get_role().role_name(role).send().await;
    let role = answer.map_err(|error| classify("iam:GetRole", &error))?.role;
    Ok(role.and_then(|role| role.permissions_boundary).and_then(|boundary| boundary.permissions_boundary_arn))
}

async fn profiles(clients: &Clients, role: &str) -> Result<Vec<String>, CloudError> {
    let profiles = clients.iam.list_instance_profiles_for_role().role_name(role).into_paginator().items().send();
    let profiles = profiles.collect::<Result<Vec<_>, _>>().await;
    let profiles = profiles.map_err(|error| classify("iam:ListInstanceProfilesForRole", &error))?;
    Ok(profiles.into_iter().map(|profile| profile.instance_profile_name).collect())
}

fn of_detail(detail: &RoleDetail) -> Hanging {
    let inline = detail.role_policy_list().iter();
    Hanging {
        inline: inline
            .filter_map(|policy| Some((policy.policy_name.clone()?, policy.policy_document.clone())))
            .collect(),
        attached: detail.attached_managed_policies().iter().filter_map(|policy| policy.policy_arn.clone()).collect(),
        boundary: detail.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn.clone()),
        profiles: detail.instance_profile_list().iter().map(|profile| profile.instance_profile_name.clone()).collect(),
    }
}

fn judge(known: Known<'_>, address: &Address, role: &str, hanging: Hanging) -> Vec<Finding> {
    let policies = known.of_kind("iam/role_policy");
    let ours: BTreeSet<&str> = policies
        .filter(|(_, _, live)| text(&live.inputs, "role") == role)
        .map(|(_, _, live)| text(&live.inputs, "name"))
        .collect();
    let mut found = Vec::new();
    for (name, document) in hanging.inline.into_iter().filter(|(name, _)| !ours.contains(name.as_str())) {
        let document = document.and_then(|document| read_policy("iam:GetAccountAuthorizationDetails", &document).ok());
        let detail = format!("the inline policy `{name}` is not of this stack: the role may do what it says");
        let live = json!({"policy": name, "document": document.unwrap_or(Value::Null)});
        found.push(unmanaged(address, format!("{role}/{name}"), live, detail));
    }
    for arn in hanging.attached {
        let detail = format!("the managed policy `{arn}` is attached, which this stack did not do");
        found.push(unmanaged(address, arn.clone(), json!({"attached": arn}), detail));
    }
    if let Some(arn) = hanging.boundary {
        let detail = format!("the permissions boundary `{arn}` limits what the role may do");
        found.push(unmanaged(address, arn.clone(), json!({"boundary": arn}), detail));
    }
    for profile in hanging.profiles.into_iter().filter(|name| !known.has("iam/instance_profile", name)) {
        let detail = format!("the instance profile `{profile}`, which is not of this stack, hands the role out");
        found.push(unmanaged(address, profile.clone(), json!({"instance_profile": profile}), detail));
    }
    found
}
