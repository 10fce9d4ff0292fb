//! Which field of a refused body is wrong: what the parser says would be right for a compiler, not for a person.

use serde_json::{Map, Value};

use super::records::{MAX_RECORDS, Malformed};

const ENVELOPE: [&str; 5] = ["records", "key_schema", "key_schema_id", "value_schema", "value_schema_id"];
const RECORD: [&str; 4] = ["key", "value", "partition", "timestamp"];

/// The first thing that is wrong in a body that is JSON, but was refused with `error`.
pub(super) fn diagnose(body: &[u8], error: &serde_json::Error) -> Malformed {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Malformed::Syntax(error.to_string()),
    };
    let Value::Object(envelope) = &value else { return field("the body", "must be an object") };
    if let Some(name) = unknown(envelope, &ENVELOPE) {
        return name;
    }
    match envelope.get("records") {
        None | Some(Value::Null) => {}
        Some(Value::Array(records)) if records.len() > MAX_RECORDS => return Malformed::TooMany,
        Some(Value::Array(records)) => {
            for (number, record) in records.iter().enumerate() {
                if let Some(problem) = of_record(number, record) {
                    return problem;
                }
            }
        }
        Some(_) => return field("records", "must be an array"),
    }
    // The last of several fields of one name is what was looked at here.
    match error.to_string().starts_with("duplicate field") {
        true => field("the body", "must not have a field twice"),
        false => Malformed::Syntax(error.to_string()),
    }
}

fn of_record(number: usize, record: &Value) -> Option<Malformed> {
    let place = format!("records[{number}]");
    let Value::Object(fields) = record else { return Some(field(&place, "must be an object")) };
    if let Some(name) = unknown(fields, &RECORD) {
        return Some(name);
    }
    for name in ["partition", "timestamp"] {
        let problem = match fields.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::Number(number)) if number.as_i64().is_none() => match number.as_u64() {
                Some(_) => "is too large",
                None => "must be an integer",
            },
            Some(Value::Number(number)) if name == "partition" && number.as_i64() > Some(i64::from(i32::MAX)) => {
                "must be less than 2147483648"
            }
            Some(Value::Number(number)) if number.as_i64() < Some(0) => "must not be negative",
            Some(Value::Number(_)) => continue,
            Some(_) => "must be an integer",
        };
        return Some(field(&format!("{place}.{name}"), problem));
    }
    None
}

fn unknown(fields: &Map<String, Value>, known: &[&str]) -> Option<Malformed> {
    let name = fields.keys().find(|name| !known.contains(&name.as_str()))?;
    // The name comes from outside: as much of it as helps.
    Some(Malformed::Unrecognized(name.chars().take(100).collect()))
}

fn field(field: &str, problem: &str) -> Malformed {
    Malformed::Field { field: field.to_owned(), problem: problem.to_owned() }
}
