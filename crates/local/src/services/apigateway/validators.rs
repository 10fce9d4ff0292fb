//! Request validators: which parts of a request are checked before the integration is called.

use serde_json::{Value, json};

use super::book::Api;
use super::desk::{Desk, new_id};
use super::errors::{conflict, not_found};
use super::input::{flag, text};
use super::patch::{REPLACE, Rule, Slot};
use super::{paging, patch};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[
    ("/name", Slot::Text, REPLACE),
    ("/validateRequestBody", Slot::Flag, REPLACE),
    ("/validateRequestParameters", Slot::Flag, REPLACE),
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| Ok(add(api, text(input, "name"), input)))
}

/// Adds a validator of that name with the two flags of `of`.
pub(super) fn add(api: &mut Api, name: &str, of: &Value) -> Value {
    let id = new_id(6);
    let validator = json!({
        "id": id,
        "name": name,
        "validateRequestBody": flag(of, "validateRequestBody"),
        "validateRequestParameters": flag(of, "validateRequestParameters"),
    });
    api.validators.insert(id, validator.clone());
    validator
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| find(api, input).cloned())
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        paging::page(api.validators.iter().map(|(id, validator)| (id.clone(), validator.clone())).collect(), input)
    })
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let mut validator = find(api, input)?.clone();
        patch::apply(&mut validator, &input["patchOperations"], PATCHES)?;
        api.validators.insert(text(input, "requestValidatorId").to_owned(), validator.clone());
        Ok(validator)
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        find(api, input)?;
        let id = text(input, "requestValidatorId");
        let methods = api.resources.values().filter_map(|resource| resource["resourceMethods"].as_object());
        if methods.flat_map(|methods| methods.values()).any(|method| method["requestValidatorId"] == id) {
            return Err(conflict(format!("Cannot delete request validator '{id}', is referenced in a method")));
        }
        api.validators.remove(id);
        Ok(json!({}))
    })
}

fn find<'a>(api: &'a Api, input: &Value) -> Result<&'a Value, ApiError> {
    let id = text(input, "requestValidatorId");
    api.validators.get(id).ok_or_else(|| not_found("Invalid Request Validator identifier specified"))
}
