//! The API that a stack deploys, called as producers call it: what it lets through is in the stream as one layer of JSON.

use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pinfra_aws::api_gateway::api_key::{ApiKey, ApiKeyInputs};
use pinfra_aws::api_gateway::deployment::{Deployment, DeploymentInputs};
use pinfra_aws::api_gateway::document::Document;
use pinfra_aws::api_gateway::rest_api::{RestApi, RestApiInputs};
use pinfra_aws::api_gateway::stage::{Stage, StageInputs};
use pinfra_aws::api_gateway::usage_plan::{PlanStage, UsagePlan, UsagePlanInputs};
use pinfra_aws::tags::{Tags, ownership};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, Resource};
use serde_json::{Value, json};

use super::{Cloud, cloud, made};

/// What `expand` makes of `api: {}`, as its own test has it.
const DOCUMENT: &str = include_str!(
    "../../../../src/expand/api/snapshots/pinfra__expand__api__document__tests__the_document_of_an_api.snap"
);
const STREAM: &str = "pins-pin";

/// A stream behind an API that is served.
struct Deployed {
    cloud: Cloud,
    url: String,
    key: String,
}

impl Deployed {
    async fn new() -> Deployed {
        let cloud = cloud().await;
        let clients = &cloud.clients;
        clients.kinesis.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
        let waited = clients.kinesis.describe_stream_summary().stream_name(STREAM);
        while waited.clone().send().await.unwrap().stream_description_summary.unwrap().stream_status.as_str()
            != "ACTIVE"
        {
            tokio::task::yield_now().await;
        }
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "apigateway.amazonaws.com"}}]});
        let role = clients.iam.create_role().role_name("pins-api").assume_role_policy_document(trust.to_string());
        role.send().await.unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["kinesis:PutRecord", "kinesis:PutRecords", "kinesis:DescribeStream"],
                "Resource": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}")},
            {"Effect": "Allow", "Action": "kinesis:ListStreams", "Resource": "*"}]});
        let inline = clients.iam.put_role_policy().role_name("pins-api").policy_name("streams");
        inline.policy_document(policy.to_string()).send().await.unwrap();
        let (api, key) = Self::deploy(&cloud).await;
        let url = format!("{}/_api/{api}/prod", cloud.endpoint());
        Deployed { cloud, url, key }
    }

    /// The API's id, and the value of the key that it asks for.
    async fn deploy(cloud: &Cloud) -> (String, String) {
        let clients = &cloud.clients;
        let call = |kind: &str| Call::silent(Address::new(kind, "api"));
        let tags = |kind: &str| ownership("pins", &Address::new(kind, "api"), &Tags::new());
        let text = DOCUMENT.splitn(3, "---\n").nth(2).unwrap();
        let document: Document = serde_json::from_str(text).unwrap();
        let hash = document.hash();
        let api = RestApiInputs {
            name: "pins".to_owned(),
            description: "test".to_owned(),
            endpoint: "REGIONAL".to_owned(),
            document,
            tags: tags("api_gateway/rest_api"),
        };
        let api = made(&RestApi::new(clients), &call("api_gateway/rest_api"), &api).await;
        let rest_api = Input::Known(api.clone());
        let deployment = DeploymentInputs { rest_api: rest_api.clone(), document_hash: hash };
        made(&Deployment::new(clients), &call("api_gateway/deployment"), &deployment).await;
        let deployment = Deployment::new(clients).read(&api).await.unwrap().unwrap().outputs.deployment_id;
        let stage = StageInputs {
            rest_api: rest_api.clone(),
            deployment: Input::Known(deployment),
            name: "prod".to_owned(),
            throttle_rate: None,
            throttle_burst: None,
            variables: [].into(),
            tags: tags("api_gateway/stage"),
        };
        made(&Stage::new(clients), &call("api_gateway/stage"), &stage).await;
        let key = ApiKeyInputs {
            name: "pins".to_owned(),
            description: "test".to_owned(),
            enabled: true,
            tags: tags("api_gateway/api_key"),
        };
        let key = made(&ApiKey::new(clients), &call("api_gateway/api_key"), &key).await;
        let plan = UsagePlanInputs {
            name: "pins".to_owned(),
            description: "test".to_owned(),
            stages: vec![PlanStage { rest_api, stage: Input::Known("prod".to_owned()) }],
            keys: vec![Input::Known(key.clone())],
            throttle: None,
            quota: None,
            tags: tags("api_gateway/usage_plan"),
        };
        made(&UsagePlan::new(clients), &call("api_gateway/usage_plan"), &plan).await;
        let shown = clients.apigateway.get_api_key().api_key(&key).include_value(true).send().await.unwrap();
        (api, shown.value.unwrap())
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        self.send_with(method, path, body, &[("x-api-key", &self.key), ("content-type", "application/json")]).await
    }

    async fn send_with(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything in the stream: partition keys and data.
    async fn records(&self) -> Vec<(String, String)> {
        let kinesis = &self.cloud.clients.kinesis;
        let iterator = kinesis.get_shard_iterator().stream_name(STREAM).shard_id("shardId-000000000000");
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let read = kinesis.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        read.records
            .into_iter()
            .map(|record| (record.partition_key.unwrap_or_default(), text(record.data.as_ref())))
            .collect()
    }
}

