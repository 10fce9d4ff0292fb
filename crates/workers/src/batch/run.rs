//! One run over one table: the stages beside each other, joined by short queues.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream::FuturesOrdered;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::blocks::Blocks;
use super::cleaned::{self, Cleaned};
use super::objects::{self, Listing, Object};
use super::reached::Reached;
use super::sink::Sink;
use super::{Counts, Options, Progress, fetch};
use crate::clean::Cleaning;
use crate::cleaner::error::TableError;
use crate::cleaner::ledger::Ledger;
use crate::cleaner::maintenance::maintain;
use crate::config::CleanedTable;
use crate::lake::Lake;
use crate::log::{chain, say};
use crate::query::TableSet;

/// Blocks that wait between two stages.
const WAITING: usize = 2;

/// A table is kept quick to read whenever so many versions have come.
const MAINTAIN_EVERY: u64 = 50;

/// A run over what is new, or over everything.
pub(crate) struct Run<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) table: &'a CleanedTable,
    pub(crate) topic: &'a str,
    pub(crate) options: Options,
    pub(crate) progress: &'a Arc<Progress>,
}

impl Run<'_> {
    /// Commits all that there is to read, and adds what it did to `counts` with each commit.
    pub(crate) async fn run(&self, counts: &mut Counts) -> Result<(), TableError> {
        let CleanedTable { name, key, sql, .. } = self.table;
        let cleaning = Cleaning::new(name, key, sql).await;
        let cleaning = cleaning.map_err(|source| TableError::Sql { table: name.clone(), source })?;
        let url = self.lake.table_url(TableSet::Batch.name(), name);
        let there = Ledger::open_if_there(self.lake, &url).await?;
        let known = there.as_ref().map(|ledger| Reached::of(ledger, self.topic)).unwrap_or_default();
        let unread = if self.options.full { HashMap::new() } else { known.clone() };
        let mut listing = Listing::new(self.lake.store().clone(), self.topic, unread).await?;
        // A table is made with the first object, and nothing else is asked when there is no news.
        let Some(first) = listing.next().await? else {
            let prefix = objects::prefix(self.topic);
            return if self.options.full { Err(TableError::NoObjects { prefix }) } else { Ok(()) };
        };
        drop(there);
        let ledger = Ledger::open(self.lake, &url, &cleaning.schema()).await?;
        if Reached::of(&ledger, self.topic) != known {
            // Somebody has committed in between: what was listed may be read already.
            return Err(TableError::Disturbed { url });
        }
        let began = ledger.version();
        let columns = ledger.schema().clone();
        let sink = Box::pin(Sink::new(self, ledger)).await?;
        let version = Box::pin(self.stages(listing, first, Arc::new(cleaning), columns, sink, counts)).await?;
        if version / MAINTAIN_EVERY > began / MAINTAIN_EVERY || self.options.full {
            // The rows are there; that it was not tidied up is no failure of the run.
            if let Err(error) = Box::pin(maintain(self.lake.clone(), url.clone(), true)).await {
                say(&format!("table `{name}`: maintenance failed: {}", chain(&error)));
            }
        }
        Ok(())
    }

    /// Fetches, cleans and commits at once. Returns the table's version after that.
    async fn stages(
        &self,
        listing: Listing,
        first: Object,
        cleaning: Arc<Cleaning>,
        columns: SchemaRef,
        mut sink: Sink<'_>,
        counts: &mut Counts,
    ) -> Result<u64, TableError> {
        let (store, url) = (self.lake.store().clone(), sink.url().clone());
        let pieces = fetch::pieces(store, url, listing.from(first), self.options.fetch_kib, self.progress.clone());
        let (give, mut blocks) = mpsc::channel(WAITING);
        // What it has begun ends with the set.
        let mut reading = JoinSet::new();
        let commit_bytes = self.options.commit_bytes;
        reading.spawn(async move {
            let mut pieces = std::pin::pin!(pieces);
            let mut put_together = Blocks::new(commit_bytes);
            while let Some(piece) = pieces.try_next().await? {
                if !put_together.push(&piece, &give).await {
                    return Ok(());
                }
            }
            if let Some(rest) = put_together.rest() {
                // Nobody waits for it when the run has failed.
                let _ = give.send(rest).await;
            }
            Ok::<_, TableError>(())
        });
        let mut in_work: FuturesOrdered<JoinHandle<Result<Cleaned, TableError>>> = FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                Some(block) = blocks.recv(), if in_work.len() < self.options.threads => {
                    let (table, cleaning, columns) = (self.table.name.clone(), cleaning.clone(), columns.clone());
                    let clean = move || cleaned::clean(&table, &cleaning, &columns, block);
                    in_work.push_back(tokio::task::spawn_blocking(clean));
                }
                Some(cleaned) = in_work.next() => {
                    sink.take(cleaned.map_err(TableError::Thread)??).await?;
                    if sink.is_full() {
                        sink.commit(counts).await?;
                    }
                }
                else => break,
            }
        }
        while let Some(ended) = reading.join_next().await {
            ended.map_err(TableError::Thread)??;
        }
        sink.finish(counts).await
    }
}
