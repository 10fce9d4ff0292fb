//! What the gateway does with a body before it is produced: one record of 0.6 kB as the emulator sends it, and batches.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pinfra_workers::gateway::{Format, parse};

fn body(records: usize, blank: &str) -> String {
    let text = "a description of the length that descriptions have; ".repeat(8);
    let record = format!(
        r#"{{"value":{{{blank}"index":{blank}7528,"title":{blank}"a title","description":"{text}","downloaded":1}}}}"#
    );
    format!(r#"{{"records":[{}]}}"#, vec![record; records].join(","))
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gateway_parse");
    for (name, body) in [("one", body(1, "")), ("one_spaced", body(1, " ")), ("batch_of_500", body(500, ""))] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse(body.as_bytes(), Format::Json).map(|records| records.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
