//! The types that a cleaned column may have, as Delta has them ("Primitive types", Delta transaction log protocol).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// The type in the table of a column that the SQL makes; `None` when Delta has none for it.
pub(super) fn storable(made: &DataType) -> Option<DataType> {
    Some(match made {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::Binary => made.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::List(item) | DataType::LargeList(item) => {
            // The name that Parquet and Delta give to what is in a list.
            DataType::List(Arc::new(Field::new("element", storable(item.data_type())?, true)))
        }
        _ => return None,
    })
}
