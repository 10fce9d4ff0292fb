//! Counts add up whatever is cut off.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

const STREAM: Route = Route::Stream;
const KAFKA: Route = Route::Kafka;

/// Pins go both ways, places to the stream alone.
fn post(number: u64) -> Arc<Post> {
    let data = RawValue::from_string(format!("{{\"index\":{number}}}")).unwrap();
    let (table, topic) = if number.is_multiple_of(2) { ("pin", Some("t".into())) } else { ("geo", None) };
    Arc::new(Post { number, table: table.into(), stream: Some("s".into()), topic, partition_key: "1".into(), data })
}

fn table(name: &str, topic: Option<&str>) -> EmulatedTable {
    let text = str::to_owned;
    EmulatedTable {
        name: text(name),
        key: text("ind"),
        source: text(name),
        stream: Some(text("s")),
        topic: topic.map(text),
    }
}

fn open(folder: &Path) -> Journal {
    Journal::open(folder, &[table("pin", Some("t")), table("geo", None)], Teller::default()).unwrap()
}

/// Draws an event whose first attempt leaves on all its routes.
fn emit(journal: &mut Journal, post: &Arc<Post>) {
    journal.drawn(Arc::clone(post)).unwrap();
    for route in post.routes() {
        journal.leaves(post.number, route).unwrap();
    }
}

fn numbers(journal: &Journal, on: Route) -> Vec<u64> {
    journal.unfinished().iter().filter(|(_, route)| *route == on).map(|(post, _)| post.number).collect()
}

#[track_caller]
fn adds_up(journal: &Journal) {
    for (table, route) in [("pin", STREAM), ("pin", KAFKA), ("geo", STREAM), ("geo", KAFKA)] {
        let counts = journal.counts(table, route);
        let open = journal.unfinished().iter().filter(|(post, on)| post.table == table && *on == route).count() as u64;
        assert_eq!(counts.emitted, counts.accepted + counts.refused + open, "{table}: {counts:?}");
    }
}

#[test]
fn an_attempt_that_was_cut_off_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    for number in 0..4 {
        emit(&mut journal, &post(number * 2));
    }
    for number in [0, 2, 4, 6] {
        journal.accepted(number, KAFKA).unwrap();
    }
    journal.accepted(0, STREAM).unwrap();
    journal.failed(2, STREAM, false).unwrap();
    journal.failed(4, STREAM, true).unwrap();
    journal.leaves(4, STREAM).unwrap();
    drop(journal);
    let mut journal = open(folder.path());
    // 2 was not under way; 4 was for the second time, 6 for the first.
    let counts = Counts { emitted: 4, accepted: 1, refused: 0, retried: 1, unknown: 3 };
    assert_eq!(journal.counts("pin", STREAM), counts);
    assert_eq!(numbers(&journal, STREAM), [2, 4, 6]);
    assert_eq!(journal.unfinished()[0].0.data.get(), "{\"index\":2}");
    assert_eq!(journal.next(), 7);
    journal.leaves(6, STREAM).unwrap();
    journal.refused(6, STREAM).unwrap();
    drop(journal);
    let journal = open(folder.path());
    assert_eq!(journal.counts("pin", STREAM), Counts { refused: 1, retried: 2, ..counts });
    assert_eq!(journal.counts("pin", KAFKA), Counts { emitted: 4, accepted: 4, ..Counts::default() });
    assert_eq!(journal.under_way(), 2);
}

#[test]
fn each_route_has_outcomes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.drawn(post(0)).unwrap();
    journal.drawn(post(2)).unwrap();
    journal.leaves(0, STREAM).unwrap();
    journal.accepted(0, STREAM).unwrap();
    journal.leaves(2, KAFKA).unwrap();
    journal.refused(2, KAFKA).unwrap();
    // An outcome that is there stays.
    journal.accepted(2, KAFKA).unwrap();
    drop(journal);
    let mut journal = open(folder.path());
    assert_eq!((numbers(&journal, STREAM), numbers(&journal, KAFKA)), (vec![2], vec![0]));
    // What never left is not unknown, and its first attempt is no retry, over a restart and a snapshot too.
    journal.leaves(0, KAFKA).unwrap();
    journal.accepted(0, KAFKA).unwrap();
    assert_eq!(journal.counts("pin", KAFKA), Counts { emitted: 2, accepted: 1, refused: 1, retried: 0, unknown: 0 });
    assert_eq!(journal.counts("pin", STREAM), Counts { emitted: 2, accepted: 1, ..Counts::default() });
    adds_up(&journal);
}

