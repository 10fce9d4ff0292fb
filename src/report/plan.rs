//! A plan for people: what, why, and what each change costs.

use pinfra_aws::catalog::KINDS;
use pinfra_engine::diff::{Cause, FieldChange, Shown};
use pinfra_engine::{Action, OnChange, Plan, Step};
use serde_json::Value;

use super::{Paint, count, duration};

/// How much of a plan is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every field.
    Fields,
    /// A line a resource, and the fields of what exists and changes.
    Changes,
}

/// The plan as text, a line or more for each step and a summary.
pub fn draw(plan: &Plan, detail: Detail, paint: Paint) -> String {
    if plan.is_empty() {
        return format!(
            "no changes: {} as the stack file says\n",
            match plan.unchanged {
                0 => "nothing is there,".to_owned(),
                1 => "1 resource is".to_owned(),
                n => format!("{n} resources are"),
            }
        );
    }
    let mut text = String::new();
    // The delete half of a replacement is told with its create half.
    for step in plan.steps.iter().filter(|step| !(step.replaces && step.action != Action::Create)) {
        draw_step(step, detail, paint, &mut text);
    }
    text.push_str(&format!("\n{}\n", summary(plan)));
    text
}

fn draw_step(step: &Step, detail: Detail, paint: Paint, text: &mut String) {
    let (sign, verb) = match (step.action, step.replaces) {
        (Action::Create, true) => (paint.bad("-/+"), "replace"),
        (Action::Create, false) => (paint.good("  +"), "create"),
        (Action::Update, _) => (paint.change("  ~"), "update"),
        (Action::Adopt, _) => (paint.change("  >"), "adopt"),
        (Action::Delete, _) => (paint.bad("  -"), "destroy"),
        (Action::Forget, _) => (paint.faint("  ."), "forget"),
    };
    let address = paint.strong(&step.address.to_string());
    let kind = KINDS.iter().find(|info| info.kind == step.address.kind());
    let lost = kind.map(|info| info.loses).filter(|lost| !lost.is_empty());
    let lost = lost.filter(|_| step.action == Action::Delete || step.replaces);
    let lost = lost.map(|lost| paint.bad(&format!(", with {lost}"))).unwrap_or_default();
    text.push_str(&format!("{sign} {address}  {verb}{lost}: {}\n", step.reason));
    let is_new = step.action == Action::Create && !step.replaces;
    if is_new && detail == Detail::Changes {
        return;
    }
    let width = step.changes.iter().map(|change| change.path.chars().count()).max().unwrap_or(0).min(40);
    for change in &step.changes {
        text.push_str(&format!("      {:width$}  {}", change.path, values(change, is_new)));
        if !is_new {
            text.push_str(&paint.faint(&format!("  ({}, {})", cost(change.on_change), cause(change.cause))));
        }
        text.push('\n');
    }
}

fn values(change: &FieldChange, is_new: bool) -> String {
    if is_new { shown(&change.after) } else { format!("{} → {}", shown(&change.before), shown(&change.after)) }
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Value(Value::String(text)) => format!("{text:?}"),
        Shown::Value(value) => value.to_string(),
        Shown::Absent => "(none)".to_owned(),
        Shown::Unknown(reference) => {
            format!("(known once {} is made)", reference.split('#').next().unwrap_or_default())
        }
        Shown::Secret => "(from the environment)".to_owned(),
    }
}

fn cost(on_change: OnChange) -> &'static str {
    match on_change {
        OnChange::Update => "in place",
        OnChange::Replace => "replaces",
        OnChange::Ignore => "costs nothing",
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "not recorded before",
        Cause::StackFile => "stack file",
        Cause::Drift => "changed outside of pinfra",
    }
}

/// One line: how many of each.
pub fn summary(plan: &Plan) -> String {
    let number = |wanted: &dyn Fn(&&Step) -> bool| plan.steps.iter().filter(wanted).count();
    let parts = [
        (number(&|s| s.action == Action::Create && !s.replaces), "to create"),
        (number(&|s| s.action == Action::Update), "to update"),
        (number(&|s| s.action == Action::Create && s.replaces), "to replace"),
        (number(&|s| s.action == Action::Adopt), "to adopt"),
        (number(&|s| s.action == Action::Delete && !s.replaces), "to destroy"),
        (number(&|s| s.action == Action::Forget && !s.replaces), "to forget"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let unchanged =
        if plan.unchanged > 0 { format!("; {} unchanged", count(plan.unchanged, "resource")) } else { String::new() };
    format!("{}{unchanged}; usually {} on AWS", parts.join(", "), duration(plan.usual_duration()))
}
