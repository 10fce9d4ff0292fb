//! Tags of anything that has an id.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filters::{Filters, paged, texts};
use super::ids::Noun;
use super::region::Region;
use super::{Request, errors};
use crate::services::TaggedResource;
use crate::wire::error::ApiError;

/// Keys and values of one object.
pub(super) type Tags = BTreeMap<String, String>;

/// The most that one object may carry ("Tag restrictions", EC2 user guide).
const MOST: usize = 50;

/// The tags that `TagSpecifications` has for a type of object. Types that the operation does not make are refused.
pub(super) fn specified(input: &Value, wanted: Noun, others: &[Noun]) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in input["TagSpecifications"].as_array().into_iter().flatten() {
        let kind = specification["ResourceType"].as_str().unwrap_or_default();
        if kind == wanted.resource_type {
            merge(&mut tags, &read(&specification["Tags"])?)?;
        } else if !others.iter().any(|other| other.resource_type == kind) {
            let message = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(errors::invalid_value(message));
        }
    }
    Ok(tags)
}

/// `CreateTags`.
pub(super) fn create(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let new = read(&request.input["Tags"])?;
    for id in texts(&request.input["Resources"]) {
        region.must_have(id)?;
        merge(region.tags.entry(id.to_owned()).or_default(), &new)?;
    }
    Ok(json!({}))
}

/// `DeleteTags`: a tag without a value goes whatever its value is, and without tags all go.
pub(super) fn delete(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    for id in texts(&request.input["Resources"]) {
        region.must_have(id)?;
        let Some(tags) = region.tags.get_mut(id) else { continue };
        match request.input["Tags"].as_array().filter(|given| !given.is_empty()) {
            None => tags.clear(),
            Some(given) => tags.retain(|key, value| {
                let names = |tag: &&Value| tag["Key"] == key.as_str();
                !given.iter().filter(names).any(|tag| tag["Value"].as_str().is_none_or(|given| given == value))
            }),
        }
        if tags.is_empty() {
            region.tags.remove(id);
        }
    }
    Ok(json!({}))
}

/// `DescribeTags`.
pub(super) fn describe(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const FILTERS: &[(&str, &str)] =
        &[("key", "Key"), ("resource-id", "ResourceId"), ("resource-type", "ResourceType"), ("value", "Value")];
    let filters = Filters::read(request.input, FILTERS)?;
    let mut found = Vec::new();
    for (id, tags) in &region.tags {
        let kind = Noun::of(id).map(|noun| noun.resource_type);
        for (key, value) in tags {
            // `Place` is what pages go by; it is not answered.
            let place = format!("{id}\n{key}");
            let tag = json!({"Key": key, "Value": value, "ResourceId": id, "ResourceType": kind, "Place": place});
            let mut looked = tag.clone();
            looked["Tags"] = json!([{"Key": key, "Value": value}]);
            if filters.let_through(&looked) {
                found.push(tag);
            }
        }
    }
    let mut page = paged(found, request.input, "Place")?;
    for tag in &mut page.items {
        if let Some(tag) = tag.as_object_mut() {
            tag.remove("Place");
        }
    }
    Ok(page.answer("Tags"))
}

/// What the Tagging API lists.
pub(super) fn tagged(region: &Region, account: &str) -> Vec<TaggedResource> {
    let mut found = Vec::new();
    for (id, tags) in &region.tags {
        // What is terminated is shown by EC2 for an hour, but there is nothing left to find.
        if region.instances.get(id).is_some_and(|instance| instance.is_terminated()) {
            continue;
        }
        let Some(noun) = Noun::of(id) else { continue };
        let arn = format!("arn:aws:ec2:{}:{account}:{}/{id}", region.name, noun.resource_type);
        found.push(TaggedResource { arn, tags: tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect() });
    }
    found
}

/// A list of tags as the API shapes it.
pub(super) fn view(tags: Option<&Tags>) -> Value {
    let pairs = tags.into_iter().flatten().map(|(key, value)| json!({"Key": key, "Value": value}));
    Value::Array(pairs.collect())
}

fn read(given: &Value) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in given.as_array().into_iter().flatten() {
        let (key, value) = (tag["Key"].as_str().unwrap_or_default(), tag["Value"].as_str().unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 {
            return Err(errors::invalid_value("Tag key must have between 1 and 128 characters"));
        }
        if value.chars().count() > 256 {
            return Err(errors::invalid_value("Tag value exceeds the maximum length of 256 characters"));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(errors::invalid_value("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(errors::invalid_value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(tags)
}

fn merge(tags: &mut Tags, new: &Tags) -> Result<(), ApiError> {
    tags.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
    if tags.len() > MOST {
        let message = format!("The maximum number of tags for a resource is {MOST}");
        return Err(ApiError::new("TagLimitExceeded", message));
    }
    Ok(())
}
