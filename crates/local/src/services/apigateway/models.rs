//! Models: JSON Schemas that bodies are checked against.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::book::Api;
use super::desk::{Desk, new_id};
use super::errors::{bad_request, conflict, not_found};
use super::input::text;
use super::patch::{REPLACE, Rule, Slot};
use super::{paging, patch};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[("/description", Slot::Text, REPLACE), ("/schema", Slot::Text, REPLACE)];

/// The two that every API is made with.
pub(super) fn defaults() -> BTreeMap<String, Value> {
    let model = |name: &str, description: &str, schema: Value| {
        let model = json!({"id": new_id(6), "name": name, "description": description,
            "contentType": "application/json", "schema": format!("{schema:#}")});
        (name.to_owned(), model)
    };
    let draft = "http://json-schema.org/draft-04/schema#";
    BTreeMap::from([
        model(
            "Empty",
            "This is a default empty schema model",
            json!({"$schema": draft, "title": "Empty Schema", "type": "object"}),
        ),
        model(
            "Error",
            "This is a default error schema model",
            json!({"$schema": draft, "title": "Error Schema", "type": "object",
                "properties": {"message": {"type": "string"}}}),
        ),
    ])
}

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let name = text(input, "name");
        if api.models.contains_key(name) {
            return Err(conflict("Model name already exists for this REST API"));
        }
        let mut model = new(name, text(input, "contentType"), text(input, "schema"))?;
        if !input["description"].is_null() {
            model["description"] = input["description"].clone();
        }
        api.models.insert(name.to_owned(), model.clone());
        Ok(model)
    })
}

/// A model that is not yet in its API.
pub(super) fn new(name: &str, content_type: &str, schema: &str) -> Result<Value, ApiError> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9]+$").expect("a literal that a test compiles"));
    if !NAME.is_match(name) {
        return Err(bad_request("Model name must be alphanumeric"));
    }
    let model = json!({"id": new_id(6), "name": name, "contentType": content_type, "schema": schema});
    check(&model)?;
    Ok(model)
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| find(api, input).cloned())
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        paging::page(api.models.iter().map(|(name, model)| (name.clone(), model.clone())).collect(), input)
    })
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let mut model = find(api, input)?.clone();
        patch::apply(&mut model, &input["patchOperations"], PATCHES)?;
        check(&model)?;
        api.models.insert(text(input, "modelName").to_owned(), model.clone());
        Ok(model)
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let name = text(input, "modelName");
        find(api, input)?;
        if is_used(api, name) {
            return Err(conflict(format!("Cannot delete model '{name}', is referenced in a method")));
        }
        api.models.remove(name);
        Ok(json!({}))
    })
}

fn find<'a>(api: &'a Api, input: &Value) -> Result<&'a Value, ApiError> {
    let name = text(input, "modelName");
    api.models.get(name).ok_or_else(|| not_found(format!("Invalid model name specified: {name}")))
}

fn check(model: &Value) -> Result<(), ApiError> {
    let schema = text(model, "schema");
    let is_json = text(model, "contentType").ends_with("json");
    if is_json && !schema.is_empty() && serde_json::from_str::<Value>(schema).is_err() {
        return Err(bad_request(
            "Invalid model specified: Validation Result: warnings : [], errors : [Invalid model schema specified]",
        ));
    }
    Ok(())
}

fn is_used(api: &Api, name: &str) -> bool {
    let names = |by_type: &Value| by_type.as_object().is_some_and(|models| models.values().any(|model| model == name));
    let methods = api.resources.values().filter_map(|resource| resource["resourceMethods"].as_object());
    methods.flat_map(|methods| methods.values()).any(|method| {
        let responses = method["methodResponses"].as_object();
        names(&method["requestModels"])
            || responses.into_iter().flat_map(|all| all.values()).any(|response| names(&response["responseModels"]))
    })
}
