//! What is allowed, denied and refused; wildcards against a plain definition of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::pattern::{ArnPattern, Pattern, Reading};
use super::*;

const WILD: Reading = Reading { wildcards: true, variables: true };

fn identity(statements: &Value) -> Policy {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Policy::read(&text, Use::Identity).unwrap()
}

fn asked(statements: &Value, action: &str, resource: &str, context: &Context) -> Decision {
    decide([&identity(statements)], action, resource, context)
}

/// Wildcards by their definition: what `*` takes is tried at every length.
fn by_definition(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some(('*', rest)), _) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
        (Some(('?', rest)), Some((_, after))) => by_definition(rest, after),
        (Some((letter, rest)), Some((found, after))) => letter == found && by_definition(rest, after),
        (Some(_), None) => false,
    }
}

proptest! {
    #[test]
    fn wildcards_match_by_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        let letters: (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        let matched = Pattern::new(&pattern, WILD).matches(&text, &Context::default(), false);
        prop_assert_eq!(matched, by_definition(&letters.0, &letters.1));
    }

    #[test]
    fn a_variable_is_its_value_letter_by_letter(value in "[ab*?]{0,6}", text in "[ab*?]{0,6}") {
        let context = Context::default().with("aws:username", value.as_str());
        let matched = Pattern::new("${aws:username}", WILD).matches(&text, &context, false);
        prop_assert_eq!(matched, value == text);
    }

    /// Whatever else policies say, one deny is enough, and its place does not matter.
    #[test]
    fn a_deny_wins_wherever_it_stands(effects in prop::collection::vec(any::<bool>(), 1..6), place in 0usize..6) {
        let mut statements: Vec<Value> = effects.iter().map(|about| json!({
            "Effect": "Allow", "Action": if *about { "kinesis:*" } else { "s3:*" }, "Resource": "*",
        })).collect();
        let expected = if effects.contains(&true) { Decision::Allowed } else { Decision::NotAllowed };
        let context = Context::default();
        let plain = asked(&json!(statements), "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/s", &context);
        prop_assert_eq!(plain, expected);
        let deny = json!({"Effect": "Deny", "Action": "kinesis:Put*", "Resource": "arn:aws:kinesis:*:*:stream/s"});
        statements.insert(place.min(statements.len()), deny);
        let denied = asked(&json!(statements), "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/s", &context);
        prop_assert_eq!(denied, Decision::Denied);
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in ".{0,60}") {
        let _refused_or_not = Policy::read(&text, Use::Identity);
    }
}

#[test]
fn a_wildcard_does_not_reach_over_a_colon_of_the_arn() {
    let matches = |pattern: &str, arn: &str| ArnPattern::new(pattern, WILD).matches(arn, &Context::default());
    assert!(matches("arn:aws:s3:::lake/*", "arn:aws:s3:::lake/a:b/c"));
    assert!(!matches("arn:aws:kinesis:*:stream/s", "arn:aws:kinesis:r:1:stream/s"));
    assert!(matches("arn:aws:kinesis:*:*:stream/pins-*", "arn:aws:kinesis:r:1:stream/pins-pin"));
    assert!(matches("arn:aws:kinesis:*", "arn:aws:kinesis:r:1:stream/s"));
    assert!(!matches("arn:aws:s3:::lake", "arn:aws:s3:::lake/a"));
}

#[test]
fn actions_are_not_case_sensitive_and_resources_are() {
    let statements =
        json!({"Effect": "Allow", "Action": "Kinesis:putrecord", "Resource": "arn:aws:kinesis:r:1:stream/S"});
    let context = Context::default();
    assert_eq!(asked(&statements, "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/S", &context), Decision::Allowed);
    assert_eq!(asked(&statements, "kinesis:PutRecord", "arn:aws:kinesis:r:1:stream/s", &context), Decision::NotAllowed);
}

#[test]
fn everything_but_what_is_listed() {
    let statements = json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"});
    let context = Context::default();
    assert_eq!(asked(&statements, "s3:GetObject", "arn:aws:s3:::lake/a", &context), Decision::Allowed);
    assert_eq!(asked(&statements, "s3:GetObject", "arn:aws:s3:::secret/a", &context), Decision::NotAllowed);
    assert_eq!(asked(&statements, "iam:GetRole", "arn:aws:iam::1:role/r", &context), Decision::NotAllowed);
}

fn holds(condition: &Value, context: &Context) -> bool {
    let statements = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
    asked(&statements, "a:B", "*", context) == Decision::Allowed
}

