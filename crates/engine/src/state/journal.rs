//! The journal: one JSON object a line, each a thing that is about to be done or was done, and its [checksum](super::chain).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::{Chain, is_sealed};
use super::{Begun, FORMAT, Place, Record, State, Status};
use crate::{Action, Address};

/// The first format whose lines have checksums.
const WITH_SUMS: u32 = 2;

/// The number of a step, unique in one lineage.
pub type StepId = u64;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The first line: the snapshot that this journal continues.
    Open {
        /// The journal's format, which is that of its snapshot.
        #[serde(default = "first_format")]
        format: u32,
        /// The snapshot's lineage.
        lineage: String,
        /// The snapshot's serial.
        serial: u64,
        /// The fencing token of its writer, which is the snapshot's too.
        #[serde(default)]
        token: u64,
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
    /// A line whose checksum does not hold.
    #[error("line {line} does not follow from the one before: lines were edited, taken out or moved")]
    Sum {
        /// Counted from 1.
        line: usize,
    },
    /// The first line does not say what the journal continues.
    #[error("its first line, which says what it continues, is missing")]
    NotOpened,
    /// A newer program wrote it.
    #[error("it has format {found}, and this version of pinfra reads up to {FORMAT}: use a newer pinfra")]
    NewerFormat {
        /// Its format.
        found: u32,
    },
    /// It continues a snapshot of the same number, but not this one.
    #[error("it continues another snapshot {serial}: the two files are from different copies of the state")]
    Mixed {
        /// The number.
        serial: u64,
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
    #[error("it continues snapshot {found}, but the snapshot is {expected}: an older copy of it was put back")]
    Newer {
        /// The snapshot's serial.
        expected: u64,
        /// The journal's.
        found: u64,
    },
    /// There is a journal, but not the snapshot that it continues.
    #[error("the snapshot that it continues is not there")]
    NoSnapshot,
    /// There is a snapshot, but not the journal that was begun with it.
    #[error("it is not there, and with it is gone what was done since the snapshot")]
    NoJournal,
    /// The journal is that of another state.
    #[error("it continues the state {found}, but the snapshot is of the state {expected}")]
    Lineage {
        /// The snapshot's.
        expected: String,
        /// The journal's.
        found: String,
    },
}

/// The text of a journal that has these entries, the first of which opens it.
pub fn journal_of(entries: &[Entry]) -> String {
    let mut chain = Chain::default();
    entries.iter().map(|entry| chain.seal(&json_of(entry))).collect()
}

/// An entry without its checksum.
pub(super) fn json_of(entry: &Entry) -> String {
    // An entry of ours always has a JSON form: its maps have text keys and its numbers are finite.
    serde_json::to_string(entry).expect("an entry can be written as JSON")
}

/// Rebuilds state. A torn last line is an entry that never was, and a journal that continues an older snapshot has
/// been folded into this one already.
pub fn replay(snapshot: State, journal: &str) -> Result<State, Corrupt> {
    let mut state = snapshot;
    let (whole, _torn) = journal.rsplit_once('\n').unwrap_or(("", journal));
    let mut lines = whole.lines();
    let Some(first) = lines.next() else { return Ok(state) };
    let mut chain = is_sealed(first).then(Chain::default);
    if !continues(&state, first, &mut chain)? {
        return Ok(state);
    }
    for (number, line) in (2..).zip(lines) {
        let entry = entry(line, number, &mut chain)?;
        if matches!(entry, Entry::Open { .. }) {
            return Err(Corrupt::Line { line: number, message: "a journal is opened once".to_owned() });
        }
        apply(&mut state, entry)?;
    }
    Ok(state)
}
/// Whether a journal with this first line goes on from `snapshot`; if not, it has been folded into it. Any other journal
/// is refused.
fn continues(snapshot: &State, first: &str, chain: &mut Option<Chain>) -> Result<bool, Corrupt> {
    /// What can be read of a line of any format.
    #[derive(Deserialize)]
    struct Head {
        event: String,
        #[serde(default = "first_format")]
        format: u32,
    }
    let head: Head = from_json(first, 1)?;
    if head.event != "open" {
        return Err(Corrupt::NotOpened);
    }
    if head.format > FORMAT {
        return Err(Corrupt::NewerFormat { found: head.format });
    }
    let Entry::Open { format, lineage, serial, token } = entry(first, 1, chain)? else {
        return Err(Corrupt::NotOpened);
    };
    if lineage != snapshot.lineage {
        return Err(Corrupt::Lineage { expected: snapshot.lineage.clone(), found: lineage });
    }
    match serial.cmp(&snapshot.serial) {
        Ordering::Less => Ok(false),
        Ordering::Greater => Err(Corrupt::Newer { expected: snapshot.serial, found: serial }),
        Ordering::Equal => {
            let has_sums = chain.is_some() == (format >= WITH_SUMS);
            let is_its_own = format == snapshot.format && token == snapshot.token && has_sums;
            if is_its_own { Ok(true) } else { Err(Corrupt::Mixed { serial }) }
        }
    }
}

fn entry(line: &str, number: usize, chain: &mut Option<Chain>) -> Result<Entry, Corrupt> {
    match chain {
        Some(chain) => from_json(&chain.unseal(line).ok_or(Corrupt::Sum { line: number })?, number),
        None => from_json(line, number),
    }
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str, number: usize) -> Result<T, Corrupt> {
    serde_json::from_str(json).map_err(|error| Corrupt::Line { line: number, message: error.to_string() })
}

/// The first format did not say which it was.
fn first_format() -> u32 {
    1
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
            // that is tried again because nobody knows how it ended must look the same to the cloud, and so must one of what
            // was named and is not to be seen: the cloud may only not show it yet.
            let again = known.filter(|known| matches!(known.status, Status::Begun | Status::Named));
            let again = again.filter(|known| known.inputs == *inputs);
            record(Status::Begun, None, again.and_then(|known| known.made_by).or(Some(step)))
        }
        (Action::Adopt, _) => record(Status::Named, id, None),
        (Action::Update, Some(known)) => {
            known.id = id.or(known.id.take());
            known.status = Status::Named;
            // It was seen: if it is gone after this, another one is made.
            known.made_by = None;
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
mod tests;
