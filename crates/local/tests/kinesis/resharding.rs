//! Splits, merges and scaling: hash ranges, lineage, and the order of records through them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

const HALF: &str = "170141183460469231731687303715884105728";

fn is_open(shard: &Value) -> bool {
    shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none()
}

fn ids(shards: &Value) -> Vec<String> {
    list(shards).iter().map(|shard| text(&shard["ShardId"])[8..].trim_start_matches('0').to_owned()).collect()
}

#[tokio::test]
async fn a_split_parent_stays_readable_and_leads_to_its_children() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    cloud.put("s", "a", "before").await;
    let tail = cloud.iterator("s", "shardId-000000000000", json!({ "ShardIteratorType": "LATEST" })).await;
    let split = json!({ "StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": HALF });
    cloud.ok("SplitShard", split.clone()).await;
    assert_eq!(cloud.refused_code("SplitShard", split.clone()).await, "ResourceInUseException");
    assert_eq!(cloud.put("s", "a", "left").await.0, "shardId-000000000001");
    assert_eq!(cloud.put("s", "b", "right").await.0, "shardId-000000000002");
    cloud.settle();
    assert_eq!(cloud.refused_code("SplitShard", split).await, "InvalidArgumentException");

    for iterator in [tail, cloud.oldest("s", "shardId-000000000000").await] {
        let end = cloud.get(&iterator).await;
        assert!(end.get("NextShardIterator").is_none(), "{end}");
        assert_eq!(end["ChildShards"][1]["ShardId"], "shardId-000000000002");
        assert_eq!(end["ChildShards"][1]["ParentShards"], json!(["shardId-000000000000"]));
        assert_eq!(end["ChildShards"][1]["HashKeyRange"]["StartingHashKey"], HALF);
    }
    let shards = cloud.shards("s").await;
    assert_eq!(shards[2]["ParentShardId"], "shardId-000000000000");
    assert!(!is_open(&shards[0]) && is_open(&shards[1]));

    let merge = json!({
        "StreamName": "s",
        "ShardToMerge": "shardId-000000000002",
        "AdjacentShardToMerge": "shardId-000000000001",
    });
    cloud.settled("MergeShards", merge).await;
    let cloud = cloud.restart();
    let shards = cloud.shards("s").await;
    assert_eq!(shards[3]["ParentShardId"], "shardId-000000000002");
    assert_eq!(shards[3]["AdjacentParentShardId"], "shardId-000000000001");
    assert_eq!(shards[3]["HashKeyRange"]["StartingHashKey"], "0");
    assert_eq!(cloud.put("s", "a", "after").await.0, "shardId-000000000003");
    let left: Vec<String> = cloud.drain("s", "shardId-000000000001").await.iter().map(data).collect();
    assert_eq!(left, ["left"]);
}

