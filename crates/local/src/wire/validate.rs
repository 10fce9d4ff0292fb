//! The constraints of the API model: what is required, lengths, ranges, patterns, allowed values.
//!
//! Walking a valid input allocates nothing: a path is a chain of links on the stack and becomes text only for a
//! violation. The wording is that of AWS's validation framework, which kinesalite (`validations/index.js`) and
//! many bug reports have written down; each protocol wraps it in its own error code.

use std::fmt;

use serde_json::Value;

use super::error::ApiError;
use super::model::{Kind, Member, Model, Operation, Pattern, Protocol, Shape, ShapeId};
use super::scalar;

/// AWS reports no more than this many at once.
const MAX_REPORTED: usize = 10;

/// Longer values are cut in messages, so that a refused megabyte is not sent back.
const MAX_ECHO: usize = 1024;

/// Checks the input of an operation.
pub(crate) fn validate(model: &Model, operation: &Operation, input: &Value) -> Result<(), ApiError> {
    let Some(shape) = operation.input else { return Ok(()) };
    let mut found = Vec::new();
    check(model, shape, input, &Path::Root, &mut found);
    if found.is_empty() { Ok(()) } else { Err(refusal(model.protocol, &found)) }
}

/// One constraint that a value does not keep.
#[derive(Debug)]
struct Violation {
    path: String,
    /// `None` where a value must not be shown.
    value: Option<String>,
    constraint: String,
    missing: bool,
}

enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a Member),
    /// Counted from one.
    Item(&'a Path<'a>, usize),
    Entry(&'a Path<'a>, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(parent, member) => {
                if !matches!(parent, Path::Root) {
                    write!(formatter, "{parent}.")?;
                }
                let mut letters = member.name.chars();
                let first = letters.next().map(|first| first.to_ascii_lowercase());
                write!(formatter, "{}{}", first.unwrap_or_default(), letters.as_str())
            }
            Path::Item(parent, index) => write!(formatter, "{parent}.{index}.member"),
            Path::Entry(parent, key) => write!(formatter, "{parent}.{key}.member"),
        }
    }
}

fn check(model: &Model, shape_id: ShapeId, value: &Value, path: &Path<'_>, found: &mut Vec<Violation>) {
    let shape = model.shape(shape_id);
    match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Object(object)) => {
            for member in &structure.members {
                let path = Path::Member(path, member);
                match object.get(&member.name) {
                    Some(value) => check(model, member.shape, value, &path, found),
                    None if member.required => found.push(missing(&path)),
                    None => {}
                }
            }
        }
        (Kind::List { member, .. }, Value::Array(items)) => {
            length(shape, items.len(), value, path, found);
            let item_shape = model.shape(*member);
            // Plain items are judged with the list they stand in, structures one by one.
            if matches!(item_shape.kind, Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. }) {
                for (index, item) in items.iter().enumerate() {
                    check(model, *member, item, &Path::Item(path, index + 1), found);
                }
            } else if items.iter().any(|item| !keeps(item_shape, item)) {
                let constraint = format!("Member must satisfy constraint: [{}]", constraints(item_shape));
                found.push(violation(shape, value, path, constraint));
            }
        }
        (Kind::Map { key, value: entry, .. }, Value::Object(object)) => {
            length(shape, object.len(), value, path, found);
            let key_shape = model.shape(*key);
            if object.keys().any(|key| !text_keeps(key_shape, key)) {
                let constraint = format!("Map keys must satisfy constraint: [{}]", constraints(key_shape));
                found.push(violation(shape, value, path, constraint));
            }
            let entry_shape = model.shape(*entry);
            if matches!(entry_shape.kind, Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. }) {
                for (key, item) in object {
                    check(model, *entry, item, &Path::Entry(path, key), found);
                }
            } else if object.values().any(|item| !keeps(entry_shape, item)) {
                let constraint = format!("Map value must satisfy constraint: [{}]", constraints(entry_shape));
                found.push(violation(shape, value, path, constraint));
            }
        }
        (_, Value::Null) => found.push(missing(path)),
        (Kind::String, Value::String(text)) => {
            length(shape, text_length(text), value, path, found);
            if let Some(pattern) = shape.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                found.push(violation(shape, value, path, pattern_constraint(pattern)));
            }
            if !allowed(shape, text) {
                found.push(violation(shape, value, path, values_constraint(shape)));
            }
        }
        (Kind::Blob, Value::String(text)) => length(shape, scalar::decoded_length(text), value, path, found),
        (Kind::Integer | Kind::Long | Kind::Double, Value::Number(number)) => {
            let number = number.as_f64().unwrap_or_default();
            if let Some(min) = shape.min.filter(|min| number < *min) {
                let constraint = format!("Member must have value greater than or equal to {min}");
                found.push(violation(shape, value, path, constraint));
            }
            if let Some(max) = shape.max.filter(|max| number > *max) {
                let constraint = format!("Member must have value less than or equal to {max}");
                found.push(violation(shape, value, path, constraint));
            }
        }
        _ => {}
    }
}

