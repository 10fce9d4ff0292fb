//! `drift --accept ADDRESS[#FIELD]`: writes what is there into the stack file, and nothing else.
//!
//! ```text
//! finding ─feeds→ keys and values ─edit→ another text ─parse, expand→ another graph
//! ```
//!
//! Before the file is written, both graphs are compared: every field that differs between them has to be one that drifted,
//! and what the new graph asks for has to be what is there. So a key that says more than what was accepted is never changed
//! in passing; the refusal tells what else hangs on it.

mod proof;

use pinfra_engine::diff::at;
use pinfra_engine::observe::{Observation, Observed};
use pinfra_engine::state::Place;
use pinfra_engine::{Address, Drift, Finding, What};
use proof::prove;
use serde_json::{Value, json};

use super::write::replace_file;
use crate::cli::drift::AcceptArg;
use crate::commands::context::Context;
use crate::expand::Facts;
use crate::expand::feeds::{self, Says};
use crate::report::value::inline;
use crate::report::{Failure, patch};
use crate::spec::edit::{self, Edited, Scalar};
use crate::spec::nearest::nearest;
use crate::spec::{Source, Stack};

/// What an acceptance is made from.
pub(super) struct Ground<'a> {
    /// The stack file as it is.
    pub(super) stack: &'a Stack,
    /// Where the stack lives.
    pub(super) place: &'a Place,
    /// What its graph depends on besides.
    pub(super) facts: &'a Facts,
    /// What there is.
    pub(super) observed: &'a Observed,
    /// What differs.
    pub(super) drift: &'a Drift,
    /// The variables of the environment.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Ground<'_> {
    /// The inputs that a resource has now.
    fn live(&self, address: &Address) -> Option<&Value> {
        match self.observed.get(address)? {
            Observation::Present { live, .. } => Some(&live.inputs),
            Observation::Absent | Observation::Theirs { .. } => None,
        }
    }
}

/// A key of the stack file that changes.
#[derive(Debug, PartialEq)]
struct Accepted {
    address: Address,
    field: String,
    key: String,
    live: Value,
}

/// Writes what was found into the stack file, or only shows what would be written.
pub(super) fn run(context: &Context, ground: &Ground<'_>, wanted: &[AcceptArg], dry_run: bool) -> Result<(), Failure> {
    let source = &ground.stack.source;
    let (text, accepted) = accept(ground, wanted)?;
    let name = source.path.display().to_string();
    let edited = Source::new(&source.path, text);
    if !dry_run {
        replace_file(&source.path, &source.text, &edited.text)?;
        for one in &accepted {
            context.tell(&format!("{name}: `{}` says now what is there: {}", one.key, inline(&one.live)));
        }
        context.tell(&format!(
            "`pinfra up {name}` records it; until then, `status` and a `drift` without the file still compare with what \
             was recorded before"
        ));
    }
    // What must not be shown is starred out in both.
    let difference = patch::unified(&name, &source.shown(), &edited.shown(), context.paint_out);
    let accepted: Vec<Value> = accepted
        .iter()
        .map(|one| json!({"address": one.address, "field": one.field, "key": one.key, "live": one.live}))
        .collect();
    let value = json!({"file": name, "written": !dry_run, "accepted": accepted, "difference": difference});
    context.result(if dry_run { &difference } else { "" }, "accepted", value)
}

/// The text of the stack file that says what is there, and the keys that changed; or everything that stands against it.
fn accept(ground: &Ground<'_>, wanted: &[AcceptArg]) -> Result<(String, Vec<Accepted>), Failure> {
    let mut source = Source::clone(&ground.stack.source);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for asked in wanted {
        for finding in found(ground.drift, asked)? {
            match accept_one(ground, &source, finding) {
                Ok((text, keys)) => {
                    source.text = text;
                    accepted.extend(keys);
                }
                Err(why) => refused.push(refusal(finding, &why)),
            }
        }
    }
    if !refused.is_empty() {
        return Err(Failure::many(refused));
    }
    prove(ground, &source, &accepted)?;
    Ok((source.text, accepted))
}

