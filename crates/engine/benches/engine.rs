//! The hot paths of the pure half: planning when there is nothing to do, and replaying a long journal.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinfra_engine::resource::LiveValue;
use pinfra_engine::state::{Entry, FORMAT, Record, Status, journal_of, replay};
use pinfra_engine::testing::{FakeCloud, Inputs, arn_of, node};
use pinfra_engine::value::resolve;
use pinfra_engine::{Action, Graph, Node, Observation, Observed, State, plan, plan_destroy};
use serde_json::{Value, json};

/// Every second resource uses the one before it.
fn nodes(count: usize) -> Vec<Node> {
    let uses = |n: usize| (n % 2 == 1).then(|| arn_of(&format!("fake/item.i{}", n - 1))).into_iter().collect();
    (0..count).map(|n| node(&format!("fake/item.i{n}"), Inputs { uses: uses(n), ..Inputs::default() })).collect()
}

/// A stack, with state and cloud as they are after `up`.
fn settled(count: usize) -> (Graph, State, Observed) {
    let graph = Graph::new(nodes(count)).expect("the edges have no cycles");
    let (mut state, mut observed) = (State::new("bench", "lineage"), BTreeMap::new());
    for node in graph.nodes() {
        let inputs = resolve(&node.inputs, &|r| Some(json!(format!("arn:{}", r.address)))).expect("all is known");
        let outputs = json!({ "arn": format!("arn:{}", node.address), "id": node.address.name() });
        let record = Record {
            status: Status::Settled,
            id: Some(node.address.name().to_owned()),
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            needs: graph.needs(&node.address).cloned().collect(),
            made_by: None,
        };
        state.resources.insert(node.address.clone(), record);
        let live = LiveValue { inputs, outputs };
        observed.insert(node.address.clone(), Observation::Present { id: node.address.name().to_owned(), live });
    }
    (graph, state, observed)
}

/// A journal of creates: begin, named and done of each, 64 at a time.
fn journal(count: usize) -> String {
    let mut entries = vec![Entry::Open { format: FORMAT, lineage: "lineage".to_owned(), serial: 0, token: 0 }];
    let nodes: Vec<Node> = nodes(count / 3);
    for (batch, nodes) in nodes.chunks(64).enumerate() {
        let steps = || nodes.iter().zip(batch as u64 * 64 + 1..);
        for (node, step) in steps() {
            let (address, inputs) = (node.address.clone(), node.inputs.clone());
            entries.push(Entry::Begin { step, address, action: Action::Create, id: None, inputs, needs: Vec::new() });
        }
        for (node, step) in steps() {
            entries.push(Entry::Named { step, id: node.address.name().to_owned() });
        }
        for (node, step) in steps() {
            let outputs = json!({ "arn": format!("arn:{}", node.address), "x": Value::Null });
            entries.push(Entry::Done { step, outputs });
        }
    }
    journal_of(&entries)
}

fn planning(criterion: &mut Criterion) {
    let catalog = FakeCloud::new().catalog();
    let mut group = criterion.benchmark_group("plan");
    for count in [1_000, 10_000] {
        let (graph, state, observed) = settled(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("nothing to do", count), |bencher| {
            bencher.iter(|| plan(black_box(&graph), &state, &observed, &catalog));
        });
        group.bench_function(BenchmarkId::new("destroy", count), |bencher| {
            bencher.iter(|| plan_destroy(black_box(&state), &observed, &catalog));
        });
    }
    group.finish();
}

fn replaying(criterion: &mut Criterion) {
    let journal = journal(30_000);
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(journal.lines().count() as u64));
    group.bench_function("30000 entries", |bencher| {
        let state = || State::new("bench", "lineage");
        bencher.iter_batched(state, |state| replay(state, black_box(&journal)), BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group! {
    name = engine;
    config = Criterion::default().sample_size(20);
    targets = planning, replaying
}
criterion_main!(engine);