#[tokio::test]
async fn one_record_arrives_as_one_layer_of_json_however_it_was_sent() {
    let deployed = Deployed::new().await;
    let event = json!({"index": 1, "title": "a \"quoted\" 'title' \\ é 漢 😀\n", "tags": [1, {"a": null}]});
    let key = "p\"k'\\\né";
    for data in [event.clone(), json!(event.to_string()), json!([1, 2]), json!(7), json!("no json")] {
        let body = json!({"StreamName": "ignored", "Data": data, "PartitionKey": key});
        let (status, text) = deployed.send("PUT", "/streams/pins-pin/record", &body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        assert!(serde_json::from_str::<Value>(&text).unwrap()["SequenceNumber"].is_string(), "{text}");
    }
    let records = deployed.records().await;
    assert!(records.iter().all(|(found, _)| found == key), "{records:?}");
    let parsed: Vec<Value> = records[..4].iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(parsed, [event.clone(), event, json!([1, 2]), json!(7)]);
    assert_eq!(records[4].1, "no json");
}

#[tokio::test]
async fn many_records_arrive_as_one_layer_of_json_each() {
    let deployed = Deployed::new().await;
    let event = |n: usize| json!({"ind": n, "name": format!("\"{n}\" é\n")});
    let records: Vec<Value> = (0..20)
        .map(|n| {
            let data = if n % 2 == 0 { event(n) } else { json!(event(n).to_string()) };
            json!({"data": data, "partition-key": format!("k\"{n}\n")})
        })
        .collect();
    let (status, text) =
        deployed.send("PUT", "/streams/pins-pin/records", &json!({"records": records}).to_string()).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["FailedRecordCount"], 0, "{text}");
    for (n, (key, data)) in deployed.records().await.into_iter().enumerate() {
        assert_eq!(key, format!("k\"{n}\n"));
        assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), event(n));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_nothing_else_is_written() {
    let deployed = Deployed::new().await;
    let good = json!({"Data": {"index": 1}, "PartitionKey": "1"}).to_string();
    let many = |count: usize| {
        let records = vec![json!({"data": {}, "partition-key": "1"}); count];
        json!({"records": records}).to_string()
    };
    for (path, body, expected) in [
        ("/streams/pins-pin/record", "", 400),
        ("/streams/pins-pin/record", "{\"Data\": {\"index\": 1}, \"Partiti", 400),
        ("/streams/pins-pin/record", "[]", 400),
        ("/streams/pins-pin/record", r#"{"Data": {}}"#, 400),
        ("/streams/pins-pin/record", r#"{"PartitionKey": "1"}"#, 400),
        ("/streams/pins-pin/record", r#"{"Data": {}, "PartitionKey": ""}"#, 400),
        ("/streams/pins-pin/record", r#"{"Data": {}, "PartitionKey": 1}"#, 400),
        ("/streams/pins-pin/records", &many(501), 400),
        ("/streams/pins-pin/records", &many(0), 400),
        ("/streams/pins-pin/records", r#"{"records": [{"data": 1}]}"#, 400),
        // Other streams are not the role's to write to.
        ("/streams/other/record", &good, 403),
        // A name cannot end the text that it stands in.
        ("/streams/a%22%2C%22Data%22%3A%22/record", &good, 400),
        ("/nothing", &good, 403),
    ] {
        let (status, text) = deployed.send("PUT", path, body).await;
        assert_eq!(status, expected, "{path} {body}: {text}");
    }
    let json_type = ("content-type", "application/json");
    let path = "/streams/pins-pin/record";
    let (status, _) = deployed.send_with("PUT", path, &good, &[json_type]).await;
    assert_eq!(status, 403, "without a key");
    let (status, _) = deployed.send_with("PUT", path, &good, &[json_type, ("x-api-key", "wrong")]).await;
    assert_eq!(status, 403, "with a wrong key");
    let headers = [("content-type", "text/plain"), ("x-api-key", deployed.key.as_str())];
    let (status, _) = deployed.send_with("PUT", path, &good, &headers).await;
    assert_eq!(status, 415, "of another type");
    assert!(deployed.records().await.is_empty());
}

#[tokio::test]
async fn streams_are_listed_and_described() {
    let deployed = Deployed::new().await;
    let get = async |path: &str| {
        let (status, text) = deployed.send_with("GET", path, "", &[("x-api-key", deployed.key.as_str())]).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(get("/streams").await["StreamNames"], json!([STREAM]));
    assert_eq!(get("/streams?Limit=1&ExclusiveStartStreamName=a").await["StreamNames"], json!([STREAM]));
    assert_eq!(get("/streams?Limit=1,%22x%22:1&ExclusiveStartStreamName=z").await["StreamNames"], json!([]));
    assert_eq!(get("/streams/pins-pin").await["StreamDescription"]["StreamName"], STREAM);
}
