//! Trust policies: who they name has to exist, and is remembered by its unique id.
//!
//! AWS stores the unique id of a role that a trust policy names. A role that is deleted and made again under its name is
//! somebody else, and the policy shows the id of the one that is gone (IAM user guide, "AWS JSON policy elements:
//! Principal").

use std::collections::BTreeMap;

use serde_json::Value;

use super::directory::{Directory, State};
use super::document::{PolicyText, Role};
use super::errors;
use super::policy::{Malformed, Use};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// The longest trust policy (IAM user guide, "IAM and AWS STS quotas").
const MOST: usize = 2_048;

/// Reads a trust policy, with the unique ids of the roles it names.
pub(super) fn read(
    directory: &Directory,
    state: &State,
    text: &str,
) -> Result<(PolicyText, BTreeMap<String, String>), ApiError> {
    let document = PolicyText::new(text, Use::Trust).map_err(|error| errors::malformed(&error))?;
    if super::input::size_of(text) > MOST {
        return Err(errors::limit(format!("Cannot exceed quota for ACLSizePerRole: {MOST}")));
    }
    let invalid = |kind: &str, name: &str| {
        errors::malformed(&Malformed(format!("Invalid principal in policy: \"{kind}\":\"{name}\"")))
    };
    let mut ids = BTreeMap::new();
    for principals in document.policy(Use::Trust).into_iter().flat_map(|policy| policy.principals()) {
        if let Some(wrong) = principals.services.iter().find(|name| !is_service(name)) {
            return Err(invalid("SERVICE", wrong));
        }
        for name in &principals.aws {
            match known(directory, state, name) {
                Known::Role(id) => {
                    ids.insert(name.clone(), id);
                }
                Known::Other => {}
                Known::Nobody => return Err(invalid("AWS", name)),
            }
        }
    }
    Ok((document, ids))
}

/// The trust policy as a reader sees it: roles that are gone appear under their unique ids.
pub(super) fn shown(state: &State, role: &Role) -> String {
    let gone = |arn: &str| {
        let id = role.trusted_ids.get(arn)?;
        let there = state.role_by_arn(arn).is_some_and(|found| found.id == *id);
        (!there).then(|| id.clone())
    };
    if !role.trusted_ids.keys().any(|arn| gone(arn).is_some()) {
        return role.trust.text().to_owned();
    }
    let Ok(mut document) = serde_json::from_str::<Value>(role.trust.text()) else {
        return role.trust.text().to_owned();
    };
    let statements = match &mut document["Statement"] {
        Value::Array(statements) => statements.iter_mut().collect(),
        one => vec![one],
    };
    for statement in statements {
        for member in ["Principal", "NotPrincipal"] {
            let names = match statement.get_mut(member).and_then(|principal| principal.get_mut("AWS")) {
                Some(Value::Array(names)) => names.iter_mut().collect(),
                Some(one) => vec![one],
                None => continue,
            };
            for name in names {
                if let Some(id) = name.as_str().and_then(gone) {
                    *name = Value::String(id);
                }
            }
        }
    }
    document.to_string()
}

enum Known {
    /// A role, by its unique id.
    Role(String),
    Other,
    Nobody,
}

/// Whom an entry under `AWS` names. Another account's roles and users cannot be looked up here.
fn known(directory: &Directory, state: &State, name: &str) -> Known {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if name == "*" || is_account(name) {
        return Known::Other;
    }
    if name.starts_with("AROA") {
        // As it is read back from a policy whose role is gone: AWS takes only the id of a role that is there.
        return if state.roles.values().any(|role| role.id == name) { Known::Other } else { Known::Nobody };
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let ["arn", "aws", service @ ("iam" | "sts"), "", account, resource] = parts.as_slice() else {
        return Known::Nobody;
    };
    if *resource == "root" && is_account(account) {
        return Known::Other;
    }
    if *account != ACCOUNT {
        return Known::Nobody;
    }
    match (*service, resource.split_once('/')) {
        ("iam", Some(("user", "local"))) => Known::Other,
        ("iam", Some(("role", _))) => match state.role_by_arn(name) {
            Some(role) if directory.is_known(role.created) => Known::Role(role.id.clone()),
            _ => Known::Nobody,
        },
        ("sts", Some(("assumed-role", session))) => {
            let role = session.split_once('/').and_then(|(role, _)| state.role(role).ok());
            if role.is_some() { Known::Other } else { Known::Nobody }
        }
        _ => Known::Nobody,
    }
}

/// `ec2.amazonaws.com` and its like.
fn is_service(name: &str) -> bool {
    let host = name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host.split('.').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            })
    })
}
