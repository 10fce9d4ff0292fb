//! Patch operations: `replace /name`, `add /variables/x`, `remove /binaryMediaTypes/image~1png`.
//!
//! Paths are JSON pointers (`~1` for a slash, `~0` for a tilde); values are always text ("Patch operations", API Gateway
//! developer guide). What may be patched is a table for each kind of object.

use serde_json::{Map, Value, json};

use super::errors::bad_request;
use crate::wire::error::ApiError;

/// What stands at a path.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Text,
    Flag,
    Whole,
    Number,
    /// The last segment of the path is an element of the list above it.
    Element,
}

/// A path with `*` for any segment, what stands there, and what may be done with it.
pub(super) type Rule = (&'static str, Slot, &'static [&'static str]);

/// For fields that are always there.
pub(super) const REPLACE: &[&str] = &["replace"];
/// For entries of maps and lists.
pub(super) const ANY: &[&str] = &["add", "remove", "replace"];

/// Applies all operations to `object`, which the caller drops when one is refused.
pub(super) fn apply(object: &mut Value, operations: &Value, rules: &[Rule]) -> Result<(), ApiError> {
    for operation in operations.as_array().into_iter().flatten() {
        let operation = Operation::read(operation)?;
        apply_one(object, &operation, rules)?;
    }
    Ok(())
}

/// One operation, its path split and unescaped.
pub(super) struct Operation<'a> {
    pub(super) op: &'a str,
    pub(super) path: &'a str,
    pub(super) segments: Vec<String>,
    pub(super) value: Option<&'a str>,
}

impl<'a> Operation<'a> {
    pub(super) fn read(operation: &'a Value) -> Result<Operation<'a>, ApiError> {
        let op = operation["op"].as_str().unwrap_or_default();
        if !ANY.contains(&op) {
            return Err(bad_request(format!(
                "Invalid patch operation specified. Must be one of: [add, remove, replace], and it is '{op}'"
            )));
        }
        let path = operation["path"].as_str().unwrap_or_default();
        let Some(pointer) = path.strip_prefix('/') else {
            return Err(bad_request(format!(
                "Invalid patch path '{path}' specified for op '{op}'. It must begin with /"
            )));
        };
        let segments = pointer.split('/').map(unescape).collect();
        Ok(Operation { op, path, segments, value: operation["value"].as_str() })
    }

    /// The value, which `add` and `replace` must have.
    pub(super) fn text(&self) -> Result<&'a str, ApiError> {
        self.value.ok_or_else(|| bad_request(format!("Invalid null value for patch path {}", self.path)))
    }

    /// The refusal of a path that cannot be patched so.
    pub(super) fn unknown(&self, rules: &[Rule]) -> ApiError {
        let fitting = rules.iter().filter(|(_, _, ops)| ops.contains(&self.op));
        let paths: Vec<&str> = fitting.map(|(path, ..)| *path).collect();
        bad_request(format!(
            "Invalid patch path  '{}' specified for op '{}'. Must be one of: [{}]",
            self.path,
            self.op,
            paths.join(", ")
        ))
    }
}

pub(super) fn apply_one(object: &mut Value, operation: &Operation<'_>, rules: &[Rule]) -> Result<(), ApiError> {
    let rule = rules.iter().find(|(path, _, ops)| fits(path, &operation.segments) && ops.contains(&operation.op));
    let Some((_, slot, _)) = rule else { return Err(operation.unknown(rules)) };
    let Some((last, above)) = operation.segments.split_last() else { return Err(operation.unknown(rules)) };
    if let Slot::Element = slot {
        return change_element(list_at(object, above), last, operation);
    }
    let parent = object_at(object, above);
    let value = match (operation.op, slot, operation.value) {
        ("remove", ..) => None,
        // An optional text is taken away by an empty one; an entry of a map stays, as an empty template does.
        (_, Slot::Text, None | Some("")) if above.is_empty() => None,
        (_, Slot::Text, value) => Some(json!(value.unwrap_or_default())),
        (_, slot, _) => Some(read(operation.text()?, *slot, operation.path)?),
    };
    match value {
        Some(value) => drop(parent.insert(last.clone(), value)),
        None => drop(parent.shift_remove(last)),
    }
    Ok(())
}

fn read(text: &str, slot: Slot, path: &str) -> Result<Value, ApiError> {
    let read = match slot {
        Slot::Flag => text.to_ascii_lowercase().parse::<bool>().ok().map(Value::from),
        Slot::Whole => text.parse::<i64>().ok().map(Value::from),
        Slot::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Slot::Text | Slot::Element => Some(json!(text)),
    };
    read.ok_or_else(|| bad_request(format!("Invalid value '{text}' specified for path {path}")))
}

/// `replace` puts the value in the place of the element that the path names, as in `/endpointConfiguration/types/EDGE`.
fn change_element(list: &mut Vec<Value>, element: &str, operation: &Operation<'_>) -> Result<(), ApiError> {
    let place = list.iter().position(|there| there == element);
    match (operation.op, place) {
        ("remove", Some(place)) => drop(list.remove(place)),
        ("add", None) => list.push(json!(element)),
        ("replace", Some(place)) => list[place] = json!(operation.text()?),
        ("replace", None) => {
            return Err(bad_request(format!("Invalid patch path {}: no such element", operation.path)));
        }
        _ => {}
    }
    Ok(())
}

fn fits(pattern: &str, segments: &[String]) -> bool {
    let mut given = segments.iter();
    let fit = pattern
        .trim_start_matches('/')
        .split('/')
        .all(|wanted| given.next().is_some_and(|segment| wanted == segment || (wanted == "*" && !segment.is_empty())));
    fit && given.next().is_none()
}

/// The object at the end of these keys; what is not there is made.
fn object_at<'v>(value: &'v mut Value, keys: &[String]) -> &'v mut Map<String, Value> {
    let mut at = value;
    for key in keys {
        at = as_object(at).entry(key.clone()).or_insert_with(|| json!({}));
    }
    as_object(at)
}

