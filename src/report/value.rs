//! Values for people: on one line, without control characters, with references in words, and cut where there is no room.

use pinfra_engine::value::{as_reference, is_hash, is_joined};
use serde_json::Value;

/// Stands in the place of what was cut.
const CUT: char = '…';

/// What stays of the text that two long values begin with, so that it can be seen where they differ.
const CONTEXT: usize = 12;

/// A value on one line. Text is in quotes, with everything escaped that would not show or would move the cursor.
pub fn inline(value: &Value) -> String {
    if let Some(reference) = as_reference(value) {
        return format!("<{} of {}>", reference.output, reference.address);
    }
    if is_hash(value) {
        return "(secret)".to_owned();
    }
    if is_joined(value) {
        return joined(value);
    }
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            // A field without a value says no more than one that is not there.
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<String> = fields.map(|(key, value)| format!("{key:?}: {}", inline(value))).collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        plain => plain.to_string(),
    }
}

/// A text with references in it: `"<topics_arn of msk/cluster.cluster>/pins.pin"`.
fn joined(value: &Value) -> String {
    let parts = value.as_object().and_then(|map| map.values().next()).and_then(Value::as_array);
    let text: String = parts
        .into_iter()
        .flatten()
        .map(|part| part.as_str().map_or_else(|| inline(part), |text| text.escape_debug().to_string()))
        .collect();
    format!("\"{text}\"")
}

/// A text without what would not show or would move the cursor.
pub fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() || is_invisible(c) { '·' } else { c };
    text.chars().map(shown).collect()
}

/// Marks that turn the direction of what follows, or have no width: one line could look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text, or its beginning where it is longer than `room` columns.
pub fn cut(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) if text.chars().count() > room => text.chars().take(room.saturating_sub(1)).chain([CUT]).collect(),
        _ => text.to_owned(),
    }
}

/// Two texts side by side, cut to share `room` columns. Where they begin alike, that goes first: what differs is what people
/// look for.
pub fn pair(before: &str, after: &str, room: Option<usize>) -> (String, String) {
    let (before_len, after_len) = (before.chars().count(), after.chars().count());
    let Some(room) = room.filter(|room| before_len + after_len > *room) else {
        return (before.to_owned(), after.to_owned());
    };
    let half = room / 2;
    let alike = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let context = CONTEXT.min(half.saturating_sub(3));
    let skipped = if alike > context + 1 { alike - context } else { 0 };
    let rest = |text: &str| match skipped {
        0 => text.to_owned(),
        _ => [CUT].into_iter().chain(text.chars().skip(skipped)).collect(),
    };
    let (before, after) = (rest(before), rest(after));
    let (before_len, after_len) = (before.chars().count(), after.chars().count());
    // What one does not need, the other may have.
    let of_before = if after_len < half { room - after_len } else { half };
    let of_after = if before_len < half { room - before_len } else { room - half };
    (cut(&before, Some(of_before)), cut(&after, Some(of_after)))
}

/// Two texts one below the other, each within `room` columns, and cut so that it is seen where they differ.
pub fn stacked(before: &str, after: &str, room: Option<usize>) -> (String, String) {
    let (before, after) = pair(before, after, room.map(|room| 2 * room));
    (cut(&before, room), cut(&after, room))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn references_and_joined_texts_are_told_in_words() {
        let value = json!({
            "arn": {"$ref": "msk/cluster.cluster#arn"},
            "topics": [{"$join": [{"$ref": "msk/cluster.cluster#topics_arn"}, "/pins.pin"]}],
            "key": {"$secret": "00ff", "$empty": ""},
        });
        assert_eq!(
            inline(&value),
            r#"{ "arn": <arn of msk/cluster.cluster>, "topics": ["<topics_arn of msk/cluster.cluster>/pins.pin"], "key": (secret) }"#
        );
    }

    #[test]
    fn nothing_of_a_value_moves_the_cursor() {
        let shown = inline(&json!({"a\n": "\u{1b}[2J\u{202e}x"}));
        assert!(shown.chars().all(|c| !c.is_control() && !is_invisible(c)), "{shown}");
        assert_eq!(plain("a\u{1b}[31m\u{200b}b"), "a·[31m·b");
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let (before, after) = (format!("{}old", "x".repeat(200)), format!("{}new", "x".repeat(200)));
        let (before, after) = pair(&before, &after, Some(60));
        assert_eq!((before.as_str(), after.as_str()), ("…xxxxxxxxxxxxold", "…xxxxxxxxxxxxnew"));
        assert_eq!(pair("1", "2", Some(24)), ("1".to_owned(), "2".to_owned()));
    }

    #[test]
    fn what_stands_below_another_never_takes_its_room() {
        let (before, after) = stacked(&"x".repeat(100), "(none)", Some(40));
        assert_eq!((before.chars().count(), after.as_str()), (40, "(none)"));
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(before in ".{0,300}", after in ".{0,300}", room in 24usize..200) {
            let (a, b) = pair(&before, &after, Some(room));
            prop_assert!(a.chars().count() + b.chars().count() <= room);
            prop_assert!(cut(&before, Some(room)).chars().count() <= room);
            // Cut or not, what differs is still seen to differ, unless one is the beginning of the other.
            if before.chars().zip(after.chars()).any(|(x, y)| x != y) {
                prop_assert_ne!(a, b);
            }
        }
    }
}
