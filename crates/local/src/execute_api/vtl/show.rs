//! Values as text, as Java's `toString` shows them. A map is `{index=7528, title=…}`, which is no JSON: who writes
//! `$input.path('$.data')` where `$input.json('$.data')` is meant gets exactly this, here as on AWS.

use super::RenderError;
use super::heap::{Heap, MAX_DEPTH, Value};

/// Integration payloads end at 10 MB ("Quotas", API Gateway developer guide). Base64 and envelopes are counted in.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// Refuses to go on with a text that has become too long.
pub(super) fn check_output(out: &str) -> Result<(), RenderError> {
    if out.len() > MAX_OUTPUT {
        return Err(RenderError::Template(format!("the template makes a text of more than {MAX_OUTPUT} bytes")));
    }
    Ok(())
}

/// Appends a value.
pub(super) fn show(value: &Value, heap: &Heap, out: &mut String) -> Result<(), RenderError> {
    show_nested(value, heap, out, 0)
}

fn show_nested(value: &Value, heap: &Heap, out: &mut String, depth: usize) -> Result<(), RenderError> {
    check_output(out)?;
    if depth > MAX_DEPTH {
        return Err(RenderError::Template(format!("a value is nested deeper than {MAX_DEPTH} levels")));
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(text) | Value::Text(text) => out.push_str(text),
        Value::Input => out.push_str("$input"),
        Value::Util => out.push_str("$util"),
        Value::Entry(entry) => {
            out.push_str(&entry.0);
            out.push('=');
            show_nested(&entry.1, heap, out, depth + 1)?;
        }
        Value::List(list) => {
            out.push('[');
            for (at, item) in heap.items(*list).iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                show_nested(item, heap, out, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) | Value::Lenient(map) => {
            out.push('{');
            for (at, (key, item)) in heap.entries(*map).items().iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                out.push_str(key);
                out.push('=');
                show_nested(item, heap, out, depth + 1)?;
            }
            out.push('}');
        }
    }
    Ok(())
}
