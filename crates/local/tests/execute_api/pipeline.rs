//! The Kinesis API of the pipeline: two streams, the role, the four methods, deployed to the stage `dev`.

use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestCloud};

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/kinesis-access";

/// A local cloud with an API in it.
pub(crate) struct Pipeline {
    pub(crate) cloud: TestCloud,
    pub(crate) client: Client,
    pub(crate) api_id: String,
    http: HttpClient<HttpConnector, Full<Bytes>>,
}

impl Pipeline {
    /// The Kinesis API, the stream `streaming-pin`, and a role that may use it.
    pub(crate) async fn start() -> Pipeline {
        let pipeline = Pipeline::with_paths(&kinesis_paths()).await;
        pipeline.make_role("apigateway.amazonaws.com", "kinesis:*", "*").await;
        let stream = json!({"StreamName": "streaming-pin", "ShardCount": 1});
        pipeline.kinesis("CreateStream", &stream).await;
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let described = pipeline.kinesis("DescribeStreamSummary", &json!({"StreamName": "streaming-pin"})).await;
            if described["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return pipeline;
            }
            assert!(tokio::time::Instant::now() < until, "{described}");
            tokio::task::yield_now().await;
        }
    }

    /// An API of these OpenAPI paths, deployed to `dev`.
    pub(crate) async fn with_paths(paths: &Value) -> Pipeline {
        let cloud = TestCloud::start();
        let client = cloud.client();
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        let mut pipeline = Pipeline { cloud, client, api_id: String::new(), http };
        let document = json!({"openapi": "3.0.1", "info": {"title": "pins", "version": "1"}, "paths": paths});
        let made = pipeline.control(Method::POST, "/restapis?mode=import", &document).await;
        made["id"].as_str().unwrap().clone_into(&mut pipeline.api_id);
        pipeline.deploy().await;
        pipeline
    }

    /// Makes a deployment and moves `dev` to it.
    pub(crate) async fn deploy(&self) {
        let path = format!("/restapis/{}/deployments", self.api_id);
        self.control(Method::POST, &path, &json!({"stageName": "dev"})).await;
    }

    /// The role of the integrations, with one inline policy.
    pub(crate) async fn make_role(&self, trusted: &str, action: &str, resource: &str) {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}]});
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": resource}]});
        for form in [
            format!(
                "Action=CreateRole&Version=2010-05-08&RoleName=kinesis-access&AssumeRolePolicyDocument={}",
                encoded(&trust)
            ),
            format!(
                "Action=PutRolePolicy&Version=2010-05-08&RoleName=kinesis-access&PolicyName=p&PolicyDocument={}",
                encoded(&policy)
            ),
        ] {
            let answer = self.client.form("iam", &form).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    }

    /// A call of the control plane, which must succeed.
    pub(crate) async fn control(&self, method: Method, target: &str, body: &Value) -> Value {
        let headers = [("content-type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.client.send(self.client.sign("apigateway", method, target, &headers, body)).await;
        assert!(answer.status.is_success(), "{target}: {answer:?}");
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    /// A signed call of Kinesis, which must succeed.
    pub(crate) async fn kinesis(&self, operation: &str, body: &Value) -> Value {
        let answer = self.client.json("kinesis", &format!("Kinesis_20131202.{operation}"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    /// An unsigned call of the API, in path style.
    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.call_with(method, path, &[("content-type", "application/json")], body.into()).await
    }

    /// The same with other headers. A `host` makes it host style: the path then begins with the stage.
    pub(crate) async fn call_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let is_host_style = headers.iter().any(|(name, _)| *name == "host");
        let prefix = if is_host_style { String::new() } else { format!("/_api/{}/dev", self.api_id) };
        let mut request = Request::builder().method(method).uri(format!("{}{prefix}{path}", self.client.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.http.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = sent.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&body).into_owned() }
    }

    /// All records of `streaming-pin`, as text.
    pub(crate) async fn records(&self) -> Vec<(String, String)> {
        use base64::Engine;
        let wanted = json!({"StreamName": "streaming-pin", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = self.kinesis("GetShardIterator", &wanted).await["ShardIterator"].clone();
        let found = self.kinesis("GetRecords", &json!({"ShardIterator": iterator})).await;
        let text = |record: &Value| {
            let data = base64::engine::general_purpose::STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
            (record["PartitionKey"].as_str().unwrap().to_owned(), String::from_utf8(data).unwrap())
        };
        found["Records"].as_array().unwrap().iter().map(text).collect()
    }

    /// Why calls failed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.cloud.folder.path().join("execute-api.log")).unwrap_or_default()
    }
}

/// Percent-encoded for a form.
fn encoded(value: &Value) -> String {
    percent_encoding::utf8_percent_encode(&value.to_string(), percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The tutorial's Kinesis proxy ("Create a REST API as an Amazon Kinesis proxy", API Gateway developer guide).
pub(crate) fn kinesis_paths() -> Value {
    let operation = |action: &str, template: &str| {
        json!({
            "parameters": [{"name": "stream-name", "in": "path", "required": true, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "200"}, "400": {"description": "400"}},
            "x-amazon-apigateway-integration": {
                "type": "aws", "httpMethod": "POST", "credentials": ROLE,
                "uri": format!("arn:aws:apigateway:us-east-1:kinesis:action/{action}"),
                "passthroughBehavior": "when_no_templates",
                "requestParameters": {"integration.request.header.Content-Type": "'application/x-amz-json-1.1'"},
                "requestTemplates": {"application/json": template},
                "responses": {"default": {"statusCode": "200"}, "4\\d{2}": {"statusCode": "400"}},
            },
        })
    };
    json!({
        "/streams": {"get": operation("ListStreams", "{}")},
        "/streams/{stream-name}": {
            "get": operation("DescribeStream", "{\"StreamName\": \"$input.params('stream-name')\"}"),
            "post": operation("CreateStream", "{\"ShardCount\": #if($input.path('$.ShardCount') == '') 5 #else $input.path('$.ShardCount') #end, \"StreamName\": \"$input.params('stream-name')\"}"),
            "delete": operation("DeleteStream", "{\"StreamName\": \"$input.params('stream-name')\"}"),
        },
        "/streams/{stream-name}/record": {
            "put": operation("PutRecord", "{\"StreamName\": \"$input.params('stream-name')\", \"Data\": \"$util.base64Encode($input.json('$.Data'))\", \"PartitionKey\": \"$input.path('$.PartitionKey')\"}"),
        },
        "/streams/{stream-name}/records": {
            "put": operation("PutRecords", "{\"StreamName\": \"$input.params('stream-name')\", \"Records\": [#foreach($elem in $input.path('$.records')){\"Data\": \"$util.base64Encode($elem.data)\", \"PartitionKey\": \"$elem.partition-key\"}#if($foreach.hasNext),#end#end]}"),
        },
    })
}
