//! Inline policies: part of their role.

use serde_json::{Value, json};

use super::directory::Directory;
use super::document::{Inline, PolicyText};
use super::errors;
use super::input::{self, size_of, text};
use super::pages::page;
use super::policy::Use;
use crate::wire::error::ApiError;

/// All inline policies of a role together (IAM user guide, "IAM and AWS STS quotas").
const MOST: usize = 10_240;

pub(super) fn put(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let (role_name, name, document) =
        (text(asked, "RoleName"), text(asked, "PolicyName"), text(asked, "PolicyDocument"));
    directory.change(|state| {
        let role = state.role_mut(role_name)?;
        let policy = PolicyText::new(document, Use::Identity).map_err(|error| errors::malformed(&error))?;
        let others = role.inline.iter().filter(|(other, _)| *other != name);
        let size: usize = others.map(|(_, inline)| size_of(inline.policy.text())).sum();
        if size + size_of(document) > MOST {
            let message = format!("Maximum policy size of {MOST} bytes exceeded for role {role_name}");
            return Err(errors::limit(message));
        }
        role.inline.insert(name.to_owned(), Inline { policy, written: directory.now() });
        Ok(json!({}))
    })
}

pub(super) fn get(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let (role_name, name) = (text(asked, "RoleName"), text(asked, "PolicyName"));
    let state = directory.state();
    let inline = state.role(role_name)?.inline.get(name).ok_or_else(|| no_inline(name))?;
    Ok(json!({
        "RoleName": role_name,
        "PolicyName": name,
        "PolicyDocument": input::url_encoded(inline.policy.text()),
    }))
}

pub(super) fn delete(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let name = text(asked, "PolicyName");
    directory.change(|state| {
        let role = state.role_mut(text(asked, "RoleName"))?;
        role.inline.remove(name).ok_or_else(|| no_inline(name))?;
        Ok(json!({}))
    })
}

pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let state = directory.state();
    let role = state.role(text(asked, "RoleName"))?;
    page(role.inline.keys().map(|name| (name.clone(), json!(name))).collect(), asked, "PolicyNames")
}

fn no_inline(name: &str) -> ApiError {
    errors::no_such_entity(format!("The role policy with name {name} cannot be found."))
}
