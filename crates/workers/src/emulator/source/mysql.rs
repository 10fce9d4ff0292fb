//! A MySQL (or MariaDB) database, of which nothing but `SELECT` is asked.
//!
//! The server turns each column into text, which says exactly what it holds: a FLOAT has its six digits, a DECIMAL all of
//! its own. Here the text becomes JSON by the column's type.

use std::collections::BTreeMap;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};
use url::Url;

use super::keys::{Extent, Keys, LISTED};
use super::sqlite::iso8601;
use super::{Row, SourceError};
use crate::config::EmulatedTable;

/// How long the server may take for a statement; the caller waits a little longer, should nobody be there.
const STATEMENT: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// A connection and what is known of the tables.
#[derive(Debug)]
pub(in crate::emulator) struct Mysql {
    connection: MySqlConnection,
    secrets: Secrets,
    tables: Vec<Table>,
    keys: Keys,
}

#[derive(Debug)]
struct Table {
    name: String,
    key: String,
    columns: Vec<(String, Form)>,
    /// `SELECT … FROM …`, each column as text, the key first.
    select: String,
}

/// How the text of a column is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Integer,
    Number,
    Decimal,
    DateTime,
    Json,
    Text,
}

impl Mysql {
    /// Connects and looks at tables and keys. TLS as the URL's `ssl-mode` says; by default where the server has it.
    pub(super) async fn open(url: &str, tables: &[EmulatedTable]) -> Result<Mysql, SourceError> {
        let secrets = Secrets::of(url)?;
        let options = MySqlConnectOptions::from_str(url)
            .map_err(|error| SourceError::BadUrl(secrets.hide(&error.to_string())))?
            .charset("utf8mb4")
            .disable_statement_logging();
        let connection = within(&secrets, CONNECT, options.connect()).await?;
        let mut mysql = Mysql { connection, secrets, tables: Vec::new(), keys: Keys::range(0, 0) };
        mysql.settings().await?;
        for table in tables {
            let table = mysql.table(table).await?;
            mysql.tables.push(table);
        }
        mysql.keys = mysql.common_keys().await?;
        Ok(mysql)
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// See [`super::Rows::read`].
    pub(super) async fn read(&mut self, table: usize, keys: &[u64]) -> Result<Vec<Row>, SourceError> {
        let Table { name, key, columns, select } = &self.tables[table];
        let places = vec!["?"; keys.len()].join(", ");
        let sql = format!("{select} WHERE {} IN ({places})", quoted(key));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for key in keys {
            query = query.bind(*key);
        }
        let rows = within(&self.secrets, STATEMENT + CONNECT, query.fetch_all(&mut self.connection)).await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let number = cell(&row, 0).and_then(|text| text.parse::<u64>().ok()).unwrap_or(u64::MAX);
            let mut object = Row::new();
            for (i, (column, form)) in columns.iter().enumerate() {
                object.insert(column.clone(), cell(&row, i + 1).map_or(Value::Null, |text| json(text, *form)));
            }
            found.entry(number).or_insert(object);
        }
        let row = |key: &u64| found.get(key).cloned().ok_or(SourceError::RowGone { table: name.clone(), key: *key });
        keys.iter().map(row).collect()
    }

    async fn settings(&mut self) -> Result<(), SourceError> {
        let version = self.query("SELECT CAST(VERSION() AS CHAR)", &[]).await?;
        let mariadb = version.first().and_then(|row| cell(row, 0)).is_some_and(|text| text.contains("MariaDB"));
        // "The execution timeout for SELECT statements, in milliseconds", MySQL 8 reference manual; MariaDB counts seconds.
        let seconds = STATEMENT.as_secs();
        let limit = if mariadb {
            format!("SET SESSION max_statement_time = {seconds}")
        } else {
            format!("SET SESSION max_execution_time = {}", seconds * 1000)
        };
        // Not all servers prepare these, so they go as text.
        for sql in ["SET SESSION TRANSACTION READ ONLY".to_owned(), limit] {
            let set = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
            within(&self.secrets, STATEMENT, set).await?;
        }
        Ok(())
    }

