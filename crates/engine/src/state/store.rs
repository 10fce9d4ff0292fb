//! The two files of a stack's state, `state.json` and `journal.ndjson`, in a folder of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::journal::{Corrupt, Entry, apply, replay};
use super::{FORMAT, Lock, State};

const SNAPSHOT: &str = "state.json";
const JOURNAL: &str = "journal.ndjson";

/// State that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk said no.
    #[error("cannot {doing} `{path}`")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The snapshot is damaged.
    #[error("`{path}` is not a state file; nothing was changed")]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The snapshot was written by a newer program.
    #[error("`{path}` has format {found}, and this version of pinfra reads up to {FORMAT}: use a newer pinfra")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The journal is damaged.
    #[error("`{path}` is not the journal of this state; nothing was changed")]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Corrupt,
    },
    /// An entry that cannot be; a bug, and nothing was written.
    #[error("refused to record an impossible step")]
    Impossible(#[source] Corrupt),
    /// The lock was lost, so another run may be writing.
    #[error("this run has lost its lock on the stack, so it writes no more")]
    LockLost,
}

/// A stack's state, open for writing. Needs the stack's [`Lock`].
#[derive(Debug)]
pub struct StateStore {
    folder: PathBuf,
    lock: Lock,
    journal: Option<File>,
    /// Lines that are in `state` but not yet on disk.
    staged: String,
    state: State,
}

impl StateStore {
    /// Opens the state in the folder of `lock`, or begins one. Writes nothing yet.
    pub fn open(lock: Lock, stack: &str) -> Result<StateStore, StateError> {
        let folder = lock.folder().to_owned();
        let state = match StateStore::load(&folder)? {
            Some(state) => state,
            None => State::new(stack, uuid::Uuid::new_v4().to_string()),
        };
        Ok(StateStore { folder, lock, journal: None, staged: String::new(), state })
    }

    /// Reads the state in `folder` without a lock, for looking at; `None` when there is none.
    pub fn load(folder: &Path) -> Result<Option<State>, StateError> {
        loop {
            // A run that holds the lock may have put a new snapshot there between our two reads.
            let expected = match load_once(folder) {
                Err(StateError::Journal { source: Corrupt::Newer { found, .. }, .. }) => found,
                Err(StateError::Journal { source: Corrupt::NoSnapshot, .. }) => 0,
                result => return result,
            };
            if load_snapshot(folder)?.is_none_or(|snapshot| snapshot.serial < expected) {
                return load_once(folder);
            }
        }
    }

    /// What is recorded now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Records entries, in one write, and returns once they are on disk.
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), StateError> {
        self.stage(entries)?;
        self.sync()
    }

    /// Takes entries into [`StateStore::state`]; the next [`StateStore::sync`] writes them.
    pub(crate) fn stage(&mut self, entries: Vec<Entry>) -> Result<(), StateError> {
        for entry in entries {
            // An entry of ours always has a JSON form: its maps have text keys and its numbers are finite.
            let line = serde_json::to_string(&entry).expect("an entry can be written as JSON");
            apply(&mut self.state, entry).map_err(StateError::Impossible)?;
            self.staged.push_str(&line);
            self.staged.push('\n');
        }
        Ok(())
    }

    /// Returns once all that was staged is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), StateError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        if !self.lock.is_held() {
            return Err(StateError::LockLost);
        }
        let Some(journal) = &mut self.journal else { return self.snapshot() };
        let written = journal.write_all(self.staged.as_bytes()).and_then(|()| journal.sync_data());
        if let Err(source) = written {
            // The file may end in half a line now, which must not get more lines behind it: what comes next starts
            // over with a snapshot.
            self.journal = None;
            return Err(StateError::Disk { doing: "write", path: self.folder.join(JOURNAL), source });
        }
        self.staged.clear();
        Ok(())
    }

    /// Folds the journal into a new snapshot and starts an empty journal. A kill in between leaves a journal that
    /// continues an older serial, which replay knows to leave alone.
    pub fn snapshot(&mut self) -> Result<(), StateError> {
        if !self.lock.is_held() {
            return Err(StateError::LockLost);
        }
        self.state.serial += 1;
        // State is made of maps with text keys and finite numbers, as entries are.
        let mut text = serde_json::to_string_pretty(&self.state).expect("state can be written as JSON");
        text.push('\n');
        write_atomically(&self.folder.join(SNAPSHOT), text.as_bytes())?;
        let open = Entry::Open { lineage: self.state.lineage.clone(), serial: self.state.serial };
        let line = serde_json::to_string(&open).expect("an entry can be written as JSON") + "\n";
        let path = self.folder.join(JOURNAL);
        write_atomically(&path, line.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path);
        self.journal = Some(file.map_err(|source| StateError::Disk { doing: "open", path, source })?);
        self.staged.clear();
        Ok(())
    }

    /// Writes the last snapshot, if anything was recorded, and gives the lock back.
    pub fn close(mut self) -> Result<State, StateError> {
        if self.journal.is_some() || !self.staged.is_empty() {
            self.snapshot()?;
        }
        self.lock.release();
        Ok(self.state)
    }
}

