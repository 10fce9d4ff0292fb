//! Topics by the AWS API.

use http::Method;
use serde_json::{Value, json};

use crate::account::{Account, base64, escaped, until};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_changed_and_deleted() {
    let account = Account::new();
    let arn = account.create(account.cluster("pins").await).await;
    let topics = format!("/v1/clusters/{}/topics", escaped(&arn));
    let create = json!({"topicName": "pins.pin", "partitionCount": 2, "replicationFactor": 3,
        "configs": base64("max.message.bytes=2000\nretention.ms=1000")});
    let made = account.ok(Method::POST, &topics, create.clone()).await;
    assert_eq!(made["topicArn"], format!("{}/pins.pin", arn.replace(":cluster/", ":topic/")));
    assert_eq!(made["status"], "CREATING");
    assert_eq!(account.refused(Method::POST, &topics, create).await.0, "TopicExistsException");

    let topic = format!("{topics}/pins.pin");
    until("it is active", async || account.get(&topic).await["status"] == "ACTIVE").await;
    let described = account.get(&topic).await;
    assert_eq!((described["partitionCount"].as_i64(), described["replicationFactor"].as_i64()), (Some(2), Some(3)));
    assert_eq!(described["configs"], base64("max.message.bytes=2000\nretention.ms=1000").as_str());

    let change = json!({"partitionCount": 3, "configs": base64("retention.ms=2000")});
    assert_eq!(account.ok(Method::PUT, &topic, change).await["status"], "UPDATING");
    let account = account.restart().await;
    let described = account.get(&topic).await;
    assert_eq!(described["configs"], base64("retention.ms=2000").as_str(), "what is not given is not set any more");
    let partitions = account.get(&format!("{topic}/partitions?maxResults=2")).await;
    let token = escaped(partitions["nextToken"].as_str().unwrap());
    let rest = account.get(&format!("{topic}/partitions?maxResults=2&nextToken={token}")).await;
    assert_eq!(rest["partitions"].as_array().unwrap().len(), 1);
    assert_eq!(rest["partitions"][0]["isr"].as_array().unwrap().len(), 3);

    for (method, target, body, code) in [
        (Method::PUT, &topic, json!({"partitionCount": 1}), "BadRequestException"),
        (Method::PUT, &topic, json!({"configs": base64("no.such.config=1")}), "BadRequestException"),
        (Method::PUT, &topic, json!({"configs": "?"}), "BadRequestException"),
        (
            Method::POST,
            &topics,
            json!({"topicName": "a b", "partitionCount": 1, "replicationFactor": 1}),
            "BadRequestException",
        ),
        (
            Method::POST,
            &topics,
            json!({"topicName": "x", "partitionCount": 1, "replicationFactor": 4}),
            "BadRequestException",
        ),
        (Method::DELETE, &format!("{topics}/absent"), Value::Null, "UnknownTopicOrPartitionException"),
        (Method::GET, &format!("{topics}/absent"), Value::Null, "NotFoundException"),
    ] {
        let (got, message) = account.refused(method.clone(), target, body.clone()).await;
        assert_eq!(got, code, "{method} {target} {body}: {message}");
    }
    let listed = account.get(&format!("{topics}?topicNameFilter=pins")).await;
    assert_eq!(listed["topics"].as_array().unwrap().len(), 1);
    assert_eq!(account.ok(Method::DELETE, &topic, Value::Null).await["status"], "DELETING");
    assert_eq!(account.get(&format!("{topics}?topicNameFilter=pins")).await["topics"], json!([]));
}
