//! What can be looked at.

use reqwest::Method;
use serde_json::json;

use crate::world::{ANSWER, Gateway, JSON, brokers};

#[tokio::test(flavor = "multi_thread")]
async fn topics_partitions_and_brokers_are_shown() {
    let brokers = brokers();
    brokers.create_topic("__consumer_offsets", 1, 1).unwrap();
    brokers.create_topic("s.geo", 1, 1).unwrap();
    let gateway = Gateway::start(&brokers).await;
    assert_eq!(gateway.get("/").await, (200, json!({})));
    assert_eq!(gateway.get("/topics").await, (200, json!(["s.geo", "s.pin"])));
    assert_eq!(gateway.get("/brokers").await, (200, json!({"brokers": [1, 2, 3]})));
    let (status, partitions) = gateway.get("/topics/s.pin/partitions").await;
    assert_eq!((status, partitions.as_array().unwrap().len()), (200, 2));
    let (_, first) = gateway.get("/topics/s.pin/partitions/0").await;
    assert_eq!(first, partitions[0]);
    let leader = first["leader"].as_i64().unwrap();
    let replicas = first["replicas"].as_array().unwrap();
    assert_eq!((replicas.len(), &first["partition"]), (3, &json!(0)));
    for replica in replicas {
        let leads = replica["broker"].as_i64() == Some(leader);
        assert_eq!((&replica["leader"], &replica["in_sync"]), (&json!(leads), &json!(true)));
    }
    gateway.post("/topics/s.pin/partitions/1", JSON, r#"{"records":[{"value":1}]}"#).await;
    let offsets = gateway.get("/topics/s.pin/partitions/1/offsets").await;
    assert_eq!(offsets, (200, json!({"beginning_offset": 0, "end_offset": 1})));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_told() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    assert_eq!(gateway.get("/health").await, (200, json!({"healthy": true})));
    gateway.post("/topics/s.pin", JSON, r#"{"records":[{"value":1},{"value":2,"partition":7}]}"#).await;
    gateway.post("/topics/s.pin", JSON, "{").await;
    let answer = gateway.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text().await.unwrap();
    for line in [
        r#"pinfra_gateway_records_total{topic="s.pin",outcome="accepted"} 1"#,
        r#"pinfra_gateway_records_total{topic="s.pin",outcome="not_accepted"} 1"#,
        r#"pinfra_gateway_requests_total{status="200"} 2"#,
        r#"pinfra_gateway_requests_total{status="400"} 1"#,
        "pinfra_gateway_produce_seconds_count 1",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_type_that_is_asked_for() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    for (accept, status, content_type) in
        [("application/json", 200, "application/json"), ("*/*", 200, ANSWER), ("text/html", 406, ANSWER)]
    {
        let answer = gateway.request(Method::GET, "/topics").header("accept", accept).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (status, content_type)
        );
    }
    let head = gateway.request(Method::HEAD, "/topics").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
    gateway.end().await;
}
