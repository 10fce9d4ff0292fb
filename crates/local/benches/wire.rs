//! What the wire layer costs a Kinesis put: signature, parse, validate and write the answer, without socket and log.
//!
//!     cargo bench -p pinfra-local --bench wire

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use pinfra_local::wire::inspect::{check_input, check_signature, understand, write_answer};
use serde_json::{Value, json};
use time::macros::datetime;

fn request(operation: &str, body: &Value) -> Request<Bytes> {
    Request::post("/")
        .header("host", "127.0.0.1:4566")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("x-amz-date", "20150830T123600Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kinesis/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00",
        )
        .body(body.to_string().into())
        .expect("a request")
}

fn record() -> Value {
    json!({"Data": STANDARD.encode([7; 500]), "PartitionKey": "4728"})
}

fn put(operation: &str, request: &Request<Bytes>, answer: &Value) -> Bytes {
    // It does not match, which costs what a match costs.
    let refused = check_signature(request, "secret", datetime!(2015-08-30 12:36 UTC));
    assert!(refused.is_err());
    let understood = understand("kinesis", request).expect("a good request");
    check_input("kinesis", &understood).expect("a valid input");
    write_answer("kinesis", operation, answer).expect("a good answer")
}

fn benches(criterion: &mut Criterion) {
    let mut one = record();
    one["StreamName"] = json!("pins-pin");
    let one = request("PutRecord", &one);
    let place = json!({"ShardId": "shardId-000000000000", "SequenceNumber": "4".repeat(56)});
    criterion.bench_function("PutRecord, 500 bytes", |bencher| {
        bencher.iter_batched(|| place.clone(), |place| put("PutRecord", &one, &place), BatchSize::SmallInput);
    });

    let many = request("PutRecords", &json!({"StreamName": "pins-pin", "Records": vec![record(); 100]}));
    let places = json!({"FailedRecordCount": 0, "Records": vec![place; 100]});
    let mut group = criterion.benchmark_group("PutRecords");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 records of 500 bytes", |bencher| {
        bencher.iter_batched(|| places.clone(), |places| put("PutRecords", &many, &places), BatchSize::SmallInput);
    });
}

criterion_group!(wire, benches);
criterion_main!(wire);
