//! Bytes of a record become a value, as the converter classes of Apache Kafka make it.

use serde_json::Value;

use super::java;
use super::schema;
use super::value::Data;

/// A converter class with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Converter {
    /// `StringConverter`: bytes that are no UTF-8 are replaced, as Java does.
    Text,
    /// `JsonConverter`; with schemas, a record is an envelope of `schema` and `payload`.
    Json { schemas: bool },
    /// `ByteArrayConverter`.
    Bytes,
}

/// The bytes are not what the converter reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) String);

impl Converter {
    /// The class, as dead-letter headers name it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Converter::Text => "org.apache.kafka.connect.storage.StringConverter",
            Converter::Json { .. } => "org.apache.kafka.connect.json.JsonConverter",
            Converter::Bytes => "org.apache.kafka.connect.converters.ByteArrayConverter",
        }
    }

    /// The value of a record's key or value; none is `Null`.
    pub(super) fn value(self, bytes: Option<&[u8]>) -> Result<Data, Unreadable> {
        let Some(bytes) = bytes else { return Ok(Data::Null) };
        match self {
            Converter::Text => Ok(Data::Text(String::from_utf8_lossy(bytes).into_owned())),
            Converter::Bytes => Ok(Data::Bytes(bytes.to_vec())),
            Converter::Json { schemas: false } => Ok(schemaless(&parsed(bytes)?)),
            Converter::Json { schemas: true } => schema::unwrapped(parsed(bytes)?).map_err(Unreadable),
        }
    }
}

/// The first JSON value in the bytes: Jackson's `readTree` does not look at what follows it.
fn parsed(bytes: &[u8]) -> Result<Value, Unreadable> {
    const FAILED: &str = "Converting byte[] to Kafka Connect data failed due to serialization error";
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Unreadable(format!("{FAILED}: {error}"))),
        None => Err(Unreadable(format!("{FAILED}: the record is empty"))),
    }
}

/// Whole numbers become Java's `long`, all others `double`; members go through a `HashMap`.
pub(super) fn schemaless(value: &Value) -> Data {
    match value {
        Value::Null => Data::Null,
        Value::Bool(flag) => Data::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Data::Int(whole),
            // `JsonNode.longValue` keeps the low 64 bits.
            (None, Some(large)) => Data::Int(large.cast_signed()),
            (None, None) => Data::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Data::Text(text.clone()),
        Value::Array(items) => Data::List(items.iter().map(schemaless).collect()),
        Value::Object(members) => {
            let members: Vec<(&String, &Value)> = members.iter().collect();
            let order = java::hash_map_order(members.iter().map(|(name, _)| name.as_str()));
            let listed = order.into_iter().map(|index| (members[index].0.clone(), schemaless(members[index].1)));
            Data::Map(listed.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn written(converter: Converter, bytes: &str) -> String {
        let mut out = Vec::new();
        json::write(&converter.value(Some(bytes.as_bytes())).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_come_out_as_a_hash_map_lists_them() {
        let event = r#"{"index":7528,"unique_id":"fbe53c66","title":"x","downloaded":1,"category":"mens-fashion"}"#;
        // Buckets of 16: unique_id 3, index 9, title and category 12 (in the order they came in), downloaded 13.
        let expected = r#"{"unique_id":"fbe53c66","index":7528,"title":"x","category":"mens-fashion","downloaded":1}"#;
        assert_eq!(written(Converter::Json { schemas: false }, event), expected);
    }

    #[test]
    fn numbers_and_texts_of_json() {
        let json = Converter::Json { schemas: false };
        assert_eq!(written(json, "[1,1.0,-88.5252,1e3,18446744073709551615]"), "[1,1.0,-88.5252,1000.0,-1]");
        assert_eq!(written(json, r#""\u00e9\/""#), "\"é/\"");
        assert_eq!(written(json, r#"{"a":1} trailing"#), r#"{"a":1}"#);
        assert_eq!(written(json, r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
        assert!(json.value(Some(b"{")).is_err());
        assert!(json.value(Some(b"")).is_err());
        assert_eq!(json.value(Some(b"null")).unwrap(), Data::Null);
        assert_eq!(json.value(None).unwrap(), Data::Null);
    }

    #[test]
    fn the_other_converters() {
        assert_eq!(written(Converter::Text, "{\"a\":1}"), r#""{\"a\":1}""#);
        assert_eq!(Converter::Text.value(Some(&[0xff])).unwrap(), Data::Text("\u{fffd}".to_owned()));
        assert_eq!(Converter::Bytes.value(Some(b"x")).unwrap(), Data::Bytes(b"x".to_vec()));
    }
}
