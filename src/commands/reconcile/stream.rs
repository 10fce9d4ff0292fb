//! The counts of the streaming path: emulator, API, stream, cleaner.

use pinfra_workers::report::Counters;
use serde::Serialize;

use super::{Said, Verdict, told};

/// The counts of one table. What a worker that is not there would count is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Counts {
    /// Drawn from the source.
    pub(in crate::commands) emitted: Option<u64>,
    /// Taken by the API.
    pub(in crate::commands) accepted: Option<u64>,
    /// Refused by the API for good.
    pub(in crate::commands) refused: Option<u64>,
    /// Sent, with an answer that never came: the event may be in the stream one time more than it was accepted.
    pub(in crate::commands) unknown: Option<u64>,
    /// Read from the stream, probes left out.
    pub(in crate::commands) read: Option<u64>,
    /// In the table.
    pub(in crate::commands) rows: Option<u64>,
    /// In the rejects table.
    pub(in crate::commands) rejected: Option<u64>,
    /// The same as a row that was there.
    pub(in crate::commands) duplicates: Option<u64>,
    /// Rows beyond the first of a key: versions of one and the same thing.
    pub(in crate::commands) versions: Option<u64>,
}

impl Counts {
    /// The counts of `table`, from what the workers report.
    pub(in crate::commands) fn of(table: &str, emulator: Option<&Counters>, cleaner: Option<&Counters>) -> Counts {
        let probes = told(cleaner, table, "probes").unwrap_or(0);
        Counts {
            emitted: told(emulator, table, "emitted"),
            accepted: told(emulator, table, "accepted"),
            refused: told(emulator, table, "refused"),
            unknown: told(emulator, table, "unknown"),
            read: told(cleaner, table, "read").map(|read| read.saturating_sub(probes)),
            rows: told(cleaner, table, "rows"),
            rejected: told(cleaner, table, "rejected"),
            duplicates: told(cleaner, table, "duplicates"),
            versions: None,
        }
    }

    /// The hops in their order, for people.
    pub(in crate::commands) fn hops(&self) -> Vec<(&'static str, Option<u64>)> {
        vec![
            ("emitted", self.emitted),
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("read", self.read),
            ("rows", self.rows),
            ("rejected", self.rejected),
            ("duplicates", self.duplicates),
            ("versions", self.versions),
        ]
    }
}

/// Whether `counts` agree.
pub(in crate::commands) fn verdict(counts: &Counts) -> Verdict {
    let mut said = Said::default();
    let under_way = said.posted(counts.emitted, counts.accepted, counts.refused);
    if let (Some(read), Some(rows), Some(rejected), Some(duplicates)) =
        (counts.read, counts.rows, counts.rejected, counts.duplicates)
    {
        said.cleaned(read, rows + rejected + duplicates);
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
    said.verdict(counts.read.is_some() || counts.emitted.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        let counts = Counts::of("pin", None, Some(&cleaner));
        assert_eq!((counts.read, counts.emitted), (Some(2), None));
        assert_eq!(verdict(&counts).text, "reconciles");
        assert_eq!(verdict(&Counts::default()).text, "not told yet");
    }
}
