//! Over the wire: answers have the shape of the API model, and the Tagging API lists what has tags.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_local::{LocalCloud, Settings};
use serde_json::{Value, json};

use crate::ground::archive;
use crate::support::{Client, TestCloud};

const ROLE: &str = "arn:aws:iam::000000000000:role/sink";

async fn send(client: &Client, method: Method, target: &str, body: &Value) -> Value {
    send_to("kafkaconnect", client, method, target, body).await
}

async fn send_to(service: &str, client: &Client, method: Method, target: &str, body: &Value) -> Value {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let headers = [("content-type", "application/json")];
    let answer = client.send(client.sign(service, method, target, &headers, body)).await;
    assert!(answer.status.is_success(), "{target}: {answer:?}");
    answer.json()
}

fn escaped(arn: &Value) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(arn.as_str().unwrap(), KEPT).to_string()
}

/// A local cloud with the role, the bucket and an active plugin; the request for a connector.
async fn prepared(cloud: &TestCloud, bootstrap: &str) -> (Value, Value) {
    let client = cloud.client();
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"kafkaconnect.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kafka-cluster:*","s3:PutObject"],"Resource":"*"}]}"#;
    let [trust, policy] = [trust, policy].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    for form in [
        format!("Action=CreateRole&Version=2010-05-08&RoleName=sink&AssumeRolePolicyDocument={trust}"),
        format!("Action=PutRolePolicy&Version=2010-05-08&RoleName=sink&PolicyName=p&PolicyDocument={policy}"),
    ] {
        assert_eq!(client.form("iam", &form).await.status, 200);
    }
    assert_eq!(client.s3(Method::PUT, "/lake", b"").await.status, 200);
    assert_eq!(client.s3(Method::PUT, "/lake/plugin.zip", &archive()).await.status, 200);
    let location = json!({"s3Location": {"bucketArn": "arn:aws:s3:::lake", "fileKey": "plugin.zip"}});
    let asked = json!({"name": "p", "contentType": "ZIP", "location": location, "tags": {"team": "pins"}});
    let plugin = send(&client, Method::POST, "/v1/custom-plugins", &asked).await["customPluginArn"].clone();
    let path = format!("/v1/custom-plugins/{}", escaped(&plugin));
    until(async || send(&client, Method::GET, &path, &Value::Null).await["customPluginState"] == "ACTIVE").await;
    let request = json!({
        "connectorName": "c",
        "capacity": {"autoScaling": {"mcuCount": 1, "minWorkerCount": 1, "maxWorkerCount": 2}},
        "connectorConfiguration": crate::ground::configuration(&[]),
        "kafkaCluster": {"apacheKafkaCluster": {"bootstrapServers": bootstrap, "vpc": {"subnets": ["subnet-1"]}}},
        "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
        "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
        "kafkaConnectVersion": "3.7.x",
        "plugins": [{"customPlugin": {"customPluginArn": plugin, "revision": 1}}],
        "serviceExecutionRoleArn": ROLE,
        "tags": {"team": "pins"},
    });
    (request, plugin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_a_cluster() {
    let cloud = TestCloud::start();
    let client = cloud.client();
    let (request, plugin) = prepared(&cloud, "127.0.0.1:1").await;
    let connector = send(&client, Method::POST, "/v1/connectors", &request).await["connectorArn"].clone();
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

/// The cluster is one of the MSK API, and both are there again after the local cloud was stopped and started.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_of_a_cluster_of_the_same_cloud() {
    let cloud = TestCloud::start();
    let client = cloud.client();
    let subnets = client.form("ec2", "Action=DescribeSubnets&Version=2016-11-15").await.text;
    let subnets: Vec<&str> = subnets.split("<subnetId>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    let cluster = json!({"clusterName": "pins", "provisioned": {
        "kafkaVersion": "3.6.0", "numberOfBrokerNodes": 3,
        "brokerNodeGroupInfo": {"clientSubnets": subnets, "instanceType": "kafka.t3.small",
            "storageInfo": {"ebsStorageInfo": {"volumeSize": 10}}},
        "clientAuthentication": {"sasl": {"iam": {"enabled": true}}}}});
    let cluster = send_to("kafka", &client, Method::POST, "/api/v2/clusters", &cluster).await["clusterArn"].clone();
    let path = format!("/api/v2/clusters/{}", escaped(&cluster));
    until(async || {
        send_to("kafka", &client, Method::GET, &path, &Value::Null).await["clusterInfo"]["state"] == "ACTIVE"
    })
    .await;
    let path = format!("/v1/clusters/{}/bootstrap-brokers", escaped(&cluster));
    let brokers = send_to("kafka", &client, Method::GET, &path, &Value::Null).await;
    let (request, _) = prepared(&cloud, brokers["bootstrapBrokerStringSaslIam"].as_str().unwrap()).await;
    let connector = send(&client, Method::POST, "/v1/connectors", &request).await["connectorArn"].clone();
    let path = format!("/v1/connectors/{}", escaped(&connector));
    let state = async |client: &Client| send(client, Method::GET, &path, &Value::Null).await["connectorState"].clone();
    until(async || state(&client).await != "CREATING").await;
    assert_eq!(state(&client).await, "RUNNING", "{}", send(&client, Method::GET, &path, &Value::Null).await);

    let TestCloud { cloud, folder } = cloud;
    cloud.stop().await;
    let cloud = TestCloud { cloud: LocalCloud::start(Settings::new(folder.path())).unwrap(), folder };
    let client = cloud.client();
    // It restarts at once only when its cluster is found again.
    let restarted = send(&client, Method::POST, &format!("{path}/restart"), &Value::Null).await;
    let operation = format!("/v1/connectorOperations/{}", escaped(&restarted["connectorOperationArn"]));
    let ended = async || send(&client, Method::GET, &operation, &Value::Null).await;
    until(async || !ended().await["endTime"].is_null()).await;
    assert_eq!(ended().await["connectorOperationState"], "RESTART_COMPLETE", "{}", ended().await);
    assert_eq!(state(&client).await, "RUNNING");
    cloud.cloud.stop().await;
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it did not come true");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
