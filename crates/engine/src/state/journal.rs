//! The journal: one JSON object a line, each a thing that is about to be done or was done.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Begun, Place, Record, State, Status};
use crate::{Action, Address};

/// The number of a step, unique in one lineage.
pub type StepId = u64;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The first line: the snapshot that this journal continues.
    Open {
        /// The snapshot's lineage.
        lineage: String,
        /// The snapshot's serial.
        serial: u64,
    },
    /// Where the stack lives and what it protects.
    Stack {
        /// Where.
        place: Place,
        /// Kinds and addresses.
        protected: BTreeSet<String>,
    },
    /// The request is about to leave: from here on the object may exist, or be gone.
    Begin {
        /// The step.
        step: StepId,
        /// To what.
        address: Address,
        /// What is done.
        action: Action,
        /// The object's id where it is known already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// What is asked for, secrets hashed.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        inputs: Value,
        /// The resources it needs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<Address>,
    },
    /// A resource that no step touches, as the plan has found it.
    Seen {
        /// Which.
        address: Address,
        /// The cloud's handle.
        id: String,
        /// What is asked for, secrets hashed.
        inputs: Value,
        /// What the cloud answered.
        outputs: Value,
        /// The resources it needs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<Address>,
    },
    /// The cloud has named the object, though it is not usable yet.
    Named {
        /// The step.
        step: StepId,
        /// The cloud's handle.
        id: String,
    },
    /// The step has ended well.
    Done {
        /// The step.
        step: StepId,
        /// What the cloud answered.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        outputs: Value,
    },
    /// The step has failed. With an id known, the object stays in state as tainted.
    Failed {
        /// The step.
        step: StepId,
        /// What the cloud said.
        reason: String,
    },
}

/// A journal, or an entry, that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// A line that is no entry.
    #[error("line {line} is not a journal entry: {message}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// An entry about a step that was not begun, or begun twice.
    #[error("step {step} {what}")]
    Step {
        /// The step.
        step: StepId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The journal continues a snapshot that came after this one.
    #[error("the journal continues snapshot {found}, but this is snapshot {expected}")]
    Newer {
        /// The snapshot's serial.
        expected: u64,
        /// The journal's.
        found: u64,
    },
    /// There is a journal, but not the snapshot that it continues.
    #[error("the snapshot that it continues is not there")]
    NoSnapshot,
    /// The journal continues another snapshot.
    #[error("the journal continues lineage {found}, but the snapshot is of lineage {expected}")]
    Lineage {
        /// The snapshot's.
        expected: String,
        /// The journal's.
        found: String,
    },
}

/// Rebuilds state. A torn last line is an entry that never was, and a journal that continues an older snapshot has
/// been folded into this one already.
pub fn replay(snapshot: State, journal: &str) -> Result<State, Corrupt> {
    let mut state = snapshot;
    let (whole, _torn) = journal.rsplit_once('\n').unwrap_or(("", journal));
    for (number, line) in whole.lines().enumerate() {
        let entry: Entry = serde_json::from_str(line)
            .map_err(|error| Corrupt::Line { line: number + 1, message: error.to_string() })?;
        if let Entry::Open { lineage, serial } = &entry {
            if *lineage != state.lineage {
                return Err(Corrupt::Lineage { expected: state.lineage, found: lineage.clone() });
            }
            match serial.cmp(&state.serial) {
                Ordering::Less => return Ok(state),
                Ordering::Equal => continue,
                Ordering::Greater => return Err(Corrupt::Newer { expected: state.serial, found: *serial }),
            }
        }
        apply(&mut state, entry)?;
    }
    Ok(state)
}

/// Applies one entry. What cannot have happened is refused and changes nothing.
pub fn apply(state: &mut State, entry: Entry) -> Result<(), Corrupt> {
    match entry {
        Entry::Open { .. } => {}
        Entry::Stack { place, protected } => {
            state.place = Some(place);
            state.protected = protected;
        }
        Entry::Begin { step, address, action, id, inputs, needs } => {
            if step < state.next_step {
                return Err(Corrupt::Step { step, what: "was begun twice" });
            }
            // A step that an earlier run left open on the same object is answered by what this one finds out. Few
            // are open at once: as many as run at the same time, and what interrupted runs left.
            state.open.retain(|_, begun| begun.address != address);
            begin(state, step, &address, action, id, &inputs, &needs);
            state.next_step = step + 1;
            state.open.insert(step, Begun { address, action, inputs, needs });
        }
        Entry::Seen { address, id, inputs, outputs, needs } => {
            state.open.retain(|_, begun| begun.address != address);
            let made_by = state.resources.get(&address).and_then(|record| record.made_by);
            let record = Record { status: Status::Settled, id: Some(id), inputs, outputs, needs, made_by };
            state.resources.insert(address, record);
        }
        Entry::Named { step, id } => {
            let begun = state.open.get(&step).ok_or(Corrupt::Step { step, what: "was named but not begun" })?;
            if let Some(record) = state.resources.get_mut(&begun.address) {
                record.id = Some(id);
                record.status = Status::Named;
            }
        }
        Entry::Done { step, outputs } => {
            let begun = state.open.remove(&step).ok_or(Corrupt::Step { step, what: "ended but was not begun" })?;
            finish(state, begun, outputs);
        }
        Entry::Failed { step, reason } => {
            let begun = state.open.remove(&step).ok_or(Corrupt::Step { step, what: "failed but was not begun" })?;
            if let Some(record) = state.resources.get_mut(&begun.address)
                && record.id.is_some()
            {
                record.status = Status::Tainted { reason };
            }
        }
    }
    Ok(())
}

