//! What the emulator has done, on disk: counters that outlive any kill, and events whose outcome is still open.
//!
//! An event is written down before it first leaves, each attempt on each of its routes before it is made, and its outcome
//! there when that is known, so that for every route
//!
//! - `emitted = accepted + refused + open` at all times, and
//! - streams (or topics) hold at least `accepted` and at most `accepted + unknown` records (and those that are under way).
//!
//! An event that was open on a route when the emulator was killed is sent there again, as it was. `unknown` counts attempts
//! that may have had an effect which nobody was told of: the answer was lost, or the emulator was. Such an attempt may have
//! left a record that is there twice.
//!
//! A line is handed to the kernel before the emulator goes on, but not forced to the disk: a kill loses nothing, a power
//! cut may lose the last seconds. The file is rewritten as one snapshot once it has grown.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use self::entry::{Counts, Post};
use self::entry::{Entry, Mark, Stand, Tables, Ways};
use super::route::Route;
use crate::config::EmulatedTable;
use crate::report::Teller;

const FILE: &str = "journal.ndjson";
const LOCK: &str = "journal.lock";
/// The file is rewritten when it is larger than this, and than four of its last snapshots.
const COMPACT: u64 = 4 << 20;

/// An event without an outcome on some route.
#[derive(Debug)]
struct Open {
    post: Arc<Post>,
    ways: Ways,
}

/// The journal and what it says.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    size: u64,
    snapshot: u64,
    next: u64,
    /// By the route's number.
    counts: [Tables; 2],
    open: BTreeMap<u64, Open>,
    teller: Teller,
    /// Held while the journal is: a second emulator in this folder would spoil it.
    _lock: File,
}

