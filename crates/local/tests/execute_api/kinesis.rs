//! Events through the API into a stream, and what goes wrong on the way.

use serde_json::json;

use crate::pipeline::Pipeline;

const PIN: &str = r#"{"index":7528,"unique_id":"fbe53c66","title":"No \"Title\" é ☃","lat":-89.9780,"big":12345678901234567890123,"none":null}"#;

#[tokio::test]
async fn a_record_arrives_as_it_was_sent() {
    let api = Pipeline::start().await;
    let body = format!(r#"{{"StreamName": "ignored", "Data": {PIN}, "PartitionKey": "7528"}}"#);
    let answer = api.call("PUT", "/streams/streaming-pin/record", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["ShardId"], "shardId-000000000000");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-amzn-requestid").is_empty() && !answer.header("x-amz-apigw-id").is_empty());
    assert_eq!(api.records().await, [("7528".to_owned(), PIN.to_owned())]);
    let counted = api.cloud.cloud.requests().by_operation;
    assert_eq!(counted["execute-api"][&format!("{}/dev", api.api_id)], 1);
    assert_eq!(counted["kinesis"]["PutRecord"], 1);
}

#[tokio::test]
async fn host_style_and_path_style_are_one() {
    let api = Pipeline::start().await;
    for host in ["execute-api.localhost", "execute-api.us-east-1.localhost:4566"] {
        let host = format!("{}.{host}", api.api_id);
        let answer = api
            .call_with("GET", "/dev/streams", &[("host", &host), ("content-type", "application/json")], Vec::new())
            .await;
        assert_eq!(answer.json()["StreamNames"], json!(["streaming-pin"]), "{answer:?}");
    }
    let answer = api.call("GET", "/streams/streaming-pin", "").await;
    assert_eq!(answer.json()["StreamDescription"]["StreamName"], "streaming-pin");
}

/// What the templates of the tutorial do to data that is not what they expect: here as on AWS.
#[tokio::test]
async fn encoding_traps() {
    let api = Pipeline::start().await;
    let string = json!({"Data": PIN, "PartitionKey": "string"});
    let base64 = json!({"Data": "eyJpbmRleCI6MX0=", "PartitionKey": "base64"});
    for body in [&string, &base64] {
        assert_eq!(api.call("PUT", "/streams/streaming-pin/record", body.to_string()).await.status, 200);
    }
    let batch = json!({"records": [
        {"data": {"index": 7528, "title": "a b"}, "partition-key": "object"},
        {"data": "{\"index\":1}", "partition-key": "text"},
    ]});
    let answer = api.call("PUT", "/streams/streaming-pin/records", batch.to_string()).await;
    assert_eq!(answer.json()["FailedRecordCount"], 0, "{answer:?}");
    let expected = [
        ("string", json!(PIN).to_string()),
        ("base64", "\"eyJpbmRleCI6MX0=\"".to_owned()),
        ("object", "{index=7528, title=a b}".to_owned()),
        ("text", "{\"index\":1}".to_owned()),
    ];
    assert_eq!(api.records().await, expected.map(|(key, data)| (key.to_owned(), data)));
}

#[tokio::test]
async fn streams_are_made_and_deleted_through_it() {
    let api = Pipeline::start().await;
    let made = api.call("POST", "/streams/streaming-geo", "").await;
    assert_eq!((made.status.as_u16(), made.text.as_str()), (200, ""));
    let made = api.call("POST", "/streams/streaming-user", r#"{"ShardCount": 2}"#).await;
    assert_eq!(made.status, 200);
    for (stream, shards) in [("streaming-geo", 5), ("streaming-user", 2)] {
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while api.kinesis("DescribeStreamSummary", &json!({"StreamName": stream})).await["StreamDescriptionSummary"]["OpenShardCount"]
            != shards
        {
            assert!(tokio::time::Instant::now() < until, "{stream}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_clearly() {
    let api = Pipeline::start().await;
    let put = async |body: &[u8]| {
        let answer = api.call("PUT", "/streams/streaming-pin/record", body).await;
        (answer.status.as_u16(), answer.text)
    };
    let deep = "[".repeat(10_000);
    for body in ["{\"Data\": {\"index\": 1", "not json", deep.as_str(), "\u{0}", "{} {}"] {
        let (status, text) = put(body.as_bytes()).await;
        assert!(status == 400 && text.contains("Could not parse request body into json"), "{status} {text}");
    }
    // No key, and one that is too long: Kinesis says so.
    let (status, text) = put(br#"{"Data": {}}"#).await;
    assert!(status == 400 && text.contains("partitionKey"), "{status} {text}");
    let (status, text) = put(json!({"Data": {}, "PartitionKey": "k".repeat(257)}).to_string().as_bytes()).await;
    assert!(status == 400 && text.contains("ValidationException"), "{status} {text}");
    // A key that breaks out of the template's string makes JSON that Kinesis cannot read.
    let (status, text) = put(br#"{"Data": {}, "PartitionKey": "a\"b"}"#).await;
    assert!(status == 400 && text.contains("SerializationException"), "{status} {text}");
    // More than a record holds.
    let (status, text) =
        put(json!({"Data": "x".repeat(1024 * 1024), "PartitionKey": "k"}).to_string().as_bytes()).await;
    assert!(status == 400 && text.contains("ValidationException"), "{status} {text}");
    let answer = api.call("PUT", "/streams/streaming-none/record", r#"{"Data": {}, "PartitionKey": "k"}"#).await;
    assert!(answer.status == 400 && answer.text.contains("ResourceNotFoundException"), "{answer:?}");

    // What is not UTF-8 is replaced, and arrives.
    assert_eq!(put(b"{\"Data\": {\"a\": \"\xff\"}, \"PartitionKey\": \"k\"}").await.0, 200);
    assert_eq!(api.records().await, [("k".to_owned(), "{\"a\":\"\u{fffd}\"}".to_owned())]);

    let answer = api.call("PUT", "/streams/streaming-pin/record", vec![b'x'; 10 * 1024 * 1024 + 1]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (413, r#"{"message":"HTTP content length exceeded 10485760 bytes."}"#)
    );
    let answer = api
        .call_with(
            "PUT",
            "/streams/streaming-pin/record",
            &[("content-type", "application/vnd.kafka.json.v2+json")],
            b"{}".to_vec(),
        )
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (415, r#"{"message":"Unsupported Media Type"}"#));
}

#[tokio::test]
async fn what_is_not_deployed_is_not_there() {
    let api = Pipeline::start().await;
    for (method, path) in [("POST", "/streams/streaming-pin/record"), ("GET", "/stream"), ("GET", ""), ("GET", "/")] {
        let answer = api.call(method, path, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (403, r#"{"message":"Missing Authentication Token"}"#),
            "{method} {path}"
        );
    }
    let host = format!("{}.execute-api.localhost", api.api_id);
    for (host, path) in
        [(host.as_str(), "/prod/streams"), ("none.execute-api.localhost", "/dev/streams"), (host.as_str(), "/")]
    {
        let answer = api.call_with("GET", path, &[("host", host)], Vec::new()).await;
        assert_eq!(answer.status, 403, "{host} {path}");
        assert_eq!(answer.header("x-amzn-errortype"), "MissingAuthenticationTokenException");
    }
    let answer =
        api.call_with("GET", "/dev/streams", &[("host", "abc.execute-api.us-east-1.amazonaws.com")], Vec::new()).await;
    assert!(answer.text.contains("answers only to the hosts"), "{answer:?}");
}
