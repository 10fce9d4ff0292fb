//! Deployments: an API as it was when the deployment was made.

use serde_json::{Map, Value, json};

use super::book::{Api, Deployment, pair};
use super::desk::{Desk, new_id};
use super::errors::{bad_request, no_deployment};
use super::input::{lists, text};
use super::patch::{REPLACE, Rule, Slot};
use super::{paging, patch, rest_apis, stages};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[("/description", Slot::Text, REPLACE)];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    for absent in ["canarySettings", "cacheClusterSize"] {
        if !input[absent].is_null() {
            return Err(rest_apis::not_there(absent));
        }
    }
    let (api_id, id) = (text(input, "restApiId"), new_id(6));
    let mut shape = json!({"id": id, "createdDate": desk.now()});
    if !text(input, "description").is_empty() {
        shape["description"] = input["description"].clone();
    }
    desk.change_deployment(&call.region, api_id, &id, |deployment, api| {
        check(api)?;
        *deployment = Some(api.freeze(shape.clone()));
        Ok(())
    })?;
    let stage = text(input, "stageName");
    if !stage.is_empty() {
        let put = stages::put_by_deployment(desk, call, input, stage, &id);
        if put.is_err() {
            desk.change_deployment(&call.region, api_id, &id, |deployment, _| {
                *deployment = None;
                Ok(())
            })?;
        }
        put?;
    }
    Ok(shape)
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |_| Ok(()))?;
    let book = desk.book();
    let found = book.deployments.get(&pair(text(input, "restApiId"), text(input, "deploymentId")));
    let found = found.ok_or_else(no_deployment)?;
    let mut shape = found.shape.clone();
    if lists(input, "embed", "apisummary") {
        shape["apiSummary"] = summary(found);
    }
    Ok(shape)
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let api = text(input, "restApiId");
    desk.read_api(&call.region, api, |_| Ok(()))?;
    let prefix = pair(api, "");
    let book = desk.book();
    let of = book.deployments.iter().filter(|(key, _)| key.starts_with(&prefix));
    paging::page(of.map(|(key, deployment)| (key.clone(), deployment.shape.clone())).collect(), input)
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (api, id) = (text(input, "restApiId"), text(input, "deploymentId"));
    desk.change_deployment(&call.region, api, id, |deployment, _| {
        let deployment = deployment.as_mut().ok_or_else(no_deployment)?;
        patch::apply(&mut deployment.shape, &input["patchOperations"], PATCHES)?;
        Ok(deployment.shape.clone())
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (api, id) = (text(input, "restApiId"), text(input, "deploymentId"));
    desk.change_deployment(&call.region, api, id, |deployment, api| {
        if deployment.is_none() {
            return Err(no_deployment());
        }
        if api.stages.values().any(|stage| stage["deploymentId"] == id) {
            return Err(bad_request("Active stages pointing to this deployment must be moved or deleted"));
        }
        *deployment = None;
        Ok(json!({}))
    })
}

/// An API can be deployed when every method goes somewhere.
fn check(api: &Api) -> Result<(), ApiError> {
    let methods = api.resources.values().filter_map(|resource| resource["resourceMethods"].as_object());
    let methods: Vec<&Value> = methods.flat_map(Map::values).collect();
    if methods.is_empty() {
        return Err(bad_request("The REST API doesn't contain any methods"));
    }
    if methods.iter().any(|method| method["methodIntegration"].is_null()) {
        return Err(bad_request("No integration defined for method"));
    }
    Ok(())
}

fn summary(deployment: &Deployment) -> Value {
    let mut paths = Map::new();
    for resource in &deployment.resources {
        let methods = resource["resourceMethods"].as_object().into_iter().flatten();
        let methods: Map<String, Value> = methods
            .map(|(verb, method)| {
                let shown = json!({"authorizationType": method["authorizationType"],
                    "apiKeyRequired": method["apiKeyRequired"]});
                (verb.clone(), shown)
            })
            .collect();
        if !methods.is_empty() {
            paths.insert(text(resource, "path").to_owned(), Value::Object(methods));
        }
    }
    Value::Object(paths)
}
