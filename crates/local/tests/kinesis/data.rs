//! Putting and getting records.

use std::time::Duration;

use num_bigint::BigUint;
use serde_json::{Value, json};

use crate::support::*;

const SHARD: &str = "shardId-000000000000";

#[tokio::test]
async fn a_record_comes_back_as_it_was_put() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let (shard, sequence) = cloud.put("s", "clé", "hello").await;
    assert_eq!(shard, SHARD);
    assert!(sequence.len() == 56 && sequence.starts_with("49"), "{sequence}");
    let answer = cloud.get(&cloud.oldest("s", SHARD).await).await;
    let record = &answer["Records"][0];
    assert_eq!((data(record).as_str(), &record["PartitionKey"]), ("hello", &json!("clé")));
    assert_eq!(record["SequenceNumber"], sequence);
    let age = cloud.clock.now_millis() as f64 / 1_000.0 - record["ApproximateArrivalTimestamp"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(answer["MillisBehindLatest"], 0);
    cloud.put("s", "k", "").await;
    assert_eq!(cloud.data(&text(&answer["NextShardIterator"])).await, [""]);
}

#[tokio::test]
async fn hash_keys_decide_on_the_shard() {
    let cloud = Cloud::new();
    cloud.stream("s", 2).await;
    // MD5 of `a` begins with 0c, that of `b` with 92.
    assert_eq!(cloud.put("s", "a", "x").await.0, SHARD);
    assert_eq!(cloud.put("s", "b", "x").await.0, "shardId-000000000001");
    let explicit = |hash: &str| {
        let mut record = record("s", "a", "x");
        record["ExplicitHashKey"] = json!(hash);
        record
    };
    let highest = explicit("340282366920938463463374607431768211455");
    assert_eq!(cloud.ok("PutRecord", highest).await["ShardId"], "shardId-000000000001");
    let beyond = cloud.refused("PutRecord", explicit("340282366920938463463374607431768211456")).await;
    assert_eq!(beyond.0, "InvalidArgumentException");
    assert!(beyond.1.starts_with("Invalid ExplicitHashKey."), "{}", beyond.1);
}

#[tokio::test]
async fn sequence_numbers_rise_and_can_be_named_for_ordering() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let mut last = BigUint::from(0_u8);
    for _ in 0..20 {
        let (_, sequence) = cloud.put("s", "k", "x").await;
        let number: BigUint = sequence.parse().unwrap();
        assert!(number > last);
        last = number;
    }
    let mut ordered = record("s", "k", "x");
    ordered["SequenceNumberForOrdering"] = json!(last.to_string());
    cloud.ok("PutRecord", ordered.clone()).await;
    ordered["SequenceNumberForOrdering"] = json!("123");
    assert_eq!(cloud.refused_code("PutRecord", ordered).await, "InvalidArgumentException");
    let start = text(&cloud.shards("s").await[0]["SequenceNumberRange"]["StartingSequenceNumber"]);
    assert!(start.parse::<BigUint>().unwrap() < last);
}

