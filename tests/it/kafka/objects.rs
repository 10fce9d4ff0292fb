//! What the connector has stored, looked at by another's eyes: the keys say which offsets an object holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pinfra_aws::Clients;
use pinfra_workers::config::PROBE_FIELD;

use crate::pipeline::{LIMIT, NAME};

/// The lines of each partition of a table's topic, by offset. Fails if an offset is there twice or is left out.
pub(super) async fn lines(clients: &Clients, bucket: &str, table: &str) -> BTreeMap<u32, Vec<String>> {
    let topic = format!("{NAME}.{table}");
    let mut objects: BTreeMap<u32, BTreeMap<u64, String>> = BTreeMap::new();
    let mut pages =
        clients.s3.list_objects_v2().bucket(bucket).prefix(format!("topics/{topic}/")).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap();
            let (partition, first) = place(&topic, key).unwrap_or_else(|| panic!("a key of no sink: {key}"));
            let body = clients.s3.get_object().bucket(bucket).key(key).send().await.unwrap().body;
            let body = String::from_utf8(body.collect().await.unwrap().to_vec()).unwrap();
            objects.entry(partition).or_default().insert(first, body);
        }
    }
    let mut lines = BTreeMap::new();
    for (partition, objects) in objects {
        let mut all: Vec<String> = Vec::new();
        for (first, body) in objects {
            assert_eq!(first, all.len() as u64, "{topic}, partition {partition}: an offset is missing or there twice");
            assert!(body.ends_with('\n'), "{topic}+{partition}+{first} ends in the middle of a line");
            all.extend(body.lines().map(str::to_owned));
        }
        lines.insert(partition, all);
    }
    lines
}

/// Partition and offset in `topics/<topic>/partition=<p>/<topic>+<p>+<ten digits>.json`.
fn place(topic: &str, key: &str) -> Option<(u32, u64)> {
    let rest = key.strip_prefix(&format!("topics/{topic}/partition="))?;
    let (partition, file) = rest.split_once('/')?;
    let offset = file.strip_prefix(&format!("{topic}+{partition}+"))?.strip_suffix(".json")?;
    (offset.len() == 10).then_some(())?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// The events of a table that have been stored, each once and probes left out.
pub(super) async fn events(clients: &Clients, bucket: &str, table: &str) -> BTreeSet<String> {
    let lines = lines(clients, bucket, table).await.into_values().flatten();
    lines.filter(|line| !line.contains(PROBE_FIELD)).collect()
}

/// Waits until every one of these events has been stored, and returns all that have been.
pub(super) async fn stored(
    clients: &Clients,
    bucket: &str,
    table: &str,
    wanted: &BTreeSet<String>,
) -> BTreeSet<String> {
    let until = Instant::now() + LIMIT;
    loop {
        let events = events(clients, bucket, table).await;
        if wanted.is_subset(&events) {
            return events;
        }
        let missing = wanted.difference(&events).count();
        assert!(Instant::now() < until, "{missing} of {} events of {table} never came to S3", wanted.len());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
