//! What can go wrong in batch cleaning.

use super::Counts;
use crate::cleaner::error::TableError;

/// Why batch cleaning of a table has ended.
#[derive(Debug, thiserror::Error)]
#[error("table `{table}` could not be cleaned")]
pub struct BatchError {
    table: String,
    done: Counts,
    source: Box<TableError>,
}

impl BatchError {
    pub(crate) fn new(table: &str, done: Counts, source: TableError) -> BatchError {
        BatchError { table: table.to_owned(), done, source: Box::new(source) }
    }

    /// The table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// What was committed before it.
    pub fn done(&self) -> Counts {
        self.done
    }
}
