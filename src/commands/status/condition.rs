//! What is to be said of one resource: whether it is as it was made, and what mends it where it is not.

use std::collections::BTreeSet;

use pinfra_engine::diff::{FieldChange, Shown, Views, diff};
use pinfra_engine::drift::{CONDITION, FAILURE};
use pinfra_engine::resource::{Kind, LiveValue};
use pinfra_engine::state::{Record, Status};
use pinfra_engine::value::{is_hash, with_secrets_of};
use pinfra_engine::{KindInfo, Observation};
use serde_json::Value;

/// How a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// As it was made.
    Well,
    /// The next run mends it.
    Mendable,
    /// There and as asked for, but it does no work, and no run would change anything: it is for the cloud to mend.
    Ailing,
}

/// How the resource of `record` is, and that in words. `going` is one that the last run began to destroy.
pub(super) fn condition(
    kind: Option<&dyn Kind>,
    record: &Record,
    observation: Option<&Observation>,
    going: bool,
) -> (Health, String) {
    let mendable = |text: &str| (Health::Mendable, text.to_owned());
    // What the cloud filled in by itself is no difference, and what is a secret none that could be told here.
    let comparable = |live: &LiveValue| {
        let asked = with_secrets_of(&record.inputs, Some(&live.inputs));
        kind.and_then(|kind| kind.comparable(live, &asked, None)).unwrap_or_else(|| live.inputs.clone())
    };
    let live = match observation {
        Some(Observation::Theirs { owner, .. }) => return mendable(owner),
        Some(Observation::Absent) | None if going => return mendable("destroyed, or on its way out"),
        Some(Observation::Absent) | None if record.status == Status::Begun && record.id.is_none() => {
            return mendable("begun by the last run, and not to be seen; the next one makes it");
        }
        Some(Observation::Absent) | None => return mendable("gone"),
        Some(Observation::Present { .. }) if going => {
            return mendable("was being destroyed when the last run ended");
        }
        Some(Observation::Present { live, .. }) => live,
    };
    let output = |name: &str| live.outputs.get(name).and_then(Value::as_str);
    match &record.status {
        Status::Tainted { reason } => mendable(&format!("half-made: {reason}")),
        Status::Begun | Status::Named => {
            mendable("being made or changed when the last run ended; the next one goes on")
        }
        Status::Settled => {
            if let Some(failure) = output(FAILURE) {
                return mendable(&format!("failed: {failure}"));
            }
            if let Some(idle) = kind.and_then(|kind| kind.idle(live)) {
                return mendable(output(CONDITION).unwrap_or(&idle));
            }
            if differs(kind.map(Kind::info), &record.inputs, &comparable(live)) {
                return mendable("changed outside of pinfra");
            }
            output(CONDITION).map_or((Health::Well, "ready".to_owned()), |why| (Health::Ailing, why.to_owned()))
        }
    }
}

/// Whether the cloud holds something else than is recorded. Secrets are recorded as hashes, so what is one cannot be
/// compared without the stack file: `plan` does that.
fn differs(kind: Option<&'static KindInfo>, recorded: &Value, live: &Value) -> bool {
    let Some(info) = kind else { return recorded != live };
    let (secrets, salt) = (&BTreeSet::new(), "");
    let views = Views { desired: recorded, secrets, recorded: None, live: Some(live), salt };
    let is_known = |change: &FieldChange| {
        let in_hash = change.path.split('.').any(|part| part.starts_with('$'));
        !in_hash && !matches!(&change.after, Shown::Value(value) if holds_hash(value))
    };
    diff(info, &views).iter().any(is_known)
}

fn holds_hash(value: &Value) -> bool {
    match value {
        Value::Object(map) => is_hash(value) || map.values().any(holds_hash),
        Value::Array(items) => items.iter().any(holds_hash),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Live;
    use serde_json::json;

    use super::*;

    fn record() -> Record {
        serde_json::from_value(json!({
            "id": "arn:c", "status": "settled", "inputs": {"name": "s3"}, "outputs": {"arn": "arn:c"}
        }))
        .unwrap()
    }

    fn live(outputs: Value) -> Observation {
        Observation::Present { id: "arn:c".to_owned(), live: Live { inputs: json!({"name": "s3"}), outputs } }
    }

    fn told(observation: &Observation, going: bool) -> (Health, String) {
        condition(None, &record(), Some(observation), going)
    }

    #[test]
    fn what_does_not_work_says_why() {
        let failed = live(json!({"arn": "arn:c", "failure": "NoSuchBucket: the bucket is gone"}));
        assert_eq!(told(&failed, false), (Health::Mendable, "failed: NoSuchBucket: the bucket is gone".to_owned()));
        assert_eq!(told(&live(json!({"arn": "arn:c"})), false), (Health::Well, "ready".to_owned()));
        let behind = live(json!({"arn": "arn:c", "condition": "3 of its replicas are not in sync"}));
        assert_eq!(told(&behind, false), (Health::Ailing, "3 of its replicas are not in sync".to_owned()));
        assert_eq!(told(&Observation::Absent, false), (Health::Mendable, "gone".to_owned()));
    }

    #[test]
    fn what_a_run_began_to_destroy_is_never_ready() {
        assert!(told(&live(json!({"arn": "arn:c"})), true).1.contains("was being destroyed"));
        assert_eq!(told(&Observation::Absent, true).1, "destroyed, or on its way out");
        let begun = Record { status: Status::Begun, id: None, ..record() };
        let unseen = condition(None, &begun, Some(&Observation::Absent), false).1;
        assert!(unseen.starts_with("begun by the last run"), "{unseen}");
    }
}
