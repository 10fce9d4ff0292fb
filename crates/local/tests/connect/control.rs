//! Plugins and worker configurations, and what refuses a connector before it is made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::ground::{Ground, configuration, text};

fn plugin(name: &str, key: &str) -> Value {
    json!({"name": name, "contentType": "ZIP", "tags": {"a": "b"},
        "location": {"s3Location": {"bucketArn": "arn:aws:s3:::lake", "fileKey": key}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_an_archive_that_can_be_read() {
    let ground = Ground::new().await;
    let shown = ground.ok("DescribeCustomPlugin", json!({"customPluginArn": ground.plugin})).await;
    assert_eq!((&shown["customPluginState"], &shown["latestRevision"]["revision"]), (&json!("ACTIVE"), &json!(1)));
    assert_eq!(shown["latestRevision"]["fileDescription"]["fileMd5"].as_str().unwrap().len(), 32);
    let (code, message) = ground.refused("CreateCustomPlugin", plugin("none", "absent.zip")).await;
    assert!(code == "BadRequestException" && message.contains("s3://lake/absent.zip"), "{message}");
    ground.s3.object("/lake/text.zip", "not an archive").await;
    let made = ground.ok("CreateCustomPlugin", plugin("text", "text.zip")).await;
    assert_eq!(made["customPluginState"], "CREATING");
    let arn = json!({"customPluginArn": made["customPluginArn"]});
    ground.clock.advance(std::time::Duration::from_secs(1));
    let shown = ground.ok("DescribeCustomPlugin", arn.clone()).await;
    assert_eq!(shown["customPluginState"], "CREATE_FAILED");
    assert!(shown["stateDescription"]["message"].as_str().unwrap().contains("no ZIP"), "{shown}");
    assert_eq!(ground.refused("CreateCustomPlugin", plugin("text", "text.zip")).await.0, "ConflictException");
    let listed = ground.ok("ListCustomPlugins", json!({"namePrefix": "te"})).await;
    assert_eq!(listed["customPlugins"].as_array().unwrap().len(), 1);
    ground.ok("DeleteCustomPlugin", arn.clone()).await;
    ground.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(ground.refused("DescribeCustomPlugin", arn).await.0, "NotFoundException");
    ground.ok("CreateCustomPlugin", plugin("text", "text.zip")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_use_stays() {
    let ground = Ground::new().await;
    let arn = ground.running("c", &[]).await;
    let delete = json!({"customPluginArn": ground.plugin});
    let (code, message) = ground.refused("DeleteCustomPlugin", delete.clone()).await;
    assert!(code == "BadRequestException" && message.contains("'c'"), "{message}");
    ground.ok("DeleteConnector", json!({"connectorArn": arn})).await;
    ground
        .until("it is gone", async || ground.call("DescribeConnector", json!({"connectorArn": arn})).await.is_err())
        .await;
    ground.ok("DeleteCustomPlugin", delete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_configurations_give_converters() {
    let ground = Ground::new().await;
    let properties = "key.converter=org.apache.kafka.connect.storage.StringConverter\n\
        value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n";
    let create = |name: &str, text: &str| json!({"name": name, "propertiesFileContent": STANDARD.encode(text)});
    let made = ground.ok("CreateWorkerConfiguration", create("w", properties)).await;
    let arn = json!({"workerConfigurationArn": made["workerConfigurationArn"]});
    let shown = ground.ok("DescribeWorkerConfiguration", arn.clone()).await;
    assert_eq!(shown["latestRevision"]["propertiesFileContent"], STANDARD.encode(properties));
    for bad in [&format!("{properties}group.id=mine"), "key.converter=a"] {
        assert_eq!(ground.refused("CreateWorkerConfiguration", create("bad", bad)).await.0, "BadRequestException");
    }
    ground.topic("pins.pin", 1);
    let mut request = ground.request("c", &[("value.converter", ""), ("value.converter.schemas.enable", "")]);
    request["workerConfiguration"] = json!({"workerConfigurationArn": made["workerConfigurationArn"], "revision": 1});
    ground.make(request).await;
    ground.produce("pins.pin", 0, &[r#"{"a":1}"#]);
    assert_eq!(ground.stored(1).await.into_values().collect::<Vec<_>>(), ["{\"a\":1}\n"]);
    assert_eq!(ground.refused("DeleteWorkerConfiguration", arn).await.0, "BadRequestException");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connector_needs_to_be_made() {
    let ground = Ground::new().await;
    let with = |member: &str, value: Value| {
        let mut request = ground.request("c", &[]);
        request[member] = value;
        request
    };
    let missing = json!([{"customPlugin": {"customPluginArn": "arn:aws:kafkaconnect:us-east-1:0:custom-plugin/x/y", "revision": 1}}]);
    for (request, code) in [
        (with("serviceExecutionRoleArn", json!("arn:aws:iam::000000000000:role/none")), "BadRequestException"),
        (with("plugins", missing), "NotFoundException"),
        (with("plugins", json!([])), "BadRequestException"),
        (with("capacity", json!({})), "BadRequestException"),
        (with("kafkaConnectVersion", json!("1.0")), "BadRequestException"),
        (with("kafkaClusterEncryptionInTransit", json!({"encryptionType": "PLAINTEXT"})), "BadRequestException"),
        (with("connectorConfiguration", json!(configuration(&[("tasks.max", "")]))), "BadRequestException"),
        (with("connectorName", json!("a b")), "BadRequestException"),
    ] {
        assert_eq!(ground.refused("CreateConnector", request.clone()).await.0, code, "{request}");
    }
    assert_eq!(ground.ok("ListConnectors", json!({})).await["connectors"], json!([]));
    let arn = ground.running("c", &[]).await;
    let tags = json!({"resourceArn": arn, "tags": {"pinfra:stack": "s"}});
    ground.ok("TagResource", tags).await;
    let listed = ground.ok("ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(text(&listed["tags"]["pinfra:stack"]), "s");
}
