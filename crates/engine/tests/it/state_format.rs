//! State files of every released format are read by this program, and brought up to date by what it writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinfra_engine::state::{Entry, FORMAT, FolderShelf, State, Status};
use pinfra_engine::{Lock, StateStore};

use crate::world::address;

/// The files that a release of that format has left.
fn stored(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/state-v{format}"))
}

/// Every format's files say the same.
fn assert_as_stored(state: &State) {
    assert_eq!((state.stack.as_str(), state.next_step), ("pinterest", 16));
    let status = |text| state.resources[&address(text)].status.clone();
    assert_eq!(status("s3/bucket.lake"), Status::Settled);
    assert_eq!(status("kinesis/stream.pin"), Status::Settled);
    assert_eq!(status("kinesis/stream.user"), Status::Tainted { reason: "kinesis:CreateStream: too many".to_owned() });
    assert_eq!(status("kinesis/stream.new"), Status::Begun);
    assert_eq!(state.resources[&address("s3/bucket.lake")].outputs["arn"], "arn:aws:s3:::pinterest-lake-2");
    assert!(!state.resources.contains_key(&address("kinesis/stream.geo")), "its delete is in the journal");
    assert_eq!(state.resources.len(), 4);
    assert_eq!(state.open.keys().collect::<Vec<_>>(), [&15]);
    assert_eq!(state.place.as_ref().unwrap().region, "us-east-1");
    assert!(state.protected.contains("s3/bucket"));
}

#[test]
fn every_format_is_read_and_the_next_write_brings_it_up_to_date() {
    for format in 1..=FORMAT {
        let stored = stored(format);
        let read = StateStore::load(&FolderShelf::new(&stored), "pinterest").unwrap().unwrap();
        assert_eq!((read.format, read.serial), (format, 4));
        assert_as_stored(&read);

        let folder = tempfile::tempdir().unwrap();
        for file in ["state.json", "journal.ndjson"] {
            fs::copy(stored.join(file), folder.path().join(file)).unwrap();
        }
        let shelf = Arc::new(FolderShelf::new(folder.path()));
        let mut store = StateStore::open(Lock::take(shelf.clone(), "test").unwrap(), "pinterest").unwrap();
        store.append(vec![Entry::Stack { place: read.place.unwrap(), protected: read.protected }]).unwrap();
        drop(store);
        let migrated = StateStore::load(&*shelf, "pinterest").unwrap().unwrap();
        assert_eq!((migrated.format, migrated.serial), (FORMAT, 5));
        assert_as_stored(&migrated);
    }
}

/// The program of before wrote its journal after its snapshot too.
#[test]
fn a_first_format_whose_journal_was_not_written_yet_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(stored(1).join("state.json"), folder.path().join("state.json")).unwrap();
    let state = StateStore::load(&FolderShelf::new(folder.path()), "pinterest").unwrap().unwrap();
    assert_eq!(state.next_step, 9);
}