#[tokio::test]
async fn every_kind_of_iterator_begins_where_it_says() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let mut sequences = Vec::new();
    let mut times = Vec::new();
    for data in ["a", "b", "c"] {
        sequences.push(cloud.put("s", "k", data).await.1);
        times.push(cloud.clock.now_millis());
        cloud.clock.advance(Duration::from_secs(10));
    }
    let read = async |more: Value| cloud.data(&cloud.iterator("s", SHARD, more).await).await;
    let at = |kind: &str, sequence: &str| json!({ "ShardIteratorType": kind, "StartingSequenceNumber": sequence });
    assert_eq!(read(json!({ "ShardIteratorType": "TRIM_HORIZON" })).await, ["a", "b", "c"]);
    assert_eq!(read(at("AT_SEQUENCE_NUMBER", &sequences[1])).await, ["b", "c"]);
    assert_eq!(read(at("AFTER_SEQUENCE_NUMBER", &sequences[1])).await, ["c"]);
    let start = text(&cloud.shards("s").await[0]["SequenceNumberRange"]["StartingSequenceNumber"]);
    assert_eq!(read(at("AT_SEQUENCE_NUMBER", &start)).await, ["a", "b", "c"]);
    assert_eq!(read(at("AFTER_SEQUENCE_NUMBER", &start)).await, ["a", "b", "c"]);
    let when = |millis: i64| json!({ "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": millis as f64 / 1_000.0 });
    assert_eq!(read(when(times[0] + 5_000)).await, ["b", "c"]);
    assert_eq!(read(when(0)).await, ["a", "b", "c"]);
    assert_eq!(read(when(times[2] + 1_000)).await, Vec::<String>::new());
    let latest = cloud.iterator("s", SHARD, json!({ "ShardIteratorType": "LATEST" })).await;
    assert_eq!(cloud.data(&latest).await, Vec::<String>::new());
    cloud.put("s", "k", "d").await;
    assert_eq!(cloud.data(&latest).await, ["d"]);

    let refuse = async |mut more: Value| {
        more["StreamName"] = json!("s");
        more["ShardId"] = more.get("ShardId").cloned().unwrap_or(json!(SHARD));
        cloud.refused_code("GetShardIterator", more).await
    };
    assert_eq!(refuse(json!({ "ShardIteratorType": "AT_SEQUENCE_NUMBER" })).await, "InvalidArgumentException");
    assert_eq!(refuse(at("LATEST", &sequences[0])).await, "InvalidArgumentException");
    assert_eq!(refuse(at("AT_SEQUENCE_NUMBER", "7")).await, "InvalidArgumentException");
    assert_eq!(refuse(json!({ "ShardIteratorType": "AT_TIMESTAMP" })).await, "InvalidArgumentException");
    assert_eq!(refuse(when(cloud.clock.now_millis() + 60_000)).await, "InvalidArgumentException");
    let nowhere = json!({ "ShardIteratorType": "LATEST", "ShardId": "shardId-000000000009" });
    assert_eq!(refuse(nowhere).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn iterators_are_genuine_expire_and_belong_to_one_stream() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    cloud.put("s", "k", "x").await;
    let iterator = cloud.oldest("s", SHARD).await;
    let cloud = cloud.restart();
    assert_eq!(cloud.data(&iterator).await, ["x"]);
    for forged in ["AAAA", "not base64", &iterator[4..], &format!("{iterator}AAAA")] {
        let refused = cloud.refused("GetRecords", json!({ "ShardIterator": forged })).await;
        assert_eq!(refused, ("InvalidArgumentException".to_owned(), "Invalid ShardIterator.".to_owned()));
    }
    cloud.clock.advance(Duration::from_secs(299));
    assert_eq!(cloud.data(&iterator).await, ["x"]);
    cloud.clock.advance(Duration::from_secs(2));
    let (code, message) = cloud.refused("GetRecords", json!({ "ShardIterator": iterator })).await;
    assert_eq!(code, "ExpiredIteratorException");
    assert!(message.contains(" UTC ") && message.contains("300000 milliseconds"), "{message}");

    let iterator = cloud.oldest("s", SHARD).await;
    cloud.settled("DeleteStream", json!({ "StreamName": "s" })).await;
    cloud.stream("s", 1).await;
    assert_eq!(
        cloud.refused_code("GetRecords", json!({ "ShardIterator": iterator })).await,
        "InvalidArgumentException"
    );
}

#[tokio::test]
async fn reading_is_limited_and_says_how_far_behind_it_is() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    for number in 0..3 {
        cloud.put("s", "k", &number.to_string()).await;
    }
    cloud.clock.advance(Duration::from_secs(7));
    let first = json!({ "ShardIterator": cloud.oldest("s", SHARD).await, "Limit": 2 });
    let answer = cloud.ok("GetRecords", first).await;
    assert_eq!(list(&answer["Records"]).len(), 2);
    let behind = answer["MillisBehindLatest"].as_i64().unwrap();
    assert!((7_000..60_000).contains(&behind), "{behind}");
    let rest = cloud.get(&text(&answer["NextShardIterator"])).await;
    assert_eq!((list(&rest["Records"]).len(), &rest["MillisBehindLatest"]), (1, &json!(0)));
}

#[tokio::test]
async fn large_records_come_in_answers_of_ten_mebibytes() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let mebibyte = "m".repeat((1 << 20) - 1);
    for _ in 0..12 {
        cloud.put("s", "k", &mebibyte).await;
    }
    let answer = cloud.get(&cloud.oldest("s", SHARD).await).await;
    assert_eq!(list(&answer["Records"]).len(), 10);
    assert!(answer["MillisBehindLatest"].as_i64().unwrap() > 0);
    assert_eq!(cloud.drain("s", SHARD).await.len(), 12);

    let over = cloud.refused("PutRecord", record("s", "k", &"m".repeat((1 << 20) + 1))).await;
    assert_eq!(over.0, "ValidationException");
    assert!(over.1.contains("less than or equal to 1048576"), "{}", over.1);
    let with_key = cloud.refused("PutRecord", record("s", "key", &mebibyte)).await;
    assert_eq!(with_key.0, "InvalidArgumentException");
    cloud.settled("UpdateMaxRecordSize", json!({ "StreamARN": arn("s"), "MaxRecordSizeInKiB": 10_240 })).await;
    let entry = json!({ "PartitionKey": "k", "Data": encode("m".repeat(9 << 20)) });
    let one = json!({ "StreamName": "s", "Records": [entry] });
    assert_eq!(cloud.ok("PutRecords", one).await["FailedRecordCount"], 0);
    let two = json!({ "StreamName": "s", "Records": [entry, entry] });
    let refused = cloud.refused("PutRecords", two).await;
    assert_eq!(refused, ("InvalidArgumentException".to_owned(), "Records size exceeds 10 MB limit".to_owned()));
}