fn load_once(folder: &Path) -> Result<Option<State>, StateError> {
    let snapshot = load_snapshot(folder)?;
    let path = folder.join(JOURNAL);
    let damaged = |source| StateError::Journal { path: path.clone(), source };
    match (snapshot, read(&path)?) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(damaged(Corrupt::NoSnapshot)),
        (Some(snapshot), None) => Ok(Some(snapshot)),
        (Some(snapshot), Some(mut journal)) => {
            // A torn last line may end within a character, so it goes before the rest is taken for text.
            journal.truncate(journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
            let text = String::from_utf8(journal).map_err(|error| {
                let bytes = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
                let line = bytes.filter(|byte| **byte == b'\n').count() + 1;
                damaged(Corrupt::Line { line, message: "not UTF-8".to_owned() })
            })?;
            replay(snapshot, &text).map(Some).map_err(damaged)
        }
    }
}

fn load_snapshot(folder: &Path) -> Result<Option<State>, StateError> {
    let path = folder.join(SNAPSHOT);
    let Some(text) = read(&path)? else { return Ok(None) };
    let damaged = |source| StateError::Snapshot { path: path.clone(), source };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if found > u64::from(FORMAT) {
        return Err(StateError::Newer { path, found });
    }
    serde_json::from_value(value).map(Some).map_err(damaged)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Disk { doing: "read", path: path.to_owned(), source }),
    }
}

/// A temporary file, synced, renamed, and its folder synced: a reader sees the old text or the new, never a part.
pub(super) fn write_atomically(path: &Path, text: &[u8]) -> Result<(), StateError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| StateError::Disk { doing: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Action, Address};

    fn open(folder: &Path) -> StateStore {
        StateStore::open(Lock::take(folder, "test").unwrap(), "s").unwrap()
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
        assert_eq!(StateStore::load(folder.path()).unwrap().unwrap(), recorded);
        let mut store = open(folder.path());
        store.append(vec![begin(3)]).unwrap();
        let closed = store.close().unwrap();
        assert_eq!(StateStore::load(folder.path()).unwrap().unwrap(), closed);
        assert_eq!(closed.resources.len(), 3);
    }

    #[test]
    fn a_run_that_records_nothing_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).close().unwrap();
        assert!(StateStore::load(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_torn_line_may_end_within_a_character() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.append(vec![begin(1)]).unwrap();
        let recorded = store.state().clone();
        store.append(vec![Entry::Failed { step: 1, reason: "é".into() }]).unwrap();
        drop(store);
        let path = folder.path().join(JOURNAL);
        let bytes = fs::read(&path).unwrap();
        let within = bytes.windows(2).position(|two| two == "é".as_bytes()).unwrap() + 1;
        fs::write(&path, &bytes[..within]).unwrap();
        assert_eq!(StateStore::load(folder.path()).unwrap().unwrap(), recorded);
    }

    #[test]
    fn what_could_not_be_written_is_in_the_next_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.append(vec![begin(1)]).unwrap();
        // A file that cannot be written, as on a full disk.
        store.journal = Some(File::open(folder.path().join(JOURNAL)).unwrap());
        assert!(matches!(store.append(vec![begin(2)]), Err(StateError::Disk { .. })));
        store.append(vec![begin(3)]).unwrap();
        let recorded = store.state().clone();
        drop(store);
        assert_eq!(StateStore::load(folder.path()).unwrap().unwrap(), recorded);
        assert_eq!(recorded.resources.len(), 3);
    }

    #[test]
    fn a_journal_without_its_snapshot_is_not_taken_for_an_empty_state() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.append(vec![begin(1)]).unwrap();
        drop(store);
        fs::remove_file(folder.path().join(SNAPSHOT)).unwrap();
        assert!(matches!(StateStore::load(folder.path()), Err(StateError::Journal { .. })));
    }

    #[test]
    fn damaged_and_newer_files_are_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SNAPSHOT);
        fs::write(&path, "{\"format\": 1, ").unwrap();
        assert!(matches!(StateStore::load(folder.path()), Err(StateError::Snapshot { .. })));
        fs::write(&path, "{\"format\": 99}").unwrap();
        let error = StateStore::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has format 99"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"format\": 99}");
    }
}
