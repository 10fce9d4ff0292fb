//! What there is: versions, brokers, topics, coordinators.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use uuid::Uuid;

use super::{Context, text};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;
use crate::kafka::server::versions::{SUPPORTED, advertised_min};
use crate::kafka::storage::partition::LEADER_EPOCH;
use crate::kafka::storage::topics::{Topic, unknown};

const HOST: &str = "127.0.0.1";
/// Of the coordinator of a group, in FindCoordinator.
const GROUP: i8 = 0;

/// What is answered, in which versions.
pub(crate) fn api_versions() -> ApiVersionsResponse {
    let keys = SUPPORTED.iter().map(|supported| {
        ApiVersion::default()
            .with_api_key(supported.key as i16)
            .with_min_version(advertised_min(supported))
            .with_max_version(supported.max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

/// Brokers and topics. Topics that are asked for by name are made where the cluster does so.
pub(crate) fn metadata(context: &Context, request: MetadataRequest, version: i16) -> MetadataResponse {
    let cluster = &context.cluster;
    let brokers = cluster.nodes().into_iter().map(|node| {
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node.id));
        broker.with_host(text(HOST)).with_port(i32::from(context.listener.port(&node)))
    });
    let everything = match &request.topics {
        None => true,
        Some(topics) => version == 0 && topics.is_empty(),
    };
    let topics = if everything {
        let mut topics = cluster.topics.all();
        topics.retain(|topic| context.access.may(Action::DescribeTopic, &topic.name));
        topics.iter().map(|topic| described(topic)).collect()
    } else {
        let may_create = version < 4 || request.allow_auto_topic_creation;
        let asked = request.topics.unwrap_or_default().into_iter();
        asked.map(|topic| one_topic(context, topic.name, topic.topic_id, may_create)).collect()
    };
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(&cluster.spec().uuid)))
        .with_controller_id(BrokerId(1))
        .with_topics(topics)
}

/// The brokers alone.
pub(crate) fn describe_cluster(context: &Context, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let answer = DescribeClusterResponse::default().with_endpoint_type(1);
    if let Err(refused) = context.access.check(Action::DescribeCluster, "") {
        return answer.with_error_code(refused.code.code()).with_error_message(Some(text(&refused.message)));
    }
    if request.endpoint_type > 1 {
        let message = "controllers cannot be asked: their endpoints are not there";
        let code = ResponseError::UnsupportedEndpointType.code();
        return answer.with_error_code(code).with_error_message(Some(text(message)));
    }
    let brokers = context.cluster.nodes().into_iter().map(|node| {
        let broker = DescribeClusterBroker::default().with_broker_id(BrokerId(node.id));
        broker.with_host(text(HOST)).with_port(i32::from(context.listener.port(&node)))
    });
    answer
        .with_cluster_id(text(&context.cluster.spec().uuid))
        .with_controller_id(BrokerId(1))
        .with_brokers(brokers.collect())
}

/// Which node coordinates a group. All know the same, so any would do.
pub(crate) fn find_coordinator(
    context: &Context,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    if version >= 4 {
        let keys = request.coordinator_keys.into_iter();
        let coordinators = keys.map(|key| coordinator(context, request.key_type, &key).with_key(key)).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = coordinator(context, request.key_type, &request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

fn coordinator(context: &Context, key_type: i8, key: &str) -> Coordinator {
    let refused = |code: ResponseError, message: &str| {
        let answer = Coordinator::default().with_error_code(code.code()).with_error_message(Some(text(message)));
        answer.with_node_id(BrokerId(-1)).with_port(-1)
    };
    if key_type != GROUP {
        // Of the codes for transactions this is one after which no client tries again.
        let message = "transactions are not supported by the local cloud: produce without a transactional id";
        return refused(ResponseError::TransactionalIdAuthorizationFailed, message);
    }
    if let Err(error) = context.access.check(Action::DescribeGroup, key) {
        return refused(error.code, &error.message);
    }
    let nodes = context.cluster.nodes();
    let sum = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    let Some(node) = nodes.get(sum % nodes.len().max(1)) else {
        return refused(ResponseError::CoordinatorNotAvailable, "the cluster is being closed");
    };
    let found = Coordinator::default().with_node_id(BrokerId(node.id));
    found.with_host(text(HOST)).with_port(i32::from(context.listener.port(node)))
}

fn one_topic(context: &Context, name: Option<TopicName>, id: Uuid, may_create: bool) -> MetadataResponseTopic {
    let found = match &name {
        Some(name) => named(context, name, may_create),
        None => with_id(context, id),
    };
    match found {
        Ok(topic) => topic,
        Err(refused) => {
            MetadataResponseTopic::default().with_name(name).with_topic_id(id).with_error_code(refused.code.code())
        }
    }
}

fn named(context: &Context, name: &str, may_create: bool) -> Result<MetadataResponseTopic, Refused> {
    context.access.check(Action::DescribeTopic, name)?;
    let cluster = &context.cluster;
    if let Some(topic) = cluster.topics.get(name) {
        return Ok(described(&topic));
    }
    if !may_create || !cluster.creates_topics() {
        crate::kafka::names::check(name)?;
        return Err(unknown(name));
    }
    context.access.check(Action::CreateTopic, name)?;
    match cluster.create_topic(name, -1, -1, &BTreeMap::new()) {
        // Another client was a moment earlier.
        Err(refused) if refused.code != ResponseError::TopicAlreadyExists => return Err(refused),
        _ => {}
    }
    cluster.topics.need(name).map(|topic| described(&topic))
}

fn with_id(context: &Context, id: Uuid) -> Result<MetadataResponseTopic, Refused> {
    let absent = || Refused::new(ResponseError::UnknownTopicId, "there is no topic with this id");
    let topic = context.cluster.topics.with_id(id).ok_or_else(absent)?;
    // Who may not see it is not told that it exists.
    context.access.check(Action::DescribeTopic, &topic.name).map_err(|_| absent())?;
    Ok(described(&topic))
}

fn described(topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        let nodes: Vec<BrokerId> = partition.replicas.iter().copied().map(BrokerId).collect();
        MetadataResponsePartition::default()
            .with_partition_index(partition.id)
            .with_leader_id(BrokerId(partition.leader()))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(nodes.clone())
            .with_isr_nodes(nodes)
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}
