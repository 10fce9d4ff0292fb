//! Rows of a query, printed as they come: as a table for people, as CSV or as JSON for programs.

use std::io::Write;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited};
use arrow::json::{Writer, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches_with_options;

use super::{Failure, out};
use crate::cli::RowFormat;

/// A table is for reading: nobody reads more.
const MOST_DRAWN: usize = 1_000;

/// How a table shows what is not there.
const NULL: &str = "null";

/// Where the rows of one answer go.
pub struct Rows {
    kind: Kind,
}

enum Kind {
    /// Columns are as wide as their widest value, so the rows are kept.
    Table {
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        rows: usize,
        left_out: bool,
    },
    Csv {
        header: bool,
    },
    /// The end is written by `finish`.
    Json(Box<Writer<Vec<u8>, JsonArray>>),
    /// One event a row, as with `--json` everywhere.
    Events,
}

impl Rows {
    /// An answer with these columns; `events` is `--json`.
    pub fn new(format: RowFormat, events: bool, schema: &SchemaRef) -> Rows {
        let kind = match format {
            _ if events => Kind::Events,
            RowFormat::Table => {
                Kind::Table { schema: SchemaRef::clone(schema), batches: Vec::new(), rows: 0, left_out: false }
            }
            RowFormat::Csv => Kind::Csv { header: true },
            RowFormat::Json => Kind::Json(Box::new(WriterBuilder::new().with_explicit_nulls(true).build(Vec::new()))),
        };
        Rows { kind }
    }

    /// Prints more rows, or keeps them. Returns whether it wants any more.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<bool, Failure> {
        match &mut self.kind {
            Kind::Table { batches, rows, left_out, .. } => {
                let room = MOST_DRAWN - *rows;
                *left_out = batch.num_rows() > room;
                batches.push(batch.slice(0, batch.num_rows().min(room)));
                *rows += batch.num_rows().min(room);
                return Ok(!*left_out);
            }
            Kind::Csv { header } => {
                out::data(&as_csv(batch, *header).map_err(|error| cannot(&error))?)?;
                *header = false;
            }
            Kind::Json(writer) => {
                writer.write(batch).map_err(|error| cannot(&error))?;
                let written = std::mem::take(writer.get_mut());
                out::data(&String::from_utf8_lossy(&written))?;
            }
            Kind::Events => out::data(&as_events(batch).map_err(|error| cannot(&error))?)?,
        }
        Ok(true)
    }

    /// Prints what is left. Returns whether rows were left out.
    pub fn finish(self) -> Result<bool, Failure> {
        match self.kind {
            Kind::Table { schema, mut batches, left_out, .. } => {
                if batches.is_empty() {
                    batches.push(RecordBatch::new_empty(schema));
                }
                let options = FormatOptions::new().with_null(NULL);
                let table = pretty_format_batches_with_options(&batches, &options).map_err(|error| cannot(&error))?;
                out::data(&format!("{table}\n"))?;
                Ok(left_out)
            }
            Kind::Json(mut writer) => {
                writer.finish().map_err(|error| cannot(&error))?;
                out::data(&format!("{}\n", String::from_utf8_lossy(writer.get_mut())))?;
                Ok(false)
            }
            Kind::Csv { .. } | Kind::Events => Ok(false),
        }
    }
}

fn as_csv(batch: &RecordBatch, header: bool) -> Result<String, ArrowError> {
    let mut written = Vec::new();
    let mut writer = csv::WriterBuilder::new().with_header(header).build(&mut written);
    writer.write(&flat(batch)?)?;
    drop(writer);
    Ok(String::from_utf8_lossy(&written).into_owned())
}

/// CSV has no lists: they become text such as `[-89.97, -173.29]`.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = if field.data_type().is_nested() {
            let options = FormatOptions::new().with_null(NULL);
            let formatter = ArrayFormatter::try_new(column, &options)?;
            let texts = (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string()));
            std::sync::Arc::new(texts.collect::<StringArray>()) as ArrayRef
        } else {
            ArrayRef::clone(column)
        };
        columns.push((field.name().clone(), column));
    }
    RecordBatch::try_from_iter(columns)
}

/// `{"event":"row","row":{…}}` a line.
fn as_events(batch: &RecordBatch) -> Result<String, ArrowError> {
    let mut writer: Writer<Vec<u8>, LineDelimited> = WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
    writer.write(batch)?;
    let mut events = Vec::new();
    for line in writer.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        events.extend_from_slice(b"{\"event\":\"row\",\"row\":");
        events.write_all(line)?;
        events.extend_from_slice(b"}\n");
    }
    Ok(String::from_utf8_lossy(&events).into_owned())
}

fn cannot(error: &ArrowError) -> Failure {
    Failure::new(format!("the rows cannot be printed: {error}")).hint("cast what has no plain form in the query")
}
