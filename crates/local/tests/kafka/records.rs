//! Records in and out.

use std::time::Duration;

use bytes::Bytes;
use pinfra_local::kafka::NewRecord;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::support::{Brokers, PATIENCE, next, read, send};

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_comes_out_as_it_went_in() {
    let brokers = Brokers::start(3).await;
    for codec in ["none", "snappy", "lz4"] {
        brokers.topic(codec, 1, &[]);
        let producer: FutureProducer =
            brokers.client(&[("compression.type", codec), ("linger.ms", "20"), ("acks", "all")]).create().unwrap();
        let values: Vec<String> = (0..500).map(|number| format!("{number} {}", "pins ".repeat(20))).collect();
        send(&producer, codec, &values).await;
        let mut found = read(&brokers.reader(codec, 0, 0), values.len());
        found.sort_by_key(|value| value.split(' ').next().unwrap().parse::<u32>().unwrap());
        assert_eq!(found, values, "{codec}");
        // The same without a client.
        let records = brokers.cluster.read(codec, 0, 490, 1 << 20).unwrap();
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<i64>>(), (490..500).collect::<Vec<i64>>());
        let on_disk: u64 = size(&brokers.folder.path().join("kafka"));
        assert!(on_disk > 0);
    }
}

fn size(path: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_headers_times_and_tombstones_are_kept() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let producer: FutureProducer = brokers.client(&[]).create().unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "a", value: Some("1") })
        .insert(Header { key: "a", value: None::<&str> });
    let record = FutureRecord::<str, str>::to("t").key("k").timestamp(1_234).headers(headers);
    producer.send(record, PATIENCE).await.unwrap();
    let read = brokers.cluster.read("t", 0, 0, 1_000).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].key.as_deref(), read[0].value.as_deref()), (Some(&b"k"[..]), None));
    assert_eq!(read[0].timestamp_millis, 1_234);
    let headers = [("a".to_owned(), Some(Bytes::from_static(b"1"))), ("a".to_owned(), None)];
    assert_eq!(read[0].headers, headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_process_appends_a_client_reads() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 4, &[]);
    let mut ends = brokers.cluster.ends();
    ends.mark_unchanged();
    let record = NewRecord {
        key: Some(Bytes::from_static(b"foobar")),
        value: Some(Bytes::from_static(b"v")),
        headers: vec![("h".to_owned(), Some(Bytes::from_static(b"x")))],
        timestamp_millis: Some(77),
    };
    assert_eq!(brokers.cluster.append("t", None, &[record.clone(), record]).unwrap(), 0);
    assert!(ends.has_changed().unwrap());
    // Where Java's partitioner puts it: murmur2("foobar") is -790332482.
    let consumer = brokers.reader("t", (-790_332_482_i32 & 0x7fff_ffff) % 4, 1);
    let message = next(&consumer);
    assert_eq!((message.offset(), message.payload(), message.key()), (1, Some(&b"v"[..]), Some(&b"foobar"[..])));
    assert_eq!(message.timestamp().to_millis(), Some(77));
    assert_eq!(message.headers().unwrap().get(0).value, Some(&b"x"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_consumer_is_woken_by_the_append() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let config = brokers.client(&[("group.id", "g"), ("fetch.wait.max.ms", "25000"), ("socket.timeout.ms", "60000")]);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    assert!(consumer.poll(Duration::from_millis(500)).is_none());
    let started = std::time::Instant::now();
    let record = NewRecord { value: Some(Bytes::from_static(b"v")), ..NewRecord::default() };
    brokers.cluster.append("t", Some(0), &[record]).unwrap();
    assert_eq!(next(&consumer).payload(), Some(&b"v"[..]));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_time() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    for time in [100, 200, 300] {
        let at = |timestamp| NewRecord { timestamp_millis: Some(timestamp), ..NewRecord::default() };
        brokers.cluster.append("t", Some(0), &[at(time), at(time + 50)]).unwrap();
    }
    let consumer: BaseConsumer = brokers.client(&[("group.id", "g")]).create().unwrap();
    for (time, expected) in [(0, 0), (100, 0), (101, 1), (150, 1), (151, 2), (250, 3), (350, 5)] {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(time)).unwrap();
        let found = consumer.offsets_for_times(list, PATIENCE).unwrap();
        assert_eq!(found.elements()[0].offset(), Offset::Offset(expected), "{time}");
    }
    assert_eq!(consumer.fetch_watermarks("t", 0, PATIENCE).unwrap(), (0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_message_is_refused_and_the_next_is_taken() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[("max.message.bytes", "1000")]);
    let producer: FutureProducer = brokers.client(&[]).create().unwrap();
    let large = "x".repeat(2_000);
    let refused = producer.send(FutureRecord::<str, str>::to("t").payload(&large), PATIENCE).await.unwrap_err();
    assert_eq!(refused.0.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::MessageSizeTooLarge));
    producer.send(FutureRecord::<str, str>::to("t").payload("y"), PATIENCE).await.unwrap();
    assert_eq!(brokers.cluster.topic("t").unwrap().partitions[0].end, 1);
}
