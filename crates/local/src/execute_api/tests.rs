//! APIs served from definitions, with a backend that notes what it is asked.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request as HttpRequest, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::backend::{Backend, Caller, ServiceCall};
use super::{BodyFault, ExecuteApi};
use crate::clock::Clock;
use crate::services::apigateway::{Deployed, KeyUse, Quota, Throttle};
use crate::wire::error::ApiError;
use crate::wire::request::Request;

pub(super) fn deployed(resources: Vec<Value>) -> Deployed {
    Deployed {
        api_id: "a1".to_owned(),
        region: "us-east-1".to_owned(),
        rest_api: json!({}),
        stage: json!({"stageName": "dev", "variables": {"action": "PutRecord"}}),
        resources,
        validators: BTreeMap::from([(
            "v".to_owned(),
            json!({"validateRequestBody": true, "validateRequestParameters": true}),
        )]),
        models: BTreeMap::from([(
            "Record".to_owned(),
            json!({"schema": json!({"type": "object", "required": ["Data"]}).to_string()}),
        )]),
        binary_media_types: vec!["image/*".to_owned()],
    }
}

/// A backend with one API, one key and a service that answers what it is told to.
struct Fake {
    deployed: Mutex<Arc<Deployed>>,
    answer: Mutex<Result<(u16, String), ApiError>>,
    calls: Mutex<Vec<ServiceCall>>,
    counted: Mutex<Vec<String>>,
}

impl Backend for Fake {
    fn deployed(&self, api_id: &str, stage: &str) -> Option<Arc<Deployed>> {
        (api_id == "a1" && stage == "dev").then(|| Arc::clone(&self.deployed.lock().unwrap()))
    }

    fn key(&self, value: &str, _api_id: &str, _stage: &str) -> Option<KeyUse> {
        let known = ["good", "off", "slow"].contains(&value);
        known.then(|| KeyUse {
            key_id: value.to_owned(),
            enabled: value != "off",
            plan_id: "p".to_owned(),
            throttle: (value == "slow").then_some(Throttle { rate: 0.0, burst: 2 }),
            method_throttles: BTreeMap::new(),
            quota: (value == "good").then(|| Quota { limit: 3, offset: 0, period: "DAY".to_owned() }),
        })
    }

    fn caller(&self, _request: &Request<'_>, resource: &str) -> Result<Caller, ApiError> {
        Err(ApiError::new("AccessDeniedException", format!("not allowed on {resource}")))
    }

    fn loopback_of(&self, _region: &str, _host: &str) -> Option<Ipv4Addr> {
        None
    }

    fn count(&self, operation: &str) {
        self.counted.lock().unwrap().push(operation.to_owned());
    }

    fn call(&self, call: ServiceCall) -> BoxFuture<'_, Result<Response<Bytes>, ApiError>> {
        self.calls.lock().unwrap().push(call);
        let answer = self.answer.lock().unwrap().clone();
        async move {
            let (status, body) = answer?;
            Ok(Response::builder().status(status).header("x-amzn-requestid", "inner").body(body.into()).unwrap())
        }
        .boxed()
    }
}

struct Api {
    apis: ExecuteApi,
    backend: Arc<Fake>,
    clock: Clock,
    folder: TempDir,
}

impl Api {
    fn new(resources: Vec<Value>) -> Api {
        let backend = Arc::new(Fake {
            deployed: Mutex::new(Arc::new(deployed(resources))),
            answer: Mutex::new(Ok((200, json!({"ShardId": "shardId-0", "SequenceNumber": "1"}).to_string()))),
            calls: Mutex::default(),
            counted: Mutex::default(),
        });
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
        let apis = ExecuteApi::new(folder.path(), clock.clone(), Arc::clone(&backend) as Arc<dyn Backend>);
        Api { apis, backend, clock, folder }
    }

    /// One resource `/r/{name}` with one method.
    fn with_method(verb: &str, method: impl Into<Value>) -> Api {
        let method = method.into();
        Api::new(vec![json!({"id": "r1", "path": "/r/{name}", "resourceMethods": {verb: method}})])
    }

