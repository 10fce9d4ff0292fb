//! A local cloud, and requests to its MSK and EC2.

use std::time::Duration;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_local::{LocalCloud, Settings};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, Client, TestCloud};

pub(crate) struct Account {
    pub(crate) cloud: TestCloud,
    pub(crate) client: Client,
}

impl Account {
    pub(crate) fn new() -> Account {
        Account::open(tempfile::tempdir().unwrap(), Duration::from_millis(20))
    }

    /// One whose changes take so long that a test sees what is between their beginning and their end.
    pub(crate) fn slow() -> Account {
        Account::open(tempfile::tempdir().unwrap(), Duration::from_secs(1))
    }

    fn open(folder: tempfile::TempDir, settle: Duration) -> Account {
        let mut settings = Settings::new(folder.path());
        settings.settle = settle;
        let cloud = TestCloud { cloud: LocalCloud::start(settings).unwrap(), folder };
        let client = cloud.client();
        Account { cloud, client }
    }

    /// Stops the local cloud and starts it again.
    pub(crate) async fn restart(self) -> Account {
        let TestCloud { cloud, folder } = self.cloud;
        let settle = cloud.settings().settle;
        cloud.stop().await;
        Account::open(folder, settle)
    }

    async fn send(&self, method: Method, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("content-type", "application/json")];
        self.client.send(self.client.sign("kafka", method, target, &headers, body)).await
    }

    pub(crate) async fn ok(&self, method: Method, target: &str, body: Value) -> Value {
        let answer = self.send(method, target, &body).await;
        assert!(answer.status.is_success(), "{target} {body}: {answer:?}");
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    pub(crate) async fn get(&self, target: &str) -> Value {
        self.ok(Method::GET, target, Value::Null).await
    }

    /// The code and the message of a refusal.
    pub(crate) async fn refused(&self, method: Method, target: &str, body: Value) -> (String, String) {
        let answer = self.send(method, target, &body).await;
        assert!(answer.status.is_client_error(), "{target} {body}: {answer:?}");
        let code = answer.header("x-amzn-errortype").split(':').next().unwrap().to_owned();
        (code, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    }

    /// A call of EC2, which must succeed.
    pub(crate) async fn ec2(&self, request: &str) -> Answer {
        let answer = self.client.form("ec2", &format!("Action={request}&Version=2016-11-15")).await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
        answer
    }

    /// The subnets of the default VPC, one a zone.
    pub(crate) async fn subnets(&self) -> Vec<String> {
        let answer = self.ec2("DescribeSubnets").await;
        let ids = answer.text.split("<subnetId>").skip(1);
        ids.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }

    pub(crate) async fn group(&self, name: &str) -> String {
        let answer = self.ec2(&format!("CreateSecurityGroup&GroupName={name}&GroupDescription=d")).await;
        answer.element("groupId").to_owned()
    }

    /// A request for a cluster of three brokers with IAM.
    pub(crate) async fn cluster(&self, name: &str) -> Value {
        json!({"clusterName": name, "provisioned": {
            "kafkaVersion": "3.6.0", "numberOfBrokerNodes": 3,
            "brokerNodeGroupInfo": {
                "clientSubnets": self.subnets().await, "instanceType": "kafka.t3.small",
                "storageInfo": {"ebsStorageInfo": {"volumeSize": 10}},
            },
            "clientAuthentication": {"sasl": {"iam": {"enabled": true}}},
        }})
    }

    /// Makes a cluster; its ARN, when it is active.
    pub(crate) async fn create(&self, request: Value) -> String {
        let made = self.ok(Method::POST, "/api/v2/clusters", request).await;
        assert_eq!((made["state"].as_str(), made["clusterType"].as_str()), (Some("CREATING"), Some("PROVISIONED")));
        let arn = text(&made["clusterArn"]);
        self.reaches(&arn, "ACTIVE").await;
        arn
    }

    pub(crate) async fn describe(&self, arn: &str) -> Value {
        self.get(&format!("/api/v2/clusters/{}", escaped(arn))).await["clusterInfo"].clone()
    }

    pub(crate) async fn reaches(&self, arn: &str, state: &str) {
        until(&format!("{arn} is {state}"), async || self.describe(arn).await["state"] == state).await;
    }

    pub(crate) async fn configuration(&self, name: &str, properties: &str) -> String {
        let body = json!({"name": name, "kafkaVersions": ["3.6.0", "3.7.x"], "description": "d",
            "serverProperties": base64(properties)});
        text(&self.ok(Method::POST, "/v1/configurations", body).await["arn"])
    }

    pub(crate) async fn bootstrap(&self, arn: &str) -> Value {
        self.get(&format!("/v1/clusters/{}/bootstrap-brokers", escaped(arn))).await
    }
}

/// As one segment of a path.
pub(crate) fn escaped(arn: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(arn, KEPT).to_string()
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Waits for a condition, and fails when it does not come true in time.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "in 20 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
