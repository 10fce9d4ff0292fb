//! Brokers, S3, IAM and MSK Connect in a folder of their own, and what tests do with them.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::credentials::Credentials;
use pinfra_local::kafka::{Cluster, ClusterSpec, Gate, Kafka, NewRecord, Principal};
use pinfra_local::services::iam::Iam;
use pinfra_local::services::kafkaconnect::KafkaConnect;
use pinfra_local::services::{Call, Service};
use pinfra_local::wire::error::ApiError;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::s3::Server;

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/sink";
const CLUSTER: &str = "arn:aws:kafka:us-east-1:000000000000:cluster/pins/0f1e2d3c-1";

/// Tests produce in the process; nobody comes through a listener.
struct Nobody;

impl Gate for Nobody {
    fn connect(&self, _token: &str, _region: &str) -> Result<Principal, String> {
        Err("nobody".to_owned())
    }

    fn may(&self, _principal: &str, _action: &str, _resource: &str) -> Result<(), String> {
        Err("nobody".to_owned())
    }
}

pub(crate) struct Ground {
    pub(crate) connect: KafkaConnect,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) clock: Clock,
    pub(crate) iam: Iam,
    pub(crate) s3: Server,
    kafka: Kafka,
    settings: Settings,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) plugin: String,
}

impl Ground {
    /// A cluster with IAM, the bucket `lake`, the role `sink` that may use both, and an active plugin.
    pub(crate) async fn new() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let settings = Settings { settle: Duration::from_millis(10), ..Settings::new(folder.path()) };
        let credentials = Arc::new(Credentials::open(folder.path(), clock.clone()).unwrap());
        let iam = Iam::open(folder.path(), clock.clone(), &settings, credentials).unwrap();
        let s3 = Server::start_at(folder.path(), clock.clone()).await;
        let kafka = Kafka::open(folder.path(), clock.clone(), &settings, Arc::new(Nobody)).unwrap();
        let spec = ClusterSpec {
            arn: CLUSTER.to_owned(),
            name: "pins".to_owned(),
            uuid: "0f1e2d3c-1".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            nodes: 1,
            properties: BTreeMap::new(),
            kafka_version: "3.6.0".to_owned(),
        };
        let cluster = kafka.open_cluster(spec).await.unwrap();
        let (brokers, roles, objects) = (kafka.clone(), iam.clone(), s3.front.clone());
        let connect = KafkaConnect::open(folder.path(), clock.clone(), &settings, brokers, roles, objects).unwrap();
        let plugin = String::new();
        let mut ground = Ground { connect, cluster, clock, iam, s3, kafka, settings, folder, plugin };
        ground.make_role(&allow("*", "*")).await;
        ground.s3.bucket("lake").await;
        ground.plugin = ground.make_plugin("s3-sink").await;
        ground
    }

    /// Ends MSK Connect and opens it again.
    pub(crate) async fn restart(&mut self) {
        self.connect.stop().await;
        let (kafka, iam, s3) = (self.kafka.clone(), self.iam.clone(), self.s3.front.clone());
        let deadline = Instant::now() + Duration::from_secs(20);
        // The one before is dropped by this assignment only: its store is closed first.
        let folder = self.folder.path().to_owned();
        let other = tempfile::tempdir().unwrap();
        let parked = Settings::new(other.path());
        self.connect =
            KafkaConnect::open(other.path(), self.clock.clone(), &parked, kafka.clone(), iam.clone(), s3.clone())
                .unwrap();
        loop {
            let opened =
                KafkaConnect::open(&folder, self.clock.clone(), &self.settings, kafka.clone(), iam.clone(), s3.clone());
            match opened {
                Ok(connect) => {
                    self.connect = connect;
                    return;
                }
                Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sets the one inline policy of the role, and makes the role before if it is not there.
    pub(crate) async fn make_role(&self, policy: &Value) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Service": "kafkaconnect.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let role = json!({"RoleName": "sink", "AssumeRolePolicyDocument": trust.to_string()});
        // It may be there already.
        let _made = self.iam.call(call("CreateRole"), role).await;
        let put = json!({"RoleName": "sink", "PolicyName": "p", "PolicyDocument": policy.to_string()});
        self.iam.call(call("PutRolePolicy"), put).await.unwrap();
    }

    /// An archive in the bucket, and an active plugin of it.
    pub(crate) async fn make_plugin(&self, name: &str) -> String {
        self.s3.put("/lake/plugin.zip").body(archive()).send().await.ok();
        let location = json!({"s3Location": {"bucketArn": "arn:aws:s3:::lake", "fileKey": "plugin.zip"}});
        let asked = json!({"name": name, "contentType": "ZIP", "location": location});
        let arn = text(&self.ok("CreateCustomPlugin", asked).await["customPluginArn"]);
        self.clock.advance(self.settings.settle);
        arn
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.connect.call(call(operation), input).await
    }

    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// The code and the message of a refusal.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        match self.call(operation, input.clone()).await {
            Ok(answer) => panic!("{operation} {input} was answered: {answer}"),
            Err(error) => (error.code, error.message),
        }
    }

    /// A request for a connector, with a configuration over that of the pipeline.
    pub(crate) fn request(&self, name: &str, more: &[(&str, &str)]) -> Value {
        let node = &self.cluster.nodes()[0];
        json!({
            "connectorName": name,
            "capacity": {"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}},
            "connectorConfiguration": configuration(more),
            "kafkaCluster": {"apacheKafkaCluster": {
                "bootstrapServers": node.iam.to_string(),
                "vpc": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}},
            "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
            "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
            "kafkaConnectVersion": "3.7.x",
            "plugins": [{"customPlugin": {"customPluginArn": self.plugin, "revision": 1}}],
            "serviceExecutionRoleArn": ROLE,
        })
    }

    /// Makes a connector and returns its ARN when it is no longer CREATING.
    pub(crate) async fn connector(&self, name: &str, more: &[(&str, &str)]) -> String {
        self.make(self.request(name, more)).await
    }

    pub(crate) async fn make(&self, request: Value) -> String {
        let arn = text(&self.ok("CreateConnector", request).await["connectorArn"]);
        self.until("it is made", async || self.state(&arn).await != "CREATING").await;
        arn
    }

    /// Makes one that has to run.
    pub(crate) async fn running(&self, name: &str, more: &[(&str, &str)]) -> String {
        let arn = self.connector(name, more).await;
        let shown = self.describe(&arn).await;
        assert_eq!(shown["connectorState"], "RUNNING", "{shown}");
        arn
    }

    pub(crate) async fn describe(&self, arn: &str) -> Value {
        self.ok("DescribeConnector", json!({"connectorArn": arn})).await
    }

    pub(crate) async fn state(&self, arn: &str) -> String {
        text(&self.describe(arn).await["connectorState"])
    }

    pub(crate) async fn reaches(&self, arn: &str, state: &str) {
        self.until(state, async || self.state(arn).await == state).await;
    }

    /// The message of a connector that has failed.
    pub(crate) async fn failure(&self, arn: &str) -> String {
        self.reaches(arn, "FAILED").await;
        text(&self.describe(arn).await["stateDescription"]["message"])
    }

    /// Waits for an operation to end, and returns it.
    pub(crate) async fn ended(&self, answer: &Value) -> Value {
        let arn = text(&answer["connectorOperationArn"]);
        let input = json!({"connectorOperationArn": arn});
        self.until("it ends", async || {
            !self.ok("DescribeConnectorOperation", input.clone()).await["endTime"].is_null()
        })
        .await;
        self.ok("DescribeConnectorOperation", input).await
    }

    pub(crate) fn topic(&self, name: &str, partitions: i32) {
        self.cluster.create_topic(name, partitions, 1, &BTreeMap::new()).unwrap();
    }

    pub(crate) fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        let records: Vec<NewRecord> = values
            .iter()
            .map(|value| NewRecord { value: Some(Bytes::copy_from_slice(value.as_bytes())), ..NewRecord::default() })
            .collect();
        self.cluster.append(topic, Some(partition), &records).unwrap();
    }

    /// The keys below `topics/` of the bucket.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = self.s3.get("/lake").query("list-type", 2).query("prefix", "topics/").send().await.ok();
        listed.all("Key")
    }

    /// All objects with their text; those that are compressed are unpacked.
    pub(crate) async fn objects(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for key in self.keys().await {
            let bytes = self.s3.get(&format!("/lake/{key}")).send().await.ok().body;
            let mut text = String::new();
            if key.ends_with(".gz") {
                GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(bytes.to_vec()).unwrap();
            }
            found.insert(key, text);
        }
        found
    }

    /// Waits until there are that many objects, and returns them.
    pub(crate) async fn stored(&self, count: usize) -> BTreeMap<String, String> {
        self.until(&format!("{count} objects"), async || self.keys().await.len() >= count).await;
        let objects = self.objects().await;
        assert_eq!(objects.len(), count, "{objects:?}");
        objects
    }

    pub(crate) async fn committed(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let committed = async || self.cluster.committed(group, topic, partition) == Some(offset);
        self.until(&format!("{topic}-{partition} is committed to {offset}"), committed).await;
    }

    /// Waits for a condition, and fails when it does not come true in time.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds().await {
            if Instant::now() > deadline {
                let connectors = self.ok("ListConnectors", json!({})).await;
                let log = std::fs::read_to_string(self.folder.path().join("kafka-connect.log")).unwrap_or_default();
                panic!("in 20 seconds: {what}\n{connectors}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// The pipeline's own configuration, with changes; an empty value takes the key out.
pub(crate) fn configuration(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [
        ("connector.class", "io.confluent.connect.s3.S3SinkConnector"),
        ("tasks.max", "3"),
        ("topics.regex", "pins.*"),
        ("flush.size", "1"),
        ("s3.region", "us-east-1"),
        ("s3.bucket.name", "lake"),
        ("schema.compatibility", "NONE"),
        ("format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
        ("storage.class", "io.confluent.connect.s3.storage.S3Storage"),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.DefaultPartitioner"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
    ];
    let all = base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut all: BTreeMap<String, String> = all.collect();
    all.retain(|_, value| !value.is_empty());
    all
}

pub(crate) fn allow(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})
}

pub(crate) fn call(operation: &str) -> Call {
    Call {
        operation: operation.to_owned(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        principal: "arn:aws:iam::000000000000:user/local".to_owned(),
        access_key: "AKIALOCAL".to_owned(),
        request_id: "1".to_owned(),
        fails: None,
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A ZIP with one empty file in it.
pub(crate) fn archive() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("lib/sink.jar", zip::write::SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap().into_inner()
}
