//! Connectors that are changed: pause, resume, restart, update and roll-back; topics that come and go.

use serde_json::{Value, json};

use crate::ground::{Ground, configuration, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connector_reads_nothing() {
    let mut ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[]).await;
    let paused = ground.ok("PauseConnector", json!({"connectorArn": arn})).await;
    let ended = ground.ended(&paused).await;
    assert_eq!(
        (&ended["connectorOperationState"], &ended["connectorOperationType"]),
        (&json!("PAUSE_COMPLETE"), &json!("PAUSE_CONNECTOR"))
    );
    assert_eq!(ground.state(&arn).await, "PAUSED");
    assert_eq!(ground.refused("PauseConnector", json!({"connectorArn": arn})).await.0, "ConflictException");
    ground.produce("pins.pin", 0, &["1"]);
    ground.restart().await;
    assert_eq!(ground.state(&arn).await, "PAUSED");
    assert_eq!(ground.keys().await, [""; 0]);
    let resumed = ground.ok("ResumeConnector", json!({"connectorArn": arn})).await;
    assert_eq!(ground.ended(&resumed).await["connectorOperationState"], "RESUME_COMPLETE");
    ground.stored(1).await;
}

/// New topics that match, more partitions, and a topic that was deleted and made again.
#[tokio::test(flavor = "multi_thread")]
async fn topics_come_and_go() {
    let ground = Ground::new().await;
    let arn = ground.running("c", &[]).await;
    ground.topic("pins.pin", 1);
    ground.topic("other", 1);
    ground.produce("other", 0, &["0"]);
    ground.produce("pins.pin", 0, &["1"]);
    ground.stored(1).await;
    ground.cluster.add_partitions("pins.pin", 3).unwrap();
    ground.produce("pins.pin", 2, &["2"]);
    ground.stored(2).await;
    assert!(ground.keys().await.contains(&"topics/pins.pin/partition=2/pins.pin+2+0000000000.json".to_owned()));
    ground.cluster.delete_topic("pins.pin").unwrap();
    ground.topic("pins.geo", 1);
    ground.produce("pins.geo", 0, &["3"]);
    ground.stored(3).await;
    assert_eq!(ground.state(&arn).await, "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_the_configuration() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[("flush.size", "2")]).await;
    ground.produce("pins.pin", 0, &["0", "1", "2"]);
    ground.stored(1).await;
    let version = text(&ground.describe(&arn).await["currentVersion"]);
    let update = |version: &str, more: &[(&str, &str)]| json!({"connectorArn": arn, "currentVersion": version, "connectorConfiguration": configuration(more)});
    assert_eq!(ground.refused("UpdateConnector", update("K1", &[])).await.0, "BadRequestException");
    let (_, message) = ground.refused("UpdateConnector", update(&version, &[("flush.size", "2")])).await;
    assert!(message.contains("connectorConfiguration: The specified parameter value is identical"), "{message}");
    let mut both = update(&version, &[]);
    both["capacity"] = json!({"provisionedCapacity": {"mcuCount": 1, "workerCount": 2}});
    assert_eq!(ground.refused("UpdateConnector", both).await.0, "BadRequestException");

    let answer = ground.ok("UpdateConnector", update(&version, &[])).await;
    assert_eq!(answer["connectorState"], "UPDATING");
    let ended = ground.ended(&answer).await;
    assert_eq!(ended["connectorOperationState"], "UPDATE_COMPLETE", "{ended}");
    assert_eq!(ended["originConnectorConfiguration"]["flush.size"], "2");
    assert_eq!(ended["targetConnectorConfiguration"]["flush.size"], "1");
    let states: Vec<&Value> =
        ended["operationSteps"].as_array().unwrap().iter().map(|step| &step["stepState"]).collect();
    assert_eq!(states, ["COMPLETED"; 4]);
    let shown = ground.describe(&arn).await;
    assert_eq!(shown["connectorConfiguration"]["flush.size"], "1");
    assert_ne!(shown["currentVersion"], version.as_str());
    // The third record was open in an object of two, and is read again.
    let objects = ground.stored(2).await;
    assert_eq!(objects["topics/pins.pin/partition=0/pins.pin+0+0000000002.json"], "2\n");
}

/// As on AWS nothing but the operation tells that an update was taken back.
#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_update_is_rolled_back() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[]).await;
    let update = async |more: &[(&str, &str)], skip: bool| {
        let version = text(&ground.describe(&arn).await["currentVersion"]);
        let asked = json!({"connectorArn": arn, "currentVersion": version, "skipHealthValidation": skip,
            "connectorConfiguration": configuration(more)});
        let answer = ground.ok("UpdateConnector", asked).await;
        ground.ended(&answer).await
    };
    let ended = update(&[("s3.bucket.name", "nowhere")], false).await;
    assert_eq!(ended["connectorOperationState"], "ROLLBACK_COMPLETE", "{ended}");
    assert!(ended["errorInfo"]["message"].as_str().unwrap().contains("nowhere"), "{ended}");
    let steps: Vec<(&Value, &Value)> = ended["operationSteps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["stepType"], &step["stepState"]))
        .collect();
    assert_eq!(steps[2], (&json!("VALIDATE_UPDATE"), &json!("FAILED")));
    let shown = ground.describe(&arn).await;
    assert_eq!(
        (&shown["connectorState"], &shown["connectorConfiguration"]["s3.bucket.name"]),
        (&json!("RUNNING"), &json!("lake"))
    );
    ground.produce("pins.pin", 0, &["1"]);
    ground.stored(1).await;

    let ended = update(&[("s3.bucket.name", "nowhere")], true).await;
    assert_eq!(ended["connectorOperationState"], "UPDATE_COMPLETE");
    assert!(ground.failure(&arn).await.contains("nowhere"));
    let ended = update(&[], false).await;
    assert_eq!(ended["connectorOperationState"], "UPDATE_COMPLETE");
    assert_eq!(ground.state(&arn).await, "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_the_workers() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[]).await;
    let capacity = |workers: i64| json!({"provisionedCapacity": {"mcuCount": 1, "workerCount": workers}});
    let version = async || text(&ground.describe(&arn).await["currentVersion"]);
    let same = json!({"connectorArn": arn, "currentVersion": version().await, "capacity": capacity(1)});
    let (_, message) = ground.refused("UpdateConnector", same).await;
    assert!(message.contains("provisionedCapacity: The specified parameter value is identical"), "{message}");
    let more = json!({"connectorArn": arn, "currentVersion": version().await, "capacity": capacity(2)});
    let ended = ground.ended(&ground.ok("UpdateConnector", more).await).await;
    assert_eq!(ended["connectorOperationState"], "UPDATE_COMPLETE");
    assert_eq!(ended["targetWorkerSetting"]["capacity"], capacity(2));
    assert_eq!(ground.describe(&arn).await["capacity"], capacity(2));

    let paused = ground.ok("PauseConnector", json!({"connectorArn": arn})).await;
    ground.ended(&paused).await;
    let mut update = json!({"connectorArn": arn, "currentVersion": version().await, "capacity": capacity(3)});
    assert_eq!(ground.refused("UpdateConnector", update.clone()).await.0, "BadRequestException");
    update["skipHealthValidation"] = json!(true);
    let ended = ground.ended(&ground.ok("UpdateConnector", update).await).await;
    assert_eq!(ended["connectorOperationState"], "UPDATE_COMPLETE");
    assert_eq!(ground.state(&arn).await, "PAUSED");
    let operations = ground.ok("ListConnectorOperations", json!({"connectorArn": arn, "maxResults": 2})).await;
    assert_eq!(operations["connectorOperations"].as_array().unwrap().len(), 2);
    assert!(operations["nextToken"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connector_is_gone_and_its_name_free() {
    let mut ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[]).await;
    let taken = ground.refused("CreateConnector", ground.request("c", &[])).await;
    assert_eq!(taken.0, "ConflictException");
    let answer = ground.ok("DeleteConnector", json!({"connectorArn": arn})).await;
    assert_eq!(answer["connectorState"], "DELETING");
    let gone = async || matches!(ground.call("DescribeConnector", json!({"connectorArn": arn})).await, Err(error) if error.code == "NotFoundException");
    ground.until("it is gone", gone).await;
    ground.running("c", &[]).await;
    ground.restart().await;
    ground.produce("pins.pin", 0, &["1"]);
    ground.stored(1).await;
}
