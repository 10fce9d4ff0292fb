//! The last stage: blocks in their order become rows that are not there yet, rejects, positions and counts, and those
//! become commits.
//!
//! The order of writes is that of the streaming cleaner: rejects (with positions of their own), files of rows, then the
//! one commit that makes rows, positions and counters true together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use deltalake::kernel::Add;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use url::Url;

use super::cleaned::{Cleaned, CleanedPart, Reject};
use super::known::Known;
use super::reached::{self, COUNTERS, Reached};
use super::run::Run;
use super::{Counts, objects::Object};
use crate::cleaner::entry::Entry;
use crate::cleaner::error::TableError;
use crate::cleaner::ledger::{Ledger, Outcome};
use crate::cleaner::position::Position;
use crate::cleaner::rejects::{Origin, Rejected, Rejects};

/// How often a commit may lose to maintenance.
const ATTEMPTS: u32 = 100;

/// Rejects that wait for a commit hold their records: no more than so many bytes of them do.
const MOST_REJECTED: usize = 32 << 20;

/// A table that is written to.
pub(crate) struct Sink<'a> {
    run: &'a Run<'a>,
    ledger: Ledger,
    /// The chains that were known when it began.
    before: HashMap<String, Reached>,
    known: Known,
    writer: RecordBatchWriter,
    /// Opened with the first reject.
    rejects: Option<Rejects>,
    /// What is new since the last commit.
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    reached: BTreeMap<String, Reached>,
    counts: Counts,
    bytes: usize,
}

