//! The functions that cleaning SQL has beside those of SQL: they say exactly what dirty text means, and never fail.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::values;

/// All of them.
pub(crate) fn all() -> Vec<ScalarUDF> {
    FUNCTIONS.iter().map(|function| ScalarUDF::from(Parse::new(function))).collect()
}

/// The time zone of timestamps in the tables.
const UTC: &str = "UTC";

/// A function from text to a value: its name, the type of the value, and what it does to a column.
struct Function {
    name: &'static str,
    returns: fn() -> DataType,
    apply: fn(&StringArray) -> ArrayRef,
}

const FUNCTIONS: &[Function] = &[
    Function {
        name: "parse_int",
        returns: || DataType::Int32,
        apply: |texts| Arc::new(texts.iter().map(|text| values::int(text?)).collect::<Int32Array>()),
    },
    Function {
        name: "parse_double",
        returns: || DataType::Float64,
        apply: |texts| Arc::new(texts.iter().map(|text| values::double(text?)).collect::<Float64Array>()),
    },
    Function {
        name: "parse_count",
        returns: || DataType::Int32,
        apply: |texts| Arc::new(texts.iter().map(|text| values::count(text?)).collect::<Int32Array>()),
    },
    Function {
        name: "parse_timestamp",
        returns: || DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        apply: |texts| {
            let times = texts.iter().map(|text| values::timestamp(text?)).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_timezone(UTC))
        },
    },
];

/// A [`Function`] as DataFusion wants it.
struct Parse {
    function: &'static Function,
    signature: Signature,
}

impl Parse {
    fn new(function: &'static Function) -> Parse {
        Parse { function, signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Parse {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok((self.function.returns)())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // The signature takes exactly one argument.
        let texts = args.args[0].to_array(args.number_rows)?;
        // Text has three layouts in memory; SQL may hand over any of them.
        let texts = cast(&texts, &DataType::Utf8)?;
        Ok(ColumnarValue::Array((self.function.apply)(texts.as_string())))
    }
}

impl std::fmt::Debug for Parse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

impl PartialEq for Parse {
    fn eq(&self, other: &Parse) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Parse {}

impl Hash for Parse {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}
