//! Whether a request is allowed: an explicit deny wins over every allow, and what nobody allows is not allowed.

use std::collections::BTreeMap;

use super::context::Context;
use super::document::{Effect, Policy, Statement};
use super::principal::{Asker, Meant};

/// What policies say of one action on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::iam) enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// No statement is about it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

/// What a trust policy says of somebody who wants to become its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::iam) enum Trust {
    /// It names them: nothing else is needed in the same account.
    Named,
    /// It trusts their account: policies of their own have to allow it, too.
    Delegated,
    /// It does not mean them, or it denies.
    Refused,
}

/// What identity-based policies say together.
pub(in crate::services::iam) fn decide<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    action: &str,
    resource: &str,
    context: &Context,
) -> Decision {
    let mut decision = Decision::NotAllowed;
    for statement in policies.into_iter().flat_map(|policy| &policy.statements) {
        if !is_about(statement, action, Some(resource), context) {
            continue;
        }
        match statement.effect {
            Effect::Deny => return Decision::Denied,
            Effect::Allow => decision = Decision::Allowed,
        }
    }
    decision
}

/// What a trust policy says; `ids` as in [`super::principal::Principals::mean`].
pub(in crate::services::iam) fn trusts(
    policy: &Policy,
    asker: Asker<'_>,
    ids: &BTreeMap<String, String>,
    action: &str,
    context: &Context,
) -> Trust {
    let mut trust = Trust::Refused;
    for statement in &policy.statements {
        let Some(meant) = statement.principals.as_ref().and_then(|principals| principals.mean(asker, ids)) else {
            continue;
        };
        if !is_about(statement, action, None, context) {
            continue;
        }
        trust = match (statement.effect, meant, trust) {
            (Effect::Deny, _, _) => return Trust::Refused,
            (Effect::Allow, Meant::ByName, _) | (_, _, Trust::Named) => Trust::Named,
            (Effect::Allow, Meant::ByAccount, _) => Trust::Delegated,
        };
    }
    trust
}

/// A trust policy has no resource: it is the role's own.
fn is_about(statement: &Statement, action: &str, resource: Option<&str>, context: &Context) -> bool {
    let listed = statement.actions.patterns.iter().any(|pattern| pattern.matches(action, context, true));
    if listed == statement.actions.negated {
        return false;
    }
    if let (Some(resources), Some(resource)) = (&statement.resources, resource) {
        let listed = resources.patterns.iter().any(|pattern| pattern.matches(resource, context));
        if listed == resources.negated {
            return false;
        }
    }
    statement.conditions.iter().all(|condition| condition.holds(context))
}
