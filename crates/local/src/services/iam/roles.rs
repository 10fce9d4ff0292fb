//! Roles: made, read, listed, changed, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::directory::{Directory, State, new_id};
use super::document::{Role, Tags};
use super::errors;
use super::input::{self, text};
use super::pages::page;
use super::trust;
use crate::wire::error::ApiError;

/// Roles of an account (IAM user guide, "IAM and AWS STS quotas").
const MOST_ROLES: usize = 1_000;

/// What a session lasts at most unless the role says otherwise (API reference, `CreateRole`).
const HOUR: i64 = 3_600;

pub(super) fn create(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "RoleName");
    directory.change(|state| {
        if state.roles.contains_key(&name.to_lowercase()) {
            return Err(errors::already_exists(format!("Role with name {name} already exists.")));
        }
        if state.roles.len() >= MOST_ROLES {
            return Err(errors::limit(format!("Cannot exceed quota for RolesPerAccount: {MOST_ROLES}")));
        }
        let (trust, trusted_ids) = trust::read(directory, state, text(asked, "AssumeRolePolicyDocument"))?;
        let boundary = input::optional(asked, "PermissionsBoundary");
        if let Some(arn) = &boundary
            && super::managed_policies::document_of(state, arn).is_none()
        {
            return Err(errors::no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable.")));
        }
        let mut tags = Tags::new();
        input::put_tags(&mut tags, asked)?;
        let role = Role {
            name: name.to_owned(),
            id: new_id("AROA"),
            path: input::path(asked),
            description: input::optional(asked, "Description"),
            created: directory.now(),
            trust,
            trusted_ids,
            max_session_seconds: asked["MaxSessionDuration"].as_i64().unwrap_or(HOUR),
            boundary,
            tags,
            inline: BTreeMap::new(),
            attached: BTreeMap::new(),
        };
        let answer = json!({"Role": shown(state, &role, true)});
        state.roles.insert(name.to_lowercase(), Arc::new(role));
        Ok(answer)
    })
}

pub(super) fn get(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let role = state.role(text(asked, "RoleName"))?;
    Ok(json!({"Role": shown(&state, role, true)}))
}

/// Listings leave tags and boundaries out, as AWS's do (API reference, `ListRoles`).
pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let roles = state.roles.iter().filter(|(_, role)| input::is_under(asked, &role.path));
    page(roles.map(|(key, role)| (key.clone(), shown(&state, role, false))).collect(), asked, "Roles")
}

pub(super) fn update(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| {
        let role = state.role_mut(text(asked, "RoleName"))?;
        if let Some(description) = asked["Description"].as_str() {
            role.description = Some(description.to_owned()).filter(|text| !text.is_empty());
        }
        if let Some(seconds) = asked["MaxSessionDuration"].as_i64() {
            role.max_session_seconds = seconds;
        }
        Ok(json!({}))
    })
}

pub(super) fn update_description(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "RoleName");
    directory.change(|state| {
        state.role_mut(name)?.description = input::optional(asked, "Description");
        let role = state.role(name)?;
        Ok(json!({"Role": shown(state, role, true)}))
    })
}

pub(super) fn update_trust(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "RoleName");
    directory.change(|state| {
        state.role(name)?;
        let (trust, trusted_ids) = trust::read(directory, state, text(asked, "PolicyDocument"))?;
        let role = state.role_mut(name)?;
        role.trust = trust;
        role.trusted_ids = trusted_ids;
        Ok(json!({}))
    })
}

pub(super) fn delete(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "RoleName");
    directory.change(|state| {
        let role = state.role(name)?;
        if state.profiles.values().any(|profile| profile.role.as_deref() == Some(name)) {
            let message = "Cannot delete entity, must remove roles from instance profile first.";
            return Err(errors::delete_conflict(message));
        }
        if !role.attached.is_empty() {
            return Err(errors::delete_conflict("Cannot delete entity, must detach all policies first."));
        }
        if !role.inline.is_empty() {
            return Err(errors::delete_conflict("Cannot delete entity, must delete policies first."));
        }
        state.roles.remove(&name.to_lowercase());
        Ok(json!({}))
    })
}

/// A role as answers show it; `whole` with what listings leave out.
pub(super) fn shown(state: &State, role: &Role, whole: bool) -> Value {
    let mut shown = json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn(),
        "CreateDate": input::timestamp(role.created),
        "AssumeRolePolicyDocument": input::url_encoded(&trust::shown(state, role)),
        "MaxSessionDuration": role.max_session_seconds,
    });
    if let Some(description) = &role.description {
        shown["Description"] = json!(description);
    }
    if !whole {
        return shown;
    }
    if let Some(arn) = &role.boundary {
        shown["PermissionsBoundary"] = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
    }
    if !role.tags.is_empty() {
        shown["Tags"] = input::tag_list(&role.tags);
    }
    shown
}
