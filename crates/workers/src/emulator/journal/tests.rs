//! Counts add up whatever is cut off.

use proptest::prelude::*;

use super::*;

fn post(number: u64) -> Arc<Post> {
    let data = RawValue::from_string(format!("{{\"index\":{number}}}")).unwrap();
    let table = if number.is_multiple_of(2) { "pin" } else { "geo" };
    Arc::new(Post { number, table: table.into(), stream: "s".into(), partition_key: "1".into(), data })
}

fn open(folder: &Path) -> Journal {
    Journal::open(folder, &["pin", "geo"], Teller::default()).unwrap()
}

#[track_caller]
fn adds_up(journal: &Journal) {
    for table in ["pin", "geo"] {
        let counts = journal.counts(table);
        let open = journal.unfinished().iter().filter(|post| post.table == table).count() as u64;
        assert_eq!(counts.emitted, counts.accepted + counts.refused + open, "{table}: {counts:?}");
    }
}

#[test]
fn an_attempt_that_was_cut_off_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    for number in 0..4 {
        journal.emitted(post(number * 2)).unwrap();
    }
    journal.accepted(0).unwrap();
    journal.failed(2, false).unwrap();
    journal.failed(4, true).unwrap();
    journal.again(4).unwrap();
    drop(journal);
    let mut journal = open(folder.path());
    // 2 was not under way; 4 was for the second time, 6 for the first.
    let counts = Counts { emitted: 4, accepted: 1, refused: 0, retried: 1, unknown: 3 };
    assert_eq!(journal.counts("pin"), counts);
    assert_eq!(journal.unfinished().iter().map(|post| post.number).collect::<Vec<_>>(), [2, 4, 6]);
    assert_eq!(journal.unfinished()[0].data.get(), "{\"index\":2}");
    assert_eq!(journal.next(), 7);
    journal.again(6).unwrap();
    journal.refused(6).unwrap();
    drop(journal);
    let journal = open(folder.path());
    assert_eq!(journal.counts("pin"), Counts { refused: 1, retried: 2, ..counts });
    assert_eq!(journal.under_way(), 2);
}

#[test]
fn counters_are_told_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let teller = Teller::default();
    let mut journal = Journal::open(folder.path(), &["pin"], teller.clone()).unwrap();
    assert_eq!(teller.report().counters["pin"]["accepted"], 0);
    journal.emitted(post(0)).unwrap();
    journal.accepted(0).unwrap();
    assert_eq!(teller.report().counters["pin"]["accepted"], 1);
    drop(journal);
    let teller = Teller::default();
    let _journal = Journal::open(folder.path(), &["pin"], teller.clone()).unwrap();
    assert_eq!(teller.report().counters["pin"]["accepted"], 1);
}

#[test]
fn a_second_emulator_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = Journal::open(folder.path(), &["pin"], Teller::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    drop(first);
    open(folder.path());
}

#[test]
fn the_file_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.emitted(post(0)).unwrap();
    for _ in 0..200_000 {
        journal.failed(0, false).unwrap();
        journal.again(0).unwrap();
    }
    assert!(std::fs::metadata(folder.path().join(FILE)).unwrap().len() < COMPACT + 1000);
    assert_eq!(journal.counts("pin").retried, 200_000);
    drop(journal);
    assert_eq!(
        open(folder.path()).counts("pin"),
        Counts { emitted: 1, retried: 200_000, unknown: 1, ..Counts::default() }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_beginning_of_the_file_adds_up(steps in prop::collection::vec((0_u8..6, 0_u64..8), 1..60), cuts in prop::collection::vec(0.0..1.0, 6)) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        for (step, number) in steps {
            let waits = journal.open.get(&number).map(|open| !open.sent);
            match (step, waits) {
                (0..3, _) => {
                    let next = journal.next();
                    journal.emitted(post(next)).unwrap();
                }
                (3, Some(false)) => journal.failed(number, step == 3).unwrap(),
                (3, Some(true)) => journal.again(number).unwrap(),
                (4, Some(false)) => journal.accepted(number).unwrap(),
                (5, Some(false)) => journal.refused(number).unwrap(),
                _ => {}
            }
        }
        adds_up(&journal);
        let whole = [journal.counts("pin"), journal.counts("geo")];
        drop(journal);
        let text = std::fs::read(folder.path().join(FILE)).unwrap();
        for cut in cuts {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE), &text[..(cut * text.len() as f64) as usize]).unwrap();
            let journal = open(folder.path());
            adds_up(&journal);
            prop_assert!(journal.counts("pin").emitted <= whole[0].emitted);
        }
        let journal = open(folder.path());
        adds_up(&journal);
        prop_assert_eq!(journal.counts("geo").accepted, whole[1].accepted);
    }
}