/// As an emulator that knew streams alone left it.
#[test]
fn a_journal_of_the_first_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let post = |number: u64| {
        format!(r#"{{"number":{number},"table":"pin","stream":"s","partition_key":"1","data":{{"index":{number}}}}}"#)
    };
    let lines = [
        r#"{"snapshot":{"next":5,"counts":{"pin":{"emitted":5,"accepted":2,"refused":1,"retried":4,"unknown":1}}}}"#
            .to_owned(),
        format!(r#"{{"open":{{"post":{},"sent":true}}}}"#, post(3)),
        format!(r#"{{"open":{{"post":{},"sent":false}}}}"#, post(4)),
        r#"{"again":4}"#.to_owned(),
        format!(r#"{{"emitted":{}}}"#, post(5)),
        r#"{"failed":{"number":5,"unknown":true}}"#.to_owned(),
        format!(r#"{{"emitted":{}}}"#, post(6)),
        r#"{"accepted":3}"#.to_owned(),
        r#"{"refused":4}"#.to_owned(),
        String::new(),
    ];
    std::fs::write(folder.path().join(FILE), lines.join("\n")).unwrap();
    let mut journal = open(folder.path());
    let counts = Counts { emitted: 7, accepted: 3, refused: 2, retried: 5, unknown: 3 };
    assert_eq!((journal.counts("pin", STREAM), journal.next()), (counts, 7));
    assert_eq!((numbers(&journal, STREAM), numbers(&journal, KAFKA)), (vec![5, 6], vec![]));
    assert_eq!(journal.counts("pin", KAFKA), Counts::default());
    journal.leaves(5, STREAM).unwrap();
    assert_eq!(journal.counts("pin", STREAM).retried, 6);
    adds_up(&journal);
}

#[test]
fn counters_are_told_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [table("pin", Some("t"))];
    let teller = Teller::default();
    let mut journal = Journal::open(folder.path(), &tables, teller.clone()).unwrap();
    assert_eq!(teller.report().counters["pin"]["kafka_accepted"], 0);
    emit(&mut journal, &post(0));
    journal.accepted(0, STREAM).unwrap();
    let told = teller.report().counters["pin"].clone();
    assert_eq!((told["accepted"], told["kafka_accepted"], told["kafka_emitted"]), (1, 0, 1));
    journal.accepted(0, KAFKA).unwrap();
    drop(journal);
    let teller = Teller::default();
    let _journal = Journal::open(folder.path(), &tables, teller.clone()).unwrap();
    let told = teller.report().counters["pin"].clone();
    assert_eq!((told["accepted"], told["kafka_accepted"]), (1, 1));
}

#[test]
fn a_second_emulator_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = Journal::open(folder.path(), &[], Teller::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    drop(first);
    open(folder.path());
}

#[test]
fn the_file_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    emit(&mut journal, &post(0));
    for _ in 0..200_000 {
        journal.failed(0, KAFKA, false).unwrap();
        journal.leaves(0, KAFKA).unwrap();
    }
    assert!(std::fs::metadata(folder.path().join(FILE)).unwrap().len() < COMPACT + 1000);
    assert_eq!(journal.counts("pin", KAFKA).retried, 200_000);
    drop(journal);
    assert_eq!(
        open(folder.path()).counts("pin", KAFKA),
        Counts { emitted: 1, retried: 200_000, unknown: 1, ..Counts::default() }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_beginning_of_the_file_adds_up(
        steps in prop::collection::vec((0_u8..7, 0_u64..8, any::<bool>()), 1..80), cuts in prop::collection::vec(0.0..1.0, 6)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        for (step, number, on_kafka) in steps {
            let route = if on_kafka { KAFKA } else { STREAM };
            let stand = journal.open.get(&number).and_then(|open| open.ways[route as usize]);
            match (step, stand) {
                (0..2, _) => {
                    let next = journal.next();
                    journal.drawn(post(next)).unwrap();
                }
                (2..4, Some(Stand::Waiting | Stand::Failed)) => journal.leaves(number, route).unwrap(),
                (4, Some(Stand::Sent)) => journal.failed(number, route, number % 3 == 0).unwrap(),
                (5, Some(Stand::Sent)) => journal.accepted(number, route).unwrap(),
                (6, Some(Stand::Sent)) => journal.refused(number, route).unwrap(),
                _ => {}
            }
        }
        adds_up(&journal);
        let counts = |journal: &Journal| [STREAM, KAFKA].map(|route| journal.counts("pin", route));
        let whole = counts(&journal);
        drop(journal);
        let text = std::fs::read(folder.path().join(FILE)).unwrap();
        for cut in cuts {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE), &text[..(cut * text.len() as f64) as usize]).unwrap();
            let journal = open(folder.path());
            adds_up(&journal);
            for (cut, whole) in counts(&journal).into_iter().zip(whole) {
                prop_assert!(cut.emitted <= whole.emitted && cut.accepted <= whole.accepted);
            }
        }
        let journal = open(folder.path());
        adds_up(&journal);
        for (found, whole) in counts(&journal).into_iter().zip(whole) {
            prop_assert_eq!((found.accepted, found.retried), (whole.accepted, whole.retried));
        }
    }
}
