//! What differs between what is asked for and what is there, field by field, and what mending it costs.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::resource::{KindInfo, OnChange};
use crate::value::{has_secret, join, redact, unknown};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where in the inputs, such as `tags.team`.
    pub path: String,
    /// What is there.
    pub before: Shown,
    /// What is asked for.
    pub after: Shown,
    /// What the change costs.
    pub on_change: OnChange,
    /// Why they differ.
    pub cause: Cause,
}

/// A value as people may see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As it is.
    Value(Value),
    /// There is none.
    Absent,
    /// Another resource's output, which is known once that resource is made.
    Unknown(String),
    /// It came from the environment.
    Secret,
}

/// Why a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The resource is new, or nothing is recorded of it.
    New,
    /// The stack file asks for something else than it did.
    StackFile,
    /// The stack file is as it was: somebody changed the object.
    Drift,
}

/// The three views of one resource's inputs that are compared.
pub struct Views<'a> {
    /// From the stack file; references that cannot be resolved yet are still in it.
    pub desired: &'a Value,
    /// Paths in `desired` that came from the environment.
    pub secrets: &'a BTreeSet<String>,
    /// From state, with its secrets hashed under `salt`.
    pub recorded: Option<&'a Value>,
    /// From the cloud.
    pub live: Option<&'a Value>,
    /// The lineage of the state.
    pub salt: &'a str,
}

/// Every field of `desired` that is not so in `live`, in the order of the inputs.
pub fn diff(info: &KindInfo, views: &Views<'_>) -> Vec<FieldChange> {
    let comparable = OnceCell::new();
    let mut changes = Vec::new();
    compare(views.live, Some(views.desired), "", &mut |path, before, after| {
        let on_change = info.on_change(path);
        if on_change == OnChange::Ignore {
            return;
        }
        let comparable = comparable.get_or_init(|| redact(views.desired, views.secrets, views.salt));
        let secret = has_secret(path, views.secrets);
        let cause = match views.recorded {
            None => Cause::New,
            Some(recorded) if at(recorded, path) == at(comparable, path) => Cause::Drift,
            Some(_) => Cause::StackFile,
        };
        changes.push(FieldChange {
            path: path.to_owned(),
            before: shown(before, secret),
            after: shown(after, secret),
            on_change,
            cause,
        });
    });
    changes
}

/// Takes a path with what is there and what is asked for.
type Differs<'a> = &'a mut dyn FnMut(&str, Option<&Value>, Option<&Value>);

/// Calls `differs` for each leaf that differs; objects are entered, anything else is compared whole.
fn compare(before: Option<&Value>, after: Option<&Value>, path: &str, differs: Differs<'_>) {
    let absent = |value: Option<&Value>| matches!(value, None | Some(Value::Null));
    let (left, right) = (fields(before), fields(after));
    let entered = (left.is_some() || absent(before)) && (right.is_some() || absent(after));
    if !entered {
        if before != after {
            differs(path, before, after);
        }
        return;
    }
    for (key, value) in right.into_iter().flatten() {
        compare(left.and_then(|left| left.get(key)), Some(value), &join(path, key), differs);
    }
    for (key, value) in left.into_iter().flatten() {
        if right.is_none_or(|right| !right.contains_key(key)) {
            compare(Some(value), None, &join(path, key), differs);
        }
    }
}

/// The fields of an object; what is not known yet has none.
fn fields(value: Option<&Value>) -> Option<&Map<String, Value>> {
    let value = value?;
    value.as_object().filter(|_| unknown(value).is_none())
}

fn shown(value: Option<&Value>, secret: bool) -> Shown {
    match value {
        None | Some(Value::Null) => Shown::Absent,
        Some(_) if secret => Shown::Secret,
        Some(value) => match unknown(value) {
            Some(source) => Shown::Unknown(source),
            None => Shown::Value(value.clone()),
        },
    }
}

