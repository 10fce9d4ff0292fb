//! Over the wire: answers have the shape of the API model, and the Tagging API lists what has tags.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::ground::archive;
use crate::support::{Client, TestCloud};

const ROLE: &str = "arn:aws:iam::000000000000:role/sink";

async fn send(client: &Client, method: Method, target: &str, body: &Value) -> Value {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let headers = [("content-type", "application/json")];
    let answer = client.send(client.sign("kafkaconnect", method, target, &headers, body)).await;
    assert!(answer.status.is_success(), "{target}: {answer:?}");
    answer.json()
}

fn escaped(arn: &Value) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(arn.as_str().unwrap(), KEPT).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_a_cluster() {
    let cloud = TestCloud::start();
    let client = cloud.client();
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"kafkaconnect.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let trust = utf8_percent_encode(trust, NON_ALPHANUMERIC);
    let role = format!("Action=CreateRole&Version=2010-05-08&RoleName=sink&AssumeRolePolicyDocument={trust}");
    assert_eq!(client.form("iam", &role).await.status, 200);
    assert_eq!(client.s3(Method::PUT, "/lake", b"").await.status, 200);
    assert_eq!(client.s3(Method::PUT, "/lake/plugin.zip", &archive()).await.status, 200);

    let location = json!({"s3Location": {"bucketArn": "arn:aws:s3:::lake", "fileKey": "plugin.zip"}});
    let asked = json!({"name": "p", "contentType": "ZIP", "location": location, "tags": {"team": "pins"}});
    let plugin = send(&client, Method::POST, "/v1/custom-plugins", &asked).await["customPluginArn"].clone();
    let path = format!("/v1/custom-plugins/{}", escaped(&plugin));
    until(async || send(&client, Method::GET, &path, &Value::Null).await["customPluginState"] == "ACTIVE").await;
    let asked = json!({
        "connectorName": "c",
        "capacity": {"autoScaling": {"mcuCount": 1, "minWorkerCount": 1, "maxWorkerCount": 2}},
        "connectorConfiguration": crate::ground::configuration(&[]),
        "kafkaCluster": {"apacheKafkaCluster": {"bootstrapServers": "127.0.0.1:1", "vpc": {"subnets": ["subnet-1"]}}},
        "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
        "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
        "kafkaConnectVersion": "3.7.x",
        "plugins": [{"customPlugin": {"customPluginArn": plugin, "revision": 1}}],
        "serviceExecutionRoleArn": ROLE,
        "tags": {"team": "pins"},
    });
    let connector = send(&client, Method::POST, "/v1/connectors", &asked).await["connectorArn"].clone();
    let path = format!("/v1/connectors/{}", escaped(&connector));
    until(async || send(&client, Method::GET, &path, &Value::Null).await["connectorState"] == "FAILED").await;
    let shown = send(&client, Method::GET, &path, &Value::Null).await;
    assert!(shown["stateDescription"]["message"].as_str().unwrap().contains("127.0.0.1:1"), "{shown}");
    assert!(shown["creationTime"].as_str().unwrap().ends_with('Z'), "{shown}");
    assert_eq!(shown["capacity"]["autoScaling"]["scaleInPolicy"]["cpuUtilizationPercentage"], 20);
    let listed = send(&client, Method::GET, "/v1/connectors?connectorNamePrefix=c", &Value::Null).await;
    assert_eq!(listed["connectors"][0]["networkType"], "IPV4");
    let restarted = send(&client, Method::POST, &format!("{path}/restart"), &Value::Null).await;
    let operation = format!("/v1/connectorOperations/{}", escaped(&restarted["connectorOperationArn"]));
    let state = async || send(&client, Method::GET, &operation, &Value::Null).await["connectorOperationState"].clone();
    until(async || state().await == "RESTART_FAILED").await;

    let found = client.json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", &json!({})).await.json();
    let arns: Vec<&Value> =
        found["ResourceTagMappingList"].as_array().unwrap().iter().map(|found| &found["ResourceARN"]).collect();
    assert!(arns.contains(&&plugin) && arns.contains(&&connector), "{found}");
    let deleted = send(&client, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(deleted["connectorState"], "DELETING");
    cloud.cloud.stop().await;
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it did not come true");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