impl<'a> Sink<'a> {
    pub(crate) async fn new(run: &'a Run<'a>, mut ledger: Ledger) -> Result<Sink<'a>, TableError> {
        let known = if run.options.full { Known::default() } else { Known::of(&mut ledger).await? };
        Ok(Sink {
            run,
            before: Reached::of(&ledger, run.topic),
            known,
            writer: ledger.writer()?,
            ledger,
            rejects: None,
            rejected: Vec::new(),
            rejected_bytes: 0,
            reached: BTreeMap::new(),
            counts: Counts::default(),
            bytes: 0,
        })
    }

    /// Where the table lies.
    pub(crate) fn url(&self) -> &Url {
        self.ledger.url()
    }

    /// Whether it is time to commit.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.run.options.commit_bytes || self.rejected_bytes >= MOST_REJECTED
    }

    /// Takes the next block.
    pub(crate) async fn take(&mut self, cleaned: Cleaned) -> Result<(), TableError> {
        let Cleaned { rows, hashes, rejects, probes, parts, bytes } = cleaned;
        let fresh = self.known.fresh(&hashes);
        let new = fresh.iter().filter(|fresh| **fresh).count();
        if new == fresh.len() && new > 0 {
            self.writer.write(rows).await.map_err(|source| self.ledger.not_written(source))?;
        } else if new > 0 {
            let rows = filter_record_batch(&rows, &BooleanArray::from(fresh))?;
            self.writer.write(rows).await.map_err(|source| self.ledger.not_written(source))?;
        }
        let read = (hashes.len() + rejects.len()) as u64 + probes;
        self.counts.read += read;
        self.counts.rows += new as u64;
        self.counts.duplicates += (hashes.len() - new) as u64;
        self.counts.rejected += rejects.len() as u64;
        self.counts.probes += probes;
        self.bytes += bytes;
        self.run.progress.records.fetch_add(read, Ordering::Relaxed);
        self.move_on(&parts, rejects);
        Ok(())
    }

    /// Takes note of how far the parts of a block reach, and of its rejects.
    fn move_on(&mut self, parts: &[CleanedPart], rejects: Vec<Reject>) {
        let mut rejects = rejects.into_iter().peekable();
        for (place, part) in parts.iter().enumerate() {
            let object = &part.object;
            let before = if part.starts {
                self.counts.objects += 1;
                i64::try_from(object.read).unwrap_or(i64::MAX)
            } else {
                self.reached.get(&object.chain).or(self.before.get(&object.chain)).map_or(0, |reached| reached.lines)
            };
            while let Some(reject) = rejects.next_if(|reject| reject.part == place) {
                let line = before + i64::try_from(reject.line).unwrap_or(i64::MAX) + 1;
                self.rejected_bytes += reject.data.len();
                self.rejected.push(rejected(object, line, reject));
            }
            let lines = before + i64::try_from(part.lines).unwrap_or(i64::MAX);
            let size = if part.ends { i64::try_from(object.size).unwrap_or(i64::MAX) } else { -1 };
            self.reached.insert(object.chain.clone(), Reached { object: object.first, lines, size });
        }
    }

    /// Commits what is new. A rebuilding run only rejects: its rows come in the one commit at its end.
    pub(crate) async fn commit(&mut self, counts: &mut Counts) -> Result<(), TableError> {
        self.reject().await?;
        self.bytes = 0;
        if self.run.options.full {
            return Ok(());
        }
        let files = self.files().await?;
        let mut txns = Vec::new();
        for (name, more) in COUNTERS.into_iter().zip(self.counted()) {
            let app = reached::counter(self.run.topic, name);
            let total = self.ledger.txn(&app).unwrap_or(0).saturating_add(more);
            txns.push((app, total));
        }
        for (chain, reached) in &self.reached {
            txns.extend(reached.said(self.run.topic, chain));
        }
        self.log(&files, &txns, false).await?;
        self.before.extend(std::mem::take(&mut self.reached));
        counts.add(std::mem::take(&mut self.counts));
        Ok(())
    }

    /// Commits the rest. Returns the table's version.
    pub(crate) async fn finish(mut self, counts: &mut Counts) -> Result<u64, TableError> {
        if !self.run.options.full {
            if !self.reached.is_empty() {
                self.commit(counts).await?;
            }
            return Ok(self.ledger.version());
        }
        self.reject().await?;
        let files = self.files().await?;
        let mut txns = Vec::new();
        for (name, all) in COUNTERS.into_iter().zip(self.counted()) {
            txns.push((reached::counter(self.run.topic, name), all));
        }
        for (chain, reached) in &self.reached {
            txns.extend(reached.said(self.run.topic, chain));
        }
        let gone = self.before.keys().filter(|chain| !self.reached.contains_key(*chain));
        txns.extend(Reached::forgotten(self.run.topic, gone));
        self.log(&files, &txns, true).await?;
        counts.add(self.counts);
        Ok(self.ledger.version())
    }

    async fn files(&mut self) -> Result<Vec<Add>, TableError> {
        self.writer.flush().await.map_err(|source| self.ledger.not_written(source))
    }

    /// Writes the commit, at the version after whatever maintenance has done meanwhile.
    async fn log(&mut self, files: &[Add], txns: &[(String, i64)], replace: bool) -> Result<(), TableError> {
        for _ in 0..ATTEMPTS {
            if self.ledger.is_stale() {
                self.reopen().await?;
            }
            let removals = if replace { self.ledger.all_removals().await? } else { Vec::new() };
            match self.ledger.replace(&uuid::Uuid::new_v4().to_string(), &removals, files, txns).await? {
                Outcome::Done => return Ok(()),
                Outcome::Lost(others) => self.undisturbed(&others)?,
            }
        }
        let (url, version) = (self.ledger.url().clone(), self.ledger.version());
        Err(TableError::Contended { url, version, attempts: ATTEMPTS })
    }

    /// A long run may not trust what it knew of the log: it looks at what came since.
    async fn reopen(&mut self) -> Result<(), TableError> {
        let url = self.ledger.url().clone();
        let now = Ledger::open_if_there(self.run.lake, &url).await?;
        let now = now.filter(|now| now.identity() == self.ledger.identity());
        let since = match &now {
            Some(now) => now.since(self.ledger.version()).await?,
            None => None,
        };
        match (now, since) {
            (Some(now), Some(since)) => {
                self.undisturbed(&since)?;
                self.ledger = now;
                Ok(())
            }
            _ => Err(TableError::Disturbed { url }),
        }
    }

    /// Maintenance changes nothing that counts; whatever else others have done does.
    fn undisturbed(&self, others: &[Entry]) -> Result<(), TableError> {
        let disturbs = |entry: &Entry| {
            entry.reshaped
                || !entry.added.is_empty()
                || entry.txns.iter().any(|(app, _)| reached::is_of_a_chain(self.run.topic, app))
        };
        if others.iter().any(disturbs) {
            return Err(TableError::Disturbed { url: self.ledger.url().clone() });
        }
        Ok(())
    }

    async fn reject(&mut self) -> Result<(), TableError> {
        if self.rejected.is_empty() {
            return Ok(());
        }
        let rejected = std::mem::take(&mut self.rejected);
        self.rejected_bytes = 0;
        let mut read_to = Vec::new();
        for (chain, reached) in &self.reached {
            read_to.push((chain.clone(), Position::of_line(reached.object, reached.lines)));
        }
        let rejects = match &mut self.rejects {
            Some(rejects) if !rejects.is_stale() => rejects,
            none => {
                let (lake, table) = (self.run.lake, &self.run.table.name);
                let origin = Origin::Topic(self.run.topic.to_owned());
                none.insert(match self.run.options.full {
                    true => Rejects::listing(lake, table, origin).await?,
                    false => Rejects::open(lake, table, origin).await?,
                })
            }
        };
        rejects.add(&rejected, &read_to).await?;
        Ok(())
    }

    /// In the order of [`COUNTERS`].
    fn counted(&self) -> [i64; COUNTERS.len()] {
        let Counts { read, rows, rejected, duplicates, probes, .. } = self.counts;
        [read, rows, rejected, duplicates, probes].map(|count| i64::try_from(count).unwrap_or(i64::MAX))
    }
}

fn rejected(object: &Arc<Object>, line: i64, reject: Reject) -> Rejected {
    Rejected {
        chain: object.chain.clone(),
        position: Position::of_line(object.first, line),
        shard: object.key.to_string(),
        sequence: line.to_string(),
        arrived: object.modified,
        reason: reject.reason,
        data: reject.data,
    }
}
