//! Kinesis: shards that are split and merged, and how a consumer follows them.

use std::collections::VecDeque;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ScalingType, ShardFilter, ShardFilterType, ShardIteratorType};

use crate::cloud::Cloud;

async fn put(kinesis: &Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let put = kinesis.put_record().stream_name("pins").partition_key("k").data(Blob::new(number.to_string()));
        put.send().await.unwrap();
    }
}

/// Reads from the oldest shard on, and goes from parents to children as the answers tell, as a consumer does.
async fn follow(kinesis: &Client, first: &str) -> (Vec<String>, Vec<usize>) {
    let (mut waiting, mut visited, mut numbers) = (VecDeque::from([first.to_owned()]), Vec::new(), Vec::new());
    while let Some(shard) = waiting.pop_front() {
        let iterator = kinesis.get_shard_iterator().stream_name("pins").shard_id(&shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let got = kinesis.get_records().shard_iterator(iterator.shard_iterator.unwrap()).send().await.unwrap();
        numbers.extend(
            got.records()
                .iter()
                .map(|record| String::from_utf8_lossy(record.data().as_ref()).parse::<usize>().unwrap()),
        );
        visited.push(shard);
        for child in got.child_shards() {
            let ready = child.parent_shards().iter().all(|parent| visited.contains(parent));
            if ready && !waiting.iter().any(|known| known == child.shard_id()) {
                waiting.push_back(child.shard_id().to_owned());
            }
        }
    }
    (visited, numbers)
}

#[tokio::test]
async fn a_consumer_follows_a_split_and_a_merge_in_order() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    put(&kinesis, 0..5).await;
    let middle = "170141183460469231731687303715884105728";
    let split = kinesis.split_shard().stream_name("pins").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(middle).send().await.unwrap();
    put(&kinesis, 5..10).await;
    let merge = kinesis.merge_shards().stream_name("pins").shard_to_merge("shardId-000000000001");
    merge.adjacent_shard_to_merge("shardId-000000000002").send().await.unwrap();
    put(&kinesis, 10..15).await;

    let (visited, numbers) = follow(&kinesis, "shardId-000000000000").await;
    assert_eq!(visited, (0..4).map(|number| format!("shardId-{number:012}")).collect::<Vec<_>>());
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());

    let all = kinesis.list_shards().stream_name("pins").send().await.unwrap();
    let merged = &all.shards()[3];
    assert_eq!(merged.parent_shard_id(), Some("shardId-000000000001"));
    assert_eq!(merged.adjacent_parent_shard_id(), Some("shardId-000000000002"));
    let closed = all.shards()[0].sequence_number_range().unwrap();
    assert!(closed.ending_sequence_number().is_some_and(|end| end > closed.starting_sequence_number()));
    let latest = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().unwrap();
    let open = kinesis.list_shards().stream_name("pins").shard_filter(latest).send().await.unwrap();
    assert_eq!(open.shards(), std::slice::from_ref(merged));

    let again = kinesis.split_shard().stream_name("pins").shard_to_split("shardId-000000000000");
    let again = again.new_starting_hash_key(middle).send().await.unwrap_err().into_service_error();
    assert!(again.is_invalid_argument_exception(), "it is closed: {again:?}");
}

#[tokio::test]
async fn a_stream_is_scaled_by_its_number_of_shards() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 2).await;
    for (target, current) in [(4, 2), (2, 4), (3, 2)] {
        let scaled = kinesis.update_shard_count().stream_name("pins").target_shard_count(target);
        let scaled = scaled.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        assert_eq!((scaled.current_shard_count, scaled.target_shard_count), (Some(current), Some(target)));
    }
    let latest = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().unwrap();
    let open = kinesis.list_shards().stream_name("pins").shard_filter(latest).send().await.unwrap();
    let mut ranges: Vec<(u128, u128)> = open
        .shards()
        .iter()
        .map(|shard| shard.hash_key_range().unwrap())
        .map(|range| (range.starting_hash_key().parse().unwrap(), range.ending_hash_key().parse().unwrap()))
        .collect();
    ranges.sort_unstable();
    assert_eq!((ranges.len(), ranges[0].0, ranges[2].1), (3, 0, u128::MAX));
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "no gap and no overlap: {ranges:?}");
}
