//! Kinesis: streams as such, their settings, and errors by type.

use std::time::Duration;

use aws_sdk_kinesis::client::Waiters;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    EncryptionType, MetricsName, PutRecordsRequestEntry, StreamMode, StreamModeDetails, StreamStatus,
};
use pinfra_local::Settings;

use crate::cloud::{Cloud, code};

#[tokio::test]
async fn waiters_see_a_stream_come_and_go() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 2).await;
    let soon = Duration::from_secs(5);
    let exists = kinesis.wait_until_stream_exists().stream_name("pins").wait(soon).await.unwrap();
    let description = exists.into_result().unwrap().stream_description.unwrap();
    assert_eq!(description.stream_status, StreamStatus::Active);
    assert_eq!(description.stream_arn, "arn:aws:kinesis:us-east-1:000000000000:stream/pins");
    assert_eq!((description.shards.len(), description.has_more_shards), (2, false));
    assert_eq!((description.retention_period_hours, description.encryption_type), (24, Some(EncryptionType::None)));
    kinesis.delete_stream().stream_name("pins").send().await.unwrap();
    kinesis.wait_until_stream_not_exists().stream_name("pins").wait(soon).await.unwrap();
}

#[tokio::test]
async fn streams_and_shards_come_in_pages() {
    let cloud = Cloud::start().await;
    let names: Vec<String> = (0..7).map(|number| format!("s{number}")).collect();
    for name in &names {
        cloud.stream(name, 5).await;
    }
    let kinesis = &cloud.clients.kinesis;
    let pages: Vec<_> = kinesis.list_streams().limit(3).into_paginator().send().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.has_more_streams).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(pages.iter().flat_map(|page| page.stream_names().to_vec()).collect::<Vec<_>>(), names);
    let summaries: Vec<_> = pages.iter().flat_map(|page| page.stream_summaries()).collect();
    assert!(summaries.iter().all(|summary| summary.stream_status == StreamStatus::Active));

    let first = kinesis.list_shards().stream_name("s0").max_results(2).send().await.unwrap();
    let next = kinesis.list_shards().next_token(first.next_token().unwrap()).max_results(10).send().await.unwrap();
    let ids: Vec<&str> = first.shards().iter().chain(next.shards()).map(|shard| shard.shard_id()).collect();
    assert_eq!(ids, (0..5).map(|number| format!("shardId-{number:012}")).collect::<Vec<_>>());
    assert_eq!(next.next_token(), None);
    let described = kinesis.describe_stream().stream_name("s0").limit(2).exclusive_start_shard_id(ids[1]);
    let described = described.send().await.unwrap().stream_description.unwrap();
    assert_eq!((described.shards[0].shard_id(), described.has_more_shards), (ids[2], true));
}

#[tokio::test]
async fn retention_encryption_mode_and_monitoring_change() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    let by_arn = "arn:aws:kinesis:us-east-1:000000000000:stream/pins";
    kinesis.increase_stream_retention_period().stream_arn(by_arn).retention_period_hours(72).send().await.unwrap();
    kinesis.decrease_stream_retention_period().stream_name("pins").retention_period_hours(48).send().await.unwrap();
    let wrong = kinesis.increase_stream_retention_period().stream_name("pins").retention_period_hours(24).send().await;
    let wrong = wrong.unwrap_err().into_service_error();
    assert!(wrong.is_invalid_argument_exception(), "{wrong:?}");
    let key = "alias/aws/kinesis";
    let start = kinesis.start_stream_encryption().stream_name("pins").key_id(key);
    start.encryption_type(EncryptionType::Kms).send().await.unwrap();
    let enabled = kinesis.enable_enhanced_monitoring().stream_name("pins");
    let enabled = enabled.shard_level_metrics(MetricsName::IncomingBytes).send().await.unwrap();
    assert_eq!(enabled.desired_shard_level_metrics(), [MetricsName::IncomingBytes]);

    let put = kinesis.put_record().stream_name("pins").partition_key("k").data(Blob::new("x")).send().await.unwrap();
    assert_eq!(put.encryption_type, Some(EncryptionType::Kms));
    let on_demand = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    kinesis.update_stream_mode().stream_arn(by_arn).stream_mode_details(on_demand).send().await.unwrap();
    let summary = kinesis.describe_stream_summary().stream_name("pins").send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    assert_eq!((summary.retention_period_hours, summary.key_id()), (48, Some(key)));
    assert_eq!(summary.stream_mode_details().map(|mode| mode.stream_mode()), Some(&StreamMode::OnDemand));
    assert_eq!(summary.enhanced_monitoring()[0].shard_level_metrics(), [MetricsName::IncomingBytes]);
    let limits = kinesis.describe_limits().send().await.unwrap();
    assert_eq!(limits.on_demand_stream_count, 1);
}

