//! Managed policies: the account's own, and those of AWS that the local cloud knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::aws_managed;
use super::directory::{Directory, State, new_id};
use super::document::{Managed, PolicyText, Tags, Version};
use super::errors;
use super::input::{self, text};
use super::pages::page;
use super::policy::Use;
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// IAM user guide, "IAM and AWS STS quotas".
const MOST_POLICIES: usize = 1_500;
const LONGEST: usize = 6_144;

pub(super) fn create(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let (name, path) = (text(asked, "PolicyName"), input::path(asked));
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy{path}{name}");
    directory.change(|state| {
        if state.policies.values().any(|policy| policy.name.eq_ignore_ascii_case(name)) {
            let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
            return Err(errors::already_exists(message));
        }
        if state.policies.len() >= MOST_POLICIES {
            return Err(errors::limit(format!("Cannot exceed quota for PoliciesPerAccount: {MOST_POLICIES}")));
        }
        let now = directory.now();
        let mut tags = Tags::new();
        input::put_tags(&mut tags, asked)?;
        let policy = Managed {
            arn: arn.clone(),
            name: name.to_owned(),
            id: new_id("ANPA"),
            path,
            description: input::optional(asked, "Description"),
            created: now,
            updated: now,
            versions: BTreeMap::from([(1, Version { created: now, policy: read(text(asked, "PolicyDocument"))? })]),
            default: 1,
            last: 1,
            tags,
        };
        let mut answer = shown(state, &policy);
        // Only `GetPolicy` tells it (API reference, `Policy`).
        answer.as_object_mut().map(|answer| answer.remove("Description"));
        state.policies.insert(arn, Arc::new(policy));
        Ok(json!({"Policy": answer}))
    })
}

/// Reads the document of a version.
pub(super) fn read(document: &str) -> Result<PolicyText, ApiError> {
    let policy = PolicyText::new(document, Use::Identity).map_err(|error| errors::malformed(&error))?;
    if input::size_of(document) > LONGEST {
        return Err(errors::limit(format!("Cannot exceed quota for PolicySize: {LONGEST}")));
    }
    Ok(policy)
}

pub(super) fn get(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let policy = find(&state, text(asked, "PolicyArn"))?;
    let mut answer = shown(&state, &policy);
    if !policy.tags.is_empty() {
        answer["Tags"] = input::tag_list(&policy.tags);
    }
    Ok(json!({"Policy": answer}))
}

pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let scope = asked["Scope"].as_str().unwrap_or("All");
    let own = state.policies.values().filter(|_| scope != "AWS").cloned();
    let of_aws = aws_managed::all().iter().filter(|_| scope != "Local").cloned();
    let mut listed = BTreeMap::new();
    for policy in own.chain(of_aws).filter(|policy| input::is_under(asked, &policy.path)) {
        let attached = state.roles_with(&policy.arn).next().is_some();
        let bounds = state.roles.values().any(|role| role.boundary.as_ref() == Some(&policy.arn));
        let wanted = match asked["PolicyUsageFilter"].as_str() {
            Some("PermissionsBoundary") => bounds,
            Some("PermissionsPolicy") => attached,
            _ => true,
        };
        if !wanted || (asked["OnlyAttached"] == json!(true) && !attached) {
            continue;
        }
        let mut one = shown(&state, &policy);
        one.as_object_mut().map(|one| one.remove("Description"));
        listed.insert(policy.arn.clone(), one);
    }
    page(listed.into_iter().collect(), asked, "Policies")
}

pub(super) fn delete(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let arn = text(asked, "PolicyArn");
    directory.change(|state| {
        let policy = own(state, arn)?;
        let bounds = state.roles.values().any(|role| role.boundary.as_deref() == Some(arn));
        if bounds || state.roles_with(arn).next().is_some() {
            return Err(errors::delete_conflict("Cannot delete a policy attached to entities."));
        }
        if policy.versions.len() > 1 {
            let message = "This policy has more than one version. Before you delete a policy, you must delete the \
                policy's versions. The default version is deleted with the policy.";
            return Err(errors::delete_conflict(message));
        }
        state.policies.remove(arn);
        Ok(json!({}))
    })
}

/// The policy of that ARN, AWS's own included.
pub(super) fn find(state: &State, arn: &str) -> Result<Arc<Managed>, ApiError> {
    let found = state.policies.get(arn).or_else(|| aws_managed::find(arn));
    found.cloned().ok_or_else(|| errors::no_policy(arn))
}

/// A policy that can be changed here.
pub(super) fn own<'a>(state: &'a State, arn: &str) -> Result<&'a Arc<Managed>, ApiError> {
    if aws_managed::find(arn).is_some() {
        let message = format!("Policy {arn} is managed by AWS and cannot be changed.");
        return Err(errors::access_denied(message));
    }
    state.policies.get(arn).ok_or_else(|| errors::no_policy(arn))
}

/// The same, to be changed.
pub(super) fn own_mut<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut Managed, ApiError> {
    own(state, arn)?;
    state.policies.get_mut(arn).map(Arc::make_mut).ok_or_else(|| errors::no_policy(arn))
}

/// What a policy says in its default version.
pub(super) fn document_of<'a>(state: &'a State, arn: &str) -> Option<&'a PolicyText> {
    state.policies.get(arn).or_else(|| aws_managed::find(arn))?.policy()
}

fn shown(state: &State, policy: &Managed) -> Value {
    let mut shown = json!({
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": format!("v{}", policy.default),
        "AttachmentCount": state.roles_with(&policy.arn).count(),
        "PermissionsBoundaryUsageCount":
            state.roles.values().filter(|role| role.boundary.as_ref() == Some(&policy.arn)).count(),
        "IsAttachable": true,
        "CreateDate": input::timestamp(policy.created),
        "UpdateDate": input::timestamp(policy.updated),
    });
    if let Some(description) = &policy.description {
        shown["Description"] = json!(description);
    }
    shown
}
