//! Topics that the stack did not make: any on its own cluster, and those of its name on one that it uses.
//!
//! Topics whose names begin with two underscores are Kafka's, MSK's and MSK Connect's own.

use std::collections::BTreeSet;

use pinfra_engine::{Address, CloudError, Finding};
use serde_json::json;

use super::{Known, or_nothing, text, unmanaged};
use crate::clients::Clients;
use crate::msk::listing::topics;

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let own: BTreeSet<&str> =
        known.of_kind("msk/cluster").filter(|(_, _, live)| is_up(live)).map(|(_, arn, _)| arn).collect();
    let used = known.of_kind("msk/topic").map(|(_, _, live)| text(&live.inputs, "cluster"));
    let clusters: BTreeSet<&str> =
        used.filter(|arn| !known.has("msk/cluster", arn)).chain(own.iter().copied()).collect();
    let mut found = Vec::new();
    for cluster in clusters {
        let all = or_nothing(topics(clients, cluster).await)?.unwrap_or_default();
        for topic in all.iter() {
            let name = topic.topic_name().unwrap_or_default();
            let id = format!("{cluster}/{name}");
            if name.starts_with("__") || known.has("msk/topic", &id) {
                continue;
            }
            let Some(address) = touched(known, cluster, name) else { continue };
            let live = json!({"topic": name, "partitions": topic.partition_count()});
            found.push(unmanaged(&address, id, live, format!("the topic `{name}` is not of this stack")));
        }
    }
    Ok(found)
}

/// A cluster that is not up tells of no topics.
fn is_up(live: &pinfra_engine::resource::LiveValue) -> bool {
    !text(&live.outputs, "bootstrap_iam").is_empty() || !text(&live.outputs, "bootstrap").is_empty()
}

/// The cluster of the stack; on one that others use too, only what has the stack's name is its matter.
fn touched(known: Known<'_>, cluster: &str, topic: &str) -> Option<Address> {
    let mut clusters = known.of_kind("msk/cluster");
    if let Some((address, ..)) = clusters.find(|(_, arn, _)| *arn == cluster) {
        return Some(address.clone());
    }
    let of_stack = topic.strip_prefix(known.stack)?.strip_prefix('.').filter(|rest| !rest.is_empty())?;
    Some(Address::new("msk/topic", of_stack))
}
