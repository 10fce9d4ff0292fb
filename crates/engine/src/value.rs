//! Inputs as data: references to other resources' outputs, secrets, and paths into both.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::{Address, CloudError, ErrorKind};

/// The JSON key under which a reference stands in inputs.
const REFERENCE: &str = "$ref";
/// The JSON key under which the parts of a text stand that has references in it.
const JOIN: &str = "$join";
/// The JSON key under which the hash of a secret stands in state.
const SECRET: &str = "$secret";
/// Beside it, an empty value of the secret's type.
const SHAPE: &str = "$empty";

/// An output of another resource. It is what makes an edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The resource that has it.
    pub address: Address,
    /// The name of the output.
    pub output: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.address, self.output)
    }
}

/// An input that is known, or that another resource's output will tell. The engine resolves references before a
/// call, so a provider only ever meets `Known`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input<T> {
    /// The value itself.
    Known(T),
    /// Where it will come from.
    Reference(Reference),
}

impl<T> Input<T> {
    /// The value, for providers: they are only called with inputs whose references have been resolved.
    pub fn known(&self) -> Result<&T, CloudError> {
        match self {
            Input::Known(value) => Ok(value),
            Input::Reference(reference) => {
                let message = format!("`{reference}` was not resolved before the call");
                Err(CloudError::new(ErrorKind::Other, "reading inputs", message))
            }
        }
    }

    /// A reference to an output of another resource.
    pub fn output(address: Address, output: &str) -> Input<T> {
        Input::Reference(Reference { address, output: output.to_owned() })
    }
}

impl<T: Serialize> Serialize for Input<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Input::Known(value) => value.serialize(serializer),
            Input::Reference(reference) => {
                let map = Map::from_iter([(REFERENCE.to_owned(), Value::String(reference.to_string()))]);
                map.serialize(serializer)
            }
        }
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Input<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Input<T>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match as_reference(&value) {
            Some(reference) => Ok(Input::Reference(reference)),
            None => serde_json::from_value(value).map(Input::Known).map_err(D::Error::custom),
        }
    }
}

/// The reference that `value` is, if it is one.
pub fn as_reference(value: &Value) -> Option<Reference> {
    let map = value.as_object()?;
    if map.len() != 1 {
        return None;
    }
    let (address, output) = map.get(REFERENCE)?.as_str()?.split_once('#')?;
    Some(Reference { address: address.parse().ok()?, output: output.to_owned() })
}

/// A text made of `parts`, each a text or a reference to one: it is known once all of them are.
pub fn joined(parts: impl IntoIterator<Item = Input<String>>) -> Value {
    let parts = parts.into_iter().map(|part| match part {
        Input::Known(text) => Value::String(text),
        Input::Reference(reference) => Value::from_iter([(REFERENCE, reference.to_string())]),
    });
    Value::from_iter([(JOIN, Value::Array(parts.collect()))])
}

/// Whether this is a text with references in it, as [`joined`] makes it: the order of its parts has a meaning.
pub fn is_joined(value: &Value) -> bool {
    parts(value).is_some()
}

/// The parts of a text that has references in it, if that is what `value` is.
fn parts(value: &Value) -> Option<&Vec<Value>> {
    value.as_object().filter(|map| map.len() == 1)?.get(JOIN)?.as_array()
}

/// `value`, or the text that its parts make where all of them are known.
pub(crate) fn join_known(value: Value) -> Value {
    let known = parts(&value).and_then(|parts| parts.iter().map(Value::as_str).collect::<Option<String>>());
    known.map_or(value, Value::String)
}

/// What stands for a value that other resources' outputs will tell: the reference, or a text with references in it.
pub(crate) fn unknown(value: &Value) -> Option<String> {
    if let Some(reference) = as_reference(value) {
        return Some(reference.to_string());
    }
    let part = |part: &Value| match as_reference(part) {
        Some(reference) => format!("<{reference}>"),
        None => part.as_str().unwrap_or_default().to_owned(),
    };
    Some(parts(value)?.iter().map(part).collect())
}

/// Every reference inside `value`, with the path of the field it stands in.
pub fn references(value: &Value) -> Vec<(String, Reference)> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<(String, Reference)>) {
    if let Some(reference) = as_reference(value) {
        found.push((path.to_owned(), reference));
        return;
    }
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| collect(inner, &join(path, key), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, inner)| collect(inner, &join(path, &n.to_string()), found));
        }
        _ => {}
    }
}

