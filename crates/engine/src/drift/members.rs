//! Things inside a resource that stand each for itself: rules of a security group, methods of an API.

use serde_json::{Map, Value};

use crate::value::{join, references};

/// How one member differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// The field, with the keys of a member of an object.
    pub(super) path: String,
    /// What is asked for; `None` for one more.
    pub(super) wanted: Option<Value>,
    /// What is there; `None` where it is gone.
    pub(super) live: Option<Value>,
}

/// Takes the members of the field `pattern` out of the comparison and returns those that differ.
pub(super) fn take(wanted: &mut Value, live: &mut Value, pattern: &str) -> Vec<Member> {
    let mut found = Vec::new();
    let parts: Vec<&str> = pattern.split('.').collect();
    walk(wanted, live, &parts, "", &mut found);
    found
}

fn walk(wanted: &mut Value, live: &mut Value, parts: &[&str], path: &str, found: &mut Vec<Member>) {
    match parts {
        [] => list(wanted, live, path, found),
        ["*", rest @ ..] => object(wanted, live, rest, path, found),
        [field, rest @ ..] => {
            // What one side has not at all is told as a whole.
            if let (Some(wanted), Some(live)) = (wanted.get_mut(*field), live.get_mut(*field)) {
                walk(wanted, live, rest, &join(path, field), found);
            }
        }
    }
}

fn list(wanted: &mut Value, live: &mut Value, path: &str, found: &mut Vec<Member>) {
    // What is not known yet is compared with nothing.
    if !references(wanted).is_empty() {
        return;
    }
    let (Value::Array(asked), Value::Array(there)) = (&*wanted, &*live) else { return };
    let mut gone: Vec<Value> = asked.iter().filter(|member| !there.contains(member)).cloned().collect();
    for member in there.iter().filter(|member| !asked.contains(member)) {
        let same = gone.iter().position(|other| are_one(other, member)).map(|n| gone.remove(n));
        found.push(Member { path: path.to_owned(), wanted: same, live: Some(member.clone()) });
    }
    found.extend(gone.into_iter().map(|member| Member { path: path.to_owned(), wanted: Some(member), live: None }));
    *live = wanted.clone();
}

/// Whether two members are one that was changed: but for one of their fields they are equal.
fn are_one(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return false };
    a.len() > 1 && a.len() == b.len() && a.iter().filter(|(key, value)| b.get(*key) != Some(value)).count() == 1
}

fn object(wanted: &mut Value, live: &mut Value, rest: &[&str], path: &str, found: &mut Vec<Member>) {
    let (Value::Object(asked), Value::Object(there)) = (wanted, live) else { return };
    for key in keys(asked, there) {
        let below = join(path, &key);
        match (asked.get_mut(&key), there.get_mut(&key)) {
            (Some(asked), Some(there)) if !rest.is_empty() => walk(asked, there, rest, &below, found),
            (Some(_), Some(_)) => {}
            (asked_for, is_there) => {
                leaves(asked_for.map(|value| &*value), is_there.map(|value| &*value), rest, &below, found);
                asked.remove(&key);
                there.remove(&key);
            }
        }
    }
}

/// The members below a key that one side alone has.
fn leaves(wanted: Option<&Value>, live: Option<&Value>, rest: &[&str], path: &str, found: &mut Vec<Member>) {
    if let Some(fields) =
        wanted.or(live).and_then(Value::as_object).filter(|fields| !rest.is_empty() && !fields.is_empty())
    {
        for key in fields.keys() {
            let at = |side: Option<&Value>| side.and_then(|side| side.get(key)).cloned();
            leaves(at(wanted).as_ref(), at(live).as_ref(), &rest[1..], &join(path, key), found);
        }
        return;
    }
    found.push(Member { path: path.to_owned(), wanted: wanted.cloned(), live: live.cloned() });
}

fn keys(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<String> = a.keys().chain(b.keys()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(wanted: &Value, live: &Value, pattern: &str) -> (Vec<Member>, bool) {
        let (mut wanted, mut live) = (wanted.clone(), live.clone());
        let found = take(&mut wanted, &mut live, pattern);
        (found, wanted == live)
    }

    fn member(path: &str, wanted: Option<Value>, live: Option<Value>) -> Member {
        Member { path: path.to_owned(), wanted, live }
    }

    #[test]
    fn one_more_rule_is_no_change_of_the_others() {
        let rule = |port: u16, peer: &str| json!({"port": port, "peer": peer, "description": ""});
        let wanted = json!({"rules": [rule(80, "a"), rule(443, "a")]});
        let (found, same) = taken(&wanted, &json!({"rules": [rule(22, "b"), rule(80, "a"), rule(443, "a")]}), "rules");
        assert_eq!((found, same), (vec![member("rules", None, Some(rule(22, "b")))], true));
        let (found, _) = taken(&wanted, &json!({"rules": [rule(80, "b"), rule(443, "a")]}), "rules");
        assert_eq!(found, [member("rules", Some(rule(80, "a")), Some(rule(80, "b")))]);
        let (found, _) = taken(&wanted, &json!({"rules": [rule(443, "a")]}), "rules");
        assert_eq!(found, [member("rules", Some(rule(80, "a")), None)]);
    }

    #[test]
    fn one_more_method_is_told_alone_whatever_it_is_made_of() {
        let wanted = json!({"document": {"paths": {"/a": {"GET": {"uri": "x", "key": true}}}}});
        let live = json!({"document": {"paths": {
            "/a": {"GET": {"uri": "y", "key": true}, "PUT": {"uri": "z"}}, "/b.c": {"ANY": {"uri": "z"}}, "/d": {}}}});
        let (found, same) = taken(&wanted, &live, "document.paths.*.*");
        let extra = |path: &str| member(path, None, Some(json!({"uri": "z"})));
        let empty = member("document.paths./d", None, Some(json!({})));
        assert_eq!(found, [extra("document.paths./a.PUT"), extra("document.paths./b.c.ANY"), empty]);
        assert!(!same, "the method that was changed is left to be compared");
    }

    #[test]
    fn what_is_not_known_yet_is_not_compared() {
        let wanted = json!({"keys": [{"$ref": "a/b.c#id"}]});
        assert_eq!(taken(&wanted, &json!({"keys": ["k"]}), "keys").0, []);
    }
}
