//! HTTP proxies: what the endpoint gets, and what becomes of an endpoint that does not answer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use ::http::{Request, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::pipeline::Pipeline;

type Seen = Arc<Mutex<Vec<(::http::request::Parts, String)>>>;

/// An endpoint that notes what it gets and answers 201; below `/hang` never.
async fn endpoint() -> (u16, Seen) {
    endpoint_at("127.0.0.1").await
}

async fn endpoint_at(address: &str) -> (u16, Seen) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let notes = Arc::clone(&notes);
            let answer = service_fn(move |request: Request<Incoming>| {
                let notes = Arc::clone(&notes);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    if parts.uri.path().starts_with("/hang") {
                        std::future::pending::<()>().await;
                    }
                    notes.lock().unwrap().push((parts, String::from_utf8_lossy(&body).into_owned()));
                    let response =
                        Response::builder().status(201).header("content-type", "application/vnd.kafka.v2+json");
                    let response = response.header("x-own", "1").header("connection", "x-hop").header("x-hop", "1");
                    Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(b"{\"offsets\":[]}"))).unwrap())
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    (port, seen)
}

async fn proxy(uri: &str) -> Pipeline {
    let integration = json!({
        "type": "http_proxy", "httpMethod": "ANY", "uri": uri, "timeoutInMillis": 300,
        "requestParameters": {"integration.request.path.proxy": "method.request.path.proxy", "integration.request.header.x-added": "'y'"},
    });
    let parameters = json!([{"name": "proxy", "in": "path", "required": true, "schema": {"type": "string"}}]);
    Pipeline::with_paths(&json!({"/{proxy+}": {"x-amazon-apigateway-any-method": {
        "parameters": parameters, "responses": {}, "x-amazon-apigateway-integration": integration}}}))
    .await
}

#[tokio::test]
async fn requests_are_passed_on() {
    let (port, seen) = endpoint().await;
    let api = proxy(&format!("http://127.0.0.1:{port}/{{proxy}}")).await;
    let headers = [("content-type", "application/vnd.kafka.json.v2+json"), ("x-mine", "m"), ("te", "trailers")];
    let body = br#"{"records":[{"value":{"index":1}}]}"#.to_vec();
    let answer = api.call_with("POST", "/topics/id.pin%2Fx?a=b%20c&a=d", &headers, body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, r#"{"offsets":[]}"#));
    assert_eq!(
        (answer.header("content-type"), answer.header("x-own"), answer.header("x-hop")),
        ("application/vnd.kafka.v2+json", "1", "")
    );
    assert!(!answer.header("x-amzn-remapped-date").is_empty());

    let seen = seen.lock().unwrap();
    let (parts, got) = &seen[0];
    assert_eq!((parts.method.as_str(), parts.uri.to_string().as_str()), ("POST", "/topics/id.pin%2Fx?a=b%20c&a=d"));
    assert_eq!(got.as_bytes(), body);
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
    assert_eq!(header("content-type"), "application/vnd.kafka.json.v2+json");
    assert_eq!((header("x-mine"), header("x-added"), header("te")), ("m", "y", ""));
    assert_eq!((header("x-forwarded-for"), header("x-forwarded-proto")), ("127.0.0.1", "http"));
    assert_eq!(header("x-amzn-apigateway-api-id"), api.api_id);
    assert_eq!(header("host"), format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn endpoints_that_do_not_answer() {
    let (port, _seen) = endpoint().await;
    let api = proxy(&format!("http://127.0.0.1:{port}/{{proxy}}")).await;
    let answer = api.call("GET", "/hang", "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (504, r#"{"message":"Endpoint request timed out"}"#));

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    // Nobody listens; and `https` where `http` is spoken, the most frequent mistake with the REST proxy.
    for uri in [format!("http://127.0.0.1:{free}/{{proxy}}"), format!("https://127.0.0.1:{port}/{{proxy}}")] {
        let api = proxy(&uri).await;
        let answer = api.call("GET", "/topics", "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (500, r#"{"message":"Internal server error"}"#),
            "{uri}"
        );
        assert!(api.log().contains("cannot be reached"), "{}", api.log());
    }
}

/// The user data of the instance tells where its processes listen; the endpoint of this test listens there for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_elastic_address_reaches_what_its_instance_runs() {
    let api = proxy("http://${stageVariables.gateway}:${stageVariables.port}/{proxy}").await;
    let ec2 = async |request: &str| {
        let answer = api.client.form("ec2", &format!("Action={request}&Version=2016-11-15")).await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
        answer
    };
    let images = ec2("DescribeImages&Filter.1.Name=name&Filter.1.Value.1=*ubuntu-24.04-amd64*").await;
    let image = images.element("imageId").to_owned();
    let script = STANDARD
        .encode("#!/bin/sh\necho $PINFRA_ADDRESS > $PINFRA_ROOT/new\nmv $PINFRA_ROOT/new $PINFRA_ROOT/address\n");
    let script = script.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let launch = format!("RunInstances&ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&UserData={script}");
    let id = ec2(&launch).await.element("instanceId").to_owned();
    let told = api.cloud.folder.path().join("instances").join(&id).join("address");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !told.exists() {
        assert!(tokio::time::Instant::now() < until, "the instance has not booted");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let address = std::fs::read_to_string(&told).unwrap();
    let (port, seen) = endpoint_at(address.trim()).await;

    let allocated = ec2("AllocateAddress").await;
    let (allocation, elastic) = (allocated.element("allocationId"), allocated.element("publicIp"));
    let associate = format!("Action=AssociateAddress&AllocationId={allocation}&InstanceId={id}&Version=2016-11-15");
    while api.client.form("ec2", &associate).await.status != 200 {
        assert!(tokio::time::Instant::now() < until, "the instance is not running");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let variables = json!({"patchOperations": [
        {"op": "replace", "path": "/variables/gateway", "value": elastic},
        {"op": "replace", "path": "/variables/port", "value": port.to_string()},
    ]});
    api.control(::http::Method::PATCH, &format!("/restapis/{}/stages/dev", api.api_id), &variables).await;

    let answer = api.call("POST", "/topics/pins", r#"{"records":[]}"#).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, r#"{"offsets":[]}"#), "{}", api.log());
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0.uri.path(), "/topics/pins");
    let host = seen[0].0.headers.get("host").unwrap().to_str().unwrap();
    assert_eq!(host, format!("{elastic}:{port}"), "the endpoint is named as the integration names it");
}
