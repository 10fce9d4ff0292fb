//! Topics by the admin API, and in-process.

use kafka_protocol::ResponseError;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use crate::support::{Brokers, PATIENCE, map, until};

fn admin(brokers: &Brokers) -> AdminClient<DefaultClientContext> {
    brokers.client(&[]).create().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_client_makes_changes_and_deletes_topics() {
    let brokers = Brokers::start(3).await;
    let (admin, options) = (admin(&brokers), AdminOptions::new());
    let topic = NewTopic::new("stack.pins", 6, TopicReplication::Fixed(3)).set("retention.ms", "1000");
    assert_eq!(admin.create_topics([&topic], &options).await.unwrap(), [Ok("stack.pins".to_owned())]);
    let again = admin.create_topics([&topic], &options).await.unwrap();
    assert_eq!(again, [Err(("stack.pins".to_owned(), RDKafkaErrorCode::TopicAlreadyExists))]);

    let info = brokers.cluster.topic("stack.pins").unwrap();
    assert_eq!(info.configs, map(&[("retention.ms", "1000")]));
    let mut leaders: Vec<i32> = info.partitions.iter().map(|partition| partition.leader).collect();
    leaders.sort_unstable();
    assert_eq!(leaders, [1, 1, 2, 2, 3, 3]);

    let consumer: BaseConsumer = brokers.client(&[("group.id", "g")]).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    assert_eq!((metadata.brokers().len(), metadata.topics().len()), (3, 1));
    assert_eq!(metadata.topics()[0].partitions()[0].isr().len(), 3);

    admin.create_partitions([&NewPartitions::new("stack.pins", 8)], &options).await.unwrap()[0].as_ref().unwrap();
    assert_eq!(brokers.cluster.topic("stack.pins").unwrap().partitions.len(), 8);

    let resource = ResourceSpecifier::Topic("stack.pins");
    let change = AlterConfig::new(resource).set("retention.ms", "2000").set("max.message.bytes", "5000");
    admin.alter_configs([&change], &options).await.unwrap()[0].as_ref().unwrap();
    let told = admin.describe_configs([&ResourceSpecifier::Topic("stack.pins")], &options).await.unwrap();
    let told = told[0].as_ref().unwrap().entry_map();
    assert_eq!(told["retention.ms"].value.as_deref(), Some("2000"));
    assert!(!told["retention.ms"].is_default && told["segment.bytes"].is_default);

    admin.delete_topics(&["stack.pins"], &options).await.unwrap()[0].as_ref().unwrap();
    assert!(brokers.cluster.topics().is_empty());
    let gone = admin.delete_topics(&["stack.pins"], &options).await.unwrap();
    assert_eq!(gone, [Err(("stack.pins".to_owned(), RDKafkaErrorCode::UnknownTopicOrPartition))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_is_refused_with_its_codes() {
    let brokers = Brokers::start(2).await;
    brokers.topic("a.b", 1, &[]);
    let refused = |name: &str, partitions, replication, configs: &[(&str, &str)]| {
        brokers.cluster.create_topic(name, partitions, replication, &map(configs)).unwrap_err()
    };
    assert_eq!(refused("a.b", 1, 1, &[]).code, ResponseError::TopicAlreadyExists);
    assert_eq!(refused("a_b", 1, 1, &[]).code, ResponseError::InvalidTopicException);
    assert_eq!(refused("ä", 1, 1, &[]).code, ResponseError::InvalidTopicException);
    assert_eq!(refused("t", 0, 1, &[]).code, ResponseError::InvalidPartitions);
    assert_eq!(refused("t", 1, 3, &[]).code, ResponseError::InvalidReplicationFactor);
    for (name, value) in [("cleanup.policy", "compact"), ("retention.ms", "soon"), ("flush.ms", "1")] {
        let refused = refused("t", 1, 1, &[(name, value)]);
        assert_eq!(refused.code, ResponseError::InvalidConfig);
        assert!(refused.message.contains(name), "{}", refused.message);
    }
    assert_eq!(brokers.cluster.add_partitions("a.b", 1).unwrap_err().code, ResponseError::InvalidPartitions);
    assert_eq!(brokers.cluster.delete_topic("x").unwrap_err().code, ResponseError::UnknownTopicOrPartition);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_by_producers_where_the_configuration_says_so() {
    let config = [("message.timeout.ms", "3000"), ("topic.metadata.propagation.max.ms", "500")];
    let strict = Brokers::start(1).await;
    let producer: FutureProducer = strict.client(&config).create().unwrap();
    let refused = producer.send(FutureRecord::<str, str>::to("new").payload("x"), PATIENCE).await.unwrap_err();
    assert!(refused.0.rdkafka_error_code().is_some() && strict.cluster.topics().is_empty());

    let brokers = Brokers::with(1, &[("auto.create.topics.enable", "true"), ("num.partitions", "3")]).await;
    let producer: FutureProducer = brokers.client(&[]).create().unwrap();
    producer.send(FutureRecord::<str, str>::to("new").payload("x"), PATIENCE).await.unwrap();
    assert_eq!(brokers.cluster.topic("new").unwrap().partitions.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_and_shrinks() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 2, &[]);
    brokers.cluster.resize(3).await.unwrap();
    assert_eq!(brokers.cluster.nodes().len(), 3);
    brokers.cluster.create_topic("wide", 3, 3, &map(&[])).unwrap();
    let refused = brokers.cluster.resize(2).await.unwrap_err().to_string();
    assert!(refused.contains("`wide`"), "{refused}");
    let consumer: BaseConsumer = brokers.client(&[("group.id", "g")]).create().unwrap();
    assert_eq!(consumer.fetch_metadata(None, PATIENCE).unwrap().brokers().len(), 3);
    brokers.cluster.create_topic("wide-still", 3, 3, &map(&[])).unwrap();

    for topic in ["wide", "wide-still"] {
        brokers.cluster.delete_topic(topic).unwrap();
    }
    let last = brokers.cluster.nodes()[2].plaintext;
    brokers.cluster.resize(2).await.unwrap();
    assert_eq!(consumer.fetch_metadata(None, PATIENCE).unwrap().brokers().len(), 2);
    until("the port is closed", || std::net::TcpStream::connect(last).is_err()).await;
    assert!(brokers.cluster.create_topic("wide", 3, 3, &map(&[])).is_err());
    brokers.cluster.resize(3).await.unwrap();
    assert_eq!(brokers.cluster.nodes()[2].plaintext, last, "the port that it had");
}
