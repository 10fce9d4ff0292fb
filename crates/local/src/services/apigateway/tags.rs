//! Tags of APIs, stages, API keys and usage plans, by ARN.

use serde_json::{Map, Value, json};

use super::book::Book;
use super::desk::Desk;
use super::errors::{bad_request, no_api, no_key, no_plan, no_stage, not_found};
use super::input::text;
use crate::services::{Call, TaggedResource};
use crate::wire::error::ApiError;

/// "Tags per resource" (tag restrictions, developer guide).
const MOST_TAGS: usize = 50;

/// What has an ARN with tags.
enum Target {
    Api(String),
    Stage(String, String),
    Key(String),
    Plan(String),
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let target = target(call, text(input, "resourceArn"))?;
    let book = desk.book();
    let found = match &target {
        Target::Api(id) => book.apis.get(id).filter(|api| api.region == call.region).map(|api| &api.rest),
        Target::Stage(id, stage) => {
            book.apis.get(id).filter(|api| api.region == call.region).and_then(|api| api.stages.get(stage))
        }
        Target::Key(id) => book.keys.get(id).filter(|key| key.region == call.region).map(|key| &key.shape),
        Target::Plan(id) => book.plans.get(id).filter(|plan| plan.region == call.region).map(|plan| &plan.shape),
    };
    let tags = found.ok_or_else(|| target.missing())?["tags"].clone();
    Ok(json!({"tags": if tags.is_null() { json!({}) } else { tags }}))
}

pub(super) fn tag(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, call, input, |tags| checked(&input["tags"], tags))
}

pub(super) fn untag(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    change(desk, call, input, |tags| {
        let gone = |key: &String| input["tagKeys"].as_array().into_iter().flatten().any(|gone| gone == key);
        let left = tags.as_object().into_iter().flatten().filter(|(key, _)| !gone(key));
        Ok(Value::Object(left.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<String, Value>>()))
    })
}

/// The tags that there are with those that are given, if all of them may be.
pub(super) fn checked(given: &Value, there: &Value) -> Result<Value, ApiError> {
    let mut tags = there.as_object().cloned().unwrap_or_default();
    for (key, value) in given.as_object().into_iter().flatten() {
        if key.is_empty() || key.chars().count() > 128 || value.as_str().is_none_or(|value| value.chars().count() > 256)
        {
            return Err(bad_request("Invalid tag: keys have 1 to 128 characters, values at most 256"));
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(bad_request("Invalid tag key: the prefix aws: is reserved"));
        }
        tags.insert(key.clone(), value.clone());
    }
    if tags.len() > MOST_TAGS {
        return Err(bad_request("Too many tags: a resource has 50 at most"));
    }
    Ok(Value::Object(tags))
}

/// Everything in a region that has tags.
pub(super) fn all(book: &Book, region: &str) -> Vec<TaggedResource> {
    let mut found = Vec::new();
    let mut add = |path: String, shape: &Value| {
        let tags = shape["tags"].as_object().into_iter().flatten();
        let tags: Vec<(String, String)> =
            tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        if !tags.is_empty() {
            found.push(TaggedResource { arn: format!("arn:aws:apigateway:{region}::{path}"), tags });
        }
    };
    for (id, api) in book.apis.iter().filter(|(_, api)| api.region == region) {
        add(format!("/restapis/{id}"), &api.rest);
        for (name, stage) in &api.stages {
            add(format!("/restapis/{id}/stages/{name}"), stage);
        }
    }
    for (id, key) in book.keys.iter().filter(|(_, key)| key.region == region) {
        add(format!("/apikeys/{id}"), &key.shape);
    }
    for (id, plan) in book.plans.iter().filter(|(_, plan)| plan.region == region) {
        add(format!("/usageplans/{id}"), &plan.shape);
    }
    found
}

fn change(
    desk: &Desk,
    call: &Call,
    input: &Value,
    change: impl FnOnce(&Value) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let target = target(call, text(input, "resourceArn"))?;
    let region = call.region.as_str();
    match &target {
        Target::Api(id) => desk.change_api(region, id, |api, _| {
            api.rest["tags"] = change(&api.rest["tags"])?;
            Ok(())
        })?,
        Target::Stage(id, stage) => desk.change_api(region, id, |api, _| {
            let stage = api.stages.get_mut(stage).ok_or_else(no_stage)?;
            stage["tags"] = change(&stage["tags"])?;
            Ok(())
        })?,
        Target::Key(id) => desk.change_key(region, id, |key, _| {
            let key = key.as_mut().ok_or_else(no_key)?;
            key.shape["tags"] = change(&key.shape["tags"])?;
            Ok(())
        })?,
        Target::Plan(id) => desk.change_plan(region, id, |plan, _| {
            let plan = plan.as_mut().ok_or_else(no_plan)?;
            plan.shape["tags"] = change(&plan.shape["tags"])?;
            Ok(())
        })?,
    }
    Ok(json!({}))
}

/// `arn:aws:apigateway:<region>::/restapis/<id>` and so on.
fn target(call: &Call, arn: &str) -> Result<Target, ApiError> {
    let invalid = || bad_request(format!("Invalid resource ARN specified: {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "apigateway", region, "", path] = parts[..] else { return Err(invalid()) };
    if region != call.region {
        return Err(not_found(format!("Invalid resource ARN specified: it is of the region {region}")));
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments[..] {
        ["restapis", id] => Ok(Target::Api(id.to_owned())),
        ["restapis", id, "stages", stage] => Ok(Target::Stage(id.to_owned(), stage.to_owned())),
        ["apikeys", id] => Ok(Target::Key(id.to_owned())),
        ["usageplans", id] => Ok(Target::Plan(id.to_owned())),
        _ => Err(invalid()),
    }
}

impl Target {
    fn missing(&self) -> ApiError {
        match self {
            Target::Api(id) => no_api(id),
            Target::Stage(..) => no_stage(),
            Target::Key(_) => no_key(),
            Target::Plan(_) => no_plan(),
        }
    }
}