impl Journal {
    /// Opens the journal of `folder`, or begins it. From here on the counters of `tables` are told.
    pub(super) fn open(folder: &Path, tables: &[EmulatedTable], teller: Teller) -> io::Result<Journal> {
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
            counts: Default::default(),
            open: BTreeMap::new(),
            teller,
            _lock: lock,
        };
        journal.replay(&std::fs::read(folder.join(FILE))?);
        for table in tables {
            for route in Route::taken(table.stream.is_some(), table.topic.is_some()) {
                journal.counts[route as usize].entry(table.name.clone()).or_default();
            }
        }
        for open in journal.open.values_mut() {
            for route in Route::ALL {
                let stand = &mut open.ways[route as usize];
                if *stand == Some(Stand::Sent) {
                    *stand = Some(Stand::Failed);
                    journal.counts[route as usize].entry(open.post.table.clone()).or_default().unknown += 1;
                }
            }
        }
        journal.compact()?;
        for route in Route::ALL {
            for table in journal.counts[route as usize].keys() {
                journal.tell(table, route);
            }
        }
        Ok(journal)
    }

    /// The number of the next event: as many as were drawn so far.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The events whose outcome is open, oldest first, and on which route it is.
    pub(super) fn unfinished(&self) -> Vec<(Arc<Post>, Route)> {
        let open_on = |open: &Open, route: Route| open.ways[route as usize].map(|_| (open.post.clone(), route));
        self.open.values().flat_map(|open| Route::ALL.into_iter().filter_map(|route| open_on(open, route))).collect()
    }

    /// How many events' outcome is open.
    pub(super) fn under_way(&self) -> usize {
        self.open.len()
    }

    /// A table's counts, zeros when it has none.
    #[cfg(test)]
    pub(super) fn counts(&self, table: &str, route: Route) -> Counts {
        self.counts[route as usize].get(table).copied().unwrap_or_default()
    }

    /// To be called before an event leaves for the first time on any route.
    pub(super) fn drawn(&mut self, post: Arc<Post>) -> io::Result<()> {
        self.write(Entry::Drawn(post))
    }

    /// To be called before an attempt leaves.
    pub(super) fn leaves(&mut self, number: u64, route: Route) -> io::Result<()> {
        self.write(Entry::Leaves(Mark { number, route }))
    }

    /// An attempt failed; it is `unknown` whether it had an effect.
    pub(super) fn failed(&mut self, number: u64, route: Route, unknown: bool) -> io::Result<()> {
        self.write(Entry::Failed { number, unknown, route })
    }

    /// The API took an event on a route.
    pub(super) fn accepted(&mut self, number: u64, route: Route) -> io::Result<()> {
        self.write(Entry::Accepted(Mark { number, route }))
    }

    /// The API will not take an event on a route.
    pub(super) fn refused(&mut self, number: u64, route: Route) -> io::Result<()> {
        self.write(Entry::Refused(Mark { number, route }))
    }

    /// Puts all that is known into one snapshot, which is on disk when this returns.
    pub(super) fn compact(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        let [counts, kafka] = self.counts.clone();
        line(&mut text, &Entry::Snapshot { next: self.next, counts, kafka })?;
        for open in self.open.values() {
            line(&mut text, &Entry::Waits { post: open.post.clone(), ways: open.ways })?;
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
        if let Some((table, routes)) = self.apply(entry) {
            for route in routes.into_iter().flatten() {
                self.tell(&table, route);
            }
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

    /// Takes up what an entry says, and gives the table whose counts it changed, and on which routes.
    fn apply(&mut self, entry: Entry) -> Option<(String, [Option<Route>; 2])> {
        let (mark, step) = match entry {
            Entry::Snapshot { next, counts, kafka } => {
                (self.next, self.counts) = (next, [counts, kafka]);
                self.open.clear();
                return None;
            }
            Entry::Waits { post, ways } => {
                self.open.insert(post.number, Open { post, ways });
                return None;
            }
            Entry::Open { post, sent } => {
                let stand = if sent { Stand::Sent } else { Stand::Failed };
                self.open.insert(post.number, Open { post, ways: [Some(stand), None] });
                return None;
            }
            Entry::Drawn(post) => return Some(self.begin(post, Stand::Waiting)),
            Entry::Emitted(post) => return Some(self.begin(post, Stand::Sent)),
            Entry::Leaves(mark) => (mark, Step::Leaves),
            Entry::Again(number) => (Mark { number, route: Route::Stream }, Step::Leaves),
            Entry::Failed { number, unknown, route } => (Mark { number, route }, Step::Failed { unknown }),
            Entry::Accepted(mark) => (mark, Step::Accepted),
            Entry::Refused(mark) => (mark, Step::Refused),
        };
        let open = self.open.get_mut(&mark.number)?;
        let stand = open.ways[mark.route as usize]?;
        let counts = self.counts[mark.route as usize].entry(open.post.table.clone()).or_default();
        let stand = match step {
            Step::Leaves => {
                counts.retried += u64::from(stand != Stand::Waiting);
                Some(Stand::Sent)
            }
            Step::Failed { unknown } => {
                counts.unknown += u64::from(unknown);
                Some(Stand::Failed)
            }
            Step::Accepted => {
                counts.accepted += 1;
                None
            }
            Step::Refused => {
                counts.refused += 1;
                None
            }
        };
        open.ways[mark.route as usize] = stand;
        let table = open.post.table.clone();
        if open.ways == [None, None] {
            self.open.remove(&mark.number);
        }
        Some((table, [Some(mark.route), None]))
    }

    /// An event is there that was not before, and stands so on each of its routes.
    fn begin(&mut self, post: Arc<Post>, stand: Stand) -> (String, [Option<Route>; 2]) {
        self.next = self.next.max(post.number + 1);
        let (mut ways, mut routes) = ([None; 2], [None; 2]);
        for route in post.routes() {
            self.counts[route as usize].entry(post.table.clone()).or_default().emitted += 1;
            ways[route as usize] = Some(stand);
            routes[route as usize] = Some(route);
        }
        let table = post.table.clone();
        if ways != [None, None] {
            self.open.insert(post.number, Open { post, ways });
        }
        (table, routes)
    }

    fn tell(&self, table: &str, route: Route) {
        let Some(counts) = self.counts[route as usize].get(table) else { return };
        let Counts { emitted, accepted, refused, retried, unknown } = *counts;
        let told = [emitted, accepted, refused, retried, unknown];
        for (name, count) in route.counters().into_iter().zip(told) {
            self.teller.set(table, name, count);
        }
    }
}

/// What happened to an event on a route.
enum Step {
    Leaves,
    Failed { unknown: bool },
    Accepted,
    Refused,
}

fn line(text: &mut Vec<u8>, entry: &Entry) -> io::Result<()> {
    serde_json::to_writer(&mut *text, entry)?;
    text.push(b'\n');
    Ok(())
}