fn refusal(finding: &Finding, why: &str) -> Failure {
    let at =
        if finding.declared_at.is_empty() { String::new() } else { format!("\n  declared at {}", finding.declared_at) };
    Failure::new(format!("`{}` cannot be accepted: {why}{at}", called(finding))).hint("nothing was written")
}

fn called(finding: &Finding) -> String {
    match &finding.field {
        Some(field) => format!("{}#{field}", finding.address),
        None => finding.address.to_string(),
    }
}

/// What differs of what was asked for.
fn found<'a>(drift: &'a Drift, asked: &AcceptArg) -> Result<Vec<&'a Finding>, Failure> {
    let at_address = || drift.findings.iter().filter(|finding| finding.address == asked.address);
    let found: Vec<&Finding> = match &asked.field {
        None => at_address().collect(),
        Some(field) => {
            at_address().filter(|finding| finding.field.as_deref().is_some_and(|is| is_below(is, field))).collect()
        }
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let others: Vec<String> = match at_address().next() {
        Some(_) => at_address().map(called).collect(),
        None => drift.findings.iter().map(called).collect(),
    };
    let wanted = match &asked.field {
        Some(field) => format!("{}#{field}", asked.address),
        None => asked.address.to_string(),
    };
    let failure = Failure::new(format!("nothing differs at `{wanted}`"));
    Err(match nearest(&wanted, others.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if others.is_empty() => failure.hint("there is no drift"),
        None => failure.hint(format!("there is drift at {}", others.join(", "))),
    })
}

fn is_below(field: &str, above: &str) -> bool {
    field.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The text in which the keys behind a finding say what is there.
fn accept_one(ground: &Ground<'_>, source: &Source, finding: &Finding) -> Result<(String, Vec<Accepted>), String> {
    let field = finding.field.as_ref().filter(|_| matches!(finding.what, What::Changed | What::Unmanaged));
    let (Some(field), Some(live)) = (field, ground.live(&finding.address)) else {
        return Err(match finding.what {
            What::Missing => "it is gone, so take it out of the stack file by hand".to_owned(),
            What::Unmanaged => "no key of the stack file declares such a thing".to_owned(),
            What::Changed | What::Unhealthy => "it is about no value that a stack file has".to_owned(),
        });
    };
    if finding.secret {
        return Err("its value is a secret, which is written nowhere".to_owned());
    }
    // A finding may be about one of several things in a field, and a key is about all of it.
    let keys = feeds::keys(&finding.address, field, at(live, field));
    let direct: Vec<(&Vec<String>, &Says)> =
        keys.iter().filter_map(|(key, says)| Some((key, says.as_ref()?))).collect();
    if direct.is_empty() {
        return Err(no_key(&keys));
    }
    let mut edited = Edited { text: source.text.clone(), changed: false };
    let mut accepted = Vec::new();
    for (key, says) in direct {
        let path: Vec<&str> = key.iter().map(String::as_str).collect();
        let before = Source::new(&source.path, edited.text);
        edited = match says {
            Says::Value(value) => edit::set(&before, &path, value),
            Says::Nothing => edit::remove(&before, &path),
        }
        .map_err(|error| error.to_string())?;
        if edited.changed {
            let live = match says {
                Says::Value(Scalar::Flag(flag)) => json!(flag),
                Says::Value(Scalar::Whole(number)) => json!(i64::try_from(*number).unwrap_or(i64::MAX)),
                Says::Value(Scalar::Text(text)) => json!(text),
                Says::Nothing => Value::Null,
            };
            accepted.push(Accepted {
                address: finding.address.clone(),
                field: field.clone(),
                key: key.join("."),
                live,
            });
        }
    }
    Ok((edited.text, accepted))
}

/// Why there is no key to change: pinfra sets the field, or it follows from keys.
fn no_key(keys: &[(Vec<String>, Option<Says>)]) -> String {
    let names: Vec<String> = keys.iter().map(|(key, _)| format!("`{}`", key.join("."))).collect();
    match names.as_slice() {
        [] => "pinfra sets this by itself, and no key of the stack file says otherwise".to_owned(),
        [key] => format!("it follows from {key}, among other things: change that by hand"),
        keys => format!("it follows from {}: change one of them by hand", keys.join(", ")),
    }
}

#[cfg(test)]
mod tests;
