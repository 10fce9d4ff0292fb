//! Finding the objects that a stack put into its buckets without state: by their tags, since the Tagging API lists buckets
//! alone.

use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG, many};
use pinfra_engine::{Address, CloudError};

use super::bucket::arn_of;
use super::listing::keys;
use super::object::tags_of;
use crate::clients::Clients;

/// Where a stack keeps what `up` writes. Workers write elsewhere, and far more.
const PREFIXES: [&str; 5] =
    ["_pinfra/agent.json", "_pinfra/bin/", "_pinfra/plugins/", "_pinfra/sources/", "_pinfra/workers/"];

/// Objects of `stack` in a bucket, by address, with their ARNs.
pub async fn owned_by(clients: &Clients, stack: &str, bucket: &str) -> Result<Vec<(Address, String)>, CloudError> {
    let mut all = Vec::new();
    for listed in many(PREFIXES.iter().map(|prefix| keys(clients, bucket, prefix)).collect()).await {
        all.extend(listed?);
    }
    let tags = many(all.iter().map(|key| tags_of(&clients.s3, bucket, key)).collect()).await;
    let mut found = Vec::new();
    for (key, tags) in all.iter().zip(tags) {
        let Some(tags) = tags?.filter(|tags| tags.get(STACK_TAG).is_some_and(|owner| owner == stack)) else { continue };
        let address = tags.get(ADDRESS_TAG).and_then(|address| address.parse().ok());
        found.extend(address.map(|address| (address, format!("{}/{key}", arn_of(bucket, &clients.region)))));
    }
    Ok(found)
}
