//! The TLS listener with MSK's IAM authentication, against a gate that is told what to allow.

use std::error::Error;

use rdkafka::client::OAuthToken;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, message::DeliveryResult, message::Message};
use std::sync::Mutex;

use crate::support::{ARN, Brokers, PATIENCE, until};

/// Shows a token; remembers what became of the last record.
struct Shows {
    token: &'static str,
    delivered: Mutex<Option<Result<i64, RDKafkaErrorCode>>>,
}

impl Shows {
    fn new(token: &'static str) -> Shows {
        Shows { token, delivered: Mutex::new(None) }
    }
}

impl ClientContext for Shows {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let lifetime_ms = pinfra_local::clock::Clock::default().now_millis() + 540_000;
        Ok(OAuthToken { token: self.token.to_owned(), principal_name: "p".to_owned(), lifetime_ms })
    }
}

impl ConsumerContext for Shows {}

impl ProducerContext for Shows {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        };
        *self.delivered.lock().unwrap() = Some(outcome);
    }
}

fn config(brokers: &Brokers) -> ClientConfig {
    let mut config = ClientConfig::new();
    let servers: Vec<String> = brokers.cluster.nodes().iter().map(|node| node.iam.to_string()).collect();
    config
        .set("bootstrap.servers", servers.join(","))
        .set("security.protocol", "SASL_SSL")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("ssl.ca.pem", brokers.kafka.authority_pem())
        .set("message.timeout.ms", "10000")
        .set("log_level", "0");
    config
}

fn allow(brokers: &Brokers, action: &str, kind: &str, name: &str) {
    let mut resource = ARN.replace(":cluster/", &format!(":{kind}/"));
    if !name.is_empty() {
        resource = format!("{resource}/{name}");
    }
    brokers.gate.allowed.lock().unwrap().insert(format!("kafka-cluster:{action} {resource}"));
}

async fn produce(producer: &BaseProducer<Shows>, topic: &str) -> Result<i64, RDKafkaErrorCode> {
    *producer.context().delivered.lock().unwrap() = None;
    // librdkafka refuses by itself what it has been refused before.
    if let Err((error, _)) = producer.send(BaseRecord::<str, str>::to(topic).payload("x")) {
        return Err(error.rdkafka_error_code().unwrap());
    }
    let mut outcome = None;
    until("there is an outcome", || {
        producer.poll(std::time::Duration::from_millis(20));
        outcome = *producer.context().delivered.lock().unwrap();
        outcome.is_some()
    })
    .await;
    outcome.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_do_what_policies_allow() {
    let brokers = Brokers::start(2).await;
    brokers.topic("t", 1, &[]);
    brokers.topic("secret", 1, &[]);
    allow(&brokers, "Connect", "cluster", "");
    allow(&brokers, "DescribeTopic", "topic", "t");
    let producer: BaseProducer<Shows> = config(&brokers).create_with_context(Shows::new("token")).unwrap();
    assert_eq!(produce(&producer, "t").await, Err(RDKafkaErrorCode::TopicAuthorizationFailed));
    allow(&brokers, "WriteData", "topic", "t");
    // A decision holds for a second of the connection that asked, so another one asks.
    let producer: BaseProducer<Shows> = config(&brokers).create_with_context(Shows::new("token")).unwrap();
    assert_eq!(produce(&producer, "t").await, Ok(0));

    for (action, kind, name) in
        [("DescribeGroup", "group", "g"), ("AlterGroup", "group", "g"), ("ReadData", "topic", "t")]
    {
        allow(&brokers, action, kind, name);
    }
    let mut reads = config(&brokers);
    reads.set("group.id", "g").set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: BaseConsumer<Shows> = reads.create_with_context(Shows::new("token")).unwrap();
    // It polls once, so that librdkafka asks for a token.
    let _none = consumer.poll(std::time::Duration::from_millis(10));
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let names: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    assert_eq!(names, ["t"]);
    consumer.subscribe(&["t"]).unwrap();
    let mut read = None;
    until("the record is read", || {
        // Events of librdkafka end a poll as well.
        let polled = consumer.poll(std::time::Duration::from_millis(50));
        read = polled.map(|message| message.unwrap().payload().unwrap().to_vec());
        read.is_some()
    })
    .await;
    assert_eq!(read.as_deref(), Some(&b"x"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotence_needs_an_action_of_its_own() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    allow(&brokers, "Connect", "cluster", "");
    allow(&brokers, "DescribeTopic", "topic", "t");
    allow(&brokers, "WriteData", "topic", "t");
    allow(&brokers, "WriteDataIdempotently", "cluster", "");
    let mut idempotent = config(&brokers);
    idempotent.set("enable.idempotence", "true");
    let producer: BaseProducer<Shows> = idempotent.create_with_context(Shows::new("token")).unwrap();
    assert_eq!(produce(&producer, "t").await, Ok(0));
    brokers.gate.allowed.lock().unwrap().retain(|allowed| !allowed.contains("Idempotently"));
    let producer: BaseProducer<Shows> = idempotent.create_with_context(Shows::new("token")).unwrap();
    assert!(produce(&producer, "t").await.is_err());
    assert_eq!(brokers.cluster.topic("t").unwrap().partitions[0].end, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_gets_nowhere() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 1, &[]);
    allow(&brokers, "Connect", "cluster", "");
    let mut impatient = config(&brokers);
    impatient.set("message.timeout.ms", "2000");
    let producer: BaseProducer<Shows> = impatient.create_with_context(Shows::new("forged")).unwrap();
    assert_eq!(produce(&producer, "t").await, Err(RDKafkaErrorCode::MessageTimedOut));
    assert_eq!(brokers.cluster.topic("t").unwrap().partitions[0].end, 0);
}
