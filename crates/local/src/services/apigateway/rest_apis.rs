//! REST APIs themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::book::Api;
use super::desk::{Desk, new_id};
use super::errors::bad_request;
use super::input::{flag, picked, text};
use super::patch::{ANY, REPLACE, Rule, Slot};
use super::{errors, models, paging, patch, tags};
use crate::services::Call;
use crate::wire::error::ApiError;

/// "Regional APIs per account per Region" (API Gateway quotas).
const MOST_APIS: usize = 600;

const PATCHES: &[Rule] = &[
    ("/name", Slot::Text, REPLACE),
    ("/description", Slot::Text, REPLACE),
    ("/apiKeySource", Slot::Text, REPLACE),
    ("/disableExecuteApiEndpoint", Slot::Flag, REPLACE),
    ("/minimumCompressionSize", Slot::Whole, ANY),
    ("/binaryMediaTypes/*", Slot::Element, ANY),
    ("/endpointConfiguration/types/*", Slot::Element, REPLACE),
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    if text(input, "name").is_empty() {
        return Err(bad_request("Name cannot be empty"));
    }
    for absent in ["cloneFrom", "policy"] {
        if !text(input, absent).is_empty() {
            return Err(not_there(absent));
        }
    }
    let (id, api) = new(desk, call, input)?;
    let answer = api.rest.clone();
    desk.add_api(&id, api)?;
    Ok(answer)
}

/// A new API with nothing but its root, not yet in the book.
pub(super) fn new(desk: &Desk, call: &Call, input: &Value) -> Result<(String, Api), ApiError> {
    if desk.book().apis.values().filter(|api| api.region == call.region).count() >= MOST_APIS {
        return Err(errors::limit(
            "Maximum number of REST APIs has been reached. Please contact AWS to raise the limit.",
        ));
    }
    let (id, root) = (new_id(10), new_id(10));
    let mut rest = json!({
        "id": id,
        "createdDate": desk.now(),
        "apiKeySource": "HEADER",
        "endpointConfiguration": {"types": ["EDGE"], "ipAddressType": "ipv4"},
        "disableExecuteApiEndpoint": false,
        "rootResourceId": root,
        "apiStatus": "AVAILABLE",
        "tags": tags::checked(&input["tags"], &json!({}))?,
    });
    let given = picked(
        input,
        &[
            "name",
            "description",
            "version",
            "binaryMediaTypes",
            "minimumCompressionSize",
            "apiKeySource",
            "disableExecuteApiEndpoint",
            "securityPolicy",
        ],
    );
    for (member, value) in given {
        rest[member] = value;
    }
    if let Some(types) = input["endpointConfiguration"]["types"].as_array().filter(|types| !types.is_empty()) {
        rest["endpointConfiguration"]["types"] = json!(types);
    }
    check(&rest)?;
    let api = Api {
        region: call.region.clone(),
        rest,
        resources: BTreeMap::from([(root.clone(), json!({"id": root, "path": "/"}))]),
        validators: BTreeMap::new(),
        models: models::defaults(),
        stages: BTreeMap::new(),
    };
    Ok((id, api))
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| Ok(api.rest.clone()))
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    let here = book.apis.iter().filter(|(_, api)| api.region == call.region);
    paging::page(here.map(|(id, api)| (id.clone(), api.rest.clone())).collect(), input)
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        patch::apply(&mut api.rest, &input["patchOperations"], PATCHES)?;
        check(&api.rest)?;
        Ok(api.rest.clone())
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.delete_api(&call.region, text(input, "restApiId"))?;
    Ok(json!({}))
}

/// What must hold of every API.
pub(super) fn check(rest: &Value) -> Result<(), ApiError> {
    if text(rest, "name").is_empty() {
        return Err(bad_request("Name cannot be empty"));
    }
    if !["HEADER", "AUTHORIZER"].contains(&text(rest, "apiKeySource")) {
        return Err(bad_request("Invalid API key source specified. Valid options are HEADER, AUTHORIZER"));
    }
    if text(rest, "apiKeySource") == "AUTHORIZER" {
        return Err(not_there("apiKeySource AUTHORIZER"));
    }
    let types = &rest["endpointConfiguration"]["types"];
    let known = |kind: &Value| ["REGIONAL", "EDGE", "PRIVATE"].iter().any(|known| kind == known);
    if types.as_array().is_none_or(|types| types.len() != 1 || !types.iter().all(known)) {
        return Err(bad_request("Invalid endpoint configuration specified: one of REGIONAL, EDGE, PRIVATE is needed"));
    }
    let compression = &rest["minimumCompressionSize"];
    if !compression.is_null() && compression.as_i64().is_none_or(|size| !(0..=10_485_760).contains(&size)) {
        return Err(bad_request("Invalid minimum compression size, must be between 0 and 10485760"));
    }
    if flag(rest, "disableExecuteApiEndpoint") {
        return Err(not_there("disableExecuteApiEndpoint (there are no domain names of one's own to call instead)"));
    }
    Ok(())
}

/// What the local cloud would have to do and does not is refused, never ignored.
pub(super) fn not_there(what: &str) -> ApiError {
    bad_request(format!("the local cloud does not have {what} of API Gateway"))
}
