//! One batch: cleaned, freed of duplicates, rejected where it must be, and committed with its positions and counters.
//!
//! The order of writes is what makes it exactly once: rejects (with positions of their own), the file of rows, then the
//! one commit that makes rows, positions and counters true together. A crash before that commit leaves the batch to be
//! read again; a crash after it leaves nothing to do.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use deltalake::kernel::Add;

use super::apps::{COUNTERS, ShardApps, counter};
use super::batch::Batch;
use super::entry::Entry;
use super::error::TableError;
use super::index::Index;
use super::ledger::{Ledger, Outcome};
use super::position::Position;
use super::probes::Probe;
use super::rejects::{Origin, Rejected, Rejects};
use super::rows::{RowHash, hashes};
use super::schema;
use super::shards::Stream;
use crate::clean::{Cleaned, Cleaning};
use crate::lake::Lake;

/// How often a commit may lose to other writers: compaction, and cleaners of other shards.
const ATTEMPTS: u32 = 100;

/// A table that is written to.
pub(crate) struct Writer<'a> {
    pub(crate) table: String,
    pub(crate) stream: Stream,
    pub(crate) lake: Lake,
    pub(crate) cleaning: Arc<Cleaning>,
    pub(crate) ledger: Ledger,
    pub(crate) index: &'a mut Index,
    /// Opened with the first reject.
    pub(crate) rejects: Option<Rejects>,
}

/// What a commit has brought.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) probes: Vec<Probe>,
    /// Whether the rejects table got a commit too.
    pub(crate) rejected: bool,
}

/// How far a batch has read a shard.
struct Reached {
    apps: ShardApps,
    shard: String,
    last: Option<(Position, i64)>,
    finished: bool,
    lost: bool,
}