fn begin(
    state: &mut State,
    step: StepId,
    address: &Address,
    action: Action,
    id: Option<String>,
    inputs: &Value,
    needs: &[Address],
) {
    let known = state.resources.get_mut(address);
    let record = |status, id, made_by| Record {
        status,
        id,
        inputs: inputs.clone(),
        outputs: Value::Null,
        needs: needs.to_vec(),
        made_by,
    };
    let new = match (action, known) {
        (Action::Create, known) => {
            // After the delete half of a replacement nothing of the old object is left to remember. But a create
            // that is tried again because nobody knows how it ended must look the same to the cloud.
            let again = known.filter(|known| known.id.is_none() && known.inputs == *inputs);
            record(Status::Begun, None, again.and_then(|known| known.made_by).or(Some(step)))
        }
        (Action::Adopt, _) => record(Status::Named, id, None),
        (Action::Update, Some(known)) => {
            known.id = id.or(known.id.take());
            known.status = Status::Named;
            // Until the old needs are known to be released, both orders must hold when destroying.
            let more: Vec<Address> = needs.iter().filter(|need| !known.needs.contains(need)).cloned().collect();
            known.needs.extend(more);
            return;
        }
        // What was found and is in the way, though it was never recorded: from now on it is.
        (Action::Update | Action::Delete, None) => record(Status::Named, id, None),
        (Action::Delete, Some(_)) | (Action::Forget, _) => return,
    };
    state.resources.insert(address.clone(), new);
}

fn finish(state: &mut State, begun: Begun, outputs: Value) {
    match begun.action {
        Action::Delete | Action::Forget => {
            state.resources.remove(&begun.address);
        }
        Action::Create | Action::Update | Action::Adopt => {
            if let Some(record) = state.resources.get_mut(&begun.address) {
                record.status = Status::Settled;
                record.inputs = begun.inputs;
                record.needs = begun.needs;
                record.outputs = outputs;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn begin(step: StepId, action: Action) -> Entry {
        let address = Address::new("test/thing", "a");
        Entry::Begin { step, address, action, id: None, inputs: json!({"size": 1}), needs: vec![] }
    }

    fn journal(entries: &[Entry]) -> String {
        entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect()
    }

    fn status(entries: &[Entry]) -> Option<Status> {
        let state = replay(State::new("s", "l"), &journal(entries)).unwrap();
        state.resources.values().next().map(|record| record.status.clone())
    }

    #[test]
    fn a_resource_goes_through_its_states() {
        let named = Entry::Named { step: 1, id: "x".into() };
        let done = Entry::Done { step: 1, outputs: json!({"arn": "y"}) };
        let failed = Entry::Failed { step: 1, reason: "no".into() };
        assert_eq!(status(&[]), None);
        assert_eq!(status(&[begin(1, Action::Create)]), Some(Status::Begun));
        assert_eq!(status(&[begin(1, Action::Create), named.clone()]), Some(Status::Named));
        assert_eq!(status(&[begin(1, Action::Create), named.clone(), done.clone()]), Some(Status::Settled));
        let tainted = Some(Status::Tainted { reason: "no".into() });
        assert_eq!(status(&[begin(1, Action::Create), named.clone(), failed.clone()]), tainted);
        assert_eq!(status(&[begin(1, Action::Create), failed]), Some(Status::Begun));
        let gone = [
            begin(1, Action::Create),
            named,
            done,
            begin(2, Action::Delete),
            Entry::Done { step: 2, outputs: Value::Null },
        ];
        assert_eq!(status(&gone), None);
    }

    #[test]
    fn a_torn_last_line_is_an_entry_that_never_was() {
        let whole = journal(&[begin(1, Action::Create), Entry::Named { step: 1, id: "x".into() }]);
        let torn = &whole[..whole.len() - 3];
        let state = replay(State::new("s", "l"), torn).unwrap();
        assert_eq!(state.resources.values().next().unwrap().status, Status::Begun);
    }

    #[test]
    fn a_journal_folded_into_the_snapshot_already_is_left_alone() {
        let mut snapshot = State::new("s", "l");
        snapshot.serial = 2;
        let text = journal(&[Entry::Open { lineage: "l".into(), serial: 1 }, begin(1, Action::Create)]);
        assert_eq!(replay(snapshot.clone(), &text).unwrap(), snapshot);
    }

    #[test]
    fn what_cannot_have_happened_is_refused() {
        let cases = [
            journal(&[Entry::Done { step: 1, outputs: Value::Null }]),
            journal(&[Entry::Named { step: 1, id: "x".into() }]),
            journal(&[begin(1, Action::Create), begin(1, Action::Create)]),
            journal(&[Entry::Open { lineage: "other".into(), serial: 0 }]),
            journal(&[Entry::Open { lineage: "l".into(), serial: 7 }]),
            "{}\n".to_owned(),
        ];
        for text in cases {
            assert!(replay(State::new("s", "l"), &text).is_err(), "{text}");
        }
    }
}
