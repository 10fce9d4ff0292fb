//! JSON bodies, read and written under the guidance of a shape.
//!
//! Reading is one pass: the parser is led by the shape, so members the model does not know are skipped without
//! being built, wire names become member names, and a value of the wrong type is refused where it stands. Nesting is bounded
//! by `serde_json` (128 levels). Refusals are worded as those of AWS's JSON services.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::ApiError;
use super::model::{Kind, Location, Model, ShapeId, TimestampFormat};
use super::scalar;

/// Reads a body; an empty one is an empty object.
pub(crate) fn read(model: &Model, shape: ShapeId, body: &[u8]) -> Result<Value, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let value = Shaped { model, shape }.deserialize(&mut parser).map_err(|error| refusal(&error))?;
    parser.end().map_err(|error| refusal(&error))?;
    Ok(value)
}

fn refusal(error: &serde_json::Error) -> ApiError {
    let mut message = error.to_string();
    if error.is_data() {
        // What this module says of a value; where it stands is clear from the value.
        let place = format!(" at line {} column {}", error.line(), error.column());
        if let Some(short) = message.strip_suffix(&place) {
            message = short.to_owned();
        }
    }
    ApiError::new("SerializationException", message)
}

#[derive(Clone, Copy)]
struct Shaped<'m> {
    model: &'m Model,
    shape: ShapeId,
}

impl Shaped<'_> {
    fn kind(&self) -> &Kind {
        &self.model.shape(self.shape).kind
    }

    fn mismatch<E: serde::de::Error>(&self, token: &str) -> E {
        let target = match self.kind() {
            Kind::Structure(_) | Kind::Map { .. } | Kind::List { .. } => return E::custom("Unexpected field type"),
            Kind::String => "String",
            Kind::Blob => "Blob",
            Kind::Boolean => "Boolean",
            Kind::Integer => "Integer",
            Kind::Long => "Long",
            Kind::Double => "Double",
            Kind::Timestamp(_) => "Timestamp",
        };
        E::custom(format_args!("{token} cannot be converted to {target}"))
    }

    fn number<E: serde::de::Error>(&self, number: Number) -> Result<Value, E> {
        let fits = match self.kind() {
            Kind::Integer => number.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
            Kind::Long => number.as_i64().is_some(),
            Kind::Double => true,
            Kind::Timestamp(format) => format.is_none_or(|format| format == TimestampFormat::Epoch),
            _ => false,
        };
        if fits { Ok(Value::Number(number)) } else { Err(self.mismatch("NUMBER_VALUE")) }
    }
}

impl<'de> DeserializeSeed<'de> for Shaped<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shaped<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of the API model")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        match self.kind() {
            Kind::Boolean => Ok(Value::Bool(value)),
            _ => Err(self.mismatch(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| self.mismatch::<E>("NUMBER_VALUE"))?;
        self.number(number)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        match self.kind() {
            Kind::String => Ok(Value::String(value.to_owned())),
            Kind::Blob if scalar::is_base64(value) => Ok(Value::String(value.to_owned())),
            Kind::Blob => Err(self.mismatch("STRING_VALUE")),
            Kind::Timestamp(Some(format)) => {
                scalar::parse_time(value, *format).ok_or_else(|| self.mismatch("STRING_VALUE"))
            }
            _ => Err(self.mismatch("STRING_VALUE")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Kind::List { member, .. } = self.kind() else {
            return Err(A::Error::custom("Start of list found where not expected"));
        };
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Shaped { model: self.model, shape: *member })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        match self.kind() {
            Kind::Structure(structure) => {
                while let Some(found) = entries.next_key_seed(MemberKey { structure })? {
                    let Some(member) = found else {
                        entries.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value = entries.next_value_seed(Shaped { model: self.model, shape: member.shape })?;
                    // A member that is null is one that was not given.
                    if !value.is_null() {
                        object.insert(member.name.clone(), value);
                    }
                }
            }
            Kind::Map { value, .. } => {
                while let Some(key) = entries.next_key::<String>()? {
                    object.insert(key, entries.next_value_seed(Shaped { model: self.model, shape: *value })?);
                }
            }
            _ => return Err(A::Error::custom("Start of structure or map found where not expected.")),
        }
        Ok(Value::Object(object))
    }
}

/// Looks a key up while it is still in the parser's buffer, so that no key is copied twice.
struct MemberKey<'m> {
    structure: &'m super::model::Structure,
}

impl<'de, 'm> DeserializeSeed<'de> for MemberKey<'m> {
    type Value = Option<&'m super::model::Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'m> Visitor<'_> for MemberKey<'m> {
    type Value = Option<&'m super::model::Member>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.structure.body_member(key))
    }
}

/// A service answered with something that its API model does not have.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("the answer does not fit the API model: {problem}")]
pub(crate) struct Misfit {
    pub(crate) problem: String,
}

impl Misfit {
    pub(crate) fn new(shape: &str, problem: &str) -> Misfit {
        Misfit { problem: format!("`{shape}` {problem}") }
    }
}

/// Writes a value in the wire names of its shape. Members that travel outside of the body are left out.
pub(crate) fn write(model: &Model, shape: ShapeId, value: &Value, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let shape = model.shape(shape);
    match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Object(object)) => {
            out.push(b'{');
            let mut first = true;
            for (name, value) in object {
                let member =
                    structure.member(name).ok_or_else(|| Misfit::new(&shape.name, &format!("has no `{name}`")))?;
                if value.is_null() || member.location != Location::Body {
                    continue;
                }
                separate(&mut first, out);
                write_text(&member.wire_name, out);
                out.push(b':');
                write(model, member.shape, value, out)?;
            }
            out.push(b'}');
        }
        (Kind::Map { value: shape, .. }, Value::Object(object)) => {
            out.push(b'{');
            let mut first = true;
            for (key, value) in object {
                separate(&mut first, out);
                write_text(key, out);
                out.push(b':');
                write(model, *shape, value, out)?;
            }
            out.push(b'}');
        }
        (Kind::List { member, .. }, Value::Array(items)) => {
            out.push(b'[');
            let mut first = true;
            for item in items {
                separate(&mut first, out);
                write(model, *member, item, out)?;
            }
            out.push(b']');
        }
        (Kind::Timestamp(Some(format)), Value::Number(number)) if *format != TimestampFormat::Epoch => {
            let text = number.as_f64().and_then(|seconds| scalar::format_time(seconds, *format));
            write_text(&text.ok_or_else(|| Misfit::new(&shape.name, "is no time"))?, out);
        }
        (Kind::String | Kind::Blob, Value::String(text)) => write_text(text, out),
        (Kind::Boolean, Value::Bool(_))
        | (Kind::Integer | Kind::Long | Kind::Double | Kind::Timestamp(_), Value::Number(_))
        | (_, Value::Null) => out.extend_from_slice(value.to_string().as_bytes()),
        _ => return Err(Misfit::new(&shape.name, "is of another type")),
    }
    Ok(())
}

fn separate(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// Writes one JSON string.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(Value::from(text).to_string().as_bytes());
    }
}
