use std::fs::{self, File};
use std::path::Path;

use serde_json::json;

use super::super::{FolderShelf, break_lock};
use super::*;
use crate::{Action, Address};

fn shelf(folder: &Path) -> Arc<dyn Shelf> {
    Arc::new(FolderShelf::new(folder))
}

fn open(folder: &Path) -> StateStore {
    StateStore::open(Lock::take(shelf(folder), "test").unwrap(), "s").unwrap()
}

fn load(folder: &Path) -> Result<Option<State>, StateError> {
    StateStore::load(&FolderShelf::new(folder), "s")
}

fn begin(step: u64) -> Entry {
    let address = Address::new("test/thing", format!("n{step}"));
    Entry::Begin { step, address, action: Action::Create, id: None, inputs: json!({}), needs: vec![] }
}

#[test]
fn what_was_appended_is_there_after_a_crash_and_after_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.append(vec![begin(1), begin(2)]).unwrap();
    let recorded = store.state().clone();
    drop(store); // no close: as a crash leaves it
    assert_eq!(load(folder.path()).unwrap().unwrap(), recorded);
    let mut store = open(folder.path());
    store.append(vec![begin(3)]).unwrap();
    store.append(vec![begin(4)]).unwrap();
    let closed = store.close().unwrap();
    assert_eq!(load(folder.path()).unwrap().unwrap(), closed);
    assert_eq!(closed.resources.len(), 4);
}

#[test]
fn a_run_that_records_nothing_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().unwrap();
    assert!(load(folder.path()).unwrap().is_none());
}

#[test]
fn a_torn_line_may_end_within_a_character() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.append(vec![begin(1)]).unwrap();
    store.append(vec![begin(2)]).unwrap();
    let recorded = store.state().clone();
    store.append(vec![Entry::Failed { step: 1, reason: "é".into() }]).unwrap();
    drop(store);
    let path = folder.path().join(JOURNAL);
    let bytes = fs::read(&path).unwrap();
    let within = bytes.windows(2).position(|two| two == "é".as_bytes()).unwrap() + 1;
    fs::write(&path, &bytes[..within]).unwrap();
    assert_eq!(load(folder.path()).unwrap().unwrap(), recorded);
}

/// A shelf whose disk is full: it writes the first part of what it is given, and fails.
#[derive(Debug)]
struct Full {
    inner: FolderShelf,
    room: std::sync::atomic::AtomicUsize,
}

impl Full {
    fn spend(&self, bytes: &[u8]) -> Result<(), usize> {
        use std::sync::atomic::Ordering::SeqCst;
        let room = self.room.load(SeqCst);
        if bytes.len() > room {
            return Err(room);
        }
        self.room.store(room - bytes.len(), SeqCst);
        Ok(())
    }

    fn full(&self, document: &str) -> ShelfError {
        let source = Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
        ShelfError::Failed { doing: "write", name: self.name(document), source }
    }
}

impl Shelf for Full {
    fn name(&self, document: &str) -> String {
        self.inner.name(document)
    }

    fn read(&self, document: &str) -> Result<Option<Document>, ShelfError> {
        self.inner.read(document)
    }

    fn write(&self, document: &str, bytes: &[u8], when: When) -> Result<super::super::Version, ShelfError> {
        self.spend(bytes).map_err(|_| self.full(document))?;
        self.inner.write(document, bytes, when)
    }

    fn append(&self, document: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        match self.spend(bytes) {
            Ok(()) => self.inner.append(document, bytes),
            Err(room) => {
                self.inner.append(document, &bytes[..room])?;
                Err(self.full(document))
            }
        }
    }

    fn remove(&self, document: &str) -> Result<(), ShelfError> {
        self.inner.remove(document)
    }
}

#[test]
fn on_a_full_disk_nothing_that_was_recorded_is_lost_and_with_room_again_it_goes_on() {
    use std::sync::atomic::Ordering::SeqCst;
    for room in [0, 1, 40, 400, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(Full { inner: FolderShelf::new(folder.path()), room: usize::MAX.into() });
        let mut store = StateStore::open(Lock::take(full.clone(), "test").unwrap(), "s").unwrap();
        store.append(vec![begin(1)]).unwrap();
        full.room.store(room, SeqCst);
        let mut step = 2;
        let error = loop {
            let recorded = store.state().clone();
            match store.append(vec![begin(step)]) {
                Ok(()) => step += 1,
                Err(error) => {
                    assert_eq!(load(folder.path()).unwrap().unwrap(), recorded, "with room for {room}");
                    break error;
                }
            }
        };
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
        assert!(store.snapshot().is_err(), "there is still no room");
        full.room.store(usize::MAX, SeqCst);
        store.append(vec![begin(step + 1)]).unwrap();
        let recorded = store.state().clone();
        drop(store);
        assert_eq!(load(folder.path()).unwrap().unwrap(), recorded);
    }
}

#[test]
fn a_writer_that_lost_its_lease_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = open(folder.path());
    late.append(vec![begin(1)]).unwrap();
    break_lock(&*shelf(folder.path()), true).unwrap();
    assert!(matches!(late.append(vec![begin(2)]), Err(StateError::LockLost)));
    // Whoever takes the lock now sees what may be under way.
    let mut next = open(folder.path());
    assert_eq!(next.state().open.len(), 2);
    next.append(vec![begin(3)]).unwrap();
    let recorded = next.state().clone();
    assert!(matches!(late.append(vec![begin(4)]), Err(StateError::LockLost)));
    assert!(matches!(late.close(), Err(StateError::LockLost)));
    assert_eq!(load(folder.path()).unwrap().unwrap(), recorded);
    next.append(vec![begin(5)]).unwrap();
    assert_eq!(next.close().unwrap().resources.len(), 4);
}

