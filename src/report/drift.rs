//! Drift for people: what differs, grouped by resource, and what can be done about it; and the same as one JSON object.

use std::collections::{BTreeMap, BTreeSet};

use pinfra_aws::catalog::KINDS;
use pinfra_engine::{Address, Drift, Finding, OnChange, What};
use serde_json::{Value, json};

use super::value::{cut, inline, plain, stacked};
use super::{Page, count, members};

/// What was compared, and what came of it: all that reports are made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The stack file as it was named, where one was.
    pub file: Option<&'a str>,
    /// The resources that were compared.
    pub addresses: &'a [Address],
    /// What differs and counts.
    pub drift: &'a Drift,
    /// What differs and was told to be ignored.
    pub ignored: &'a [Ignored],
}

/// A difference that a rule of `--ignore` takes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Ignored {
    /// What differs.
    pub finding: Finding,
    /// The rule, as `file:line`.
    pub rule: String,
    /// What the rule's comment says.
    pub why: String,
}

/// Below this, values stand under their field.
const NARROW: usize = 80;

/// The report as text.
pub fn draw(report: &Report<'_>, page: Page) -> String {
    if report.drift.is_empty() {
        return no_drift(report);
    }
    let mut text = String::new();
    for findings in report.drift.findings.chunk_by(|a, b| a.address == b.address) {
        draw_resource(findings, page, &mut text);
    }
    text.push_str(&format!("\n{}\n", summary(report)));
    for line in advice(report).iter().flat_map(|advice| wrapped(advice, page.columns)) {
        text.push_str(&format!("{line}\n"));
    }
    text
}

fn no_drift(report: &Report<'_>) -> String {
    format!("no drift: {} compared{}\n", count(report.drift.compared, "resource"), ignored(report))
}

/// One line: how many resources differ, and in what.
pub fn summary(report: &Report<'_>) -> String {
    let differ: BTreeSet<&Address> = report.drift.findings.iter().map(|finding| &finding.address).collect();
    let mut of: BTreeMap<What, usize> = BTreeMap::new();
    for finding in &report.drift.findings {
        *of.entry(finding.what).or_default() += 1;
    }
    let parts: Vec<String> = of.iter().map(|(what, n)| format!("{n} {}", what.name())).collect();
    let (differs, of) = (if differ.len() == 1 { "differs" } else { "differ" }, report.drift.compared);
    format!("{} of {} {differs}: {}{}", differ.len(), count(of, "resource"), parts.join(", "), ignored(report))
}

fn ignored(report: &Report<'_>) -> String {
    match report.ignored.len() {
        0 => String::new(),
        n => format!("; {} ignored", count(n, "difference")),
    }
}

/// What can be done about what was found.
fn advice(report: &Report<'_>) -> Vec<String> {
    let has = |what: What| report.drift.findings.iter().any(|finding| finding.what == what);
    let Some(file) = report.file else {
        return vec![
            "this is compared with what the last run recorded; with what the stack file says: `pinfra drift STACK.yaml`"
                .to_owned(),
        ];
    };
    let mut advice: Vec<String> =
        up_does(report).map(|does| format!("`pinfra up {file}` {does}")).into_iter().collect();
    if has(What::Changed) {
        advice.push(format!("`pinfra drift {file} --accept ADDRESS#FIELD` writes what is there into the stack file"));
    }
    if report.drift.findings.iter().any(|finding| fate(finding) == Fate::Refused) {
        advice.push("what is somebody else's now is in the way of `up`, which refuses to touch it".to_owned());
    }
    if report.drift.findings.iter().any(|finding| finding.what == What::Unmanaged && fate(finding) == Fate::Left) {
        let left = "what stands beside the stack's own is left alone by `up`: remove it, declare it, or name it in a file \
                    for `--ignore`";
        advice.push(left.to_owned());
    }
    if has(What::Unhealthy) {
        advice.push(format!(
            "what is unhealthy: `pinfra plan {file}` tells what `up` would mend of it, `pinfra status` more"
        ));
    }
    advice
}

/// What becomes of a finding at the next `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The field is brought to what the stack file says.
    PutBack,
    /// The resource is made.
    Made,
    /// It is in a field of a resource, and goes; or the stack file has it no more.
    TakenAway,
    /// It is somebody else's, and the plan is refused.
    Refused,
    /// Nothing; of what is unhealthy, the plan tells what `up` would mend.
    Left,
}

