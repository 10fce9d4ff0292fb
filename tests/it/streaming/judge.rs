//! Whether no event was lost or is there twice: the workers' own counts against what the streams hold and what the
//! tables hold, each looked at by other means than the workers'.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use pinfra_aws::Clients;
use pinfra_workers::config::PROBE_FIELD;
use serde_json::Value;

use crate::pipeline::{NAME, Pipeline, TABLES};

/// The counts of one table.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Whether the emulator is done and all that was posted has been read from the streams, and is in S3 on the batch path.
pub(crate) fn is_through(status: &Value) -> bool {
    let workers = status["workers"].as_array().unwrap();
    let done = workers.iter().any(|worker| {
        worker["name"] == "emulator" && worker["condition"].as_str().is_some_and(|doing| doing.starts_with("done"))
    });
    let events = status["events"].as_array().unwrap();
    let arrived = |event: &Value| {
        let last = if event["path"] == "stream" { "read" } else { "in_s3" };
        event["counts"][last].as_u64() >= event["counts"]["accepted"].as_u64()
    };
    done && status["healthy"] == true && !events.is_empty() && events.iter().all(arrived)
}

/// Waits until all is read from the streams and judges. Returns the counts of each table on that path.
pub(crate) async fn reconciled(pipeline: &Pipeline) -> BTreeMap<String, Counts> {
    pipeline.status_when("through", is_through);
    // A shard keeps the order: when the probe is through, so is all that came before it.
    pipeline.sandbox.ok(&["verify", NAME]);
    let mut streams = BTreeMap::new();
    let clients = pipeline.sandbox.clients().await;
    for table in TABLES {
        streams.insert(table, records(&clients, &Pipeline::stream(table)).await);
    }
    // The heartbeat is a second or two behind.
    let told = pipeline.status_when("told in the heartbeat", |status| {
        TABLES.iter().all(|table| counts(status, "stream", table)["read"] >= streams[table].len() as u64)
    });
    let mut judged = BTreeMap::new();
    for table in TABLES {
        let counts = counts(&told, "stream", table);
        judge(pipeline, table, &counts, &streams[table]);
        judged.insert(table.to_owned(), counts);
    }
    judged
}

fn judge(pipeline: &Pipeline, table: &str, counts: &Counts, records: &[Vec<u8>]) {
    let count = |name: &str| counts[name];
    assert_eq!(count("emitted"), count("accepted") + count("refused"), "{table}: {counts:?}");
    assert!(count("accepted") <= count("read"), "lost in {table}: {counts:?}");
    assert!(count("read") <= count("accepted") + count("unknown"), "too many in {table}: {counts:?}");
    assert_eq!(count("read"), count("rows") + count("rejected") + count("duplicates"), "{table}: {counts:?}");
    assert_eq!(count("read"), records.len() as u64, "{table}: what was read is what the stream holds: {counts:?}");
    // Rows of the sample that differ stay different when they are cleaned, and all of them are clean enough.
    let distinct: BTreeSet<&Vec<u8>> = records.iter().collect();
    let rows = pipeline.number(&format!("SELECT count(*) FROM {table}"));
    let keys = pipeline.number(&format!("SELECT count(DISTINCT ind) FROM {table}"));
    assert_eq!((rows, keys), (distinct.len() as u64, distinct.len() as u64), "{table}: {counts:?}");
    assert_eq!((count("rows"), count("rejected")), (rows, 0), "{table}: {counts:?}");
}

/// The counts of one table on one path as `status` has them.
pub(crate) fn counts(status: &Value, path: &str, table: &str) -> Counts {
    let events = status["events"].as_array().unwrap();
    let event = events.iter().find(|event| event["path"] == path && event["table"] == table);
    let event = event.unwrap_or_else(|| panic!("{path}, {table}: {status:#}"));
    assert_eq!(event["adds_up"], true, "{event:#}");
    let counts = event["counts"].as_object().unwrap();
    counts.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect()
}

/// All that a stream of one shard holds, probes left out.
pub(crate) async fn records(clients: &Clients, stream: &str) -> Vec<Vec<u8>> {
    let kinesis = &clients.kinesis;
    let shards = kinesis.list_shards().stream_name(stream).send().await.unwrap();
    let [shard] = shards.shards() else { panic!("{stream} has one shard") };
    let iterator = kinesis.get_shard_iterator().stream_name(stream).shard_id(shard.shard_id());
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut iterator = iterator.shard_iterator().map(str::to_owned);
    let mut records = Vec::new();
    while let Some(at) = iterator.clone() {
        let page = match kinesis.get_records().shard_iterator(at).send().await {
            Ok(page) => page,
            // The cleaner reads the same shard.
            Err(error) if format!("{error:?}").contains("ProvisionedThroughputExceeded") => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            Err(error) => panic!("{stream}: {error:?}"),
        };
        records.extend(page.records().iter().map(|record| record.data().as_ref().to_vec()));
        iterator = page.next_shard_iterator().filter(|_| page.millis_behind_latest() != Some(0)).map(str::to_owned);
    }
    records.retain(|record| !String::from_utf8_lossy(record).contains(PROBE_FIELD));
    records
}
