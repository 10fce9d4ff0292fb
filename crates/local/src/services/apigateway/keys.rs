//! API keys. Their values are secrets: they are answered only where a request asks for them.

use serde_json::{Map, Value, json};

use super::book::Key;
use super::desk::{Desk, new_id, new_key_value};
use super::errors::{bad_request, conflict, no_key};
use super::input::{flag, picked, text};
use super::patch::{REPLACE, Rule, Slot};
use super::{paging, patch, rest_apis, tags};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[
    ("/name", Slot::Text, REPLACE),
    ("/description", Slot::Text, REPLACE),
    ("/enabled", Slot::Flag, REPLACE),
    ("/customerId", Slot::Text, REPLACE),
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    if input["stageKeys"].as_array().is_some_and(|keys| !keys.is_empty()) {
        return Err(rest_apis::not_there("stageKeys (usage plans are what replaced them)"));
    }
    let given = input["value"].as_str();
    if given.is_some_and(|value| value.len() < 20) {
        return Err(bad_request("API Key value should be at least 20 characters"));
    }
    if given.is_some_and(|value| value.len() > 128) {
        return Err(bad_request("API Key value should be at most 128 characters"));
    }
    let (id, now) = (new_id(10), desk.now());
    let mut shape = json!({
        "id": id,
        "value": given.map_or_else(new_key_value, str::to_owned),
        "enabled": flag(input, "enabled"),
        "createdDate": now,
        "lastUpdatedDate": now,
        "stageKeys": [],
        "tags": tags::checked(&input["tags"], &json!({}))?,
    });
    for (member, value) in picked(input, &["name", "description", "customerId"]) {
        shape[member] = value;
    }
    desk.change_key(&call.region, &id, |key, book| {
        if book.keys.values().any(|other| other.shape["value"] == shape["value"]) {
            return Err(conflict("API Key already exists"));
        }
        *key = Some(Key { region: call.region.clone(), shape: shape.clone() });
        // The answer to a create has the value, as AWS's has.
        Ok(shape)
    })
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    let key = book.keys.get(text(input, "apiKey")).filter(|key| key.region == call.region).ok_or_else(no_key)?;
    Ok(shown(key, flag(input, "includeValue")))
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (name, customer) = (text(input, "nameQuery"), text(input, "customerId"));
    let book = desk.book();
    let wanted = book.keys.iter().filter(|(_, key)| {
        key.region == call.region
            && text(&key.shape, "name").starts_with(name)
            && (customer.is_empty() || key.shape["customerId"] == customer)
    });
    let values = flag(input, "includeValues");
    paging::page(wanted.map(|(id, key)| (id.clone(), shown(key, values))).collect(), input)
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let now = desk.now();
    desk.change_key(&call.region, text(input, "apiKey"), |key, _| {
        let key = key.as_mut().ok_or_else(no_key)?;
        patch::apply(&mut key.shape, &input["patchOperations"], PATCHES)?;
        key.shape["lastUpdatedDate"] = json!(now);
        Ok(shown(key, false))
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let id = text(input, "apiKey");
    desk.change_key(&call.region, id, |key, _| key.take().map(drop).ok_or_else(no_key))?;
    let plans: Vec<String> = desk
        .book()
        .plans
        .iter()
        .filter(|(_, plan)| plan.keys.iter().any(|key| key == id))
        .map(|(id, _)| id.clone())
        .collect();
    for plan in plans {
        desk.change_plan(&call.region, &plan, |plan, _| {
            if let Some(plan) = plan {
                plan.keys.retain(|key| key != id);
            }
            Ok(())
        })?;
    }
    Ok(json!({}))
}

/// A key as an answer shows it.
pub(super) fn shown(key: &Key, with_value: bool) -> Value {
    let members = key.shape.as_object().into_iter().flatten().filter(|(member, _)| with_value || *member != "value");
    Value::Object(members.map(|(member, value)| (member.clone(), value.clone())).collect::<Map<String, Value>>())
}
