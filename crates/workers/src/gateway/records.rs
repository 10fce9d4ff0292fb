//! The body of a produce request becomes records: `{"records":[{"key":…,"value":…,"partition":…,"timestamp":…}]}`.
//!
//! Bodies are read in one pass that borrows from them. Only a body that is refused is looked at a second time, to say which
//! of its fields is wrong ([`diagnose`]).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::compact::compact;
use super::diagnose::diagnose;

/// A request with more records is refused: a record of three bytes (`{},`) costs a hundred in memory.
pub const MAX_RECORDS: usize = 10_000;

/// What padding there is does not matter, as with the proxy's own decoder.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How keys and values stand in a request ("embedded format", Confluent REST Proxy API reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As JSON: what is produced is its text.
    Json,
    /// As base64 in a string: what is produced are its bytes.
    Binary,
}

/// A record to produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its key, if it has one.
    pub key: Option<Cow<'a, [u8]>>,
    /// Its value; none is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// The partition that the caller wants.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; the time of its arrival when absent.
    pub timestamp: Option<i64>,
}

impl Record<'_> {
    /// The bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, |key| key.len()) + self.value.as_ref().map_or(0, |value| value.len())
    }
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// A field that does not belong there; the text is the one of the REST Proxy.
    #[error("Unrecognized field: {0}")]
    Unrecognized(String),
    /// There is nothing to produce.
    #[error("records may not be empty")]
    Empty,
    /// A field has a value that cannot be.
    #[error("{field} {problem}")]
    Field {
        /// Such as `records[3].partition`.
        field: String,
        /// Such as `must be an integer`.
        problem: String,
    },
    /// More records than [`MAX_RECORDS`].
    #[error("a request may have {MAX_RECORDS} records at most")]
    TooMany,
}

/// The records of a body.
///
/// # Errors
///
/// When the body is not as the API wants it, with the first field that is wrong.
pub fn parse(body: &[u8], format: Format) -> Result<Vec<Record<'_>>, Malformed> {
    let Object(envelope): Object<Envelope<'_>> =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => diagnose(body, &error),
            Category::Io | Category::Syntax | Category::Eof => Malformed::Syntax(error.to_string()),
        })?;
    let Some(Records(fields)) = envelope.records else { return Err(Malformed::Empty) };
    if fields.is_empty() {
        return Err(Malformed::Empty);
    }
    let mut records = Vec::with_capacity(fields.len());
    for (number, fields) in fields.into_iter().enumerate() {
        records.push(fields.record(number, format)?);
    }
    Ok(records)
}

/// Schemas of requests in the formats that need a registry: they may be there, and mean nothing here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    records: Option<Records<'a>>,
    #[serde(default, rename = "key_schema")]
    _key_schema: IgnoredAny,
    #[serde(default, rename = "key_schema_id")]
    _key_schema_id: IgnoredAny,
    #[serde(default, rename = "value_schema")]
    _value_schema: IgnoredAny,
    #[serde(default, rename = "value_schema_id")]
    _value_schema_id: IgnoredAny,
}

struct Records<'a>(Vec<Fields<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Records<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Records<'a>, D::Error> {
        deserializer.deserialize_seq(UpToMax)
    }
}

struct UpToMax;

impl<'de> Visitor<'de> for UpToMax {
    type Value = Records<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_RECORDS} records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Records<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Object(next)) = sequence.next_element()? {
            if fields.len() == MAX_RECORDS {
                return Err(A::Error::invalid_length(MAX_RECORDS + 1, &self));
            }
            fields.push(next);
        }
        Ok(Records(fields))
    }
}

/// What is an object: the parser would also take the fields of a struct as an array.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(AsObject(PhantomData))
    }
}

struct AsObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AsObject<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl<'a> Fields<'a> {
    fn record(self, number: usize, format: Format) -> Result<Record<'a>, Malformed> {
        let wrong = |field: &str, problem: &str| Malformed::Field {
            field: format!("records[{number}].{field}"),
            problem: problem.to_owned(),
        };
        if self.partition.is_some_and(|partition| partition < 0) {
            return Err(wrong("partition", "must not be negative"));
        }
        if self.timestamp.is_some_and(|timestamp| timestamp < 1) {
            return Err(wrong("timestamp", "must be milliseconds after 1970"));
        }
        let bytes = |field: &str, value: Option<&'a RawValue>| match (value, format) {
            (None, _) => Ok(None),
            (Some(json), Format::Json) => Ok(Some(compact(json.get()))),
            (Some(json), Format::Binary) => match decoded(json) {
                Some(bytes) => Ok(Some(Cow::Owned(bytes))),
                None => Err(wrong(field, "must be base64 in a string")),
            },
        };
        let (key, value) = (bytes("key", self.key)?, bytes("value", self.value)?);
        Ok(Record { key, value, partition: self.partition, timestamp: self.timestamp })
    }
}

