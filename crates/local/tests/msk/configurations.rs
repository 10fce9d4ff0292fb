//! Configurations, their revisions, and versions of Kafka.

use http::Method;
use serde_json::{Value, json};

use crate::account::{Account, base64, escaped, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_makes_a_revision() {
    let account = Account::new();
    let arn = account.configuration("pins", "auto.create.topics.enable = false\n").await;
    assert!(arn.starts_with("arn:aws:kafka:us-east-1:000000000000:configuration/pins/"), "{arn}");
    let path = format!("/v1/configurations/{}", escaped(&arn));
    let update = json!({"serverProperties": base64("num.partitions=3"), "description": "second"});
    let updated = account.ok(Method::PUT, &path, update).await;
    assert_eq!(updated["latestRevision"]["revision"], 2);

    let account = account.restart().await;
    let described = account.get(&path).await;
    assert_eq!(described["latestRevision"]["description"], "second");
    assert_eq!(described["description"], "d");
    assert_eq!((described["state"].as_str(), described["name"].as_str()), (Some("ACTIVE"), Some("pins")));
    let first = account.get(&format!("{path}/revisions/1")).await;
    assert_eq!(first["serverProperties"], base64("auto.create.topics.enable = false\n").as_str());
    let revisions = account.get(&format!("{path}/revisions")).await;
    let numbers: Vec<&Value> = revisions["revisions"].as_array().unwrap().iter().map(|one| &one["revision"]).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(account.get("/v1/configurations").await["configurations"][0]["arn"], arn.as_str());

    let deleted = account.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted["state"], "DELETING");
    let gone = async || account.client.send(account.client.sign("kafka", Method::GET, &path, &[], Vec::new())).await;
    until("it is gone", async || gone().await.status == 400).await;
    assert_eq!(gone().await.json()["message"], "Configuration ARN does not exist.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused() {
    let account = Account::new();
    let arn = account.configuration("pins", "").await;
    let create = |name: &str, properties: &str, version: &str| json!({"name": name, "kafkaVersions": [version], "serverProperties": base64(properties)});
    for (body, code, says) in [
        (create("pins", "", "3.6.0"), "ConflictException", "already exists"),
        (create("-a", "", "3.6.0"), "BadRequestException", "regex"),
        (create("b", "broker.id=1", "3.6.0"), "BadRequestException", "`broker.id`"),
        (create("b", "min.insync.replicas=none", "3.6.0"), "BadRequestException", "whole number"),
        (create("b", "", "3.6"), "BadRequestException", "[3.6]"),
    ] {
        let (got, message) = account.refused(Method::POST, "/v1/configurations", body.clone()).await;
        assert!(got == code && message.contains(says), "{body}: {got} {message}");
    }
    let path = format!("/v1/configurations/{}/revisions/9", escaped(&arn));
    assert_eq!(account.refused(Method::GET, &path, Value::Null).await.0, "BadRequestException");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_in_pages() {
    let account = Account::new();
    let mut found = Vec::new();
    let mut target = "/v1/kafka-versions?maxResults=20".to_owned();
    loop {
        let page = account.get(&target).await;
        found.extend(page["kafkaVersions"].as_array().unwrap().clone());
        let Some(token) = page["nextToken"].as_str() else { break };
        target = format!("/v1/kafka-versions?maxResults=20&nextToken={}", escaped(token));
    }
    assert!(found.contains(&json!({"version": "3.6.0", "status": "ACTIVE"})));
    assert!(found.contains(&json!({"version": "1.1.1", "status": "DEPRECATED"})));
    let all = account.get("/v1/compatible-kafka-versions").await;
    let of = |source: &str| {
        let list = all["compatibleKafkaVersions"].as_array().unwrap();
        list.iter().find(|one| one["sourceVersion"] == source).unwrap()["targetVersions"].clone()
    };
    assert_eq!(of("3.6.0"), json!(["3.7.x", "3.8.x", "3.9.x"]));
}
