//! What was acknowledged is there after any end of the process, and concurrent callers lose and repeat nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pinfra_local::services::kinesis::Kinesis;
use serde_json::json;

use crate::support::*;

const SHARD: &str = "shardId-000000000000";

fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Folders may vanish while they are walked: that is what one of the tests waits for.
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A copy of the folder, taken while the process lives, is what a kill at that moment leaves.
#[tokio::test]
async fn what_is_acknowledged_is_in_the_kernel() {
    let cloud = Cloud::new();
    cloud.stream("s", 2).await;
    let mut put = Vec::new();
    for number in 0..50 {
        put.push(cloud.put("s", &format!("key{number}"), &number.to_string()).await);
    }
    cloud.ok("IncreaseStreamRetentionPeriod", json!({ "StreamName": "s", "RetentionPeriodHours": 30 })).await;
    let killed = tempfile::tempdir().unwrap();
    copy(cloud.folder.path(), killed.path());

    let kinesis = Kinesis::open(killed.path(), cloud.clock.clone(), &cloud.settings).unwrap();
    let after = Cloud { kinesis, clock: cloud.clock.clone(), settings: cloud.settings.clone(), folder: killed };
    assert_eq!(after.status("s").await, "UPDATING");
    let mut found = Vec::new();
    for shard in [SHARD, "shardId-000000000001"] {
        for record in after.drain("s", shard).await {
            found.push((shard.to_owned(), text(&record["SequenceNumber"])));
        }
    }
    put.sort();
    found.sort();
    assert_eq!(found, put);
}

#[tokio::test]
async fn a_torn_tail_costs_only_what_was_torn() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    for number in 0..10 {
        cloud.put("s", "k", &number.to_string()).await;
    }
    let Cloud { kinesis, clock, settings, folder } = cloud;
    drop(kinesis);
    let segment = files_under(folder.path(), "log").pop().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let kinesis = Kinesis::open(folder.path(), clock.clone(), &settings).unwrap();
    let cloud = Cloud { kinesis, clock, settings, folder };
    assert_eq!(cloud.drain("s", SHARD).await.len(), 9);
    cloud.put("s", "k", "again").await;
    let data: Vec<String> = cloud.restart().drain("s", SHARD).await.iter().map(data).collect();
    assert_eq!(data[8..], ["8", "again"]);
}

#[tokio::test]
async fn a_deleted_stream_frees_its_disk() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    cloud.put("s", "k", "x").await;
    assert_eq!(files_under(cloud.folder.path(), "log").len(), 1);
    cloud.settled("DeleteStream", json!({ "StreamName": "s" })).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !files_under(cloud.folder.path(), "log").is_empty() {
        assert!(Instant::now() < deadline, "the segment is still there");
        tokio::task::yield_now().await;
    }
    let cloud = cloud.restart();
    assert_eq!(cloud.ok("ListStreams", json!({})).await["StreamNames"], json!([]));
}

#[tokio::test]
async fn folders_without_a_stream_are_removed_at_the_start() {
    let cloud = Cloud::new();
    let orphan = cloud.folder.path().join("kinesis/streams/00ff/000000000000");
    std::fs::create_dir_all(&orphan).unwrap();
    let _cloud = cloud.restart();
    assert!(!orphan.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_and_a_reader_lose_and_repeat_nothing() {
    const WRITERS: usize = 16;
    const BATCHES: usize = 20;
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let iterator = cloud.oldest("s", SHARD).await;
    let kinesis = Arc::new(cloud.kinesis);
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (kinesis, done) = (Arc::clone(&kinesis), Arc::clone(&done));
        async move {
            let (mut iterator, mut got) = (iterator, Vec::new());
            loop {
                let finished = done.load(Ordering::Acquire);
                let answer = call(&kinesis, "GetRecords", json!({ "ShardIterator": iterator })).await.unwrap();
                let records = list(&answer["Records"]);
                if finished && records.is_empty() {
                    assert_eq!(answer["MillisBehindLatest"], 0);
                    return got;
                }
                got.extend(records.iter().map(|record| (data(record), text(&record["SequenceNumber"]))));
                iterator = text(&answer["NextShardIterator"]);
            }
        }
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let kinesis = Arc::clone(&kinesis);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for batch in 0..BATCHES {
                    let one = format!("{writer}/{batch}/one");
                    let answer = call(&kinesis, "PutRecord", record("s", "k", &one)).await.unwrap();
                    acknowledged.push((one, text(&answer["SequenceNumber"])));
                    let names: Vec<String> = (0..5).map(|number| format!("{writer}/{batch}/{number}")).collect();
                    let records: Vec<_> =
                        names.iter().map(|name| json!({ "PartitionKey": "k", "Data": encode(name) })).collect();
                    let input = json!({ "StreamName": "s", "Records": records });
                    let answer = call(&kinesis, "PutRecords", input).await.unwrap();
                    let results = list(&answer["Records"]);
                    let sequences = results.iter().map(|result| text(&result["SequenceNumber"]));
                    acknowledged.extend(names.into_iter().zip(sequences));
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    done.store(true, Ordering::Release);
    let got = reader.await.unwrap();
    assert_eq!(got.len(), WRITERS * BATCHES * 6);
    assert!(got.is_sorted_by(|one, two| one.1 < two.1), "sequence numbers of 56 digits sort as text");
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_name_is_created_once() {
    let cloud = Cloud::new();
    let kinesis = Arc::new(cloud.kinesis);
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let kinesis = Arc::clone(&kinesis);
            tokio::spawn(
                async move { call(&kinesis, "CreateStream", json!({ "StreamName": "s", "ShardCount": 1 })).await },
            )
        })
        .collect();
    let mut created = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => created += 1,
            Err(error) => assert_eq!(error.code, "ResourceInUseException"),
        }
    }
    assert_eq!(created, 1);
}
