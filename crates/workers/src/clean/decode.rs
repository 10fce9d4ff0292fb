//! A record's bytes to the fields of its JSON object as text, tolerant of how they were wrapped on the way.
//!
//! A record is, in this order: a JSON object; a JSON string that holds one (a producer serialised twice); base64 of one,
//! with or without quotes (a producer encoded what API Gateway encodes again). Whatever else it is, there is a reason that
//! a person understands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::PROBE_FIELD;

/// How deep JSON may be nested: nothing that people write comes near, and readers down the line stop here too.
const DEEPEST: usize = 128;

/// How many times a record may be wrapped. Twice is seen; more is somebody playing.
const LAYERS: usize = 4;

/// How much of a record's text a reason shows.
const SHOWN: usize = 60;

/// Base64 with or without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads the fields of one table's records.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    fields: Arc<[String]>,
    /// The column of each field, and that of the probe's id after them.
    columns: Arc<HashMap<String, usize>>,
}

/// A record that is a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The text of each field; `None` where it is missing, null, an object or an array.
    pub(super) values: Vec<Option<String>>,
    /// The probe's id, when it is one.
    pub(super) probe: Option<String>,
}

impl Decoder {
    pub(super) fn new(fields: Vec<String>) -> Decoder {
        let names = fields.iter().map(String::as_str).chain([PROBE_FIELD]);
        let columns = names.enumerate().map(|(column, name)| (name.to_owned(), column)).collect();
        Decoder { fields: fields.into(), columns: Arc::new(columns) }
    }

    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The fields of a record, or why it has none.
    pub(super) fn decode(&self, record: &[u8]) -> Result<Decoded, String> {
        let mut bytes = Cow::Borrowed(record);
        let mut wrapped = String::new();
        for _ in 0..LAYERS {
            let text = text(&bytes).map_err(|reason| wrapped.clone() + &reason)?;
            if text.trim_start().starts_with('{') {
                return self.object(text).map_err(|reason| wrapped + &reason);
            }
            let (inner, how) = unwrap(text).map_err(|reason| wrapped.clone() + &reason)?;
            wrapped.push_str(how);
            bytes = Cow::Owned(inner);
        }
        Err(format!("wrapped more than {LAYERS} times in strings or base64"))
    }

    fn object(&self, text: &str) -> Result<Decoded, String> {
        if let Some(at) = deeper_than(text, DEEPEST) {
            return Err(format!("nested deeper than {DEEPEST} levels at byte {at}"));
        }
        let mut raw: Vec<Option<&RawValue>> = vec![None; self.fields.len() + 1];
        let mut json = serde_json::Deserializer::from_str(text);
        let read = Object { columns: &self.columns, raw: &mut raw }.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| not_json(text, &error))?;
        let probe = match raw.pop().flatten() {
            Some(id) => Some(probe_id(id)?),
            None => None,
        };
        let mut values = Vec::with_capacity(raw.len());
        for (field, raw) in self.fields.iter().zip(raw) {
            let value = raw.map(scalar).transpose();
            values.push(
                value.map_err(|()| format!("`{field}` has half of a surrogate pair, which is no text"))?.flatten(),
            );
        }
        Ok(Decoded { values, probe })
    }
}

/// The bytes as text, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("an empty record".to_owned());
    }
    Ok(text)
}

/// What text that is no object holds, and how it held it.
fn unwrap(text: &str) -> Result<(Vec<u8>, &'static str), String> {
    let trimmed = text.trim();
    match trimmed.as_bytes().first() {
        Some(b'"') => {
            let inner: String = serde_json::from_str(trimmed).map_err(|error| not_json(text, &error))?;
            return match inner.trim_start().as_bytes().first() {
                Some(b'{' | b'"') => Ok((inner.into_bytes(), "in a JSON string: ")),
                _ => base64(&inner)
                    .map(|bytes| (bytes, "in quoted base64: "))
                    .ok_or_else(|| format!("a JSON string instead of an object: {}", quoted(&inner))),
            };
        }
        Some(b'[') => return Err(whole(text, "a JSON array instead of an object")),
        _ => {}
    }
    if serde_json::from_str::<IgnoredAny>(trimmed).is_ok() {
        return Err(format!("a JSON value instead of an object: {}", quoted(trimmed)));
    }
    match base64(trimmed) {
        Some(bytes) => Ok((bytes, "in base64: ")),
        None => Err(format!("not JSON: it begins with {}", quoted(trimmed))),
    }
}

/// What the text is, if it is JSON at all.
fn whole(text: &str, what: &str) -> String {
    if let Some(at) = deeper_than(text, DEEPEST) {
        return format!("nested deeper than {DEEPEST} levels at byte {at}");
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => what.to_owned(),
        Err(error) => not_json(text, &error),
    }
}

/// What base64 text stands for, line ends and spaces in it aside; only when that begins as JSON does. Ordinary words are
/// base64 of something too.
fn base64(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = LENIENT.decode(compact).ok()?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    matches!(first, b'{' | b'"').then_some(bytes)
}