/// The value at a dotted path. Keys may hold dots themselves (tags do), so the longest key that fits is taken.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    let map = value.as_object()?;
    if let Some(inner) = map.get(path) {
        return Some(inner).filter(|v| !v.is_null());
    }
    let fits: BTreeMap<usize, (&'a Value, &str)> = map
        .iter()
        .filter_map(|(key, inner)| {
            path.strip_prefix(key.as_str())?.strip_prefix('.').map(|rest| (key.len(), (inner, rest)))
        })
        .collect();
    fits.values().rev().find_map(|(inner, rest)| at(inner, rest)).filter(|v| !v.is_null())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::resource::Field;

    const INFO: KindInfo = KindInfo {
        kind: "test/thing",
        summary: "",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "" },
            Field { name: "size", on_change: OnChange::Update, doc: "" },
            Field { name: "tags", on_change: OnChange::Update, doc: "" },
            Field { name: "hint", on_change: OnChange::Ignore, doc: "" },
        ],
        outputs: &[],
        loses: "",
        usual_create: Duration::ZERO,
        usual_update: Duration::ZERO,
        usual_delete: Duration::ZERO,
    };

    fn changes(desired: &Value, recorded: Option<&Value>, live: Option<&Value>) -> Vec<FieldChange> {
        diff(&INFO, &Views { desired, secrets: &BTreeSet::new(), recorded, live, salt: "s" })
    }

    #[test]
    fn equal_inputs_differ_in_nothing() {
        let inputs = json!({"name": "a", "size": 1, "tags": {"x": "1"}});
        assert_eq!(changes(&inputs, Some(&inputs), Some(&inputs)), []);
    }

    #[test]
    fn each_field_says_what_it_costs_and_why_it_differs() {
        let recorded = json!({"name": "a", "size": 1, "tags": {"x": "1", "a.b": "c"}, "hint": 1});
        let live = json!({"name": "a", "size": 7, "tags": {"x": "1", "a.b": "d"}, "hint": 1});
        let desired = json!({"name": "b", "size": 1, "tags": {"x": "2", "a.b": "c"}, "hint": 2});
        let found: Vec<_> = changes(&desired, Some(&recorded), Some(&live))
            .into_iter()
            .map(|c| (c.path, c.on_change, c.cause))
            .collect();
        assert_eq!(
            found,
            [
                ("name".to_owned(), OnChange::Replace, Cause::StackFile),
                ("size".to_owned(), OnChange::Update, Cause::Drift),
                ("tags.x".to_owned(), OnChange::Update, Cause::StackFile),
                ("tags.a.b".to_owned(), OnChange::Update, Cause::Drift),
            ]
        );
    }

    #[test]
    fn a_field_that_goes_away_is_a_change() {
        let found = changes(&json!({"tags": {}}), None, Some(&json!({"tags": {"x": "1"}})));
        assert_eq!((found[0].path.as_str(), &found[0].after), ("tags.x", &Shown::Absent));
    }

    #[test]
    fn a_secret_inside_a_value_that_is_compared_whole_is_not_shown() {
        let secrets = BTreeSet::from(["size.0".to_owned(), "tags.x".to_owned()]);
        let desired = json!({"size": ["hunter2"], "tags": {"x": "hunter2"}});
        let live = json!({"size": [], "tags": "hunter1"});
        let views =
            Views { desired: &desired, secrets: &secrets, recorded: Some(&Value::Null), live: Some(&live), salt: "s" };
        let found = diff(&INFO, &views);
        assert_eq!(found.len(), 2);
        assert!(!serde_json::to_string(&found).unwrap().contains("hunter"), "{found:?}");
    }

    #[test]
    fn what_another_resource_will_tell_is_unknown() {
        let found = changes(&json!({"size": {"$ref": "test/other.b#size"}}), None, Some(&json!({"size": 3})));
        assert_eq!(found[0].after, Shown::Unknown("test/other.b#size".into()));
    }

    #[test]
    fn a_secret_is_compared_by_hash_and_never_shown() {
        let secrets = BTreeSet::from(["tags.x".to_owned()]);
        let desired = json!({"tags": {"x": "new"}});
        let same = redact(&desired, &secrets, "s");
        let views = |recorded| Views {
            desired: &desired,
            secrets: &secrets,
            recorded: Some(recorded),
            live: Some(&desired),
            salt: "s",
        };
        assert_eq!(diff(&INFO, &views(&same)), []);
        let live = json!({"tags": {"x": "old"}});
        let found = diff(&INFO, &Views { live: Some(&live), ..views(&same) });
        assert_eq!((&found[0].before, &found[0].after, found[0].cause), (&Shown::Secret, &Shown::Secret, Cause::Drift));
    }
}
