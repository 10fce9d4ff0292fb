//! A stack's state on its shelf: `state.json` and `journal.ndjson`.
//!
//! A journal belongs to one snapshot, and both to one writer: they name its lineage, serial and fencing token. Both are
//! replaced only if they are still what this writer has read or written last, and a writer whose lease was taken is refused.

use std::sync::Arc;

use super::chain::Chain;
use super::journal::{Corrupt, Entry, apply, json_of, replay};
use super::lock::Lost;
use super::shelf::{Document, Shelf, ShelfError, When};
use super::snapshot::{BadSnapshot, read_snapshot, snapshot_of};
use super::{FORMAT, Lock, State};

pub(super) const SNAPSHOT: &str = "state.json";
pub(super) const JOURNAL: &str = "journal.ndjson";

/// How often state is read again that somebody is writing meanwhile.
const READS: usize = 8;

/// State that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk, or the service, said no.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The snapshot is damaged, or not this stack's.
    #[error("`{name}` is not to be trusted; nothing was changed")]
    Snapshot {
        /// The file.
        name: String,
        /// What is wrong with it.
        #[source]
        source: BadSnapshot,
    },
    /// The journal is damaged, or another's.
    #[error("`{name}` is not the journal of this state; nothing was changed")]
    Journal {
        /// The file.
        name: String,
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

impl StateError {
    /// Whether the files are damaged or of something else, so that [`StateStore::recover`] sets them aside. A newer program's
    /// are neither.
    pub fn is_damage(&self) -> bool {
        match self {
            StateError::Snapshot { source, .. } => !matches!(source, BadSnapshot::Newer { .. }),
            StateError::Journal { source, .. } => !matches!(source, Corrupt::NewerFormat { .. }),
            StateError::Shelf(_) | StateError::Impossible(_) | StateError::LockLost => false,
        }
    }
}

impl From<Lost> for StateError {
    fn from(_: Lost) -> StateError {
        StateError::LockLost
    }
}

/// A stack's state, open for writing. Needs the stack's [`Lock`].
#[derive(Debug)]
pub struct StateStore {
    lock: Lock,
    /// What the next snapshot replaces.
    snapshot_is: When,
    /// What the next journal replaces.
    journal_is: When,
    /// Whether the journal on the shelf is of this writer, and whole.
    journaling: bool,
    chain: Chain,
    /// Lines that are in `state` but not yet on the shelf.
    staged: String,
    state: State,
}

impl StateStore {
    /// Opens the state of `stack` on the shelf of `lock`, or begins one. Writes nothing yet.
    pub fn open(lock: Lock, stack: &str) -> Result<StateStore, StateError> {
        let Loaded { state, snapshot, journal } = load(&**lock.shelf(), stack)?;
        let state = state.unwrap_or_else(|| State::new(stack, uuid::Uuid::new_v4().to_string()));
        StateStore::of(lock, state, snapshot.as_ref(), journal.as_ref())
    }

    /// `state`, to be written over these two.
    pub(super) fn of(
        lock: Lock,
        state: State,
        snapshot: Option<&Document>,
        journal: Option<&Document>,
    ) -> Result<StateStore, StateError> {
        lock.outrank(state.token)?;
        Ok(StateStore {
            lock,
            snapshot_is: When::unchanged(snapshot),
            journal_is: When::unchanged(journal),
            journaling: false,
            chain: Chain::default(),
            staged: String::new(),
            state,
        })
    }

    /// Reads the state of `stack` without a lock, for looking at; `None` when there is none.
    pub fn load(shelf: &dyn Shelf, stack: &str) -> Result<Option<State>, StateError> {
        load(shelf, stack).map(|loaded| loaded.state)
    }

    /// What is recorded now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Records entries, in one write, and returns once they are durable.
    pub fn append(&mut self, entries: Vec<Entry>) -> Result<(), StateError> {
        self.stage(entries)?;
        self.sync()
    }

    /// Takes entries into [`StateStore::state`]; the next [`StateStore::sync`] writes them.
    pub(crate) fn stage(&mut self, entries: Vec<Entry>) -> Result<(), StateError> {
        for entry in entries {
            let json = json_of(&entry);
            apply(&mut self.state, entry).map_err(StateError::Impossible)?;
            self.staged.push_str(&self.chain.seal(&json));
        }
        Ok(())
    }

    /// Returns once all that was staged is durable, and whoever takes the lock after this will read it.
    pub(crate) fn sync(&mut self) -> Result<(), StateError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        if !self.journaling {
            return self.snapshot();
        }
        self.lock.check()?;
        if let Err(error) = self.lock.shelf().append(JOURNAL, self.staged.as_bytes()) {
            // The journal may end in half a line now, which must not get more lines behind it: what comes next starts
            // over with a snapshot.
            self.journaling = false;
            return Err(lost_or(error));
        }
        self.staged.clear();
        Ok(self.lock.verify()?)
    }

    /// Folds the journal into a new snapshot and starts an empty journal. A kill in between leaves a journal that
    /// continues an older serial, which replay knows to leave alone.
    pub fn snapshot(&mut self) -> Result<(), StateError> {
        self.lock.check()?;
        self.journaling = false;
        self.state.format = FORMAT;
        self.state.serial += 1;
        self.state.token = self.lock.token();
        let State { lineage, serial, token, .. } = &self.state;
        let open = Entry::Open { format: FORMAT, lineage: lineage.clone(), serial: *serial, token: *token };
        let shelf = Arc::clone(self.lock.shelf());
        let text = snapshot_of(&self.state);
        let version = shelf.write(SNAPSHOT, text.as_bytes(), self.snapshot_is.clone()).map_err(lost_or)?;
        self.snapshot_is = When::Is(version);
        self.chain = Chain::default();
        let line = self.chain.seal(&json_of(&open));
        let version = shelf.write(JOURNAL, line.as_bytes(), self.journal_is.clone()).map_err(lost_or)?;
        self.journal_is = When::Is(version);
        self.journaling = true;
        self.staged.clear();
        Ok(self.lock.verify()?)
    }

    /// Writes the last snapshot, if anything was recorded, and gives the lock back.
    pub fn close(mut self) -> Result<State, StateError> {
        if self.journaling || !self.staged.is_empty() {
            self.snapshot()?;
        }
        self.lock.release();
        Ok(self.state)
    }
}

