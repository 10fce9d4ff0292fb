//! Objects of one partition: rotation, names, and that no interleaving of kills loses or repeats a record.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use time::UtcOffset;

use super::partitioner::{Partitioner, TimeBased};
use super::path_format::PathFormat;
use super::pending::Pending;
use super::spool::SpoolFolder;
use super::timestamps::Extractor;
use super::value::Data;
use super::writer::{Format, Incoming, Object, PartitionWriter, Plan, Schedule, Unwritten, Whole};

fn plan(flush_size: u32) -> Plan {
    Plan {
        topics_dir: "topics".to_owned(),
        file_delim: "+".to_owned(),
        pad_width: 10,
        flush_size,
        rotate_millis: -1,
        schedule: None,
        extension: ".json".to_owned(),
        gzip: None,
        format: Format::Json,
        partitioner: Partitioner::Default,
    }
}

fn by_time(duration_millis: i64, extractor: Extractor) -> Partitioner {
    let format = PathFormat::parse("'at'=HH-mm-ss").unwrap();
    Partitioner::Time(TimeBased { format, zone: UtcOffset::UTC, duration_millis, extractor })
}

fn writer(plan: Plan, folder: &std::path::Path) -> PartitionWriter {
    PartitionWriter::new(Arc::new(plan), SpoolFolder::of(folder), "a.pin", 0, 0)
}

fn record(offset: i64) -> Incoming {
    Incoming { offset, timestamp_millis: offset * 1_000, value: Data::Int(offset) }
}

/// Keys with their contents.
fn objects(whole: &[Whole]) -> BTreeMap<String, String> {
    let objects = whole.iter().flat_map(|whole| &whole.objects);
    objects.map(|object| (object.key.clone(), text(object))).collect()
}

