//! Puts and gets of Kinesis records below the wire: what the service itself costs.
//!
//! `cargo bench -p pinfra-local --bench kinesis`

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::services::kinesis::Kinesis;
use pinfra_local::services::{Call, Service};
use serde_json::{Value, json};

const RECORD_BYTES: usize = 500;

fn call(operation: &str) -> Call {
    Call {
        operation: operation.to_owned(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        principal: "arn:aws:iam::000000000000:user/local".to_owned(),
        access_key: "AKIALOCAL".to_owned(),
        request_id: "1".to_owned(),
        fails: None,
    }
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(folder.path());
    settings.limits = false;
    settings.settle = std::time::Duration::ZERO;
    let kinesis = Kinesis::open(folder.path(), Clock::default(), &settings).expect("a Kinesis");
    let ask =
        |operation: &str, input: Value| runtime.block_on(kinesis.call(call(operation), input)).expect("an answer");
    ask("CreateStream", json!({ "StreamName": "s", "ShardCount": 4 }));
    ask("CreateStream", json!({ "StreamName": "read", "ShardCount": 1 }));

    let data = STANDARD.encode([7; RECORD_BYTES]);
    let one = json!({ "StreamName": "s", "PartitionKey": "key", "Data": data });
    let records: Vec<Value> =
        (0..100).map(|number| json!({ "PartitionKey": format!("key{number}"), "Data": data })).collect();
    let hundred = |stream: &str| json!({ "StreamName": stream, "Records": records });
    let to_write = hundred("s");

    criterion.bench_function("PutRecord", |bencher| {
        bencher.iter_batched(|| one.clone(), |input| black_box(ask("PutRecord", input)), BatchSize::SmallInput);
    });
    let mut group = criterion.benchmark_group("of 100 records");
    group.throughput(Throughput::Elements(100));
    group.bench_function("PutRecords", |bencher| {
        bencher.iter_batched(|| to_write.clone(), |input| black_box(ask("PutRecords", input)), BatchSize::SmallInput);
    });
    ask("PutRecords", hundred("read"));
    let iterator = ask(
        "GetShardIterator",
        json!({ "StreamName": "read", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON" }),
    );
    let get = json!({ "ShardIterator": iterator["ShardIterator"] });
    group.bench_function("GetRecords", |bencher| {
        bencher.iter_batched(|| get.clone(), |input| black_box(ask("GetRecords", input)), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(kinesis, benches);
criterion_main!(kinesis);
