//! What says in IAM that it is of a stack: by its path, since the Tagging API does not list roles.

use aws_sdk_iam::types::Tag;
use pinfra_engine::{Address, CloudError};

use super::listing::{Roles, of_stack, roles};
use super::{path_of, tags_of};
use crate::claims::{Claim, address_in};
use crate::clients::Clients;
use crate::error::classify;

/// Roles and instance profiles of `stack`. Inline policies are part of their roles and go with them.
pub(crate) async fn claims(clients: &Clients, stack: &str) -> Result<Vec<Claim>, CloudError> {
    if let Some(roles) = roles(clients).await? {
        return Ok(listed(&roles, stack));
    }
    let mut found = Vec::new();
    for (name, role) in of_stack(clients, stack).await? {
        let request = clients.iam.list_role_tags().role_name(&name).send();
        let tags = request.await.map_err(|error| classify("iam:ListRoleTags", &error))?.tags;
        found.push(Claim { address: address_in(&tags_of(&tags), stack), id: Some(name), arn: role.arn });
    }
    let mut profiles = clients.iam.list_instance_profiles().path_prefix(path_of(stack)).into_paginator().items().send();
    while let Some(profile) = profiles.next().await {
        let profile = profile.map_err(|error| classify("iam:ListInstanceProfiles", &error))?;
        let name = profile.instance_profile_name;
        let request = clients.iam.list_instance_profile_tags().instance_profile_name(&name).send();
        let tags = request.await.map_err(|error| classify("iam:ListInstanceProfileTags", &error))?.tags;
        found.push(Claim { address: address_in(&tags_of(&tags), stack), id: Some(name), arn: profile.arn });
    }
    Ok(found)
}

/// The roles as the lists of a look have them. A profile that nobody uses does nothing, and is not listed there.
fn listed(roles: &Roles, stack: &str) -> Vec<Claim> {
    let mut found = Vec::new();
    for (name, role) in &roles.of_stack {
        let detail = roles.details.as_ref().and_then(|details| details.get(name));
        let tags: &[Tag] = detail.map(|detail| detail.tags()).unwrap_or_default();
        // Whatever its tags say, it stands in the place of the stack's roles.
        let address = address_in(&tags_of(tags), stack).unwrap_or_else(|| Address::new("iam/role", name.clone()));
        found.push(Claim { address: Some(address), id: Some(name.clone()), arn: role.arn.clone() });
    }
    found
}
