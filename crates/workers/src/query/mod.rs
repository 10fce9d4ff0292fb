//! Questions to the lake: SQL over the Delta tables, which are read and never changed.
//!
//! Only what a query names is opened. A table that is in the stack and not in the lake yet is told apart from one that
//! does not exist.

mod lake;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionContext};
use futures::StreamExt;

pub use lake::{REJECTS, TableSet, query};

pub use crate::sql::SqlError;
use crate::sql::{Words, plan, session, suggestion};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The SQL is wrong.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A table of the stack that nothing was written to yet.
    #[error("table `{table}` has no rows yet: the cleaner makes it with the first event that it cleans")]
    NoRows {
        /// The table.
        table: String,
    },
    /// The lake could not be reached.
    #[error(transparent)]
    Lake(#[from] crate::lake::LakeError),
    /// The query was right and failed.
    #[error("the query failed")]
    Run(#[source] Box<DataFusionError>),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> QueryError {
        QueryError::Run(Box::new(error))
    }
}

/// The tables that can be asked.
pub struct Tables {
    context: SessionContext,
    present: Vec<String>,
    missing: Vec<String>,
}

/// What a query answers, batch by batch.
pub struct Answer {
    stream: SendableRecordBatchStream,
}

impl Tables {
    /// None yet.
    pub fn new() -> Tables {
        let partitions = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Tables { context: session(partitions), present: Vec::new(), missing: Vec::new() }
    }

    /// Adds a table under its name in SQL.
    pub fn add(&mut self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), QueryError> {
        self.context.register_table(name, table)?;
        self.present.push(name.to_owned());
        Ok(())
    }

    /// Adds a table that is in memory.
    pub fn add_rows(&mut self, name: &str, schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<(), QueryError> {
        self.add(name, Arc::new(MemTable::try_new(schema, vec![rows])?))
    }

    /// Says of a table that nothing was written to it yet.
    pub fn add_missing(&mut self, name: &str) {
        self.missing.push(name.to_owned());
    }

    /// Runs a query.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        let plan = self.plan(sql).await?;
        let frame = DataFrame::new(self.context.state(), plan);
        Ok(Answer { stream: Box::pin(frame.execute_stream()).await? })
    }

    async fn plan(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let planned = match plan(&self.context, sql).await {
            Ok(planned) => planned,
            Err(error) => return Err(self.unknown_table(error)),
        };
        let reads_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if reads_only.verify_plan(&planned).is_err() {
            let error = Words::of(sql).start().error("this statement would change something; the lake is only read");
            return Err(error.help("write a `SELECT`").into());
        }
        Ok(planned)
    }

    /// A table that is not there may be one without rows, or misspelt.
    fn unknown_table(&self, error: SqlError) -> QueryError {
        let Some(name) = error.unknown_table.as_deref() else { return error.into() };
        if let Some(table) = self.missing.iter().find(|table| *table == name) {
            return QueryError::NoRows { table: table.clone() };
        }
        let known: Vec<&str> = self.present.iter().chain(&self.missing).map(String::as_str).collect();
        match suggestion(name, &known, "the tables are") {
            Some(help) => error.help(help).into(),
            None => error.into(),
        }
    }
}

impl Default for Tables {
    fn default() -> Tables {
        Tables::new()
    }
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        Ok(self.stream.next().await.transpose()?)
    }

    /// All rows at once.
    pub async fn all(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// Plans a query over tables with these columns, without any rows: is it right, and what would it answer? Contacts nobody,
/// and is ready at once.
pub async fn check(sql: &str, tables: &[(&str, SchemaRef)]) -> Result<SchemaRef, SqlError> {
    let mut known = Tables::new();
    let failed = |error: QueryError| match error {
        QueryError::Sql(error) => error,
        other => Words::of(sql).start().error(other.to_string()),
    };
    for (name, schema) in tables {
        known.add_rows(name, Arc::clone(schema), Vec::new()).map_err(failed)?;
    }
    let plan = known.plan(sql).await.map_err(failed)?;
    Ok(Arc::clone(plan.schema().inner()))
}

/// The columns of the table of rejects. `source` is the stream that a record came from, with its shard and sequence number;
/// or the topic, with the key of the object (`shard`) and the line in it (`sequence`).
pub fn rejects_schema() -> SchemaRef {
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("table"),
        text("source"),
        text("shard"),
        text("sequence"),
        Field::new("arrived", time, true),
        text("reason"),
        Field::new("data", DataType::Binary, true),
    ]))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn tables() -> Tables {
        let schema = Arc::new(Schema::new(vec![Field::new("ind", DataType::Int32, true)]));
        let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int32Array::from(vec![3, 1, 2]))]).unwrap();
        let mut tables = Tables::new();
        tables.add_rows("pin", schema, vec![rows]).unwrap();
        tables.add_missing("geo");
        tables
    }

    async fn refused(sql: &str) -> String {
        match tables().query(sql).await {
            Err(QueryError::Sql(error)) => format!("{error}; {}", error.help.clone().unwrap_or_default()),
            Err(error) => error.to_string(),
            Ok(_) => panic!("`{sql}` was run"),
        }
    }

    #[tokio::test]
    async fn rows_come_in_the_order_that_is_asked_for() {
        let answer = tables().query("SELECT ind FROM pin ORDER BY ind DESC;").await.unwrap();
        assert_eq!(answer.schema().field(0).name(), "ind");
        let rows = answer.all().await.unwrap();
        let column: Vec<i32> = rows
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<arrow::datatypes::Int32Type>().values().to_vec())
            .collect();
        assert_eq!(column, [3, 2, 1]);
    }

    #[tokio::test]
    async fn nothing_is_changed_and_no_file_is_read() {
        for sql in [
            "INSERT INTO pin VALUES (4)",
            "DROP TABLE pin",
            "CREATE TABLE x AS SELECT 1",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "COPY pin TO '/tmp/pin.csv'",
            "SET datafusion.execution.batch_size = 1",
            "DELETE FROM pin",
        ] {
            let answer = refused(sql).await;
            assert!(answer.contains("would change something") || answer.contains("not a query"), "{sql}: {answer}");
        }
        assert!(refused("SELECT * FROM '/etc/passwd'").await.contains("there is no table"));
        assert!(refused("SELECT 1; SELECT 2").await.contains("more than one statement (line 1, column 11)"));
        assert!(refused("").await.contains("there is no statement"));
    }

    #[tokio::test]
    async fn a_table_without_rows_is_told_from_one_that_is_not_there() {
        assert!(refused("SELECT * FROM geo").await.starts_with("table `geo` has no rows yet"));
        assert_eq!(
            refused("SELECT *\nFROM pni").await,
            "there is no table `pni` (line 2, column 6); did you mean `pin`?"
        );
    }

    #[tokio::test]
    async fn a_check_needs_no_rows() {
        let schema = Arc::new(Schema::new(vec![Field::new("ind", DataType::Int32, true)]));
        let tables = [("pin", Arc::clone(&schema))];
        let answer = check("SELECT ind + 1 AS next FROM pin", &tables).await.unwrap();
        assert_eq!(answer.field(0).name(), "next");
        let error = check("SELECT ind,\n  category\nFROM pin", &tables).await.unwrap_err();
        assert_eq!((error.line, error.column, error.width), (2, 3, 8));
        assert_eq!(error.message, "there is no column `category`");
    }
}
