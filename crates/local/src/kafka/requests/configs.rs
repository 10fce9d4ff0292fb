//! Configs of topics and brokers: told, and those of topics changed.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Altered;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Changed;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::{Context, code, message, text};
use crate::kafka::configs::{CLUSTER_CONFIGS, Kind, Source, TOPIC_CONFIGS, cluster_value, effective};
use crate::kafka::error::Refused;
use crate::kafka::server::access::Action;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// What configs are, and where from.
pub(crate) fn describe_configs(context: &Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| {
        let described = describe(context, &resource, synonyms);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code(&described))
            .with_error_message(message(&described));
        let mut configs = described.unwrap_or_default();
        if let Some(keys) = &resource.configuration_keys {
            configs.retain(|config| keys.contains(&config.name));
        }
        result.with_configs(configs)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Replaces all configs of topics.
pub(crate) fn alter_configs(context: &Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let set = resource
            .configs
            .iter()
            .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
        let configs: BTreeMap<String, String> = set.collect();
        let replaced =
            alter(context, resource.resource_type, &resource.resource_name, request.validate_only, |present| {
                *present = configs;
                Ok(())
            });
        Altered::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code(&replaced))
            .with_error_message(message(&replaced))
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

/// Sets and unsets single configs of topics.
pub(crate) fn incremental_alter_configs(
    context: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let changes = &resource.configs;
        let changed =
            alter(context, resource.resource_type, &resource.resource_name, request.validate_only, |present| {
                changes.iter().try_for_each(|change| apply(present, change))
            });
        Changed::default()
            .with_resource_type(resource.resource_type)
            .with_error_code(code(&changed))
            .with_error_message(message(&changed))
            .with_resource_name(resource.resource_name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn apply(configs: &mut BTreeMap<String, String>, change: &AlterableConfig) -> Result<(), Refused> {
    match (change.config_operation, &change.value) {
        (SET, Some(value)) => configs.insert(change.name.to_string(), value.to_string()),
        (DELETE, _) => configs.remove(change.name.as_str()),
        _ => {
            let text = format!("`{}` can only be set or deleted: no config here is a list", change.name.as_str());
            return Err(Refused::new(ResponseError::InvalidConfig, text));
        }
    };
    Ok(())
}

fn alter(
    context: &Context,
    kind: i8,
    name: &str,
    validate_only: bool,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    if kind != TOPIC {
        let message = "only configs of topics can be changed here: those of brokers are the cluster's configuration";
        return Err(Refused::new(ResponseError::InvalidRequest, message));
    }
    context.access.check(Action::AlterTopicConfigs, name)?;
    let cluster = &context.cluster;
    cluster.topics.configure(name, change, &cluster.spec(), validate_only)
}

fn describe(
    context: &Context,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            let topic = context.topic(name, Action::DescribeTopicConfigs)?;
            let spec = context.cluster.spec();
            let configs = TOPIC_CONFIGS.iter().map(|known| {
                let (value, source) = effective(known, &topic.configs, &spec);
                let mut told = result(known.name, &value, source, known.kind);
                if synonyms {
                    let none = BTreeMap::new();
                    let (behind, from) = effective(known, &none, &spec);
                    let own = (source == Source::Topic).then(|| synonym(known.name, &value, source));
                    told.synonyms = own.into_iter().chain([synonym(known.server, &behind, from)]).collect();
                }
                told
            });
            Ok(configs.collect())
        }
        BROKER => {
            context.access.check(Action::DescribeClusterConfigs, "")?;
            let spec = context.cluster.spec();
            let nodes = context.cluster.nodes();
            if !name.is_empty() && !nodes.iter().any(|node| node.id.to_string() == name) {
                let message = format!("there is no broker `{name}`");
                return Err(Refused::new(ResponseError::InvalidRequest, message));
            }
            let own = CLUSTER_CONFIGS.iter().map(|(name, kind)| {
                let (value, source) = cluster_value(name, &spec);
                result(name, &value, source, *kind).with_read_only(true)
            });
            let none = BTreeMap::new();
            let of_topics = TOPIC_CONFIGS.iter().map(|known| {
                let (value, source) = effective(known, &none, &spec);
                result(known.server, &value, source, known.kind).with_read_only(true)
            });
            Ok(own.chain(of_topics).collect())
        }
        kind => {
            let message = format!("resources of type {kind} have no configs here");
            Err(Refused::new(ResponseError::InvalidRequest, message))
        }
    }
}

fn result(name: &str, value: &str, source: Source, kind: Kind) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_config_source(source as i8)
        .with_config_type(kind as i8)
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(source as i8)
}
