//! Lists in pages: the token is the key of the last item before.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::invalid;
use crate::wire::error::ApiError;

/// "The maximum number … to list in one response" is 100; without it the service decides.
const MOST: u64 = 100;

/// The page that `input` asks for, under the name `member`. Items come in the order of their keys, which do not repeat.
pub(super) fn page(items: Vec<(String, Value)>, input: &Value, member: &str) -> Result<Value, ApiError> {
    let limit = usize::try_from(input["maxResults"].as_u64().unwrap_or(MOST).min(MOST)).unwrap_or(usize::MAX);
    let after = match input["nextToken"].as_str().filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(key.ok_or_else(|| invalid("nextToken", "The specified token is not valid."))?)
        }
    };
    let mut rest = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).peekable();
    let mut shown = Vec::new();
    let mut last = String::new();
    for (key, item) in rest.by_ref().take(limit) {
        last = key;
        shown.push(item);
    }
    let mut answer = json!({member: shown});
    if rest.peek().is_some() {
        answer["nextToken"] = json!(URL_SAFE_NO_PAD.encode(last));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let items = || ["a", "b", "c"].map(|key| (key.to_owned(), json!(key))).to_vec();
        let first = page(items(), &json!({"maxResults": 2}), "found").unwrap();
        assert_eq!(first["found"], json!(["a", "b"]));
        let second = page(items(), &json!({"maxResults": 2, "nextToken": first["nextToken"]}), "found").unwrap();
        assert_eq!(second, json!({"found": ["c"]}));
        assert_eq!(page(items(), &json!({"nextToken": "?"}), "found").unwrap_err().code, "BadRequestException");
    }
}
