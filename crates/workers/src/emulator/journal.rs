//! What the emulator has done, on disk: counters that outlive any kill, and events whose outcome is still open.
//!
//! An event is written down before it first leaves and its outcome when that is known, so that
//!
//! - `emitted = accepted + refused + open` at all times, and
//! - the streams hold at least `accepted` and at most `accepted + unknown` records (and those that are under way).
//!
//! An event that was open when the emulator was killed is sent again, as it was. `unknown` counts attempts that may have
//! had an effect which nobody was told of: the answer was lost, or the emulator was. Such an attempt may have left a
//! record that is there twice.
//!
//! A line is handed to the kernel before the emulator goes on, but not forced to the disk: a kill loses nothing, a power
//! cut may lose the last seconds. The file is rewritten as one snapshot once it has grown.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::report::Teller;

const FILE: &str = "journal.ndjson";
const LOCK: &str = "journal.lock";
/// The file is rewritten when it is larger than this, and than four of its last snapshots.
const COMPACT: u64 = 4 << 20;

/// An event as it is posted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Post {
    /// Posts are numbered from 0 on over all restarts.
    pub(super) number: u64,
    /// The stack's name of its table.
    pub(super) table: String,
    pub(super) stream: String,
    pub(super) partition_key: String,
    /// The row, as JSON.
    pub(super) data: Box<RawValue>,
}

/// What became of a table's events so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Events that were sent, or are about to be.
    pub(super) emitted: u64,
    /// Events that the API took.
    pub(super) accepted: u64,
    /// Events that the API will not take.
    pub(super) refused: u64,
    /// Attempts after the first of an event.
    pub(super) retried: u64,
    /// Attempts whose effect was never learnt.
    pub(super) unknown: u64,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// The first line: all that was before.
    Snapshot {
        next: u64,
        counts: BTreeMap<String, Counts>,
    },
    /// After a snapshot: an event that was open then.
    Open {
        post: Arc<Post>,
        sent: bool,
    },
    /// An event leaves for the first time.
    Emitted(Arc<Post>),
    /// An attempt failed; it may have had an effect.
    Failed {
        number: u64,
        unknown: bool,
    },
    /// Another attempt leaves.
    Again(u64),
    Accepted(u64),
    Refused(u64),
}

/// An event without an outcome.
#[derive(Debug)]
struct Open {
    post: Arc<Post>,
    /// An attempt is under way.
    sent: bool,
}

/// The journal and what it says.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    size: u64,
    snapshot: u64,
    next: u64,
    counts: BTreeMap<String, Counts>,
    open: BTreeMap<u64, Open>,
    teller: Teller,
    /// Held while the journal is: a second emulator in this folder would spoil it.
    _lock: File,
}

impl Journal {
    /// Opens the journal of `folder`, or begins it. From here on the counters of `tables` are told.
    pub(super) fn open(folder: &Path, tables: &[&str], teller: Teller) -> io::Result<Journal> {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another emulator is using it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut journal = Journal {
            folder: folder.to_owned(),
            file: OpenOptions::new().create(true).append(true).open(folder.join(FILE))?,
            size: 0,
            snapshot: 0,
            next: 0,
            counts: BTreeMap::new(),
            open: BTreeMap::new(),
            teller,
            _lock: lock,
        };
        journal.replay(&std::fs::read(folder.join(FILE))?);
        for table in tables {
            journal.counts.entry((*table).to_owned()).or_default();
        }
        for open in journal.open.values_mut().filter(|open| open.sent) {
            open.sent = false;
            journal.counts.entry(open.post.table.clone()).or_default().unknown += 1;
        }
        journal.compact()?;
        for table in journal.counts.keys() {
            journal.tell(table);
        }
        Ok(journal)
    }

    /// The number of the next event: as many as were emitted so far.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The events whose outcome is open, oldest first.
    pub(super) fn unfinished(&self) -> Vec<Arc<Post>> {
        self.open.values().map(|open| open.post.clone()).collect()
    }

    /// How many events' outcome is open.
    pub(super) fn under_way(&self) -> usize {
        self.open.len()
    }

    /// A table's counts, zeros when it has none.
    #[cfg(test)]
    pub(super) fn counts(&self, table: &str) -> Counts {
        self.counts.get(table).copied().unwrap_or_default()
    }

