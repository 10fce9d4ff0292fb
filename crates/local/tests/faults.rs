//! Trouble on request on the wire, and the face through which it is asked for. What SDKs make of it is tested with them
//! (`crates/aws/tests/services/faults.rs`), what it does to processes with the program (`tests/it/faults.rs`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use support::{Answer, TestCloud};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks the face of the tool.
async fn admin(test: &TestCloud, method: Method, path: &str, body: &str) -> Answer {
    let server = std::fs::read(test.folder.path().join("server.json")).unwrap();
    let server: Value = serde_json::from_slice(&server).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("{}/_pinfra/{path}", test.cloud.endpoint()))
        .header("authorization", format!("Bearer {}", server["token"].as_str().unwrap()))
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    test.client().send(request).await
}

/// What comes back over a connection of its own until it is closed.
async fn raw(test: &TestCloud, service: &str, target: &str, body: &Value) -> String {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    let request = test.client().sign(service, Method::POST, "/", &headers, body.to_string().into_bytes());
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut text = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let address = test.cloud.endpoint().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    // A connection may also be reset; what came before that is all there is.
    let _ended = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_closed_connection_has_not_a_byte_of_an_answer() {
    let test = TestCloud::start();
    let create = json!({"StreamName": "pins", "ShardCount": 1});
    let target = "Kinesis_20131202.CreateStream";
    for (rule, there) in [("do reset", 0), ("do hang 10ms", 0), ("do lose-answer", 1)] {
        test.cloud.faults().set(&format!("on kinesis:CreateStream {rule}")).unwrap();
        assert_eq!(raw(&test, "kinesis", target, &create).await, "", "{rule}");
        let listed = test.client().json("kinesis", "Kinesis_20131202.ListStreams", &json!({})).await;
        assert_eq!(listed.json()["StreamNames"].as_array().unwrap().len(), there, "{rule}");
    }
    test.cloud.faults().set("on kinesis:CreateStream do delay 10ms").unwrap();
    let again = raw(&test, "kinesis", target, &create).await;
    assert!(again.starts_with("HTTP/1.1 400") && again.contains("ResourceInUseException"), "{again}");
}

#[tokio::test]
async fn a_call_that_is_not_let_in_meets_no_rule_and_is_not_logged() {
    let test = TestCloud::start();
    test.cloud.faults().set("on *:* do throttle").unwrap();
    let forger = support::Client::new(test.cloud.endpoint(), test.cloud.access_key(), "secret");
    let answer = forger.json("kinesis", "Kinesis_20131202.ListStreams", &json!({})).await;
    assert_eq!(answer.json()["__type"], "InvalidSignatureException");
    assert_eq!((test.cloud.faults().rules()[0].matched, test.cloud.faults().calls()), (0, Vec::new()));
}

#[tokio::test]
async fn the_face_of_the_tool_takes_rules_and_tells_calls() {
    let test = TestCloud::start();
    let refused = admin(&test, Method::PUT, "faults", "on kinesis:* do rest\n").await;
    assert_eq!(refused.status, 400);
    let message = "`rest` is nothing that can happen; did you mean `reset`?";
    assert_eq!(refused.json(), json!({"problems": [{"line": 1, "column": 17, "message": message}]}));
    let taken = admin(&test, Method::PUT, "faults", "on kinesis:ListStreams nth=2 do throttle\n").await;
    assert_eq!((taken.status.as_u16(), taken.json()), (200, json!({"rules": 1})));

    for status in [200, 400, 200] {
        let answer = test.client().json("kinesis", "Kinesis_20131202.ListStreams", &json!({})).await;
        assert_eq!(answer.status, status);
    }
    let rule = json!({"rule": "on kinesis:ListStreams nth=2 do throttle", "matched": 3, "fired": 1});
    assert_eq!(admin(&test, Method::GET, "faults", "").await.json(), json!({"rules": [rule]}));
    let calls = admin(&test, Method::GET, "calls", "").await.json();
    let second = json!({
        "number": 2, "service": "kinesis", "operation": "ListStreams", "mutating": false, "by": "tool", "status": 400,
        "code": "LimitExceededException", "fault": "throttle",
    });
    assert_eq!((calls["calls"].as_array().unwrap().len(), &calls["calls"][1]), (3, &second));
    admin(&test, Method::DELETE, "calls", "").await;
    assert_eq!(admin(&test, Method::GET, "calls", "").await.json(), json!({"calls": []}));
    admin(&test, Method::DELETE, "faults", "").await;
    assert_eq!(admin(&test, Method::GET, "faults", "").await.json(), json!({"rules": []}));

    let request = Request::put(format!("{}/_pinfra/faults", test.cloud.endpoint()));
    let stranger = request.body(Full::new(Bytes::from_static(b"on *:* do reset"))).unwrap();
    assert_eq!(test.client().send(stranger).await.status, 401);
}
