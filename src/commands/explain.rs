//! `pinfra explain`: the kinds there are, their fields, and what a change to each costs. Contacts nobody.

use pinfra_aws::catalog::KINDS;
use pinfra_engine::{KindInfo, OnChange};
use serde_json::json;

use super::context::Context;
use crate::report::{Failure, duration};
use crate::spec::nearest::nearest;

/// Explains one kind, or lists them all.
pub(super) fn run(context: &Context, kind: Option<&str>) -> Result<(), Failure> {
    let Some(wanted) = kind else {
        let width = KINDS.iter().map(|info| info.kind.len()).max().unwrap_or(0);
        let lines: String = KINDS.iter().map(|info| format!("{:width$}  {}\n", info.kind, info.summary)).collect();
        let kinds: Vec<_> = KINDS.iter().map(|info| json!({"kind": info.kind, "summary": info.summary})).collect();
        context.result(&lines, "kinds", json!({ "kinds": kinds }))?;
        return Ok(());
    };
    let Some(info) = KINDS.iter().find(|info| info.kind == wanted) else {
        let names = KINDS.iter().map(|info| info.kind);
        let hint = match nearest(wanted, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(Failure::new(format!("this version of pinfra has no kind `{wanted}`")).hint(hint));
    };
    let fields: Vec<_> = info
        .fields
        .iter()
        .map(|field| json!({"name": field.name, "on_change": field.on_change, "doc": field.doc}))
        .collect();
    let outputs: Vec<_> = info.outputs.iter().map(|(name, doc)| json!({"name": name, "doc": doc})).collect();
    let value = json!({"kind": info.kind, "summary": info.summary, "fields": fields, "outputs": outputs});
    context.result(&draw(info), "kind", value)
}

fn draw(info: &KindInfo) -> String {
    let mut text = format!("{}: {}\n\ninputs, and what a change costs\n", info.kind, info.summary);
    let width = info.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
    for field in info.fields {
        let cost = match field.on_change {
            OnChange::Update => "in place",
            OnChange::Replace => "replaces",
            OnChange::Ignore => "nothing",
        };
        text.push_str(&format!("  {:width$}  {cost:8}  {}\n", field.name, field.doc));
    }
    text.push_str("\noutputs\n");
    for (name, doc) in info.outputs {
        text.push_str(&format!("  {name:width$}  {doc}\n"));
    }
    text.push_str(&format!(
        "\nusually takes on AWS: {} to create, {} to update, {} to destroy\n",
        duration(info.usual_create),
        duration(info.usual_update),
        duration(info.usual_delete)
    ));
    text
}
