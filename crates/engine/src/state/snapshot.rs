//! The snapshot as text: JSON for people to read, with a checksum that says whether anybody but pinfra wrote in it.
//!
//! The checksum is over what the text says and not how: the compact JSON of all fields but itself, with every object's keys
//! in order. So a formatter may pass over the file, and a changed value is found.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{FORMAT, State};

const CHECKSUM: &str = "checksum";
/// Before this format there was no checksum.
const WITH_CHECKSUM: u64 = 2;

/// A text that is not a stack's snapshot, or not one to act on.
#[derive(Debug, thiserror::Error)]
pub enum BadSnapshot {
    /// Its end is missing.
    #[error("it ends in the middle, after {bytes} bytes: it was cut off")]
    Truncated {
        /// How much is there.
        bytes: usize,
    },
    /// It is not JSON, or not that of a state.
    #[error("it is not a state file")]
    Text(#[source] serde_json::Error),
    /// Somebody edited it.
    #[error(
        "its checksum does not hold: something other than pinfra has changed it, and in which field cannot be known"
    )]
    Edited,
    /// A newer program wrote it.
    #[error("it has format {found}, and this version of pinfra reads up to {FORMAT}: use a newer pinfra")]
    Newer {
        /// Its format.
        found: u64,
    },
    /// It was copied from another stack's folder.
    #[error("it is the state of the stack `{found}`, not of `{expected}`")]
    OtherStack {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

/// The text of `state`'s snapshot.
pub fn snapshot_of(state: &State) -> String {
    // State is made of maps with text keys and finite numbers.
    let text = serde_json::to_string(state).expect("state can be written as JSON");
    let written = serde_json::to_value(state).expect("state can be written as JSON");
    let fields: Map<String, Value> = serde_json::from_value(written).expect("a struct is written as an object");
    // Reading may round a number by its last bit, so the checksum is over the numbers as readers will find them.
    let read: Map<String, Value> = serde_json::from_str(&text).expect("a struct is written as an object");
    let checksum = checksum(&read);
    let mut sealed = Map::new();
    for (name, value) in fields {
        let is_format = name == "format";
        sealed.insert(name, value);
        if is_format {
            sealed.insert(CHECKSUM.to_owned(), Value::String(checksum.clone()));
        }
    }
    let mut text = serde_json::to_string_pretty(&sealed).expect("state can be written as JSON");
    text.push('\n');
    text
}

/// The state of a snapshot of this or an earlier format.
pub fn read_snapshot(text: &[u8]) -> Result<State, BadSnapshot> {
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        if error.is_eof() { BadSnapshot::Truncated { bytes: text.len() } } else { BadSnapshot::Text(error) }
    })?;
    let Value::Object(mut fields) = value else {
        return serde_json::from_value(value).map_err(BadSnapshot::Text);
    };
    let format = fields.get("format").and_then(Value::as_u64).unwrap_or(0);
    if format > u64::from(FORMAT) {
        return Err(BadSnapshot::Newer { found: format });
    }
    if format >= WITH_CHECKSUM {
        let expected = fields.shift_remove(CHECKSUM);
        if expected.is_none_or(|expected| expected != checksum(&fields).as_str()) {
            return Err(BadSnapshot::Edited);
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(BadSnapshot::Text)
}

fn checksum(fields: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(fields, &mut text);
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => write_object(fields, text),
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                write(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn write_object(fields: &Map<String, Value>, text: &mut String) {
    let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    text.push('{');
    for (place, (name, value)) in fields.into_iter().enumerate() {
        text.push_str(if place == 0 { "" } else { "," });
        text.push_str(&Value::String(name.clone()).to_string());
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Address;
    use crate::state::{Record, Status};

    fn state(inputs: Value) -> State {
        let mut state = State::new("s", "l");
        let record =
            Record { status: Status::Settled, id: None, inputs, outputs: Value::Null, needs: vec![], made_by: None };
        state.resources.insert(Address::new("test/thing", "a"), record);
        state
    }

    fn a_value(number: impl Strategy<Value = f64> + 'static) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            number.prop_map(Value::from),
            "[ -~äß🙂\n\"]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(inputs in a_value(any::<f64>())) {
            let read = read_snapshot(snapshot_of(&state(inputs)).as_bytes()).unwrap();
            read_snapshot(snapshot_of(&read).as_bytes()).unwrap();
        }

        #[test]
        fn it_may_be_laid_out_otherwise(inputs in a_value(any::<i32>().prop_map(|eighths| f64::from(eighths) / 8.0))) {
            let state = state(inputs);
            let text = snapshot_of(&state);
            prop_assert_eq!(&read_snapshot(text.as_bytes()).unwrap(), &state);
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read_snapshot(value.to_string().as_bytes()).unwrap(), &state);
            prop_assert_eq!(&read_snapshot(text.replace('\n', "\r\n").as_bytes()).unwrap(), &state);
        }

        #[test]
        fn a_snapshot_that_was_cut_off_is_named(inputs in a_value(any::<f64>()), at in any::<prop::sample::Index>()) {
            let text = snapshot_of(&state(inputs));
            let cut = &text.as_bytes()[..at.index(text.trim_end().len())];
            let error = read_snapshot(cut).unwrap_err();
            prop_assert!(matches!(error, BadSnapshot::Truncated { .. } | BadSnapshot::Text(_)), "{}", error);
        }
    }

    #[test]
    fn a_changed_value_is_seen() {
        let text = snapshot_of(&state(json!({"shards": 1, "name": "pins"})));
        let edits = [
            ("\"shards\": 1", "\"shards\": 2"),
            ("pins", "pinz"),
            ("\"s\"", "\"t\""),
            ("\"serial\": 0", "\"serial\": 1"),
        ];
        for (from, to) in edits {
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text);
            assert!(matches!(read_snapshot(edited.as_bytes()), Err(BadSnapshot::Edited)), "{from}");
        }
        let without: String = text.lines().filter(|line| !line.contains(CHECKSUM)).collect();
        assert!(matches!(read_snapshot(without.as_bytes()), Err(BadSnapshot::Edited)));
    }

    #[test]
    fn a_newer_snapshot_is_named() {
        let error = read_snapshot(br#"{"format": 99, "whatever": 1}"#).unwrap_err();
        assert!(matches!(error, BadSnapshot::Newer { found: 99 }), "{error}");
        for text in ["[]", "{}", "7"] {
            assert!(matches!(read_snapshot(text.as_bytes()), Err(BadSnapshot::Text(_))), "{text}");
        }
    }
}
