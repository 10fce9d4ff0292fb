//! Lists in pages: `position` names where the next one starts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::bad_request;
use crate::services::pages;
use crate::wire::error::ApiError;

/// "The maximum number of returned results per page. The default value is 25 and the maximum value is 500." (API
/// reference)
const DEFAULT: u64 = 25;
const MOST: u64 = 500;

/// The page of `items` that `input` asks for, which come in the order of their keys. The position is the last key of the page
/// before.
pub(super) fn page(items: Vec<(String, Value)>, input: &Value) -> Result<Value, ApiError> {
    let limit = input["limit"].as_u64().filter(|limit| *limit > 0).unwrap_or(DEFAULT).min(MOST);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = match input["position"].as_str() {
        None | Some("") => None,
        Some(position) => Some(read(position)?),
    };
    let page = pages::page(items, after.as_deref(), limit);
    let mut answer = json!({"items": page.items});
    if let Some(last) = page.next {
        answer["position"] = json!(URL_SAFE_NO_PAD.encode(last));
    }
    Ok(answer)
}

fn read(position: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(position).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| bad_request("Invalid position parameter specified"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_and_the_last_has_no_position() {
        let items = || ["a", "b", "c"].map(|key| (key.to_owned(), json!(key))).to_vec();
        let first = page(items(), &json!({"limit": 2})).unwrap();
        assert_eq!(first["items"], json!(["a", "b"]));
        let second = page(items(), &json!({"limit": 2, "position": first["position"]})).unwrap();
        assert_eq!(second, json!({"items": ["c"]}));
        assert_eq!(page(items(), &json!({"position": "?"})).unwrap_err().code, "BadRequestException");
    }
}
