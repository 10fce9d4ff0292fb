//! The versions of a managed policy, of which one is in force.

use serde_json::{Value, json};

use super::directory::Directory;
use super::document::{Managed, Version};
use super::errors;
use super::input::{self, text};
use super::managed_policies::{find, own_mut, read};
use super::pages::page;
use crate::wire::error::ApiError;

/// API reference, `CreatePolicyVersion`.
const MOST: usize = 5;

pub(super) fn create(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| {
        let policy = own_mut(state, text(asked, "PolicyArn"))?;
        if policy.versions.len() >= MOST {
            let message = format!(
                "A managed policy can have up to {MOST} versions. Before you create a new version, you must delete an \
                 existing version."
            );
            return Err(errors::limit(message));
        }
        let document = read(text(asked, "PolicyDocument"))?;
        let now = directory.now();
        policy.last += 1;
        policy.versions.insert(policy.last, Version { created: now, policy: document });
        if asked["SetAsDefault"] == json!(true) {
            policy.default = policy.last;
            policy.updated = now;
        }
        Ok(json!({"PolicyVersion": shown(policy, policy.last, false)}))
    })
}

pub(super) fn get(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    let policy = find(&directory.state(), arn)?;
    let number = number(&policy, arn, text(asked, "VersionId"))?;
    Ok(json!({"PolicyVersion": shown(&policy, number, true)}))
}

pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let policy = find(&directory.state(), text(asked, "PolicyArn"))?;
    // The newest comes first.
    let versions = policy.versions.keys().rev();
    let listed = versions.map(|number| (format!("{:010}", u32::MAX - number), shown(&policy, *number, false)));
    page(listed.collect(), asked, "Versions")
}

pub(super) fn delete(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    directory.change(|state| {
        let policy = own_mut(state, arn)?;
        let number = number(policy, arn, text(asked, "VersionId"))?;
        if number == policy.default {
            return Err(errors::delete_conflict("Cannot delete the default version of a policy."));
        }
        policy.versions.remove(&number);
        Ok(json!({}))
    })
}

fn number(policy: &Managed, arn: &str, id: &str) -> Result<u32, ApiError> {
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number.filter(|number| policy.versions.contains_key(number)).ok_or_else(|| {
        errors::no_such_entity(format!("Policy {arn} version {id} does not exist or is not attachable."))
    })
}

fn shown(policy: &Managed, number: u32, with_document: bool) -> Value {
    let mut shown = json!({"VersionId": format!("v{number}"), "IsDefaultVersion": number == policy.default});
    if let Some(version) = policy.versions.get(&number) {
        shown["CreateDate"] = input::timestamp(version.created);
        if with_document {
            shown["Document"] = json!(input::url_encoded(version.policy.text()));
        }
    }
    shown
}
