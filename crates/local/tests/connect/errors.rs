//! Records that cannot be written, and connectors that cannot run: what becomes of them, and what a person is told.

use bytes::Bytes;
use pinfra_local::kafka::NewRecord;
use serde_json::json;

use crate::ground::{Ground, allow};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_ends_the_task() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[]).await;
    ground.produce("pins.pin", 0, &["1", "no json", "2"]);
    let message = ground.failure(&arn).await;
    assert!(message.contains("VALUE_CONVERTER") && message.contains("partition 0 offset 1"), "{message}");
    assert!(ground.keys().await.len() <= 1, "nothing behind it");
    let log = std::fs::read_to_string(ground.folder.path().join("kafka-connect.log")).unwrap();
    assert!(log.contains("[c] Tolerance exceeded"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_say_where_they_came_from() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let settings = [
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", "dead"),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
        ("errors.log.enable", "true"),
    ];
    ground.running("c", &settings).await;
    ground.produce("pins.pin", 0, &["1", "no json", "2", "bad"]);
    assert_eq!(ground.stored(2).await.into_values().collect::<Vec<_>>(), ["1\n", "2\n"]);
    ground.committed("connect-c", "pins.pin", 0, 4).await;
    let letters = ground.cluster.read("dead", 0, 0, 1 << 20).unwrap();
    let values: Vec<_> = letters.iter().map(|letter| letter.value.clone().unwrap()).collect();
    assert_eq!(values, ["no json", "bad"]);
    let header = |name: &str| {
        let found = letters[1].headers.iter().find(|(header, _)| header == &format!("__connect.errors.{name}"));
        String::from_utf8(found.unwrap().1.clone().unwrap().to_vec()).unwrap()
    };
    assert_eq!(
        (header("topic"), header("offset"), header("stage")),
        ("pins.pin".into(), "3".into(), "VALUE_CONVERTER".into())
    );
    assert_eq!(header("connector.name"), "c");
    let log = std::fs::read_to_string(ground.folder.path().join("kafka-connect.log")).unwrap();
    assert!(log.contains("offset=1") && !log.contains("no json"), "contents stay out of it: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn null_values() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let null = NewRecord { key: Some(Bytes::from_static(b"k")), ..NewRecord::default() };
    ground.cluster.append("pins.pin", Some(0), &[null]).unwrap();
    ground.produce("pins.pin", 0, &["1"]);
    let failed = ground.connector("fails", &[]).await;
    let message = ground.failure(&failed).await;
    assert!(message.contains("Null valued records are not writeable"), "{message}");
    ground.running("ignores", &[("behavior.on.null.values", "ignore")]).await;
    let objects = ground.stored(1).await;
    assert!(objects.contains_key("topics/pins.pin/partition=0/pins.pin+0+0000000001.json"), "{objects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_says_why() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    for (name, change, expected) in [
        ("class", ("connector.class", "com.example.Mine"), "Failed to find any class"),
        ("bucket", ("s3.bucket.name", "nowhere"), "Non-existent S3 bucket: nowhere"),
        ("region", ("s3.region", "eu-west-1"), "The bucket `lake` is in this region: us-east-1"),
        ("value", ("flush.size", "many"), "Invalid value many for configuration flush.size: Not a number"),
        ("key", ("flush.sizes", "1"), "did you mean `flush.size`?"),
        ("letters", ("errors.deadletterqueue.topic.name", "dead"), "Could not initialize dead letter queue"),
    ] {
        let arn = ground.connector(name, &[change]).await;
        let message = ground.failure(&arn).await;
        assert!(message.contains(expected), "{name}: {message}");
    }
    let mut elsewhere = ground.request("elsewhere", &[]);
    elsewhere["kafkaCluster"]["apacheKafkaCluster"]["bootstrapServers"] = json!("b-1.other:9098");
    let arn = ground.make(elsewhere).await;
    assert!(ground.failure(&arn).await.contains("b-1.other:9098"));
}

/// What the role may not do is told with the action and the resource, and a restart after it may goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_too_little() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    ground.produce("pins.pin", 0, &["1"]);
    ground.make_role(&allow("s3:*", "*")).await;
    let arn = ground.connector("c", &[]).await;
    let message = ground.failure(&arn).await;
    assert!(message.contains("not authorized to perform: kafka-cluster:Connect"), "{message}");

    ground.make_role(&allow("kafka-cluster:*", "*")).await;
    let answer = ground.ok("RestartConnector", json!({"connectorArn": arn})).await;
    ground.ended(&answer).await;
    let message = ground.failure(&arn).await;
    let object = "arn:aws:s3:::lake/topics/pins.pin/partition=0/pins.pin+0+0000000000.json";
    assert!(message.contains("s3:PutObject") && message.contains(object) && message.contains("403"), "{message}");
    assert_eq!(ground.cluster.committed("connect-c", "pins.pin", 0), None);

    ground.make_role(&allow("*", "*")).await;
    let answer = ground.ok("RestartConnector", json!({"connectorArn": arn})).await;
    assert_eq!(ground.ended(&answer).await["connectorOperationState"], "RESTART_COMPLETE");
    ground.stored(1).await;
}

/// A topic that may not be described is not there for a pattern; one that is named is an error.
#[tokio::test(flavor = "multi_thread")]
async fn topics_that_may_not_be_seen() {
    let ground = Ground::new().await;
    ground.topic("pins.open", 1);
    ground.topic("pins.secret", 1);
    let hidden = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kafka-cluster:DescribeTopic", "Resource": "arn:aws:kafka:*:*:topic/*/pins.secret"}]});
    ground.make_role(&hidden).await;
    ground.produce("pins.secret", 0, &["1"]);
    ground.produce("pins.open", 0, &["2"]);
    ground.running("pattern", &[]).await;
    ground.committed("connect-pattern", "pins.open", 0, 1).await;
    assert_eq!(ground.stored(1).await.into_values().collect::<Vec<_>>(), ["2\n"]);
    let named = ground.connector("named", &[("topics.regex", ""), ("topics", "pins.secret")]).await;
    let message = ground.failure(&named).await;
    assert!(
        message.contains("Not authorized to access topics: [pins.secret]") && message.contains("explicit deny"),
        "{message}"
    );
}
