//! Which managed policies a role has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::directory::Directory;
use super::errors;
use super::input::{self, text};
use super::managed_policies::find;
use super::pages::page;
use crate::wire::error::ApiError;

/// Managed policies of one role (IAM user guide, "IAM and AWS STS quotas").
const MOST: usize = 10;

pub(super) fn attach(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    directory.change(|state| {
        if find(state, arn).is_err() {
            let message = format!("Policy {arn} does not exist or is not attachable.");
            return Err(errors::no_such_entity(message));
        }
        let role = state.role_mut(text(asked, "RoleName"))?;
        if role.attached.len() >= MOST && !role.attached.contains_key(arn) {
            return Err(errors::limit(format!("Cannot exceed quota for PoliciesPerRole: {MOST}")));
        }
        role.attached.entry(arn.to_owned()).or_insert_with(|| directory.now());
        Ok(json!({}))
    })
}

pub(super) fn detach(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    directory.change(|state| {
        let role = state.role_mut(text(asked, "RoleName"))?;
        role.attached.remove(arn).ok_or_else(|| errors::no_policy(arn))?;
        Ok(json!({}))
    })
}

pub(super) fn list_of_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let role = state.role(text(asked, "RoleName"))?;
    let mut listed = Vec::new();
    for arn in role.attached.keys() {
        let policy = find(&state, arn)?;
        if input::is_under(asked, &policy.path) {
            listed.push((arn.clone(), json!({"PolicyName": policy.name, "PolicyArn": arn})));
        }
    }
    page(listed, asked, "AttachedPolicies")
}

/// Roles only: there are no users and groups here.
pub(super) fn list_of_policy(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    let state = directory.state();
    find(&state, arn)?;
    let mut listed = BTreeMap::new();
    for role in state.roles.values().filter(|role| input::is_under(asked, &role.path)) {
        let uses = match asked["PolicyUsageFilter"].as_str() {
            Some("PermissionsBoundary") => role.boundary.as_deref() == Some(arn),
            Some("PermissionsPolicy") => role.attached.contains_key(arn),
            _ => role.attached.contains_key(arn) || role.boundary.as_deref() == Some(arn),
        };
        let of_kind = asked["EntityFilter"].as_str().is_none_or(|kind| kind == "Role");
        if uses && of_kind {
            listed.insert(role.name.clone(), json!({"RoleName": role.name, "RoleId": role.id}));
        }
    }
    let mut answer = page(listed.into_iter().collect(), asked, "PolicyRoles")?;
    answer["PolicyGroups"] = json!([]);
    answer["PolicyUsers"] = json!([]);
    Ok(answer)
}
