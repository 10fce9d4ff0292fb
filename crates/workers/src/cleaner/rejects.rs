//! The rejects table: what could not become a row, whole, with the reason.
//!
//! Rejects are committed before the rows of their batch. A crash between the two commits would reject them again, so the
//! rejects table has positions of its own: what is at or before them has been rejected already.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use time::OffsetDateTime;

use super::apps::ShardApps;
use super::error::TableError;
use super::ledger::{Ledger, Outcome};
use super::position::Position;
use super::schema;
use super::shards::Stream;
use crate::lake::Lake;
use crate::query::rejects_schema;

/// How often a commit may lose to other writers. Every table of every cleaner writes here.
const ATTEMPTS: u32 = 100;

/// A rejected record.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    pub(crate) shard: String,
    pub(crate) position: Position,
    pub(crate) arrived: OffsetDateTime,
    pub(crate) reason: String,
    pub(crate) data: Vec<u8>,
}

/// The rejects table as one table's cleaner sees it.
pub(crate) struct Rejects {
    ledger: Ledger,
    table: String,
    stream: Stream,
}

impl Rejects {
    pub(crate) async fn open(lake: &Lake, table: &str, stream: &Stream) -> Result<Rejects, TableError> {
        let ledger = Ledger::open(lake, &lake.rejects_url(), &rejects_schema()).await?;
        Ok(Rejects { ledger, table: table.to_owned(), stream: stream.clone() })
    }

    /// Whether it has to be opened anew before it is used.
    pub(crate) fn is_stale(&self) -> bool {
        self.ledger.is_stale()
    }

    /// Commits the rejects that are not there yet. `read_to` says how far each of their shards was read. Returns whether
    /// anything was committed.
    pub(crate) async fn add(
        &mut self,
        rejects: &[Rejected],
        read_to: &[(String, Position)],
    ) -> Result<bool, TableError> {
        for _ in 0..ATTEMPTS {
            let news: Vec<&Rejected> = rejects.iter().filter(|reject| !self.has(reject)).collect();
            if news.is_empty() {
                return Ok(false);
            }
            let files = self.ledger.write(schema::conform(&self.rows(&news)?, self.ledger.schema())?).await?;
            let mut txns = Vec::new();
            for (shard, position) in read_to {
                let apps = ShardApps::rejects(&self.table, &self.stream, shard);
                let concerned = news.iter().any(|reject| reject.shard == *shard);
                if concerned && apps.position(&self.ledger).is_none_or(|known| known < *position) {
                    txns.extend(apps.moved_to(*position));
                }
            }
            match self.ledger.commit(&uuid::Uuid::new_v4().to_string(), &files, &txns).await? {
                Outcome::Done => return Ok(true),
                // The files are left to the vacuum: which rejects are new is asked again.
                Outcome::Lost(others) if others.iter().any(|entry| entry.reshaped) => {
                    return Err(TableError::Reshaped { url: self.ledger.url().clone() });
                }
                Outcome::Lost(_) => {}
            }
        }
        let (url, version) = (self.ledger.url().clone(), self.ledger.version());
        Err(TableError::Contended { url, version, attempts: ATTEMPTS })
    }

    fn has(&self, reject: &Rejected) -> bool {
        let position = ShardApps::rejects(&self.table, &self.stream, &reject.shard).position(&self.ledger);
        position.is_some_and(|position| reject.position <= position)
    }

    fn rows(&self, rejects: &[&Rejected]) -> Result<RecordBatch, TableError> {
        let count = rejects.len();
        let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        let arrived = TimestampMicrosecondArray::from_iter_values(rejects.iter().map(|reject| micros(reject.arrived)));
        let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let sequences: Vec<String> = rejects.iter().map(|reject| reject.position.to_string()).collect();
        let arrays: Vec<ArrayRef> = vec![
            text(vec![&self.table; count]),
            text(vec![&self.stream.name; count]),
            text(rejects.iter().map(|reject| reject.shard.as_str()).collect()),
            text(sequences.iter().map(String::as_str).collect()),
            Arc::new(arrived.with_timezone("UTC")),
            text(rejects.iter().map(|reject| reject.reason.as_str()).collect()),
            Arc::new(BinaryArray::from_iter_values(rejects.iter().map(|reject| &reject.data))),
        ];
        Ok(RecordBatch::try_new(rejects_schema(), arrays)?)
    }
}
