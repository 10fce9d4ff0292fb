//! Workers that are not what was deployed, and workers that nobody deployed.
//!
//! What runs is told by the agent's heartbeat, and which manifest it runs by. A manifest that somebody put beside those of
//! the stack is run as well.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use pinfra_engine::resource::LiveValue;
use pinfra_engine::{Address, CloudError, Finding, What};
use serde_json::json;

use super::{Known, text, unmanaged};
use crate::clients::Clients;
use crate::s3::listing::keys as keys_under;
use crate::worker::health::{Health, health};
use crate::worker::keys::{self, MANIFESTS};

/// Bucket and machine.
type Machine<'a> = (&'a str, &'a str);

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let mut machines: BTreeMap<Machine<'_>, Vec<(&Address, &LiveValue)>> = BTreeMap::new();
    for (address, _, live) in known.of_kind("worker/process") {
        machines
            .entry((text(&live.inputs, "bucket"), text(&live.inputs, "instance")))
            .or_default()
            .push((address, live));
    }
    let buckets: BTreeSet<&str> = machines.keys().map(|(bucket, _)| *bucket).collect();
    // A machine that does not run says enough of its workers.
    machines.retain(|(_, instance), _| runs(known, instance));
    let (sick, strange) = futures::try_join!(
        try_join_all(machines.into_iter().map(|(machine, workers)| sick(clients, machine, workers))),
        try_join_all(buckets.into_iter().map(|bucket| strangers(clients, known, bucket))),
    )?;
    Ok(sick.into_iter().chain(strange).flatten().collect())
}

fn runs(known: Known<'_>, instance: &str) -> bool {
    let mut machines = known.of_kind("ec2/instance");
    machines.any(|(_, id, live)| id == instance && live.outputs.get("condition").is_none())
}

/// The workers of a machine that do not do what was deployed.
async fn sick(
    clients: &Clients,
    (bucket, instance): Machine<'_>,
    workers: Vec<(&Address, &LiveValue)>,
) -> Result<Vec<Finding>, CloudError> {
    let heard = health(clients, bucket, instance).await?;
    let ill = |(address, live): &(&Address, &LiveValue)| {
        let detail = match &heard {
            Health::Silent(why) => why.clone(),
            Health::Heard(heartbeat) => heartbeat.ill(text(&live.inputs, "name"), text(&live.outputs, "manifest"))?,
        };
        Some(Finding { what: What::Unhealthy, ..unmanaged(address, instance.to_owned(), json!(null), detail) })
    };
    Ok(workers.iter().filter_map(ill).collect())
}

/// Manifests in a bucket that are not of the stack.
async fn strangers(clients: &Clients, known: Known<'_>, bucket: &str) -> Result<Vec<Finding>, CloudError> {
    let Some((machine, ..)) = known.of_kind("ec2/instance").next() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for key in keys_under(clients, bucket, MANIFESTS).await? {
        let name = keys::worker(&key).unwrap_or(&key);
        if !known.has("worker/process", &format!("{bucket}/{name}")) {
            let detail = format!("the manifest `{key}` is not of this stack, and the machine runs what it says");
            found.push(unmanaged(machine, format!("{bucket}/{key}"), json!({ "manifest": key }), detail));
        }
    }
    Ok(found)
}
