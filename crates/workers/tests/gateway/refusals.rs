//! Requests that are refused, and with what.

use reqwest::Method;
use serde_json::json;

use crate::world::{BINARY, Gateway, JSON, answered, brokers, config};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_its_code() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    let good = r#"{"records":[{"value":1}]}"#;
    for (path, content_type, body, status, code, message) in [
        ("/topics/none", JSON, good, 404, 40401, "Topic not found."),
        ("/topics/no%20name", JSON, good, 404, 40401, "Topic not found."),
        ("/topics/s.pin/partitions/2", JSON, good, 404, 40402, "Partition not found."),
        ("/topics/s.pin/partitions/x", JSON, good, 404, 404, "HTTP 404 Not Found"),
        ("/consumers/group", JSON, good, 404, 404, "HTTP 404 Not Found"),
        ("/topics", JSON, good, 405, 405, "HTTP 405 Method Not Allowed"),
        ("/topics/s.pin", "application/json", good, 415, 415, "HTTP 415"),
        ("/topics/s.pin", "application/vnd.kafka.avro.v2+json", good, 415, 415, "HTTP 415"),
        ("/topics/s.pin", JSON, "", 400, 400, "the body is not JSON"),
        ("/topics/s.pin", JSON, "{", 400, 400, "the body is not JSON"),
        ("/topics/s.pin", JSON, r#"{"ind":1}"#, 422, 422, "Unrecognized field: ind"),
        ("/topics/s.pin", JSON, r#"{"records":[]}"#, 422, 422, "records may not be empty"),
        ("/topics/s.pin", JSON, r#"{"records":[{"partition":-1}]}"#, 422, 42201, "records[0].partition"),
        ("/topics/s.pin", BINARY, r#"{"records":[{"value":"?"}]}"#, 422, 42201, "records[0].value"),
    ] {
        let (answered, refusal) = gateway.post(path, content_type, body).await;
        assert_eq!((answered, refusal["error_code"].as_u64()), (status, Some(code)), "{path} {body}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().starts_with(message), "{path} {body}: {refusal}");
    }
    for path in ["/topics/none", "/topics/none/partitions", "/topics/none/partitions/0"] {
        let (status, refusal) = gateway.get(path).await;
        assert_eq!((status, &refusal["error_code"]), (404, &json!(40401)), "{path}");
    }
    let (status, refusal) = gateway.get("/topics/s.pin/partitions/2").await;
    assert_eq!((status, &refusal["error_code"]), (404, &json!(40402)));
    let deleted = gateway.request(Method::DELETE, "/topics/s.pin").send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), deleted.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD, POST"));
    assert_eq!(gateway.teller.report().counters["pin"]["accepted"], 0);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit_whether_or_not_they_say_how_long_they_are() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    let large = vec![b' '; (10 << 20) + 1];
    let (status, refusal) = gateway.post("/topics/s.pin", JSON, large.clone()).await;
    assert_eq!((status, &refusal["error_code"]), (413, &json!(413)));
    let parts = large.chunks(1 << 20).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect::<Vec<_>>();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(parts));
    let (status, _) = gateway.post("/topics/s.pin", JSON, body).await;
    assert_eq!(status, 413);
    let many = format!("{{\"records\":[{}]}}", vec!["{}"; 10_001].join(","));
    let (status, _) = gateway.post("/topics/s.pin", JSON, many).await;
    assert_eq!(status, 413);
    // And none of them leaves anything in the budget.
    for _ in 0..8 {
        let value = "x".repeat(5 << 20);
        let (status, refusal) =
            gateway.post("/topics/none", JSON, json!({"records": [{"value": value}]}).to_string()).await;
        assert_eq!((status, &refusal["error_code"]), (404, &json!(40401)));
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_secret_gets_more_than_health() {
    let brokers = brokers();
    let mut config = config(&brokers.bootstrap_servers());
    config.secret = Some("s3cr3t-value".to_owned());
    let gateway = Gateway::with(config, tempfile::tempdir().unwrap()).await;
    gateway.until("healthy", |report| report.healthy).await;
    assert_eq!(gateway.get("/health").await.0, 200);
    let good = r#"{"records":[{"value":1}]}"#;
    for secret in ["", "s3cr3t-valuf", "s3cr3t-value2", "s3cr3t"] {
        for path in ["/topics/s.pin", "/topics/none", "/nowhere"] {
            let request = gateway.posting(path, JSON, good).header("x-pinfra-gateway", secret);
            let (status, refusal) = answered(request.send().await.unwrap()).await;
            assert_eq!((status, &refusal), (403, &json!({"error_code": 40301, "message": "HTTP 403 Forbidden"})));
        }
    }
    assert_eq!(gateway.get("/metrics").await.0, 403);
    let request = gateway.posting("/topics/s.pin", JSON, good).header("x-pinfra-gateway", "s3cr3t-value");
    assert_eq!(answered(request.send().await.unwrap()).await.0, 200);
    gateway.end().await;
}
