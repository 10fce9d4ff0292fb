//! Instance profiles: what hands a role to an EC2 instance.

use std::sync::Arc;

use serde_json::{Value, json};

use super::directory::{Directory, State, new_id};
use super::document::{Profile, Tags};
use super::errors;
use super::input::{self, text};
use super::pages::page;
use super::roles;
use crate::wire::error::ApiError;

/// Instance profiles of an account (IAM user guide, "IAM and AWS STS quotas").
const MOST: usize = 1_000;

pub(super) fn create(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "InstanceProfileName");
    directory.change(|state| {
        if state.profiles.contains_key(&name.to_lowercase()) {
            return Err(errors::already_exists(format!("Instance Profile {name} already exists.")));
        }
        if state.profiles.len() >= MOST {
            return Err(errors::limit(format!("Cannot exceed quota for InstanceProfilesPerAccount: {MOST}")));
        }
        let mut tags = Tags::new();
        input::put_tags(&mut tags, asked)?;
        let profile = Profile {
            name: name.to_owned(),
            id: new_id("AIPA"),
            path: input::path(asked),
            created: directory.now(),
            role: None,
            tags,
        };
        let answer = json!({"InstanceProfile": shown(state, &profile, true)});
        state.profiles.insert(name.to_lowercase(), Arc::new(profile));
        Ok(answer)
    })
}

pub(super) fn get(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let profile = state.profile(text(asked, "InstanceProfileName"))?;
    Ok(json!({"InstanceProfile": shown(&state, profile, true)}))
}

pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let profiles = state.profiles.iter().filter(|(_, profile)| input::is_under(asked, &profile.path));
    page(
        profiles.map(|(key, profile)| (key.clone(), shown(&state, profile, false))).collect(),
        asked,
        "InstanceProfiles",
    )
}

pub(super) fn list_of_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let role = state.role(text(asked, "RoleName"))?;
    let profiles = state.profiles.iter().filter(|(_, profile)| profile.role.as_ref() == Some(&role.name));
    page(
        profiles.map(|(key, profile)| (key.clone(), shown(&state, profile, false))).collect(),
        asked,
        "InstanceProfiles",
    )
}

/// The profiles that hand out a role, as listings have them.
pub(super) fn of_role(state: &State, role: &str) -> Value {
    let profiles = state.profiles.values().filter(|profile| profile.role.as_deref() == Some(role));
    profiles.map(|profile| shown(state, profile, false)).collect()
}

pub(super) fn add_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let (name, role_name) = (text(asked, "InstanceProfileName"), text(asked, "RoleName"));
    directory.change(|state| {
        if state.profile(name)?.role.is_some() {
            return Err(errors::limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"));
        }
        let role = state.role(role_name)?;
        if !directory.is_known(role.created) {
            return Err(errors::no_role(role_name));
        }
        state.profile_mut(name)?.role = Some(role_name.to_owned());
        Ok(json!({}))
    })
}

pub(super) fn remove_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let role_name = text(asked, "RoleName");
    directory.change(|state| {
        let profile = state.profile_mut(text(asked, "InstanceProfileName"))?;
        if profile.role.as_deref() != Some(role_name) {
            return Err(errors::no_role(role_name));
        }
        profile.role = None;
        Ok(json!({}))
    })
}

pub(super) fn delete(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "InstanceProfileName");
    directory.change(|state| {
        if state.profile(name)?.role.is_some() {
            let message = "Cannot delete entity, must remove roles from instance profile first.";
            return Err(errors::delete_conflict(message));
        }
        state.profiles.remove(&name.to_lowercase());
        Ok(json!({}))
    })
}

/// Listings leave tags out, as AWS's do (API reference, `ListInstanceProfiles`).
fn shown(state: &State, profile: &Profile, whole: bool) -> Value {
    let role = profile.role.as_deref().and_then(|name| state.role(name).ok());
    let mut shown = json!({
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn(),
        "CreateDate": input::timestamp(profile.created),
        "Roles": role.map(|role| roles::shown(state, role, false)).into_iter().collect::<Vec<_>>(),
    });
    if whole && !profile.tags.is_empty() {
        shown["Tags"] = input::tag_list(&profile.tags);
    }
    shown
}