fn length(shape: &Shape, length: usize, value: &Value, path: &Path<'_>, found: &mut Vec<Violation>) {
    if let Some(constraint) = shape.min.filter(|min| (length as f64) < *min).map(min_constraint) {
        found.push(violation(shape, value, path, constraint));
    }
    if let Some(constraint) = shape.max.filter(|max| (length as f64) > *max).map(max_constraint) {
        found.push(violation(shape, value, path, constraint));
    }
}

/// Whether a plain value keeps all constraints of its shape.
fn keeps(shape: &Shape, value: &Value) -> bool {
    let within = |size: f64| shape.min.is_none_or(|min| size >= min) && shape.max.is_none_or(|max| size <= max);
    match (&shape.kind, value) {
        (_, Value::Null) => false,
        (Kind::Blob, Value::String(text)) => within(scalar::decoded_length(text) as f64),
        (_, Value::String(text)) => text_keeps(shape, text),
        (Kind::Integer | Kind::Long | Kind::Double, Value::Number(number)) => number.as_f64().is_some_and(within),
        _ => true,
    }
}

fn text_keeps(shape: &Shape, text: &str) -> bool {
    let size = text_length(text) as f64;
    shape.min.is_none_or(|min| size >= min)
        && shape.max.is_none_or(|max| size <= max)
        && shape.pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        && allowed(shape, text)
}

fn allowed(shape: &Shape, text: &str) -> bool {
    shape.values.is_empty() || shape.values.iter().any(|value| value == text)
}

/// AWS counts as Java does.
fn text_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

fn constraints(shape: &Shape) -> String {
    let mut all: Vec<String> = Vec::new();
    all.extend(shape.max.map(max_constraint));
    all.extend(shape.min.map(min_constraint));
    all.extend(shape.pattern.as_ref().map(pattern_constraint));
    if !shape.values.is_empty() {
        all.push(values_constraint(shape));
    }
    if all.is_empty() {
        all.push("Member must not be null".to_owned());
    }
    all.join(", ")
}

