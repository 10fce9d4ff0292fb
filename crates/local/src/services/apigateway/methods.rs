//! Methods of resources and the responses they declare.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::book::Api;
use super::desk::Desk;
use super::errors::{bad_request, conflict, no_method, no_resource, no_response};
use super::input::{flag, picked, text};
use super::patch::{ANY, REPLACE, Rule, Slot};
use super::{patch, rest_apis};
use crate::services::Call;
use crate::wire::error::ApiError;

const VERBS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];

const PATCHES: &[Rule] = &[
    ("/authorizationType", Slot::Text, REPLACE),
    ("/apiKeyRequired", Slot::Flag, REPLACE),
    ("/operationName", Slot::Text, REPLACE),
    ("/requestValidatorId", Slot::Text, REPLACE),
    ("/requestParameters/*", Slot::Flag, ANY),
    ("/requestModels/*", Slot::Text, ANY),
];

const RESPONSE_PATCHES: &[Rule] = &[("/responseParameters/*", Slot::Flag, ANY), ("/responseModels/*", Slot::Text, ANY)];

pub(super) fn put(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let verb = text(input, "httpMethod").to_ascii_uppercase();
        let mut method = json!({
            "httpMethod": verb,
            "authorizationType": input["authorizationType"],
            "apiKeyRequired": flag(input, "apiKeyRequired"),
        });
        let given = picked(
            input,
            &["operationName", "requestParameters", "requestModels", "requestValidatorId", "authorizerId"],
        );
        for (member, value) in given {
            method[member] = value;
        }
        check(api, &method)?;
        let resource = api.resources.get_mut(text(input, "resourceId")).ok_or_else(no_resource)?;
        if !resource["resourceMethods"][&verb].is_null() {
            return Err(conflict("Method already exists for this resource"));
        }
        resource["resourceMethods"][&verb] = method.clone();
        Ok(method)
    })
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| Ok(find(api, input)?.clone()))
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let mut method = find(api, input)?.clone();
        patch::apply(&mut method, &input["patchOperations"], PATCHES)?;
        check(api, &method)?;
        *find_mut(api, input)? = method.clone();
        Ok(method)
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let resource = api.resources.get_mut(text(input, "resourceId")).ok_or_else(no_resource)?;
        let verb = text(input, "httpMethod").to_ascii_uppercase();
        let methods = resource["resourceMethods"].as_object_mut();
        methods.and_then(|methods| methods.shift_remove(&verb)).ok_or_else(no_method)?;
        Ok(json!({}))
    })
}

pub(super) fn put_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let status = text(input, "statusCode");
        let mut response = json!({"statusCode": status});
        for (member, value) in picked(input, &["responseParameters", "responseModels"]) {
            response[member] = value;
        }
        check_response(api, &response)?;
        let method = find_mut(api, input)?;
        if !method["methodResponses"][status].is_null() {
            return Err(conflict("Response already exists for this resource"));
        }
        method["methodResponses"][status] = response.clone();
        Ok(response)
    })
}

pub(super) fn get_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        let response = &find(api, input)?["methodResponses"][text(input, "statusCode")];
        if response.is_null() { Err(no_response()) } else { Ok(response.clone()) }
    })
}

pub(super) fn update_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let status = text(input, "statusCode");
        let mut response = find(api, input)?["methodResponses"][status].clone();
        if response.is_null() {
            return Err(no_response());
        }
        patch::apply(&mut response, &input["patchOperations"], RESPONSE_PATCHES)?;
        check_response(api, &response)?;
        find_mut(api, input)?["methodResponses"][status] = response.clone();
        Ok(response)
    })
}

pub(super) fn delete_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let responses = find_mut(api, input)?["methodResponses"].as_object_mut();
        let gone = responses.and_then(|responses| responses.shift_remove(text(input, "statusCode")));
        gone.map(|_| json!({})).ok_or_else(no_response)
    })
}

/// The method that a request names.
pub(super) fn find<'a>(api: &'a Api, input: &Value) -> Result<&'a Value, ApiError> {
    let resource = api.resources.get(text(input, "resourceId")).ok_or_else(no_resource)?;
    let method = &resource["resourceMethods"][text(input, "httpMethod").to_ascii_uppercase()];
    if method.is_null() { Err(no_method()) } else { Ok(method) }
}

pub(super) fn find_mut<'a>(api: &'a mut Api, input: &Value) -> Result<&'a mut Value, ApiError> {
    find(api, input)?;
    let resource = api.resources.get_mut(text(input, "resourceId")).ok_or_else(no_resource)?;
    Ok(&mut resource["resourceMethods"][text(input, "httpMethod").to_ascii_uppercase()])
}

/// What must hold of every method.
pub(super) fn check(api: &Api, method: &Value) -> Result<(), ApiError> {
    static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^method\.request\.(header|querystring|path|multivalueheader|multivaluequerystring)\.[^\s]+$")
            .expect("a literal that a test compiles")
    });
    if !VERBS.contains(&text(method, "httpMethod")) {
        return Err(bad_request(format!("Invalid HttpMethod specified. Valid options are {}", VERBS.join(","))));
    }
    match text(method, "authorizationType") {
        "NONE" | "AWS_IAM" => {}
        other @ ("CUSTOM" | "COGNITO_USER_POOLS") => {
            return Err(rest_apis::not_there(&format!("authorizers ({other})")));
        }
        _ => {
            return Err(bad_request(
                "Invalid authorization type specified. Valid options are NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS",
            ));
        }
    }
    let validator = text(method, "requestValidatorId");
    if !validator.is_empty() && !api.validators.contains_key(validator) {
        return Err(bad_request("Invalid Request Validator identifier specified"));
    }
    if let Some(wrong) = keys(method, "requestParameters").find(|key| !PARAMETER.is_match(key)) {
        return Err(bad_mapping(wrong));
    }
    check_models(api, &method["requestModels"])
}

pub(super) fn check_response(api: &Api, response: &Value) -> Result<(), ApiError> {
    static HEADER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^method\.response\.(header|multivalueheader)\.[^\s]+$").expect("a literal that a test compiles")
    });
    static STATUS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[1-5]\d\d$").expect("a literal that a test compiles"));
    if !STATUS.is_match(text(response, "statusCode")) {
        return Err(bad_request("Invalid status code specified"));
    }
    if let Some(wrong) = keys(response, "responseParameters").find(|key| !HEADER.is_match(key)) {
        return Err(bad_mapping(wrong));
    }
    check_models(api, &response["responseModels"])
}

pub(super) fn bad_mapping(expression: &str) -> ApiError {
    bad_request(format!(
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression \
         specified: {expression}]"
    ))
}

fn keys<'a>(object: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    object[member].as_object().into_iter().flat_map(Map::keys).map(String::as_str)
}

fn check_models(api: &Api, by_type: &Value) -> Result<(), ApiError> {
    for model in by_type.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_str) {
        if !api.models.contains_key(model) {
            return Err(bad_request(format!("Invalid model identifier specified: {model}")));
        }
    }
    Ok(())
}
