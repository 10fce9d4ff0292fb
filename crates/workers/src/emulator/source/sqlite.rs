//! An SQLite database: an object of the lake bucket, fetched once and read only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_config::{BehaviorVersion, Region};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row as _, SqliteConnection, TypeInfo, ValueRef};
use tokio::io::AsyncWriteExt;

use super::keys::{Extent, Keys, LISTED};
use super::{Row, SourceError};
use crate::config::EmulatedTable;

/// A database file that nobody writes.
#[derive(Debug)]
pub(in crate::emulator) struct Sqlite {
    connection: SqliteConnection,
    tables: Vec<EmulatedTable>,
    keys: Keys,
}

impl Sqlite {
    /// Opens a file and looks at its keys.
    pub(super) async fn open(file: &Path, tables: &[EmulatedTable]) -> Result<Sqlite, SourceError> {
        // Immutable: no locks and no `-wal` file are looked for.
        let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
        let connection = options.disable_statement_logging().connect().await.map_err(database)?;
        let mut sqlite = Sqlite { connection, tables: tables.to_vec(), keys: Keys::range(0, 0) };
        sqlite.keys = sqlite.common_keys().await?;
        Ok(sqlite)
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// See [`super::Rows::read`].
    pub(super) async fn read(&mut self, table: usize, keys: &[u64]) -> Result<Vec<Row>, SourceError> {
        let EmulatedTable { key, source, .. } = &self.tables[table];
        let places = vec!["?"; keys.len()].join(", ");
        let sql = format!("SELECT * FROM {} WHERE {} IN ({places})", quoted(source), quoted(key));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for key in keys {
            // Keys come from the database, which has none beyond 2⁶³.
            query = query.bind(*key as i64);
        }
        let mut found = BTreeMap::new();
        for row in query.fetch_all(&mut self.connection).await.map_err(database)? {
            let row = json(source, &row)?;
            let number =
                row.iter().find(|(column, _)| column.eq_ignore_ascii_case(key)).and_then(|(_, key)| key.as_u64());
            found.entry(number.unwrap_or(u64::MAX)).or_insert(row);
        }
        let row = |key: &u64| found.get(key).cloned().ok_or(SourceError::RowGone { table: source.clone(), key: *key });
        keys.iter().map(row).collect()
    }

    async fn common_keys(&mut self) -> Result<Keys, SourceError> {
        let mut extents = Vec::new();
        for table in self.tables.clone() {
            extents.push(self.extent(&table).await?);
        }
        let names: Vec<String> = self.tables.iter().map(|table| table.source.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !extents.iter().any(|extent| extent.has_gaps()) {
            return Keys::of_ranges(&extents).or_none(&names);
        }
        let mut lists = Vec::new();
        for (table, extent) in self.tables.clone().iter().zip(extents) {
            if extent.count > LISTED {
                return Err(SourceError::TooManyKeys(table.source.clone()));
            }
            let (key, source) = (quoted(&table.key), quoted(&table.source));
            let sql = format!("SELECT DISTINCT {key} FROM {source} WHERE {key} IS NOT NULL ORDER BY {key}");
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.map_err(database)?;
            lists.push(rows.iter().map(|row| row.get_unchecked::<i64, _>(0) as u64).collect());
        }
        Keys::of_lists(lists).or_none(&names)
    }

    async fn extent(&mut self, table: &EmulatedTable) -> Result<Extent, SourceError> {
        let columns = sqlx::query("SELECT name FROM pragma_table_info(?)")
            .bind(&table.source)
            .fetch_all(&mut self.connection)
            .await
            .map_err(database)?;
        if columns.is_empty() {
            return Err(SourceError::NoTable(table.source.clone()));
        }
        let (name, column) = (table.source.clone(), table.key.clone());
        // A name in double quotes that is no column would be taken as text.
        if !columns.iter().any(|row| row.get_unchecked::<String, _>(0).eq_ignore_ascii_case(&column)) {
            return Err(SourceError::NoKey { table: name, column });
        }
        let (key, source) = (quoted(&table.key), quoted(&table.source));
        let sql = format!(
            "SELECT count(*) FILTER (WHERE typeof({key}) <> 'integer'), count(DISTINCT {key}), min({key}), max({key}) \
             FROM {source} WHERE {key} IS NOT NULL"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await.map_err(database)?;
        if row.get_unchecked::<i64, _>(1) == 0 {
            return Err(SourceError::NoCommonKeys(name));
        }
        let extent = Extent::new(row.get_unchecked(2), row.get_unchecked(3), row.get_unchecked(1));
        match extent {
            Some(extent) if row.get_unchecked::<i64, _>(0) == 0 => Ok(extent),
            _ => Err(SourceError::KeysNotNumbers { table: name, column }),
        }
    }
}

/// Fetches the file, unless it is there, and gives its path. It is renamed into place once its SHA-256 is right.
pub(super) async fn fetch(
    bucket: &str,
    key: &str,
    sha256: &str,
    region: &str,
    folder: &Path,
) -> Result<PathBuf, SourceError> {
    let failed = |reason: String| SourceError::Fetch { key: key.to_owned(), reason };
    let file = folder.join(format!("source-{sha256}.sqlite"));
    if file.exists() {
        return Ok(file);
    }
    // The files of earlier deployments are of no more use.
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("source-") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned())).load().await;
    let client = aws_sdk_s3::Client::new(&config);
    let object = Box::pin(client.get_object().bucket(bucket).key(key).send()).await;
    let mut body = object.map_err(|error| failed(crate::log::chain(&error))).map(|object| object.body)?;
    let new = folder.join(format!("source-{sha256}.new"));
    let mut out = tokio::fs::File::create(&new).await?;
    let mut hash = Sha256::new();
    while let Some(part) = body.try_next().await.map_err(|error| failed(error.to_string()))? {
        hash.update(&part);
        out.write_all(&part).await?;
    }
    out.sync_all().await?;
    let found = hex::encode(hash.finalize());
    if found != sha256 {
        return Err(SourceError::NotAsDeployed { key: key.to_owned(), found });
    }
    std::fs::rename(&new, &file)?;
    Ok(file)
}

fn json(table: &str, row: &SqliteRow) -> Result<Row, SourceError> {
    let mut object = Row::new();
    for (i, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(i).map_err(database)?;
        // Values have types of their own in SQLite, whatever their column was declared as.
        let kind = if raw.is_null() { "NULL".to_owned() } else { raw.type_info().name().to_owned() };
        let value = match kind.as_str() {
            "NULL" => Value::Null,
            "INTEGER" => Value::from(row.get_unchecked::<i64, _>(i)),
            // SQLite has no NaN; the infinities have no JSON form.
            "REAL" => Value::from(row.get_unchecked::<f64, _>(i)),
            "TEXT" => Value::from(text(row.get_unchecked(i), column.type_info().name())),
            _ => {
                let (table, column) = (table.to_owned(), column.name().to_owned());
                return Err(SourceError::NoJsonForm { table, column, kind });
            }
        };
        object.insert(column.name().to_owned(), value);
    }
    Ok(object)
}

/// Text as it is, but for that of a column declared as date and time: SQLite has no such type, and a blank where ISO 8601
/// has a `T`.
fn text(text: String, declared: &str) -> String {
    if matches!(declared, "DATETIME" | "TIMESTAMP") { iso8601(&text) } else { text }
}

/// `2020-08-28 03:52:47.000000` as `2020-08-28T03:52:47`; what does not look so stays.
pub(super) fn iso8601(text: &str) -> String {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[10] != b' ' || bytes[13] != b':' || !text.is_char_boundary(11) {
        return text.to_owned();
    }
    let text = format!("{}T{}", &text[..10], &text[11..]);
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        _ => text,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it away")]
fn database(error: sqlx::Error) -> SourceError {
    SourceError::Database(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_become_iso_8601() {
        assert_eq!(iso8601("2020-08-28 03:52:47"), "2020-08-28T03:52:47");
        assert_eq!(iso8601("2020-08-28 03:52:47.000000"), "2020-08-28T03:52:47");
        assert_eq!(iso8601("2020-08-28 03:52:47.250000"), "2020-08-28T03:52:47.250000");
        assert_eq!(iso8601("2020-08-28T03:52:47Z"), "2020-08-28T03:52:47Z");
        assert_eq!(iso8601("yesterday at noon, more or less"), "yesterday at noon, more or less");
        assert_eq!(text("2020-08-28 03:52:47".to_owned(), "TEXT"), "2020-08-28 03:52:47");
    }
}
