//! Versions of Apache Kafka, and from which one may go to which ("Supported Apache Kafka versions" and "Update the Apache
//! Kafka version", MSK developer guide).

use serde_json::{Value, json};

use super::desk::Desk;
use super::errors::invalid;
use super::pages::page;
use crate::services::Call;
use crate::wire::error::ApiError;

/// In their order; those that are deprecated cannot be chosen for a new cluster.
const VERSIONS: [(&str, bool); 32] = [
    ("1.1.1", false),
    ("2.1.0", false),
    ("2.2.1", false),
    ("2.3.1", false),
    ("2.4.1", false),
    ("2.4.1.1", false),
    ("2.5.1", false),
    ("2.6.0", false),
    ("2.6.1", false),
    ("2.6.2", false),
    ("2.6.3", false),
    ("2.7.0", false),
    ("2.7.1", false),
    ("2.7.2", false),
    ("2.8.0", false),
    ("2.8.1", false),
    ("2.8.2.tiered", false),
    ("3.1.1", false),
    ("3.2.0", false),
    ("3.3.1", false),
    ("3.3.2", false),
    ("3.4.0", true),
    ("3.5.1", true),
    ("3.6.0", true),
    ("3.7.x", true),
    ("3.7.x.kraft", true),
    ("3.8.x", true),
    ("3.8.x.kraft", true),
    ("3.9.x", true),
    ("3.9.x.kraft", true),
    ("4.0.x.kraft", true),
    ("4.1.x.kraft", true),
];

/// `ListKafkaVersions`.
pub(super) fn list(input: &Value) -> Result<Value, ApiError> {
    let numbered = (0u32..).zip(VERSIONS);
    let item = |(place, (version, active)): (u32, (&str, bool))| {
        let status = if active { "ACTIVE" } else { "DEPRECATED" };
        (format!("{place:03}"), json!({"Version": version, "Status": status}))
    };
    page(numbered.map(item).collect(), input, "KafkaVersions")
}

/// `GetCompatibleKafkaVersions`: of one cluster, or of all versions.
pub(super) fn compatible(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let sources: Vec<String> = match input["ClusterArn"].as_str() {
        Some(arn) => vec![desk.cluster(&call.region, arn)?.kafka_version],
        None => VERSIONS.iter().map(|(version, _)| (*version).to_owned()).collect(),
    };
    let list: Vec<Value> = sources
        .iter()
        .map(|source| (source, targets(source)))
        .filter(|(_, targets)| !targets.is_empty() || sources.len() == 1)
        .map(|(source, targets)| json!({"SourceVersion": source, "TargetVersions": targets}))
        .collect();
    Ok(json!({ "CompatibleKafkaVersions": list }))
}

/// The versions that a cluster of this one may be updated to: later ones that keep their metadata in the same way.
pub(super) fn targets(source: &str) -> Vec<&'static str> {
    let Some(place) = VERSIONS.iter().position(|(version, _)| *version == source) else { return Vec::new() };
    let later =
        VERSIONS[place + 1..].iter().filter(|(version, active)| *active && is_kraft(version) == is_kraft(source));
    later.map(|(version, _)| *version).collect()
}

/// Refuses what a new cluster cannot have.
pub(super) fn check(version: &str) -> Result<(), ApiError> {
    if VERSIONS.contains(&(version, true)) {
        return Ok(());
    }
    let known: Vec<&str> = VERSIONS.iter().filter(|(_, active)| *active).map(|(version, _)| *version).collect();
    Err(invalid("kafkaVersion", format!("Unsupported KafkaVersion [{version}]. Valid values: [{}]", known.join(", "))))
}

/// Whether there is such a version at all, as a configuration may name it.
pub(super) fn is_known(version: &str) -> bool {
    VERSIONS.iter().any(|(known, _)| *known == version)
}

/// Whether it has no ZooKeeper.
pub(super) fn is_kraft(version: &str) -> bool {
    version.ends_with(".kraft")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_go_up_and_keep_the_metadata() {
        assert_eq!(targets("3.6.0"), ["3.7.x", "3.8.x", "3.9.x"]);
        assert_eq!(targets("3.9.x.kraft"), ["4.0.x.kraft", "4.1.x.kraft"]);
        assert_eq!(targets("2.8.1").first(), Some(&"3.4.0"), "not to what is deprecated");
        assert!(targets("9.9").is_empty());
        assert_eq!(check("1.1.1").unwrap_err().code, "BadRequestException");
        check("3.6.0").unwrap();
        assert!(is_known("1.1.1") && !is_known("3.6"));
    }
}
