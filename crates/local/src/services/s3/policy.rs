//! Bucket policies: whether a text is one, and whether it opens the bucket to everyone.
//!
//! Grammar of <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>, as far as S3 refuses
//! a policy for it. Policies are kept and not evaluated.

use s3s::{S3Result, s3_error};
use serde_json::{Map, Value};

use super::refusals::custom;

/// Of all regions that there are.
const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

/// The largest bucket policy: 20 KB.
const MOST_BYTES: usize = 20 * 1024;

const POLICY_KEYS: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT_KEYS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// Refuses, as `MalformedPolicy`, what is no policy for this bucket. Returns whether it is a public one.
pub(super) fn check(text: &str, bucket: &str) -> S3Result<bool> {
    let malformed = |why: &str| s3_error!(MalformedPolicy, "{why}");
    if text.len() > MOST_BYTES {
        return Err(custom(
            "PolicyTooLarge",
            400,
            "Normalized policy document exceeds the maximum allowed size of 20480 bytes.",
        ));
    }
    let policy: Value = serde_json::from_str(text)
        .map_err(|_| malformed("Policies must be valid JSON and the first byte must be '{'"))?;
    let policy =
        policy.as_object().ok_or_else(|| malformed("Policies must be valid JSON and the first byte must be '{'"))?;
    known_keys(policy, &POLICY_KEYS)?;
    if !matches!(policy.get("Version").map(Value::as_str), None | Some(Some("2012-10-17" | "2008-10-17"))) {
        return Err(malformed("The policy must contain a valid version string"));
    }
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        Some(Value::Array(_)) => return Err(malformed("Could not parse the policy: Statement is empty!")),
        _ => return Err(malformed("Missing required field Statement")),
    };
    let mut public = false;
    for statement in statements {
        let statement = statement.as_object().ok_or_else(|| malformed("A statement must be a JSON object"))?;
        check_statement(statement, bucket)?;
        public |= is_public(statement);
    }
    Ok(public)
}

fn check_statement(statement: &Map<String, Value>, bucket: &str) -> S3Result<()> {
    known_keys(statement, &STATEMENT_KEYS)?;
    match statement.get("Effect").map(Value::as_str) {
        Some(Some("Allow" | "Deny")) => {}
        None => return Err(s3_error!(MalformedPolicy, "Missing required field Effect")),
        Some(_) => return Err(s3_error!(MalformedPolicy, "Invalid effect: it must be Allow or Deny")),
    }
    for (one, other) in [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")] {
        match (statement.contains_key(one), statement.contains_key(other)) {
            (false, false) => return Err(s3_error!(MalformedPolicy, "Missing required field {one}")),
            (true, true) => return Err(s3_error!(MalformedPolicy, "A statement has both {one} and {other}")),
            _ => {}
        }
    }
    for action in texts(statement.get("Action").or_else(|| statement.get("NotAction")))? {
        if action != "*" && !action.starts_with("s3:") {
            return Err(s3_error!(MalformedPolicy, "Policy has invalid action"));
        }
    }
    for resource in texts(statement.get("Resource").or_else(|| statement.get("NotResource")))? {
        // The partition is that of a region, and a bucket here is in every region.
        let arn = resource.strip_prefix("arn:").and_then(|rest| rest.split_once(":s3:::"));
        let path = arn.filter(|(partition, _)| PARTITIONS.contains(partition)).map(|(_, path)| path);
        let here = path.is_some_and(|path| path.split('/').next() == Some(bucket) || path.starts_with('*'));
        if !here {
            return Err(s3_error!(MalformedPolicy, "Policy has invalid resource"));
        }
    }
    Ok(())
}

fn known_keys(object: &Map<String, Value>, known: &[&str]) -> S3Result<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(s3_error!(MalformedPolicy, "Unknown field {key}")),
        None => Ok(()),
    }
}

/// A string or a list of strings, at least one.
fn texts(value: Option<&Value>) -> S3Result<Vec<&str>> {
    let wrong = || s3_error!(MalformedPolicy, "Actions and resources must be strings, and at least one");
    match value {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) if !many.is_empty() => many.iter().map(|one| one.as_str().ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

/// Whether a statement lets everyone in. One with a condition counts as closed, which is simpler than AWS's rule.
fn is_public(statement: &Map<String, Value>) -> bool {
    let everyone = |value: &Value| match value {
        Value::String(one) => one == "*",
        Value::Array(many) => many.iter().any(|one| one == "*"),
        _ => false,
    };
    let principal = match statement.get("Principal") {
        Some(Value::Object(kinds)) => kinds.get("AWS").is_some_and(everyone),
        Some(other) => everyone(other),
        None => false,
    };
    statement.get("Effect").is_some_and(|effect| effect == "Allow") && principal && !statement.contains_key("Condition")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tls_only_policy_is_good_and_not_public() {
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Principal":"*",
            "Action":"s3:*","Resource":["arn:PARTITION:s3:::lake","arn:PARTITION:s3:::lake/*"],
            "Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
        for partition in PARTITIONS {
            assert!(!check(&policy.replace("PARTITION", partition), "lake").unwrap(), "{partition}");
        }
        check(&policy.replace("PARTITION", "gcp"), "lake").unwrap_err();
    }

    #[test]
    fn a_policy_for_everyone_is_public() {
        let policy = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::lake/*"}}"#;
        assert!(check(policy, "lake").unwrap());
    }

    #[test]
    fn what_is_no_policy_is_malformed() {
        let good = r#""Effect":"Allow","Principal":"*","Action":"s3:GetObject""#;
        let cases = [
            "not json".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"Statement":[]}"#.to_owned(),
            r#"{"Version":"2020-01-01","Statement":[]}"#.to_owned(),
            format!(r#"{{"Statement":[{{{good}}}]}}"#),
            format!(r#"{{"Statement":[{{{good},"Resource":"arn:aws:s3:::other/*"}}]}}"#),
            format!(r#"{{"Statement":[{{{good},"Resource":"arn:aws:s3:::lake/*","Extra":1}}]}}"#),
            r#"{"Statement":[{"Effect":"Maybe","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::lake"}]}"#
                .to_owned(),
            r#"{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::lake"}]}"#.to_owned(),
        ];
        for policy in cases {
            assert_eq!(check(&policy, "lake").unwrap_err().code().as_str(), "MalformedPolicy", "{policy}");
        }
    }
}
