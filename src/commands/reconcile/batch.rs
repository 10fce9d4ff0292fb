//! The counts of the batch path: emulator, API and gateway, Kafka, the connector's objects in S3, batch cleaning.
//!
//! Cleaning runs on a schedule, so that most of a day's events may well be in S3 and in no table yet: that is healthy.

use pinfra_workers::report::Counters;
use serde::Serialize;

use super::{Said, Verdict, told};

/// The counts of one table. What a worker that is not there would count is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Counts {
    /// Drawn from the source.
    pub(in crate::commands) emitted: Option<u64>,
    /// Taken by the API, which is to say by the brokers.
    pub(in crate::commands) accepted: Option<u64>,
    /// Refused for good.
    pub(in crate::commands) refused: Option<u64>,
    /// Sent, with an answer that never came: the event may be in Kafka one time more than it was accepted.
    pub(in crate::commands) unknown: Option<u64>,
    /// Ever written to the topic, known probes left out.
    pub(in crate::commands) in_kafka: Option<u64>,
    /// Stored by the connector, known probes left out.
    pub(in crate::commands) in_s3: Option<u64>,
    /// Read from the objects, probes left out.
    pub(in crate::commands) read: Option<u64>,
    /// In the table.
    pub(in crate::commands) rows: Option<u64>,
    /// In the rejects table.
    pub(in crate::commands) rejected: Option<u64>,
    /// The same as a row that was there.
    pub(in crate::commands) duplicates: Option<u64>,
    /// Rows beyond the first of a key: versions of one and the same thing.
    pub(in crate::commands) versions: Option<u64>,
    /// Whether topic or connector were made again since the first event: `in_kafka` and `in_s3` begin anew with a topic, and the
    /// others do not.
    pub(in crate::commands) remade: bool,
}

impl Counts {
    /// The counts of `table`, from what the workers report. The cleaner tells what is committed, whoever has cleaned.
    pub(in crate::commands) fn of(
        table: &str,
        emulator: Option<&Counters>,
        gateway: Option<&Counters>,
        cleaner: Option<&Counters>,
    ) -> Counts {
        // A worker that has not learnt a number does not tell it, and workers count more than this path alone.
        let named = |counters: Option<&Counters>, name: &str| counters?.get(table)?.get(name).copied();
        let probes = told(cleaner, table, "batch_probes").unwrap_or(0);
        let events = |count: Option<u64>| count.map(|count| count.saturating_sub(probes));
        Counts {
            emitted: named(emulator, "kafka_emitted"),
            accepted: named(emulator, "kafka_accepted"),
            refused: named(emulator, "kafka_refused"),
            unknown: named(emulator, "kafka_unknown"),
            in_kafka: events(named(gateway, "in_kafka")),
            in_s3: events(named(gateway, "stored")),
            read: events(named(cleaner, "batch_read")),
            rows: named(cleaner, "batch_rows"),
            rejected: named(cleaner, "batch_rejected"),
            duplicates: named(cleaner, "batch_duplicates"),
            versions: None,
            remade: false,
        }
    }

    /// It is known that there is no table yet.
    pub(in crate::commands) fn nothing_cleaned(&mut self) {
        (self.read, self.rows, self.rejected, self.duplicates) = (Some(0), Some(0), Some(0), Some(0));
    }

    /// The hops in their order, for people.
    pub(in crate::commands) fn hops(&self) -> Vec<(&'static str, Option<u64>)> {
        vec![
            ("emitted", self.emitted),
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("in Kafka", self.in_kafka),
            ("in S3", self.in_s3),
            ("read", self.read),
            ("rows", self.rows),
            ("rejected", self.rejected),
            ("duplicates", self.duplicates),
            ("versions", self.versions),
        ]
    }

    /// Whether the counts of Kafka and of S3 leave out what was before a topic that was made again.
    fn begin_anew(&self) -> bool {
        let is_less = |one: Option<u64>, than: Option<u64>| one.zip(than).is_some_and(|(one, than)| one < than);
        self.remade && (is_less(self.in_kafka, self.accepted) || is_less(self.in_s3, self.read))
    }

    /// How many records are in S3 and were not cleaned yet.
    pub(in crate::commands) fn not_cleaned(&self) -> u64 {
        self.in_s3.zip(self.read).filter(|_| !self.begin_anew()).map_or(0, |(stored, read)| stored.saturating_sub(read))
    }
}

