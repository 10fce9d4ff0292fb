//! Lists in pages: `NextToken` names where the next one starts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::invalid;
use crate::wire::error::ApiError;

/// What AWS answers where `MaxResults` is not given; the most is 100 (API model).
const MOST: u64 = 100;

/// The page of `items` that `input` asks for, under `member`. Items come in the order of their keys, which do not repeat:
/// the token is the last key of the page before, so that a page neither repeats nor skips while others delete.
pub(super) fn page(items: Vec<(String, Value)>, input: &Value, member: &str) -> Result<Value, ApiError> {
    let most = input["MaxResults"].as_u64().unwrap_or(MOST).min(MOST);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let after = match input["NextToken"].as_str() {
        None | Some("") => None,
        Some(token) => Some(read(token)?),
    };
    let mut rest = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).peekable();
    let mut shown = Vec::new();
    let mut last = String::new();
    for (key, item) in rest.by_ref().take(most) {
        last = key;
        shown.push(item);
    }
    let mut answer = json!({ member: shown });
    if rest.peek().is_some() {
        answer["NextToken"] = json!(URL_SAFE_NO_PAD.encode(last));
    }
    Ok(answer)
}

fn read(token: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| invalid("nextToken", "The pagination token is not valid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_and_the_last_has_no_token() {
        let items = || ["a", "b", "c"].map(|key| (key.to_owned(), json!(key))).to_vec();
        let first = page(items(), &json!({"MaxResults": 2}), "L").unwrap();
        assert_eq!(first["L"], json!(["a", "b"]));
        let second = page(items(), &json!({"MaxResults": 2, "NextToken": first["NextToken"]}), "L").unwrap();
        assert_eq!(second, json!({"L": ["c"]}));
        assert_eq!(page(items(), &json!({"NextToken": "?"}), "L").unwrap_err().code, "BadRequestException");
    }
}