/// A writer that was stopped behind its last look at the lease, so that it believes to have it still.
#[test]
fn a_writer_that_does_not_know_yet_that_it_lost_its_lease_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = open(folder.path());
    late.append(vec![begin(1)]).unwrap();
    break_lock(&*shelf(folder.path()), true).unwrap();
    let mut next = open(folder.path());
    next.append(vec![begin(2)]).unwrap();
    let recorded = next.state().clone();
    let shelf = Arc::clone(late.lock.shelf());
    assert!(matches!(shelf.append(JOURNAL, b"late\n"), Err(ShelfError::Changed { .. })));
    for (document, is) in [(SNAPSHOT, &late.snapshot_is), (JOURNAL, &late.journal_is)] {
        assert!(matches!(shelf.write(document, b"late", is.clone()), Err(ShelfError::Changed { .. })));
    }
    assert_eq!(load(folder.path()).unwrap().unwrap(), recorded);
}

#[test]
fn tokens_rise_though_the_lock_file_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut store = open(folder.path());
        store.append(vec![]).unwrap();
        store.snapshot().unwrap();
        store.close().unwrap();
    }
    let before = load(folder.path()).unwrap().unwrap().token;
    fs::remove_file(folder.path().join("lock.json")).unwrap();
    let mut store = open(folder.path());
    store.snapshot().unwrap();
    assert!(store.state().token > before);
}

/// What is wrong with the files, once with and once without the lock. None of them was changed.
fn refused(folder: &Path) -> String {
    let files = || [SNAPSHOT, JOURNAL].map(|name| fs::read(folder.join(name)).ok());
    let before = files();
    let error = load(folder).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let opened = StateStore::open(Lock::take(shelf(folder), "test").unwrap(), "s").unwrap_err();
    assert_eq!(opened.to_string(), error.to_string());
    assert_eq!(files(), before);
    let source = std::error::Error::source(&error).unwrap();
    format!("{error}: {source}")
}

/// A state with a second snapshot, and a journal of some lines.
fn some_state() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.append(vec![begin(1)]).unwrap();
    store.snapshot().unwrap();
    store.append(vec![begin(2)]).unwrap();
    store.append(vec![begin(3)]).unwrap();
    folder
}

#[test]
fn what_was_removed_is_missed() {
    let folder = some_state();
    fs::remove_file(folder.path().join(SNAPSHOT)).unwrap();
    assert!(refused(folder.path()).contains("snapshot that it continues is not there"));
    let folder = some_state();
    fs::remove_file(folder.path().join(JOURNAL)).unwrap();
    assert!(refused(folder.path()).contains("it is not there"));
}

#[test]
fn what_was_cut_off_or_edited_is_named() {
    let damage = |name: &str, edit: &dyn Fn(String) -> String| {
        let folder = some_state();
        let path = folder.path().join(name);
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
        let refused = refused(folder.path());
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        refused
    };
    assert!(damage(SNAPSHOT, &|text| text[..text.len() / 2].to_owned()).contains("ends in the middle"));
    assert!(damage(SNAPSHOT, &|_| String::new()).contains("ends in the middle, after 0 bytes"));
    assert!(damage(SNAPSHOT, &|text| text.replace("begun", "settled")).contains("checksum does not hold"));
    assert!(damage(JOURNAL, &|text| text.replace("n2", "n9")).contains("line 2 does not follow"));
    assert!(
        damage(JOURNAL, &|text| text.lines().skip(1).map(|line| line.to_owned() + "\n").collect())
            .contains("first line")
    );
}

#[test]
fn an_older_copy_of_one_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let mut store = open(folder.path());
    store.append(vec![begin(1)]).unwrap();
    let old = copy(SNAPSHOT);
    store.snapshot().unwrap();
    store.append(vec![begin(2)]).unwrap();
    drop(store);
    fs::write(folder.path().join(SNAPSHOT), old).unwrap();
    assert!(refused(folder.path()).contains("an older copy of it was put back"));
}

#[test]
fn the_files_of_another_state_are_named() {
    let (one, other) = (some_state(), some_state());
    fs::copy(other.path().join(JOURNAL), one.path().join(JOURNAL)).unwrap();
    assert!(refused(one.path()).contains("it continues the state"));
    let error = StateStore::load(&FolderShelf::new(other.path()), "another").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it is the state of the stack `s`, not of `another`");
}

#[test]
fn a_newer_state_is_named_and_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(SNAPSHOT), "{\"format\": 99}").unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(!error.is_damage());
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("has format 99"));
}

#[test]
fn a_journal_that_cannot_be_read_is_no_empty_one() {
    let folder = some_state();
    fs::remove_file(folder.path().join(JOURNAL)).unwrap();
    fs::create_dir(folder.path().join(JOURNAL)).unwrap();
    assert!(matches!(load(folder.path()), Err(StateError::Shelf(_))));
    assert!(File::open(folder.path().join(SNAPSHOT)).is_ok());
}
