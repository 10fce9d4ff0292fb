//! What flows, through whatever the stream does.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::config::Arrival;

use crate::world::{Cleaner, Events, STREAM, World, batches, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_counted_and_in_its_place() {
    let world = World::with_shards(2).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(100, 2_000);
    world.put(&events.records).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(events.count()).await;
    assert_eq!(cleaner.counters(), events.counters());
    let report = cleaner.teller.report();
    assert!(report.healthy, "{report:?}");
    assert!(report.doing.starts_with("2 shards, "), "{report:?}");
    for id in &events.probes {
        let path = Path::from(format!("_pinfra/probes/{id}/words.json"));
        until("the probe's arrival is said", async || lake.store().get(&path).await.is_ok()).await;
        let said = lake.store().get(&path).await.unwrap().bytes().await.unwrap();
        let arrival: Arrival = serde_json::from_slice(&said).unwrap();
        assert_eq!((arrival.id.as_str(), arrival.table.as_str(), arrival.rejected), (id.as_str(), "words", None));
        assert!(arrival.in_stream <= arrival.read && arrival.read <= arrival.committed);
    }
    cleaner.stopped().await;
    events.are_in(&lake).await;

    // Sent once more, they are all known; a restart without the index finds that out from the table.
    std::fs::remove_file(folder.path().join("known-words.redb")).unwrap();
    world.put(&events.records).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(2 * events.count()).await;
    let [read, rows, rejected, duplicates, probes] = events.counters();
    assert_eq!(cleaner.counters(), [2 * read, rows, 2 * rejected, duplicates * 2 + rows, 2 * probes]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_records_are_rejects_with_a_reason() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{\"index\": 1".to_vec(),
        b"[1]".to_vec(),
        b"{\"index\": [1]}".to_vec(),
        b"{\"word\": \"w\"}".to_vec(),
        b"{\"index\": 99999999999}".to_vec(),
        b"\0\0\0".to_vec(),
        b"{\"index\": 1, \"word\": \"\xff\"}".to_vec(),
        "[".repeat(10_000).into_bytes(),
        format!("{{\"index\": \"{}\"}}", "x".repeat(1_000_000)).into_bytes(),
    ];
    let good: Vec<Vec<u8>> = vec![
        b"{\"index\": 1, \"word\": \"w\", \"unknown\": {\"a\": []}}".to_vec(),
        format!("{{\"index\": 2, \"word\": \"{}\"}}", "y".repeat(1_000_000)).into_bytes(),
    ];
    for record in malformed.iter().chain(&good) {
        world.put(std::slice::from_ref(record)).await;
    }
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(12).await;
    assert_eq!(cleaner.counters(), [12, 2, 10, 0, 0]);
    cleaner.stopped().await;
    let rejects = batches(&lake, &lake.rejects_url()).await;
    let mut reasons = Vec::new();
    for batch in &rejects {
        let reason = arrow::array::AsArray::as_string::<i32>(&batch["reason"]);
        reasons.extend(reason.iter().flatten().map(str::to_owned));
    }
    assert_eq!(reasons.len(), 10);
    assert!(reasons.iter().all(|reason| !reason.is_empty() && reason.len() < 500), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resharding_is_followed() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(100, 600);
    let (first, rest) = events.records.split_at(200);
    world.put(first).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(60).await;
    let half = (1u128 << 127).to_string();
    let split = world.kinesis.split_shard().stream_name(STREAM).shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(half).send().await.unwrap();
    world.active(STREAM).await;
    let (second, third) = rest.split_at(200);
    world.put(second).await;
    let merge = world.kinesis.merge_shards().stream_name(STREAM).shard_to_merge("shardId-000000000001");
    merge.adjacent_shard_to_merge("shardId-000000000002").send().await.unwrap();
    world.active(STREAM).await;
    world.put(third).await;
    cleaner.has_read(600).await;
    assert_eq!(cleaner.counters(), events.counters());
    cleaner.stopped().await;
    events.are_in(&lake).await;
    // Who comes later begins where the closed shards ended.
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    until("it reads the one open shard", async || cleaner.teller.report().doing.starts_with("1 shard,")).await;
    assert_eq!(cleaner.counters(), events.counters());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cleaners_share_and_one_takes_over() {
    let world = World::with_shards(4).await;
    let lake = world.lake("lake").await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let events = Events::new(100, 1_200);
    let (first, rest) = events.records.split_at(400);
    let one = Cleaner::start(&world, &lake, folders[0].path());
    let two = Cleaner::start(&world, &lake, folders[1].path());
    world.put(first).await;
    until("each reads two of the four shards", async || {
        [&one, &two].iter().all(|cleaner| cleaner.teller.report().doing.starts_with("2 shards,"))
    })
    .await;
    let (second, third) = rest.split_at(400);
    world.put(second).await;
    until("all is read", async || one.counter("read").max(two.counter("read")) == 800).await;
    drop(two);
    world.put(third).await;
    one.has_read(1_200).await;
    assert_eq!(one.counters(), events.counters());
    one.stopped().await;
    events.are_in(&lake).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_there_is_waited_for() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    world.delete(STREAM).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    until("it says what is missing", async || {
        let report = cleaner.teller.report();
        !report.healthy && report.last_error.is_some_and(|error| error.message.contains(STREAM))
    })
    .await;
    world.create(STREAM, 1).await;
    let events = Events::new(100, 40);
    world.put(&events.records).await;
    cleaner.has_read(40).await;
    until("it is well again", async || cleaner.teller.report().healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_made_again_is_read_from_its_beginning() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(100, 400);
    let (first, second) = events.records.split_at(200);
    world.put(first).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(200).await;
    // The first shard is closed and read to its end: of the new stream's first shard that says nothing.
    let half = (1u128 << 127).to_string();
    let split = world.kinesis.split_shard().stream_name(STREAM).shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(half).send().await.unwrap();
    world.active(STREAM).await;
    until("both children are read", async || cleaner.teller.report().doing.starts_with("2 shards,")).await;
    cleaner.stopped().await;
    world.delete(STREAM).await;
    world.create(STREAM, 1).await;
    world.put(second).await;
    let cleaner = Cleaner::start(&world, &lake, folder.path());
    cleaner.has_read(400).await;
    assert_eq!(cleaner.counters(), events.counters());

    // Also under a cleaner that runs.
    world.delete(STREAM).await;
    world.create(STREAM, 2).await;
    world.put(second).await;
    cleaner.has_read(600).await;
    let [read, rows, ..] = events.counters();
    assert_eq!(cleaner.counters()[..2], [read + 200, rows]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tables_may_share_a_stream() {
    let world = World::with_shards(1).await;
    let lake = world.lake("lake").await;
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(100, 200);
    world.put(&events.records).await;
    let config = Cleaner::config(&lake, &[("words", STREAM), ("more_words", STREAM)]);
    let cleaner = Cleaner::run(&world, &lake, folder.path(), config);
    for table in ["words", "more_words"] {
        until("all is read", async || cleaner.counter_of(table, "read") == events.count()).await;
    }
    cleaner.stopped().await;
    let rejects: usize = batches(&lake, &lake.rejects_url()).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rejects, 2 * events.rejected.values().sum::<usize>());
}