#[tokio::test]
async fn put_records_keeps_their_order_and_answers_each() {
    let cloud = Cloud::new();
    cloud.stream("s", 3).await;
    let records: Vec<Value> = (0..100)
        .map(|number| json!({ "PartitionKey": format!("key{}", number % 7), "Data": encode(number.to_string()) }))
        .collect();
    let answer = cloud.ok("PutRecords", json!({ "StreamName": "s", "Records": records })).await;
    assert_eq!(answer["FailedRecordCount"], 0);
    let answered = list(&answer["Records"]);
    let mut found = 0;
    for shard in 0..3 {
        let shard = format!("shardId-{shard:012}");
        let got = cloud.drain("s", &shard).await;
        let expected: Vec<(String, Value)> = answered
            .iter()
            .enumerate()
            .filter(|(_, result)| result["ShardId"] == shard)
            .map(|(number, result)| (number.to_string(), result["SequenceNumber"].clone()))
            .collect();
        let got: Vec<(String, Value)> =
            got.iter().map(|record| (data(record), record["SequenceNumber"].clone())).collect();
        assert_eq!(got, expected);
        found += got.len();
    }
    assert_eq!(found, 100);
}

#[tokio::test]
async fn a_partition_key_is_needed_unless_records_are_scattered() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let bare = json!({ "StreamName": "s", "Records": [{ "Data": encode("x") }] });
    let (code, message) = cloud.refused("PutRecords", bare.clone()).await;
    assert!(code == "ValidationException" && message.contains("records.1.member.partitionKey"), "{message}");
    let scattered = json!({
        "StreamName": "t",
        "StreamModeDetails": { "StreamMode": "ON_DEMAND" },
        "RecordDistributionStrategy": "AUTO",
    });
    cloud.settled("CreateStream", scattered).await;
    let mut bare = bare;
    bare["StreamName"] = json!("t");
    let shard = text(&cloud.ok("PutRecords", bare).await["Records"][0]["ShardId"]);
    let got = cloud.drain("t", &shard).await;
    assert!(got.len() == 1 && got[0].get("PartitionKey").is_none());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let mut dry = record("s", "k", "x");
    dry["DryRun"] = json!(true);
    assert_eq!(cloud.refused_code("PutRecord", dry).await, "DryRunOperationException");
    assert_eq!(cloud.drain("s", SHARD).await.len(), 0);
}

#[tokio::test]
async fn limits_refuse_single_records_and_reads() {
    let cloud = Cloud::with(true);
    cloud.stream("s", 1).await;
    cloud.settle();
    let records = |count: usize, bytes: usize| {
        let entry = json!({ "PartitionKey": "k", "Data": encode("x".repeat(bytes)) });
        json!({ "StreamName": "s", "Records": vec![entry; count] })
    };
    // Four of these fill a second; what real time adds meanwhile is far less than another one.
    let answer = cloud.ok("PutRecords", records(6, (1 << 18) - 1)).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    let results = list(&answer["Records"]);
    assert_eq!(results[3]["ShardId"], SHARD);
    assert_eq!(
        results[5],
        json!({
            "ErrorCode": "ProvisionedThroughputExceededException",
            "ErrorMessage": format!("Rate exceeded for shard {SHARD} in stream s under account {ACCOUNT}."),
        })
    );
    let over = cloud.refused_code("PutRecord", record("s", "k", &"x".repeat(1 << 18))).await;
    assert_eq!(over, "ProvisionedThroughputExceededException");
    cloud.clock.advance(Duration::from_secs(1));
    cloud.put("s", "k", "x").await;

    let iterator = json!({ "ShardIterator": cloud.oldest("s", SHARD).await });
    let mut refused = 0;
    for _ in 0..12 {
        if let Err(error) = cloud.call("GetRecords", iterator.clone()).await {
            assert_eq!(error.code, "ProvisionedThroughputExceededException");
            refused += 1;
        }
    }
    assert!(refused >= 6, "{refused}");
    cloud.clock.advance(Duration::from_secs(10));
    assert_eq!(list(&cloud.ok("GetRecords", iterator).await["Records"]).len(), 5);
}

#[tokio::test]
async fn expired_records_are_gone_and_stay_gone() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    cloud.put("s", "k", "old").await;
    cloud.clock.advance(20 * HOUR);
    cloud.put("s", "k", "new").await;
    let all = async || -> Vec<String> { cloud.drain("s", SHARD).await.iter().map(data).collect() };
    assert_eq!(all().await, ["old", "new"]);
    cloud.clock.advance(5 * HOUR);
    assert_eq!(all().await, ["new"]);
    let hours = |hours: u32| json!({ "StreamName": "s", "RetentionPeriodHours": hours });
    cloud.settled("IncreaseStreamRetentionPeriod", hours(100)).await;
    assert_eq!(all().await, ["new"], "a longer retention brings nothing back");
    cloud.clock.advance(40 * HOUR);
    cloud.put("s", "k", "newest").await;
    assert_eq!(all().await, ["new", "newest"]);
    cloud.settled("DecreaseStreamRetentionPeriod", hours(24)).await;
    cloud.settled("IncreaseStreamRetentionPeriod", hours(100)).await;
    assert_eq!(all().await, ["newest"], "a shorter one drops at once");
}
