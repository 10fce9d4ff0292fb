//! Whose an object is that is there under a recorded id. Pure.
//!
//! Where an id is a name, it may be that of another object by now. Tags decide: pinfra's own say whose it is. Without any, the
//! kind's [mark](crate::Resource::MARK) tells the object that was recorded from one that was made again in its place. The
//! same one had its tags taken off, which is drift; another one is somebody else's, and so is what is in it.

use super::{Observation, Observed};
use crate::resource::{ADDRESS_TAG, Catalog, LiveValue, STACK_TAG};
use crate::{Address, State};

/// What is said of an object that has the name of one of ours and is not that one.
const MADE_AGAIN: &str = "another one, made again by somebody else";

/// `seen`, or that it is somebody else's.
pub(super) fn unless_theirs(catalog: &Catalog, state: &State, address: &Address, seen: Observation) -> Observation {
    let Observation::Present { id, live } = &seen else { return seen };
    let owner = match (tag(live, STACK_TAG), tag(live, ADDRESS_TAG)) {
        (Some(of), _) if of != state.stack => format!("part of the stack `{of}`"),
        (_, Some(known)) if known != address.in_tags().to_string() => format!("`{known}` of this stack"),
        (None, None) if is_another(catalog, state, address, id, live) => MADE_AGAIN.to_owned(),
        _ => return seen,
    };
    Observation::Theirs { id: id.clone(), owner }
}

fn tag<'a>(live: &'a LiveValue, name: &str) -> Option<&'a str> {
    live.inputs.get("tags")?.get(name)?.as_str()
}

/// Whether the object under a recorded id has another mark than the one that was recorded. One that does not tell its mark
/// any more is not known to be ours either; where an older version recorded none, it is.
fn is_another(catalog: &Catalog, state: &State, address: &Address, id: &str, live: &LiveValue) -> bool {
    let Some(mark) = catalog.get(address.kind()).and_then(|kind| kind.mark()) else { return false };
    let record = state.resources.get(address).filter(|record| record.id.as_deref() == Some(id));
    let recorded = record.and_then(|record| record.outputs.get(mark)).filter(|mark| !mark.is_null());
    recorded.is_some_and(|recorded| live.outputs.get(mark) != Some(recorded))
}

/// Takes for somebody else's what is in an object of somebody else's, unless its own tags say that it is ours.
pub(super) fn leave_parts_of_theirs(state: &State, observed: &mut Observed) {
    let mut parts = Vec::new();
    for (address, seen) in observed.iter() {
        let Observation::Present { id, live } = seen else { continue };
        if tag(live, STACK_TAG).is_some() {
            continue;
        }
        if let Some((whole, owner)) = whole_of_theirs(state, observed, address, id) {
            let owner = format!("in `{whole}`, which is {owner}");
            parts.push((address.clone(), Observation::Theirs { id: id.clone(), owner }));
        }
    }
    observed.extend(parts);
}

/// Whether this is somebody else's because what it is in is.
pub(crate) fn is_part_of_theirs(state: &State, observed: &Observed, address: &Address) -> bool {
    match observed.get(address) {
        Some(Observation::Theirs { id, .. }) => whole_of_theirs(state, observed, address, id).is_some(),
        _ => false,
    }
}

