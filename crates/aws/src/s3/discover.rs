//! Finding the objects that a stack put into its buckets without state: by their tags, since the Tagging API lists buckets
//! alone.

use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG, many};
use pinfra_engine::{Address, CloudError, ErrorKind};

use super::object::read_tags;
use crate::clients::Clients;
use crate::error::classify;

/// Where a stack keeps what `up` writes. Workers write elsewhere, and far more.
const KEPT: [&str; 5] =
    ["_pinfra/agent.json", "_pinfra/bin/", "_pinfra/plugins/", "_pinfra/sources/", "_pinfra/workers/"];

/// Objects of `stack` in a bucket, by address, with their ARNs.
pub async fn owned_by(clients: &Clients, stack: &str, bucket: &str) -> Result<Vec<(Address, String)>, CloudError> {
    let mut keys = Vec::new();
    for listed in many(KEPT.iter().map(|prefix| list(clients, bucket, prefix)).collect()).await {
        keys.extend(listed?);
    }
    let tags = many(keys.iter().map(|key| read_tags(&clients.s3, bucket, key)).collect()).await;
    let mut found = Vec::new();
    for (key, tags) in keys.iter().zip(tags) {
        let Some(tags) = tags?.filter(|tags| tags.get(STACK_TAG).is_some_and(|owner| owner == stack)) else { continue };
        let address = tags.get(ADDRESS_TAG).and_then(|address| address.parse().ok());
        found.extend(address.map(|address| (address, format!("arn:aws:s3:::{bucket}/{key}"))));
    }
    Ok(found)
}

async fn list(clients: &Clients, bucket: &str, prefix: &str) -> Result<Vec<String>, CloudError> {
    let mut pages = clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        match page.map_err(|error| classify("s3:ListObjectsV2", &error)) {
            Ok(page) => keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key)),
            // The Tagging API still lists a bucket that is gone.
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(keys)
}
