//! The log against crashes, time and concurrent readers.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

type Read = Vec<(u64, i64, Vec<u8>)>;

fn open(folder: &Path, segment_bytes: u64) -> SegmentLog {
    SegmentLog::open(folder, LogOptions { segment_bytes, ..LogOptions::default() }, &FileHandles::new(8)).unwrap()
}

fn append(log: &SegmentLog, payloads: &[&[u8]], now: i64) -> Appended {
    let mut batch = Batch::default();
    for payload in payloads {
        batch.push(payload);
    }
    log.append(&mut batch, now).unwrap()
}

fn read_from(log: &SegmentLog, offset: u64) -> Read {
    let mut found = Vec::new();
    log.read(offset, |record| {
        found.push((record.offset, record.timestamp, record.payload.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn offsets(read: &Read) -> Vec<u64> {
    read.iter().map(|record| record.0).collect()
}

#[test]
fn reads_back_what_was_appended_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let expected = vec![(0, 10, b"a".to_vec()), (1, 10, Vec::new()), (2, 20, vec![7; 100])];
    {
        let log = open(folder.path(), 1 << 20);
        assert_eq!(append(&log, &[b"a", b""], 10), Appended { first_offset: 0, timestamp: 10 });
        append(&log, &[&[7; 100]], 20);
        assert_eq!(read_from(&log, 0), expected);
    }
    let log = open(folder.path(), 1 << 20);
    assert_eq!(read_from(&log, 0), expected);
    assert_eq!(append(&log, &[b"b"], 30).first_offset, 3);
    assert_eq!(offsets(&read_from(&log, 2)), [2, 3]);
    assert_eq!(read_from(&log, 9), []);
}

#[test]
fn nothing_is_on_disk_before_the_first_append() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("later");
    let log = open(&place, 100);
    assert_eq!((log.end_offset(), log.offset_at(5).unwrap()), (0, 0));
    log.sync().unwrap();
    assert!(!place.exists());
    append(&log, &[b"x"], 1);
    assert!(place.exists());
    log.delete().unwrap();
    assert!(!place.exists());
}

#[test]
fn every_prefix_of_a_segment_opens_to_a_prefix_of_the_records() {
    let source = tempfile::tempdir().unwrap();
    let log = open(source.path(), 1 << 20);
    for number in 0..6_u8 {
        append(&log, &[&vec![number; usize::from(number) * 3], b"zz"], i64::from(number));
    }
    let all = read_from(&log, 0);
    let bytes = std::fs::read(source.path().join("00000000000000000000.log")).unwrap();
    for length in 0..=bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00000000000000000000.log"), &bytes[..length]).unwrap();
        let log = open(folder.path(), 1 << 20);
        let left = read_from(&log, 0);
        assert_eq!(left, all[..left.len()], "cut at {length}");
        assert_eq!(log.end_offset(), left.len() as u64);
        assert_eq!(append(&log, &[b"next"], 50).first_offset, left.len() as u64);
        assert_eq!(open(folder.path(), 1 << 20).end_offset(), left.len() as u64 + 1);
        if length == bytes.len() {
            assert_eq!(left.len(), all.len());
        }
    }
}

#[test]
fn garbage_and_stale_records_behind_the_end_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000000000000000000.log");
    append(&open(folder.path(), 1 << 20), &[b"one", b"two"], 1);
    let whole = std::fs::read(&path).unwrap();
    // A stale copy of the first record has a right checksum, but not the offset that is due.
    for tail in [vec![0; 4096], vec![0xff; 30], whole[..27].to_vec()] {
        std::fs::write(&path, [whole.clone(), tail].concat()).unwrap();
        let log = open(folder.path(), 1 << 20);
        assert_eq!(offsets(&read_from(&log, 0)), [0, 1]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole.len() as u64);
    }
}

#[test]
fn damage_in_a_full_segment_is_an_error_and_not_silence() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 200);
    for now in 0..10 {
        append(&log, &[&[1; 50]], now);
    }
    let path = folder.path().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let result = open(folder.path(), 200).read(0, |_| ControlFlow::Continue(()));
    assert!(matches!(result, Err(LogError::Corrupt { position: 0, .. })), "{result:?}");
}

#[test]
fn rolls_segments_and_drops_the_expired_ones_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 200);
    for now in 0..30 {
        append(&log, &[&[1; 50]], now);
    }
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let before = files();
    assert!(before >= 10, "{before}");
    assert_eq!(offsets(&read_from(&log, 0)), (0..30).collect::<Vec<u64>>());
    let dropped = log.drop_before(15).unwrap();
    assert_eq!(files(), before - dropped);
    let left = offsets(&read_from(&log, 0));
    assert!(dropped > 0 && left[0] <= 15 && left[0] >= 12, "{left:?}");
    assert_eq!(log.drop_before(i64::MAX).unwrap(), files_dropped(before, dropped));
    assert_eq!(open(folder.path(), 200).end_offset(), 30);

    fn files_dropped(before: usize, dropped: usize) -> usize {
        before - dropped - 1
    }
}

#[test]
fn time_never_goes_back_in_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 100);
    append(&log, &[b"a"], 100);
    assert_eq!(append(&log, &[b"b"], 50).timestamp, 100);
    drop(log);
    assert_eq!(append(&open(folder.path(), 100), &[b"c"], 60).timestamp, 100);
}

