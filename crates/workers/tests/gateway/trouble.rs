//! Brokers that are slow or gone, and a gateway that is to stop.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::Method;
use serde_json::json;

use crate::world::{Gateway, JSON, answered, brokers, config};

const ONE: &str = r#"{"records":[{"value":1,"partition":0}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_success_while_brokers_are_gone() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    assert_eq!(gateway.post("/topics/s.pin", JSON, ONE).await.0, 200);
    for broker in 1..=3 {
        brokers.broker_down(broker).unwrap();
    }
    let (status, refusal) = gateway.post("/topics/s.pin", JSON, ONE).await;
    assert_eq!((status, &refusal["error_code"]), (500, &json!(50003)), "{refusal}");
    gateway.until("unhealthy", |report| !report.healthy).await;
    assert_eq!(gateway.get("/health").await, (503, json!({"healthy": false})));
    for broker in 1..=3 {
        brokers.broker_up(broker).unwrap();
    }
    gateway.until("healthy again", |report| report.healthy).await;
    assert_eq!(gateway.post("/topics/s.pin", JSON, ONE).await.0, 200);
    let report = gateway.until("counted", |report| report.counters["pin"]["accepted"] == 2).await;
    assert_eq!((report.counters["pin"]["failed"], report.counters["pin"]["refused"]), (1, 0));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_bounded() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    for broker in 1..=3 {
        brokers.broker_round_trip_time(broker, Duration::from_millis(1_500)).unwrap();
    }
    // Each is a fifth of the records that may be under way.
    let body = json!({"records": vec![json!({"value": 1}); 10_000]}).to_string();
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let request = gateway.posting("/topics/s.pin", JSON, body.clone());
        posts.spawn(async move {
            let response = request.send().await.unwrap();
            let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            (answered(response).await, after)
        });
    }
    let (mut taken, mut busy) = (0, 0);
    while let Some(posted) = posts.join_next().await {
        let ((status, answer), after) = posted.unwrap();
        match status {
            200 => taken += 1,
            429 => {
                assert_eq!((answer["error_code"].as_u64(), after.as_deref()), (Some(429), Some("1")));
                busy += 1;
            }
            other => unreachable!("{other}: {answer}"),
        }
    }
    assert_eq!((taken, busy), (5, 3));
    // What was acknowledged makes room again.
    assert_eq!(gateway.post("/topics/s.pin", JSON, body).await.0, 200);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_under_way() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    for broker in 1..=3 {
        brokers.broker_round_trip_time(broker, Duration::from_millis(500)).unwrap();
    }
    let before = gateway.posting("/topics/s.pin", JSON, ONE);
    let before = tokio::spawn(async move { answered(before.send().await.unwrap()).await });
    until_under_way(&gateway).await;
    let late = gateway.request(Method::GET, "/health");
    let (report, _) = gateway.end().await;
    assert_eq!(before.await.unwrap().0, 200);
    assert_eq!(report.counters["pin"]["accepted"], 1);
    assert!(late.send().await.is_err(), "it does not listen any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_brokers_tells_callers_that_nothing_was_taken() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    assert_eq!(gateway.post("/topics/s.pin", JSON, ONE).await.0, 200);
    for broker in 1..=3 {
        brokers.broker_down(broker).unwrap();
    }
    let before = gateway.posting("/topics/s.pin", JSON, ONE);
    let before = tokio::spawn(async move { answered(before.send().await.unwrap()).await });
    until_under_way(&gateway).await;
    let (report, _) = gateway.end().await;
    assert_eq!(before.await.unwrap().0, 503);
    assert_eq!((report.counters["pin"]["accepted"], report.counters["pin"]["failed"]), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_brokers_and_for_topics() {
    let brokers = brokers();
    let bootstrap = brokers.bootstrap_servers();
    for broker in 1..=3 {
        brokers.broker_down(broker).unwrap();
    }
    let mut config = config(&bootstrap);
    config.topics.insert("s.geo".to_owned(), "geo".to_owned());
    let gateway = Gateway::with(config, tempfile::tempdir().unwrap()).await;
    gateway.until("failing", |report| report.last_error.is_some()).await;
    assert!(!gateway.teller.report().healthy);
    for broker in 1..=3 {
        brokers.broker_up(broker).unwrap();
    }
    gateway.until("healthy", |report| report.healthy && report.doing.contains("s.geo")).await;
    let path = "/topics/s.geo";
    assert_eq!(gateway.post(path, JSON, ONE).await.0, 404);
    brokers.create_topic("s.geo", 1, 3).unwrap();
    gateway.until("with all topics", |report| report.healthy && !report.doing.contains("s.geo")).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while gateway.post(path, JSON, ONE).await.0 != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the topic is not known after 20 s");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_refuse_is_told_by_its_kind() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    // The client tries that again by itself.
    brokers.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS]);
    assert_eq!(gateway.post("/topics/s.pin", JSON, ONE).await.0, 200);
    for (refusal, status, code) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 413, 41301),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, 422, 42200),
        // The last one: the client believes it until it looks at the topic again.
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 403, 40301),
    ] {
        brokers.request_errors(RDKafkaApiKey::Produce, &[refusal]);
        let (answered, told) = gateway.post("/topics/s.pin", JSON, ONE).await;
        assert_eq!((answered, told["error_code"].as_u64()), (status, Some(code)), "{told}");
    }
    let report = gateway.until("counted", |report| report.counters["pin"]["accepted"] == 1).await;
    assert_eq!((report.counters["pin"]["refused"], report.counters["pin"]["failed"]), (3, 0));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_cannot_go_on_is_replaced() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    assert_eq!(gateway.post("/topics/s.pin", JSON, ONE).await.0, 200);
    // Fatal to an idempotent producer that has nothing else under way (librdkafka, INTRODUCTION.md).
    brokers.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    let (status, told) = gateway.post("/topics/s.pin", JSON, ONE).await;
    assert_eq!((status, told["error_code"].as_u64()), (500, Some(50003)), "{told}");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while gateway.post("/topics/s.pin", JSON, ONE).await.0 != 200 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", gateway.teller.report());
    }
    gateway.end().await;
}

/// Waits until a request has come in whose answer is not there yet.
async fn until_under_way(gateway: &Gateway) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = gateway.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        if metrics.contains("pinfra_gateway_under_way 1\n") {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{metrics}");
    }
}
