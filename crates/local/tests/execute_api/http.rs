//! HTTP proxies: what the endpoint gets, and what becomes of an endpoint that does not answer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use ::http::{Request, Response};
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