fn min_constraint(min: f64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn max_constraint(max: f64) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn pattern_constraint(pattern: &Pattern) -> String {
    format!("Member must satisfy regular expression pattern: {}", pattern.text)
}

fn values_constraint(shape: &Shape) -> String {
    format!("Member must satisfy enum value set: [{}]", shape.values.join(", "))
}

fn missing(path: &Path<'_>) -> Violation {
    let constraint = "Member must not be null".to_owned();
    Violation { path: path.to_string(), value: Some("null".to_owned()), constraint, missing: true }
}

fn violation(shape: &Shape, value: &Value, path: &Path<'_>, constraint: String) -> Violation {
    let value = (!shape.sensitive).then(|| match (&shape.kind, value) {
        (Kind::Blob, Value::String(text)) => {
            let size = scalar::decoded_length(text);
            format!("'java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]'")
        }
        _ => {
            let mut text = String::new();
            java_text(value, &mut text);
            format!("'{}'", shorten(&text))
        }
    });
    Violation { path: path.to_string(), value, constraint, missing: false }
}

/// A value as Java prints it: `[a, b]`, `{key=value}`.
fn java_text(value: &Value, out: &mut String) {
    if out.len() > MAX_ECHO {
        return;
    }
    let mut separator = "";
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                out.push_str(std::mem::replace(&mut separator, ", "));
                java_text(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (key, item) in object {
                out.push_str(std::mem::replace(&mut separator, ", "));
                out.push_str(key);
                out.push('=');
                java_text(item, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn shorten(text: &str) -> &str {
    text.char_indices().nth(MAX_ECHO).map_or(text, |(end, _)| &text[..end])
}

fn refusal(protocol: Protocol, found: &[Violation]) -> ApiError {
    let first = &found[0];
    match protocol {
        Protocol::Json(_) => ApiError::new("ValidationException", sentence(found)),
        Protocol::Query => ApiError::new("ValidationError", sentence(found)),
        Protocol::RestJson => ApiError::new("BadRequestException", sentence(found)),
        Protocol::Ec2 if first.missing => {
            let message = format!("The request must contain the parameter {}", ec2_name(&first.path));
            ApiError::new("MissingParameter", message)
        }
        Protocol::Ec2 => {
            let (name, value) = (ec2_name(&first.path), first.value.as_deref().unwrap_or("'…'").trim_matches('\''));
            let message = format!("Value ({value}) for parameter {name} is invalid. {}.", first.constraint);
            ApiError::new("InvalidParameterValue", message)
        }
    }
}

fn sentence(found: &[Violation]) -> String {
    let reported = &found[..found.len().min(MAX_REPORTED)];
    let one = |violation: &Violation| {
        let value = violation.value.as_ref().map_or_else(String::new, |value| format!(" {value}"));
        format!("Value{value} at '{}' failed to satisfy constraint: {}", violation.path, violation.constraint)
    };
    let all: Vec<String> = reported.iter().map(one).collect();
    let plural = if reported.len() == 1 { "" } else { "s" };
    format!("{} validation error{plural} detected: {}", reported.len(), all.join("; "))
}

/// EC2 names a parameter as a form would: `TagSpecification.1.ResourceType`; here by the members of the model.
fn ec2_name(path: &str) -> String {
    let parts = path.split('.').filter(|part| *part != "member").map(|part| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    parts.collect::<Vec<String>>().join(".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::catalogue;

    fn refuse(service: &str, operation: &str, input: &Value) -> (String, String) {
        let model = catalogue::service(service).unwrap().1;
        let error = validate(model, model.operation(operation).unwrap(), input).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn one_error_in_the_words_of_kinesis() {
        let refused = refuse("kinesis", "CreateStream", &json!({"StreamName": "a b", "ShardCount": 1}));
        let message = "1 validation error detected: Value 'a b' at 'streamName' failed to satisfy constraint: \
            Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
        assert_eq!(refused, ("ValidationException".to_owned(), message.to_owned()));
    }

    #[test]
    fn several_errors_are_counted() {
        let input = json!({"StreamName": "", "ShardIteratorType": "NEWEST"});
        let message = "4 validation errors detected: \
            Value null at 'shardId' failed to satisfy constraint: Member must not be null; \
            Value 'NEWEST' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: \
            [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]; \
            Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1; \
            Value '' at 'streamName' failed to satisfy constraint: \
            Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
        assert_eq!(refuse("kinesis", "GetShardIterator", &input).1, message);
    }

    #[test]
    fn places_inside_of_lists_and_maps() {
        let records = json!({"StreamName": "s", "Records": [{"Data": "", "PartitionKey": "k"}, {"PartitionKey": "k"}]});
        let message = "1 validation error detected: Value null at 'records.2.member.data' failed to satisfy \
            constraint: Member must not be null";
        assert_eq!(refuse("kinesis", "PutRecords", &records).1, message);

        let tags = json!({"StreamName": "s", "Tags": {"": "v"}});
        let message = "1 validation error detected: Value '{=v}' at 'tags' failed to satisfy constraint: \
            Map keys must satisfy constraint: [Member must have length less than or equal to 128, \
            Member must have length greater than or equal to 1]";
        assert_eq!(refuse("kinesis", "AddTagsToStream", &tags).1, message);

        let keys = json!({"StreamName": "s", "TagKeys": []});
        let message = "1 validation error detected: Value '[]' at 'tagKeys' failed to satisfy constraint: \
            Member must have length greater than or equal to 1";
        assert_eq!(refuse("kinesis", "RemoveTagsFromStream", &keys).1, message);
    }

    #[test]
    fn ranges_blobs_and_lengths_in_java_characters() {
        let input = json!({"ShardIterator": "i", "Limit": 10001});
        assert!(
            refuse("kinesis", "GetRecords", &input).1.ends_with("Member must have value less than or equal to 10000")
        );

        let record = json!({"StreamName": "s", "PartitionKey": "😀".repeat(129), "Data": ""});
        assert!(refuse("kinesis", "PutRecord", &record).1.ends_with("length less than or equal to 256"));

        let record = json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA".repeat(3_495_254)});
        let message = "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=10485762 cap=10485762]' at \
            'data' failed to satisfy constraint: Member must have length less than or equal to 10485760";
        assert_eq!(refuse("kinesis", "PutRecord", &record).1, message);
    }

    #[test]
    fn each_protocol_has_its_code() {
        assert_eq!(refuse("iam", "CreateRole", &json!({"RoleName": "r"})).0, "ValidationError");
        assert_eq!(refuse("kafka", "CreateCluster", &json!({})).0, "BadRequestException");
        let missing = refuse("ec2", "CreateSecurityGroup", &json!({"GroupName": "g"}));
        let message = "The request must contain the parameter Description";
        assert_eq!(missing, ("MissingParameter".to_owned(), message.to_owned()));
        let wrong = refuse("ec2", "DescribeInstanceTypes", &json!({"MaxResults": 1}));
        assert_eq!(wrong.0, "InvalidParameterValue");
    }
}
