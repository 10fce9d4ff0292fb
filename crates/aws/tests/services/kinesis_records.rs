//! Kinesis: records, and every way to read them.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};

use crate::cloud::Cloud;

const SHARD: &str = "shardId-000000000000";

fn iterator(kinesis: &Client, kind: ShardIteratorType) -> GetShardIteratorFluentBuilder {
    kinesis.get_shard_iterator().stream_name("pins").shard_id(SHARD).shard_iterator_type(kind)
}

/// What one GetRecords from there returns.
async fn read(kinesis: &Client, from: GetShardIteratorFluentBuilder) -> Vec<String> {
    let iterator = from.send().await.unwrap().shard_iterator.unwrap();
    let got = kinesis.get_records().shard_iterator(iterator).send().await.unwrap();
    assert_eq!(got.millis_behind_latest, Some(0));
    got.records.into_iter().map(|record| String::from_utf8(record.data.into_inner()).unwrap()).collect()
}

async fn put(kinesis: &Client, data: &str) -> String {
    let put = kinesis.put_record().stream_name("pins").partition_key("k").data(Blob::new(data));
    put.send().await.unwrap().sequence_number
}

#[tokio::test]
async fn every_iterator_begins_where_it_says() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    put(&kinesis, "a").await;
    cloud.local.clock().advance(Duration::from_secs(10));
    let between = cloud.local.clock().now_millis();
    let at_b = put(&kinesis, "b").await;
    cloud.local.clock().advance(Duration::from_secs(10));
    put(&kinesis, "c").await;

    let latest = iterator(&kinesis, ShardIteratorType::Latest).send().await.unwrap().shard_iterator.unwrap();
    let kinds = |kind| iterator(&kinesis, kind);
    assert_eq!(read(&kinesis, kinds(ShardIteratorType::TrimHorizon)).await, ["a", "b", "c"]);
    let at = kinds(ShardIteratorType::AtSequenceNumber).starting_sequence_number(&at_b);
    assert_eq!(read(&kinesis, at).await, ["b", "c"]);
    let after = kinds(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(&at_b);
    assert_eq!(read(&kinesis, after).await, ["c"]);
    let since = kinds(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(between));
    assert_eq!(read(&kinesis, since).await, ["b", "c"]);
    assert_eq!(read(&kinesis, kinds(ShardIteratorType::Latest)).await, [""; 0]);
    put(&kinesis, "d").await;
    let got = kinesis.get_records().shard_iterator(latest).send().await.unwrap();
    assert_eq!(got.records.len(), 1, "LATEST is where the end was when it was asked for");
    assert_eq!(got.records[0].data.as_ref(), b"d");
}

#[tokio::test]
async fn an_iterator_goes_on_page_by_page_and_expires() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    let bytes: Vec<u8> = (0..=255).collect();
    let entries = (0..25).map(|number| {
        let data = Blob::new([bytes.as_slice(), &[number]].concat());
        PutRecordsRequestEntry::builder().partition_key(format!("ключ-{number}")).data(data).build().unwrap()
    });
    let put = kinesis.put_records().stream_name("pins").set_records(Some(entries.collect())).send().await.unwrap();
    assert_eq!(put.failed_record_count, Some(0));
    let given: Vec<&str> = put.records().iter().map(|record| record.sequence_number().unwrap()).collect();

    let first = iterator(&kinesis, ShardIteratorType::TrimHorizon).send().await.unwrap().shard_iterator.unwrap();
    let (mut next, mut found, mut behind) = (first.clone(), Vec::new(), Vec::new());
    while found.len() < 25 {
        let page = kinesis.get_records().shard_iterator(&next).limit(10).send().await.unwrap();
        behind.push(page.millis_behind_latest.unwrap() > 0);
        found.extend(page.records);
        next = page.next_shard_iterator.unwrap();
    }
    assert_eq!(behind, [true, true, false]);
    for ((number, record), sequence) in found.iter().enumerate().zip(given) {
        assert_eq!(record.sequence_number(), sequence);
        assert_eq!(record.partition_key(), Some(format!("ключ-{number}").as_str()));
        assert_eq!(record.data().as_ref(), [bytes.as_slice(), &[u8::try_from(number).unwrap()]].concat());
        assert!(record.approximate_arrival_timestamp().is_some());
    }
    cloud.local.clock().advance(Duration::from_secs(301));
    let expired = kinesis.get_records().shard_iterator(first).send().await.unwrap_err().into_service_error();
    assert!(expired.is_expired_iterator_exception(), "{expired:?}");
    let forged = kinesis.get_records().shard_iterator("AAAA").send().await.unwrap_err().into_service_error();
    assert!(forged.is_invalid_argument_exception(), "{forged:?}");
}

#[tokio::test]
async fn records_are_kept_for_as_long_as_the_retention_says() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    put(&kinesis, "old").await;
    cloud.local.clock().advance(Duration::from_secs(23 * 3600));
    put(&kinesis, "new").await;
    assert_eq!(read(&kinesis, iterator(&kinesis, ShardIteratorType::TrimHorizon)).await, ["old", "new"]);
    cloud.local.clock().advance(Duration::from_secs(2 * 3600));
    assert_eq!(read(&kinesis, iterator(&kinesis, ShardIteratorType::TrimHorizon)).await, ["new"]);
}

#[tokio::test]
async fn a_partition_key_or_an_explicit_hash_decides_on_the_shard() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 4).await;
    let put = |key: &'static str| kinesis.put_record().stream_name("pins").partition_key(key).data(Blob::new("x"));
    let one = put("same").send().await.unwrap().shard_id;
    assert_eq!(put("same").send().await.unwrap().shard_id, one);
    let hashes = ["0", "85070591730234615865843651857942052864", "340282366920938463463374607431768211455"];
    let mut shards = Vec::new();
    for hash in hashes {
        shards.push(put("same").explicit_hash_key(hash).send().await.unwrap().shard_id);
    }
    assert_eq!(shards, ["shardId-000000000000", "shardId-000000000001", "shardId-000000000003"]);
    let beyond = put("k").explicit_hash_key("340282366920938463463374607431768211456").send().await.unwrap_err();
    assert!(beyond.into_service_error().is_invalid_argument_exception());
}
