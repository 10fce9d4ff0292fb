//! A plan for people: what, why, and what each change costs.

use std::time::Duration;

use pinfra_aws::catalog::KINDS;
use pinfra_engine::diff::{Cause, FieldChange, Shown};
use pinfra_engine::{Action, OnChange, Plan, Step};
use serde_json::Value;

use super::value::{cut, inline, stacked};
use super::{Page, count, duration, members};

/// Where the fields of a step begin.
const INDENT: &str = "      ";

/// Longer names of fields stand on a line of their own, and do not push the values of all others to the right.
const LONGEST_NAME: usize = 40;

/// Shorter steps are over before anybody has read about them.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// How much of a plan is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every field.
    Fields,
    /// A line a resource, and the fields of what exists and changes.
    Changes,
}

/// The plan as text, a line or more for each step and a summary.
pub fn draw(plan: &Plan, detail: Detail, page: Page) -> String {
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
        draw_step(step, detail, page, &mut text);
    }
    text.push_str(&format!("\n{}\n", summary(plan)));
    text
}

fn draw_step(step: &Step, detail: Detail, page: Page, text: &mut String) {
    let paint = page.paint;
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
    text.push_str(&format!("{sign} {address}  {verb}{lost}: {}{}\n", step.reason, paint.faint(&usually(step))));
    let is_new = step.action == Action::Create && !step.replaces;
    if is_new && detail == Detail::Changes {
        return;
    }
    let names = step.changes.iter().map(|change| change.path.chars().count());
    let width = names.filter(|name| *name <= LONGEST_NAME).max().unwrap_or(0);
    for change in &step.changes {
        draw_change(change, is_new, width, page, text);
    }
}

/// A field with its values: beside its name, or below it where there is no room.
fn draw_change(change: &FieldChange, is_new: bool, width: usize, page: Page, text: &mut String) {
    let why = if is_new { String::new() } else { format!("  ({}, {})", cost(change.on_change), cause(change.cause)) };
    let beside = INDENT.len() + width + 2 + why.chars().count();
    let why = page.paint.faint(&why);
    let is_long = change.path.chars().count() > width;
    let values = values(change, is_new, page.room_after(if is_long { INDENT.len() + 2 } else { beside }));
    match values.filter(|_| is_new || !holds_members(change)) {
        Some(values) if is_long => text.push_str(&format!("{INDENT}{}{why}\n{INDENT}  {values}\n", change.path)),
        Some(values) => text.push_str(&format!("{INDENT}{:width$}  {values}{why}\n", change.path)),
        None => {
            text.push_str(&format!("{INDENT}{}{why}\n", change.path));
            text.push_str(&members_of(change, page).unwrap_or_else(|| {
                let room = page.room_after(INDENT.len() + 4);
                let (before, after) = stacked(&shown(&change.before), &shown(&change.after), room);
                format!("{INDENT}  - {before}\n{INDENT}  + {after}\n")
            }));
        }
    }
}

/// Whether a value is a list of things with fields of their own, of which one line would say little.
fn holds_members(change: &FieldChange) -> bool {
    let holds = |shown: &Shown| match shown {
        Shown::Value(Value::Array(items)) => items.iter().any(Value::is_object),
        _ => false,
    };
    holds(&change.before) || holds(&change.after)
}

/// The members that come and go, where the field is a list.
fn members_of(change: &FieldChange, page: Page) -> Option<String> {
    let value = |shown: &Shown| match shown {
        Shown::Value(value) => Some(value.clone()),
        Shown::Absent => Some(Value::Null),
        Shown::Unknown(_) | Shown::Secret => None,
    };
    members::draw(&value(&change.before)?, &value(&change.after)?, &format!("{INDENT}  "), page)
}

/// How long it takes on AWS, where it takes long enough to be waited for.
fn usually(step: &Step) -> String {
    if step.usual < WORTH_TELLING { String::new() } else { format!("  (usually {})", duration(step.usual)) }
}

/// Both values on one line, where there is room for them.
fn values(change: &FieldChange, is_new: bool, room: Option<usize>) -> Option<String> {
    if is_new {
        return Some(cut(&shown(&change.after), room));
    }
    let both = format!("{} → {}", shown(&change.before), shown(&change.after));
    room.is_none_or(|room| both.chars().count() <= room).then_some(both)
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Value(value) => inline(value),
        Shown::Absent => "(none)".to_owned(),
        Shown::Unknown(source) => {
            format!("(known once {} is made)", source_of(source))
        }
        Shown::Secret => "(from the environment)".to_owned(),
    }
}

