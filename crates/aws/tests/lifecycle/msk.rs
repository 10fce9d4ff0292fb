//! The lives of configurations, clusters and topics.

use std::collections::BTreeMap;

use aws_sdk_kafka::primitives::Blob;
use pinfra_aws::ec2::security_group::SecurityGroup;
use pinfra_aws::msk::cluster::{Cluster, ClusterConfiguration, ClusterInputs};
use pinfra_aws::msk::configuration::{self, Configuration, ConfigurationInputs};
use pinfra_aws::msk::topic::{Topic, TopicInputs};
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{Clients, catalog, claims};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, ErrorKind, Live, Owner, Resource};
use serde_json::Value;

use crate::ec2::group_inputs;
use crate::{cloud, deleted, made, unique, updated};

/// One of each kind.
pub(crate) fn samples() -> Vec<(&'static str, Value)> {
    vec![
        ("msk/configuration", serde_json::to_value(configuration_inputs("a")).unwrap()),
        ("msk/cluster", serde_json::to_value(cluster_inputs("a", "sg-1")).unwrap()),
        ("msk/topic", serde_json::to_value(topic_inputs("arn")).unwrap()),
    ]
}

fn call(kind: &str) -> Call {
    Call::silent(Address::new(kind, "pins"))
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn configuration_inputs(name: &str) -> ConfigurationInputs {
    ConfigurationInputs {
        name: name.to_owned(),
        kafka_versions: vec!["3.7.x".to_owned(), "3.8.x".to_owned()],
        properties: texts(&[("auto.create.topics.enable", "false"), ("log.retention.hours", "24")]),
        description: configuration::ownership(name, &Address::new("msk/configuration", "pins")),
    }
}

pub(crate) fn cluster_inputs(name: &str, group: &str) -> ClusterInputs {
    ClusterInputs {
        name: name.to_owned(),
        kafka_version: "3.7.x".to_owned(),
        brokers: 2,
        instance: "kafka.m7g.large".to_owned(),
        storage_gib: Some(100),
        subnets: None,
        security_groups: vec![Input::Known(group.to_owned())],
        configuration: None,
        monitoring: "DEFAULT".to_owned(),
        client_broker: "TLS".to_owned(),
        iam: true,
        tags: ownership(name, &Address::new("msk/cluster", "pins"), &Tags::new()),
    }
}

pub(crate) fn topic_inputs(cluster: &str) -> TopicInputs {
    TopicInputs {
        cluster: Input::Known(cluster.to_owned()),
        name: "pins.pin".to_owned(),
        partitions: 2,
        replication: 2,
        configs: texts(&[("retention.ms", "86400000")]),
    }
}

pub(crate) async fn group(clients: &Clients, name: &str) -> String {
    let kind = SecurityGroup::new(clients);
    made(&kind, &Call::silent(Address::new("ec2/security_group", "pins")), &group_inputs(name)).await
}

/// What is there, as the planner compares it with `asked`.
pub(crate) async fn compared<R: Resource>(kind: &R, id: &str, asked: R::Inputs) -> R::Inputs {
    let live: Live<R::Inputs, R::Outputs> = kind.read(id).await.unwrap().unwrap();
    match R::COMPARABLE {
        Some(comparable) => comparable(live, &[asked]),
        None => live.inputs,
    }
}

#[tokio::test]
async fn a_configuration_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (Configuration::new(&cloud.clients), call("msk/configuration"));
    let mut inputs = configuration_inputs(&unique("conf"));
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = made(&kind, &call, &inputs).await;
    assert_eq!(kind.read(&id).await.unwrap().unwrap().outputs.revision, 1);
    inputs.properties = texts(&[("log.retention.hours", "48")]);
    updated(&kind, &call, &id, &inputs).await;
    assert_eq!(kind.read(&id).await.unwrap().unwrap().outputs.revision, 2);

    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    let mut other = inputs.clone();
    other.description = configuration::ownership("another", &Address::new("msk/configuration", "pins"));
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    // It has no tags, and is found without state nevertheless.
    let owned = claims::owned_by(&cloud.clients, &catalog(&cloud.clients), &inputs.name).await.unwrap().found;
    assert_eq!(owned, [(Address::new("msk/configuration", "pins"), id.clone())]);
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_revision_of_somebody_elses_is_not_taken_for_ours() {
    let cloud = cloud().await;
    let (kind, call) = (Configuration::new(&cloud.clients), call("msk/configuration"));
    let mut inputs = configuration_inputs(&unique("revised"));
    let id = made(&kind, &call, &inputs).await;
    inputs.properties = texts(&[("log.retention.hours", "48")]);
    // The first look of `settle` is at once; the one after its revision waits until they have made another.
    let (local, _) = cloud.local.as_ref().expect("calls wait on request in a local cloud alone");
    local.faults().set("on kafka:DescribeConfiguration nth=2 do delay 1s").unwrap();
    let theirs = async {
        let kafka = &cloud.clients.kafka;
        let newest = || async {
            let pages = kafka.list_configurations().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            let all = pages.await.unwrap();
            let ours = all.into_iter().find(|one| one.arn() == Some(id.as_str())).unwrap();
            ours.latest_revision.and_then(|latest| latest.revision)
        };
        while newest().await < Some(2) {
            tokio::task::yield_now().await;
        }
        let properties = Blob::new("log.retention.hours=1");
        kafka.update_configuration().arn(&id).server_properties(properties).send().await.unwrap();
    };
    let (settled, ()) = futures::join!(kind.settle(&call, &id, &inputs), theirs);
    assert_eq!(settled.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(kind.settle(&call, &id, &inputs).await.unwrap().outputs.revision, 4, "the step is begun again");
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_cluster_lives_through_every_change() {
    let cloud = cloud().await;
    let clients = &cloud.clients;
    let name = unique("life");
    let (kind, call) = (Cluster::new(clients), call("msk/cluster"));
    let configuration = Configuration::new(clients);
    let mut properties = configuration_inputs(&name);
    let arn = made(&configuration, &call, &properties).await;
    let mut inputs = cluster_inputs(&name, &group(clients, &name).await);
    assert_eq!(kind.find(&inputs).await.unwrap(), None);

    let id = kind.create(&call, &inputs).await.unwrap();
    let settled = kind.settle(&call, &id, &inputs).await.unwrap();
    assert_eq!(compared(&kind, &id, inputs.clone()).await, inputs);
    assert_eq!(settled.outputs.bootstrap_iam.split(',').count(), 2, "{}", settled.outputs.bootstrap_iam);
    assert_eq!(settled.outputs.subnets.len(), 2);
    assert_eq!(settled.outputs.topics_arn, id.replace(":cluster/", ":topic/"));

    // Each family, alone and together.
    let known = |revision| ClusterConfiguration { arn: Input::Known(arn.clone()), revision: Input::Known(revision) };
    let steps: [&dyn Fn(&mut ClusterInputs); 5] = [
        &|inputs| {
            inputs.storage_gib = Some(200);
            inputs.tags.insert("team".to_owned(), "data".to_owned());
        },
        &|inputs| inputs.configuration = Some(known(1)),
        &|inputs| inputs.monitoring = "PER_BROKER".to_owned(),
        &|inputs| {
            inputs.brokers = 4;
            inputs.instance = "kafka.m7g.xlarge".to_owned();
            inputs.client_broker = "TLS_PLAINTEXT".to_owned();
            inputs.tags.remove("team");
        },
        &|inputs| {
            inputs.kafka_version = "3.8.x".to_owned();
            inputs.configuration = Some(known(2));
        },
    ];
    properties.properties.insert("log.retention.hours".to_owned(), "12".to_owned());
    updated(&configuration, &call, &arn, &properties).await;
    for step in steps {
        let old = compared(&kind, &id, inputs.clone()).await;
        step(&mut inputs);
        kind.update(&call, &id, &old, &inputs).await.unwrap();
        kind.settle(&call, &id, &inputs).await.unwrap();
        assert_eq!(compared(&kind, &id, inputs.clone()).await, inputs);
    }
    let outputs = kind.read(&id).await.unwrap().unwrap().outputs;
    assert_eq!(outputs.bootstrap_iam.split(',').count(), 4, "{}", outputs.bootstrap_iam);

    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call, &id).await;
    deleted(&configuration, &call, &arn).await;
}

#[tokio::test]
async fn a_cluster_that_is_being_made_is_found_and_can_be_deleted_and_made_again() {
    let cloud = cloud().await;
    let name = unique("found");
    let (kind, call) = (Cluster::new(&cloud.clients), call("msk/cluster"));
    let inputs = cluster_inputs(&name, &group(&cloud.clients, &name).await);
    let id = kind.create(&call, &inputs).await.unwrap();
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    let outputs = kind.read(&id).await.unwrap().unwrap().outputs;
    assert_eq!((outputs.bootstrap_iam.as_str(), outputs.failure), ("", None), "it is not up yet");
    let mut other = inputs.clone();
    other.tags = ownership("another", &Address::new("msk/cluster", "pins"), &Tags::new());
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    // Deleting waits until it may, and making waits until the name is free.
    kind.delete(&call, &id).await.unwrap();
    let id = kind.create(&call, &inputs).await.unwrap();
    kind.settle(&call, &id, &inputs).await.unwrap();
    cloud.clients.kafka.delete_cluster().cluster_arn(&id).send().await.unwrap();
    assert!(kind.read(&id).await.unwrap().is_none(), "a cluster that is going is as good as gone");
    let id = kind.create(&call, &inputs).await.unwrap();
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_topic_lives_through_every_change() {
    let cloud = cloud().await;
    let name = unique("topic");
    let (cluster, kind, call) = (Cluster::new(&cloud.clients), Topic::new(&cloud.clients), call("msk/topic"));
    let inputs = cluster_inputs(&name, &group(&cloud.clients, &name).await);
    let arn = cluster.create(&call, &inputs).await.unwrap();
    let mut topic = topic_inputs(&arn);
    assert_eq!(kind.find(&topic).await.unwrap(), None, "a cluster that is being made has no topics");
    cluster.settle(&call, &arn, &inputs).await.unwrap();
    assert_eq!(kind.find(&topic).await.unwrap(), None);

    let id = made(&kind, &call, &topic).await;
    let found = kind.find(&topic).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    assert_eq!(kind.create(&call, &topic).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    topic.partitions = 5;
    topic.configs = texts(&[("retention.ms", "3600000"), ("max.message.bytes", "100000")]);
    updated(&kind, &call, &id, &topic).await;
    topic.configs.clear();
    updated(&kind, &call, &id, &topic).await;
    deleted(&kind, &call, &id).await;

    // What is in a cluster goes with it.
    let id = made(&kind, &call, &topic).await;
    cluster.delete(&call, &arn).await.unwrap();
    assert!(kind.read(&id).await.unwrap().is_none());
    kind.delete(&call, &id).await.unwrap();
}
