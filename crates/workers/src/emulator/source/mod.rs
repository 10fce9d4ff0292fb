//! Where rows come from: the built-in sample, an SQLite file, a MySQL database.
//!
//! A source is read by key, never by position, and some rows at a time: events draw row numbers, a number stands for a
//! key, and the rows of that key in all tables are one event.

mod keys;
mod mysql;
mod sqlite;

use std::path::Path;

use serde_json::{Map, Value};

pub(super) use self::keys::Keys;
use self::mysql::Mysql;
use self::sqlite::Sqlite;
use crate::config::{EmulatedTable, Source};
use crate::sample::{Sample, SampleTable};

/// A row: columns in stored order; NULL is null, a date-time is ISO 8601 text.
pub(super) type Row = Map<String, Value>;

/// Why there are no rows. No message has a URL or a password in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("the sample has no table `{0}`; it has `pinterest_data`, `geolocation_data` and `user_data`")]
    NoSampleTable(String),
    #[error("the source has no table `{0}`")]
    NoTable(String),
    #[error("table `{table}` of the source has no column `{column}`, which is its key")]
    NoKey { table: String, column: String },
    #[error("the keys `{column}` of table `{table}` are not whole numbers from 0 on")]
    KeysNotNumbers { table: String, column: String },
    #[error("the keys of table `{0}` have gaps, and there are more than {max} of them", max = keys::LISTED)]
    TooManyKeys(String),
    #[error("no key of the source is in each of its tables: {0}")]
    NoCommonKeys(String),
    #[error("column `{column}` of table `{table}` is `{kind}`, which has no JSON form; leave it out with a view")]
    NoJsonForm { table: String, column: String, kind: String },
    #[error("table `{table}` of the source has lost its row `{key}`")]
    RowGone { table: String, key: u64 },
    #[error("cannot fetch `{key}` from the lake bucket: {reason}")]
    Fetch { key: String, reason: String },
    #[error("`{key}` in the lake bucket is not what was deployed: its SHA-256 is {found}")]
    NotAsDeployed { key: String, found: String },
    #[error("cannot write the source file: {0}")]
    Write(#[from] std::io::Error),
    #[error("the MySQL URL of the source cannot be read: {0}")]
    BadUrl(String),
    #[error("cannot read the source: {0}")]
    Database(String),
    #[error("the source did not answer within {0} s")]
    Slow(u64),
}

/// An open source.
#[derive(Debug)]
pub(super) enum Rows {
    /// The built-in sample.
    Sample { sample: Sample, tables: Vec<SampleTable>, keys: Keys },
    /// A file of the lake bucket.
    Sqlite(Sqlite),
    /// A database.
    Mysql(Mysql),
}

impl Rows {
    /// Opens a source and finds out which keys its tables have in common. Files are kept in `folder`; `region` is the
    /// one of the lake bucket.
    pub(super) async fn open(
        source: &Source,
        tables: &[EmulatedTable],
        region: &str,
        folder: &Path,
    ) -> Result<Rows, SourceError> {
        match source {
            Source::Sample { rows, seed } => {
                let find = |table: &EmulatedTable| {
                    SampleTable::from_name(&table.source).ok_or(SourceError::NoSampleTable(table.source.clone()))
                };
                Ok(Rows::Sample {
                    sample: Sample::new(*rows, *seed),
                    tables: tables.iter().map(find).collect::<Result<_, _>>()?,
                    keys: Keys::range(0, u64::from(*rows)).or_none(&["sample"])?,
                })
            }
            Source::Sqlite { bucket, key, sha256 } => {
                let file = Box::pin(sqlite::fetch(bucket, key, sha256, region, folder)).await?;
                Ok(Rows::Sqlite(Sqlite::open(&file, tables).await?))
            }
            Source::Mysql { url } => Ok(Rows::Mysql(Box::pin(Mysql::open(url, tables)).await?)),
        }
    }

    /// The keys that events are drawn from.
    pub(super) fn keys(&self) -> &Keys {
        match self {
            Rows::Sample { keys, .. } => keys,
            Rows::Sqlite(sqlite) => sqlite.keys(),
            Rows::Mysql(mysql) => mysql.keys(),
        }
    }

    /// The rows of the `table`-th table with these keys, in their order.
    pub(super) async fn read(&mut self, table: usize, keys: &[u64]) -> Result<Vec<Row>, SourceError> {
        match self {
            // A sample has fewer rows than 2³².
            Rows::Sample { sample, tables, .. } => {
                Ok(keys.iter().map(|key| sample.row(tables[table], *key as u32)).collect())
            }
            Rows::Sqlite(sqlite) => sqlite.read(table, keys).await,
            Rows::Mysql(mysql) => mysql.read(table, keys).await,
        }
    }
}
