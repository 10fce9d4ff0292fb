//! The text of a policy, read into statements; what AWS would refuse to store is refused here, in AWS's words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::{ArnPattern, Pattern, Reading};
use super::principal::Principals;

/// A policy that was read.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::services::iam) struct Policy {
    pub(super) statements: Vec<Statement>,
}

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services::iam) enum Use {
    /// What an identity may do: resources, no principals.
    Identity,
    /// Who may become a role: principals, no resources.
    Trust,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) principals: Option<Principals>,
    pub(super) actions: Listed<Pattern>,
    pub(super) resources: Option<Listed<ArnPattern>>,
    pub(super) conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed<T> {
    pub(super) negated: bool,
    pub(super) patterns: Vec<T>,
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::services::iam) struct Malformed(pub(in crate::services::iam) String);

const POLICY_KEYS: &[&str] = &["Version", "Id", "Statement"];
const STATEMENT_KEYS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl Policy {
    /// Reads a document.
    pub(in crate::services::iam) fn read(text: &str, used_as: Use) -> Result<Policy, Malformed> {
        let document: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
        let document = document.as_object().ok_or_else(syntax)?;
        known_keys(document, POLICY_KEYS)?;
        let variables = match document.get("Version").map(Value::as_str) {
            Some(Some("2012-10-17")) => true,
            None | Some(Some("2008-10-17")) => false,
            Some(_) => return Err(malformed("Policy document must be version 2012-10-17 or greater.")),
        };
        let statements: Vec<&Value> = match document.get("Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(syntax()),
        };
        let mut sids = BTreeSet::new();
        let mut read = Vec::with_capacity(statements.len());
        for statement in statements {
            let statement = statement.as_object().ok_or_else(syntax)?;
            if let Some(sid) = sid(statement)?
                && !sids.insert(sid)
            {
                return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
            }
            read.push(read_statement(statement, used_as, variables)?);
        }
        Ok(Policy { statements: read })
    }

    /// Everyone that its statements name.
    pub(in crate::services::iam) fn principals(&self) -> impl Iterator<Item = &Principals> {
        self.statements.iter().filter_map(|statement| statement.principals.as_ref())
    }
}

fn malformed(message: impl Into<String>) -> Malformed {
    Malformed(message.into())
}

fn syntax() -> Malformed {
    malformed("Syntax errors in policy.")
}

fn known_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    if object.keys().all(|key| known.contains(&key.as_str())) { Ok(()) } else { Err(syntax()) }
}

fn sid(statement: &Map<String, Value>) -> Result<Option<&str>, Malformed> {
    let Some(sid) = statement.get("Sid") else { return Ok(None) };
    let sid = sid.as_str().ok_or_else(syntax)?;
    if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular \
             expression [A-Za-z0-9]*";
        return Err(malformed(message));
    }
    Ok(Some(sid).filter(|sid| !sid.is_empty()))
}

fn read_statement(statement: &Map<String, Value>, used_as: Use, variables: bool) -> Result<Statement, Malformed> {
    known_keys(statement, STATEMENT_KEYS)?;
    let effect = match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(syntax()),
    };
    let (principals, resources) = match used_as {
        Use::Trust => {
            if statement.contains_key("Resource") || statement.contains_key("NotResource") {
                return Err(malformed("Has prohibited field Resource"));
            }
            (Some(read_principals(statement)?), None)
        }
        Use::Identity => {
            if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
                return Err(malformed("Policy document should not specify a principal."));
            }
            (None, Some(read_resources(statement, variables)?))
        }
    };
    Ok(Statement {
        effect,
        principals,
        actions: read_actions(statement, used_as)?,
        resources,
        conditions: read_conditions(statement, variables)?,
    })
}

fn read_actions(statement: &Map<String, Value>, used_as: Use) -> Result<Listed<Pattern>, Malformed> {
    let (negated, actions) = one_of(statement, "Action", "Policy statement must contain actions.")?;
    for action in &actions {
        let vendor = action.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
        if action != "*" && !vendor {
            return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
        }
        if used_as == Use::Trust && !action.to_ascii_lowercase().starts_with("sts:") {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
        }
    }
    let reading = Reading { wildcards: true, variables: false };
    Ok(Listed { negated, patterns: actions.iter().map(|action| Pattern::new(action, reading)).collect() })
}

fn read_resources(statement: &Map<String, Value>, variables: bool) -> Result<Listed<ArnPattern>, Malformed> {
    let (negated, resources) = one_of(statement, "Resource", "Policy statement must contain resources.")?;
    if let Some(wrong) = resources.iter().find(|resource| *resource != "*" && !resource.starts_with("arn:")) {
        return Err(malformed(format!("Resource {wrong} must be in ARN format or \"*\".")));
    }
    let reading = Reading { wildcards: true, variables };
    Ok(Listed { negated, patterns: resources.iter().map(|arn| ArnPattern::new(arn, reading)).collect() })
}

/// The texts under `name` or under `Not<name>`, of which exactly one has to be there.
fn one_of(statement: &Map<String, Value>, name: &str, missing: &str) -> Result<(bool, Vec<String>), Malformed> {
    let negated_name = format!("Not{name}");
    let (negated, value) = match (statement.get(name), statement.get(&negated_name)) {
        (Some(value), None) => (false, value),
        (None, Some(value)) => (true, value),
        (None, None) => return Err(malformed(missing)),
        (Some(_), Some(_)) => return Err(syntax()),
    };
    let texts = texts(value)?;
    if texts.is_empty() { Err(malformed(missing)) } else { Ok((negated, texts)) }
}

fn read_principals(statement: &Map<String, Value>) -> Result<Principals, Malformed> {
    let (negated, value) = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(value), None) => (false, value),
        (None, Some(value)) => (true, value),
        (None, None) => return Err(malformed("Missing required field Principal")),
        (Some(_), Some(_)) => return Err(syntax()),
    };
    let mut principals = Principals { negated, everyone: false, aws: Vec::new(), services: Vec::new() };
    match value {
        Value::String(everyone) if everyone == "*" => principals.everyone = true,
        Value::Object(kinds) => {
            for (kind, value) in kinds {
                match kind.as_str() {
                    "AWS" => principals.aws = texts(value)?,
                    "Service" => principals.services = texts(value)?,
                    // They may be named; nobody of theirs comes to a local cloud.
                    "Federated" | "CanonicalUser" => {
                        texts(value)?;
                    }
                    _ => return Err(syntax()),
                }
            }
            if kinds.is_empty() {
                return Err(malformed("Missing required field Principal cannot be empty!"));
            }
        }
        _ => return Err(malformed("Invalid principal in policy.")),
    }
    Ok(principals)
}

fn read_conditions(statement: &Map<String, Value>, variables: bool) -> Result<Vec<Condition>, Malformed> {
    let Some(block) = statement.get("Condition") else { return Ok(Vec::new()) };
    let mut read = Vec::new();
    for (operator, keys) in block.as_object().ok_or_else(syntax)? {
        for (key, values) in keys.as_object().ok_or_else(syntax)? {
            let values = texts(values)?;
            read.push(Condition::read(operator, key, &values, variables).map_err(malformed)?);
        }
    }
    Ok(read)
}

/// One text or several; numbers and truth values are taken as their text, which conditions may hold.
fn texts(value: &Value) -> Result<Vec<String>, Malformed> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(syntax()),
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}
