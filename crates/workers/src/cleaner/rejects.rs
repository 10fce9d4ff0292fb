//! The rejects table: what could not become a row, whole, with the reason.
//!
//! Rejects are committed before the rows of their batch. A crash between the two commits would reject them again, so the
//! rejects table has positions of its own: what is at or before them has been rejected already. Who reads everything once
//! more, whatever was read before, compares with what is there instead ([`Rejects::listing`]).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use object_store::path::Path;
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

/// Where the records of a table come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A Kinesis stream: its chains are shards.
    Stream(Stream),
    /// A Kafka topic, whose records lie in objects: its chains are those of [`crate::batch`].
    Topic(String),
}

impl Origin {
    fn name(&self) -> &str {
        match self {
            Origin::Stream(stream) => &stream.name,
            Origin::Topic(topic) => topic,
        }
    }

    fn apps(&self, table: &str, chain: &str) -> ShardApps {
        match self {
            Origin::Stream(stream) => ShardApps::rejects(table, stream, chain),
            Origin::Topic(topic) => ShardApps::rejects_of_objects(table, topic, chain),
        }
    }
}

/// A rejected record.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    /// What it was read from in order, and where in that order it stands.
    pub(crate) chain: String,
    pub(crate) position: Position,
    /// Where people find it: a shard and a sequence number, or an object and a line.
    pub(crate) shard: String,
    pub(crate) sequence: String,
    pub(crate) arrived: OffsetDateTime,
    pub(crate) reason: String,
    pub(crate) data: Vec<u8>,
}

/// The rejects table as one table's cleaner sees it.
pub(crate) struct Rejects {
    ledger: Ledger,
    table: String,
    origin: Origin,
    /// Shard and sequence of what is there, where that decides and not the positions.
    listed: Option<HashSet<(String, String)>>,
}

impl Rejects {
    pub(crate) async fn open(lake: &Lake, table: &str, origin: Origin) -> Result<Rejects, TableError> {
        let ledger = Ledger::open(lake, &lake.rejects_url(), &rejects_schema()).await?;
        Ok(Rejects { ledger, table: table.to_owned(), origin, listed: None })
    }

    /// For a table that is read from its beginning again: what is new is what is not there.
    pub(crate) async fn listing(lake: &Lake, table: &str, origin: Origin) -> Result<Rejects, TableError> {
        let mut rejects = Rejects::open(lake, table, origin).await?;
        rejects.listed = Some(HashSet::new());
        for path in rejects.ledger.all_files().await? {
            rejects.list(&path).await?;
        }
        Ok(rejects)
    }

    /// Takes note of what a file of the table has of ours.
    async fn list(&mut self, path: &Path) -> Result<(), TableError> {
        let (table, source) = (&self.table, self.origin.name());
        let Some(listed) = &mut self.listed else { return Ok(()) };
        let list = |rows: RecordBatch| {
            let text = |name: &str| rows[name].as_string::<i32>();
            let (tables, sources, shards, sequences) = (text("table"), text("source"), text("shard"), text("sequence"));
            for row in 0..rows.num_rows() {
                if tables.value(row) == table && sources.value(row) == source {
                    listed.insert((shards.value(row).to_owned(), sequences.value(row).to_owned()));
                }
            }
            Ok(())
        };
        self.ledger.read_file(path, list).await
    }

    /// Whether it has to be opened anew before it is used.
    pub(crate) fn is_stale(&self) -> bool {
        self.ledger.is_stale()
    }

    /// Commits the rejects that are not there yet. `read_to` says how far each of their chains was read. Returns whether
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
            for (chain, position) in read_to {
                let apps = self.origin.apps(&self.table, chain);
                let concerned = news.iter().any(|reject| reject.chain == *chain);
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
                Outcome::Lost(others) if self.listed.is_some() => {
                    for path in others.iter().flat_map(|entry| &entry.added) {
                        let path = Path::from_url_path(path).map_err(|error| TableError::Log {
                            url: self.ledger.url().clone(),
                            why: error.to_string(),
                        })?;
                        self.list(&path).await?;
                    }
                }
                Outcome::Lost(_) => {}
            }
        }
        let (url, version) = (self.ledger.url().clone(), self.ledger.version());
        Err(TableError::Contended { url, version, attempts: ATTEMPTS })
    }

    fn has(&self, reject: &Rejected) -> bool {
        if let Some(listed) = &self.listed {
            return listed.contains(&(reject.shard.clone(), reject.sequence.clone()));
        }
        let position = self.origin.apps(&self.table, &reject.chain).position(&self.ledger);
        position.is_some_and(|position| reject.position <= position)
    }

    fn rows(&self, rejects: &[&Rejected]) -> Result<RecordBatch, TableError> {
        let count = rejects.len();
        let micros = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        let arrived = TimestampMicrosecondArray::from_iter_values(rejects.iter().map(|reject| micros(reject.arrived)));
        let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let arrays: Vec<ArrayRef> = vec![
            text(vec![&self.table; count]),
            text(vec![self.origin.name(); count]),
            text(rejects.iter().map(|reject| reject.shard.as_str()).collect()),
            text(rejects.iter().map(|reject| reject.sequence.as_str()).collect()),
            Arc::new(arrived.with_timezone("UTC")),
            text(rejects.iter().map(|reject| reject.reason.as_str()).collect()),
            Arc::new(BinaryArray::from_iter_values(rejects.iter().map(|reject| &reject.data))),
        ];
        Ok(RecordBatch::try_new(rejects_schema(), arrays)?)
    }
}