    async fn table(&mut self, table: &EmulatedTable) -> Result<Table, SourceError> {
        let sql = "SELECT CAST(COLUMN_NAME AS CHAR), CAST(DATA_TYPE AS CHAR) FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
        let mut columns = Vec::new();
        for row in self.query(sql, &[&table.source]).await? {
            let (column, kind) = (cell(&row, 0).unwrap_or_default(), cell(&row, 1).unwrap_or_default());
            let Some(form) = form(&kind) else {
                return Err(SourceError::NoJsonForm { table: table.source.clone(), column, kind });
            };
            columns.push((column, form, kind));
        }
        if columns.is_empty() {
            return Err(SourceError::NoTable(table.source.clone()));
        }
        let Some((key, form, _)) = columns.iter().find(|(column, ..)| column.eq_ignore_ascii_case(&table.key)) else {
            return Err(SourceError::NoKey { table: table.source.clone(), column: table.key.clone() });
        };
        if *form != Form::Integer {
            return Err(SourceError::KeysNotNumbers { table: table.source.clone(), column: key.clone() });
        }
        let mut wanted = vec![format!("CAST({} AS CHAR)", quoted(key))];
        for (column, _, kind) in &columns {
            // Bits would come as bytes.
            let value = if kind == "bit" { format!("{} + 0", quoted(column)) } else { quoted(column) };
            wanted.push(format!("CAST({value} AS CHAR)"));
        }
        Ok(Table {
            name: table.source.clone(),
            key: key.clone(),
            select: format!("SELECT {} FROM {}", wanted.join(", "), quoted(&table.source)),
            columns: columns.into_iter().map(|(column, form, _)| (column, form)).collect(),
        })
    }

    async fn common_keys(&mut self) -> Result<Keys, SourceError> {
        let names: Vec<(String, String)> =
            self.tables.iter().map(|table| (table.name.clone(), table.key.clone())).collect();
        let tables: Vec<&str> = names.iter().map(|(table, _)| table.as_str()).collect();
        let mut extents = Vec::new();
        for (table, column) in &names {
            let (from, key) = (quoted(table), quoted(column));
            let as_text = |what: &str| format!("CAST({what} AS CHAR)");
            let wanted = [format!("MIN({key})"), format!("MAX({key})"), format!("COUNT(DISTINCT {key})")];
            let wanted: Vec<String> = wanted.iter().map(|what| as_text(what)).collect();
            let rows = self.query(&format!("SELECT {} FROM {from}", wanted.join(", ")), &[]).await?;
            let number = |i| rows.first().and_then(|row| cell(row, i)).and_then(|text| text.parse::<i64>().ok());
            if number(2) == Some(0) {
                return Err(SourceError::NoCommonKeys(table.clone()));
            }
            let extent = match (number(0), number(1), number(2)) {
                (Some(min), Some(max), Some(count)) => Extent::new(min, max, count),
                _ => None,
            };
            let not_numbers = || SourceError::KeysNotNumbers { table: table.clone(), column: column.clone() };
            extents.push(extent.ok_or_else(not_numbers)?);
        }
        if !extents.iter().any(|extent| extent.has_gaps()) {
            return Keys::of_ranges(&extents).or_none(&tables);
        }
        let mut lists = Vec::new();
        for ((table, column), extent) in names.iter().zip(extents) {
            if extent.count > LISTED {
                return Err(SourceError::TooManyKeys(table.clone()));
            }
            let (from, key) = (quoted(table), quoted(column));
            let sql = format!("SELECT CAST({key} AS CHAR) FROM {from} WHERE {key} IS NOT NULL");
            let rows = self.query(&sql, &[]).await?;
            let mut keys: Vec<u64> = rows.iter().filter_map(|row| cell(row, 0)?.parse().ok()).collect();
            keys.sort_unstable();
            keys.dedup();
            lists.push(keys);
        }
        Keys::of_lists(lists).or_none(&tables)
    }

    async fn query(&mut self, sql: &str, values: &[&str]) -> Result<Vec<MySqlRow>, SourceError> {
        let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        for value in values {
            query = query.bind(value.to_string());
        }
        within(&self.secrets, STATEMENT + CONNECT, query.fetch_all(&mut self.connection)).await
    }
}

