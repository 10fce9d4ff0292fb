//! Ownership tags: how a resource says which stack it belongs to, and what the Tagging API knows of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_resourcegroupstagging::types::TagFilter;
use pinfra_engine::resource::{ADDRESS_TAG as ADDRESS, STACK_TAG as STACK};
use pinfra_engine::{Address, CloudError, Owner};

use crate::clients::Clients;
use crate::error::classify;

/// How many ARNs one GetResources call takes (API reference, `ResourceARNList`).
const ARNS_IN_A_CALL: usize = 100;

/// The largest page of GetResources (API reference, `ResourcesPerPage`).
const RESOURCES_ON_A_PAGE: i32 = 100;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The user's tags with the two that say whose this is.
pub fn ownership(stack: &str, address: &Address, user: &Tags) -> Tags {
    let mut tags = user.clone();
    tags.insert(STACK.to_owned(), stack.to_owned());
    tags.insert(ADDRESS.to_owned(), address.to_string());
    tags
}

/// Whether tags say of which stack an object is, or which one of it.
pub(crate) fn are_pinfras(tags: &Tags) -> bool {
    tags.contains_key(STACK) || tags.contains_key(ADDRESS)
}

/// Whose an object with `found` tags is, seen from one that should carry `wanted`.
pub fn owner(wanted: &Tags, found: &Tags) -> Owner {
    if found.get(STACK).is_some() && found.get(STACK) == wanted.get(STACK) && found.get(ADDRESS) == wanted.get(ADDRESS)
    {
        return Owner::Ours;
    }
    Owner::Theirs(match (found.get(STACK), found.get(ADDRESS)) {
        (Some(stack), Some(address)) => format!("`{address}` of the stack `{stack}`"),
        (Some(stack), None) => format!("part of the stack `{stack}`"),
        _ => "not made by pinfra".to_owned(),
    })
}

/// What must be put and what must be removed to get from `old` to `new`.
pub fn difference(old: &Tags, new: &Tags) -> (Tags, Vec<String>) {
    let put = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
    let put = put.map(|(key, value)| (key.clone(), value.clone())).collect();
    let remove = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    (put, remove)
}

/// The tags of many resources in a hundredth of the calls. Untagged resources are absent from the answer.
pub(crate) async fn of_many(clients: &Clients, arns: &[String]) -> Result<HashMap<String, Tags>, CloudError> {
    let pages = arns.chunks(ARNS_IN_A_CALL).map(|chunk| async {
        let request = clients.tagging.get_resources().set_resource_arn_list(Some(chunk.to_vec()));
        request.send().await.map_err(|error| classify("tag:GetResources", &error))
    });
    let mut found = HashMap::new();
    for page in pinfra_engine::resource::many(pages.collect()).await {
        for mapping in page?.resource_tag_mapping_list.unwrap_or_default() {
            let tags = mapping.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
            found.insert(mapping.resource_arn.unwrap_or_default(), tags);
        }
    }
    Ok(found)
}

/// What carries a stack's tag, with all its tags, by ARN.
pub(crate) type Tagged = HashMap<String, Tags>;

/// The tags under `arn` as the list of what is tagged has them. `None` where this is no look, where the list is not for us,
/// and for what it does not have: who wants to know asks the service itself.
pub(crate) async fn listed(clients: &Clients, arn: &str) -> Option<Tags> {
    let look = clients.look.as_ref()?;
    tagged(clients, &look.stack).await.ok()?.get(arn).cloned()
}

/// What carries the tag of `stack`, asked for once in a look.
pub(crate) async fn tagged(clients: &Clients, stack: &str) -> Result<Arc<Tagged>, CloudError> {
    match &clients.look {
        Some(look) => look.tagged.get(stack, || tagged_with(clients, stack)).await,
        None => tagged_with(clients, stack).await.map(Arc::new),
    }
}

async fn tagged_with(clients: &Clients, stack: &str) -> Result<Tagged, CloudError> {
    let filter = TagFilter::builder().key(STACK).values(stack).build();
    let request = clients.tagging.get_resources().tag_filters(filter).resources_per_page(RESOURCES_ON_A_PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Tagged::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("tag:GetResources", &error))?;
        for mapping in page.resource_tag_mapping_list.unwrap_or_default() {
            let tags = mapping.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
            found.insert(mapping.resource_arn.unwrap_or_default(), tags);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_object_is_ours_only_with_both_tags() {
        let wanted = ownership("pins", &Address::new("s3/bucket", "lake"), &Tags::new());
        assert_eq!(owner(&wanted, &wanted), Owner::Ours);
        let other = ownership("pins2", &Address::new("s3/bucket", "lake"), &Tags::new());
        assert_eq!(owner(&wanted, &other), Owner::Theirs("`s3/bucket.lake` of the stack `pins2`".into()));
        assert_eq!(owner(&wanted, &Tags::new()), Owner::Theirs("not made by pinfra".into()));
        assert_eq!(owner(&Tags::new(), &Tags::new()), Owner::Theirs("not made by pinfra".into()));
    }

    #[test]
    fn tags_are_put_and_removed_one_by_one() {
        let (put, remove) = difference(&tags(&[("a", "1"), ("b", "2"), ("c", "3")]), &tags(&[("a", "1"), ("b", "3")]));
        assert_eq!((put, remove), (tags(&[("b", "3")]), vec!["c".to_owned()]));
    }
}
