//! Drift as Markdown, for a comment on a pull request: a table, and long values to unfold.
//!
//! Live values are written by whoever can reach the cloud, and a comment is shown to people who trust it. So nothing of a
//! value is Markdown or HTML: in the table all punctuation that could be syntax is a character reference, which neither reads as syntax
//! (CommonMark 0.31 §2.5), and below it values stand in `<pre>`, escaped as HTML.

use pinfra_engine::{Finding, What};
use serde_json::Value;

use super::drift::{Report, is_told_by_values, or_none, summary};
use super::value::{cut, plain};

/// GitHub takes 65,536 characters in a comment; the rest is room for what the caller adds.
const LONGEST: usize = 60_000;

/// What a cell of the table shows of a value; longer ones stand below it.
const CELL: usize = 60;

/// What is unfolded of one value.
const UNFOLDED: usize = 4_000;

/// The report as Markdown. The first line is a comment by which an earlier report on the same stack can be found.
pub fn document(report: &Report<'_>) -> String {
    let stack = code(report.stack);
    let mut text = format!("{}\n", marker(report.stack));
    if report.drift.is_empty() {
        let ignored =
            if report.ignored.is_empty() { String::new() } else { format!(", {} ignored", report.ignored.len()) };
        return format!("{text}### No drift in {stack}\n\n{} resources compared{ignored}.\n", report.drift.compared);
    }
    text.push_str(&format!("### Drift in {stack}\n\n{}\n\n", entities(&summary(report))));
    text.push_str("| | resource | field | declared | there |\n|---|---|---|---|---|\n");
    let mut unfolded = String::new();
    let mut left_out = 0;
    for finding in &report.drift.findings {
        let (row, below) = (row(finding), below(finding));
        // Rows come first: values without their row say nothing.
        if text.len() + row.len() > LONGEST {
            left_out += 1;
            continue;
        }
        text.push_str(&row);
        if text.len() + unfolded.len() + below.len() <= LONGEST {
            unfolded.push_str(&below);
        }
    }
    if left_out > 0 {
        text.push_str(&format!("\nand {left_out} more\n"));
    }
    // The rows that came after a value may need its room.
    if text.len() + unfolded.len() <= LONGEST {
        text.push_str(&unfolded);
    }
    if let Some(file) = report.file {
        let file = code(file);
        text.push_str(&format!(
            "\n<sub><code>pinfra up</code> {file} makes it what the stack file says; <code>pinfra drift</code> {file} \
             <code>--accept</code> writes what is there into it.</sub>\n"
        ));
    }
    text
}

/// The first line of a report: the same for the same stack. Names of stacks are letters, digits and hyphens.
pub fn marker(stack: &str) -> String {
    let stack: String = stack.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    // Two hyphens would end the comment.
    format!("<!-- pinfra drift: {} -->", stack.replace("--", "-"))
}

fn row(finding: &Finding) -> String {
    let field = finding.field.as_deref().map(code).unwrap_or_default();
    let (wanted, live) = match (&finding.wanted, &finding.live) {
        _ if finding.secret => ("a secret".to_owned(), "another one".to_owned()),
        (None, None) => (String::new(), entities(&cut(&plain(&finding.detail), Some(3 * CELL)))),
        (None, live) if finding.what == What::Unmanaged => (String::new(), cell(live.as_ref())),
        (wanted, live) => (cell(wanted.as_ref()), cell(live.as_ref())),
    };
    format!("| {} | {} | {field} | {wanted} | {live} |\n", finding.what.name(), code(&finding.address.to_string()))
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(none)".to_owned(),
        value => code(&cut(&or_none(value), Some(CELL))),
    }
}

/// What the table has no room for, to unfold.
fn below(finding: &Finding) -> String {
    let long = |value: &Option<Value>| or_none(value.as_ref()).chars().count() > CELL;
    let values = long(&finding.wanted) || long(&finding.live);
    let sides = [("declared", &finding.wanted), ("there", &finding.live)];
    // Without values, the table has the text.
    let has_values = finding.wanted.is_some() || finding.live.is_some();
    let has_text = has_values && !finding.detail.is_empty() && !is_told_by_values(finding);
    if !values && !has_text {
        return String::new();
    }
    let field = finding.field.as_deref().map(|field| format!(" {}", html(&plain(field)))).unwrap_or_default();
    let mut text = format!("\n<details><summary>{}{field}</summary>\n\n", html(&finding.address.to_string()));
    if has_text {
        text.push_str(&format!("{}\n\n", entities(&cut(&plain(&finding.detail), Some(UNFOLDED)))));
    }
    if values {
        for (side, value) in sides.into_iter().filter(|(_, value)| value.is_some()) {
            text.push_str(&format!(
                "{side}:\n\n<pre>\n{}\n</pre>\n\n",
                html(&cut(&whole(value.as_ref()), Some(UNFOLDED)))
            ));
        }
    }
    text + "</details>\n"
}