impl Writer<'_> {
    /// Commits a batch. After an error nothing is known about it: all is read anew from the table.
    pub(crate) async fn commit(&mut self, batch: &Batch) -> Result<Committed, TableError> {
        let cleaned = self.clean(batch)?;
        let rows = schema::conform(&cleaned.rows, self.ledger.schema())?;
        let known_as = hashes(&rows)?;
        let reached = self.reached(batch);
        let rejected = self.reject(batch, &cleaned, &reached).await?;

        let mut fresh = self.index.fresh(&known_as)?;
        let mut files = self.write(&rows, &fresh).await?;
        for _ in 0..ATTEMPTS {
            let txns = self.txns(&reached, &cleaned, &fresh);
            let others = match self.ledger.commit(&uuid::Uuid::new_v4().to_string(), &files, &txns).await? {
                Outcome::Done => {
                    self.index.add(&only(&known_as, &fresh), &self.ledger)?;
                    return Ok(Committed { probes: probes(batch, &cleaned), rejected });
                }
                Outcome::Lost(others) => others,
            };
            self.take_in(&others, reached.iter().map(|reached| reached.shard.as_str())).await?;
            let now = self.index.fresh(&known_as)?;
            if now != fresh {
                fresh = now;
                files = self.write(&rows, &fresh).await?;
            }
        }
        let (url, version) = (self.ledger.url().clone(), self.ledger.version());
        Err(TableError::Contended { url, version, attempts: ATTEMPTS })
    }

    /// Takes note of what others have committed. It is an error if they have read one of `ours`.
    pub(crate) async fn take_in<'s>(
        &mut self,
        others: &[Entry],
        ours: impl Iterator<Item = &'s str>,
    ) -> Result<(), TableError> {
        if others.iter().any(|entry| entry.reshaped) {
            return Err(TableError::Reshaped { url: self.ledger.url().clone() });
        }
        for shard in ours {
            let apps = ShardApps::rows(&self.stream, shard);
            if others.iter().flat_map(|entry| &entry.txns).any(|(app, _)| apps.owns(app)) {
                return Err(TableError::Overtaken { stream: self.stream.name.clone(), shard: shard.to_owned() });
            }
        }
        self.index.take_in(&self.ledger, others).await
    }

    fn clean(&self, batch: &Batch) -> Result<Cleaned, TableError> {
        let records: Vec<&[u8]> = batch.records().map(|(_, record)| record.data.as_slice()).collect();
        self.cleaning.clean(&records).map_err(|source| TableError::Clean { table: self.table.clone(), source })
    }

    fn reached(&self, batch: &Batch) -> Vec<Reached> {
        let mut shards: Vec<Reached> = Vec::new();
        for chunk in &batch.chunks {
            let place = shards.iter().position(|reached| reached.shard == chunk.shard).unwrap_or_else(|| {
                let apps = ShardApps::rows(&self.stream, &chunk.shard);
                let shard = chunk.shard.clone();
                shards.push(Reached { apps, shard, last: None, finished: false, lost: false });
                shards.len() - 1
            });
            let reached = &mut shards[place];
            if let Some(last) = chunk.records.last() {
                let arrived = last.arrived.unix_timestamp_nanos() / 1_000_000;
                reached.last = Some((last.position, i64::try_from(arrived).unwrap_or_default()));
            }
            reached.finished |= chunk.finished;
            reached.lost |= chunk.lost.is_some();
        }
        shards
    }

    async fn reject(&mut self, batch: &Batch, cleaned: &Cleaned, reached: &[Reached]) -> Result<bool, TableError> {
        if cleaned.rejects.is_empty() {
            return Ok(false);
        }
        let records: Vec<_> = batch.records().collect();
        let mut rejects = Vec::with_capacity(cleaned.rejects.len());
        for reject in &cleaned.rejects {
            let (chunk, record) = records[reject.record];
            rejects.push(Rejected {
                chain: chunk.shard.clone(),
                position: record.position,
                shard: chunk.shard.clone(),
                sequence: record.position.to_string(),
                arrived: record.arrived,
                reason: reject.reason.clone(),
                data: record.data.clone(),
            });
        }
        let mut read_to = Vec::new();
        for reached in reached {
            if let Some((position, _)) = reached.last {
                read_to.push((reached.shard.clone(), position));
            }
        }
        let table = match &mut self.rejects {
            Some(table) if !table.is_stale() => table,
            none => none.insert(Rejects::open(&self.lake, &self.table, Origin::Stream(self.stream.clone())).await?),
        };
        let added = table.add(&rejects, &read_to).await;
        if added.is_err() {
            // Its ledger may not know what it did.
            self.rejects = None;
        }
        added
    }

    async fn write(&self, rows: &RecordBatch, fresh: &[bool]) -> Result<Vec<Add>, TableError> {
        if !fresh.contains(&true) {
            return Ok(Vec::new());
        }
        self.ledger.write(filter_record_batch(rows, &BooleanArray::from(fresh.to_vec()))?).await
    }

    fn txns(&self, reached: &[Reached], cleaned: &Cleaned, fresh: &[bool]) -> Vec<(String, i64)> {
        let rows = fresh.iter().filter(|fresh| **fresh).count();
        let (rejects, probes) = (cleaned.rejects.len(), cleaned.probes.len());
        let lost = reached.iter().filter(|reached| reached.lost).count();
        let more = [fresh.len() + rejects + probes, rows, rejects, fresh.len() - rows, probes, lost];
        let mut txns = Vec::new();
        for (name, more) in COUNTERS.into_iter().zip(more) {
            if more > 0 {
                let app = counter(&self.stream.name, name);
                let total = self.ledger.txn(&app).unwrap_or(0).saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
                txns.push((app, total));
            }
        }
        for reached in reached {
            if let Some((position, arrived)) = reached.last {
                txns.extend(reached.apps.moved_to(position));
                txns.push((reached.apps.arrived(), arrived));
            }
            if reached.finished {
                txns.push((reached.apps.finished(), 1));
            }
        }
        txns
    }
}

fn only(rows: &[RowHash], fresh: &[bool]) -> Vec<RowHash> {
    rows.iter().zip(fresh).filter(|(_, fresh)| **fresh).map(|(row, _)| *row).collect()
}

fn probes(batch: &Batch, cleaned: &Cleaned) -> Vec<Probe> {
    let records: Vec<_> = batch.records().collect();
    let mut probes = Vec::with_capacity(cleaned.probes.len());
    for seen in &cleaned.probes {
        let (chunk, record) = records[seen.record];
        probes.push(Probe {
            id: seen.id.clone(),
            in_stream: record.arrived,
            read: chunk.read,
            rejected: seen.rejected.clone(),
        });
    }
    probes
}
