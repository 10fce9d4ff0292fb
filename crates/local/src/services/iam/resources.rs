//! Which resources a call to IAM is about, as the policies of its caller name them ("Actions, resources, and condition
//! keys for AWS Identity and Access Management", service authorization reference).

use serde_json::Value;

use super::directory::State;
use super::input;
use crate::credentials::ACCOUNT;

/// ARNs; `*` for listings.
pub(super) fn named(state: &State, asked: &Value) -> Vec<String> {
    if let Some(arn) = asked["PolicySourceArn"].as_str() {
        return vec![arn.to_owned()];
    }
    if let Some(name) = asked["InstanceProfileName"].as_str() {
        let there = state.profile(name).map(|profile| profile.arn());
        return vec![there.unwrap_or_else(|_| new_arn("instance-profile", asked, name))];
    }
    // Attaching is judged by the role; the policy is a condition key.
    if let Some(name) = asked["RoleName"].as_str() {
        return vec![state.role(name).map(|role| role.arn()).unwrap_or_else(|_| new_arn("role", asked, name))];
    }
    if let Some(arn) = asked["PolicyArn"].as_str() {
        return vec![arn.to_owned()];
    }
    if let Some(name) = asked["PolicyName"].as_str() {
        return vec![new_arn("policy", asked, name)];
    }
    vec!["*".to_owned()]
}

fn new_arn(kind: &str, asked: &Value, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{kind}{}{name}", input::path(asked))
}