#[test]
fn conditions_compare_by_their_operator() {
    let context = Context::default()
        .with("s3:prefix", "topics/pin")
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:CurrentTime", "2026-05-01T12:00:00Z")
        .with("s3:max-keys", "10")
        .with("aws:SecureTransport", "false")
        .with("aws:SourceArn", "arn:aws:sns:r:1:topic")
        .with("aws:PrincipalAccount", "000000000000")
        .with_all("aws:TagKeys", vec!["team".into(), "cost".into()]);
    let cases = [
        (json!({"StringEquals": {"s3:prefix": ["a", "topics/pin"]}}), true),
        (json!({"StringEquals": {"S3:Prefix": "topics/*"}}), false),
        (json!({"StringLike": {"s3:prefix": "topics/*"}}), true),
        (json!({"StringNotLike": {"s3:prefix": ["x*", "topics/*"]}}), false),
        (json!({"StringEqualsIgnoreCase": {"s3:prefix": "TOPICS/PIN"}}), true),
        (json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"]}}), true),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.1.2.0/24"}}), false),
        (json!({"IpAddress": {"aws:SourceIp": "::/0"}}), false),
        (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), true),
        (json!({"DateLessThan": {"aws:CurrentTime": "2026-05-02T00:00:00Z"}}), true),
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2026-05-02"}}), false),
        (json!({"NumericLessThanEquals": {"s3:max-keys": 10}}), true),
        (json!({"NumericLessThan": {"s3:max-keys": "10"}}), false),
        (json!({"Bool": {"aws:SecureTransport": false}}), true),
        (json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:top*"}}), true),
        (json!({"ArnNotEquals": {"aws:SourceArn": "arn:aws:sns:r:1:topic"}}), false),
        (json!({"Null": {"aws:SourceIp": "false", "aws:MultiFactorAuthAge": "true"}}), true),
        (json!({"Null": {"aws:SourceIp": true}}), false),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "x"]}}), true),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}), false),
        (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}), true),
        (json!({"StringEquals": {"s3:prefix": "topics/pin"}, "Bool": {"aws:SecureTransport": "true"}}), false),
    ];
    for (condition, expected) in cases {
        assert_eq!(holds(&condition, &context), expected, "{condition}");
    }
}

#[test]
fn a_key_that_the_request_does_not_have() {
    let none = Context::default();
    let cases = [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringEqualsIfExists", true),
    ];
    for (operator, expected) in cases {
        assert_eq!(holds(&json!({operator: {"s3:prefix": "x"}}), &none), expected, "{operator}");
    }
    assert!(!holds(&json!({"StringLike": {"s3:prefix": "${aws:username}*"}}), &none.clone().with("s3:prefix", "x")));
    assert!(holds(&json!({"StringLike": {"s3:prefix": "${aws:username, 'x'}*"}}), &none.with("s3:prefix", "xy")));
}

#[test]
fn what_is_no_policy_is_refused() {
    let statement = |rest: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
        for (key, value) in rest.as_object().unwrap() {
            statement[key] = value.clone();
        }
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let cases = [
        ("{".to_owned(), "This policy contains invalid Json"),
        ("[]".to_owned(), "Syntax errors in policy."),
        (json!({"Version": "2020-01-01"}).to_string(), "Policy document must be version 2012-10-17 or greater."),
        (statement(json!({"Effect": "Maybe"})), "Syntax errors in policy."),
        (statement(json!({"Extra": 1})), "Syntax errors in policy."),
        (statement(json!({"Action": []})), "Policy statement must contain actions."),
        (
            statement(json!({"Action": "GetObject"})),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (statement(json!({"Resource": "lake"})), "Resource lake must be in ARN format or \"*\"."),
        (statement(json!({"Principal": "*"})), "Policy document should not specify a principal."),
        (statement(json!({"Condition": {"StringIs": {"a:b": "c"}}})), "Invalid Condition type : StringIs."),
        (statement(json!({"Condition": {"NullIfExists": {"a:b": "true"}}})), "Invalid Condition type : NullIfExists."),
        (
            statement(json!({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}}})),
            "Invalid value 10.0.0.0/40 for the condition key aws:SourceIp.",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Policy::read(&text, Use::Identity).unwrap_err().0, expected, "{text}");
    }
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject"}});
    let error = Policy::read(&trust.to_string(), Use::Trust).unwrap_err();
    assert_eq!(error.0, "AssumeRole policy may only specify STS AssumeRole actions.");
}

#[test]
fn trust_is_by_name_or_by_account_and_to_one_role_only() {
    let trust = |principal: Value| {
        let text = json!({"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}});
        Policy::read(&text.to_string(), Use::Trust).unwrap()
    };
    let session = Asker::Principal {
        arn: "arn:aws:sts::000000000000:assumed-role/r/s",
        account: "000000000000",
        role: Some(("arn:aws:iam::000000000000:role/r", "AROAR")),
    };
    let asked = |policy: &Policy, asker, ids: &BTreeMap<String, String>| {
        trusts(policy, asker, ids, "sts:AssumeRole", &Context::default())
    };
    let none = BTreeMap::new();
    let service = trust(json!({"Service": ["ec2.amazonaws.com"]}));
    assert_eq!(asked(&service, Asker::Service("ec2.amazonaws.com"), &none), Trust::Named);
    assert_eq!(asked(&service, Asker::Service("lambda.amazonaws.com"), &none), Trust::Refused);
    assert_eq!(asked(&service, session, &none), Trust::Refused);
    assert_eq!(asked(&trust(json!({"AWS": "000000000000"})), session, &none), Trust::Delegated);
    let role = trust(json!({"AWS": "arn:aws:iam::000000000000:role/r"}));
    assert_eq!(asked(&role, session, &none), Trust::Named);
    let another = BTreeMap::from([("arn:aws:iam::000000000000:role/r".to_owned(), "AROAOLD".to_owned())]);
    assert_eq!(asked(&role, session, &another), Trust::Refused);
}
