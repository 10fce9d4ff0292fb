use serde_json::json;

use super::*;

fn begin(step: StepId, action: Action) -> Entry {
    let address = Address::new("test/thing", "a");
    Entry::Begin { step, address, action, id: None, inputs: json!({"size": 1}), needs: vec![] }
}

fn open(serial: u64) -> Entry {
    Entry::Open { format: FORMAT, lineage: "l".into(), serial, token: 0 }
}

fn journal(entries: &[Entry]) -> String {
    journal_of(&[&[open(0)], entries].concat())
}

fn status(entries: &[Entry]) -> Option<Status> {
    let state = replay(State::new("s", "l"), &journal(entries)).unwrap();
    state.resources.values().next().map(|record| record.status.clone())
}

#[test]
fn a_create_that_nobody_saw_the_end_of_is_the_same_create() {
    let made_by = |entries: &[Entry]| {
        let state = replay(State::new("s", "l"), &journal(entries)).unwrap();
        state.resources.values().next().and_then(|record| record.made_by)
    };
    let named = |step| Entry::Named { step, id: "x".into() };
    let failed = Entry::Failed { step: 1, reason: "no".into() };
    let create = |step| begin(step, Action::Create);
    assert_eq!(made_by(&[create(1), create(2)]), Some(1), "its answer was lost");
    assert_eq!(made_by(&[create(1), named(1), create(2)]), Some(1), "it may only not be shown yet");
    assert_eq!(made_by(&[create(1), named(1), failed, create(2)]), Some(2), "it is known to be broken");
    let update = Entry::Begin {
        step: 2,
        address: Address::new("test/thing", "a"),
        action: Action::Update,
        id: Some("x".into()),
        inputs: json!({"size": 1}),
        needs: vec![],
    };
    assert_eq!(made_by(&[create(1), named(1), update, create(3)]), Some(3), "it was there, and is gone");
}

#[test]
fn a_resource_goes_through_its_states() {
    let named = Entry::Named { step: 1, id: "x".into() };
    let done = Entry::Done { step: 1, outputs: json!({"arn": "y"}) };
    let failed = Entry::Failed { step: 1, reason: "no".into() };
    assert_eq!(status(&[]), None);
    assert_eq!(status(&[begin(1, Action::Create)]), Some(Status::Begun));
    assert_eq!(status(&[begin(1, Action::Create), named.clone()]), Some(Status::Named));
    assert_eq!(status(&[begin(1, Action::Create), named.clone(), done.clone()]), Some(Status::Settled));
    let tainted = Some(Status::Tainted { reason: "no".into() });
    assert_eq!(status(&[begin(1, Action::Create), named.clone(), failed.clone()]), tainted);
    assert_eq!(status(&[begin(1, Action::Create), failed]), Some(Status::Begun));
    let gone = [
        begin(1, Action::Create),
        named,
        done,
        begin(2, Action::Delete),
        Entry::Done { step: 2, outputs: Value::Null },
    ];
    assert_eq!(status(&gone), None);
}

#[test]
fn a_torn_last_line_is_an_entry_that_never_was() {
    let whole = journal(&[begin(1, Action::Create), Entry::Named { step: 1, id: "x".into() }]);
    let torn = &whole[..whole.len() - 3];
    let state = replay(State::new("s", "l"), torn).unwrap();
    assert_eq!(state.resources.values().next().unwrap().status, Status::Begun);
}

#[test]
fn a_journal_folded_into_the_snapshot_already_is_left_alone() {
    let mut snapshot = State::new("s", "l");
    snapshot.serial = 2;
    let text = journal_of(&[open(1), begin(1, Action::Create)]);
    assert_eq!(replay(snapshot.clone(), &text).unwrap(), snapshot);
}

#[test]
fn what_cannot_have_happened_is_refused() {
    let cases = [
        journal(&[Entry::Done { step: 1, outputs: Value::Null }]),
        journal(&[Entry::Named { step: 1, id: "x".into() }]),
        journal(&[begin(1, Action::Create), begin(1, Action::Create)]),
        "{}\n".to_owned(),
    ];
    for text in cases {
        assert!(replay(State::new("s", "l"), &text).is_err(), "{text}");
    }
}

fn refused(text: &str) -> Corrupt {
    replay(State::new("s", "l"), text).unwrap_err()
}

#[test]
fn a_journal_of_another_snapshot_is_named() {
    let opened = |format, lineage: &str, serial, token| {
        refused(&journal_of(&[Entry::Open { format, lineage: lineage.into(), serial, token }]))
    };
    assert!(matches!(opened(2, "other", 0, 0), Corrupt::Lineage { .. }));
    assert_eq!(opened(2, "l", 7, 0), Corrupt::Newer { expected: 0, found: 7 });
    assert_eq!(opened(2, "l", 0, 3), Corrupt::Mixed { serial: 0 });
    assert_eq!(opened(1, "l", 0, 0), Corrupt::Mixed { serial: 0 });
    assert_eq!(opened(9, "l", 0, 0), Corrupt::NewerFormat { found: 9 });
    assert_eq!(refused("{\"event\":\"open\",\"lineage\":\"l\",\"serial\":0}\n"), Corrupt::Mixed { serial: 0 });
    assert_eq!(refused(&journal_of(&[begin(1, Action::Create)])), Corrupt::NotOpened);
}

#[test]
fn lines_that_were_edited_or_taken_out_are_named() {
    let text = journal(&[begin(1, Action::Create), Entry::Named { step: 1, id: "x".into() }, begin(2, Action::Create)]);
    assert_eq!(refused(&text.replace("\"x\"", "\"y\"")), Corrupt::Sum { line: 3 });
    let without: String = text.lines().filter(|line| !line.contains("named")).map(|l| l.to_owned() + "\n").collect();
    assert_eq!(refused(&without), Corrupt::Sum { line: 3 });
    let twice = format!("{text}{text}");
    assert!(matches!(refused(&twice), Corrupt::Sum { line: 5 }));
}
