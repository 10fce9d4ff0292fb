//! The application ids under which a Delta log keeps what the cleaner must not forget.
//!
//! | id | value |
//! |---|---|
//! | `pinfra/<stream>/<made>/<shard>/position/0..2` | the last sequence number that is in the table, most significant part first |
//! | `pinfra/<stream>/<made>/<shard>/arrived` | when that record arrived in the stream, in milliseconds since 1970 |
//! | `pinfra/<stream>/<made>/<shard>/finished` | 1 once the shard is closed and read to its end |
//! | `pinfra/<stream>/<counter>` | counted since the table was made, over all shards and all streams of that name |
//! | `pinfra/rejects/<table>/<stream>/<made>/<shard>/position/0..2` | in the rejects table: records of that table up to here have been rejected if they had to be |
//! | `pinfra/rejects/<table>/topic:<topic>/<chain>/position/0..2` | the same of a chain of objects: 0, its object, the line in it |
//!
//! `<made>` is when the stream was made, in milliseconds since 1970. A stream that is deleted and made again has the
//! same shard ids, and what was said of the shards before means nothing for it.

use std::collections::{BTreeMap, HashSet};

use super::ledger::Ledger;
use super::position::{PARTS, Position};
use super::shards::Stream;

/// The counters of a table. `read` = `rows` + `rejected` + `duplicates` + `probes`.
pub(crate) const COUNTERS: [&str; 6] = ["read", "rows", "rejected", "duplicates", "probes", "lost_windows"];

/// Ids of one shard in a table's log.
#[derive(Clone, Debug)]
pub(crate) struct ShardApps(String);

impl ShardApps {
    /// In the table of cleaned rows.
    pub(crate) fn rows(stream: &Stream, shard: &str) -> ShardApps {
        ShardApps(format!("pinfra/{}/{}/{shard}", stream.name, stream.made))
    }

    /// In the rejects table, which all tables share.
    pub(crate) fn rejects(table: &str, stream: &Stream, shard: &str) -> ShardApps {
        ShardApps(format!("pinfra/rejects/{table}/{}/{}/{shard}", stream.name, stream.made))
    }

    /// In the rejects table, for a chain of objects of a topic. No stream's name has a colon in it.
    pub(crate) fn rejects_of_objects(table: &str, topic: &str, chain: &str) -> ShardApps {
        ShardApps(format!("pinfra/rejects/{table}/topic:{topic}/{chain}"))
    }

    /// Where reading goes on after.
    pub(crate) fn position(&self, ledger: &Ledger) -> Option<Position> {
        let mut parts = [0; PARTS];
        for (place, part) in parts.iter_mut().enumerate() {
            *part = ledger.txn(&self.part(place))?;
        }
        Position::from_parts(parts)
    }

    pub(crate) fn moved_to(&self, position: Position) -> impl Iterator<Item = (String, i64)> {
        position.parts().into_iter().enumerate().map(|(place, part)| (self.part(place), part))
    }

    /// Whether a `txn` action says something about where this shard is read.
    pub(crate) fn owns(&self, app: &str) -> bool {
        app.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    pub(crate) fn arrived(&self) -> String {
        format!("{}/arrived", self.0)
    }

    pub(crate) fn finished(&self) -> String {
        format!("{}/finished", self.0)
    }

    fn part(&self, place: usize) -> String {
        format!("{}/position/{place}", self.0)
    }
}

/// The shards of a stream that are closed and read to their end.
pub(crate) fn finished(ledger: &Ledger, stream: &Stream) -> HashSet<String> {
    let prefix = format!("pinfra/{}/{}/", stream.name, stream.made);
    let done = ledger.txns().filter(|(_, value)| *value == 1).map(|(app, _)| app);
    done.filter_map(|app| app.strip_prefix(&prefix)?.strip_suffix("/finished")).map(str::to_owned).collect()
}

/// A table's counters as they are committed.
pub(crate) fn counters(ledger: &Ledger, stream: &str) -> BTreeMap<&'static str, u64> {
    let count = |name| ledger.txn(&counter(stream, name)).unwrap_or(0).unsigned_abs();
    COUNTERS.into_iter().map(|name| (name, count(name))).collect()
}

/// The id of a table's counter.
pub(crate) fn counter(stream: &str, name: &str) -> String {
    format!("pinfra/{stream}/{name}")
}
