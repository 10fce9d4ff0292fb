//! Drift as JUnit XML, which every CI system shows: a test case for each resource that was compared.
//!
//! There is no standard; the elements and attributes here are those that Jenkins, GitLab, GitHub actions and Azure read.

use std::collections::BTreeSet;
use std::time::Duration;

use pinfra_engine::{Address, Finding, What};

use super::drift::{Ignored, Report};
use super::sarif::{message, place};

/// The report as an XML document. What is missing or does not work is an error, what is otherwise than declared a failure.
pub fn document(report: &Report<'_>, took: Duration) -> String {
    let found = report.drift.findings.iter().map(|finding| &finding.address);
    let ignored = report.ignored.iter().map(|ignored| &ignored.finding.address);
    // Something unmanaged may be at an address that nobody has compared.
    let cases: BTreeSet<&Address> = report.addresses.iter().chain(found).chain(ignored).collect();
    let mut body = String::new();
    let (mut failures, mut errors, mut skipped) = (0, 0, 0);
    for address in &cases {
        let findings: Vec<&Finding> = report.drift.findings.iter().filter(|one| one.address == **address).collect();
        let ignored: Vec<&Ignored> = report.ignored.iter().filter(|one| one.finding.address == **address).collect();
        let (outcome, text) = case(report.stack, address, &findings, &ignored);
        match outcome {
            Outcome::Passed => {}
            Outcome::Failure => failures += 1,
            Outcome::Error => errors += 1,
            Outcome::Skipped => skipped += 1,
        }
        body.push_str(&text);
    }
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\"",
        cases.len(),
        took.as_secs_f64()
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pinfra drift\" {counts}>\n  \
         <testsuite name=\"{}\" {counts}>\n{body}  </testsuite>\n</testsuites>\n",
        escaped(report.stack)
    )
}

/// How a test case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Outcome {
    fn of(findings: &[&Finding], ignored: &[&Ignored]) -> Outcome {
        let broken = |finding: &&&Finding| matches!(finding.what, What::Missing | What::Unhealthy);
        match (findings.is_empty(), ignored.is_empty()) {
            (true, true) => Outcome::Passed,
            (true, false) => Outcome::Skipped,
            (false, _) if findings.iter().any(|finding| broken(&finding)) => Outcome::Error,
            (false, _) => Outcome::Failure,
        }
    }
}

/// One element a case: readers that expect one show the first alone.
fn case(stack: &str, address: &Address, findings: &[&Finding], ignored: &[&Ignored]) -> (Outcome, String) {
    let outcome = Outcome::of(findings, ignored);
    let declared = findings.first().and_then(|finding| place(&finding.declared_at));
    let at = declared.map(|(file, line, _)| format!(" file=\"{}\" line=\"{line}\"", escaped(file))).unwrap_or_default();
    let (address_text, class) = (escaped(&address.to_string()), escaped(&format!("{stack}.{}", address.kind())));
    let open = format!("    <testcase name=\"{address_text}\" classname=\"{class}\"{at}");
    let element = match outcome {
        Outcome::Passed => return (outcome, format!("{open}/>\n")),
        Outcome::Skipped => {
            let why: Vec<String> =
                ignored.iter().map(|ignored| format!("{} ({})", ignored.why, ignored.rule)).collect();
            format!("      <skipped message=\"{}\"/>\n", escaped(&format!("ignored: {}", why.join("; "))))
        }
        Outcome::Failure | Outcome::Error => {
            let name = if outcome == Outcome::Error { "error" } else { "failure" };
            let messages: Vec<String> = findings.iter().map(|finding| message(finding)).collect();
            let kinds: BTreeSet<&str> = findings.iter().map(|finding| finding.what.name()).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            let first = messages.first().map(String::as_str).unwrap_or_default();
            format!(
                "      <{name} type=\"{}\" message=\"{}\">{}</{name}>\n",
                kinds.join(" "),
                escaped(first),
                escaped(&messages.join("\n"))
            )
        }
    };
    (outcome, format!("{open}>\n{element}    </testcase>\n"))
}

/// Text as XML 1.0 may hold it, in attributes too (§2.2 "Characters", §2.4). What it may not hold at all is a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\r' | '\t' => escaped.push_str(&format!("&#{};", u32::from(character))),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Drift;
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::drift::tests::{finding, some};
    use super::*;

    /// The elements of a document with their attributes, as a parser reads them.
    fn elements(document: &str) -> Vec<(String, Vec<(String, String)>)> {
        let mut reader = Reader::from_str(document);
        let mut found = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => return found,
                Event::Start(element) | Event::Empty(element) => {
                    let attributes = element.attributes().map(|attribute| {
                        let attribute = attribute.unwrap();
                        let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                        (name, attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned())
                    });
                    let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                    found.push((name, attributes.collect()));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_resource_is_a_test_case() {
        let (mut addresses, drift) = some();
        addresses.push("s3/bucket.lake".parse().unwrap());
        let quiet = finding("s3/bucket.lake", What::Changed, Some("tags.x"));
        let ignored = [Ignored { finding: quiet, rule: "ignore:3".to_owned(), why: "the cost tool's".to_owned() }];
        let report = Report { stack: "dev", file: None, addresses: &addresses, drift: &drift, ignored: &ignored };
        let elements = elements(&document(&report, Duration::from_millis(1_500)));
        let number = |name: &str| elements.iter().filter(|(element, _)| element == name).count();
        assert_eq!((number("testcase"), number("failure"), number("error"), number("skipped")), (6, 3, 2, 1));
        let suite = &elements.iter().find(|(element, _)| element == "testsuite").unwrap().1;
        let expected =
            [("name", "dev"), ("tests", "6"), ("failures", "3"), ("errors", "2"), ("skipped", "1"), ("time", "1.500")];
        assert_eq!(*suite, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest! {
        #[test]
        fn whatever_the_cloud_says_the_document_can_be_read(said in "\\PC{0,40}|[\u{0}-\u{ff}]{0,40}") {
            let mut drift = Drift::default();
            let live = Some(serde_json::Value::String(said.clone()));
            drift.extend([Finding { live, detail: said.clone(), ..finding("a/b.c", What::Changed, Some(&said)) }]);
            let report = Report { stack: "dev", file: None, addresses: &[], drift: &drift, ignored: &[] };
            let document = document(&report, Duration::ZERO);
            prop_assert_eq!(elements(&document).len(), 4, "{}", document);
            prop_assert!(document.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