fn list_at<'v>(value: &'v mut Value, keys: &[String]) -> &'v mut Vec<Value> {
    let Some((last, above)) = keys.split_last() else { return as_list(value) };
    as_list(object_at(value, above).entry(last.clone()).or_insert_with(|| json!([])))
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was just made an object")
}

fn as_list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was just made a list")
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Rule] = &[
        ("/name", Slot::Text, REPLACE),
        ("/on", Slot::Flag, REPLACE),
        ("/throttle/rateLimit", Slot::Number, ANY),
        ("/templates/*", Slot::Text, ANY),
        ("/types/*", Slot::Element, ANY),
    ];

    fn patched(object: Value, operations: &Value) -> Result<Value, ApiError> {
        let mut object = object;
        apply(&mut object, operations, RULES)?;
        Ok(object)
    }

    #[test]
    fn values_are_text_and_paths_are_escaped() {
        let operations = json!([
            {"op": "replace", "path": "/on", "value": "true"},
            {"op": "add", "path": "/templates/application~1json", "value": "{}"},
            {"op": "add", "path": "/types/image~1png"},
            {"op": "replace", "path": "/throttle/rateLimit", "value": "2.5"},
        ]);
        let expected = json!({"on": true, "templates": {"application/json": "{}"}, "types": ["image/png"],
            "throttle": {"rateLimit": 2.5}});
        assert_eq!(patched(json!({"on": false}), &operations).unwrap(), expected);
    }

    #[test]
    fn elements_of_lists_are_replaced_and_removed() {
        let replaced = json!([{"op": "replace", "path": "/types/EDGE", "value": "REGIONAL"}]);
        assert_eq!(patched(json!({"types": ["EDGE"]}), &replaced).unwrap(), json!({"types": ["REGIONAL"]}));
        let removed = json!([{"op": "remove", "path": "/types/a~1b"}]);
        assert_eq!(patched(json!({"types": ["a/b", "c"]}), &removed).unwrap(), json!({"types": ["c"]}));
    }

    #[test]
    fn what_cannot_be_patched_is_refused_with_what_can() {
        let error = patched(json!({}), &json!([{"op": "remove", "path": "/name"}])).unwrap_err();
        assert!(error.message.contains("Must be one of: [/throttle/rateLimit, /templates/*, /types/*]"), "{error}");
        for operation in [
            json!({"op": "replace", "path": "/on", "value": "maybe"}),
            json!({"op": "replace", "path": "/throttle/rateLimit", "value": "NaN"}),
            json!({"op": "move", "path": "/name", "from": "/on"}),
            json!({"op": "replace", "path": "name", "value": "x"}),
        ] {
            assert_eq!(patched(json!({}), &json!([operation])).unwrap_err().code, "BadRequestException");
        }
    }
}