#[test]
fn few_files_stay_open_under_many_logs() {
    let folder = tempfile::tempdir().unwrap();
    let handles = FileHandles::new(5);
    let logs: Vec<SegmentLog> = (0..40)
        .map(|number: u32| {
            let place = folder.path().join(number.to_string());
            SegmentLog::open(&place, LogOptions::default(), &handles).unwrap()
        })
        .collect();
    for now in 0..3 {
        for log in &logs {
            append(log, &[b"x"], now);
        }
    }
    assert!(handles.open_count() <= 5, "{}", handles.open_count());
    for log in &logs {
        log.sync().unwrap();
        assert_eq!(offsets(&read_from(log, 0)), [0, 1, 2]);
    }
}

#[test]
fn a_reader_sees_every_record_once_while_it_is_written_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open(folder.path(), 2_000));
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (log, done) = (Arc::clone(&log), Arc::clone(&done));
        move || {
            for now in 0..3_000_i64 {
                append(&log, &[&now.to_le_bytes(), &now.to_le_bytes()], now);
            }
            done.store(true, Ordering::Release);
        }
    });
    let mut next = 0;
    loop {
        let finished = done.load(Ordering::Acquire);
        let mut expected = next;
        next = log
            .read(next, |record| {
                assert_eq!(record.offset, expected);
                assert_eq!(record.payload, (record.offset as i64 / 2).to_le_bytes());
                expected += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(next, expected);
        log.drop_before(next as i64 / 2).unwrap();
        if finished {
            break;
        }
    }
    writer.join().unwrap();
    assert_eq!(next, 6_000);
}

#[test]
fn a_batch_keeps_what_it_is_told_to() {
    let mut batch = Batch::with_capacity(3, 10);
    for payload in [b"a", b"b", b"c"] {
        batch.push(payload);
    }
    let failed = batch.push_with(|buffer| {
        buffer.extend_from_slice(b"half");
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    batch.retain(|number| number != 1);
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 100);
    log.append(&mut batch, 1).unwrap();
    assert_eq!(read_from(&log, 0), [(0, 1, b"a".to_vec()), (1, 1, b"c".to_vec())]);
}

/// A payload's first byte says how many offsets it takes.
fn open_spanning(folder: &Path, segment_bytes: u64) -> SegmentLog {
    let span = |payload: &[u8]| u64::from(payload.first().copied().unwrap_or(1)).max(1);
    SegmentLog::open(folder, LogOptions { segment_bytes, span }, &FileHandles::new(8)).unwrap()
}

#[test]
fn a_payload_that_spans_offsets_is_found_by_any_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_spanning(folder.path(), 100);
    append(&log, &[&[3], &[1], &[5]], 1);
    append(&log, &[&[2, 0], &[4]], 2);
    assert_eq!(log.end_offset(), 15);
    let starts = [0, 0, 0, 3, 4, 4, 4, 4, 4, 9, 9, 11, 11, 11, 11];
    for log in [log, open_spanning(folder.path(), 100)] {
        assert_eq!(log.end_offset(), 15);
        for (offset, start) in starts.iter().enumerate() {
            assert_eq!(offsets(&read_from(&log, offset as u64))[0], *start, "{offset}");
        }
    }
}

#[test]
fn drops_what_lies_before_an_offset_or_beyond_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 200);
    for now in 0..30 {
        append(&log, &[&[1; 50]], now);
    }
    log.drop_until(11).unwrap();
    let start = log.start_offset();
    assert!(start > 8 && start <= 11, "{start}");
    let bytes = log.byte_len();
    assert_eq!(log.drop_beyond(bytes).unwrap(), 0);
    assert_eq!(log.drop_beyond(bytes - 1).unwrap(), 0);
    assert!(log.drop_beyond(bytes / 2).unwrap() > 0);
    assert!(log.byte_len() >= bytes / 2 && log.byte_len() < bytes, "{}", log.byte_len());
    log.drop_beyond(0).unwrap();
    assert_eq!(log.end_offset(), 30);
    assert!(log.start_offset() < 30 && log.recent_offset() == log.start_offset());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(15))]

    /// Whatever the sizes, times and segments: every look-up agrees with a plain list.
    #[test]
    fn look_ups_agree_with_a_list(
        records in prop::collection::vec((0_usize..40_000, 0_i64..3), 1..60),
        segment_bytes in 1_u64..200_000,
        reopen in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), segment_bytes);
        let (mut now, mut times) = (0, Vec::new());
        for (size, pause) in records {
            now += pause;
            append(&log, &[&vec![1; size]], now);
            times.push(now);
        }
        if reopen {
            drop(log);
            log = open(folder.path(), segment_bytes);
        }
        for time in -1..=now + 1 {
            let expected = times.iter().position(|at| *at >= time).unwrap_or(times.len());
            prop_assert_eq!(log.offset_at(time).unwrap(), expected as u64);
        }
        for from in 0..=times.len() {
            let expected: Vec<u64> = (from as u64..times.len() as u64).collect();
            prop_assert_eq!(offsets(&read_from(&log, from as u64)), expected);
        }
    }
}
