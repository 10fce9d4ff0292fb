//! Listings in pages: `MaxItems` and `Marker` in, `IsTruncated` and `Marker` out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors;
use crate::services::pages;
use crate::wire::error::ApiError;

/// What AWS answers where no `MaxItems` is given (API reference, each `List…` operation).
const PAGE: usize = 100;

/// One page of `items`, which are sorted by their keys, as the member `name` of an answer. A marker is the last key of
/// the page before.
pub(super) fn page(items: Vec<(String, Value)>, input: &Value, name: &str) -> Result<Value, ApiError> {
    let after = match input["Marker"].as_str() {
        None => None,
        Some(marker) => {
            let key = STANDARD.decode(marker).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(key.ok_or_else(|| errors::validation("Invalid Marker."))?)
        }
    };
    let size = input["MaxItems"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(PAGE);
    let page = pages::page(items, after.as_deref(), size);
    let mut answer = json!({"IsTruncated": page.next.is_some()});
    if let Some(last) = page.next {
        answer["Marker"] = json!(STANDARD.encode(last));
    }
    answer[name] = Value::Array(page.items);
    Ok(answer)
}
