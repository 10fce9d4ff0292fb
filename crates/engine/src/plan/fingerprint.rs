//! What a plan was made from, as hashes: whether it would be made again is a comparison of two of these.
//!
//! A plan is a function of the graph, of what is recorded and of what the cloud holds. So a saved plan needs not hold the
//! inputs, with the secrets in them: it is made again, and carried out when all three are as they were. Hashes are keyed
//! with a text that each saved plan has for itself, so that two of them tell nothing of each other.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Plan;
use crate::observe::{Observation, Observed};
use crate::state::State;
use crate::value::redact;
use crate::{Address, Graph};

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The stack's name.
    pub stack: String,
    /// The state's lineage; absent when nothing is recorded yet.
    pub lineage: Option<String>,
    /// The state's serial.
    pub serial: u64,
    /// Of all that is recorded.
    pub recorded: String,
    /// Of what the stack file asks for, by resource.
    pub asked: BTreeMap<Address, String>,
    /// Of what is protected.
    pub protected: String,
    /// Of what the cloud holds, by resource.
    pub observed: BTreeMap<Address, String>,
    /// Of the steps.
    pub steps: String,
}

/// What is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The plan is of another stack.
    Stack {
        /// Of which.
        planned: String,
    },
    /// The state is another one of the same name.
    Lineage,
    /// Something was recorded since.
    Recorded {
        /// The serial when the plan was made.
        planned: u64,
        /// The serial now.
        now: u64,
    },
    /// The stack file asks for something else.
    Asked(Address),
    /// The stack file protects something else.
    Protected,
    /// The cloud holds something else.
    Observed(Address),
    /// Nothing of these, and yet the steps are others: the program plans otherwise than the one that made it.
    Steps,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moved::Stack { planned } => write!(f, "it is a plan of the stack `{planned}`"),
            Moved::Lineage => f.write_str("the stack's state is another one than it was made for"),
            Moved::Recorded { planned, now } if planned == now => f.write_str("a run has recorded steps since"),
            Moved::Recorded { planned, now } => {
                write!(f, "a run has recorded steps since: serial {planned} is now {now}")
            }
            Moved::Asked(address) => write!(f, "the stack file asks for something else: `{address}`"),
            Moved::Protected => f.write_str("the stack file protects something else"),
            Moved::Observed(address) => write!(f, "the cloud holds something else: `{address}`"),
            Moved::Steps => f.write_str("this version of pinfra would take other steps"),
        }
    }
}

impl Fingerprint {
    /// Of a plan that was made from these. `key` is any text; only fingerprints of one key can be compared.
    pub fn of(key: &str, graph: &Graph, state: &State, observed: &Observed, plan: &Plan) -> Fingerprint {
        let begun = state.serial > 0 || state.place.is_some() || !state.resources.is_empty();
        let hash = |value: &Value| hash(key, value);
        // A state that is not begun gets its lineage with its first record.
        let recorded = if begun { hash(&json!(state)) } else { String::new() };
        let asked = graph.nodes().map(|node| {
            let inputs = redact(&node.inputs, &node.secrets, key);
            (node.address.clone(), hash(&json!([inputs, node.secrets, node.after])))
        });
        let seen = |observation: &Observation| match observation {
            Observation::Present { id, live } => json!([id, live.inputs, live.outputs]),
            Observation::Absent => Value::Null,
            Observation::Theirs { id, owner } => json!({ "id": id, "owner": owner }),
        };
        Fingerprint {
            stack: state.stack.clone(),
            lineage: begun.then(|| state.lineage.clone()),
            serial: state.serial,
            recorded,
            asked: asked.collect(),
            protected: hash(&json!(graph.protected())),
            observed: observed.iter().map(|(address, seen_now)| (address.clone(), hash(&seen(seen_now)))).collect(),
            steps: hash(&json!(plan.steps)),
        }
    }

