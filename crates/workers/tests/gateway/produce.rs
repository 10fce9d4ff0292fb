//! Records arrive as they were sent, and their offsets are told.

use rdkafka::mocking::MockCluster;
use serde_json::json;

use crate::world::{ANSWER, BINARY, Gateway, JSON, brokers, config, consume};

#[tokio::test(flavor = "multi_thread")]
async fn values_arrive_byte_by_byte() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    let body = r#"{"records":[
        {"value":{"index": 7528, "z":1.50, "a":"x  \"y\""}, "partition":0, "timestamp":1600000000000},
        {"key":"k 1", "value":"text", "partition":1},
        {"key":{"b": [1, 2]}, "value":null, "partition":1}
    ]}"#;
    let answer = gateway.posting("/topics/s.pin", JSON, body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], ANSWER);
    let offset = |partition: i32, offset: i64| {
        format!(r#"{{"partition":{partition},"offset":{offset},"error_code":null,"error":null}}"#)
    };
    let expected = format!(
        r#"{{"offsets":[{},{},{}],"key_schema_id":null,"value_schema_id":null}}"#,
        offset(0, 0),
        offset(1, 0),
        offset(1, 1)
    );
    assert_eq!(answer.text().await.unwrap(), expected);

    let seen = consume(&brokers.bootstrap_servers(), "s.pin", 2, 3);
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!((seen[0].partition, &seen[0].key), (0, &None));
    assert_eq!(seen[0].value, bytes(r#"{"index":7528,"z":1.50,"a":"x  \"y\""}"#));
    assert_eq!(seen[0].timestamp, Some(1_600_000_000_000));
    assert_eq!((seen[1].partition, &seen[1].key, &seen[1].value), (1, &bytes(r#""k 1""#), &bytes(r#""text""#)));
    assert_eq!((&seen[2].key, &seen[2].value), (&bytes(r#"{"b":[1,2]}"#), &None));
    let report = gateway.until("counted", |report| report.counters["pin"].get("in_kafka") == Some(&3)).await;
    assert_eq!((report.counters["pin"]["accepted"], report.counters["pin"]["stored"]), (3, 0));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_arrive_from_base64_in_the_partition_of_the_path() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    let body = json!({"records": [{"key": "AAH/", "value": ""}, {"value": "aGVsbG8="}]}).to_string();
    let (status, answer) = gateway.post("/topics/s.pin/partitions/1", BINARY, body).await;
    assert_eq!(
        (status, &answer["offsets"][1]["partition"], &answer["offsets"][1]["offset"]),
        (200, &json!(1), &json!(1))
    );
    let seen = consume(&brokers.bootstrap_servers(), "s.pin", 2, 2);
    assert_eq!((seen[0].key.as_deref(), seen[0].value.as_deref()), (Some(&[0, 1, 255][..]), Some(&[][..])));
    assert_eq!((seen[1].key.as_deref(), seen[1].value.as_deref()), (None, Some(&b"hello"[..])));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_fail_in_part() {
    let brokers = brokers();
    let gateway = Gateway::start(&brokers).await;
    let body =
        json!({"records": [{"value": 1, "partition": 0}, {"value": 2, "partition": 9}, {"value": 3, "partition": 1}]});
    let (status, answer) = gateway.post("/topics/s.pin", JSON, body.to_string()).await;
    let offsets = answer["offsets"].as_array().unwrap();
    assert_eq!((status, offsets.len()), (200, 3));
    assert_eq!((&offsets[0]["error_code"], &offsets[2]["offset"]), (&json!(null), &json!(0)));
    assert_eq!((&offsets[1]["partition"], &offsets[1]["error_code"]), (&json!(null), &json!(1)));
    assert!(offsets[1]["error"].as_str().unwrap().contains("partition"), "{answer}");
    let report = gateway.until("counted", |report| report.counters["pin"]["accepted"] == 2).await;
    assert_eq!(report.counters["pin"]["refused"], 1);

    let alone = json!({"records": [{"value": 2, "partition": 9}]}).to_string();
    let (status, answer) = gateway.post("/topics/s.pin", JSON, alone).await;
    assert_eq!((status, &answer["error_code"]), (404, &json!(40402)));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_get_offsets_of_their_own_and_counts_outlive_the_process() {
    let brokers = MockCluster::new(1).unwrap();
    brokers.create_topic("s.pin", 1, 1).unwrap();
    let gateway = Gateway::start(&brokers).await;
    let mut posts = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let batch: Vec<_> = (0..4).map(|record| json!({"value": caller * 4 + record})).collect();
        let body = json!({"records": batch}).to_string();
        let request = gateway.posting("/topics/s.pin", JSON, body);
        posts.spawn(async move { crate::world::answered(request.send().await.unwrap()).await });
    }
    let mut offsets = Vec::new();
    while let Some(posted) = posts.join_next().await {
        let (status, answer) = posted.unwrap();
        assert_eq!(status, 200, "{answer}");
        offsets.extend(answer["offsets"].as_array().unwrap().iter().map(|offset| offset["offset"].as_i64().unwrap()));
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..64).collect::<Vec<i64>>());
    // As after a kill: nothing is told to it.
    gateway.task.abort();
    let folder = gateway.folder;
    let gateway = Gateway::with(config(&brokers.bootstrap_servers()), folder).await;
    gateway.until("counted on", |report| report.counters.get("pin").is_some_and(|pin| pin["accepted"] == 64)).await;
    gateway.end().await;
}