fn decoded(json: &RawValue) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = serde_json::from_str(json.get()).ok()?;
    BASE64.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(body: &str) -> Result<Vec<Record<'_>>, Malformed> {
        parse(body.as_bytes(), Format::Json)
    }

    fn bytes(text: &str) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn values_are_produced_as_they_came() {
        let records = json(r#"{"records":[{"value":{"b": 1.10, "a":"x  y"},"key":"k","partition":3,"timestamp":7},{"value":null},{}]}"#).unwrap();
        let first = Record {
            key: bytes("\"k\""),
            value: bytes(r#"{"b":1.10,"a":"x  y"}"#),
            partition: Some(3),
            timestamp: Some(7),
        };
        let none = Record { key: None, value: None, partition: None, timestamp: None };
        assert_eq!(records, [first, none.clone(), none]);
    }

    #[test]
    fn schemas_of_other_formats_mean_nothing() {
        let records = json(
            r#"{"key_schema":null,"value_schema":"{}","value_schema_id":1,"key_schema_id":2,"records":[{"value":1}]}"#,
        );
        assert_eq!(records.unwrap()[0].value, bytes("1"));
    }

    #[test]
    fn binary_values_are_decoded() {
        let body = br#"{"records":[{"key":"AA==","value":"\/\u002b8"},{"value":""}]}"#;
        let records = parse(body, Format::Binary).unwrap();
        assert_eq!(records[0].key.as_deref(), Some(&[0][..]));
        assert_eq!(records[0].value.as_deref(), Some(&[255, 239][..]));
        assert_eq!(records[1].value.as_deref(), Some(&[][..]));
        for wrong in [r#"{"records":[{"value":"AA=="},{"value":"%"}]}"#, r#"{"records":[{},{"value":1}]}"#] {
            let refused = parse(wrong.as_bytes(), Format::Binary).unwrap_err();
            assert_eq!(refused.to_string(), "records[1].value must be base64 in a string");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, message) in [
            ("", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            (r#"{"records":[{"value":01}]}"#, "the body is not JSON: invalid number at line 1 column 23"),
            (r#"{"ind":1,"x":2}"#, "Unrecognized field: ind"),
            (r#"{"records":[{"value":1},{"ind":1}]}"#, "Unrecognized field: ind"),
            ("{}", "records may not be empty"),
            (r#"{"records":null}"#, "records may not be empty"),
            (r#"{"records":[]}"#, "records may not be empty"),
            ("[]", "the body must be an object"),
            ("null", "the body must be an object"),
            (r#"{"records":{"value":1}}"#, "records must be an array"),
            (r#"{"records":[{"value":1},3]}"#, "records[1] must be an object"),
            (r#"{"records":[[1,2,3,4]]}"#, "records[0] must be an object"),
            (r#"{"records":[{"partition":"0"}]}"#, "records[0].partition must be an integer"),
            (r#"{"records":[{"partition":1.5}]}"#, "records[0].partition must be an integer"),
            (r#"{"records":[{"partition":-1}]}"#, "records[0].partition must not be negative"),
            (r#"{"records":[{"partition":4294967296}]}"#, "records[0].partition must be less than 2147483648"),
            (r#"{"records":[{"timestamp":"now"}]}"#, "records[0].timestamp must be an integer"),
            (r#"{"records":[{"timestamp":0}]}"#, "records[0].timestamp must be milliseconds after 1970"),
            (r#"{"records":[{"value":1,"value":2}]}"#, "the body must not have a field twice"),
        ] {
            assert_eq!(json(body).unwrap_err().to_string(), message, "{body}");
        }
    }

    #[test]
    fn records_are_counted() {
        let body = |records: usize| format!("{{\"records\":[{}]}}", vec!["{}"; records].join(","));
        assert_eq!(json(&body(MAX_RECORDS)).unwrap().len(), MAX_RECORDS);
        assert_eq!(json(&body(MAX_RECORDS + 1)), Err(Malformed::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_travel_as_base64(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let text = base64::engine::general_purpose::STANDARD.encode(&value);
            let body = serde_json::json!({"records": [{"value": text}, {"value": text.trim_end_matches('=')}]}).to_string();
            for record in parse(body.as_bytes(), Format::Binary).unwrap() {
                prop_assert_eq!(record.value.as_deref(), Some(&value[..]));
            }
        }

        #[test]
        fn any_text_is_taken_or_refused(body in "[\\[\\]{}\":, a-z0-9\\\\.-]{0,64}") {
            let _ = json(&body);
        }
    }
}
