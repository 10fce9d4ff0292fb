//! Lists of MSK that several kinds share in one look.

use std::sync::Arc;

use aws_sdk_kafka::types::{Configuration, TopicInfo};
use pinfra_engine::CloudError;

use super::configuration::all;
use crate::clients::Clients;
use crate::error::classify;

/// Every configuration of account and region.
pub(crate) type Configurations = Vec<Configuration>;
/// Every topic of a cluster.
pub(crate) type Topics = Vec<TopicInfo>;

/// The configurations, asked for once in a look.
pub(crate) async fn configurations(clients: &Clients) -> Result<Arc<Configurations>, CloudError> {
    match &clients.look {
        Some(look) => look.configurations.get("", || all(clients)).await,
        None => all(clients).await.map(Arc::new),
    }
}

/// The topics of a cluster, where this is a look.
pub(crate) async fn topics(clients: &Clients, cluster: &str) -> Result<Option<Arc<Topics>>, CloudError> {
    let Some(look) = &clients.look else { return Ok(None) };
    look.topics.get(cluster, || topics_of(clients, cluster)).await.map(Some)
}

async fn topics_of(clients: &Clients, cluster: &str) -> Result<Topics, CloudError> {
    let mut pages = clients.kafka.list_topics().cluster_arn(cluster).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("kafka:ListTopics", &error))?;
        found.extend(page.topics.unwrap_or_default());
    }
    Ok(found)
}