    async fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, http::HeaderMap, String) {
        let mut request =
            HttpRequest::builder().method(verb).uri(format!("/_api/a1/dev{path}")).header("host", "127.0.0.1:1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let response = self.apis.answer(&parts, Ok(Bytes::copy_from_slice(body.as_bytes()))).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn put(&self, body: &str) -> (u16, String) {
        let (status, _, text) = self.send("PUT", "/r/pin", &[("content-type", "application/json")], body).await;
        (status.as_u16(), text)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("execute-api.log")).unwrap_or_default()
    }
}

fn put_record() -> Value {
    let response = json!({"statusCode": "200", "responseParameters": {"method.response.header.x-trace": true}});
    json!({
        "authorizationType": "NONE",
        "methodResponses": {"200": response, "400": {"statusCode": "400"}, "500": {"statusCode": "500"}},
        "methodIntegration": {
            "type": "AWS", "httpMethod": "POST", "credentials": "arn:aws:iam::000000000000:role/r",
            "uri": "arn:aws:apigateway:us-east-1:kinesis:action/${stageVariables.action}",
            "passthroughBehavior": "WHEN_NO_TEMPLATES",
            "requestParameters": {"integration.request.header.Content-Type": "'x-amz-json-1.1'"},
            "requestTemplates": {"application/json":
                "{\"StreamName\": \"$input.params('name')\", \"Data\": \"$util.base64Encode($input.json('$.Data'))\", \"PartitionKey\": \"$input.path('$.PartitionKey')\"}"},
            "integrationResponses": {
                "200": {"statusCode": "200", "responseParameters": {"method.response.header.x-trace": "integration.response.header.x-amzn-requestid", "method.response.header.x-other": "'no'"}},
                "400": {"statusCode": "400", "selectionPattern": "4\\d{2}", "responseTemplates": {"application/json": "{\"why\": \"$input.path('$.message')\"}"}},
            },
        },
    })
}