/// The resource that a value waits for: `kind.name#output`, or a text with `<kind.name#output>` in it.
fn source_of(source: &str) -> &str {
    let reference = source.split_once('<').map_or(source, |(_, rest)| rest);
    reference.split('#').next().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use pinfra_engine::Address;
    use serde_json::json;

    use super::*;
    use crate::report::Paint;

    fn step(kind: &str, action: Action, changes: Vec<FieldChange>) -> Step {
        Step {
            address: Address::new(kind, "x"),
            action,
            replaces: false,
            reason: "inputs differ".to_owned(),
            changes,
            needs: Vec::new(),
            usual: Duration::from_secs(1500),
            id: None,
            inputs: Value::Null,
            secrets: Default::default(),
            live: None,
            recorded_needs: Vec::new(),
            declared_at: String::new(),
        }
    }

    fn change(path: &str, before: Shown, after: Shown) -> FieldChange {
        FieldChange { path: path.to_owned(), before, after, on_change: OnChange::Update, cause: Cause::Drift }
    }

    fn drawn(steps: Vec<Step>, columns: Option<usize>) -> String {
        let plan = Plan { steps, ..Plan::default() };
        draw(&plan, Detail::Fields, Page { paint: Paint::OFF, columns })
    }

    #[test]
    fn a_step_says_what_why_at_which_cost_and_how_long() {
        let changes = vec![change("brokers", Shown::Value(json!(3)), Shown::Value(json!(6)))];
        insta::assert_snapshot!(drawn(vec![step("msk/cluster", Action::Update, changes)], Some(100)), @r"
          ~ msk/cluster.x  update: inputs differ  (usually 25 min)
              brokers  3 → 6  (in place, changed outside of pinfra)

        1 to update; usually 25 min on AWS
        ");
    }

    #[test]
    fn a_list_is_told_by_what_comes_and_goes_and_long_names_push_nothing_aside() {
        let arns = |last: &str| Shown::Value(json!([format!("arn:aws:kinesis:{}", "a".repeat(60)), last]));
        let long = "document.paths./streams/{stream-name}/record.PUT.requestValidator";
        let changes = vec![
            change("policy.Statement", arns("arn:old"), arns("arn:new")),
            change(long, Shown::Absent, Shown::Value(json!("body"))),
            change("name", Shown::Value(json!("a")), Shown::Value(json!("b"))),
        ];
        insta::assert_snapshot!(drawn(vec![step("iam/role_policy", Action::Update, changes)], Some(90)), @r#"
          ~ iam/role_policy.x  update: inputs differ  (usually 25 min)
              policy.Statement  (in place, changed outside of pinfra)
                - "arn:old"
                + "arn:new"
              document.paths./streams/{stream-name}/record.PUT.requestValidator  (in place, changed outside of pinfra)
                (none) → "body"
              name              "a" → "b"  (in place, changed outside of pinfra)

        1 to update; usually 25 min on AWS
        "#);
    }

    #[test]
    fn long_values_are_cut_at_the_page_and_whole_without_one() {
        let long = |end: &str| Shown::Value(json!({"Statement": [format!("{}{end}", "a".repeat(300))]}));
        let steps = || vec![step("iam/role_policy", Action::Update, vec![change("policy", long("old"), long("new"))])];
        let cut = drawn(steps(), Some(80));
        assert!(cut.lines().all(|line| line.chars().count() <= 80), "{cut}");
        assert!(cut.contains("old\"] }") && cut.contains("new\"] }"), "{cut}");
        assert!(drawn(steps(), None).contains(&"a".repeat(300)));
    }

    #[test]
    fn references_are_never_shown_as_they_are_kept() {
        let value =
            json!({"a": [{"$join": [{"$ref": "s3/bucket.lake#arn"}, "/*"]}], "b": {"$ref": "s3/bucket.lake#name"}});
        let unknown = Shown::Unknown("<msk/cluster.cluster#topics_arn>/pin".to_owned());
        let changes = vec![change("policy", Shown::Absent, Shown::Value(value)), change("arn", Shown::Absent, unknown)];
        let drawn = drawn(vec![step("iam/role_policy", Action::Create, changes)], None);
        assert!(!drawn.contains('$'), "{drawn}");
        assert!(drawn.contains(r#""a": ["<arn of s3/bucket.lake>/*"], "b": <name of s3/bucket.lake>"#), "{drawn}");
        assert!(drawn.contains("(known once msk/cluster.cluster is made)"), "{drawn}");
    }
}