/// `path` with `key` below it.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `value` with every reference replaced by what `lookup` knows; the first that it does not know is returned.
pub fn resolve(value: &Value, lookup: &dyn Fn(&Reference) -> Option<Value>) -> Result<Value, Reference> {
    if let Some(reference) = as_reference(value) {
        return lookup(&reference).ok_or(reference);
    }
    Ok(match value {
        Value::Object(map) => {
            let mut resolved = Map::new();
            for (key, inner) in map {
                resolved.insert(key.clone(), resolve(inner, lookup)?);
            }
            join_known(Value::Object(resolved))
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|inner| resolve(inner, lookup)).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

/// `value` with every reference replaced that `lookup` knows; the others stay.
pub(crate) fn resolve_known(value: &Value, lookup: &dyn Fn(&Reference) -> Option<Value>) -> Value {
    match value {
        Value::Object(map) => match as_reference(value) {
            Some(reference) => lookup(&reference).unwrap_or_else(|| value.clone()),
            None => {
                let resolved = map.iter().map(|(key, inner)| (key.clone(), resolve_known(inner, lookup)));
                join_known(Value::Object(resolved.collect()))
            }
        },
        Value::Array(items) => Value::Array(items.iter().map(|inner| resolve_known(inner, lookup)).collect()),
        other => other.clone(),
    }
}

/// `inputs` as state may hold them: each secret is replaced by a hash that only the same value under the same
/// `salt` (the state's lineage) has.
pub fn redact(inputs: &Value, secrets: &BTreeSet<String>, salt: &str) -> Value {
    replace_at(inputs, "", secrets, &|path, value| {
        let hash = (SECRET.to_owned(), Value::String(hash(path, value, salt)));
        Value::Object(Map::from_iter([hash, (SHAPE.to_owned(), empty(value))]))
    })
}

/// The emptiest value of the same type: what a kind can read in a secret's place.
fn empty(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::Bool(false),
        Value::Number(_) => Value::from(0),
        Value::String(_) => Value::String(String::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
    }
}

/// Whether this is what state holds in the place of a secret.
pub fn is_hash(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.contains_key(SECRET))
}

fn replace_at(value: &Value, path: &str, at: &BTreeSet<String>, with: &dyn Fn(&str, &Value) -> Value) -> Value {
    if at.contains(path) {
        return with(path, value);
    }
    match value {
        Value::Object(map) => Value::Object(
            map.iter().map(|(k, inner)| (k.clone(), replace_at(inner, &join(path, k), at, with))).collect(),
        ),
        Value::Array(items) => Value::Array(
            items.iter().enumerate().map(|(n, v)| replace_at(v, &join(path, &n.to_string()), at, with)).collect(),
        ),
        other => other.clone(),
    }
}

/// Whether this is what state holds in the place of `live`, which stands at `path`.
pub(crate) fn is_hash_of(recorded: &Value, path: &str, live: &Value, salt: &str) -> bool {
    recorded.get(SECRET).and_then(Value::as_str) == Some(hash(path, live, salt).as_str())
}

/// Keyed, so that a short secret cannot be found by hashing guesses once and comparing with many states.
fn hash(path: &str, value: &Value, salt: &str) -> String {
    // HMAC takes keys of any length (RFC 2104 §2), so `new_from_slice` has no failing case.
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).expect("HMAC takes any key");
    mac.update(path.as_bytes());
    mac.update(&[0]);
    mac.update(value.to_string().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// `text` with every secret of these inputs blotted out, for messages that the cloud may have echoed one into.
pub fn scrub(text: &str, inputs: &Value, secrets: &BTreeSet<String>) -> String {
    if secrets.is_empty() {
        return text.to_owned();
    }
    let found = RefCell::new(Vec::new());
    replace_at(inputs, "", secrets, &|_, value| {
        found.borrow_mut().push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        Value::Null
    });
    // The longest first: a secret may be part of another one.
    let mut values = found.into_inner();
    values.sort_by_key(|value| Reverse(value.len()));
    let known = values.iter().filter(|value| !value.is_empty());
    known.fold(text.to_owned(), |clean, secret| clean.replace(secret.as_str(), "(secret)"))
}

/// Whether what stands at `path` is a secret, is part of one, or has one in it.
pub fn has_secret(path: &str, secrets: &BTreeSet<String>) -> bool {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    secrets.iter().any(|secret| secret == path || below(secret, path) || below(path, secret))
}

/// Recorded inputs with something in the place of each hash: what `desired` has there, or else an empty value. A kind
/// can read them again, and find by what is not secret.
pub fn with_secrets_of(recorded: &Value, desired: Option<&Value>) -> Value {
    match recorded {
        Value::Object(map) if map.contains_key(SECRET) => {
            let empty = || map.get(SHAPE).cloned().unwrap_or_else(|| Value::String(String::new()));
            desired.cloned().unwrap_or_else(empty)
        }
        Value::Object(map) => {
            let inner = map.iter().map(|(k, v)| (k.clone(), with_secrets_of(v, desired.and_then(|d| d.get(k)))));
            Value::Object(inner.collect())
        }
        Value::Array(items) => {
            let inner = items.iter().enumerate().map(|(n, v)| with_secrets_of(v, desired.and_then(|d| d.get(n))));
            Value::Array(inner.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_and_resolved() {
        let inputs = json!({"a": {"$ref": "s3/bucket.lake#arn"}, "b": [1, {"$ref": "iam/role.x#name"}]});
        let found: Vec<_> = references(&inputs).into_iter().map(|(path, r)| (path, r.to_string())).collect();
        assert_eq!(found, [("a".into(), "s3/bucket.lake#arn".into()), ("b.1".into(), "iam/role.x#name".to_owned())]);
        let resolved = resolve(&inputs, &|r| Some(json!(format!("<{}>", r.output)))).unwrap();
        assert_eq!(resolved, json!({"a": "<arn>", "b": [1, "<name>"]}));
        assert_eq!(resolve(&inputs, &|_| None).unwrap_err().output, "arn");
    }

    #[test]
    fn a_text_with_a_reference_in_it_is_known_once_that_is() {
        let topic = Input::output(Address::new("msk/cluster", "pins"), "prefix");
        let inputs = json!({ "resource": [joined([topic, Input::Known("/pin".to_owned())])] });
        let found: Vec<_> = references(&inputs).into_iter().map(|(_, r)| r.output).collect();
        assert_eq!(found, ["prefix"]);
        assert_eq!(unknown(&inputs["resource"][0]).unwrap(), "<msk/cluster.pins#prefix>/pin");
        let resolved = resolve(&inputs, &|_| Some(json!("arn:topic"))).unwrap();
        assert_eq!(resolved, json!({"resource": ["arn:topic/pin"]}));
    }

    #[test]
    fn an_input_reads_back_as_it_is_written() {
        for input in [
            Input::Known("x".to_owned()),
            Input::Reference(Reference { address: Address::new("s3/bucket", "lake"), output: "arn".into() }),
        ] {
            let text = serde_json::to_string(&input).unwrap();
            assert_eq!(serde_json::from_str::<Input<String>>(&text).unwrap(), input);
        }
    }

    #[test]
    fn a_secret_is_kept_as_a_hash_of_value_place_and_lineage() {
        let secrets = BTreeSet::from(["tags.owner".to_owned()]);
        let redacted =
            |value: &str, salt: &str| redact(&json!({"tags": {"owner": value, "team": "a"}}), &secrets, salt);
        assert_eq!(redacted("x", "1"), redacted("x", "1"));
        assert_ne!(redacted("x", "1"), redacted("y", "1"));
        assert_ne!(redacted("x", "1"), redacted("x", "2"));
        assert!(!redacted("hunter2", "1").to_string().contains("hunter2"));
        assert_eq!(redacted("x", "1")["tags"]["team"], "a");
    }

    #[test]
    fn a_secret_echoed_by_the_cloud_is_blotted_out() {
        let inputs = json!({"tags": {"owner": "hunter2"}});
        let secrets = BTreeSet::from(["tags.owner".to_owned()]);
        assert_eq!(scrub("bad value 'hunter2'", &inputs, &secrets), "bad value '(secret)'");
    }

    #[test]
    fn a_secret_under_a_key_with_dots_or_in_a_list_is_blotted_out_too() {
        let inputs = json!({"tags": {"a.b": "hunter2"}, "list": ["x", "hunter22"]});
        let secrets = BTreeSet::from(["tags.a.b".to_owned(), "list.1".to_owned()]);
        assert_eq!(scrub("hunter22, hunter2", &inputs, &secrets), "(secret), (secret)");
    }

    #[test]
    fn recorded_inputs_can_be_read_again_although_their_secrets_are_hashes() {
        let inputs = json!({"name": "a", "tags": {"x": "hunter2"}});
        let recorded = redact(&inputs, &BTreeSet::from(["tags.x".to_owned()]), "salt");
        assert_eq!(with_secrets_of(&recorded, Some(&inputs)), inputs);
        assert_eq!(with_secrets_of(&recorded, None), json!({"name": "a", "tags": {"x": ""}}));
    }

    #[test]
    fn a_kind_can_read_inputs_again_whose_secrets_are_hashed() {
        let inputs = json!({"name": "a", "shards": 7, "on": true, "key": "hunter2", "list": [1, 2]});
        let secrets = BTreeSet::from(["shards", "on", "key", "list"].map(str::to_owned));
        let recorded = redact(&inputs, &secrets, "salt");
        assert!(is_hash(&recorded["shards"]) && !recorded.to_string().contains("hunter2"));
        let readable = with_secrets_of(&recorded, None);
        assert_eq!(readable, json!({"name": "a", "shards": 0, "on": false, "key": "", "list": []}));
        assert_eq!(with_secrets_of(&recorded, Some(&inputs)), inputs);
    }
}
