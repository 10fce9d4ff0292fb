//! SimulatePrincipalPolicy: what a role could do, asked without doing it.

use serde_json::{Value, json};

use super::input::{text, texts};
use super::policy::{Context, Decision, Policy, Use};
use super::{Iam, errors};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// What would change the answer and is not looked at here.
const NOT_HERE: &[&str] = &["ResourcePolicy", "PermissionsBoundaryPolicyInputList", "PolicyExclusionList"];

pub(super) fn simulate(iam: &Iam, asked: &Value) -> Result<Value, ApiError> {
    if let Some(member) = NOT_HERE.iter().find(|member| !asked[**member].is_null()) {
        let message = format!("the local cloud does not simulate with {member}; leave it out");
        return Err(errors::invalid_input(message));
    }
    let source = text(asked, "PolicySourceArn");
    let is_user = source == format!("arn:aws:iam::{ACCOUNT}:user/local");
    let state = iam.directory.state();
    let role = state.role_by_arn(source);
    if !is_user && role.is_none() {
        return Err(errors::no_such_entity(format!("The entity with ARN {source} cannot be found.")));
    }
    let read = |document: &str| Policy::read(document, Use::Identity);
    let more: Result<Vec<Policy>, _> = texts(asked, "PolicyInputList").map(read).collect();
    let more = more.map_err(|error| errors::invalid_input(error.to_string()))?;
    let context = context(asked);
    let resources: Vec<&str> = match texts(asked, "ResourceArns").collect::<Vec<_>>() {
        none if none.is_empty() => vec!["*"],
        listed => listed,
    };
    let mut results = Vec::new();
    for action in texts(asked, "ActionNames") {
        for resource in &resources {
            let decision = match role {
                Some(role) => iam.decision(&role.name, &more, action, resource, &context)?,
                None => Decision::Allowed,
            };
            let decision = match decision {
                Decision::Allowed => "allowed",
                Decision::NotAllowed => "implicitDeny",
                Decision::Denied => "explicitDeny",
            };
            let result = json!({
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": decision,
                "MatchedStatements": [],
                "MissingContextValues": [],
            });
            // The same order at every call, which is what a marker counts on.
            results.push((format!("{:08}", results.len()), result));
        }
    }
    super::pages::page(results, asked, "EvaluationResults")
}

fn context(asked: &Value) -> Context {
    let mut context = Context::default();
    for entry in asked["ContextEntries"].as_array().into_iter().flatten() {
        let values = texts(entry, "ContextKeyValues").map(str::to_owned).collect();
        context = context.with_all(text(entry, "ContextKeyName"), values);
    }
    context
}
