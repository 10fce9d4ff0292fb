//! Cleaning: records as they came become rows of a table, rejects with a reason, or probes. Pure: no I/O, no clock.
//!
//! ```text
//! bytes ─decode→ fields as text ─SQL, row by row→ typed columns ─key null?→ rows, rejects
//! ```
//!
//! - [`Cleaning`] is made once a table from its cleaning SQL, which is checked and planned there; [`Cleaning::clean`]
//!   then takes batches of records.
//! - Every record ends up in exactly one of rows, rejects and probes, so counts always reconcile. That is why the SQL may
//!   only be a projection: a filter or a join could make a record vanish.
//! - A record that makes the SQL fail is a reject; its neighbours are not touched.

mod decode;
mod header;
mod projection;
mod quick;
mod storable;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringBuilder};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use decode::{Decoded, Decoder};
use projection::Projection;
use quick::Slot;

pub use crate::sql::SqlError;

/// The relation that cleaning SQL reads.
pub const RELATION: &str = "events";

/// Text columns have 32-bit offsets: more than this in one call would not fit.
const MOST_BYTES: usize = 1 << 30;

/// How the records of one table are cleaned.
#[derive(Clone, Debug)]
pub struct Cleaning {
    table: String,
    key: String,
    decoder: Decoder,
    projection: Projection,
}

/// What became of a batch of records: each is in exactly one of `row_of`, `rejects` and `probes`.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// The cleaned rows, in the order of their records.
    pub rows: RecordBatch,
    /// The index of the record that each row came from.
    pub row_of: Vec<usize>,
    /// The records that have no row, in order.
    pub rejects: Vec<Reject>,
    /// The records that are probes, in order.
    pub probes: Vec<ProbeSeen>,
}

/// A record that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The record's index in the batch.
    pub record: usize,
    /// Why, as a person understands it; without control characters and not long.
    pub reason: String,
}

/// A record that is a probe: it travels as data does, is cleaned as data is, and is kept out of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSeen {
    /// The record's index in the batch.
    pub record: usize,
    /// The probe's id: 1 to 64 of the characters `0-9a-f-`.
    pub id: String,
    /// Why it would have been rejected, had it been an event.
    pub rejected: Option<String>,
}

/// A batch that could not be cleaned at all. What is wrong with a single record is a [`Reject`] instead.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// More in one call than text columns can hold.
    #[error("{0} bytes of records are too many to be cleaned at once; {MOST_BYTES} are the most")]
    TooLarge(usize),
    /// The columns could not be put together.
    #[error("the cleaned columns of table `{table}` do not fit together")]
    Columns {
        /// The table.
        table: String,
        /// Why.
        source: ArrowError,
    },
}

impl Cleaning {
    /// Reads, checks and plans the cleaning SQL of a table. `key` is the field of an event that identifies a row; its
    /// value, cleaned, is the first column that the SQL selects.
    pub async fn new(table: &str, key: &str, sql: &str) -> Result<Cleaning, SqlError> {
        let fields = header::fields(sql)?;
        if !fields.iter().any(|field| field == key) {
            let message = format!("the key `{key}` of table `{table}` is not among the fields that are read");
            return Err(header::place(sql).error(message).help(format!("add it: `-- reads: {key}, …`")));
        }
        let projection = Projection::new(sql, &fields).await?;
        Ok(Cleaning { table: table.to_owned(), key: key.to_owned(), decoder: Decoder::new(fields), projection })
    }

    /// The columns of the cleaned table: all nullable, of types that Delta has.
    pub fn schema(&self) -> SchemaRef {
        self.projection.schema()
    }

    /// Cleans a batch of records. Takes CPU time only.
    pub fn clean(&self, records: &[&[u8]]) -> Result<Cleaned, CleanError> {
        let bytes: usize = records.iter().map(|record| record.len()).sum();
        if bytes > MOST_BYTES {
            return Err(CleanError::TooLarge(bytes));
        }
        let decoded = self.decode(records);
        let mut cleaned = Sorted { rejects: decoded.rejects, probes: Vec::new(), row_of: Vec::new(), kept: Vec::new() };
        let mut pieces = Vec::new();
        self.project(&decoded.events, &decoded.seen, &mut cleaned, &mut pieces);
        let columns = |source| CleanError::Columns { table: self.table.clone(), source };
        // One piece, all of it kept, is the rule: then nothing is copied.
        let projected = match <[RecordBatch; 1]>::try_from(pieces) {
            Ok([piece]) => piece,
            Err(pieces) => concat_batches(&self.schema(), &pieces).map_err(columns)?,
        };
        let rows = match cleaned.kept.iter().all(|kept| *kept) {
            true => projected,
            false => {
                let kept = BooleanArray::from(std::mem::take(&mut cleaned.kept));
                filter_record_batch(&projected, &kept).map_err(columns)?
            }
        };
        let Sorted { mut rejects, probes, row_of, .. } = cleaned;
        // Those that could not be decoded come before those without a key otherwise.
        rejects.sort_by_key(|reject| reject.record);
        Ok(Cleaned { rows, row_of, rejects, probes })
    }

