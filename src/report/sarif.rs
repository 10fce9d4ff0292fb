//! Drift as SARIF 2.1.0 (OASIS), which GitHub and others show at the line of the stack file that declares what differs.
//!
//! A result is recognised from one run to the next by its fingerprint. That is made of what differs and not of values or
//! lines, so a difference stays the same one when it grows, or when the file is edited above it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_engine::{Finding, What};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::drift::{Report, is_told_by_values, or_none};
use super::value::{cut, plain};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What a path may hold as it is (RFC 3986 §3.3, without `:`, which would make a scheme of what stands before it).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// A message longer than this is not read in a list. GitHub cuts at 1,024 ("SARIF support for code scanning").
const LONGEST: usize = 1_000;

/// The kinds of differences, as rules.
const RULES: &[(What, &str, &str, &str)] = &[
    (
        What::Changed,
        "warning",
        "A field is not as declared",
        "Somebody or something changed the resource after pinfra made it. `pinfra up` changes it back; `pinfra drift --accept` writes what is there into the stack file.",
    ),
    (
        What::Missing,
        "error",
        "A resource is gone",
        "The resource was removed outside of pinfra. `pinfra up` makes it again, without what it held.",
    ),
    (
        What::Unmanaged,
        "warning",
        "Something that nobody declared touches the stack",
        "It is not in the stack file. `pinfra up` takes it away where it is in a field of the stack's own, such as a rule of a security group, and otherwise leaves it alone: remove it, declare it, or ignore it by a rule.",
    ),
    (
        What::Unhealthy,
        "error",
        "A resource does not do its work",
        "It is there and as declared, and does not work. `pinfra status` and `pinfra logs` tell more.",
    ),
];

/// The report as a SARIF log.
pub fn log(report: &Report<'_>) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|(what, level, short, full)| {
            json!({
                "id": rule_id(*what),
                "name": what.name(),
                "shortDescription": {"text": short},
                "fullDescription": {"text": full},
                "help": {"text": full},
                "defaultConfiguration": {"level": level},
                "properties": {"tags": ["drift"]},
            })
        })
        .collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = report
        .drift
        .findings
        .iter()
        .map(|finding| result(finding, &fingerprint(report.stack, finding, &mut seen)))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "pinfra",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            // One category a stack: a run for one does not close the findings of another.
            "automationDetails": {"id": format!("pinfra-drift/{}/", report.stack)},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule_id(what: What) -> String {
    format!("drift/{}", what.name())
}

fn result(finding: &Finding, fingerprint: &str) -> Value {
    let index = RULES.iter().position(|(what, ..)| *what == finding.what).unwrap_or_default();
    let address = finding.address.to_string();
    let mut location = json!({"logicalLocations": [{"fullyQualifiedName": address, "kind": "resource"}]});
    if let Some((file, line, column)) = place(&finding.declared_at) {
        location["physicalLocation"] = json!({
            "artifactLocation": {"uri": uri(file)},
            "region": {"startLine": line, "startColumn": column},
        });
    }
    json!({
        "ruleId": rule_id(finding.what),
        "ruleIndex": index,
        "level": RULES[index].1,
        "message": {"text": cut(&message(finding), Some(LONGEST))},
        "locations": [location],
        "partialFingerprints": {"pinfraDrift/v1": fingerprint},
        "properties": {
            "address": address, "field": finding.field, "id": finding.id, "what": finding.what.name(),
            "wanted": finding.wanted, "live": finding.live,
        },
    })
}

