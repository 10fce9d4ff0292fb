//! The Delta tables of a lake as tables of SQL.

use super::{Answer, QueryError, Tables, rejects_schema};
use crate::lake::Lake;
use crate::sql::Words;

/// The table that holds the rejected records of all tables, as it is called in SQL.
pub const REJECTS: &str = "rejects";

/// Which of the two ways events come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSet {
    /// Kinesis, cleaned as it streams.
    Stream,
    /// Kafka and S3, cleaned on a schedule.
    Batch,
}

impl TableSet {
    /// Its folder under `tables/`.
    pub fn name(self) -> &'static str {
        match self {
            TableSet::Stream => "stream",
            TableSet::Batch => "batch",
        }
    }
}

/// Asks the lake. `tables` are those of the stack; `rejects` is always among them. Those that the SQL names are opened,
/// each in the version that is the newest at this moment.
pub async fn query(lake: &Lake, set: TableSet, tables: &[String], sql: &str) -> Result<Answer, QueryError> {
    let words = Words::of(sql);
    let mut opened = Tables::new();
    let names = tables.iter().map(String::as_str).filter(|name| *name != REJECTS);
    for name in names.chain([REJECTS]) {
        // A word of that name may be a column's too: then a table is opened for nothing.
        let found = if words.named(name).is_some() {
            let url = if name == REJECTS { lake.rejects_url() } else { lake.table_url(set.name(), name) };
            lake.open_table(&url).await?
        } else {
            None
        };
        match found {
            Some(table) => {
                let failed = |error| QueryError::Run(Box::new(datafusion::common::DataFusionError::from(error)));
                table.update_datafusion_session(&opened.context.state()).map_err(failed)?;
                opened.add(name, table.table_provider().await?)?;
            }
            // It comes with the first reject: that there is none is no reason to ask later.
            None if name == REJECTS => opened.add_rows(name, rejects_schema(), Vec::new())?,
            None => opened.add_missing(name),
        }
    }
    opened.query(sql).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, RecordBatch, StringArray};
    use deltalake::DeltaTable;
    use deltalake::protocol::SaveMode;

    use super::*;

    fn lake() -> Lake {
        Lake::over("lake", Arc::new(object_store::memory::InMemory::new())).unwrap()
    }

    async fn write(lake: &Lake, table: &str, rows: &[(i32, &str)]) {
        let ind = Arc::new(Int32Array::from_iter_values(rows.iter().map(|(ind, _)| *ind)));
        let text = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, text)| *text)));
        let batch = RecordBatch::try_from_iter([("ind", ind as _), ("text", text as _)]).unwrap();
        let table = DeltaTable::new(lake.log_store(&lake.table_url("stream", table)));
        Box::pin(table.write([batch]).with_save_mode(SaveMode::Append).into_future()).await.unwrap();
    }

    async fn ask(lake: &Lake, sql: &str) -> Result<String, QueryError> {
        let names = ["pin".to_owned(), "geo".to_owned()];
        let rows = query(lake, TableSet::Stream, &names, sql).await?.all().await?;
        Ok(arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_written_can_be_asked_for() {
        let lake = lake();
        write(&lake, "pin", &[(1, "a"), (2, "b")]).await;
        write(&lake, "pin", &[(3, "c")]).await;
        write(&lake, "geo", &[(3, "here")]).await;
        let sql =
            "SELECT p.ind, p.text, g.text AS place FROM pin AS p LEFT JOIN geo AS g ON p.ind = g.ind ORDER BY ind";
        let expected = "\
+-----+------+-------+
| ind | text | place |
+-----+------+-------+
| 1   | a    |       |
| 2   | b    |       |
| 3   | c    | here  |
+-----+------+-------+";
        assert_eq!(ask(&lake, sql).await.unwrap(), expected);
        assert!(ask(&lake, "SELECT count(*) AS n FROM pin WHERE text >= 'b'").await.unwrap().contains("| 2 |"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn tables_that_nothing_was_written_to_are_named() {
        let lake = lake();
        write(&lake, "pin", &[(1, "a")]).await;
        match ask(&lake, "SELECT * FROM geo").await {
            Err(QueryError::NoRows { table }) => assert_eq!(table, "geo"),
            other => panic!("{other:?}"),
        }
        assert!(ask(&lake, "SELECT count(reason) AS n FROM rejects").await.unwrap().contains("| 0 |"));
        assert!(ask(&lake, "SELECT 1 AS one").await.unwrap().contains("one"));
    }
}
