//! A Kinesis in a folder of its own, and requests to it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::services::kinesis::Kinesis;
use pinfra_local::services::{Call, Service};
use pinfra_local::wire::error::ApiError;
use serde_json::{Value, json};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) struct Cloud {
    pub(crate) kinesis: Kinesis,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) folder: tempfile::TempDir,
}

impl Cloud {
    /// Without throughput limits, and asynchronous changes that take a minute of the clock.
    pub(crate) fn new() -> Cloud {
        Cloud::with(false)
    }

    pub(crate) fn with(limits: bool) -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let mut settings = Settings::new(folder.path());
        settings.settle = Duration::from_secs(60);
        settings.limits = limits;
        let kinesis = Kinesis::open(folder.path(), clock.clone(), &settings).unwrap();
        Cloud { kinesis, clock, settings, folder }
    }

    /// Ends the process, as far as Kinesis is concerned, and starts it again.
    pub(crate) fn restart(self) -> Cloud {
        let Cloud { kinesis, clock, settings, folder } = self;
        drop(kinesis);
        let kinesis = Kinesis::open(folder.path(), clock.clone(), &settings).unwrap();
        Cloud { kinesis, clock, settings, folder }
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        call(&self.kinesis, operation, input).await
    }

    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// The code and the message of the refusal.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        match self.call(operation, input.clone()).await {
            Ok(answer) => panic!("{operation} {input} was answered: {answer}"),
            Err(error) => (error.code, error.message),
        }
    }

    pub(crate) async fn refused_code(&self, operation: &str, input: Value) -> String {
        self.refused(operation, input).await.0
    }

    pub(crate) fn settle(&self) {
        self.clock.advance(self.settings.settle);
    }

    /// A stream that is ACTIVE.
    pub(crate) async fn stream(&self, name: &str, shards: u32) {
        self.ok("CreateStream", json!({ "StreamName": name, "ShardCount": shards })).await;
        self.settle();
    }

    /// One that goes from UPDATING to ACTIVE.
    pub(crate) async fn settled(&self, operation: &str, input: Value) -> Value {
        let answer = self.ok(operation, input).await;
        self.settle();
        answer
    }

    pub(crate) async fn status(&self, name: &str) -> String {
        let answer = self.ok("DescribeStreamSummary", json!({ "StreamName": name })).await;
        text(&answer["StreamDescriptionSummary"]["StreamStatus"])
    }

    pub(crate) async fn shards(&self, name: &str) -> Vec<Value> {
        list(&self.ok("ListShards", json!({ "StreamName": name })).await["Shards"])
    }

    /// Puts a record and returns its shard and sequence number.
    pub(crate) async fn put(&self, name: &str, key: &str, data: &str) -> (String, String) {
        let answer = self.ok("PutRecord", record(name, key, data)).await;
        (text(&answer["ShardId"]), text(&answer["SequenceNumber"]))
    }

    pub(crate) async fn iterator(&self, name: &str, shard: &str, more: Value) -> String {
        let mut input = json!({ "StreamName": name, "ShardId": shard });
        for (member, value) in more.as_object().unwrap() {
            input[member] = value.clone();
        }
        text(&self.ok("GetShardIterator", input).await["ShardIterator"])
    }

    pub(crate) async fn oldest(&self, name: &str, shard: &str) -> String {
        self.iterator(name, shard, json!({ "ShardIteratorType": "TRIM_HORIZON" })).await
    }

    pub(crate) async fn get(&self, iterator: &str) -> Value {
        self.ok("GetRecords", json!({ "ShardIterator": iterator })).await
    }

    /// The data of one GetRecords.
    pub(crate) async fn data(&self, iterator: &str) -> Vec<String> {
        list(&self.get(iterator).await["Records"]).iter().map(data).collect()
    }

    /// All there is in a shard.
    pub(crate) async fn drain(&self, name: &str, shard: &str) -> Vec<Value> {
        let mut records = Vec::new();
        let mut iterator = self.oldest(name, shard).await;
        loop {
            let answer = self.get(&iterator).await;
            records.extend(list(&answer["Records"]));
            let Some(next) = answer["NextShardIterator"].as_str() else { return records };
            if answer["MillisBehindLatest"] == 0 {
                return records;
            }
            iterator = next.to_owned();
        }
    }
}

pub(crate) async fn call(kinesis: &Kinesis, operation: &str, input: Value) -> Result<Value, ApiError> {
    let call = Call {
        operation: operation.to_owned(),
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        principal: format!("arn:aws:iam::{ACCOUNT}:user/local"),
        access_key: "AKIALOCAL".to_owned(),
        request_id: "1".to_owned(),
        fails: None,
    };
    kinesis.call(call, input).await
}

pub(crate) fn record(name: &str, key: &str, data: &str) -> Value {
    json!({ "StreamName": name, "PartitionKey": key, "Data": encode(data) })
}

pub(crate) fn encode(data: impl AsRef<[u8]>) -> String {
    STANDARD.encode(data)
}

pub(crate) fn data(record: &Value) -> String {
    String::from_utf8(STANDARD.decode(text(&record["Data"])).unwrap()).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub(crate) fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}")).clone()
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}
