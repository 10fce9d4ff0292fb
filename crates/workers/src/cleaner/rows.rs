//! Rows by their hash: two rows have one hash when they are equal in every column.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use sha2::{Digest, Sha256};

/// Half of a SHA-256: among 10^12 rows two different ones share it with a chance below 10^-14.
pub(crate) type RowHash = u128;

/// The bytes that are hashed of a row. Hashes that were made of others say nothing about these.
pub(crate) const FORM: u32 = 2;

/// The hashes of all rows. Only the columns' types and order count, not their names.
pub(crate) fn hashes(rows: &RecordBatch) -> Result<Vec<RowHash>, ArrowError> {
    // Most of a row is text, which is hashed from where it lies; the rest is little, and arrow's row format knows all types.
    let (texts, others): (Vec<_>, Vec<_>) =
        rows.columns().iter().partition(|column| column.data_type() == &DataType::Utf8);
    let texts: Vec<&StringArray> = texts.into_iter().map(|column| column.as_string()).collect();
    let others: Vec<_> = others.into_iter().cloned().collect();
    let fields = others.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let others = RowConverter::new(fields)?.convert_columns(&others)?;
    let mut bytes = Vec::new();
    let hash_of = |row| {
        bytes.clear();
        for text in &texts {
            put(text, row, &mut bytes);
        }
        // Without such columns the converter has no rows.
        if others.num_rows() > row {
            bytes.extend_from_slice(others.row(row).as_ref());
        }
        hash(&bytes)
    };
    Ok((0..rows.num_rows()).map(hash_of).collect())
}

/// A text with its length before it, or what no text begins with for null: no text can run over into the next one.
fn put(texts: &StringArray, row: usize, bytes: &mut Vec<u8>) {
    if texts.is_null(row) {
        bytes.push(0);
        return;
    }
    let text = texts.value(row);
    bytes.push(1);
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
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
