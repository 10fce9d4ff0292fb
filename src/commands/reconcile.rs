//! Whether the counts of events agree from hop to hop, and where events are when they do not yet. Pure.
//!
//! Workers tell their counts at moments that lie some seconds apart, so a hop may be ahead of the one before it for a
//! while. What is wrong whatever the moment, since one worker tells it all at once, is that a sum does not add up.

pub(super) mod batch;
pub(super) mod stream;

use pinfra_workers::report::Counters;

/// What the counts of one table say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether every event is accounted for, on its way or not.
    pub(super) adds_up: bool,
    /// For people: `reconciles`, or where events are.
    pub(super) text: String,
}

/// A worker's count of a table. One that has not told of a table has not counted it yet, which is not the same as none.
fn told(counters: Option<&Counters>, table: &str, name: &str) -> Option<u64> {
    counters?.get(table).map(|counters| counters.get(name).copied().unwrap_or(0))
}

/// What there is to say of a table.
#[derive(Default)]
struct Said {
    parts: Vec<String>,
    wrong: bool,
}

impl Said {
    fn push(&mut self, part: String) {
        self.parts.push(part);
    }

    /// Of what the emulator counts. Returns how many events it is posting.
    fn posted(&mut self, emitted: Option<u64>, accepted: Option<u64>, refused: Option<u64>) -> u64 {
        let (Some(emitted), Some(accepted), Some(refused)) = (emitted, accepted, refused) else { return 0 };
        match emitted.checked_sub(accepted + refused) {
            Some(0) => 0,
            Some(waiting) => {
                self.push(format!("{waiting} being posted"));
                waiting
            }
            None => {
                self.wrong = true;
                self.push(format!("{} more answered than emitted", accepted + refused - emitted));
                0
            }
        }
    }

    /// Of what a cleaner counts: what it read against what it made of that.
    fn cleaned(&mut self, read: u64, made: u64) {
        if made != read {
            self.wrong = true;
            self.push(format!("{} read and in no table", read.abs_diff(made)));
        }
    }

    /// `known`: whether anything was told of the table at all.
    fn verdict(self, known: bool) -> Verdict {
        let text = match (self.parts.is_empty(), known) {
            (true, true) => "reconciles".to_owned(),
            (true, false) => "not told yet".to_owned(),
            (false, _) => self.parts.join(", "),
        };
        Verdict { adds_up: !self.wrong, text }
    }
}
