//! Everything that the local cloud holds, asked of each service by its own lists and not of the program under test.
//!
//! An entry names a thing without the ids that differ from run to run, so that two inventories can be compared: what is
//! there more often than it should be is a duplicate, what should not be there at all is an orphan.

mod apis;
mod data;
mod kafka;
mod machines;

use std::collections::BTreeMap;
use std::fmt::Display;

use pinfra_aws::Clients;

/// How often each entry is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory(BTreeMap<String, usize>);

/// What one inventory has otherwise than another.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences {
    /// Entries that should not be there.
    pub(super) orphans: Vec<String>,
    /// Entries that should be there, and are there more often.
    pub(super) duplicates: Vec<String>,
    /// Entries that are not there.
    pub(super) missing: Vec<String>,
}

impl Inventory {
    /// Asks for all that is there.
    pub(super) async fn take(clients: &Clients) -> Inventory {
        let mut inventory = Inventory::default();
        Box::pin(machines::list(clients, &mut inventory)).await;
        Box::pin(kafka::list(clients, &mut inventory)).await;
        Box::pin(apis::list(clients, &mut inventory)).await;
        Box::pin(data::list(clients, &mut inventory)).await;
        inventory
    }

    /// Whether nothing in it is on its way to another state.
    pub(super) fn is_at_rest(&self) -> bool {
        const AT_REST: [&str; 5] = ["ACTIVE", "RUNNING", "running", "available", "in-use"];
        let states = self.0.keys().filter_map(|entry| entry.rsplit_once('[')?.1.strip_suffix(']'));
        states.into_iter().all(|state| AT_REST.contains(&state))
    }

    /// What `found` has otherwise than this one.
    pub(super) fn differences(&self, found: &Inventory) -> Differences {
        let mut differences = Differences::default();
        for (entry, count) in &found.0 {
            let expected = self.0.get(entry).copied().unwrap_or_default();
            let list = if expected == 0 { &mut differences.orphans } else { &mut differences.duplicates };
            list.extend((expected..*count).map(|_| entry.clone()));
        }
        for (entry, expected) in &self.0 {
            let count = found.0.get(entry).copied().unwrap_or_default();
            differences.missing.extend((count..*expected).map(|_| entry.clone()));
        }
        differences
    }

    fn add(&mut self, entry: String) {
        *self.0.entry(entry).or_default() += 1;
    }

    fn add_in_state(&mut self, entry: &str, state: Option<impl Display>) {
        let state = state.map_or_else(|| "no state".to_owned(), |state| state.to_string());
        self.add(format!("{entry} [{state}]"));
    }
}

/// The two tags that say whose something is.
fn owner<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut ours: Vec<&str> = tags.filter(|(key, _)| key.starts_with("pinfra:")).map(|(_, value)| value).collect();
    ours.sort_unstable();
    ours.join(" of ")
}

#[test]
fn more_of_the_same_is_a_duplicate_and_anything_else_an_orphan() {
    let inventory = |entries: &[&str]| {
        let mut inventory = Inventory::default();
        entries.iter().for_each(|entry| inventory.add((*entry).to_owned()));
        inventory
    };
    let differences = inventory(&["a", "b"]).differences(&inventory(&["a", "a", "c"]));
    assert_eq!(differences.duplicates, ["a"]);
    assert_eq!(differences.orphans, ["c"]);
    assert_eq!(differences.missing, ["b"]);
    assert!(inventory(&["role x", "stream y [ACTIVE]"]).is_at_rest());
    assert!(!inventory(&["stream y [DELETING]"]).is_at_rest());
}