#[tokio::test]
async fn impossible_splits_and_merges_are_refused() {
    let cloud = Cloud::new();
    cloud.stream("s", 3).await;
    let split = |shard: &str, at: &str| json!({ "StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at });
    for (shard, at, code) in [
        ("shardId-000000000000", "0", "InvalidArgumentException"),
        ("shardId-000000000000", "1", "InvalidArgumentException"),
        ("shardId-000000000000", HALF, "InvalidArgumentException"),
        ("shardId-000000000007", HALF, "ResourceNotFoundException"),
        ("nonsense", HALF, "ResourceNotFoundException"),
    ] {
        assert_eq!(cloud.refused_code("SplitShard", split(shard, at)).await, code, "{shard} {at}");
    }
    let apart = json!({
        "StreamName": "s",
        "ShardToMerge": "shardId-000000000000",
        "AdjacentShardToMerge": "shardId-000000000002",
    });
    let (code, message) = cloud.refused("MergeShards", apart).await;
    assert!(code == "InvalidArgumentException" && message.contains("not an adjacent pair"), "{message}");
    assert_eq!(cloud.status("s").await, "ACTIVE");
}

#[tokio::test]
async fn scaling_goes_by_halves_and_doubles_ten_times_a_day() {
    let cloud = Cloud::new();
    cloud.stream("s", 2).await;
    let scale =
        |target: u32| json!({ "StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
    let (code, message) = cloud.refused("UpdateShardCount", scale(5)).await;
    assert_eq!(code, "LimitExceededException");
    assert!(message.contains("cannot scale up over double"), "{message}");
    let answer = cloud.settled("UpdateShardCount", scale(4)).await;
    assert_eq!((&answer["CurrentShardCount"], &answer["TargetShardCount"]), (&json!(2), &json!(4)));
    assert_eq!(cloud.refused_code("UpdateShardCount", scale(1)).await, "LimitExceededException");
    for target in [3, 6, 5, 3, 2, 4, 8, 4, 2] {
        cloud.settled("UpdateShardCount", scale(target)).await;
        let open = cloud.shards("s").await.iter().filter(|shard| is_open(shard)).count();
        assert_eq!(open, target as usize);
    }
    let (code, message) = cloud.refused("UpdateShardCount", scale(1)).await;
    assert!(code == "LimitExceededException" && message.contains("24 hours"), "{message}");
    cloud.clock.advance(24 * HOUR);
    cloud.settled("UpdateShardCount", scale(1)).await;
    cloud.clock.advance(25 * HOUR);
    assert_eq!(cloud.shards("s").await.len(), 1, "closed shards go with their records");

    let on_demand = json!({ "StreamARN": arn("s"), "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    cloud.settled("UpdateStreamMode", on_demand).await;
    assert_eq!(cloud.refused_code("UpdateShardCount", scale(2)).await, "ValidationException");
}

#[tokio::test]
async fn shard_filters_look_back_in_time() {
    let cloud = Cloud::new();
    cloud.stream("s", 2).await;
    cloud.clock.advance(HOUR);
    let early = cloud.clock.now_millis() as f64 / 1_000.0;
    cloud.clock.advance(HOUR);
    let scale = json!({ "StreamName": "s", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING" });
    cloud.settled("UpdateShardCount", scale).await;
    cloud.clock.advance(HOUR);
    let late = cloud.clock.now_millis() as f64 / 1_000.0;
    let listed = async |filter: Value| {
        ids(&cloud.ok("ListShards", json!({ "StreamName": "s", "ShardFilter": filter })).await["Shards"])
    };
    assert_eq!(listed(json!({ "Type": "FROM_TRIM_HORIZON" })).await, ["", "1", "2", "3", "4", "5"]);
    assert_eq!(listed(json!({ "Type": "AT_TRIM_HORIZON" })).await, ["", "1"]);
    assert_eq!(listed(json!({ "Type": "AT_LATEST" })).await, ["2", "3", "4", "5"]);
    assert_eq!(listed(json!({ "Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000003" })).await, ["4", "5"]);
    assert_eq!(listed(json!({ "Type": "AT_TIMESTAMP", "Timestamp": early })).await, ["", "1"]);
    assert_eq!(listed(json!({ "Type": "AT_TIMESTAMP", "Timestamp": late })).await, ["2", "3", "4", "5"]);
    assert_eq!(listed(json!({ "Type": "FROM_TIMESTAMP", "Timestamp": early })).await.len(), 6);
    assert_eq!(listed(json!({ "Type": "FROM_TIMESTAMP", "Timestamp": late })).await.len(), 4);
    let incomplete = json!({ "StreamName": "s", "ShardFilter": { "Type": "AFTER_SHARD_ID" } });
    assert_eq!(cloud.refused_code("ListShards", incomplete).await, "InvalidArgumentException");
    // Once the parents are closed for longer than the retention, they are at no horizon.
    cloud.clock.advance(24 * HOUR);
    assert_eq!(listed(json!({ "Type": "AT_TRIM_HORIZON" })).await, ["2", "3", "4", "5"]);
    assert_eq!(listed(json!({ "Type": "FROM_TRIM_HORIZON" })).await.len(), 4);
}

/// Reads a stream as a consumer does: a shard to its end, then its children.
async fn read_by_key(cloud: &Cloud) -> HashMap<String, Vec<u32>> {
    let mut by_key: HashMap<String, Vec<u32>> = HashMap::new();
    for shard in cloud.shards("s").await {
        // Numbers of children are higher than those of parents.
        for record in cloud.drain("s", &text(&shard["ShardId"])).await {
            by_key.entry(text(&record["PartitionKey"])).or_default().push(data(&record).parse().unwrap());
        }
    }
    by_key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_of_a_key_stay_in_order_while_shards_split_and_merge() {
    const KEYS: u32 = 6;
    let cloud = Arc::new(Cloud::new());
    cloud.stream("s", 2).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..KEYS)
        .map(|key| {
            let (cloud, done) = (Arc::clone(&cloud), Arc::clone(&done));
            tokio::spawn(async move {
                let mut count = 0;
                while !done.load(Ordering::Acquire) {
                    cloud.put("s", &format!("key{key}"), &count.to_string()).await;
                    count += 1;
                    tokio::task::yield_now().await;
                }
                count
            })
        })
        .collect();
    for target in [4, 2, 3, 5, 4, 8, 4] {
        let scale = json!({ "StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
        cloud.settled("UpdateShardCount", scale).await;
    }
    done.store(true, Ordering::Release);
    let mut expected = HashMap::new();
    for (key, writer) in writers.into_iter().enumerate() {
        let count: u32 = writer.await.unwrap();
        expected.insert(format!("key{key}"), (0..count).collect::<Vec<u32>>());
    }
    assert_eq!(read_by_key(&cloud).await, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for, granted or refused: the open shards cover all hash keys, restart or not.
    #[test]
    fn open_shards_always_cover_all_hash_keys(
        steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>(), any::<u128>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut cloud = Cloud::new();
            cloud.stream("s", 2).await;
            for (step, choice, hash) in steps {
                let shards = cloud.shards("s").await;
                let mut open: Vec<&Value> = shards.iter().filter(|shard| is_open(shard)).collect();
                open.sort_by_key(|shard| text(&shard["HashKeyRange"]["StartingHashKey"]).parse::<u128>().unwrap());
                let mut next = Some(0_u128);
                for shard in &open {
                    let range = &shard["HashKeyRange"];
                    assert_eq!(Some(text(&range["StartingHashKey"]).parse().unwrap()), next);
                    next = text(&range["EndingHashKey"]).parse::<u128>().unwrap().checked_add(1);
                }
                assert_eq!(next, None);
                let at = choice.index(open.len());
                let neighbour = open.get(at + 1).unwrap_or(&open[0]);
                let (operation, input) = match step {
                    0 => ("SplitShard", json!({ "ShardToSplit": open[at]["ShardId"], "NewStartingHashKey": hash.to_string() })),
                    1 => ("MergeShards", json!({ "ShardToMerge": open[at]["ShardId"], "AdjacentShardToMerge": neighbour["ShardId"] })),
                    _ => ("UpdateShardCount", json!({ "TargetShardCount": 1 + hash % 8, "ScalingType": "UNIFORM_SCALING" })),
                };
                let mut input = input;
                input["StreamName"] = json!("s");
                // Refusals are part of it.
                let _ = cloud.call(operation, input).await;
                cloud.settle();
                if hash % 5 == 0 {
                    cloud = cloud.restart();
                }
            }
        });
    }
}