/// Nobody but the holder of the lock replaces what it has written.
fn lost_or(error: ShelfError) -> StateError {
    match error {
        ShelfError::Changed { .. } => StateError::LockLost,
        ShelfError::Failed { .. } => StateError::Shelf(error),
    }
}

/// State, and the documents that it was read from.
pub(super) struct Loaded {
    pub(super) state: Option<State>,
    pub(super) snapshot: Option<Document>,
    pub(super) journal: Option<Document>,
}

pub(super) fn load(shelf: &dyn Shelf, stack: &str) -> Result<Loaded, StateError> {
    let mut snapshot = shelf.read(SNAPSHOT)?;
    let mut reads = 1;
    loop {
        let journal = shelf.read(JOURNAL)?;
        let error = match assemble(shelf, stack, snapshot.as_ref(), journal.as_ref()) {
            Ok(state) => return Ok(Loaded { state, snapshot, journal }),
            Err(error) => error,
        };
        // A run that holds the lock may have put a new snapshot there between our two reads.
        let again = shelf.read(SNAPSHOT)?;
        if reads == READS || again == snapshot {
            return Err(error);
        }
        snapshot = again;
        reads += 1;
    }
}

fn assemble(
    shelf: &dyn Shelf,
    stack: &str,
    snapshot: Option<&Document>,
    journal: Option<&Document>,
) -> Result<Option<State>, StateError> {
    let bad = |source| StateError::Snapshot { name: shelf.name(SNAPSHOT), source };
    let damaged = |source| StateError::Journal { name: shelf.name(JOURNAL), source };
    let Some(snapshot) = snapshot else {
        return if journal.is_some() { Err(damaged(Corrupt::NoSnapshot)) } else { Ok(None) };
    };
    let state = read_snapshot(&snapshot.bytes).map_err(bad)?;
    if state.stack != stack {
        return Err(bad(BadSnapshot::OtherStack { found: state.stack, expected: stack.to_owned() }));
    }
    let Some(journal) = journal else {
        // A kill may come between the very first snapshot and its journal. Later there always is one.
        let may_be = state.format == 1 || state.serial <= 1;
        return if may_be { Ok(Some(state)) } else { Err(damaged(Corrupt::NoJournal)) };
    };
    // A torn last line may end within a character, so it goes before the rest is taken for text.
    let whole = journal.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let text = str::from_utf8(&journal.bytes[..whole]).map_err(|error| {
        let line = journal.bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        damaged(Corrupt::Line { line, message: "not UTF-8".to_owned() })
    })?;
    replay(state, text).map(Some).map_err(damaged)
}

#[cfg(test)]
mod tests;
