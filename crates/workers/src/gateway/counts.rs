//! What was counted, by table, from the first event of the stack on: kept in a file in the worker's folder, written before a
//! request is answered, so that a kill of the process forgets no record whose caller was told.
//!
//! The file has a line a table, all of one length, and is overwritten in place by one write.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::outcome::{Kind, Outcome, kind};
use crate::report::Teller;

/// The file in the worker's folder.
const FILE: &str = "counts";

/// What became of the records of a topic.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Counts a record.
    pub(super) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Taken { .. } => &self.accepted,
            Outcome::Failed(code) if kind(code) == Kind::Again => &self.failed,
            Outcome::Failed(_) => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Records that the brokers acknowledged.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Records that they will not take.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Records that they did not acknowledge; callers were told to try again.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    fn total(&self) -> u64 {
        self.accepted() + self.refused() + self.failed()
    }
}

/// The tallies of all topics.
pub(super) struct Counts {
    /// By topic, with the table's name.
    tables: BTreeMap<String, (String, Arc<Tally>)>,
    /// Of topics that belong to no table.
    other: Arc<Tally>,
    /// With how many records were counted when it was last written.
    file: Mutex<(File, u64)>,
}

impl Counts {
    /// The counts of these tables, by topic, as `folder` has them.
    pub(super) fn open(folder: &Path, topics: &BTreeMap<String, String>) -> io::Result<Counts> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let before = read(&text);
        let tables: BTreeMap<_, _> = topics
            .iter()
            .map(|(topic, table)| {
                let tally = Tally::default();
                if let Some([accepted, refused, failed]) = before.get(table.as_str()) {
                    tally.accepted.store(*accepted, Relaxed);
                    tally.refused.store(*refused, Relaxed);
                    tally.failed.store(*failed, Relaxed);
                }
                (topic.clone(), (table.clone(), Arc::new(tally)))
            })
            .collect();
        // Renamed into place: tables may have come or gone, and a kill in between leaves the old file.
        let fresh = folder.join(format!("{FILE}.new"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all_at(written(&tables).as_bytes(), 0)?;
        std::fs::rename(&fresh, &path)?;
        let total = tables.values().map(|(_, tally)| tally.total()).sum();
        Ok(Counts { tables, other: Arc::default(), file: Mutex::new((file, total)) })
    }

    /// Where the records of a topic are counted.
    pub(super) fn of(&self, topic: &str) -> &Arc<Tally> {
        self.tables.get(topic).map_or(&self.other, |(_, tally)| tally)
    }

    /// Whether a topic belongs to a table.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.tables.contains_key(topic)
    }

    /// Writes what was counted until now, unless another has done so meanwhile.
    pub(super) fn save(&self) -> io::Result<()> {
        let wanted = self.total();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.1 >= wanted {
            return Ok(());
        }
        // More may have been counted while it waited for its turn: what is read first cannot be more than what is written.
        let total = self.total();
        file.0.write_all_at(written(&self.tables).as_bytes(), 0)?;
        file.1 = total;
        Ok(())
    }

    /// Tells the counters.
    pub(super) fn tell(&self, teller: &Teller) {
        for (table, tally) in self.tables.values() {
            teller.set(table, "accepted", tally.accepted());
            teller.set(table, "refused", tally.refused());
            teller.set(table, "failed", tally.failed());
        }
    }

    fn total(&self) -> u64 {
        self.tables.values().map(|(_, tally)| tally.total()).sum()
    }
}

fn written(tables: &BTreeMap<String, (String, Arc<Tally>)>) -> String {
    let mut text = String::with_capacity(tables.len() * 96);
    for (table, tally) in tables.values() {
        let (accepted, refused, failed) = (tally.accepted(), tally.refused(), tally.failed());
        writeln!(text, "{table} {accepted:020} {refused:020} {failed:020}")
            .expect("a text takes all that is written to it");
    }
    text
}

fn read(text: &str) -> BTreeMap<&str, [u64; 3]> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (table, mut number) = (words.next(), || words.next()?.parse().ok());
        if let (Some(table), Some(accepted), Some(refused), Some(failed)) = (table, number(), number(), number()) {
            counts.insert(table, [accepted, refused, failed]);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn counts_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let topics = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(topic, table)| ((*topic).to_owned(), (*table).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let before = topics(&[("s.geo", "geo"), ("s.pin", "pin")]);
        let counts = Counts::open(folder.path(), &before).unwrap();
        counts.of("s.pin").count(Outcome::Taken { partition: 0, offset: 0 });
        counts.of("s.pin").count(Outcome::Failed(RDKafkaErrorCode::MessageTimedOut));
        counts.of("s.geo").count(Outcome::Failed(RDKafkaErrorCode::MessageSizeTooLarge));
        counts.of("other").count(Outcome::Taken { partition: 0, offset: 0 });
        counts.save().unwrap();
        drop(counts);

        let after = topics(&[("s.pin", "pin"), ("s.user", "user"), ("t.geo", "geo")]);
        let counts = Counts::open(folder.path(), &after).unwrap();
        let teller = Teller::default();
        counts.tell(&teller);
        let told = teller.report().counters;
        assert_eq!((told["pin"]["accepted"], told["pin"]["failed"], told["pin"]["refused"]), (1, 1, 0));
        assert_eq!((told["geo"]["accepted"], told["geo"]["refused"]), (0, 1));
        assert_eq!(told["user"]["accepted"], 0);
        assert!(counts.knows("t.geo") && !counts.knows("s.geo"));
    }
}
