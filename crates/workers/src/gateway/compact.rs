//! JSON text without the whitespace that means nothing. The rest is left as it came, byte by byte: the order of keys, the
//! spelling of numbers, escapes.

use std::borrow::Cow;

/// `json` without whitespace outside of strings. It has to be valid JSON.
pub(super) fn compact(json: &str) -> Cow<'_, [u8]> {
    let bytes = json.as_bytes();
    let Some(first) = next_blank(bytes, 0) else { return Cow::Borrowed(bytes) };
    let mut kept = Vec::with_capacity(bytes.len());
    let (mut from, mut blank) = (0, Some(first));
    while let Some(at) = blank {
        kept.extend_from_slice(&bytes[from..at]);
        from = at + bytes[at..].iter().take_while(|byte| is_blank(**byte)).count();
        blank = next_blank(bytes, from);
    }
    kept.extend_from_slice(&bytes[from..]);
    Cow::Owned(kept)
}

/// The next whitespace outside of a string, from a place that is outside of one.
fn next_blank(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at + 1),
            _ if is_blank(byte) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The place after the closing quote of a string whose text begins at `at`.
fn after_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_means_something_stays() {
        let text = "{ \"b\" : 1.50e+3 ,\n\t\"a b\":\"x \\\" y\\\\\" , \"é\\u00e9\": [ ] }\r\n";
        let tight = "{\"b\":1.50e+3,\"a b\":\"x \\\" y\\\\\",\"é\\u00e9\":[]}";
        assert_eq!(compact(text).into_owned(), tight.as_bytes());
        assert!(matches!(compact(r#"{"a b":[1,2]}"#), Cow::Borrowed(_)));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ \\\\\"\\n\\ta-zé]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[ \"a-z\\\\]{0,6}", inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_spacing_becomes_none(value in any_json()) {
            let tight = serde_json::to_string(&value).unwrap();
            let spaced = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&spaced).into_owned(), tight.as_bytes());
            prop_assert_eq!(compact(&tight).into_owned(), tight.as_bytes());
        }
    }
}
