//! All roles in two lists, for one look: what one tells the other leaves out (API reference, `ListRoles` and
//! `GetAccountAuthorizationDetails`).

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_iam::types::{EntityType, InstanceProfile, Role, RoleDetail};
use pinfra_engine::{CloudError, ErrorKind};

use super::path_of;
use crate::clients::Clients;
use crate::error::classify;

/// An account with more roles is asked for each of ours instead: the list has all policies of all of them.
const MOST_ROLES: i32 = 300;

/// The roles of an account.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// With their policies and tags, by name; `None` where the list is too long, or not for us.
    pub(crate) details: Option<BTreeMap<String, RoleDetail>>,
    /// Those that stand under the path of the stack, by name.
    pub(crate) of_stack: BTreeMap<String, Role>,
}

impl Roles {
    /// The instance profile of that name with the role that it hands out.
    pub(super) fn profile(&self, name: &str) -> Option<(&str, &InstanceProfile)> {
        for (role, detail) in self.details.as_ref()? {
            let mut profiles = detail.instance_profile_list().iter();
            if let Some(profile) = profiles.find(|profile| profile.instance_profile_name == name) {
                return Some((role, profile));
            }
        }
        None
    }
}

/// The roles, where this is a look.
pub(crate) async fn roles(clients: &Clients) -> Result<Option<Arc<Roles>>, CloudError> {
    let Some(look) = &clients.look else { return Ok(None) };
    let ask = || async {
        let (details, of_stack) = futures::try_join!(details(clients), of_stack(clients, &look.stack))?;
        Ok(Roles { details, of_stack })
    };
    look.roles.get("", ask).await.map(Some)
}

async fn details(clients: &Clients) -> Result<Option<BTreeMap<String, RoleDetail>>, CloudError> {
    let request = clients.iam.get_account_authorization_details().filter(EntityType::Role).max_items(MOST_ROLES);
    let answer = match request.send().await.map_err(|error| classify("iam:GetAccountAuthorizationDetails", &error)) {
        Ok(answer) if answer.is_truncated => return Ok(None),
        Ok(answer) => answer,
        Err(error) if error.kind == ErrorKind::Permission => return Ok(None),
        Err(error) => return Err(error),
    };
    let roles = answer.role_detail_list.unwrap_or_default().into_iter();
    Ok(Some(roles.filter_map(|role| Some((role.role_name.clone()?, role))).collect()))
}

/// The roles under the path of a stack.
pub(super) async fn of_stack(clients: &Clients, stack: &str) -> Result<BTreeMap<String, Role>, CloudError> {
    let mut found = BTreeMap::new();
    let mut roles = clients.iam.list_roles().path_prefix(path_of(stack)).into_paginator().items().send();
    while let Some(role) = roles.next().await {
        let role = role.map_err(|error| classify("iam:ListRoles", &error))?;
        found.insert(role.role_name.clone(), role);
    }
    Ok(found)
}
