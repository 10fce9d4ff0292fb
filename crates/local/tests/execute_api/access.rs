//! Who may call, and what an integration may do.

use ::http::Method;
use serde_json::{Value, json};

use crate::pipeline::{Pipeline, ROLE, kinesis_paths};

const RECORD: &str = r#"{"Data": {}, "PartitionKey": "k"}"#;
const INTERNAL: &str = r#"{"message":"Internal server error"}"#;

#[tokio::test]
async fn a_role_that_is_refused_fails_the_call() {
    let api = Pipeline::with_paths(&kinesis_paths()).await;
    let put = async || {
        let answer = api.call("PUT", "/streams/other/record", RECORD).await;
        (answer.status.as_u16(), answer.text)
    };
    // There is no such role.
    assert_eq!(put().await, (500, INTERNAL.to_owned()));
    assert!(
        api.log().contains("apigateway.amazonaws.com is not authorized to perform: sts:AssumeRole"),
        "{}",
        api.log()
    );
    // It may not write to this stream.
    api.make_role("apigateway.amazonaws.com", "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:*:stream/streaming-*")
        .await;
    // Kinesis itself refuses, and the API's mappings see that.
    let denied =
        "not authorized to perform: kinesis:PutRecord on resource: arn:aws:kinesis:us-east-1:000000000000:stream/other";
    let (status, text) = put().await;
    assert!(status == 400 && text.contains(denied), "{status} {text}");
    // Allowed: now Kinesis says that there is no stream.
    assert_eq!(api.call("PUT", "/streams/streaming-x/record", RECORD).await.status, 400);
}

#[tokio::test]
async fn a_role_that_trusts_another_service_is_not_used() {
    let api = Pipeline::with_paths(&kinesis_paths()).await;
    api.make_role("lambda.amazonaws.com", "kinesis:*", "*").await;
    let answer = api.call("GET", "/streams", "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (500, INTERNAL));
}

#[tokio::test]
async fn keys_and_their_plan() {
    let api = Pipeline::start().await;
    let resources =
        api.control(Method::GET, &format!("/restapis/{}/resources?embed=methods", api.api_id), &Value::Null).await;
    let resources = resources["item"].as_array().or(resources["_embedded"]["item"].as_array()).unwrap().clone();
    let streams = resources.iter().find(|resource| resource["path"] == "/streams").unwrap()["id"].as_str().unwrap();
    let method = format!("/restapis/{}/resources/{streams}/methods/GET", api.api_id);
    let patch = json!({"patchOperations": [{"op": "replace", "path": "/apiKeyRequired", "value": "true"}]});
    api.control(Method::PATCH, &method, &patch).await;
    // Nothing has changed before it is deployed.
    assert_eq!(api.call("GET", "/streams", "").await.status, 200);
    api.deploy().await;

    let key = api.control(Method::POST, "/apikeys", &json!({"name": "k", "enabled": true})).await;
    let value = key["value"].as_str().unwrap().to_owned();
    let call = async |value: &str| {
        let answer = api.call_with("GET", "/streams", &[("x-api-key", value)], Vec::new()).await;
        (answer.status.as_u16(), answer.text)
    };
    let forbidden = (403, r#"{"message":"Forbidden"}"#.to_owned());
    assert_eq!(api.call("GET", "/streams", "").await.status, 403);
    assert_eq!(call(&value).await, forbidden, "no plan has the key");
    let plan = json!({"name": "p", "apiStages": [{"apiId": api.api_id, "stage": "dev"}], "throttle": {"rateLimit": 0.001, "burstLimit": 3}});
    let plan = api.control(Method::POST, "/usageplans", &plan).await;
    let on_plan = json!({"keyId": key["id"], "keyType": "API_KEY"});
    api.control(Method::POST, &format!("/usageplans/{}/keys", plan["id"].as_str().unwrap()), &on_plan).await;
    for _ in 0..3 {
        assert_eq!(call(&value).await.0, 200);
    }
    assert_eq!(call(&value).await, (429, r#"{"message":"Too Many Requests"}"#.to_owned()));
    assert_eq!(call("another").await, forbidden);
}

#[tokio::test]
async fn signed_calls() {
    let mut paths = kinesis_paths();
    let operation = &mut paths["/streams"]["get"];
    operation["x-amazon-apigateway-auth"] = json!({"type": "AWS_IAM"});
    let api = Pipeline::with_paths(&paths).await;
    api.make_role("apigateway.amazonaws.com", "kinesis:*", "*").await;
    let resources =
        api.control(Method::GET, &format!("/restapis/{}/resources?embed=methods", api.api_id), &Value::Null).await;
    assert!(resources.to_string().contains("AWS_IAM") && resources.to_string().contains(ROLE), "{resources}");
    let unsigned = api.call("GET", "/streams", "").await;
    assert_eq!(
        (unsigned.status.as_u16(), unsigned.text.as_str()),
        (403, r#"{"message":"Missing Authentication Token"}"#)
    );
    let target = format!("/_api/{}/dev/streams", api.api_id);
    let signed = |service: &str| api.client.sign(service, Method::GET, &target, &[], Vec::new());
    assert_eq!(api.client.send(signed("execute-api")).await.status, 200);
    let other = api.client.send(signed("kinesis")).await;
    assert!(other.status == 403 && other.text.contains("correct service"), "{other:?}");
    let mut broken = signed("execute-api");
    *broken.uri_mut() = format!("{}{target}?x=1", api.client.endpoint).parse().unwrap();
    let broken = api.client.send(broken).await;
    assert!(broken.status == 403 && broken.text.contains("signature we calculated"), "{broken:?}");
}
