//! Bytes by hand: what no client sends, and what clients do not show.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, FetchResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
    RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use kafka_protocol::{ResponseError, messages::ApiVersionsResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Brokers;

struct Wire {
    stream: TcpStream,
}

impl Wire {
    async fn connect(to: SocketAddr) -> Wire {
        Wire { stream: TcpStream::connect(to).await.unwrap() }
    }

    async fn ask<Q: Encodable, A: Decodable>(&mut self, key: ApiKey, version: i16, request: &Q) -> A {
        self.send(key, version, request).await;
        let mut answer = self.frame().await.unwrap();
        let header = if key.response_header_version(version) >= 1 { 5 } else { 4 };
        let _header = answer.split_to(header);
        A::decode(&mut answer, version).unwrap()
    }

    async fn send<Q: Encodable>(&mut self, key: ApiKey, version: i16, request: &Q) {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let header = RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(version);
        header.encode(&mut frame, key.request_header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        let length = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame; nothing when the broker has hung up.
    async fn frame(&mut self) -> Option<Bytes> {
        let length = self.stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(Bytes::from(frame))
    }
}

/// One record of a producer, with its sequence.
fn batch(producer: i64, sequence: i32) -> Bytes {
    use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer,
        producer_epoch: if producer < 0 { -1 } else { 0 },
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence,
        timestamp: 1,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    bytes.freeze()
}

fn produce(records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1_000).with_topic_data(vec![topic])
}

async fn produced(wire: &mut Wire, records: Bytes) -> (i16, i64) {
    let answer: ProduceResponse = wire.ask(ApiKey::Produce, 9, &produce(records)).await;
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_written_once_also_over_a_kill() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let mut wire = Wire::connect(brokers.cluster.nodes()[0].plaintext).await;
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1);
    let given: InitProducerIdResponse = wire.ask(ApiKey::InitProducerId, 4, &request).await;
    let id = given.producer_id.0;
    assert_eq!(produced(&mut wire, batch(id, 0)).await, (0, 0));
    assert_eq!(produced(&mut wire, batch(id, 1)).await, (0, 1));
    assert_eq!(produced(&mut wire, batch(id, 1)).await, (0, 1));

    let after = brokers.after_a_kill().await;
    let mut wire = Wire::connect(after.cluster.nodes()[0].plaintext).await;
    assert_eq!(produced(&mut wire, batch(id, 1)).await, (0, 1));
    assert_eq!(produced(&mut wire, batch(id, 2)).await, (0, 2));
    assert_eq!(produced(&mut wire, batch(id, 4)).await, (ResponseError::OutOfOrderSequenceNumber.code(), -1));
    let request =
        request.with_transactional_id(Some(kafka_protocol::messages::TransactionalId(StrBytes::from_static_str("x"))));
    let refused: InitProducerIdResponse = wire.ask(ApiKey::InitProducerId, 4, &request).await;
    assert_eq!(refused.error_code, ResponseError::TransactionalIdAuthorizationFailed.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_batch_is_refused() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let mut wire = Wire::connect(brokers.cluster.nodes()[0].plaintext).await;
    let mut damaged = BytesMut::from(&batch(-1, -1)[..]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(produced(&mut wire, damaged.freeze()).await, (ResponseError::CorruptMessage.code(), -1));
    let cut = batch(-1, -1).slice(..70);
    assert_eq!(produced(&mut wire, cut).await, (ResponseError::CorruptMessage.code(), -1));
    assert_eq!(produced(&mut wire, batch(-1, -1)).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_close_their_connection_alone() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let place = brokers.cluster.nodes()[0].plaintext;
    let mut good = Wire::connect(place).await;
    let frames: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 2, 0, 0],
        // Metadata 1 with two thousand million topics.
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        // A request that is not there.
        &[0, 0, 0, 10, 0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        // A version that is not there.
        &[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff],
        // A client id that is longer than the frame.
        &[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff],
    ];
    for frame in frames {
        let mut wire = Wire::connect(place).await;
        wire.stream.write_all(frame).await.unwrap();
        assert_eq!(wire.frame().await, None, "{frame:?}");
    }
    // Half a frame, and then nothing.
    let mut wire = Wire::connect(place).await;
    wire.stream.write_all(&[0, 0, 1, 0, 0, 3]).await.unwrap();
    drop(wire);
    let answer: MetadataResponse = good.ask(ApiKey::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(answer.topics.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_the_future_are_answered_in_the_oldest() {
    let brokers = Brokers::start(1).await;
    let mut wire = Wire::connect(brokers.cluster.nodes()[0].plaintext).await;
    wire.stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff]).await.unwrap();
    let mut answer = wire.frame().await.unwrap();
    assert_eq!(answer.split_to(4)[..], [0, 0, 0, 7]);
    let answer = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(answer.error_code, ResponseError::UnsupportedVersion.code());
    let request = ApiVersionsRequest::default();
    let answer: ApiVersionsResponse = wire.ask(ApiKey::ApiVersions, 3, &request).await;
    assert_eq!((answer.error_code, answer.api_keys.len()), (0, 27));
}

/// Debian's kcat asks in version 2, which has no leader epochs.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_told_in_every_version() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let mut wire = Wire::connect(brokers.cluster.nodes()[0].plaintext).await;
    assert_eq!(produced(&mut wire, batch(-1, -1)).await, (0, 0));
    for version in 1..=7 {
        let latest = ListOffsetsPartition::default().with_timestamp(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![latest]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let answer: ListOffsetsResponse = wire.ask(ApiKey::ListOffsets, version, &request).await;
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.offset), (0, 1), "version {version}");
        assert_eq!(partition.leader_epoch, if version >= 4 { 0 } else { -1 }, "version {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_lead_says_so() {
    let brokers = Brokers::start(2).await;
    brokers.topic("t", 1, &[]);
    let leader = brokers.cluster.topic("t").unwrap().partitions[0].leader;
    let other = brokers.cluster.nodes().into_iter().find(|node| node.id != leader).unwrap();
    let mut wire = Wire::connect(other.plaintext).await;
    assert_eq!(produced(&mut wire, batch(-1, -1)).await, (ResponseError::NotLeaderOrFollower.code(), -1));
    let partition = FetchPartition::default().with_partition_max_bytes(1_000);
    let topic =
        FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str("t"))).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_wait_ms(60_000).with_min_bytes(1).with_topics(vec![topic]);
    let answer: FetchResponse = wire.ask(ApiKey::Fetch, 12, &request).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, ResponseError::NotLeaderOrFollower.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_answered_in_order() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let mut wire = Wire::connect(brokers.cluster.nodes()[0].plaintext).await;
    for _ in 0..200 {
        wire.send(ApiKey::Produce, 9, &produce(batch(-1, -1))).await;
    }
    for expected in 0..200 {
        let mut frame = wire.frame().await.unwrap();
        let _header = frame.split_to(5);
        let answer = ProduceResponse::decode(&mut frame, 9).unwrap();
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, expected);
    }
    // Without `acks` there is no answer, so the next one belongs to the next request.
    wire.send(ApiKey::Produce, 9, &produce(batch(-1, -1)).with_acks(0)).await;
    assert_eq!(produced(&mut wire, batch(-1, -1)).await, (0, 201));
}

/// Small requests as a gateway sends them. Not a test: `cargo test --test kafka -- --ignored --nocapture`, best with
/// `--release`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
#[expect(clippy::print_stderr, reason = "the figure that it is run for")]
async fn produce_requests_a_second() {
    const CONNECTIONS: usize = 8;
    const REQUESTS: usize = 20_000;
    const IN_FLIGHT: usize = 5;
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    let place = brokers.cluster.nodes()[0].plaintext;
    let started = std::time::Instant::now();
    let clients = (0..CONNECTIONS).map(|_| async move {
        let mut wire = Wire::connect(place).await;
        wire.stream.set_nodelay(true).unwrap();
        for number in 0..REQUESTS {
            wire.send(ApiKey::Produce, 9, &produce(batch(-1, -1))).await;
            if number >= IN_FLIGHT {
                wire.frame().await.unwrap();
            }
        }
        for _ in 0..IN_FLIGHT {
            wire.frame().await.unwrap();
        }
    });
    futures::future::join_all(clients.map(tokio::spawn)).await;
    assert_eq!(brokers.cluster.topic("t").unwrap().partitions[0].end, (CONNECTIONS * REQUESTS) as i64);
    let rate = (CONNECTIONS * REQUESTS) as f64 / started.elapsed().as_secs_f64();
    eprintln!("{rate:.0} produce requests a second");
}