/// The byte where nesting goes beyond `most`.
fn deeper_than(text: &str, most: usize) -> Option<usize> {
    // Far fewer brackets than that is the rule, and counting them is quicker than following them.
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= most {
        return None;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Why the parser stopped, in words.
fn not_json(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return format!("truncated JSON: it ends at byte {}", text.len());
    }
    // Lines from 1; columns in bytes from 1, and 0 at a line's beginning.
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = (line_start + error.column().saturating_sub(1)).min(text.len());
    if text.as_bytes()[..text.len().min(at + 2)].contains(&0) {
        return format!("not JSON: a NUL byte at byte {}", text.bytes().position(|byte| byte == 0).unwrap_or(at));
    }
    if text.trim_start().strip_prefix('{').is_some_and(is_java_map) {
        return "a Java map such as `{index=1}` instead of JSON: in PutRecords, `data` has to be a string".to_owned();
    }
    let message = error.to_string();
    let message = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
    format!("not JSON: {message} at byte {at}")
}

/// `index=7528, …`: what a mapping template makes of an object that it takes for text.
fn is_java_map(text: &str) -> bool {
    let text = text.trim_start();
    let name = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    name > 0 && text[name..].starts_with('=')
}

/// The text of a scalar: strings as they are, numbers and booleans as they are written. `None` for null and for what is no
/// scalar; an error for a string that is no text.
fn scalar(raw: &RawValue) -> Result<Option<String>, ()> {
    let raw = raw.get();
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(|_| ()),
        Some(b'{' | b'[' | b'n') | None => Ok(None),
        Some(_) => Ok(Some(raw.to_owned())),
    }
}

/// A probe's id becomes part of an object key.
fn probe_id(raw: &RawValue) -> Result<String, String> {
    let id: Option<String> = serde_json::from_str(raw.get()).ok();
    let good = |id: &String| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
    };
    id.filter(good).ok_or_else(|| format!("`{PROBE_FIELD}` is not a probe's id: {}", quoted(raw.get())))
}