    /// To be called before an event leaves for the first time.
    pub(super) fn emitted(&mut self, post: Arc<Post>) -> io::Result<()> {
        self.write(Entry::Emitted(post))
    }

    /// An attempt failed; it is `unknown` whether it had an effect.
    pub(super) fn failed(&mut self, number: u64, unknown: bool) -> io::Result<()> {
        self.write(Entry::Failed { number, unknown })
    }

    /// To be called before another attempt leaves.
    pub(super) fn again(&mut self, number: u64) -> io::Result<()> {
        self.write(Entry::Again(number))
    }

    /// The API took an event.
    pub(super) fn accepted(&mut self, number: u64) -> io::Result<()> {
        self.write(Entry::Accepted(number))
    }

    /// The API will not take an event.
    pub(super) fn refused(&mut self, number: u64) -> io::Result<()> {
        self.write(Entry::Refused(number))
    }

    /// Puts all that is known into one snapshot, which is on disk when this returns.
    pub(super) fn compact(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        line(&mut text, &Entry::Snapshot { next: self.next, counts: self.counts.clone() })?;
        for open in self.open.values() {
            line(&mut text, &Entry::Open { post: open.post.clone(), sent: open.sent })?;
        }
        let (new, path) = (self.folder.join(format!("{FILE}.new")), self.folder.join(FILE));
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.file = OpenOptions::new().append(true).open(&path)?;
        (self.size, self.snapshot) = (text.len() as u64, text.len() as u64);
        Ok(())
    }

    fn write(&mut self, entry: Entry) -> io::Result<()> {
        let mut text = Vec::new();
        line(&mut text, &entry)?;
        self.file.write_all(&text)?;
        self.size += text.len() as u64;
        if let Some(table) = self.apply(entry) {
            self.tell(&table);
        }
        if self.size > COMPACT.max(self.snapshot * 4) {
            self.compact()?;
        }
        Ok(())
    }

    /// Reads as far as there are whole lines: the last one may be torn.
    fn replay(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(entry) = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok()) else {
                return;
            };
            self.apply(entry);
        }
    }

    /// Takes up what an entry says, and gives the table whose counts it changed.
    fn apply(&mut self, entry: Entry) -> Option<String> {
        let number = match entry {
            Entry::Snapshot { next, counts } => {
                (self.next, self.counts) = (next, counts);
                self.open.clear();
                return None;
            }
            Entry::Open { post, sent } => {
                self.open.insert(post.number, Open { post, sent });
                return None;
            }
            Entry::Emitted(post) => {
                self.next = self.next.max(post.number + 1);
                self.counts.entry(post.table.clone()).or_default().emitted += 1;
                let table = post.table.clone();
                self.open.insert(post.number, Open { post, sent: true });
                return Some(table);
            }
            Entry::Failed { number, .. } | Entry::Again(number) | Entry::Accepted(number) | Entry::Refused(number) => {
                number
            }
        };
        let open = self.open.get_mut(&number)?;
        let counts = self.counts.entry(open.post.table.clone()).or_default();
        match entry {
            Entry::Failed { unknown, .. } => {
                open.sent = false;
                counts.unknown += u64::from(unknown);
            }
            Entry::Again(_) => {
                open.sent = true;
                counts.retried += 1;
            }
            Entry::Accepted(_) => counts.accepted += 1,
            _ => counts.refused += 1,
        }
        let table = open.post.table.clone();
        if matches!(entry, Entry::Accepted(_) | Entry::Refused(_)) {
            self.open.remove(&number);
        }
        Some(table)
    }

    fn tell(&self, table: &str) {
        let Some(counts) = self.counts.get(table) else { return };
        self.teller.set(table, "emitted", counts.emitted);
        self.teller.set(table, "accepted", counts.accepted);
        self.teller.set(table, "refused", counts.refused);
        self.teller.set(table, "retried", counts.retried);
        self.teller.set(table, "unknown", counts.unknown);
    }
}

fn line(text: &mut Vec<u8>, entry: &Entry) -> io::Result<()> {
    serde_json::to_writer(&mut *text, entry)?;
    text.push(b'\n');
    Ok(())
}