fn text(object: &Object) -> String {
    let mut text = String::new();
    object.body.reader().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Gives the records 0, 1, 2 … at these times of the clock.
fn written(plan: Plan, times: &[i64]) -> Vec<Whole> {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(plan, folder.path());
    let mut whole = Vec::new();
    for (offset, now) in times.iter().enumerate() {
        writer.take(&record(i64::try_from(offset).unwrap()), *now, &mut whole).unwrap();
    }
    whole
}

#[test]
fn an_object_a_record() {
    let whole = written(plan(1), &[0, 0]);
    assert_eq!(whole.iter().map(|whole| whole.commit).collect::<Vec<_>>(), [1, 2]);
    let expected = [
        ("topics/a.pin/partition=0/a.pin+0+0000000000.json", "0\n"),
        ("topics/a.pin/partition=0/a.pin+0+0000000001.json", "1\n"),
    ];
    assert_eq!(objects(&whole), expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
}

#[test]
fn an_object_of_several_records_is_named_by_its_first() {
    let whole = written(Plan { pad_width: 3, topics_dir: String::new(), ..plan(2) }, &[0; 5]);
    let expected = [("a.pin/partition=0/a.pin+0+000.json", "0\n1\n"), ("a.pin/partition=0/a.pin+0+002.json", "2\n3\n")];
    assert_eq!(objects(&whole), expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
}

#[test]
fn gzip_makes_the_same_bytes_each_time() {
    let bytes = || {
        let whole = written(Plan { gzip: Some(-1), extension: ".json.gz".to_owned(), ..plan(3) }, &[0; 3]);
        let object = &whole[0].objects[0];
        assert!(object.key.ends_with("+0000000000.json.gz"));
        let mut bytes = Vec::new();
        object.body.reader().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut text = String::new();
    GzDecoder::new(bytes().as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "0\n1\n2\n");
    assert_eq!(bytes(), bytes());
}

/// The record timestamps are a second apart; the third is 2 s younger than the first and begins the next object.
#[test]
fn rotation_by_the_times_of_records() {
    let plan = Plan { rotate_millis: 2_000, partitioner: by_time(3_600_000, Extractor::Record), ..plan(100) };
    let whole = written(plan, &[0; 5]);
    let texts: Vec<String> = objects(&whole).into_values().collect();
    assert_eq!(texts, ["0\n1\n", "2\n3\n"]);
}

/// With an interval another directory rotates; without one each directory is an object of its own, and `flush.size`
/// counts the records of all.
#[test]
fn directories() {
    let partitioner = by_time(2_000, Extractor::Record);
    let whole = written(Plan { partitioner: partitioner.clone(), ..plan(3) }, &[0; 3]);
    assert_eq!(whole.len(), 1);
    let expected = [
        ("topics/a.pin/at=00-00-00/a.pin+0+0000000000.json", "0\n1\n"),
        ("topics/a.pin/at=00-00-02/a.pin+0+0000000002.json", "2\n"),
    ];
    assert_eq!(objects(&whole), expected.map(|(key, text)| (key.to_owned(), text.to_owned())).into());
    let whole = written(Plan { partitioner, rotate_millis: 60_000, ..plan(3) }, &[0; 3]);
    assert_eq!(objects(&whole).into_values().collect::<Vec<_>>(), ["0\n1\n"]);
}

/// The connector ignores `rotate.interval.ms` without a time-based partitioner, and says so.
#[test]
fn an_interval_without_times_of_records_does_nothing() {
    let plan = Plan { rotate_millis: 1, ..plan(100) };
    assert!(plan.warning().unwrap().contains("This property is ignored"));
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(plan, folder.path());
    let mut whole = Vec::new();
    writer.take(&record(0), 0, &mut whole).unwrap();
    writer.take(&record(1), 10, &mut whole).unwrap();
    assert!(whole.is_empty() && writer.tick(1_000_000).unwrap().is_none());
}

#[test]
fn rotation_by_the_clock() {
    let schedule = Schedule { interval_millis: 600_000, zone: UtcOffset::UTC };
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(Plan { schedule: Some(schedule), ..plan(100) }, folder.path());
    let mut whole = Vec::new();
    assert!(writer.tick(700_000).unwrap().is_none(), "nothing is open");
    writer.take(&record(0), 700_001, &mut whole).unwrap();
    assert!(writer.tick(1_199_999).unwrap().is_none());
    let sealed = writer.tick(1_200_000).unwrap().unwrap();
    assert_eq!((sealed.commit, sealed.objects.len()), (1, 1));
    writer.take(&record(1), 1_200_001, &mut whole).unwrap();
    writer.take(&record(2), 1_800_000, &mut whole).unwrap();
    assert_eq!(objects(&whole).into_values().collect::<Vec<_>>(), ["1\n"]);
}

#[test]
fn bytes_are_written_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let format = Format::Bytes { separator: b"|".to_vec() };
    let mut writer = writer(Plan { format, extension: ".bin".to_owned(), ..plan(2) }, folder.path());
    let mut whole = Vec::new();
    let bytes = |offset, value| Incoming { offset, timestamp_millis: 0, value };
    writer.take(&bytes(0, Data::Bytes(b"a".to_vec())), 0, &mut whole).unwrap();
    let refused = writer.take(&bytes(1, Data::Text("b".to_owned())), 0, &mut whole).unwrap_err();
    assert!(matches!(refused, Unwritten::Record { .. }), "{refused:?}");
    writer.take(&bytes(2, Data::Bytes(b"c".to_vec())), 0, &mut whole).unwrap();
    assert_eq!(objects(&whole).into_values().collect::<Vec<_>>(), ["a|c|"]);
    assert_eq!(whole[0].commit, 3);
}

proptest! {
    /// A kill takes the writer, any of the objects that were being stored, and the commit that would have followed; by the
    /// clock, records are cut into other objects then. Every record is in exactly one object at the end.
    #[test]
    fn every_record_is_stored_once(
        count in 1_i64..200,
        flush_size in 1_u32..20,
        interval in prop_oneof![Just(-1_i64), 500_i64..5_000],
        schedule in proptest::option::of(1_000_i64..30_000),
        readings in proptest::collection::vec((1_i64..40, 1_i64..8_000), 1..30),
        kills in proptest::collection::vec((0_u32..6, any::<u8>(), any::<bool>()), 0..20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let plan = Arc::new(Plan {
            rotate_millis: interval,
            schedule: schedule.map(|interval_millis| Schedule { interval_millis, zone: UtcOffset::UTC }),
            partitioner: by_time(7_000, Extractor::Record),
            ..plan(flush_size)
        });
        let made = |now| PartitionWriter::new(plan.clone(), SpoolFolder::of(folder.path()), "a.pin", 0, now);
        let mut stored: BTreeMap<String, String> = BTreeMap::new();
        let (mut now, mut committed, mut position, mut lane, mut lived) = (0, 0, 0, made(0), 0);
        let mut readings = readings.into_iter().cycle();
        let mut kills = kills.into_iter().peekable();
        while position < count || schedule.is_some() && lane.has_open() {
            let (records, later) = readings.next().unwrap();
            now += later;
            let mut whole = Vec::new();
            let to = count.min(position + records);
            for offset in position..to {
                lane.take(&record(offset), now, &mut whole).unwrap();
            }
            whole.extend(lane.tick(now).unwrap());
            position = to;
            let mut pending = Pending::default();
            pending.add("a.pin", 0, whole, (!lane.has_open()).then_some(position));
            while let Some(step) = pending.next(plan.is_repeatable()) {
                let kill = kills.next_if(|(after, ..)| lived >= *after);
                for (index, object) in step.objects.iter().enumerate() {
                    if kill.is_some_and(|(_, those, commits)| !commits && those >> (index % 8) & 1 == 0) {
                        continue;
                    }
                    let before = stored.insert(object.key.clone(), text(object));
                    let alike = before.is_none_or(|before| before == stored[&object.key]);
                    prop_assert!(alike || !plan.is_repeatable(), "an object has changed");
                }
                lived += 1;
                if kill.is_none_or(|(.., commits)| commits) {
                    committed = step.offsets[0].2;
                }
                if kill.is_some() {
                    (position, lane, lived) = (committed, made(now), 0);
                    break;
                }
            }
        }
        let mut records: Vec<i64> = stored.values().flat_map(|text| text.lines()).map(|line| line.parse().unwrap()).collect();
        records.sort_unstable();
        let expected: Vec<i64> = (0..i64::try_from(records.len()).unwrap()).collect();
        prop_assert_eq!(&records, &expected, "each once, from the first on");
        // Without a schedule the last ones are still open.
        let complete = if schedule.is_some() { count } else { committed };
        prop_assert!(i64::try_from(records.len()).unwrap() >= complete);
    }
}
