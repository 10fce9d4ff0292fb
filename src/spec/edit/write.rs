//! Values as text that YAML reads as these values.

use super::Scalar;
use crate::spec::node::{self, Data};
use crate::spec::source::Source;

/// A value as most people would write it.
pub(super) fn as_written(value: &Scalar) -> String {
    match value {
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Whole(number) => number.to_string(),
        Scalar::Text(text) => {
            let text = escaped_variables(text);
            if is_plain(&text) { text } else { double_quoted(&text) }
        }
    }
}

/// Whether text without quotes is read as that text, in braces too.
pub(super) fn is_plain(text: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '*');
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(harmless) {
        return false;
    }
    let read = node::parse(&Source::new("", text)).ok().flatten();
    read.is_some_and(|node| matches!(node.data, Data::Text(read) if read == text))
}

/// In double quotes, JSON's escapes mean the same (YAML 1.2 §5.7).
pub(super) fn double_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// In single quotes there are no escapes but the quote itself; what cannot be written so is written in double ones.
pub(super) fn single_quoted(text: &str) -> String {
    if text.chars().any(char::is_control) { double_quoted(text) } else { format!("'{}'", text.replace('\'', "''")) }
}

/// `${` is written `$${` where it starts no variable.
pub(super) fn escaped_variables(text: &str) -> String {
    text.replace("${", "$${")
}
