//! What is no event stops nobody: the API refuses it and says why, or it is in `rejects` with a reason.

use aws_sdk_kinesis::primitives::Blob;
use pinfra_aws::Clients;
use serde_json::{Value, json};

use super::judge::counts;
use crate::pipeline::{NAME, Pipeline, http, wait_for};

const MIB: usize = 1024 * 1024;
const STREAM: &str = "pins-pin";

/// Records that a producer with the right to write puts into the stream itself, and the reason why each is rejected.
fn records() -> Vec<(Vec<u8>, &'static str)> {
    let deep = |open: &str, close: &str| [open.repeat(10_000), close.repeat(10_000)].concat().into_bytes();
    vec![
        (br#"{"index": 1, "tit"#.to_vec(), "truncated JSON: it ends at byte 17"),
        (br#"{"index": "one"}"#.to_vec(), "no usable `index`"),
        (br#"{"index": {"a": 1}}"#.to_vec(), "no usable `index`"),
        (br#"{"index": 99999999999999}"#.to_vec(), "no usable `index`"),
        (br#"{"title": "x"}"#.to_vec(), "no usable `index`"),
        (format!(r#"{{"title": "{}"}}"#, "x".repeat(MIB - 100)).into_bytes(), "no usable `index`"),
        (vec![0; 64], "not JSON"),
        (b"{\"index\": 1, \"title\": \"\0\"}".to_vec(), "not JSON"),
        (deep("[", "]"), "nested deeper than 128 levels"),
        (deep(r#"{"index":"#, "}"), "nested deeper than 128 levels"),
        (b"{\"index\": 1, \"title\": \"\xff\xfe\"}".to_vec(), "invalid UTF-8 at byte 23"),
        (Vec::new(), "an empty record"),
        (b" \n".to_vec(), "an empty record"),
        (br#"[{"index": 1}]"#.to_vec(), "a JSON array instead of an object"),
        (b"42".to_vec(), "a JSON value instead of an object"),
        (b"null".to_vec(), "a JSON value instead of an object"),
        (b"index=1".to_vec(), "not JSON"),
    ]
}

/// Bodies that the API refuses, with the status and a part of what it says.
fn refused() -> Vec<(Vec<u8>, u16, &'static str)> {
    let record = |data: Value, key: Value| json!({"StreamName": STREAM, "Data": data, "PartitionKey": key});
    let bytes = |value: Value| value.to_string().into_bytes();
    let deep = format!(r#"{{"Data": {}{}, "PartitionKey": "1"}}"#, "[".repeat(10_000), "]".repeat(10_000));
    vec![
        (br#"{"Data": {"index": 1}, "Partit"#.to_vec(), 400, "Invalid request body"),
        (bytes(record(json!({"index": 1}), json!(1))), 400, "Invalid request body"),
        (bytes(record(json!({"index": 1}), json!(""))), 400, "Invalid request body"),
        (bytes(json!({"Data": {"index": 1}})), 400, "Invalid request body"),
        (bytes(json!({"PartitionKey": "1"})), 400, "Invalid request body"),
        (bytes(record(json!({"title": "x".repeat(MIB)}), json!("1"))), 400, "1048576"),
        (bytes(record(json!({"title": "x".repeat(10 * MIB)}), json!("1"))), 413, "exceeded 10485760 bytes"),
        (vec![0; 64], 400, "Invalid request body"),
        (deep.into_bytes(), 400, "Invalid request body"),
        (Vec::new(), 400, "Invalid request body"),
        (b"[1]".to_vec(), 400, "Invalid request body"),
        (b"42".to_vec(), 400, "Invalid request body"),
    ]
}

/// Bodies that the API takes, and the reason why the event is rejected.
fn taken() -> Vec<(Vec<u8>, &'static str)> {
    let record = |data: Value| json!({"Data": data, "PartitionKey": "1"}).to_string().into_bytes();
    vec![
        (record(json!({"index": "one"})), "no usable `index`"),
        (record(json!({"title": "no key"})), "no usable `index`"),
        (record(json!({"title": "x".repeat(MIB - 100)})), "no usable `index`"),
        (record(json!("plain text")), "not JSON"),
        (record(json!([1, 2])), "a JSON array instead of an object"),
        (record(json!(42)), "a JSON value instead of an object"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused_or_rejected_and_stops_nobody() {
    let pipeline = Pipeline::up(None);
    let clients = pipeline.sandbox.clients().await;
    let (url, key) = (pipeline.output("invoke_url"), pipeline.output("api_key"));
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let put = |stream: &str, body: &[u8]| http("PUT", &format!("{url}/streams/{stream}/record"), &headers, body);
    // Two megabytes go in here at one a second.
    let put_patiently = |body: &[u8]| {
        wait_for("room in the stream", || {
            let (status, answer) = put(STREAM, body);
            (!answer.contains("ProvisionedThroughputExceeded")).then_some((status, answer))
        })
    };
    // After each of them comes an event that is fine.
    let mut fine = 0;
    let mut then_a_good_one = || {
        fine += 1;
        let event = json!({"Data": {"index": fine, "title": "fine"}, "PartitionKey": "1"});
        let (status, answer) = put_patiently(event.to_string().as_bytes());
        assert_eq!(status, 200, "{answer}");
    };
    let mut reasons = Vec::new();
    for (body, reason) in records() {
        put_record(&clients, body).await;
        reasons.push(reason);
        then_a_good_one();
    }
    for (body, status, message) in refused() {
        let (found, answer) = put_patiently(&body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(found, status, "{shown}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{shown}: {answer}"));
        assert!(answer["message"].as_str().is_some_and(|said| said.contains(message)), "{shown}: {answer}");
        then_a_good_one();
    }
    for (body, reason) in taken() {
        let (status, answer) = put_patiently(&body);
        assert_eq!(status, 200, "{answer}");
        reasons.push(reason);
        then_a_good_one();
    }
    let unknown = json!({"Data": {"index": 1}, "PartitionKey": "1"}).to_string();
    let (status, answer) = put("pins-nobody", unknown.as_bytes());
    // The API's role may write to the stack's streams only, and so does not learn which others there are.
    assert!(status == 403 && answer.contains("not authorized to perform: kinesis:PutRecord"), "{status} {answer}");
    let unknown = clients.kinesis.put_record().stream_name("pins-nobody").partition_key("1").data(Blob::new("{}"));
    assert!(unknown.send().await.unwrap_err().into_service_error().is_resource_not_found_exception());
    // Neither bad nor an event like others: NUL as JSON writes it, and a title of almost a megabyte.
    put_record(&clients, br#"{"index": 1001, "title": "a\u0000b"}"#.to_vec()).await;
    put_record(&clients, json!({"index": 1002, "title": "x".repeat(MIB - 100)}).to_string().into_bytes()).await;
    then_a_good_one();

    pipeline.sandbox.ok(&["verify", NAME]);
    let expected = reasons.len() as u64;
    let told = pipeline.status_when("read", |status| counts(status, "stream", "pin")["read"] >= fine + expected + 2);
    let counts = counts(&told, "stream", "pin");
    assert_eq!((counts["rows"], counts["rejected"], counts["duplicates"]), (fine + 2, expected, 0), "{counts:?}");
    assert_eq!(pipeline.number("SELECT count(*) FROM pin WHERE title = 'fine'"), fine);
    assert_eq!(pipeline.number("SELECT max(length(title)) FROM pin"), MIB as u64 - 100);
    let rejected = pipeline.query("SELECT reason FROM rejects WHERE \"table\" = 'pin' ORDER BY sequence");
    assert_eq!(rejected.len(), reasons.len(), "{rejected:#?}");
    for (row, reason) in rejected.iter().zip(reasons) {
        assert!(row["reason"].as_str().unwrap().contains(reason), "{row} for {reason}");
    }
    assert_eq!(told["healthy"], true, "{told:#}");
    for worker in told["workers"].as_array().unwrap() {
        assert_eq!(worker["state"]["restarts"], 0, "{worker:#}");
    }
}

/// By the SDK, as a producer that does not use the API.
async fn put_record(clients: &Clients, data: Vec<u8>) {
    loop {
        let put = clients.kinesis.put_record().stream_name(STREAM).partition_key("1");
        match put.data(Blob::new(data.clone())).send().await {
            Ok(_) => return,
            Err(error) if format!("{error:?}").contains("ProvisionedThroughputExceeded") => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
