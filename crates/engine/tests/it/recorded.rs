//! Journals of a real `up` and a real `down` of `stacks/pinterest.yaml`, cut off at every byte.
//!
//! They were recorded by `tests/it/prefixes.rs`, with `PINFRA_RECORD_JOURNALS` set to the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinfra_engine::state::{FolderShelf, Status, read_snapshot, replay};
use pinfra_engine::{Lock, State, StateStore};

fn recorded(run: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pinterest").join(run)
}

/// The snapshot that a run began with, and its journal.
fn read(run: &str) -> (State, String) {
    let snapshot = read_snapshot(&fs::read(recorded(run).join("state.json")).unwrap()).unwrap();
    (snapshot, fs::read_to_string(recorded(run).join("journal.ndjson")).unwrap())
}

/// Where lines end, and 0.
fn ends(journal: &str) -> Vec<usize> {
    std::iter::once(0).chain(journal.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

#[test]
fn every_byte_prefix_replays_to_the_state_of_its_whole_lines() {
    for run in ["up", "down"] {
        let (snapshot, journal) = read(run);
        assert!(journal.is_ascii(), "every byte is a place to cut at");
        // Each prefix takes as long as all its lines; `PINFRA_JOURNAL_PREFIXES=all` tries every one.
        let all = std::env::var("PINFRA_JOURNAL_PREFIXES").is_ok_and(|which| which == "all");
        let stride = if all { 1 } else { 97 };
        for two in ends(&journal).windows(2) {
            let state = replay(snapshot.clone(), &journal[..two[0]]).unwrap();
            for cut in (two[0] + 1..two[1]).step_by(stride).chain([two[1] - 1]) {
                assert_eq!(replay(snapshot.clone(), &journal[..cut]).unwrap(), state, "{run}, {cut} bytes");
            }
        }
    }
}

#[test]
fn a_real_run_replays_to_what_it_has_made() {
    let (snapshot, journal) = read("up");
    let up = replay(snapshot, &journal).unwrap();
    assert!(up.resources.len() > 30 && up.open.is_empty());
    assert!(up.resources.values().all(|record| record.status == Status::Settled));
    let (snapshot, journal) = read("down");
    assert_eq!(snapshot.resources.keys().collect::<Vec<_>>(), up.resources.keys().collect::<Vec<_>>());
    let down = replay(snapshot, &journal).unwrap();
    assert_eq!((down.resources.len(), down.open.len()), (0, 0));
}

/// Whatever one byte of either file becomes, it is named, or it is the torn end, or white space of the snapshot.
#[test]
fn no_byte_is_changed_unseen() {
    for run in ["up", "down"] {
        let (snapshot, journal) = read(run);
        let whole = replay(snapshot.clone(), &journal).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let load = || StateStore::load(&FolderShelf::new(folder.path()), "pinterest");
        for name in ["state.json", "journal.ndjson"] {
            for file in ["state.json", "journal.ndjson"] {
                fs::copy(recorded(run).join(file), folder.path().join(file)).unwrap();
            }
            let bytes = fs::read(recorded(run).join(name)).unwrap();
            for at in (0..bytes.len()).step_by(211).chain([bytes.len() - 1]) {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                fs::write(folder.path().join(name), &changed).unwrap();
                let is_last_line = name == "journal.ndjson" && at + 1 == bytes.len();
                let is_space = name == "state.json" && bytes[at].is_ascii_whitespace();
                match load() {
                    Ok(Some(state)) if is_last_line => assert_ne!(state, whole, "the line is as good as not written"),
                    Ok(Some(state)) if is_space => assert_eq!(state, whole),
                    Ok(_) => panic!("{run}, {name}: byte {at} is not `{}` any more", bytes[at] as char),
                    Err(error) => assert!(error.is_damage(), "{error}"),
                }
            }
        }
    }
}

/// A kill between the two files of a fold leaves the new snapshot beside the journal that is in it already.
#[test]
fn a_fold_that_was_killed_half_way_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["state.json", "journal.ndjson"] {
        fs::copy(recorded("up").join(file), folder.path().join(file)).unwrap();
    }
    let shelf = Arc::new(FolderShelf::new(folder.path()));
    let mut store = StateStore::open(Lock::take(shelf.clone(), "test").unwrap(), "pinterest").unwrap();
    store.snapshot().unwrap();
    let folded = store.state().clone();
    drop(store);
    fs::copy(recorded("up").join("journal.ndjson"), folder.path().join("journal.ndjson")).unwrap();
    assert_eq!(StateStore::load(&*shelf, "pinterest").unwrap().unwrap(), folded);
}