/// The object of somebody else's that the object `id` is in, and whose: the id of a part is `<id of the whole>/<name>`.
fn whole_of_theirs<'a>(
    state: &State,
    observed: &'a Observed,
    address: &Address,
    id: &str,
) -> Option<(&'a str, &'a str)> {
    let needs = &state.resources.get(address)?.needs;
    needs.iter().find_map(|need| match observed.get(need)? {
        Observation::Theirs { id: whole, owner } => {
            id.strip_prefix(whole.as_str())?.starts_with('/').then_some((whole.as_str(), owner.as_str()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::state::{Record, Status};
    use crate::testing::FakeCloud;

    /// What is seen under the address of a recorded object, which has such tags and such a mark.
    fn seen(recorded: &Value, tags: &Value, mark: &Value) -> Observation {
        let address = Address::new("fake/thing", "a");
        let outputs = json!({ "arn": recorded });
        let record = Record {
            status: Status::Settled,
            id: Some("a".to_owned()),
            inputs: Value::Null,
            outputs,
            needs: Vec::new(),
            made_by: None,
        };
        let mut state = State::new("pins", "l");
        state.resources.insert(address.clone(), record);
        let live = LiveValue { inputs: json!({ "tags": tags }), outputs: json!({ "arn": mark }) };
        let seen = Observation::Present { id: "a".to_owned(), live };
        unless_theirs(&FakeCloud::new().catalog(), &state, &address, seen)
    }

    fn is_ours(recorded: &Value, tags: &Value, mark: &Value) -> bool {
        matches!(seen(recorded, tags, mark), Observation::Present { .. })
    }

    #[test]
    fn tags_say_whose_it_is() {
        let (same, other) = (&json!("1"), &json!("2"));
        assert!(is_ours(same, &json!({STACK_TAG: "pins", ADDRESS_TAG: "fake/thing.a"}), same));
        assert!(is_ours(same, &json!({STACK_TAG: "pins", ADDRESS_TAG: "fake/thing.a"}), other), "made again as ours");
        assert!(!is_ours(same, &json!({STACK_TAG: "other", ADDRESS_TAG: "fake/thing.a"}), same));
        assert!(!is_ours(same, &json!({STACK_TAG: "pins", ADDRESS_TAG: "fake/thing.b"}), same));
    }

    #[test]
    fn without_tags_its_mark_tells_it_from_one_that_was_made_again() {
        let (same, other, none) = (&json!("1"), &json!("2"), &Value::Null);
        assert!(is_ours(same, &json!({}), same), "tags that were taken off are drift");
        assert!(is_ours(same, &Value::Null, same));
        assert!(is_ours(none, &json!({}), other), "an older version recorded none");
        assert!(!is_ours(same, &json!({"team": "theirs"}), other));
        assert!(!is_ours(same, &json!({}), none), "it may not be asked for any more");
        let Observation::Theirs { owner, .. } = seen(same, &json!({}), other) else { panic!("it is ours") };
        assert_eq!(owner, "another one, made again by somebody else");
    }

    #[test]
    fn what_is_there_twice_has_the_same_tags() {
        let twin = Address::new("fake/thing", "a").twin("x");
        let live = LiveValue { inputs: json!({ "tags": {ADDRESS_TAG: "fake/thing.a"} }), outputs: json!({}) };
        let seen = Observation::Present { id: "x".into(), live };
        let seen = unless_theirs(&FakeCloud::new().catalog(), &State::new("pins", "l"), &twin, seen);
        assert!(matches!(seen, Observation::Present { .. }));
    }

    #[test]
    fn what_is_in_an_object_of_somebody_elses_is_theirs() {
        let [whole, part, other, ours] =
            ["whole", "part", "other", "ours"].map(|name| Address::new("fake/thing", name));
        let mut state = State::new("pins", "l");
        for address in [&part, &other, &ours] {
            let record = Record {
                status: Status::Settled,
                id: None,
                inputs: Value::Null,
                outputs: Value::Null,
                needs: vec![whole.clone()],
                made_by: None,
            };
            state.resources.insert(address.clone(), record);
        }
        let present = |id: &str, tags: Value| {
            let live = LiveValue { inputs: json!({ "tags": tags }), outputs: json!({}) };
            Observation::Present { id: id.to_owned(), live }
        };
        let theirs = Observation::Theirs { id: "lake".to_owned(), owner: "theirs".to_owned() };
        let mut observed = Observed::from([
            (whole, theirs),
            (part.clone(), present("lake/key", json!({}))),
            (other.clone(), present("lake-two", json!({}))),
            (ours.clone(), present("lake/ours", json!({STACK_TAG: "pins"}))),
        ]);
        leave_parts_of_theirs(&state, &mut observed);
        let is_theirs = |address| matches!(observed.get(address), Some(Observation::Theirs { .. }));
        assert!(is_theirs(&part) && is_part_of_theirs(&state, &observed, &part));
        assert!(!is_theirs(&other) && !is_theirs(&ours));
    }
}
