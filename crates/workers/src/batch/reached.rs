//! How far each chain of a topic was read, and what was counted, as the Delta log of a batch table keeps it.
//!
//! | id | value |
//! |---|---|
//! | `pinfra/batch/<topic>/<chain>/object` | the first offset of the last object that was read |
//! | `pinfra/batch/<topic>/<chain>/lines` | the lines read in it |
//! | `pinfra/batch/<topic>/<chain>/size` | its size in bytes when it was read to its end, else -1 |
//! | `pinfra/batch/<topic>:<counter>` | counted since the table was made, or rebuilt |

use std::collections::{BTreeMap, HashMap};

use crate::cleaner::ledger::Ledger;

/// The counters of a table. `read` = `rows` + `rejected` + `duplicates` + `probes`.
pub(crate) const COUNTERS: [&str; 5] = ["read", "rows", "rejected", "duplicates", "probes"];

/// Where the reading of a chain has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The first offset of the last object.
    pub(crate) object: i64,
    /// The lines read in it.
    pub(crate) lines: i64,
    /// Its size; -1 while it is not read to its end. An object of another size has more lines.
    pub(crate) size: i64,
}

impl Reached {
    /// A chain of which nothing is there any more.
    const NOWHERE: Reached = Reached { object: -1, lines: 0, size: -1 };

    /// All chains of a topic.
    pub(crate) fn of(ledger: &Ledger, topic: &str) -> HashMap<String, Reached> {
        let prefix = chains(topic);
        let mut known: HashMap<String, Reached> = HashMap::new();
        for (app, value) in ledger.txns() {
            let Some((chain, part)) = app.strip_prefix(&prefix).and_then(|rest| rest.rsplit_once('/')) else {
                continue;
            };
            let reached = known.entry(chain.to_owned()).or_insert(Reached::NOWHERE);
            match part {
                "object" => reached.object = value,
                "lines" => reached.lines = value,
                "size" => reached.size = value,
                _ => {}
            }
        }
        known
    }

    /// What a commit says that has read so far.
    pub(crate) fn said(self, topic: &str, chain: &str) -> [(String, i64); 3] {
        let app = |part| format!("{}{chain}/{part}", chains(topic));
        [(app("object"), self.object), (app("lines"), self.lines), (app("size"), self.size)]
    }

    /// What a commit says that has read everything anew, of the chains that were known and are gone.
    pub(crate) fn forgotten<'a>(
        topic: &'a str,
        known: impl Iterator<Item = &'a String>,
    ) -> impl Iterator<Item = (String, i64)> {
        known.flat_map(move |chain| Reached::NOWHERE.said(topic, chain))
    }
}

/// Whether a `txn` action says how far a chain of the topic was read.
pub(crate) fn is_of_a_chain(topic: &str, app: &str) -> bool {
    app.starts_with(&chains(topic))
}

/// The id of a counter. Topics have no colon in their names.
pub(crate) fn counter(topic: &str, name: &str) -> String {
    format!("pinfra/batch/{topic}:{name}")
}

/// A table's counters as they are committed, under the names that reports have for them.
pub(crate) fn counters(ledger: &Ledger, topic: &str) -> BTreeMap<String, u64> {
    let count = |name| ledger.txn(&counter(topic, name)).unwrap_or(0).unsigned_abs();
    COUNTERS.into_iter().map(|name| (format!("batch_{name}"), count(name))).collect()
}

fn chains(topic: &str) -> String {
    format!("pinfra/batch/{topic}/")
}
