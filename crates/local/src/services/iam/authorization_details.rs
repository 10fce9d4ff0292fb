//! All roles of the account with everything that hangs on them, in one listing.
//!
//! There are no users and groups here. Managed policies are not in it: who wants them asks for each, and a request for
//! them is refused.

use serde_json::{Value, json};

use super::directory::{Directory, State};
use super::document::Role;
use super::errors;
use super::input::{self, texts};
use super::instance_profiles;
use super::managed_policies::find;
use super::pages::page;
use super::roles;
use crate::wire::error::ApiError;

/// `GetAccountAuthorizationDetails`.
pub(super) fn list(directory: &Directory, asked: &Value) -> Result<Value, ApiError> {
    let filter: Vec<&str> = texts(asked, "Filter").collect();
    if filter.is_empty() || filter.iter().any(|kind| kind.ends_with("ManagedPolicy")) {
        return Err(errors::invalid_input("The local cloud lists users, groups and roles here: set Filter to these."));
    }
    let state = directory.state();
    let listed = state.roles.iter().filter(|_| filter.contains(&"Role"));
    let mut answer =
        page(listed.map(|(key, role)| (key.clone(), detail(&state, role))).collect(), asked, "RoleDetailList")?;
    for nobody in ["UserDetailList", "GroupDetailList", "Policies"] {
        answer[nobody] = json!([]);
    }
    Ok(answer)
}

/// A role without its description and its session's length, which AWS leaves out here too (API reference, `RoleDetail`).
fn detail(state: &State, role: &Role) -> Value {
    let mut detail = roles::shown(state, role, true);
    if let Some(object) = detail.as_object_mut() {
        object.remove("Description");
        object.remove("MaxSessionDuration");
    }
    let inline = role
        .inline
        .iter()
        .map(|(name, inline)| json!({"PolicyName": name, "PolicyDocument": input::url_encoded(inline.policy.text())}));
    let attached = role.attached.keys().filter_map(|arn| {
        let policy = find(state, arn).ok()?;
        Some(json!({"PolicyName": policy.name, "PolicyArn": arn}))
    });
    detail["RolePolicyList"] = inline.collect();
    detail["AttachedManagedPolicies"] = attached.collect();
    detail["InstanceProfileList"] = instance_profiles::of_role(state, &role.name);
    detail
}
