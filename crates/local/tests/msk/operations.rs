//! Updates of clusters: one at a time, each for the version of the cluster that its caller has seen.

use http::Method;
use serde_json::{Value, json};

use crate::account::{Account, escaped, text, until};

/// Sends an update for the current version of the cluster.
async fn update(account: &Account, arn: &str, path: &str, body: Value) -> String {
    let method = if path == "security" { Method::PATCH } else { Method::PUT };
    let answer = account.ok(method, &target(arn, path), current(account, arn, body).await).await;
    text(&answer["clusterOperationArn"])
}

async fn refused(account: &Account, arn: &str, path: &str, body: Value) -> String {
    let method = if path == "security" { Method::PATCH } else { Method::PUT };
    let (code, message) = account.refused(method, &target(arn, path), current(account, arn, body).await).await;
    assert_eq!(code, "BadRequestException");
    message
}

async fn current(account: &Account, arn: &str, mut body: Value) -> Value {
    body["currentVersion"] = account.describe(arn).await["currentVersion"].clone();
    body
}

fn target(arn: &str, path: &str) -> String {
    format!("/v1/clusters/{}/{path}", escaped(arn))
}

async fn operation(account: &Account, arn: &str) -> Value {
    account.get(&format!("/v1/operations/{}", escaped(arn))).await["clusterOperationInfo"].clone()
}