/// A sentence that stands for itself in a list.
pub(super) fn message(finding: &Finding) -> String {
    let address = &finding.address;
    let detail = if is_told_by_values(finding) { String::new() } else { plain(&finding.detail) };
    let text = match (&finding.field, finding.what) {
        (Some(field), What::Changed) if finding.secret => {
            format!("{field} of {address} is not as declared (its value is a secret)")
        }
        (Some(field), What::Changed) => {
            let (wanted, live) = (or_none(finding.wanted.as_ref()), or_none(finding.live.as_ref()));
            format!("{} of {address} is {live} instead of {wanted}", plain(field))
        }
        (_, What::Missing) => format!("{address} is not there"),
        (Some(field), what) => format!("{address} is {} in {}", what.name(), plain(field)),
        (None, what) => format!("{address} is {}", what.name()),
    };
    if detail.is_empty() { text } else { format!("{text}: {detail}") }
}

/// The same for the same difference of the same stack, whatever its values are. `seen` counts those that are alike but for
/// their values: they are told apart by their order.
fn fingerprint(stack: &str, finding: &Finding, seen: &mut BTreeMap<String, usize>) -> String {
    let mut hash = Sha256::new();
    let (address, field) = (finding.address.to_string(), finding.field.as_deref().unwrap_or_default());
    for part in [stack, &address, finding.what.name(), field] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    // What nobody declared is known by what it is; a resource that is made again, or changed again, is the same one.
    if finding.what == What::Unmanaged {
        let live = finding.live.as_ref().map(Value::to_string);
        for part in [finding.id.as_deref(), live.as_deref()] {
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update([0]);
        }
    }
    let hash = hex::encode(hash.finalize());
    let before = seen.entry(hash.clone()).and_modify(|n| *n += 1).or_insert(0);
    if *before == 0 { hash } else { format!("{hash}/{before}") }
}

/// `file:line:column` taken apart.
pub(super) fn place(declared_at: &str) -> Option<(&str, usize, usize)> {
    let mut parts = declared_at.rsplitn(3, ':');
    let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

/// A path as a URI. One that is relative stays so: it is one below the folder that was checked out.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let encoded = utf8_percent_encode(path, PATH).to_string();
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pinfra_engine::Drift;

    use super::super::drift::tests::{finding, some};
    use super::*;

    fn of(drift: &Drift) -> Value {
        log(&Report { stack: "dev", file: None, addresses: &[], drift, ignored: &[] })
    }

    fn results(log: &Value) -> &Vec<Value> {
        log["runs"][0]["results"].as_array().unwrap()
    }

    #[test]
    fn every_finding_is_a_result_at_its_declaration() {
        let (_, drift) = some();
        let log = of(&drift);
        assert_eq!(results(&log).len(), drift.findings.len());
        let first = &results(&log)[0];
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "stacks/dev.yaml");
        assert_eq!(place["region"], json!({"startLine": 7, "startColumn": 3}));
        assert_eq!(first["ruleId"], "drift/unmanaged");
        for result in results(&log) {
            let rule = &log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
        }
        let prints: BTreeSet<String> =
            results(&log).iter().map(|result| result["partialFingerprints"].to_string()).collect();
        assert_eq!(prints.len(), drift.findings.len(), "no two are taken for one");
    }

    #[test]
    fn a_difference_that_moves_or_grows_keeps_its_fingerprint() {
        let print = |finding: Finding| {
            let mut drift = Drift::default();
            drift.extend([finding]);
            results(&of(&drift))[0]["partialFingerprints"].clone()
        };
        let small = finding("kinesis/stream.pin", What::Changed, Some("shards"));
        let grown = Finding {
            live: Some(json!(4)),
            declared_at: "x.yaml:99:1".to_owned(),
            id: Some("b".to_owned()),
            ..small.clone()
        };
        assert_eq!(print(small.clone()), print(grown));
        assert_ne!(print(small.clone()), print(Finding { field: Some("mode".to_owned()), ..small }));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("./stacks/my file#1.yaml"), "stacks/my%20file%231.yaml");
        assert_eq!(uri("/tmp/a:b.yaml"), "file:///tmp/a%3Ab.yaml");
        assert_eq!(place("a:b.yaml:12:3"), Some(("a:b.yaml", 12, 3)));
        assert_eq!(place(""), None);
    }
}