#[tokio::test]
async fn a_record_is_put() {
    let api = Api::with_method("PUT", put_record());
    let (status, headers, text) = api
        .send(
            "PUT",
            "/r/a%20b",
            &[("content-type", "application/json; charset=utf-8")],
            r#"{"Data":{"index":1.0},"PartitionKey":"k"}"#,
        )
        .await;
    assert_eq!((status.as_u16(), text.as_str()), (200, r#"{"ShardId":"shardId-0","SequenceNumber":"1"}"#));
    assert_eq!(
        (headers["x-trace"].to_str().unwrap(), headers["content-type"].to_str().unwrap()),
        ("inner", "application/json")
    );
    assert!(headers.contains_key("x-amzn-requestid") && headers.contains_key("x-amz-apigw-id"));
    assert!(!headers.contains_key("x-other"), "the method response does not declare it");

    let calls = api.backend.calls.lock().unwrap();
    let call = &calls[0];
    assert_eq!(
        (call.service.as_str(), call.region.as_str(), call.action.as_str()),
        ("kinesis", "us-east-1", "PutRecord")
    );
    assert_eq!(call.headers["content-type"], "x-amz-json-1.1");
    let sent: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(sent, json!({"StreamName": "a b", "Data": STANDARD.encode(r#"{"index":1.0}"#), "PartitionKey": "k"}));
    assert_eq!(*api.backend.counted.lock().unwrap(), ["a1/dev"]);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let api = Api::with_method("PUT", put_record());
    for (verb, path) in [("POST", "/r/pin"), ("PUT", "/r"), ("PUT", ""), ("GET", "/favicon.ico")] {
        let (status, headers, text) = api.send(verb, path, &[], "").await;
        assert_eq!(
            (status.as_u16(), text.as_str()),
            (403, r#"{"message":"Missing Authentication Token"}"#),
            "{verb} {path}"
        );
        assert_eq!(headers["x-amzn-errortype"], "MissingAuthenticationTokenException");
    }
}

#[tokio::test]
async fn media_types_and_broken_bodies() {
    let api = Api::with_method("PUT", put_record());
    let (status, _, text) = api.send("PUT", "/r/pin", &[("content-type", "text/plain")], "x").await;
    assert_eq!((status.as_u16(), text.as_str()), (415, r#"{"message":"Unsupported Media Type"}"#));
    for body in ["{\"Data\":", "\u{0}", "[[", "{\"Data\": 1 2}"] {
        let (status, text) = api.put(body).await;
        assert!(status == 400 && text.contains("Could not parse request body into json"), "{body} {status} {text}");
    }
    assert_eq!(api.put(&"[".repeat(10_000)).await.0, 400);
    let mut large: http::request::Parts =
        HttpRequest::builder().method("PUT").uri("/_api/a1/dev/r/x").body(()).unwrap().into_parts().0;
    large.headers.insert("host", "localhost".parse().unwrap());
    let response = api.apis.answer(&large, Err(BodyFault::TooLarge)).await;
    assert_eq!(response.status(), 413);
    assert!(api.backend.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn refusals_of_the_service_are_selected_by_status() {
    let api = Api::with_method("PUT", put_record());
    let answer = |status, body: &str| *api.backend.answer.lock().unwrap() = Ok((status, body.to_owned()));
    answer(400, r#"{"__type":"ResourceNotFoundException","message":"Stream x not found"}"#);
    assert_eq!(api.put("{}").await, (400, r#"{"why": "Stream x not found"}"#.to_owned()));
    // Without a pattern that matches, the default response: a refusal in a 200, as on AWS.
    answer(500, "{}");
    assert_eq!(api.put("{}").await, (200, "{}".to_owned()));
    *api.backend.answer.lock().unwrap() = Err(ApiError::new("AccessDeniedException", "no policy allows it"));
    assert_eq!(api.put("{}").await, (500, r#"{"message":"Internal server error"}"#.to_owned()));
    assert!(api.log().contains("no policy allows it"), "{}", api.log());
    assert!(!api.log().contains("Data"));
}

#[tokio::test]
async fn a_template_that_cannot_be_read_fails_the_call() {
    let mut method = put_record();
    method["methodIntegration"]["requestTemplates"]["application/json"] = json!("#if(true)");
    let api = Api::with_method("PUT", method);
    assert_eq!(api.put("{}").await, (500, r#"{"message":"Internal server error"}"#.to_owned()));
    assert!(api.log().contains("line 1: `#if` without its `#end`"), "{}", api.log());
}

#[tokio::test]
async fn validation() {
    let mut method = put_record();
    method["requestValidatorId"] = json!("v");
    method["requestModels"] = json!({"application/json": "Record"});
    method["requestParameters"] = json!({"method.request.querystring.q": true, "method.request.header.x-h": true, "method.request.path.name": true});
    let api = Api::with_method("PUT", method);
    let json_type = ("content-type", "application/json");
    let (status, _, text) = api.send("PUT", "/r/pin", &[json_type], "{}").await;
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (400, r#"{"message":"Missing required request parameters: [q, x-h]"}"#)
    );
    for body in ["{}", "", "[]", "{", r#"{"data":1}"#] {
        let (status, headers, text) = api.send("PUT", "/r/pin?q=1", &[json_type, ("x-h", "1")], body).await;
        assert_eq!((status.as_u16(), text.as_str()), (400, r#"{"message":"Invalid request body"}"#), "{body}");
        assert_eq!(headers["x-amzn-errortype"], "BadRequestException");
    }
    let (status, ..) = api.send("PUT", "/r/pin?q=1", &[json_type, ("x-h", "1")], r#"{"Data":1}"#).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn keys_rates_and_quotas() {
    let mut method = put_record();
    method["apiKeyRequired"] = json!(true);
    let api = Api::with_method("PUT", method);
    let call = async |key: Option<&str>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("x-api-key", key)));
        let (status, _, text) = api.send("PUT", "/r/pin", &headers, "{}").await;
        (status.as_u16(), text)
    };
    let forbidden = (403, r#"{"message":"Forbidden"}"#.to_owned());
    for key in [None, Some("unknown"), Some("off"), Some("")] {
        assert_eq!(call(key).await, forbidden, "{key:?}");
    }
    for _ in 0..3 {
        assert_eq!(call(Some("good")).await.0, 200);
    }
    assert_eq!(call(Some("good")).await, (429, r#"{"message":"Limit Exceeded"}"#.to_owned()));
    api.clock.advance(std::time::Duration::from_secs(24 * 3600));
    assert_eq!(call(Some("good")).await.0, 200);
    assert_eq!((call(Some("slow")).await.0, call(Some("slow")).await.0), (200, 200));
    assert_eq!(call(Some("slow")).await, (429, r#"{"message":"Too Many Requests"}"#.to_owned()));
}

#[tokio::test]
async fn the_stage_has_a_rate_and_methods_have_theirs() {
    let api = Api::new(vec![
        json!({"id": "r1", "path": "/r/{name}", "resourceMethods": {"PUT": put_record(), "POST": put_record()}}),
    ]);
    let mut changed = Deployed::clone(&api.backend.deployed.lock().unwrap());
    changed.stage["methodSettings"] = json!({
        "*/*": {"throttlingRateLimit": 0.5, "throttlingBurstLimit": 3},
        "~1r~1{name}/PUT": {"throttlingRateLimit": 0.5, "throttlingBurstLimit": 1},
    });
    *api.backend.deployed.lock().unwrap() = Arc::new(changed);
    let statuses = async |verb: &str| {
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(api.send(verb, "/r/pin", &[], "{}").await.0.as_u16());
        }
        found
    };
    assert_eq!(statuses("PUT").await, [200, 429, 429, 429]);
    assert_eq!(statuses("POST").await, [200, 200, 200, 429]);
    api.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(statuses("PUT").await, [200, 429, 429, 429]);
}

#[tokio::test]
async fn signed_callers_are_asked_for() {
    let mut method = put_record();
    method["authorizationType"] = json!("AWS_IAM");
    let api = Api::with_method("PUT", method.clone());
    let (status, text) = api.put("{}").await;
    assert_eq!(status, 403);
    assert_eq!(text, r#"{"message":"not allowed on arn:aws:execute-api:us-east-1:000000000000:a1/dev/PUT/r/pin"}"#);
    method["authorizationType"] = json!("CUSTOM");
    assert_eq!(Api::with_method("PUT", method).put("{}").await.0, 500);
}

#[tokio::test]
async fn mocks_and_overrides() {
    let api = Api::with_method(
        "OPTIONS",
        json!({
            "methodResponses": {"204": {"statusCode": "204", "responseParameters": {"method.response.header.Access-Control-Allow-Origin": false}}, "200": {"statusCode": "200"}},
            "methodIntegration": {"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": #if($input.params('s') == '')204#{else}$input.params('s')#end}"},
                "integrationResponses": {
                    "204": {"statusCode": "204", "responseParameters": {"method.response.header.Access-Control-Allow-Origin": "'*'"}, "responseTemplates": {}},
                    "200": {"statusCode": "200", "selectionPattern": "200", "responseTemplates": {"application/json": "#set($context.responseOverride.status = 418)#set($context.responseOverride.header.x-tea = 'pot')$context.resourcePath $context.identity.sourceIp $context.httpMethod"}}}},
        }),
    );
    let (status, headers, text) = api.send("OPTIONS", "/r/x", &[], "").await;
    assert_eq!(
        (status.as_u16(), text.as_str(), headers["access-control-allow-origin"].to_str().unwrap()),
        (204, "", "*")
    );
    let (status, headers, text) = api.send("OPTIONS", "/r/x?s=200", &[], "").await;
    assert_eq!(
        (status.as_u16(), text.as_str(), headers["x-tea"].to_str().unwrap()),
        (418, "/r/{name} 127.0.0.1 OPTIONS", "pot")
    );
    assert_eq!(api.send("OPTIONS", "/r/x?s=none", &[], "").await.0, 500);
}

#[tokio::test]
async fn bytes_become_text_when_asked() {
    let mut method = put_record();
    method["methodIntegration"]["contentHandling"] = json!("CONVERT_TO_TEXT");
    method["methodIntegration"]["requestTemplates"]["image/png"] = json!("$input.body");
    let api = Api::with_method("PUT", method);
    api.send("PUT", "/r/x", &[("content-type", "image/png")], "png").await;
    assert_eq!(api.backend.calls.lock().unwrap()[0].body, STANDARD.encode("png"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever the body is, the call is answered, and never with a failure of the API.
    #[test]
    fn any_body_is_answered(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let api = Api::with_method("PUT", put_record());
        let status = runtime.block_on(async {
            let (parts, ()) = HttpRequest::builder().method("PUT").uri("/_api/a1/dev/r/x").header("host", "localhost").body(()).unwrap().into_parts();
            api.apis.answer(&parts, Ok(body.into())).await.status().as_u16()
        });
        proptest::prop_assert!(status == 200 || status == 400, "{status}");
    }
}
