//! Finding what a stack owns in IAM without state: by its path, since the Tagging API does not list roles.

use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG};
use pinfra_engine::{Address, CloudError};

use super::path_of;
use super::tags_of;
use crate::clients::Clients;
use crate::error::classify;
use crate::tags::Tags;

/// Roles and instance profiles of `stack` by address, with the ids that their kinds read them by. Inline policies are
/// part of their roles and go with them.
pub async fn owned_by(clients: &Clients, stack: &str) -> Result<Vec<(Address, String)>, CloudError> {
    let path = path_of(stack);
    let mut found = Vec::new();
    let mut roles = clients.iam.list_roles().path_prefix(&path).into_paginator().items().send();
    while let Some(role) = roles.next().await {
        let name = role.map_err(|error| classify("iam:ListRoles", &error))?.role_name;
        let request = clients.iam.list_role_tags().role_name(&name).send();
        let tags = request.await.map_err(|error| classify("iam:ListRoleTags", &error))?.tags;
        found.extend(address_in(&tags_of(&tags), stack).map(|address| (address, name)));
    }
    let mut profiles = clients.iam.list_instance_profiles().path_prefix(&path).into_paginator().items().send();
    while let Some(profile) = profiles.next().await {
        let name = profile.map_err(|error| classify("iam:ListInstanceProfiles", &error))?.instance_profile_name;
        let request = clients.iam.list_instance_profile_tags().instance_profile_name(&name).send();
        let tags = request.await.map_err(|error| classify("iam:ListInstanceProfileTags", &error))?.tags;
        found.extend(address_in(&tags_of(&tags), stack).map(|address| (address, name)));
    }
    Ok(found)
}

fn address_in(tags: &Tags, stack: &str) -> Option<Address> {
    let ours = tags.get(STACK_TAG).is_some_and(|owner| owner == stack);
    tags.get(ADDRESS_TAG).filter(|_| ours)?.parse().ok()
}
