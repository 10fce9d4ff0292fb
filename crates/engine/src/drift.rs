//! Drift: where the cloud differs from what the stack file, or state, says. Pure; changes nothing.
//!
//! What is compared is what `plan` compares: the inputs of each resource, in the words of its kind. Besides, drift tells
//! what no plan would mend: things that touch the stack and are not of it, and resources that are there and do not do
//! their work.

mod compare;
mod members;
mod secrets;

use serde::Serialize;
use serde_json::Value;

use crate::Address;

pub use compare::drift;

/// All that differs, ordered by address, [`What`] and field.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Drift {
    /// How many resources were compared.
    pub compared: usize,
    /// What differs.
    pub findings: Vec<Finding>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The resource that differs, or that an unmanaged thing touches.
    pub address: Address,
    /// The cloud's handle of what was found, where there is one.
    pub id: Option<String>,
    /// What kind of difference it is.
    pub what: What,
    /// Where in the inputs of the kind, such as `shards` or `tags.team`; `None` where it is about the whole.
    pub field: Option<String>,
    /// What should be there. `None` where nothing should, and for secrets.
    pub wanted: Option<Value>,
    /// What is there. `None` where nothing is, and for secrets.
    pub live: Option<Value>,
    /// One sentence for people: what was found and, where it is known, why it matters.
    pub detail: String,
    /// Where the resource is declared (`file:line:column`); empty without a stack file.
    pub declared_at: String,
    /// Whether the values came from the environment; `wanted` and `live` are `None` then.
    pub secret: bool,
}

/// How drift tells the differences of a kind, where one is more than a field that somebody changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// Fields that hold things which stand each for itself, such as the rules of a security group: one more is
    /// unmanaged, and no change of the others. A list; or an object, whose path then ends in a `*` for each level of keys
    /// (`document.paths.*.*`).
    pub members: &'static [&'static str],
    /// Fields by which an object does its work: one that is otherwise is told as [`What::Unhealthy`].
    pub works: &'static [&'static str],
}

/// The output by which a kind tells why an object will never be usable.
pub const FAILURE: &str = "failure";
/// The output by which a kind tells why an object does not do its work now, or not well.
pub const CONDITION: &str = "condition";

/// The kinds of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A field is not what it should be.
    Changed,
    /// A resource is not there.
    Missing,
    /// Something touches the resource at `address` and is not of the stack.
    Unmanaged,
    /// It is there and as asked for, but does not do its work.
    Unhealthy,
}

impl What {
    /// As it is written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            What::Changed => "changed",
            What::Missing => "missing",
            What::Unmanaged => "unmanaged",
            What::Unhealthy => "unhealthy",
        }
    }
}

impl Finding {
    /// What findings are ordered by, and two findings are the same by.
    pub fn key(&self) -> (&Address, What, Option<&str>, Option<&str>) {
        (&self.address, self.what, self.field.as_deref(), self.id.as_deref())
    }
}

impl Drift {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds findings and keeps the order.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.sort();
    }

    fn sort(&mut self) {
        self.findings.sort_by(|a, b| a.key().cmp(&b.key()));
    }
}
