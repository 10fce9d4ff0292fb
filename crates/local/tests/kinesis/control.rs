//! Streams and their settings: states, refusals, pages, tags.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_stream_is_created_described_and_deleted() {
    let cloud = Cloud::new();
    let create = json!({ "StreamName": "pins", "ShardCount": 2, "Tags": { "pinfra:stack": "demo" } });
    cloud.ok("CreateStream", create.clone()).await;
    assert_eq!(cloud.status("pins").await, "CREATING");
    assert_eq!(cloud.refused_code("ListShards", json!({ "StreamName": "pins" })).await, "ResourceInUseException");
    assert_eq!(cloud.refused_code("PutRecord", record("pins", "k", "x")).await, "ResourceNotFoundException");
    let exists = cloud.refused("CreateStream", create.clone()).await;
    let message = format!("Stream pins under account {ACCOUNT} already exists.");
    assert_eq!(exists, ("ResourceInUseException".to_owned(), message));

    cloud.settle();
    let described = cloud.ok("DescribeStream", json!({ "StreamARN": arn("pins") })).await;
    let stream = &described["StreamDescription"];
    assert_eq!(stream["StreamStatus"], "ACTIVE");
    assert_eq!(stream["StreamARN"], arn("pins"));
    assert_eq!(stream["RetentionPeriodHours"], 24);
    assert_eq!(stream["EncryptionType"], "NONE");
    assert_eq!(stream["HasMoreShards"], false);
    assert_eq!(stream["EnhancedMonitoring"], json!([{ "ShardLevelMetrics": [] }]));
    assert_eq!(stream["Shards"][1]["ShardId"], "shardId-000000000001");
    assert_eq!(stream["Shards"][0]["HashKeyRange"]["StartingHashKey"], "0");
    assert_eq!(stream["Shards"][1]["HashKeyRange"]["EndingHashKey"], "340282366920938463463374607431768211455");

    cloud.put("pins", "k", "x").await;
    cloud.ok("DeleteStream", json!({ "StreamName": "pins" })).await;
    assert_eq!(cloud.status("pins").await, "DELETING");
    cloud.ok("DeleteStream", json!({ "StreamName": "pins" })).await;
    assert_eq!(cloud.refused_code("CreateStream", create.clone()).await, "ResourceInUseException");
    cloud.settle();
    let gone = cloud.refused("DescribeStreamSummary", json!({ "StreamName": "pins" })).await;
    let message = format!("Stream pins under account {ACCOUNT} not found.");
    assert_eq!(gone, ("ResourceNotFoundException".to_owned(), message));
    cloud.ok("CreateStream", create).await;
    cloud.settle();
    assert_eq!(cloud.drain("pins", "shardId-000000000000").await, Vec::<Value>::new());
    assert_eq!(cloud.drain("pins", "shardId-000000000001").await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_cannot_be_created_is_refused() {
    let cloud = Cloud::new();
    let on_demand = json!({ "StreamMode": "ON_DEMAND" });
    for (input, code) in [
        (json!({ "StreamName": "s" }), "ValidationException"),
        (json!({ "StreamName": "s", "ShardCount": 10_001 }), "LimitExceededException"),
        (json!({ "StreamName": "s", "ShardCount": 1, "StreamModeDetails": on_demand }), "ValidationException"),
        (json!({ "StreamName": "s", "ShardCount": 1, "Tags": { "a\u{7}": "" } }), "InvalidArgumentException"),
        (json!({ "StreamName": "s", "ShardCount": 1, "Tags": { "aws:x": "" } }), "InvalidArgumentException"),
        (json!({ "StreamName": "s", "ShardCount": 1, "WarmThroughputMiBps": 5 }), "ValidationException"),
    ] {
        assert_eq!(cloud.refused_code("CreateStream", input.clone()).await, code, "{input}");
    }
    assert_eq!(cloud.refused_code("SubscribeToShard", json!({})).await, "UnknownOperationException");
    assert_eq!(cloud.refused_code("DescribeStream", json!({})).await, "InvalidArgumentException");
    let elsewhere = json!({ "StreamARN": arn("s").replace("us-east-1", "eu-west-1") });
    assert_eq!(cloud.refused_code("DescribeStream", elsewhere).await, "ResourceNotFoundException");
}

#[tokio::test]
async fn an_update_makes_the_stream_busy_for_a_while_and_survives_a_restart() {
    let cloud = Cloud::new();
    let on_demand = json!({ "StreamName": "s", "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    cloud.settled("CreateStream", on_demand).await;
    assert_eq!(cloud.shards("s").await.len(), 4);
    cloud.ok("IncreaseStreamRetentionPeriod", json!({ "StreamName": "s", "RetentionPeriodHours": 48 })).await;
    let cloud = cloud.restart();
    assert_eq!(cloud.status("s").await, "UPDATING");
    let busy = cloud.refused("AddTagsToStream", json!({ "StreamName": "s", "Tags": { "a": "b" } })).await;
    let message = format!("Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING");
    assert_eq!(busy, ("ResourceInUseException".to_owned(), message));
    cloud.put("s", "k", "still written").await;
    cloud.settle();

    let mode = |mode: &str| json!({ "StreamARN": arn("s"), "StreamModeDetails": { "StreamMode": mode } });
    cloud.settled("UpdateStreamMode", mode("PROVISIONED")).await;
    cloud.settled("UpdateStreamMode", mode("ON_DEMAND")).await;
    assert_eq!(cloud.refused_code("UpdateStreamMode", mode("PROVISIONED")).await, "LimitExceededException");
    cloud.clock.advance(24 * HOUR);
    cloud.settled("UpdateStreamMode", mode("PROVISIONED")).await;

    let key = json!({ "StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" });
    cloud.settled("StartStreamEncryption", key.clone()).await;
    assert_eq!(cloud.ok("PutRecord", record("s", "k", "secret")).await["EncryptionType"], "KMS");
    let other = json!({ "StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/other" });
    assert_eq!(cloud.refused_code("StopStreamEncryption", other).await, "InvalidArgumentException");
    let summary = cloud.ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    assert_eq!(summary["StreamDescriptionSummary"]["KeyId"], "alias/aws/kinesis");
    cloud.settled("StopStreamEncryption", key).await;
    assert!(cloud.ok("PutRecord", record("s", "k", "open")).await.get("EncryptionType").is_none());

    cloud.settled("UpdateMaxRecordSize", json!({ "StreamARN": arn("s"), "MaxRecordSizeInKiB": 2048 })).await;
    let metrics = json!({ "StreamName": "s", "ShardLevelMetrics": ["ALL"] });
    let enabled = cloud.settled("EnableEnhancedMonitoring", metrics).await;
    assert_eq!(enabled["CurrentShardLevelMetrics"], json!([]));
    assert_eq!(list(&enabled["DesiredShardLevelMetrics"]).len(), 7);
    let fewer = json!({ "StreamName": "s", "ShardLevelMetrics": ["IncomingBytes"] });
    let disabled = cloud.settled("DisableEnhancedMonitoring", fewer).await;
    assert_eq!(list(&disabled["DesiredShardLevelMetrics"]).len(), 6);

    let summary = &cloud.restart().ok("DescribeStreamSummary", json!({ "StreamName": "s" })).await;
    let summary = &summary["StreamDescriptionSummary"];
    assert_eq!(summary["MaxRecordSizeInKiB"], 2048);
    assert_eq!(summary["RetentionPeriodHours"], 48);
    assert_eq!(summary["OpenShardCount"], 4);
    assert_eq!(summary["StreamModeDetails"], json!({ "StreamMode": "PROVISIONED" }));
}

#[tokio::test]
async fn retention_has_bounds_and_a_direction() {
    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let hours = |hours: u32| json!({ "StreamName": "s", "RetentionPeriodHours": hours });
    for (operation, wanted, part) in [
        ("IncreaseStreamRetentionPeriod", 23, "Minimum allowed retention period is 24 hours"),
        ("IncreaseStreamRetentionPeriod", 8_761, "Maximum allowed retention period is 8760 hours"),
        ("DecreaseStreamRetentionPeriod", 25, "can not be longer than existing"),
    ] {
        let (code, message) = cloud.refused(operation, hours(wanted)).await;
        assert!(code == "InvalidArgumentException" && message.contains(part), "{message}");
    }
    cloud.settled("IncreaseStreamRetentionPeriod", hours(30)).await;
    let (_, message) = cloud.refused("IncreaseStreamRetentionPeriod", hours(29)).await;
    assert!(message.contains("can not be shorter than existing"), "{message}");
}

#[tokio::test]
async fn streams_are_listed_in_pages_and_by_region() {
    let cloud = Cloud::new();
    for number in 0..5 {
        cloud.ok("CreateStream", json!({ "StreamName": format!("s{number}"), "ShardCount": 1 })).await;
    }
    let first = cloud.ok("ListStreams", json!({ "Limit": 2 })).await;
    assert_eq!(first["StreamNames"], json!(["s0", "s1"]));
    assert_eq!(first["HasMoreStreams"], true);
    assert_eq!(first["StreamSummaries"][1]["StreamARN"], arn("s1"));
    let second = cloud.ok("ListStreams", json!({ "Limit": 2, "NextToken": first["NextToken"] })).await;
    assert_eq!(second["StreamNames"], json!(["s2", "s3"]));
    let last = cloud.ok("ListStreams", json!({ "Limit": 2, "ExclusiveStartStreamName": "s3" })).await;
    assert_eq!(last["StreamNames"], json!(["s4"]));
    assert!(last["HasMoreStreams"] == false && last.get("NextToken").is_none());
    let forged = json!({ "NextToken": "czI=" });
    assert_eq!(cloud.refused_code("ListStreams", forged).await, "InvalidArgumentException");
    let limits = cloud.ok("DescribeLimits", json!({})).await;
    assert_eq!(limits["OpenShardCount"], 5);
}

#[tokio::test]
async fn shards_are_described_and_listed_in_pages() {
    let cloud = Cloud::new();
    cloud.stream("s", 5).await;
    let first = cloud.ok("ListShards", json!({ "StreamName": "s", "MaxResults": 3 })).await;
    assert_eq!(list(&first["Shards"]).len(), 3);
    let rest = cloud.ok("ListShards", json!({ "NextToken": first["NextToken"] })).await;
    assert_eq!(rest["Shards"][1]["ShardId"], "shardId-000000000004");
    assert!(rest.get("NextToken").is_none());
    let both = json!({ "StreamName": "s", "NextToken": first["NextToken"] });
    assert_eq!(cloud.refused_code("ListShards", both).await, "InvalidArgumentException");
    let after = json!({ "StreamName": "s", "ExclusiveStartShardId": "shardId-000000000003", "Limit": 1 });
    let described = cloud.ok("DescribeStream", after).await;
    assert_eq!(described["StreamDescription"]["Shards"][0]["ShardId"], "shardId-000000000004");
    let described = cloud.ok("DescribeStream", json!({ "StreamName": "s", "Limit": 4 })).await;
    assert_eq!(described["StreamDescription"]["HasMoreShards"], true);
    cloud.clock.advance(std::time::Duration::from_secs(301));
    let late = json!({ "NextToken": first["NextToken"] });
    assert_eq!(cloud.refused_code("ListShards", late).await, "ExpiredNextTokenException");
}

#[tokio::test]
async fn tags_are_counted_paged_and_listed_for_the_tagging_api() {
    use pinfra_local::services::Service;

    let cloud = Cloud::new();
    cloud.stream("s", 1).await;
    let many =
        |from: u32, to: u32| -> Value { (from..to).map(|number| (format!("k{number:02}"), json!("v"))).collect() };
    cloud.ok("AddTagsToStream", json!({ "StreamName": "s", "Tags": many(0, 49) })).await;
    let (code, message) = cloud.refused("TagResource", json!({ "ResourceARN": arn("s"), "Tags": many(48, 51) })).await;
    assert!(code == "InvalidArgumentException" && message.contains("more than 50 tags"), "{message}");
    cloud.ok("TagResource", json!({ "ResourceARN": arn("s"), "Tags": { "k00": "new", "l": "" } })).await;
    let page = cloud.ok("ListTagsForStream", json!({ "StreamName": "s", "Limit": 2 })).await;
    assert_eq!(page["Tags"], json!([{ "Key": "k00", "Value": "new" }, { "Key": "k01", "Value": "v" }]));
    assert_eq!(page["HasMoreTags"], true);
    let rest = json!({ "StreamName": "s", "ExclusiveStartTagKey": "k48" });
    assert_eq!(cloud.ok("ListTagsForStream", rest).await["Tags"], json!([{ "Key": "l", "Value": "" }]));
    let keys: Vec<String> = (1..49).map(|number| format!("k{number:02}")).collect();
    cloud.ok("UntagResource", json!({ "ResourceARN": arn("s"), "TagKeys": keys })).await;
    cloud.ok("RemoveTagsFromStream", json!({ "StreamName": "s", "TagKeys": ["l", "not there"] })).await;
    let left = cloud.ok("ListTagsForResource", json!({ "ResourceARN": arn("s") })).await;
    assert_eq!(left["Tags"], json!([{ "Key": "k00", "Value": "new" }]));
    let tagged = cloud.restart().kinesis.tagged(REGION);
    assert_eq!(tagged.len(), 1);
    assert_eq!(tagged[0].tags, [("k00".to_owned(), "new".to_owned())]);
}
