//! What a stack used and did not make, as far as its state tells: `down` leaves it as it is.

use pinfra_engine::State;
use serde_json::Value;

/// The objects of others that what is recorded refers to, for people.
pub(super) fn of_others(state: &State) -> Vec<String> {
    let has = |kind: &str| state.resources.keys().any(|address| address.kind() == kind);
    let named = |kind: &str, input: &str| {
        let mut records = state.resources.iter().filter(|(address, _)| address.kind() == kind);
        records.find_map(|(_, record)| record.inputs.get(input).and_then(Value::as_str))
    };
    let mut others = Vec::new();
    if !has("msk/cluster") {
        let cluster = named("msk/topic", "cluster");
        // `arn:aws:kafka:<region>:<account>:cluster/<name>/<id>`
        let name = cluster.map(|arn| arn.split('/').nth(1).unwrap_or(arn));
        others.extend(name.map(|name| format!("the cluster `{name}`")));
    }
    if !has("s3/bucket") {
        others.extend(
            named("s3/object", "bucket")
                .map(|bucket| format!("the bucket `{bucket}` and what the stack wrote into it")),
        );
    }
    others
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Address;
    use serde_json::json;

    use super::*;

    fn state(resources: &[(&str, &str, Value)]) -> State {
        let mut state = State::new("pins", "l");
        for (kind, name, inputs) in resources {
            let record = json!({"status": "settled", "id": "x", "inputs": inputs});
            state.resources.insert(Address::new(*kind, *name), serde_json::from_value(record).unwrap());
        }
        state
    }

    #[test]
    fn what_was_used_is_named_and_what_was_made_is_not() {
        let topic = ("msk/topic", "pin", json!({"cluster": "arn:aws:kafka:us-east-1:0:cluster/shared/uuid-1"}));
        let object = ("s3/object", "agent", json!({"bucket": "company-lake"}));
        let used = state(&[topic.clone(), object.clone()]);
        assert_eq!(
            of_others(&used),
            ["the cluster `shared`", "the bucket `company-lake` and what the stack wrote into it"]
        );
        let made = [topic, object, ("msk/cluster", "cluster", json!({})), ("s3/bucket", "lake", json!({}))];
        assert_eq!(of_others(&state(&made)), [""; 0]);
    }
}