/// A value over several lines.
fn whole(value: Option<&Value>) -> String {
    match value {
        Some(value @ (Value::Array(_) | Value::Object(_))) => {
            // A value that was parsed has a JSON form.
            let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
            pretty.lines().map(plain).collect::<Vec<_>>().join("\n")
        }
        value => plain(&or_none(value)),
    }
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", entities(&plain(text)))
}

/// Text of which nothing is read as Markdown or HTML, on one line.
fn entities(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let (mut before, mut rest) = (' ', text.chars().peekable());
    while let Some(character) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        match character {
            '\n' | '\r' | '\t' => written.push(' '),
            // In the middle of a line these are syntax nowhere, so that a report can be read as it is written.
            '/' | '-' | ',' | '"' | '\'' | '{' | '}' | '(' | '=' | '+' | '?' | '%' if !written.is_empty() => {
                written.push(character);
            }
            // `www.` begins a link (GFM 0.29 §6.9), `1. ` a list.
            '.' if !before.eq_ignore_ascii_case(&'w') && after.is_ascii_alphanumeric() => written.push('.'),
            // Within a word it is no emphasis (CommonMark 0.31 §6.2).
            '_' if before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric() => written.push('_'),
            _ if character.is_ascii_punctuation() => written.push_str(&format!("&#{};", u32::from(character))),
            _ => written.push(character),
        }
        before = character;
    }
    written
}

/// Text inside of an HTML element.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Drift;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::drift::tests::{finding, some};
    use super::*;

    fn of(drift: &Drift) -> String {
        document(&Report { stack: "dev", file: Some("stacks/dev.yaml"), addresses: &[], drift, ignored: &[] })
    }

    #[test]
    fn a_comment_has_a_row_for_each_finding() {
        let (_, drift) = some();
        let text = of(&drift);
        assert!(text.starts_with("<!-- pinfra drift: dev -->\n### Drift in <code>dev</code>\n"), "{text}");
        let rows = text.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(rows, 1 + drift.findings.len(), "{text}");
        assert!(text.contains("<code>10</code> | <code>20</code>"), "{text}");
        assert!(text.contains("<code>msk/cluster.cluster</code> | <code>storage_gib</code>"), "{text}");
    }

    #[test]
    fn a_comment_stays_below_what_github_takes() {
        let mut drift = Drift::default();
        let long = Some(json!({"Statement": ["|<`>|".repeat(10_000)]}));
        let one = |n: usize| Finding {
            live: long.clone(),
            ..finding(&format!("iam/role_policy.p{n}"), What::Changed, Some("policy"))
        };
        drift.extend((0..400).map(one));
        let text = of(&drift);
        assert!(text.len() < 65_536, "{}", text.len());
        assert!(text.contains("\nand "), "what is left out is counted");
        drift.findings.truncate(3);
        assert!(of(&drift).contains("<pre>"));
    }

    proptest! {
        #[test]
        fn whatever_a_value_says_it_is_text(said in "\\PC{0,40}|[\u{0}-\u{7f}]{0,60}|(</?(pre|details|script)>|\\||`|\n|@admin|\\[x\\]\\(y\\)){0,20}") {
            let mut drift = Drift::default();
            let live = Some(json!({ said.clone(): said.repeat(8) }));
            drift.extend([Finding { live, detail: said.clone(), ..finding("a/b.c", What::Changed, Some(&said)) }]);
            let text = of(&drift);
            let row = text.lines().find(|line| line.starts_with("| changed")).unwrap();
            prop_assert_eq!(row.matches('|').count(), 6, "{}", row);
            // Outside of what the report itself writes, no mark is left that could be syntax.
            let cells = row.replace("<code>", "").replace("</code>", "").replace("| ", "").replace(" |", "");
            prop_assert!(!cells.contains(['<', '>', '`', '*', '[', '@', '|', '\\', '~', '$']), "{}", row);
            let at_an_edge = |(at, _): (usize, &str)| {
                let is_inner = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                !is_inner(cells[..at].chars().next_back()) || !is_inner(cells[at + 1..].chars().next())
            };
            prop_assert!(!cells.match_indices('_').any(at_an_edge) && !cells.to_lowercase().contains("www."), "{}", row);
            for tag in ["<details>", "</details>", "<pre>", "</pre>"] {
                prop_assert!(text.matches(tag).count() <= 2, "{}", text);
            }
            prop_assert!(!text.contains("<script>"));
        }
    }
}
