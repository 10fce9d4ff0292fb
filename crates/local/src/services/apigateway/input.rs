//! Picking from a request that the model has already checked.

use serde_json::{Map, Value};

/// A text, empty when it is not there.
pub(super) fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input[member].as_str().unwrap_or_default()
}

/// Whether a flag is set; absent is not.
pub(super) fn flag(input: &Value, member: &str) -> bool {
    input[member].as_bool().unwrap_or(false)
}

/// These members of `input`, as far as they are there.
pub(super) fn picked(input: &Value, members: &[&str]) -> Map<String, Value> {
    let there = members.iter().filter(|member| !input[**member].is_null());
    there.map(|member| ((*member).to_owned(), input[*member].clone())).collect()
}

/// Whether a list of texts has this one.
pub(super) fn lists(input: &Value, member: &str, text: &str) -> bool {
    input[member].as_array().is_some_and(|list| list.iter().any(|item| item == text))
}
