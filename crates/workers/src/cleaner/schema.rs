//! Columns as Delta has them and as arrow has them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use deltalake::DeltaTableError;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};

/// The Delta columns for arrow columns.
pub(crate) fn delta(columns: &SchemaRef) -> Result<StructType, DeltaTableError> {
    Ok(columns.as_ref().try_into_kernel()?)
}

/// The arrow columns of a Delta table.
pub(crate) fn arrow(columns: &StructType) -> Result<SchemaRef, DeltaTableError> {
    let schema: Schema = columns.try_into_arrow()?;
    Ok(Arc::new(schema))
}

/// Where names, order or types of two lists of columns differ: what the first has, what the second has.
pub(crate) fn difference(found: &StructType, wanted: &StructType) -> Option<(String, String)> {
    let (mut found, mut wanted) = (found.fields(), wanted.fields());
    let shown = |field: Option<&deltalake::kernel::StructField>| match field {
        Some(field) => format!("column `{}` of type {}", field.name(), field.data_type()),
        None => "no further column".to_owned(),
    };
    loop {
        match (found.next(), wanted.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) if a.name() == b.name() && a.data_type() == b.data_type() => {}
            (a, b) => return Some((shown(a), shown(b))),
        }
    }
}

/// The same rows with exactly these columns; what is missing is null.
pub(crate) fn conform(rows: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.fields().len());
    for field in columns.fields() {
        arrays.push(match rows.column_by_name(field.name()) {
            Some(array) => cast(array, field.data_type())?,
            None => new_null_array(field.data_type(), rows.num_rows()),
        });
    }
    RecordBatch::try_new(columns.clone(), arrays)
}