/// Whether `counts` agree.
pub(in crate::commands) fn verdict(counts: &Counts) -> Verdict {
    let mut said = Said::default();
    let under_way = said.posted(counts.emitted, counts.accepted, counts.refused);
    let anew = counts.begin_anew();
    if anew {
        said.push("in Kafka and in S3 since the topic was made again".to_owned());
    }
    if let (Some(accepted), Some(in_kafka), false) = (counts.accepted, counts.in_kafka, anew) {
        let unknown = counts.unknown.unwrap_or(0);
        if in_kafka < accepted {
            said.push(format!("{} accepted and not told in Kafka yet", accepted - in_kafka));
        } else if in_kafka > accepted + unknown + under_way {
            said.push(format!("{} in Kafka of others, such as probes", in_kafka - accepted - unknown - under_way));
        } else if in_kafka > accepted {
            said.push(format!("{} arrived though no answer came", in_kafka - accepted));
        }
    }
    if let (Some(in_kafka), Some(in_s3)) = (counts.in_kafka, counts.in_s3)
        && in_kafka > in_s3
    {
        said.push(format!("{} in Kafka and not flushed", in_kafka - in_s3));
    }
    match (counts.in_s3, counts.read) {
        _ if anew => {}
        (Some(in_s3), Some(read)) if in_s3 > read => said.push(format!("{} in S3 and not cleaned", in_s3 - read)),
        // The connector says what it has stored a while after it was there to be cleaned.
        (Some(in_s3), Some(read)) if in_s3 < read => {
            said.push(format!("{} cleaned before told as stored", read - in_s3));
        }
        _ => {}
    }
    if let (Some(read), Some(rows), Some(rejected), Some(duplicates)) =
        (counts.read, counts.rows, counts.rejected, counts.duplicates)
    {
        said.cleaned(read, rows + rejected + duplicates);
    }
    // That nothing was cleaned yet tells nothing of the hops before it.
    let cleaned = counts.read.is_some_and(|read| read > 0);
    said.verdict(counts.emitted.is_some() || counts.in_kafka.is_some() || cleaned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counted(emulator: [u64; 4], gateway: [u64; 2], cleaner: [u64; 4]) -> Counts {
        let [emitted, accepted, refused, unknown] = emulator.map(Some);
        let [in_kafka, in_s3] = gateway.map(Some);
        let [read, rows, rejected, duplicates] = cleaner.map(Some);
        let (versions, remade) = (None, false);
        Counts {
            emitted,
            accepted,
            refused,
            unknown,
            in_kafka,
            in_s3,
            read,
            rows,
            rejected,
            duplicates,
            versions,
            remade,
        }
    }

    #[test]
    fn a_topic_that_was_made_again_is_not_compared_with_what_was_before_it() {
        let counts = Counts { remade: true, ..counted([90, 90, 0, 0], [12, 9], [70, 70, 0, 0]) };
        let told = verdict(&counts);
        let text = "in Kafka and in S3 since the topic was made again, 3 in Kafka and not flushed";
        assert_eq!((told.adds_up, told.text.as_str(), counts.not_cleaned()), (true, text, 0));
        // The connector alone: Kafka has all of them.
        let counts = Counts { remade: true, ..counted([90, 90, 0, 0], [91, 90], [70, 70, 0, 0]) };
        let told = verdict(&counts);
        assert_eq!(
            (told.text.as_str(), counts.not_cleaned()),
            ("1 in Kafka of others, such as probes, 1 in Kafka and not flushed, 20 in S3 and not cleaned", 20)
        );
    }

    #[test]
    fn it_is_said_where_events_are() {
        for (emulator, gateway, cleaner, adds_up, text) in [
            ([10, 10, 0, 0], [10, 10], [10, 8, 1, 1], true, "reconciles"),
            ([10, 7, 1, 0], [7, 7], [7, 7, 0, 0], true, "2 being posted"),
            ([10, 10, 0, 0], [8, 8], [8, 8, 0, 0], true, "2 accepted and not told in Kafka yet"),
            ([10, 10, 0, 0], [11, 11], [11, 11, 0, 0], true, "1 in Kafka of others, such as probes"),
            ([10, 10, 0, 2], [11, 11], [11, 10, 0, 1], true, "1 arrived though no answer came"),
            ([10, 9, 0, 0], [10, 10], [10, 10, 0, 0], true, "1 being posted, 1 arrived though no answer came"),
            ([10, 10, 0, 0], [10, 4], [4, 4, 0, 0], true, "6 in Kafka and not flushed"),
            ([10, 10, 0, 0], [10, 10], [0, 0, 0, 0], true, "10 in S3 and not cleaned"),
            ([10, 10, 0, 0], [10, 4], [1, 1, 0, 0], true, "6 in Kafka and not flushed, 3 in S3 and not cleaned"),
            (
                [10, 10, 0, 0],
                [10, 8],
                [10, 10, 0, 0],
                true,
                "2 in Kafka and not flushed, 2 cleaned before told as stored",
            ),
            ([10, 10, 0, 0], [10, 10], [10, 8, 0, 1], false, "1 read and in no table"),
            ([10, 10, 1, 0], [10, 10], [10, 10, 0, 0], false, "1 more answered than emitted"),
        ] {
            let expected = Verdict { adds_up, text: text.to_owned() };
            assert_eq!(verdict(&counted(emulator, gateway, cleaner)), expected, "{emulator:?} {gateway:?} {cleaner:?}");
        }
    }

    fn counters(table: &str, counts: &[(&str, u64)]) -> Counters {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counters::from([(table.to_owned(), counts)])
    }

    #[test]
    fn probes_are_no_events_at_any_hop() {
        let gateway = counters("pin", &[("in_kafka", 12), ("stored", 12), ("accepted", 12)]);
        let cleaned = counters(
            "pin",
            &[
                ("batch_read", 12),
                ("batch_rows", 9),
                ("batch_duplicates", 1),
                ("batch_probes", 2),
                ("batch_rejected", 0),
            ],
        );
        let emulator =
            counters("pin", &[("kafka_emitted", 10), ("kafka_accepted", 10), ("kafka_refused", 0), ("emitted", 99)]);
        let counts = Counts::of("pin", Some(&emulator), Some(&gateway), Some(&cleaned));
        assert_eq!((counts.in_kafka, counts.in_s3, counts.read, counts.rows), (Some(10), Some(10), Some(10), Some(9)));
        assert_eq!(verdict(&counts), Verdict { adds_up: true, text: "reconciles".to_owned() });
    }

    #[test]
    fn what_was_not_told_is_not_none() {
        // An emulator that posts to streams alone, a gateway that has not asked the brokers yet, a cleaner of streams.
        let stream = counters("pin", &[("emitted", 5), ("read", 5), ("probes", 1)]);
        let counts = Counts::of("pin", Some(&stream), Some(&counters("pin", &[("accepted", 5)])), Some(&stream));
        assert_eq!((counts.clone(), verdict(&counts).text), (Counts::default(), "not told yet".to_owned()));
        let told = Counts { in_kafka: Some(3), in_s3: Some(3), ..Counts::default() };
        assert_eq!((verdict(&told).text.as_str(), told.not_cleaned()), ("reconciles", 0));
        assert_eq!(Counts { read: Some(1), ..told }.not_cleaned(), 2);
        let mut nothing = Counts::default();
        nothing.nothing_cleaned();
        assert_eq!(verdict(&nothing).text, "not told yet");
        let missing = BTreeMap::new();
        assert_eq!(Counts::of("pin", Some(&missing), None, None), Counts::default());
    }

    proptest! {
        /// Events that are somewhere on their way are no sign of a loss, wherever each of them is.
        #[test]
        fn what_is_on_its_way_adds_up(steps in prop::collection::vec(0_u64..50, 8)) {
            let [posting, refused, unflushed, uncleaned, rows, rejected, duplicates, unknown] = steps[..] else { return Ok(()) };
            let read = rows + rejected + duplicates;
            let (stored, written) = (read + uncleaned, read + uncleaned + unflushed);
            let emulator = [written + refused + posting, written, refused, unknown];
            let verdict = verdict(&counted(emulator, [written, stored], [read, rows, rejected, duplicates]));
            prop_assert!(verdict.adds_up);
            prop_assert_eq!(verdict.text == "reconciles", posting + unflushed + uncleaned == 0);
        }
    }
}