fn fate(finding: &Finding) -> Fate {
    match finding.what {
        What::Changed => Fate::PutBack,
        What::Unhealthy if finding.field.is_some() => Fate::PutBack,
        What::Missing if finding.id.is_some() => Fate::Refused,
        What::Missing => Fate::Made,
        // What was found beside the stack's own says what it is; what was recorded and is asked for no more does not.
        What::Unmanaged if finding.field.is_some() || finding.live.is_none() => Fate::TakenAway,
        What::Unmanaged | What::Unhealthy => Fate::Left,
    }
}

/// What `up` does about what was found; `None` where that is nothing.
pub(super) fn up_does(report: &Report<'_>) -> Option<String> {
    let does = [
        (Fate::PutBack, "puts back what is changed"),
        (Fate::Made, "makes what is missing"),
        (Fate::TakenAway, "takes away what is unmanaged in the stack's own resources"),
    ];
    let is_found = |fate_is: Fate| report.drift.findings.iter().any(|finding| fate(finding) == fate_is);
    let said: Vec<&str> = does.into_iter().filter(|(fate, _)| is_found(*fate)).map(|(_, said)| said).collect();
    match said.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

fn draw_resource(findings: &[Finding], page: Page, text: &mut String) {
    let Some(first) = findings.first() else { return };
    let paint = page.paint;
    let at = if first.declared_at.is_empty() { String::new() } else { format!("  {}", first.declared_at) };
    text.push_str(&format!("{}{}\n", paint.strong(&plain(&first.address.to_string())), paint.faint(&plain(&at))));
    let width = findings.iter().map(|finding| subject(finding).chars().count()).max().unwrap_or(0).min(40);
    for finding in findings {
        draw_finding(finding, width, page, text);
    }
}

/// What a finding is about: its field, or what kind of difference it is.
fn subject(finding: &Finding) -> String {
    match (&finding.field, finding.what) {
        (Some(field), _) => plain(field),
        (None, what) => what.name().to_owned(),
    }
}

fn draw_finding(finding: &Finding, width: usize, page: Page, text: &mut String) {
    let paint = page.paint;
    let sign = match finding.what {
        What::Changed => paint.change("~"),
        What::Missing => paint.bad("-"),
        What::Unmanaged => paint.change("+"),
        What::Unhealthy => paint.bad("!"),
    };
    let subject = subject(finding);
    let cost = cost(finding);
    match shown(finding) {
        Shown::Nothing => text.push_str(&format!("  {sign} {subject}\n")),
        Shown::Live(live) => {
            let taken = "  + ".len() + width.max(subject.chars().count()) + 2;
            text.push_str(&format!("  {sign} {subject:width$}  {}\n", cut(&live, page.room_after(taken))));
        }
        Shown::Both(wanted, live) => {
            let taken = "  ~ ".len() + width.max(subject.chars().count()) + "   → ".chars().count();
            let needed = taken + wanted.chars().count() + live.chars().count();
            if page.columns.is_none_or(|columns| columns >= NARROW.max(needed)) {
                text.push_str(&format!("  {sign} {subject:width$}  {wanted} → {live}\n"));
            } else if let Some(members) = members_of(finding, page) {
                text.push_str(&format!("  {sign} {subject}\n{members}"));
            } else {
                let (wanted, live) = stacked(&wanted, &live, page.room_after("      wanted ".len()));
                text.push_str(&format!("  {sign} {subject}\n      wanted {wanted}\n      live   {live}\n"));
            }
        }
    }
    // Two values side by side say what is wrong; anything else needs words.
    let detail = if is_told_by_values(finding) { String::new() } else { plain(&finding.detail) };
    let sentences = [detail, cost.unwrap_or_default()];
    let said: Vec<&str> = sentences.iter().map(String::as_str).filter(|sentence| !sentence.is_empty()).collect();
    for line in wrapped(&said.join("; "), page.room_after("      ".len())) {
        text.push_str(&format!("      {}\n", paint.faint(&line)));
    }
}

/// What of a list is not there (`-`), and what is there and nobody asked for (`+`).
fn members_of(finding: &Finding, page: Page) -> Option<String> {
    let (wanted, live) = (finding.wanted.as_ref()?, finding.live.as_ref()?);
    members::draw(wanted, live, "      ", page).filter(|_| !finding.secret)
}

/// What is shown of a finding's values.
enum Shown {
    /// It is not about a value.
    Nothing,
    /// What is there, and nothing should be.
    Live(String),
    /// What is wanted, and what is there.
    Both(String, String),
}

fn shown(finding: &Finding) -> Shown {
    match (&finding.wanted, &finding.live) {
        _ if finding.secret => Shown::Both("(a secret)".to_owned(), "(another one)".to_owned()),
        (None, None) => Shown::Nothing,
        (None, Some(live)) if finding.what == What::Unmanaged => Shown::Live(members::said(live)),
        (wanted, live) => {
            let said = |value: &Option<Value>| value.as_ref().map_or_else(|| or_none(None), members::said);
            Shown::Both(said(wanted), said(live))
        }
    }
}

/// Whether a finding is a field with two values, neither of which is a secret.
pub(super) fn is_told_by_values(finding: &Finding) -> bool {
    finding.what == What::Changed && finding.field.is_some() && !finding.secret
}

/// A value on one line, `(none)` where there is none.
pub(super) fn or_none(value: Option<&Value>) -> String {
    value.filter(|value| !value.is_null()).map_or_else(|| "(none)".to_owned(), inline)
}

/// What it would cost to make it as the stack file says.
fn cost(finding: &Finding) -> Option<String> {
    let info = KINDS.iter().find(|info| info.kind == finding.address.kind())?;
    let field = finding.field.as_ref().filter(|_| finding.what == What::Changed)?;
    match info.on_change(field) {
        OnChange::Replace if info.loses.is_empty() => Some("`up` would replace the resource".to_owned()),
        OnChange::Replace => Some(format!("`up` would replace the resource, and {} would be lost", info.loses)),
        OnChange::Update | OnChange::Ignore => None,
    }
}

/// Lines of at most so many columns, broken between words.
fn wrapped(text: &str, columns: Option<usize>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns.is_none_or(|most| line.chars().count() + 1 + word.chars().count() <= most) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The report as one JSON object. It is a contract: `docs/drift.md` lists its fields.
pub fn object(report: &Report<'_>) -> Value {
    let ignored: Vec<Value> = report
        .ignored
        .iter()
        .map(|ignored| json!({"finding": ignored.finding, "rule": ignored.rule, "why": ignored.why}))
        .collect();
    json!({
        "stack": report.stack, "file": report.file, "compared": report.drift.compared,
        "findings": report.drift.findings, "ignored": ignored,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::Paint;

    pub(crate) fn finding(address: &str, what: What, field: Option<&str>) -> Finding {
        Finding {
            address: address.parse().unwrap(),
            id: None,
            what,
            field: field.map(str::to_owned),
            wanted: None,
            live: None,
            detail: String::new(),
            declared_at: "stacks/dev.yaml:7:3".to_owned(),
            secret: false,
        }
    }

    /// One finding of each sort.
    pub(in crate::report) fn some() -> (Vec<Address>, Drift) {
        let mut drift = Drift { compared: 5, findings: Vec::new() };
        let storage = Finding {
            wanted: Some(json!(10)),
            live: Some(json!(20)),
            ..finding("msk/cluster.cluster", What::Changed, Some("storage_gib"))
        };
        let team = Finding {
            wanted: Some(json!("data")),
            detail: "the tag `team` was taken off".to_owned(),
            ..finding("msk/cluster.cluster", What::Changed, Some("tags.team"))
        };
        let stream =
            Finding { detail: "the stream is gone".to_owned(), ..finding("kinesis/stream.pin", What::Missing, None) };
        let rule = Finding {
            id: Some("sgr-1".to_owned()),
            live: Some(json!({"from_port": 22, "peer": "0.0.0.0/0"})),
            detail: "a rule that nobody declared lets tcp 22 in from 0.0.0.0/0".to_owned(),
            ..finding("ec2/security_group.client", What::Unmanaged, Some("rules"))
        };
        let key = Finding { secret: true, ..finding("worker/process.emulator", What::Changed, Some("config.source")) };
        let connector = Finding {
            detail: "the connector is FAILED: it cannot reach its bucket".to_owned(),
            ..finding("msk_connect/connector.s3", What::Unhealthy, None)
        };
        drift.extend([storage, team, stream, rule, key, connector]);
        let addresses: BTreeSet<Address> = drift.findings.iter().map(|finding| finding.address.clone()).collect();
        (addresses.into_iter().collect(), drift)
    }

    fn drawn(columns: usize) -> String {
        let (addresses, drift) = some();
        let file = Some("stacks/dev.yaml");
        let report = Report { stack: "dev", file, addresses: &addresses, drift: &drift, ignored: &[] };
        draw(&report, Page { paint: Paint::OFF, columns: Some(columns) })
    }

    #[test]
    fn wide_pages_have_a_line_a_field() {
        insta::assert_snapshot!(drawn(100), @r#"
        ec2/security_group.client  stacks/dev.yaml:7:3
          + rules  { "from_port": 22, "peer": "0.0.0.0/0" }
              a rule that nobody declared lets tcp 22 in from 0.0.0.0/0
        kinesis/stream.pin  stacks/dev.yaml:7:3
          - missing
              the stream is gone
        msk/cluster.cluster  stacks/dev.yaml:7:3
          ~ storage_gib  10 → 20
          ~ tags.team    "data" → (none)
        msk_connect/connector.s3  stacks/dev.yaml:7:3
          ! unhealthy
              the connector is FAILED: it cannot reach its bucket
        worker/process.emulator  stacks/dev.yaml:7:3
          ~ config.source  (a secret) → (another one)

        5 of 5 resources differ: 3 changed, 1 missing, 1 unmanaged, 1 unhealthy
        `pinfra up stacks/dev.yaml` puts back what is changed, makes what is missing and takes away what is
        unmanaged in the stack's own resources
        `pinfra drift stacks/dev.yaml --accept ADDRESS#FIELD` writes what is there into the stack file
        what is unhealthy: `pinfra plan stacks/dev.yaml` tells what `up` would mend of it, `pinfra status`
        more
        "#);
    }

    #[test]
    fn up_is_said_to_do_what_it_does() {
        let beside = Finding { live: Some(json!({})), ..finding("iam/role.api", What::Unmanaged, None) };
        let theirs = Finding { id: Some("pins".to_owned()), ..finding("s3/bucket.lake", What::Missing, None) };
        let silent = finding("worker/process.cleaner", What::Unhealthy, None);
        let stage = finding("api_gateway/stage.api", What::Unhealthy, Some("deployment"));
        let gone = finding("kinesis/stream.pin", What::Unmanaged, None);
        for (found, does) in [
            (vec![beside, theirs, silent], None),
            (vec![stage], Some("puts back what is changed")),
            (vec![gone], Some("takes away what is unmanaged in the stack's own resources")),
        ] {
            let drift = Drift { compared: 1, findings: found };
            let report = Report { stack: "dev", file: Some("a.yaml"), addresses: &[], drift: &drift, ignored: &[] };
            assert_eq!(up_does(&report).as_deref(), does);
            let said = advice(&report).join("\n");
            assert_eq!(said.contains("refuses to touch") && said.contains("left alone"), does.is_none(), "{said}");
        }
    }

    #[test]
    fn narrow_pages_have_values_under_their_fields() {
        let text = drawn(60);
        insta::assert_snapshot!(text.split("msk_connect").next().unwrap(), @r#"
        ec2/security_group.client  stacks/dev.yaml:7:3
          + rules  { "from_port": 22, "peer": "0.0.0.0/0" }
              a rule that nobody declared lets tcp 22 in from
              0.0.0.0/0
        kinesis/stream.pin  stacks/dev.yaml:7:3
          - missing
              the stream is gone
        msk/cluster.cluster  stacks/dev.yaml:7:3
          ~ storage_gib
              wanted 10
              live   20
          ~ tags.team
              wanted "data"
              live   (none)
        "#);
        let advice = text.find(" differ:").unwrap();
        assert!(text[..advice].lines().all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn no_drift_is_one_line() {
        let drift = Drift { compared: 4, findings: Vec::new() };
        let ignored =
            [Ignored { finding: finding("a/b.c", What::Missing, None), rule: String::new(), why: String::new() }];
        let report = Report { stack: "dev", file: None, addresses: &[], drift: &drift, ignored: &ignored };
        let page = Page { paint: Paint::OFF, columns: None };
        assert_eq!(draw(&report, page), "no drift: 4 resources compared; 1 difference ignored\n");
    }

    #[test]
    fn what_the_cloud_says_cannot_move_the_cursor() {
        let mut drift = Drift { compared: 1, findings: Vec::new() };
        let hostile = "\u{1b}[2J\nerror: all is well\u{202e}";
        let live = Some(json!({hostile: hostile}));
        drift.extend([Finding {
            live,
            detail: hostile.to_owned(),
            ..finding("s3/bucket.lake", What::Changed, Some(hostile))
        }]);
        let report = Report { stack: "dev", file: None, addresses: &[], drift: &drift, ignored: &[] };
        let text = draw(&report, Page { paint: Paint::OFF, columns: None });
        assert!(
            !text.contains(['\u{1b}', '\u{202e}']) && !text.lines().any(|line| line.starts_with("error:")),
            "{text}"
        );
    }
}
