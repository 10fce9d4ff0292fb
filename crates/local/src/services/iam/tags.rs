//! Tags of roles, policies and instance profiles.

use serde_json::{Value, json};

use super::directory::Directory;
use super::document::Tags;
use super::input::{put_tags, text, texts};
use super::managed_policies::{find, own_mut};
use super::pages::page;
use crate::wire::error::ApiError;

pub(super) fn put_on_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| put(&mut state.role_mut(text(asked, "RoleName"))?.tags, asked))
}

pub(super) fn put_on_profile(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| put(&mut state.profile_mut(text(asked, "InstanceProfileName"))?.tags, asked))
}

pub(super) fn put_on_policy(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| put(&mut own_mut(state, text(asked, "PolicyArn"))?.tags, asked))
}

pub(super) fn remove_from_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| Ok(remove(&mut state.role_mut(text(asked, "RoleName"))?.tags, asked)))
}

pub(super) fn remove_from_profile(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    directory.change(|state| Ok(remove(&mut state.profile_mut(text(asked, "InstanceProfileName"))?.tags, asked)))
}

pub(super) fn list_of_role(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    list(&directory.state().role(text(asked, "RoleName"))?.tags, asked)
}

pub(super) fn list_of_profile(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    list(&directory.state().profile(text(asked, "InstanceProfileName"))?.tags, asked)
}

pub(super) fn list_of_policy(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    list(&find(&directory.state(), text(asked, "PolicyArn"))?.tags, asked)
}

fn put(tags: &mut Tags, asked: &Value) -> Result<Value, ApiError> {
    put_tags(tags, asked)?;
    Ok(json!({}))
}

fn remove(tags: &mut Tags, asked: &Value) -> Value {
    for key in texts(asked, "TagKeys") {
        tags.remove(key);
    }
    json!({})
}

fn list(tags: &Tags, asked: &Value) -> Result<Value, ApiError> {
    let listed = tags.iter().map(|(key, value)| (key.clone(), json!({"Key": key, "Value": value})));
    page(listed.collect(), asked, "Tags")
}
