//! Reading members of a request. Types, required members and constraints were checked against the API model already.

use serde_json::Value;

pub(super) fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member)?.as_str()
}

/// A text member that the model requires.
pub(super) fn required_text<'a>(input: &'a Value, member: &str) -> &'a str {
    text(input, member).unwrap_or_default()
}

/// A whole number that fits; models bound the numbers, and out of bounds is as good as the bound.
pub(super) fn number(input: &Value, member: &str) -> Option<u32> {
    let number = input.get(member)?.as_i64()?;
    Some(u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX }))
}

pub(super) fn flag(input: &Value, member: &str) -> bool {
    input.get(member).and_then(Value::as_bool).unwrap_or(false)
}

/// A timestamp member in milliseconds.
pub(super) fn millis(input: &Value, member: &str) -> Option<i64> {
    Some((input.get(member)?.as_f64()? * 1_000.0).round() as i64)
}

pub(super) fn texts<'a>(input: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    input.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A timestamp as the wire layer takes it: seconds since the epoch.
pub(super) fn timestamp(millis: i64) -> Value {
    Value::from(millis as f64 / 1_000.0)
}