    /// What `now` has otherwise than this; empty when the same plan comes of both.
    pub fn moved(&self, now: &Fingerprint) -> Vec<Moved> {
        if self.stack != now.stack {
            return vec![Moved::Stack { planned: self.stack.clone() }];
        }
        if self.lineage.is_some() && now.lineage.is_some() && self.lineage != now.lineage {
            return vec![Moved::Lineage];
        }
        let mut moved = Vec::new();
        if self.recorded != now.recorded {
            moved.push(Moved::Recorded { planned: self.serial, now: now.serial });
        }
        moved.extend(differing(&self.asked, &now.asked).map(|address| Moved::Asked(address.clone())));
        if self.protected != now.protected {
            moved.push(Moved::Protected);
        }
        moved.extend(differing(&self.observed, &now.observed).map(|address| Moved::Observed(address.clone())));
        if moved.is_empty() && self.steps != now.steps {
            moved.push(Moved::Steps);
        }
        moved
    }
}

/// The addresses under which two maps have not the same.
fn differing<'a>(
    was: &'a BTreeMap<Address, String>,
    now: &'a BTreeMap<Address, String>,
) -> impl Iterator<Item = &'a Address> {
    let gone_or_changed = was.iter().filter(|(address, hash)| now.get(*address) != Some(*hash));
    let new = now.iter().filter(|(address, _)| !was.contains_key(*address));
    gone_or_changed.chain(new).map(|(address, _)| address)
}

fn hash(key: &str, value: &Value) -> String {
    // HMAC takes keys of any length (RFC 2104 §2), so `new_from_slice` has no failing case.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
    mac.update(value.to_string().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Node;
    use crate::resource::LiveValue;

    fn graph(size: u32, secret: &str) -> Graph {
        let node = Node {
            address: Address::new("test/thing", "a"),
            inputs: json!({ "size": size, "password": secret }),
            secrets: BTreeSet::from(["password".to_owned()]),
            after: Vec::new(),
            declared_at: format!("stack.yaml:{size}:1"),
        };
        Graph::new(vec![node]).unwrap()
    }

    fn observed(size: u32) -> Observed {
        let live = LiveValue { inputs: json!({ "size": size }), outputs: json!({}) };
        [(Address::new("test/thing", "a"), Observation::Present { id: "x".to_owned(), live })].into()
    }

    fn of(graph: &Graph, state: &State, observed: &Observed) -> Fingerprint {
        Fingerprint::of("key", graph, state, observed, &Plan::default())
    }

    #[test]
    fn what_has_moved_is_named() {
        let mut state = State::new("s", "l");
        state.serial = 3;
        let planned = of(&graph(1, "hunter2"), &state, &observed(1));
        assert_eq!(planned.moved(&of(&graph(1, "hunter2"), &state, &observed(1))), []);
        let a = Address::new("test/thing", "a");
        assert_eq!(planned.moved(&of(&graph(2, "hunter2"), &state, &observed(1))), [Moved::Asked(a.clone())]);
        assert_eq!(planned.moved(&of(&graph(1, "hunter3"), &state, &observed(1))), [Moved::Asked(a.clone())]);
        assert_eq!(planned.moved(&of(&Graph::default(), &state, &observed(1))), [Moved::Asked(a.clone())]);
        assert_eq!(planned.moved(&of(&graph(1, "hunter2"), &state, &observed(2))), [Moved::Observed(a.clone())]);
        let protecting = graph(1, "hunter2").protecting(["test/thing".to_owned()].into());
        assert_eq!(planned.moved(&of(&protecting, &state, &observed(1))), [Moved::Protected]);
        state.next_step += 1;
        let moved = planned.moved(&of(&graph(1, "hunter2"), &state, &Observed::new()));
        assert_eq!(moved, [Moved::Recorded { planned: 3, now: 3 }, Moved::Observed(a)]);
        state.lineage = "other".to_owned();
        assert_eq!(planned.moved(&of(&graph(1, "hunter2"), &state, &observed(1))), [Moved::Lineage]);
        let other = of(&graph(1, "hunter2"), &State::new("t", "l"), &observed(1));
        assert_eq!(planned.moved(&other), [Moved::Stack { planned: "s".to_owned() }]);
        assert!(!serde_json::to_string(&planned).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_state_that_is_not_begun_is_the_same_under_any_lineage() {
        let planned = of(&graph(1, ""), &State::new("s", ""), &Observed::new());
        assert_eq!(planned.moved(&of(&graph(1, ""), &State::new("s", "made later"), &Observed::new())), []);
        let mut begun = State::new("s", "made later");
        begun.serial = 1;
        let moved = planned.moved(&of(&graph(1, ""), &begun, &Observed::new()));
        assert_eq!(moved, [Moved::Recorded { planned: 0, now: 1 }]);
    }
}
