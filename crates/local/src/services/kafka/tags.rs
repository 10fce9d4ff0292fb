//! Tags of clusters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::desk::Desk;
use super::errors::{check_arn, invalid, no_cluster};
use crate::services::{Call, TaggedResource};
use crate::wire::error::ApiError;

/// "Tags per resource" (tag restrictions, AWS general reference).
const MOST: usize = 50;

/// `ListTagsForResource`.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = named(input)?;
    let book = desk.book();
    let cluster = book.cluster(&call.region, arn).ok_or_else(no_cluster)?;
    Ok(json!({ "Tags": cluster.tags }))
}

/// `TagResource`.
pub(super) fn tag(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, call, input, |tags| merged(tags, &input["Tags"]))
}

/// `UntagResource`.
pub(super) fn untag(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, call, input, |tags| {
        for key in input["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            tags.remove(key);
        }
        Ok(())
    })
}

/// Adds the tags that are given, if all of them may be.
pub(super) fn merged(tags: &mut BTreeMap<String, String>, given: &Value) -> Result<(), ApiError> {
    for (key, value) in given.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("tags", "Keys of tags have 1 to 128 characters, values at most 256."));
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(invalid("tags", "Tag keys must not start with aws:, which is reserved."));
        }
        tags.insert(key.clone(), value.to_owned());
    }
    if tags.len() > MOST {
        return Err(invalid("tags", "A resource has at most 50 tags."));
    }
    Ok(())
}

/// Everything in a region that has tags.
pub(super) fn all(desk: &Desk, region: &str) -> Vec<TaggedResource> {
    let book = desk.book();
    let tagged = book.clusters.values().filter(|cluster| cluster.region == region && !cluster.tags.is_empty());
    let resource = |cluster: &super::book::Cluster| TaggedResource {
        arn: cluster.arn.clone(),
        tags: cluster.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    };
    tagged.map(resource).collect()
}

fn change(
    desk: &Desk,
    call: &Call,
    input: &Value,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let arn = named(input)?;
    desk.change_cluster(arn, |cluster, _| {
        if cluster.region != call.region {
            return Err(no_cluster());
        }
        change(&mut cluster.tags)?;
        Ok((json!({}), None))
    })
}

/// Of the kinds of resources that have tags, clusters are the one that is there.
fn named(input: &Value) -> Result<&str, ApiError> {
    let arn = input["ResourceArn"].as_str().unwrap_or_default();
    check_arn(arn, "cluster").map(|()| arn)
}
