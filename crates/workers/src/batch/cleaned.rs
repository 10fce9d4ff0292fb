//! A block becomes rows with their hashes, rejects and a count of probes. Takes CPU time only, in a thread of its own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::blocks::Block;
use super::objects::Object;
use crate::clean::{CleanError, Cleaning};
use crate::cleaner::error::TableError;
use crate::cleaner::rows::{RowHash, hashes};
use crate::cleaner::schema;

/// What became of a block.
pub(crate) struct Cleaned {
    /// Rows in the columns of the table, and the hash of each.
    pub(crate) rows: RecordBatch,
    pub(crate) hashes: Vec<RowHash>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) probes: u64,
    pub(crate) parts: Vec<CleanedPart>,
    /// Of the block.
    pub(crate) bytes: usize,
}

/// A line that has no row.
pub(crate) struct Reject {
    /// Its part.
    pub(crate) part: usize,
    /// Its place among the lines of the part, from 0.
    pub(crate) line: u64,
    pub(crate) reason: String,
    pub(crate) data: Vec<u8>,
}

/// An object's share of a block.
pub(crate) struct CleanedPart {
    pub(crate) object: Arc<Object>,
    pub(crate) lines: u64,
    pub(crate) starts: bool,
    pub(crate) ends: bool,
}

/// Cleans a block to rows with these columns.
pub(crate) fn clean(
    table: &str,
    cleaning: &Cleaning,
    columns: &SchemaRef,
    block: Block,
) -> Result<Cleaned, TableError> {
    let failed = |source: CleanError| TableError::Clean { table: table.to_owned(), source };
    let mut records: Vec<&[u8]> = Vec::new();
    let mut parts = Vec::with_capacity(block.parts.len());
    let mut firsts = Vec::with_capacity(block.parts.len());
    let mut broken = Vec::new();
    let mut from = 0;
    for (place, part) in block.parts.into_iter().enumerate() {
        let first = records.len();
        firsts.push(first);
        let bytes = &block.bytes[from..part.to];
        from = part.to;
        // Each line has its end, so there is nothing behind the last one.
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            records.push(&bytes[begin..end]);
            begin = end + 1;
        }
        let mut lines = (records.len() - first) as u64;
        if let Some(reason) = part.broken {
            // It stands for the lines that cannot be told.
            broken.push(Reject { part: place, line: lines, reason, data: Vec::new() });
            lines += 1;
        }
        parts.push(CleanedPart { object: part.object, lines, starts: part.starts, ends: part.ends });
    }
    let cleaned = cleaning.clean(&records).map_err(failed)?;
    let rows = schema::conform(&cleaned.rows, columns)?;
    let hashes = hashes(&rows)?;
    let mut rejects = Vec::with_capacity(cleaned.rejects.len() + broken.len());
    for reject in cleaned.rejects {
        // The last of the parts that begin at or before it: empty parts begin where the next one does.
        let part = firsts.partition_point(|first| *first <= reject.record) - 1;
        let line = (reject.record - firsts[part]) as u64;
        rejects.push(Reject { part, line, reason: reject.reason, data: records[reject.record].to_vec() });
    }
    rejects.extend(broken);
    let probes = cleaned.probes.len() as u64;
    Ok(Cleaned { rows, hashes, rejects, probes, parts, bytes: block.bytes.len() })
}