    fn decode(&self, records: &[&[u8]]) -> Events {
        let fields = self.decoder.fields();
        let bytes = records.iter().map(|record| record.len()).sum::<usize>() / fields.len().max(1);
        let mut columns: Vec<StringBuilder> =
            fields.iter().map(|_| StringBuilder::with_capacity(records.len(), bytes)).collect();
        let (mut seen, mut rejects) = (Vec::with_capacity(records.len()), Vec::new());
        let mut slots = Vec::new();
        for (record, bytes) in records.iter().enumerate() {
            if self.decode_quickly(bytes, &mut slots, &mut columns) {
                seen.push(Seen { record, probe: None });
                continue;
            }
            match self.decoder.decode(bytes) {
                Ok(Decoded { values, probe }) => {
                    for (column, value) in columns.iter_mut().zip(values) {
                        column.append_option(value);
                    }
                    seen.push(Seen { record, probe });
                }
                Err(reason) => rejects.push(Reject { record, reason }),
            }
        }
        let columns = columns.into_iter().map(|mut column| std::sync::Arc::new(column.finish()) as ArrayRef).collect();
        // One nullable text column a field, each with a value for every event: they always fit together.
        let events = RecordBatch::try_new(self.projection.input(), columns).expect("as many values as fields");
        Events { events, seen, rejects }
    }

    /// Appends the fields of an ordinary record; otherwise nothing.
    fn decode_quickly(&self, record: &[u8], slots: &mut Vec<Slot>, columns: &mut [StringBuilder]) -> bool {
        let Ok(record) = std::str::from_utf8(record) else { return false };
        if !quick::find(record, self.decoder.fields(), slots) {
            return false;
        }
        let mut unescaped = Vec::new();
        for slot in slots.iter() {
            if let Slot::Escaped { from, to } = *slot {
                match serde_json::from_str::<String>(&record[from..to]) {
                    Ok(text) => unescaped.push(text),
                    Err(_) => return false,
                }
            }
        }
        let mut unescaped = unescaped.into_iter();
        for (slot, column) in slots.iter().zip(columns) {
            match *slot {
                Slot::Null => column.append_null(),
                Slot::Text { from, to } => column.append_value(&record[from..to]),
                Slot::Escaped { .. } => column.append_option(unescaped.next()),
            }
        }
        true
    }

    /// Runs the SQL over events and sorts its rows. Where it fails for a batch, the halves are tried, down to the single
    /// event that it fails for.
    fn project(&self, events: &RecordBatch, seen: &[Seen], sorted: &mut Sorted, pieces: &mut Vec<RecordBatch>) {
        match self.projection.run(events) {
            Ok(rows) => {
                for (row, seen) in seen.iter().enumerate() {
                    let reason = rows.column(0).is_null(row).then(|| self.no_key(events, row));
                    sorted.add(seen, reason);
                }
                pieces.push(rows);
            }
            Err(error) if seen.len() <= 1 => {
                for seen in seen {
                    sorted.fail(seen, format!("the cleaning SQL fails for it: {}", decode::shown(&error.to_string())));
                }
            }
            Err(_) => {
                let (first, second) = seen.split_at(seen.len() / 2);
                self.project(&events.slice(0, first.len()), first, sorted, pieces);
                self.project(&events.slice(first.len(), second.len()), second, sorted, pieces);
            }
        }
    }

    /// Why an event has no key: what its field holds.
    fn no_key(&self, events: &RecordBatch, row: usize) -> String {
        let key = &self.key;
        let text = events.column_by_name(key).map(arrow::array::AsArray::as_string::<i32>);
        match text {
            Some(text) if !text.is_null(row) => {
                format!("no usable `{key}`: it is {}", decode::quoted(text.value(row)))
            }
            _ => format!("no usable `{key}`: it is missing, null, or no single value"),
        }
    }
}

/// A batch of records, decoded.
struct Events {
    events: RecordBatch,
    /// The record of each event.
    seen: Vec<Seen>,
    rejects: Vec<Reject>,
}

/// Which record an event came from, and whether it is a probe.
struct Seen {
    record: usize,
    probe: Option<String>,
}

/// The events of a batch by what became of them.
struct Sorted {
    rejects: Vec<Reject>,
    probes: Vec<ProbeSeen>,
    row_of: Vec<usize>,
    /// For each row of the SQL whether it is one of the table.
    kept: Vec<bool>,
}

impl Sorted {
    /// An event with a row: it is kept unless there is a reason not to.
    fn add(&mut self, seen: &Seen, rejected: Option<String>) {
        self.kept.push(rejected.is_none() && seen.probe.is_none());
        match (rejected, &seen.probe) {
            (None, None) => self.row_of.push(seen.record),
            (Some(reason), None) => self.rejects.push(Reject { record: seen.record, reason }),
            (rejected, Some(id)) => self.probes.push(ProbeSeen { record: seen.record, id: id.clone(), rejected }),
        }
    }

    /// An event without a row.
    fn fail(&mut self, seen: &Seen, reason: String) {
        match &seen.probe {
            None => self.rejects.push(Reject { record: seen.record, reason }),
            Some(id) => {
                self.probes.push(ProbeSeen { record: seen.record, id: id.clone(), rejected: Some(reason) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