#[tokio::test]
async fn tags_by_either_family_of_operations() {
    let cloud = Cloud::start().await;
    let kinesis = cloud.stream("pins", 1).await;
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/pins";
    let add = kinesis.add_tags_to_stream().stream_name("pins");
    add.tags("a", "1").tags("b", "ü + /").tags("c", "").send().await.unwrap();
    kinesis.tag_resource().resource_arn(arn).tags("d", "4").send().await.unwrap();
    let first = kinesis.list_tags_for_stream().stream_name("pins").limit(3).send().await.unwrap();
    let next = kinesis.list_tags_for_stream().stream_name("pins").exclusive_start_tag_key("c").send().await.unwrap();
    assert_eq!((first.has_more_tags, next.has_more_tags), (true, false));
    let pairs: Vec<_> = first.tags().iter().chain(next.tags()).map(|tag| (tag.key(), tag.value().unwrap())).collect();
    assert_eq!(pairs, [("a", "1"), ("b", "ü + /"), ("c", ""), ("d", "4")]);
    kinesis.remove_tags_from_stream().stream_name("pins").tag_keys("a").tag_keys("none").send().await.unwrap();
    kinesis.untag_resource().resource_arn(arn).tag_keys("b").send().await.unwrap();
    let left = kinesis.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(left.tags().iter().map(|tag| tag.key()).collect::<Vec<_>>(), ["c", "d"]);
    let reserved = kinesis.add_tags_to_stream().stream_name("pins").tags("aws:x", "1").send().await;
    assert!(reserved.unwrap_err().into_service_error().is_invalid_argument_exception());
}

#[tokio::test]
async fn errors_have_their_types() {
    let cloud = Cloud::with(|settings| Settings { settle: Duration::from_secs(3600), ..settings }).await;
    let kinesis = cloud.stream("busy", 1).await;
    let absent = kinesis.describe_stream_summary().stream_name("absent").send().await.unwrap_err();
    let absent = absent.into_service_error();
    assert!(absent.is_resource_not_found_exception(), "{absent:?}");
    assert_eq!(absent.to_string(), "ResourceNotFoundException: Stream absent under account 000000000000 not found.");
    let again = kinesis.create_stream().stream_name("busy").shard_count(1).send().await.unwrap_err();
    assert!(again.into_service_error().is_resource_in_use_exception(), "the name is taken");
    let split = kinesis.split_shard().stream_name("busy").shard_to_split("shardId-000000000000");
    let split = split.new_starting_hash_key("10").send().await.unwrap_err().into_service_error();
    assert!(split.is_resource_in_use_exception(), "it is CREATING: {split:?}");
    cloud.local.clock().advance(Duration::from_secs(3600));
    let scale = kinesis.update_shard_count().stream_name("busy").target_shard_count(3);
    let scale = scale.scaling_type(aws_sdk_kinesis::types::ScalingType::UniformScaling).send().await.unwrap_err();
    assert!(scale.into_service_error().is_limit_exceeded_exception(), "more than double");
    let name = kinesis.create_stream().stream_name("no spaces").shard_count(1).send().await;
    assert_eq!(code(name), "ValidationException");
    let consumer = kinesis.register_stream_consumer().stream_arn("arn:aws:kinesis:us-east-1:000000000000:stream/busy");
    assert_eq!(code(consumer.consumer_name("c").send().await), "UnknownOperationException");
}

#[tokio::test]
async fn a_shard_takes_a_thousand_records_a_second() {
    let cloud = Cloud::with(|settings| Settings { settle: Duration::ZERO, ..settings }).await;
    cloud.stream("pins", 1).await;
    let config = cloud.clients.kinesis.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let kinesis = aws_sdk_kinesis::Client::from_conf(config);
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("x")).build().unwrap();
    // Tokens come back while the test runs: it ends when more was sent than a second's worth and some was refused.
    let mut refused = Vec::new();
    for _ in 0..50 {
        let put = kinesis.put_records().stream_name("pins").set_records(Some(vec![entry.clone(); 500]));
        let put = put.send().await.unwrap();
        refused = put.records.into_iter().filter(|record| record.error_code.is_some()).collect();
        assert_eq!(put.failed_record_count, Some(i32::try_from(refused.len()).unwrap()));
        if !refused.is_empty() {
            break;
        }
    }
    assert_eq!(refused[0].error_code(), Some("ProvisionedThroughputExceededException"));
    assert_eq!(refused[0].sequence_number(), None);
    assert!(refused[0].error_message().unwrap().starts_with("Rate exceeded for shard shardId-000000000000"));
    let large = kinesis.put_record().stream_name("pins").partition_key("k").data(Blob::new(vec![0; 1 << 20]));
    assert_eq!(code(large.send().await), "InvalidArgumentException", "data and key together are over 1 MiB");
    let iterator = kinesis.get_shard_iterator().stream_name("pins").shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type("TRIM_HORIZON".into()).send().await.unwrap().shard_iterator.unwrap();
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(kinesis.get_records().shard_iterator(&iterator).limit(1).send().await);
        if answers.last().is_some_and(Result::is_err) {
            break;
        }
    }
    let throttled = answers.pop().unwrap().unwrap_err().into_service_error();
    assert!(throttled.is_provisioned_throughput_exceeded_exception(), "{throttled:?}");
}