/// A part of a record as a reason quotes it.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    let mut quoted = shown(&text.chars().take(SHOWN).collect::<String>());
    if text.chars().nth(SHOWN).is_some() {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

/// Text that may hold anything, without control characters and on one line of bounded length.
pub(super) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().chars().take(4 * SHOWN);
    line.flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The wanted fields of an object; of a field that is there twice, the last.
struct Object<'a, 'de> {
    columns: &'a HashMap<String, usize>,
    raw: &'a mut [Option<&'de RawValue>],
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(Column(self.columns))? {
            match column {
                Some(column) => self.raw[column] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The column of a field's name, if it has one. No copy of the name is made.
struct Column<'a>(&'a HashMap<String, usize>);

impl<'de> DeserializeSeed<'de> for Column<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Column<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.get(name).copied())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoder() -> Decoder {
        Decoder::new(vec!["index".to_owned(), "title".to_owned()])
    }

    fn values(record: &str) -> Vec<Option<String>> {
        decoder().decode(record.as_bytes()).unwrap().values
    }

    fn reason(record: impl AsRef<[u8]>) -> String {
        decoder().decode(record.as_ref()).unwrap_err()
    }

    #[test]
    fn scalars_become_their_text() {
        let read =
            |record| values(record).into_iter().map(|value| value.unwrap_or("null".to_owned())).collect::<Vec<_>>();
        assert_eq!(read(r#"{"index": 12345, "title": "a\nb é\u0000"}"#), ["12345", "a\nb é\0"]);
        assert_eq!(read(r#"{"index": 1e3, "title": true}"#), ["1e3", "true"]);
        assert_eq!(read(r#"{"index": -0.10, "title": ""}"#), ["-0.10", ""]);
        assert_eq!(read(r#"{"index": null, "title": {"a": 1}}"#), ["null", "null"]);
        assert_eq!(read(r#"{"title": ["x"], "else": [{"a": {}}]}"#), ["null", "null"]);
        assert_eq!(read(r#"{"index": 1, "index": 2, "title": "a", "title": null}"#), ["2", "null"]);
        assert_eq!(
            read("\u{feff} {\"index\": 184467440737095516150000000000000001}\n"),
            ["184467440737095516150000000000000001", "null"]
        );
        assert_eq!(read("{}"), ["null", "null"]);
    }

    #[test]
    fn wrapped_objects_are_found() {
        let plain = r#"{"index":7528,"title":"é"}"#;
        let string = serde_json::to_string(plain).unwrap();
        let encoded = base64::engine::general_purpose::STANDARD.encode(plain);
        let unpadded = encoded.trim_end_matches('=').to_owned();
        let folded = format!("{}\r\n{}", &encoded[..10], &encoded[10..]);
        let quoted = format!("\"{encoded}\"");
        let twice = serde_json::to_string(&string).unwrap();
        for record in [plain, &string, &encoded, &unpadded, &folded, &quoted, &twice] {
            assert_eq!(values(record), [Some("7528".to_owned()), Some("é".to_owned())], "{record}");
        }
    }

    #[test]
    fn reasons_are_understood() {
        assert_eq!(reason(""), "an empty record");
        assert_eq!(reason(" \n"), "an empty record");
        assert_eq!(reason(r#"{"index": 1"#), "truncated JSON: it ends at byte 11");
        assert_eq!(reason("{\"index\": 1,\n x}"), "not JSON: key must be a string at byte 14");
        assert_eq!(reason(r#"{"index": 1} {}"#), "not JSON: trailing characters at byte 13");
        assert_eq!(reason(b"{\"index\": \"\xff\"}"), "invalid UTF-8 at byte 11");
        assert_eq!(reason("{\"index\": \"\0\"}"), "not JSON: a NUL byte at byte 11");
        assert_eq!(reason("\0\0\0"), "not JSON: it begins with `\\u{0}\\u{0}\\u{0}`");
        assert_eq!(reason("[1, 2]"), "a JSON array instead of an object");
        assert_eq!(reason("[1, 2"), "truncated JSON: it ends at byte 5");
        assert_eq!(reason("12"), "a JSON value instead of an object: `12`");
        assert_eq!(reason("null"), "a JSON value instead of an object: `null`");
        assert_eq!(reason("\"hello there\""), "a JSON string instead of an object: `hello there`");
        assert_eq!(reason("test message"), "not JSON: it begins with `test message`");
        assert_eq!(reason("test"), "not JSON: it begins with `test`");
        assert!(reason("{index=7528, title=x}").starts_with("a Java map"));
        assert_eq!(reason(r#"{"title": "\ud800"}"#), "`title` has half of a surrogate pair, which is no text");
        assert_eq!(reason(r#""{\"index\": "#), "truncated JSON: it ends at byte 13");
        assert_eq!(reason(r#""{\"index\": ""#), "in a JSON string: truncated JSON: it ends at byte 10");
        assert_eq!(reason(format!("{{\"x\": {}", "[".repeat(10_000))), "nested deeper than 128 levels at byte 133");
        assert_eq!(reason("[".repeat(10_000)), "nested deeper than 128 levels at byte 128");
        let mut wrapped = "{}".to_owned();
        for _ in 0..LAYERS {
            wrapped = serde_json::to_string(&wrapped).unwrap();
        }
        assert_eq!(reason(wrapped), "wrapped more than 4 times in strings or base64");
    }

    #[test]
    fn nesting_up_to_the_limit_and_brackets_in_strings_are_fine() {
        let nested = format!("{{\"index\": 1, \"x\": {}{}}}", "[".repeat(127), "]".repeat(127));
        assert_eq!(values(&nested)[0].as_deref(), Some("1"));
        let text = "[".repeat(1000);
        assert_eq!(values(&format!("{{\"title\": \"\\\"{text}\"}}"))[1], Some(format!("\"{text}")));
        assert_eq!(values(&format!("{{\"title\": [{}]}}", vec!["[]"; 1000].join(",")))[1], None);
    }

    #[test]
    fn probes_have_an_id_that_can_be_a_key() {
        let probe = |id: &str| decoder().decode(format!("{{\"index\": 1, \"{PROBE_FIELD}\": {id}}}").as_bytes());
        assert_eq!(probe("\"0a-9f\"").unwrap().probe.as_deref(), Some("0a-9f"));
        assert_eq!(probe("\"../x\"").unwrap_err(), "`_pinfra_probe` is not a probe's id: `\"../x\"`");
        for id in ["\"\"", "7", "null", "{}", "\"G\"", &format!("\"{}\"", "a".repeat(65))] {
            assert!(probe(id).is_err(), "{id}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>) {
            if let Err(reason) = decoder().decode(&bytes) {
                prop_assert!(!reason.is_empty() && !reason.chars().any(char::is_control) && reason.len() < 1000);
            }
        }

        #[test]
        fn every_text_comes_through_every_wrapping(title: String, wrapping in 0..4) {
            let plain = serde_json::json!({"index": 1, "title": title}).to_string();
            let engine = base64::engine::general_purpose::STANDARD;
            let record = match wrapping {
                0 => plain,
                1 => serde_json::to_string(&plain).unwrap(),
                2 => engine.encode(plain),
                _ => format!("\"{}\"", engine.encode(plain)),
            };
            prop_assert_eq!(values(&record), [Some("1".to_owned()), Some(title)]);
        }

        #[test]
        fn every_cut_of_a_record_has_a_reason(cut in 0_usize..40) {
            let record = r#"{"index": 7528, "title": "a \"title\" é"}"#.as_bytes();
            prop_assert!(decoder().decode(&record[..cut.min(record.len() - 1)]).is_err());
        }
    }
}
