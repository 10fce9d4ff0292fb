//! What is left after a kill, a restart, and as time goes by.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use pinfra_local::kafka::NewRecord;
use rdkafka::producer::FutureProducer;

use crate::support::{Brokers, map, read, send, until};

fn record(value: &str) -> NewRecord {
    NewRecord { value: Some(Bytes::copy_from_slice(value.as_bytes())), ..NewRecord::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let brokers = Brokers::start(2).await;
    brokers.topic("t", 3, &[("retention.ms", "1000000")]);
    let producer: FutureProducer = brokers.client(&[("enable.idempotence", "true")]).create().unwrap();
    let values: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    send(&producer, "t", &values).await;
    brokers.cluster.commit("g", &[("t".to_owned(), 1, 42)]).unwrap();
    let before = brokers.cluster.topics();

    let after = brokers.after_a_kill().await;
    assert_eq!(after.cluster.topics(), before);
    assert_eq!(after.cluster.committed("g", "t", 1), Some(42));
    let mut found = Vec::new();
    for partition in &before[0].partitions {
        let count = usize::try_from(partition.end).unwrap();
        found.extend(read(&after.reader("t", partition.id, 0), count));
    }
    found.sort_by_key(|value| value.parse::<u32>().unwrap());
    assert_eq!(found, values);
    // Another producer gets another id.
    let producer: FutureProducer = after.client(&[("enable.idempotence", "true")]).create().unwrap();
    send(&producer, "t", &values[..10]).await;
    assert_eq!(after.cluster.topics()[0].partitions.iter().map(|partition| partition.end).sum::<i64>(), 310);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_cluster_opens_on_its_ports_again() {
    let brokers = Brokers::start(2).await;
    brokers.topic("t", 1, &[]);
    brokers.cluster.append("t", Some(0), &[record("a")]).unwrap();
    let (nodes, spec) = (brokers.cluster.nodes(), brokers.cluster.spec());
    let Brokers { kafka, cluster, .. } = &brokers;
    kafka.stop().await;
    let stopped = std::sync::Arc::downgrade(cluster);
    let folder = brokers.folder;
    drop((brokers.cluster, brokers.kafka));
    until("the cluster is let go", || stopped.upgrade().is_none()).await;
    let kafka = crate::support::open(folder.path(), brokers.clock, brokers.gate);
    let cluster = kafka.open_cluster(spec.clone()).await.unwrap();
    assert_eq!(cluster.nodes(), nodes);
    assert_eq!(cluster.read("t", 0, 0, 100).unwrap().len(), 1);
    let by_port = kafka.by_bootstrap(&format!("127.0.0.1:{}", nodes[1].iam.port())).unwrap();
    assert_eq!(by_port.spec(), spec);
    drop((cluster, by_port));
    kafka.delete_cluster(&spec.arn).await.unwrap();
    assert!(!folder.path().join("kafka").join(&spec.uuid).exists());
    kafka.delete_cluster(&spec.arn).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_when_they_are_too_old_or_too_many() {
    let brokers = Brokers::start(1).await;
    brokers.topic("old", 1, &[("retention.ms", "60000")]);
    brokers.topic("many", 1, &[("retention.bytes", "3000"), ("segment.bytes", "1000")]);
    for number in 0..20 {
        brokers.cluster.append("many", Some(0), &[record(&"x".repeat(500))]).unwrap();
        brokers.cluster.append("old", Some(0), &[record(&number.to_string())]).unwrap();
    }
    brokers.clock.advance(Duration::from_secs(61));
    brokers.cluster.append("old", Some(0), &[record("young")]).unwrap();
    let start = |topic: &str| brokers.cluster.topic(topic).unwrap().partitions[0].start;
    until("old records go", || start("old") == 20).await;
    until("many records go", || start("many") >= 13).await;
    assert!(start("many") <= 16, "{}", start("many"));
    assert_eq!(brokers.cluster.read("old", 0, 20, 1_000).unwrap().len(), 1);
    let refused = brokers.cluster.read("old", 0, 3, 1_000).unwrap_err();
    assert_eq!(refused.code, ResponseError::OffsetOutOfRange);
    brokers.cluster.configure_topic("many", &map(&[("retention.ms", "1")])).unwrap();
    brokers.clock.advance(Duration::from_secs(1));
    until("all records go", || start("many") == 20).await;
    assert_eq!(brokers.cluster.append("many", Some(0), &[record("x")]).unwrap(), 20);
}
