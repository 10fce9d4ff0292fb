//! Brokers, a gateway in front of them, and somebody who calls it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::SdkConfig;
use pinfra_workers::config::{GatewayConfig, KafkaSecurity};
use pinfra_workers::gateway::{Around, GatewayError, run_with};
use pinfra_workers::report::{Report, Teller};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const JSON: &str = "application/vnd.kafka.json.v2+json";
pub(crate) const BINARY: &str = "application/vnd.kafka.binary.v2+json";
pub(crate) const ANSWER: &str = "application/vnd.kafka.v2+json";

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

/// Three brokers with a topic `s.pin` of two partitions.
pub(crate) fn brokers() -> Mock {
    let brokers = MockCluster::new(3).unwrap();
    brokers.create_topic("s.pin", 2, 3).unwrap();
    brokers
}

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) teller: Teller,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), GatewayError>>,
    pub(crate) folder: TempDir,
    http: reqwest::Client,
}

pub(crate) fn config(bootstrap: &str) -> GatewayConfig {
    GatewayConfig {
        region: "us-east-1".to_owned(),
        bootstrap: bootstrap.to_owned(),
        security: KafkaSecurity::Plaintext,
        port: 0,
        secret: None,
        topics: BTreeMap::from([("s.pin".to_owned(), "pin".to_owned())]),
        group: Some("connect-s-s3".to_owned()),
        report_port: None,
    }
}

impl Gateway {
    /// A gateway that has reached its brokers.
    pub(crate) async fn start(brokers: &Mock) -> Gateway {
        let gateway = Gateway::with(config(&brokers.bootstrap_servers()), tempfile::tempdir().unwrap()).await;
        gateway.until("healthy", |report| report.healthy).await;
        gateway
    }

    pub(crate) async fn with(config: GatewayConfig, folder: TempDir) -> Gateway {
        Gateway::around(config, folder, SdkConfig::builder().build(), None).await
    }

    pub(crate) async fn around(
        config: GatewayConfig,
        folder: TempDir,
        sdk: SdkConfig,
        authority: Option<PathBuf>,
    ) -> Gateway {
        // Another test may have installed it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (teller, stop) = (Teller::default(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let around = Around { listener, sdk, authority };
        let (told, stopped, path) = (teller.clone(), stop.clone(), folder.path().to_owned());
        let task = tokio::spawn(async move { run_with(config, &path, told, stopped, around).await });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Gateway { address, teller, stop, task, folder, http }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) fn posting(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, path).header("content-type", content_type).body(body)
    }

    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        answered(self.posting(path, content_type, body).send().await.unwrap()).await
    }

    /// Waits until the report is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let report = self.teller.report();
            if wanted(&report) {
                return report;
            }
            assert!(tokio::time::Instant::now() < deadline, "still not {what}: {report:?}");
            assert!(!self.task.is_finished(), "it ended; {report:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it; what it kept stays.
    pub(crate) async fn end(self) -> (Report, TempDir) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap().unwrap();
        (self.teller.report(), self.folder)
    }
}

pub(crate) async fn answered(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A record as a consumer sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: Option<i64>,
}

/// The first `count` records of a topic of these partitions, in the order of partitions and offsets.
pub(crate) fn consume(bootstrap: &str, topic: &str, partitions: i32, count: usize) -> Vec<Seen> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "test").create().unwrap();
    let mut assigned = TopicPartitionList::new();
    for partition in 0..partitions {
        assigned.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assigned).unwrap();
    let mut seen = BTreeMap::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while seen.len() < count {
        assert!(std::time::Instant::now() < deadline, "only {} of {count} records", seen.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            seen.insert((message.partition(), message.offset()), shown(&message));
        }
    }
    seen.into_values().collect()
}

fn shown(message: &BorrowedMessage<'_>) -> Seen {
    let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    Seen {
        partition: message.partition(),
        key: bytes(message.key()),
        value: bytes(message.payload()),
        timestamp: message.timestamp().to_millis(),
    }
}
