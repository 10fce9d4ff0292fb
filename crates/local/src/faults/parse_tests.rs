//! Whatever can be said is read back as it was written, and whatever cannot be read is told with its place.

use std::time::Duration;

use proptest::prelude::*;

use super::parse::{RuleError, Rules, parse};
use super::rule::{Act, Chance, Moment, Only, Rule, When};

#[test]
fn every_form_is_read() {
    let text = "# trouble\n\
        seed 42\n\
        on kafka:CreateCluster nth=2 do kill after\n\
        \n\
        on s3:PutObject every=3 times=2 writes do refuse SlowDown status=503 message=\"a \\\"b\\\" # c\"   # slow\n\
        on *:* chance=2.5% do delay 1500ms by=any\n\
        on kinesis:* reads do error 503\n\
        on kafkaconnect:CreateConnector times=1 do fail \"no more \\\"workers\\\"\"\n";
    let rules = parse(text).unwrap();
    assert_eq!(rules.seed, Some(42));
    let written: Vec<String> = rules.rules.iter().map(Rule::to_string).collect();
    assert_eq!(
        written,
        [
            "on kafka:CreateCluster nth=2 do kill after",
            "on s3:PutObject every=3 times=2 writes do refuse SlowDown status=503 message=\"a \\\"b\\\" # c\"",
            "on *:* chance=2.50% do delay 1500ms by=any",
            "on kinesis:* reads do error 503",
            "on kafkaconnect:CreateConnector times=1 do fail \"no more \\\"workers\\\"\"",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_the_nearest_spelling() {
    let cases = [
        (
            "om kafka:* do reset",
            1,
            "a rule begins with `on`, such as `on kafka:CreateClusterV2 nth=1 do kill after`, and this is `om`; did you mean `on`?",
        ),
        ("on", 3, "the line ends where `<service>:<operation>` should stand"),
        ("on kafka do reset", 4, "`kafka` is not `<service>:<operation>`, `<service>:*` or `*:*`"),
        ("on kafca:* do reset", 4, "the local cloud has no service `kafca`; did you mean `kafka`?"),
        ("on dynamodb:* do reset", 4, "the local cloud has no service `dynamodb`"),
        (
            "on kafka:CreateClusters do reset",
            4,
            "`kafka` has no operation `CreateClusters` here; did you mean `CreateCluster`?",
        ),
        ("on s3:PutObjekt do reset", 4, "`s3` has no operation `PutObjekt` here; did you mean `PutObject`?"),
        ("on *:PutRecord do reset", 4, "name the service of `PutRecord`, or write `*:*`"),
        ("on kafka:* nth=0 do reset", 12, "`nth=0` would never happen: counting begins at 1"),
        ("on kafka:* nth=x do reset", 12, "`x` is no whole number"),
        ("on kafka:* nht=1 do reset", 12, "`nht=1` is no condition; did you mean `nth=`?"),
        ("on kafka:* write do reset", 12, "`write` is no condition; did you mean `writes`?"),
        ("on kafka:* reads writes do reset", 18, "`writes` says a second time what was said before"),
        ("on kafka:* chance=101% do reset", 12, "`101%` is no chance, such as `10%` or `0.25%`"),
        ("on kafka:* chance=10 do reset", 12, "`10` is no chance, such as `10%` or `0.25%`"),
        ("on kafka:* by=any do reset", 12, "`by=any` stands at the end of a rule"),
        ("on kafka:*", 11, "the line ends where `do` and what is to happen should stand"),
        ("on kafka:* do", 14, "the line ends where what is to happen should stand"),
        ("on kafka:* do explode", 15, "`explode` is nothing that can happen"),
        ("on kafka:* do trottle", 15, "`trottle` is nothing that can happen; did you mean `throttle`?"),
        (
            "on kafka:* do kill befor",
            20,
            "a process is killed `before`, `after` or `answered`, not `befor`; did you mean `before`?",
        ),
        (
            "on s3:CreateBucket do fail x",
            23,
            "only what comes up by and by can `fail`: `kafka:CreateCluster`, `kafka:CreateClusterV2`, \
             `kafkaconnect:CreateConnector`, `kafkaconnect:CreateCustomPlugin`",
        ),
        ("on kafka:CreateCluster do fail", 31, "the line ends where the reason, in quotes should stand"),
        ("on kafka:* do error 502", 21, "an error is `500` or `503`, and this is `502`"),
        ("on kafka:* do delay 5", 21, "`5` is no time, such as `250ms`, `2s` or `1m`"),
        ("on kafka:* do delay 61m", 21, "`61m` is more than an hour"),
        ("on kafka:* do refuse a-b", 22, "`a-b` is no code of an error, such as `AccessDeniedException`"),
        ("on kafka:* do refuse A status=200", 24, "`200` is no status of an error, which is 400 to 599"),
        (
            "on kafka:* do refuse A statsu=400",
            24,
            "`statsu=400` is neither `status=` nor `message=`; did you mean `status`?",
        ),
        ("on kafka:* do refuse A message=\"x", 32, "this quote is not closed"),
        ("on kafka:* do reset twice", 21, "the line ends before `twice`"),
        ("seed x", 6, "`x` is no whole number"),
    ];
    for (line, column, message) in cases {
        let errors = parse(&format!("# first\n{line}\n")).unwrap_err();
        assert_eq!(errors.0, [RuleError { line: 2, column, message: message.to_owned() }], "{line}");
    }
}

#[test]
fn all_lines_are_told_at_once_and_none_is_taken() {
    let errors = parse("on x:* do reset\non kafka:* do reset\nfoo\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "line 1, column 4: the local cloud has no service `x`\n\
         line 3, column 1: a rule begins with `on`, such as `on kafka:CreateClusterV2 nth=1 do kill after`, and this is `foo`"
    );
}

fn act() -> impl Strategy<Value = Act> {
    let time = (0_u64..=3_600_000).prop_map(Duration::from_millis);
    let refusal = (
        "[A-Za-z][A-Za-z0-9.]{0,30}",
        proptest::option::of(400_u16..600),
        proptest::option::of("[^\\p{Cc}\\u{2028}\\u{2029}]{0,40}"),
    )
        .prop_map(|(code, status, message)| Act::Refuse { code, status, message });
    prop_oneof![
        refusal,
        time.clone().prop_map(Act::Delay),
        time.prop_map(Act::Hang),
        proptest::sample::select(vec![
            Act::Throttle,
            Act::Error(500),
            Act::Error(503),
            Act::Reset,
            Act::LoseAnswer,
            Act::Kill(Moment::Before),
            Act::Kill(Moment::After),
            Act::Kill(Moment::Answered),
        ]),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let targets = vec![
        (None, None),
        (Some("kafka"), None),
        (Some("s3"), Some("PutObject".to_owned())),
        (Some("tagging"), Some("GetResources".to_owned())),
    ];
    let count = || proptest::option::of(1_u64..);
    let chance = proptest::option::of((1_u32..=10_000).prop_map(Chance));
    let only = proptest::option::of(proptest::sample::select(vec![Only::Reads, Only::Writes]));
    let when = (count(), count(), chance, count(), only).prop_map(|(nth, every, chance, times, only)| When {
        nth,
        every,
        chance,
        times,
        only,
    });
    (proptest::sample::select(targets), when, act(), any::<bool>())
        .prop_map(|((service, operation), when, act, by_any)| Rule { service, operation, when, act, by_any })
}

proptest! {
    #[test]
    fn a_rule_is_read_back_as_it_is_written(rules in proptest::collection::vec(rule(), 0..5)) {
        let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
        prop_assert_eq!(parse(&text).unwrap(), Rules { seed: None, rules });
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged(text in "(on |s3:PutObject|kafka|:|\\*| do |kill |refuse |=|%|\"|\\\\|#|é|[0-9]|\\PC|\n){0,60}") {
        match parse(&text) {
            Ok(rules) => prop_assert!(rules.rules.len() <= text.lines().count()),
            Err(errors) => {
                for error in &errors.0 {
                    let line = text.lines().nth(error.line - 1).unwrap();
                    prop_assert!((1..=line.chars().count() + 1).contains(&error.column), "{}", error);
                }
            }
        }
    }
}
