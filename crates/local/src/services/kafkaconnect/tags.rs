//! Tags of plugins, worker configurations and connectors, by ARN.

use serde_json::{Value, json};

use super::book::Tags;
use super::desk::Desk;
use super::errors;
use crate::services::{Call, TaggedResource};
use crate::wire::error::ApiError;

/// "Each resource can have up to 50 tags" (MSK developer guide).
const MOST_TAGS: usize = 50;

/// The tags of a create request, if all of them may be.
pub(super) fn given(asked: &Value) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    add(&mut tags, asked)?;
    Ok(tags)
}

fn add(tags: &mut Tags, asked: &Value) -> Result<(), ApiError> {
    for (key, value) in asked.as_object().into_iter().flatten() {
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(errors::invalid("tags", "The prefix aws: is reserved."));
        }
        tags.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    if tags.len() > MOST_TAGS {
        return Err(errors::invalid("tags", format!("A resource has at most {MOST_TAGS} tags.")));
    }
    Ok(())
}

pub(super) fn list(desk: &Desk, _call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["resourceArn"].as_str().unwrap_or_default();
    let (book, now) = (desk.book(), desk.now());
    let plugin = book.plugins.get(arn).filter(|plugin| plugin.state(now).is_some()).map(|plugin| &plugin.tags);
    let worker = book.worker_configurations.get(arn).filter(|found| found.state(now).is_some());
    let connector = book.connectors.get(arn).map(|connector| &connector.tags);
    let tags = plugin.or(worker.map(|found| &found.tags)).or(connector);
    Ok(json!({"tags": tags.ok_or_else(|| errors::not_found("resource", arn))?}))
}

pub(super) fn tag(desk: &Desk, _call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, input, |tags| add(tags, &input["tags"]))
}

pub(super) fn untag(desk: &Desk, _call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, input, |tags| {
        for key in input["tagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            tags.remove(key);
        }
        Ok(())
    })
}

fn change(
    desk: &Desk,
    input: &Value,
    change: impl FnOnce(&mut Tags) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let arn = input["resourceArn"].as_str().unwrap_or_default();
    if arn.contains(":custom-plugin/") {
        desk.change_plugin(arn, |plugin, _| change(&mut plugin.tags))?;
    } else if arn.contains(":worker-configuration/") {
        desk.change_worker_configuration(arn, |found, _| change(&mut found.tags))?;
    } else {
        desk.change_connector(arn, |connector, _| Ok((change(&mut connector.tags)?, None)))?;
    }
    Ok(json!({}))
}

/// Everything of a region that has tags.
pub(super) fn all(desk: &Desk, region: &str) -> Vec<TaggedResource> {
    let (book, now) = (desk.book(), desk.now());
    let plugins = book.plugins.values().filter(|plugin| plugin.region == region && plugin.state(now).is_some());
    let plugins = plugins.map(|plugin| (&plugin.arn, &plugin.tags));
    let workers = book.worker_configurations.values();
    let workers = workers.filter(|found| found.region == region && found.state(now).is_some());
    let workers = workers.map(|found| (&found.arn, &found.tags));
    let connectors = book.connectors.values().filter(|connector| connector.region == region);
    let connectors = connectors.map(|connector| (&connector.arn, &connector.tags));
    let tagged = plugins.chain(workers).chain(connectors).filter(|(_, tags)| !tags.is_empty());
    let pairs = |tags: &Tags| tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    tagged.map(|(arn, tags)| TaggedResource { arn: arn.clone(), tags: pairs(tags) }).collect()
}
