//! Rows by their hash: two rows have one hash when they are equal in every column.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

/// Half of a SHA-256: among 10^12 rows two different ones share it with a chance below 10^-14.
pub(crate) type RowHash = u128;

/// The hashes of all rows. Only the columns' types and order count, not their names.
pub(crate) fn hashes(rows: &RecordBatch) -> Result<Vec<RowHash>, ArrowError> {
    let fields = rows.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    // The row format is unambiguous: every column's value has a length of its own in it.
    let converted = RowConverter::new(fields)?.convert_columns(rows.columns())?;
    Ok(converted.iter().map(|row| hash(row.as_ref())).collect())
}

fn hash(bytes: &[u8]) -> RowHash {
    let digest = Sha256::digest(bytes);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, ListArray, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;

    #[test]
    fn rows_are_told_apart_by_every_column() {
        let coordinates = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(1.0), None]),
            Some(vec![Some(1.0), None]),
            Some(vec![None, Some(1.0)]),
            None,
        ]);
        let rows = RecordBatch::try_from_iter([
            ("ind", Arc::new(Int32Array::from(vec![1, 1, 1, 1])) as _),
            ("country", Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("a"), Some("a")])) as _),
            ("coordinates", Arc::new(coordinates) as _),
            ("x", Arc::new(Float64Array::from(vec![None, None, None, None::<f64>])) as _),
        ])
        .unwrap();
        let hashes = hashes(&rows).unwrap();
        assert_eq!(hashes[0], hashes[1]);
        assert_ne!(hashes[0], hashes[2]);
        assert_ne!(hashes[0], hashes[3]);
    }

    #[test]
    fn null_is_not_the_empty_text_and_text_does_not_run_over() {
        let rows = RecordBatch::try_from_iter([
            ("a", Arc::new(StringArray::from(vec![Some(""), None, Some("ab"), Some("a")])) as _),
            ("b", Arc::new(StringArray::from(vec![Some("c"), Some("c"), Some("c"), Some("bc")])) as _),
        ])
        .unwrap();
        let hashes = hashes(&rows).unwrap();
        let different: std::collections::HashSet<_> = hashes.iter().collect();
        assert_eq!(different.len(), 4);
    }
}