async fn completes(account: &Account, arn: &str) -> Value {
    until("the operation ends", async || !operation(account, arn).await["endTime"].is_null()).await;
    let ended = operation(account, arn).await;
    assert_eq!(ended["operationState"], "UPDATE_COMPLETE", "{ended}");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_is_an_operation() {
    let account = Account::new();
    let arn = account.create(account.cluster("pins").await).await;
    let configuration = account.configuration("pins", "auto.create.topics.enable=false").await;
    let size = json!([{"kafkaBrokerNodeId": "All", "volumeSizeGB": 20}]);
    let prometheus =
        json!({"prometheus": {"jmxExporter": {"enabledInBroker": true}, "nodeExporter": {"enabledInBroker": true}}});
    let used = json!({"arn": configuration, "revision": 1});
    for (path, body, pointer, expected) in [
        (
            "nodes/storage",
            json!({ "targetBrokerEBSVolumeInfo": size }),
            "/provisioned/brokerNodeGroupInfo/storageInfo/ebsStorageInfo/volumeSize",
            json!(20),
        ),
        (
            "nodes/type",
            json!({"targetInstanceType": "kafka.m5.large"}),
            "/provisioned/brokerNodeGroupInfo/instanceType",
            json!("kafka.m5.large"),
        ),
        ("nodes/count", json!({"targetNumberOfBrokerNodes": 6}), "/provisioned/numberOfBrokerNodes", json!(6)),
        (
            "monitoring",
            json!({"enhancedMonitoring": "PER_BROKER", "openMonitoring": prometheus}),
            "/provisioned/enhancedMonitoring",
            json!("PER_BROKER"),
        ),
        (
            "configuration",
            json!({ "configurationInfo": used }),
            "/provisioned/currentBrokerSoftwareInfo/configurationRevision",
            json!(1),
        ),
        (
            "version",
            json!({"targetKafkaVersion": "3.7.x"}),
            "/provisioned/currentBrokerSoftwareInfo/kafkaVersion",
            json!("3.7.x"),
        ),
        (
            "security",
            json!({"encryptionInfo": {"encryptionInTransit": {"clientBroker": "TLS_PLAINTEXT"}}}),
            "/provisioned/encryptionInfo/encryptionInTransit/clientBroker",
            json!("TLS_PLAINTEXT"),
        ),
        ("storage", json!({"storageMode": "TIERED"}), "/provisioned/storageMode", json!("TIERED")),
    ] {
        let before = account.describe(&arn).await["currentVersion"].clone();
        let begun = update(&account, &arn, path, body).await;
        let ended = completes(&account, &begun).await;
        assert!(
            ended["operationSteps"].as_array().unwrap().iter().all(|one| one["stepInfo"]["stepStatus"] == "COMPLETED")
        );
        let after = account.describe(&arn).await;
        assert_eq!(after.pointer(pointer), Some(&expected), "{path}: {after}");
        assert_ne!(after["currentVersion"], before, "{path}");
        assert_eq!(after["state"], "ACTIVE");
    }
    assert_eq!(text(&account.bootstrap(&arn).await["bootstrapBrokerString"]).split(',').count(), 6);
    let interfaces = account.ec2("DescribeNetworkInterfaces").await;
    assert_eq!(interfaces.text.matches("<requesterId>amazon-msk</requesterId>").count(), 6);
    let reboot = account.ok(Method::PUT, &target(&arn, "reboot-broker"), json!({"brokerIds": ["6"]})).await;
    completes(&account, reboot["clusterOperationArn"].as_str().unwrap()).await;
    let all = account.get(&target(&arn, "operations")).await;
    assert_eq!(all["clusterOperationInfoList"].as_array().unwrap().len(), 9);
    assert_eq!(all["clusterOperationInfoList"][0]["operationType"], "REBOOT_NODE", "the latest first");
    let v2 = account.get(&format!("/api/v2/clusters/{}/operations?maxResults=1", escaped(&arn))).await;
    let first = text(&v2["clusterOperationInfoList"][0]["operationArn"]);
    let v2 = account.get(&format!("/api/v2/operations/{}", escaped(&first))).await;
    assert_eq!(v2["clusterOperationInfo"]["operationState"], "UPDATE_COMPLETE");
    let configuration = format!("/v1/configurations/{}", escaped(&configuration));
    let (_, message) = account.refused(Method::DELETE, &configuration, Value::Null).await;
    assert!(message.contains("in use"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_do_not_fit_are_refused() {
    let account = Account::new();
    let arn = account.create(account.cluster("pins").await).await;
    let other = account.configuration("other", "").await;
    let volume = |size: u32| json!({"targetBrokerEBSVolumeInfo": [{"kafkaBrokerNodeId": "All", "volumeSizeGB": size}]});
    for (path, body, says) in [
        ("nodes/count", json!({"targetNumberOfBrokerNodes": 5}), "multiple of Availability Zones"),
        ("nodes/count", json!({"targetNumberOfBrokerNodes": 3}), "does not include any updates"),
        ("nodes/storage", volume(9), "can only grow"),
        (
            "nodes/storage",
            json!({"targetBrokerEBSVolumeInfo": [{"kafkaBrokerNodeId": "1", "volumeSizeGB": 20}]}),
            "All",
        ),
        ("nodes/type", json!({"targetInstanceType": "express.m7g.large"}), "cannot become express"),
        ("version", json!({"targetKafkaVersion": "3.5.1"}), "cannot be updated to 3.5.1"),
        ("version", json!({"targetKafkaVersion": "3.9.x.kraft"}), "cannot be updated"),
        ("configuration", json!({"configurationInfo": {"arn": other, "revision": 7}}), "does not exist"),
        (
            "connectivity",
            json!({"connectivityInfo": {"publicAccess": {"type": "SERVICE_PROVIDED_EIPS"}}}),
            "public access",
        ),
        (
            "security",
            json!({"encryptionInfo": {"encryptionInTransit": {"clientBroker": "PLAINTEXT"}}}),
            "SASL authentication",
        ),
        ("monitoring", json!({"enhancedMonitoring": "DEFAULT"}), "does not include any updates"),
    ] {
        let message = refused(&account, &arn, path, body.clone()).await;
        assert!(message.contains(says), "{path} {body}: {message}");
    }
    let stale = json!({"currentVersion": "K0", "targetNumberOfBrokerNodes": 6});
    let (code, _) = account.refused(Method::PUT, &target(&arn, "nodes/count"), stale).await;
    assert_eq!(code, "BadRequestException");
    assert_eq!(account.describe(&arn).await["state"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_runs_at_a_time_and_goes_on_after_a_restart() {
    let account = Account::slow();
    let arn = account.create(account.cluster("pins").await).await;
    let begun = update(&account, &arn, "nodes/count", json!({"targetNumberOfBrokerNodes": 6})).await;
    let message = refused(&account, &arn, "nodes/type", json!({"targetInstanceType": "kafka.m5.large"})).await;
    assert!(message.contains("UPDATING"), "{message}");
    assert_eq!(account.describe(&arn).await["activeOperationArn"], begun.as_str());
    let delete = format!("/v1/clusters/{}", escaped(&arn));
    assert_eq!(account.refused(Method::DELETE, &delete, Value::Null).await.0, "BadRequestException");

    let account = account.restart().await;
    completes(&account, &begun).await;
    assert_eq!(account.describe(&arn).await["provisioned"]["numberOfBrokerNodes"], 6);
}