/// What must not be in a message: the password, as it stands in the URL and as it is.
struct Secrets {
    hidden: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    fn of(url: &str) -> Result<Secrets, SourceError> {
        // The reason alone: the parser does not repeat what it parsed.
        let parsed = Url::parse(url).map_err(|error| SourceError::BadUrl(error.to_string()))?;
        if parsed.scheme() != "mysql" {
            return Err(SourceError::BadUrl("it does not start with `mysql://`".to_owned()));
        }
        if parsed.path().trim_start_matches('/').is_empty() {
            return Err(SourceError::BadUrl("it names no database".to_owned()));
        }
        let mut hidden: Vec<String> = parsed.password().map(str::to_owned).into_iter().collect();
        let decoded = |password: &String| {
            // A query is decoded as a password is, but for `+`.
            let query = format!("x={}", password.replace('+', "%2B").replace('&', "%26"));
            url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        hidden.extend(hidden.first().and_then(decoded));
        hidden.retain(|secret| !secret.is_empty());
        Ok(Secrets { hidden })
    }

    fn hide(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for secret in &self.hidden {
            message = message.replace(secret.as_str(), "…");
        }
        message
    }
}

async fn within<T>(
    secrets: &Secrets,
    limit: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done.map_err(|error| SourceError::Database(secrets.hide(&error.to_string()))),
        Err(_) => Err(SourceError::Slow(limit.as_secs())),
    }
}

/// The text of a column, nothing for NULL.
fn cell(row: &MySqlRow, i: usize) -> Option<String> {
    row.try_get_unchecked::<Option<String>, _>(i).ok().flatten()
}

/// How a type is read (`DATA_TYPE` of `information_schema.COLUMNS`); nothing for those that are bytes.
fn form(kind: &str) -> Option<Form> {
    match kind.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" | "bit" => Some(Form::Integer),
        "float" | "double" | "real" => Some(Form::Number),
        "decimal" | "numeric" => Some(Form::Decimal),
        "datetime" | "timestamp" => Some(Form::DateTime),
        "json" => Some(Form::Json),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "date" | "time"
        | "uuid" | "inet4" | "inet6" => Some(Form::Text),
        _ => None,
    }
}

fn json(text: String, form: Form) -> Value {
    let value = match form {
        Form::Integer => text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok(),
        Form::Number => text.parse::<f64>().ok().map(Value::from),
        // One that is more exact than a double stays text.
        Form::Decimal => text.parse::<f64>().ok().filter(|_| digits(&text) <= 15).map(Value::from),
        Form::DateTime => Some(Value::from(iso8601(&text))),
        Form::Json => serde_json::from_str(&text).ok(),
        Form::Text => None,
    };
    value.unwrap_or(Value::String(text))
}

/// The significant digits of a decimal.
fn digits(decimal: &str) -> usize {
    let digits: String = decimal.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn text_becomes_what_the_column_is() {
        let of = |text: &str, form| json(text.to_owned(), form);
        assert_eq!(of("-7528", Form::Integer), value!(-7528));
        assert_eq!(of("18446744073709551615", Form::Integer), value!(u64::MAX));
        assert_eq!(of("-89.9787", Form::Number), value!(-89.9787));
        assert_eq!(of("0.30000000000000004", Form::Number), value!(0.1 + 0.2));
        assert_eq!(of("1.50", Form::Decimal), value!(1.5));
        assert_eq!(of("12345678901234567.89", Form::Decimal), value!("12345678901234567.89"));
        assert_eq!(of("2020-08-28 03:52:47", Form::DateTime), value!("2020-08-28T03:52:47"));
        assert_eq!(of("{\"a\": [1]}", Form::Json), value!({"a": [1]}));
        assert_eq!(of("124", Form::Text), value!("124"));
        assert_eq!((form("BIGINT"), form("mediumblob"), form("geometry")), (Some(Form::Integer), None, None));
    }

    #[test]
    fn a_password_is_in_no_message() {
        let secrets = Secrets::of("mysql://me:p%40ss%2Bword@host:3306/pinterest_data?ssl-mode=REQUIRED").unwrap();
        assert_eq!(secrets.hide("`p%40ss%2Bword` or p@ss+word"), "`…` or …");
        assert!(!format!("{secrets:?}").contains("ss"));
        for wrong in ["mysql://me:hunter2@host:99999999/x", "postgres://me:hunter2@host/x", "mysql://me:hunter2@host"] {
            let error = Secrets::of(wrong).map(|_| ()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
