//! Amazon EC2: the client machine and what it needs.

pub mod elastic_ip;
mod held;
pub mod instance;
pub mod key_pair;
pub(crate) mod network;
pub mod security_group;
pub mod vpc_endpoint;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use pinfra_engine::CloudError;
use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG};

use crate::clients::Clients;
use crate::error::classify;
use crate::tags::{self, Tags};

/// Tags for a create call.
fn specification(kind: ResourceType, wanted: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(to_sdk(wanted))).build()
}

fn to_sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn from_sdk(tags: &[Tag]) -> Tags {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

/// Filters for objects that carry the ownership tags of `wanted`.
fn owned(wanted: &Tags) -> Vec<Filter> {
    let filter = |key: &str| {
        let value = wanted.get(key).cloned().unwrap_or_default();
        Filter::builder().name(format!("tag:{key}")).values(value).build()
    };
    vec![filter(STACK_TAG), filter(ADDRESS_TAG)]
}

/// A filter for any of these values.
fn filter_any(name: &str, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// Puts and removes what differs. Every taggable EC2 object takes the same two calls.
async fn bring_tags(clients: &Clients, id: &str, old: &Tags, new: &Tags) -> Result<(), CloudError> {
    let (put, remove) = tags::difference(old, new);
    if !put.is_empty() {
        let request = clients.ec2.create_tags().resources(id).set_tags(Some(to_sdk(&put)));
        request.send().await.map_err(|error| classify("ec2:CreateTags", &error))?;
    }
    if !remove.is_empty() {
        let remove = remove.into_iter().map(|key| Tag::builder().key(key).build()).collect();
        let request = clients.ec2.delete_tags().resources(id).set_tags(Some(remove));
        request.send().await.map_err(|error| classify("ec2:DeleteTags", &error))?;
    }
    Ok(())
}
