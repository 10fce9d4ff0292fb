//! Whether the counts of events agree from hop to hop, and where events are when they do not yet. Pure.

use std::collections::BTreeMap;

use pinfra_workers::report::Counters;
use serde::Serialize;

/// The counts of one table. What a worker that is not there would count is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Drawn from the source.
    pub(super) emitted: Option<u64>,
    /// Taken by the API.
    pub(super) accepted: Option<u64>,
    /// Refused by the API for good.
    pub(super) refused: Option<u64>,
    /// Sent, with an answer that never came: the event may be in the stream one time more than it was accepted.
    pub(super) unknown: Option<u64>,
    /// Read from the stream, probes left out.
    pub(super) read: Option<u64>,
    /// In the table.
    pub(super) rows: Option<u64>,
    /// In the rejects table.
    pub(super) rejected: Option<u64>,
    /// The same as a row that was there.
    pub(super) duplicates: Option<u64>,
    /// Rows beyond the first of a key: versions of one and the same thing.
    pub(super) versions: Option<u64>,
}

/// What the counts of one table say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether every event is accounted for, on its way or not.
    pub(super) adds_up: bool,
    /// For people: `reconciles`, or where events are.
    pub(super) text: String,
}

/// The counts by table, from what the workers report.
pub(super) fn counts(
    tables: &[String],
    emulator: Option<&Counters>,
    cleaner: Option<&Counters>,
) -> BTreeMap<String, Counts> {
    let of = |counters: Option<&Counters>, table: &str, name: &str| -> Option<u64> {
        // A worker that has not told of a table has not counted it yet, which is not the same as none.
        counters?.get(table).map(|counters| counters.get(name).copied().unwrap_or(0))
    };
    let table = |table: &String| {
        let probes = of(cleaner, table, "probes").unwrap_or(0);
        let counts = Counts {
            emitted: of(emulator, table, "emitted"),
            accepted: of(emulator, table, "accepted"),
            refused: of(emulator, table, "refused"),
            unknown: of(emulator, table, "unknown"),
            read: of(cleaner, table, "read").map(|read| read.saturating_sub(probes)),
            rows: of(cleaner, table, "rows"),
            rejected: of(cleaner, table, "rejected"),
            duplicates: of(cleaner, table, "duplicates"),
            versions: None,
        };
        (table.clone(), counts)
    };
    tables.iter().map(table).collect()
}

/// Whether `counts` agree.
pub(super) fn verdict(counts: &Counts) -> Verdict {
    let mut said = Vec::new();
    let mut adds_up = true;
    let mut under_way = 0;
    if let (Some(emitted), Some(accepted), Some(refused)) = (counts.emitted, counts.accepted, counts.refused) {
        match emitted.checked_sub(accepted + refused) {
            Some(0) => {}
            Some(waiting) => {
                under_way = waiting;
                said.push(format!("{waiting} being posted"));
            }
            None => {
                adds_up = false;
                said.push(format!("{} more answered than emitted", accepted + refused - emitted));
            }
        }
    }
    if let (Some(read), Some(rows), Some(rejected), Some(duplicates)) =
        (counts.read, counts.rows, counts.rejected, counts.duplicates)
    {
        let cleaned = rows + rejected + duplicates;
        if cleaned != read {
            adds_up = false;
            said.push(format!("{} read and in no table", read.abs_diff(cleaned)));
        }
        if let Some(accepted) = counts.accepted {
            let unknown = counts.unknown.unwrap_or(0);
            if read < accepted {
                said.push(format!("{} in the stream", accepted - read));
            } else if read > accepted + unknown + under_way {
                // The two workers told at moments that lie up to a second or two apart.
                said.push(format!(
                    "{} not posted by the emulator, or not told yet",
                    read - accepted - unknown - under_way
                ));
            } else if read > accepted {
                said.push(format!("{} arrived though no answer came", read - accepted));
            }
        }
    }
    let known = counts.read.is_some() || counts.emitted.is_some();
    let text = match (said.is_empty(), known) {
        (true, true) => "reconciles".to_owned(),
        (true, false) => "not told yet".to_owned(),
        (false, _) => said.join(", "),
    };
    Verdict { adds_up, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(emulator: [u64; 4], cleaner: [u64; 4]) -> Counts {
        let [emitted, accepted, refused, unknown] = emulator.map(Some);
        let [read, rows, rejected, duplicates] = cleaner.map(Some);
        Counts { emitted, accepted, refused, unknown, read, rows, rejected, duplicates, versions: None }
    }

    #[test]
    fn it_is_said_where_events_are() {
        for (emulator, cleaner, adds_up, text) in [
            ([10, 10, 0, 0], [10, 8, 1, 1], true, "reconciles"),
            ([10, 7, 1, 0], [7, 7, 0, 0], true, "2 being posted"),
            ([10, 10, 0, 0], [6, 6, 0, 0], true, "4 in the stream"),
            ([10, 10, 0, 2], [11, 10, 0, 1], true, "1 arrived though no answer came"),
            ([10, 10, 0, 0], [13, 13, 0, 0], true, "3 not posted by the emulator, or not told yet"),
            ([10, 10, 0, 0], [10, 8, 0, 1], false, "1 read and in no table"),
            ([10, 10, 1, 0], [10, 10, 0, 0], false, "1 more answered than emitted"),
        ] {
            let expected = Verdict { adds_up, text: text.to_owned() };
            assert_eq!(verdict(&counted(emulator, cleaner)), expected, "{emulator:?} {cleaner:?}");
        }
    }

    #[test]
    fn probes_are_no_events_and_workers_that_are_not_there_count_nothing() {
        let count = |name: &str, n| (name.to_owned(), n);
        let cleaner = Counters::from([(
            "pin".to_owned(),
            BTreeMap::from([count("read", 3), count("rows", 2), count("probes", 1)]),
        )]);
        let counts = counts(&["pin".to_owned()], None, Some(&cleaner));
        assert_eq!((counts["pin"].read, counts["pin"].emitted), (Some(2), None));
        assert_eq!(verdict(&counts["pin"]).text, "reconciles");
        assert_eq!(verdict(&Counts::default()).text, "not told yet");
    }
}
