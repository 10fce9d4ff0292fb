//! Comparing with what state holds as hashes, on either side: what was not read again is known as it was recorded.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::value::{is_hash, is_hash_of, join};

/// `live` with the wanted value in the place of each hash that is of it.
pub(super) fn known(live: &Value, wanted: Option<&Value>, path: &str, salt: &str) -> Value {
    match live {
        hash if is_hash(hash) => {
            let same = wanted.filter(|wanted| is_hash_of(hash, path, wanted, salt));
            same.unwrap_or(hash).clone()
        }
        Value::Object(map) => {
            let of = |key: &String| wanted.and_then(|wanted| wanted.get(key));
            map.iter().map(|(key, inner)| (key.clone(), known(inner, of(key), &join(path, key), salt))).collect()
        }
        Value::Array(items) => {
            let of = |n: usize| wanted.and_then(|wanted| wanted.get(n));
            items.iter().enumerate().map(|(n, inner)| known(inner, of(n), &join(path, &n.to_string()), salt)).collect()
        }
        other => other.clone(),
    }
}

/// `wanted` with the live value in the place of each hash. The paths of hashes go to `hashed`, and of those whose live
/// value is another one than was recorded, to `differ`.
pub(super) fn reveal(
    wanted: &Value,
    live: Option<&Value>,
    path: &str,
    salt: &str,
    hashed: &mut BTreeSet<String>,
    differ: &mut BTreeSet<String>,
) -> Value {
    match wanted {
        hash if is_hash(hash) => {
            hashed.insert(path.to_owned());
            let live = live.unwrap_or(&Value::Null);
            if live != hash && !is_hash_of(hash, path, live, salt) {
                differ.insert(path.to_owned());
            }
            live.clone()
        }
        Value::Object(map) => {
            let mut revealed = serde_json::Map::new();
            for (key, inner) in map {
                let live = live.and_then(|live| live.get(key));
                revealed.insert(key.clone(), reveal(inner, live, &join(path, key), salt, hashed, differ));
            }
            Value::Object(revealed)
        }
        Value::Array(items) => {
            let mut revealed = Vec::with_capacity(items.len());
            for (n, inner) in items.iter().enumerate() {
                let live = live.and_then(|live| live.get(n));
                revealed.push(reveal(inner, live, &join(path, &n.to_string()), salt, hashed, differ));
            }
            Value::Array(revealed)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::redact;

    #[test]
    fn a_hash_is_compared_with_what_is_there() {
        let asked = json!({"name": "a", "tags": {"x": "hunter2"}, "list": ["s"]});
        let secrets = BTreeSet::from(["tags.x".to_owned(), "list.0".to_owned()]);
        let recorded = redact(&asked, &secrets, "salt");
        let look = |live: &Value| {
            let (mut hashed, mut differ) = (BTreeSet::new(), BTreeSet::new());
            let revealed = reveal(&recorded, Some(live), "", "salt", &mut hashed, &mut differ);
            assert_eq!(hashed, secrets);
            (revealed, differ)
        };
        assert_eq!(look(&asked), (asked.clone(), BTreeSet::new()));
        let other = json!({"name": "b", "tags": {"x": "hunter3"}, "list": ["s"]});
        let (revealed, differ) = look(&other);
        assert_eq!((&revealed["name"], &revealed["tags"]["x"]), (&json!("a"), &json!("hunter3")));
        assert_eq!(differ, BTreeSet::from(["tags.x".to_owned()]));
        assert_eq!(look(&json!({"name": "a"})).1, secrets, "what is gone differs as well");
        // What was not read again is known by its hash, which is that of what is asked for or is not.
        assert_eq!(look(&recorded), (recorded.clone(), BTreeSet::new()));
        assert_eq!(known(&recorded, Some(&asked), "", "salt"), asked);
        assert_eq!(known(&recorded, Some(&recorded), "", "salt"), recorded);
        assert_eq!(known(&recorded, Some(&other), "", "salt")["tags"], recorded["tags"]);
    }
}
