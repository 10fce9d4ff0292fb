//! What a method is connected to, and how what comes back becomes its response.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::book::Api;
use super::desk::Desk;
use super::errors::{bad_request, no_integration, no_response};
use super::input::{picked, text};
use super::methods::{bad_mapping, find, find_mut};
use super::patch::{ANY, REPLACE, Rule, Slot};
use super::{patch, rest_apis};
use crate::services::Call;
use crate::wire::error::ApiError;

/// "Integration timeout … 50 milliseconds - 29 seconds for all integration types" (API Gateway quotas).
const TIMEOUT: std::ops::RangeInclusive<i64> = 50..=29_000;

const PATCHES: &[Rule] = &[
    ("/uri", Slot::Text, REPLACE),
    ("/httpMethod", Slot::Text, REPLACE),
    ("/credentials", Slot::Text, REPLACE),
    ("/passthroughBehavior", Slot::Text, REPLACE),
    ("/contentHandling", Slot::Text, REPLACE),
    ("/timeoutInMillis", Slot::Whole, REPLACE),
    ("/cacheNamespace", Slot::Text, REPLACE),
    ("/cacheKeyParameters/*", Slot::Element, ANY),
    ("/requestParameters/*", Slot::Text, ANY),
    ("/requestTemplates/*", Slot::Text, ANY),
];

const RESPONSE_PATCHES: &[Rule] = &[
    ("/selectionPattern", Slot::Text, REPLACE),
    ("/contentHandling", Slot::Text, REPLACE),
    ("/responseParameters/*", Slot::Text, ANY),
    ("/responseTemplates/*", Slot::Text, ANY),
];

pub(super) fn put(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let mut given = Value::Object(picked(input, MEMBERS));
        if !input["integrationHttpMethod"].is_null() {
            given["httpMethod"] = input["integrationHttpMethod"].clone();
        }
        if !input["integrationTarget"].is_null() || !input["tlsConfig"].is_null() {
            return Err(rest_apis::not_there("integrationTarget and tlsConfig"));
        }
        let mut integration = complete(&given, text(input, "resourceId"));
        check(&integration)?;
        let method = find_mut(api, input)?;
        let responses = method["methodIntegration"]["integrationResponses"].clone();
        if !responses.is_null() {
            integration["integrationResponses"] = responses;
        }
        method["methodIntegration"] = integration.clone();
        Ok(integration)
    })
}

/// What an integration is made of, but for its HTTP method and its responses.
pub(super) const MEMBERS: &[&str] = &[
    "type",
    "uri",
    "credentials",
    "requestParameters",
    "requestTemplates",
    "passthroughBehavior",
    "contentHandling",
    "timeoutInMillis",
    "cacheNamespace",
    "cacheKeyParameters",
    "connectionType",
    "connectionId",
    "responseTransferMode",
];

/// The integration with what API Gateway fills in.
pub(super) fn complete(given: &Value, resource: &str) -> Value {
    let mut integration = json!({
        "passthroughBehavior": "WHEN_NO_MATCH",
        "timeoutInMillis": TIMEOUT.end(),
        "cacheNamespace": resource,
        "cacheKeyParameters": [],
    });
    if text(given, "type").starts_with("HTTP") {
        integration["connectionType"] = json!("INTERNET");
    }
    for (member, value) in given.as_object().into_iter().flatten() {
        integration[member] = value.clone();
    }
    integration
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| Ok(of(api, input)?.clone()))
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let mut integration = of(api, input)?.clone();
        patch::apply(&mut integration, &input["patchOperations"], PATCHES)?;
        check(&integration)?;
        find_mut(api, input)?["methodIntegration"] = integration.clone();
        Ok(integration)
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let method = find_mut(api, input)?.as_object_mut();
        let gone = method.and_then(|method| method.shift_remove("methodIntegration"));
        gone.map(|_| json!({})).ok_or_else(no_integration)
    })
}

pub(super) fn put_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let status = text(input, "statusCode");
        let members = ["selectionPattern", "responseParameters", "responseTemplates", "contentHandling"];
        let mut response = json!({"statusCode": status});
        for (member, value) in picked(input, &members) {
            response[member] = value;
        }
        of(api, input)?;
        check_response(find(api, input)?, &response)?;
        find_mut(api, input)?["methodIntegration"]["integrationResponses"][status] = response.clone();
        Ok(response)
    })
}

pub(super) fn get_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        let response = &of(api, input)?["integrationResponses"][text(input, "statusCode")];
        if response.is_null() { Err(no_response()) } else { Ok(response.clone()) }
    })
}

pub(super) fn update_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let status = text(input, "statusCode");
        let mut response = of(api, input)?["integrationResponses"][status].clone();
        if response.is_null() {
            return Err(no_response());
        }
        patch::apply(&mut response, &input["patchOperations"], RESPONSE_PATCHES)?;
        check_response(find(api, input)?, &response)?;
        find_mut(api, input)?["methodIntegration"]["integrationResponses"][status] = response.clone();
        Ok(response)
    })
}

pub(super) fn delete_response(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        of(api, input)?;
        let responses = find_mut(api, input)?["methodIntegration"]["integrationResponses"].as_object_mut();
        let gone = responses.and_then(|responses| responses.shift_remove(text(input, "statusCode")));
        gone.map(|_| json!({})).ok_or_else(no_response)
    })
}

fn of<'a>(api: &'a Api, input: &Value) -> Result<&'a Value, ApiError> {
    let integration = &find(api, input)?["methodIntegration"];
    if integration.is_null() { Err(no_integration()) } else { Ok(integration) }
}

/// What must hold of every integration.
pub(super) fn check(integration: &Value) -> Result<(), ApiError> {
    let kind = text(integration, "type");
    let uri = text(integration, "uri");
    match kind {
        "MOCK" => {}
        "AWS" => check_arn(uri)?,
        "AWS_PROXY" => return Err(rest_apis::not_there("Lambda integrations (AWS_PROXY)")),
        "HTTP" | "HTTP_PROXY" => {
            let url = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
            if url.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
                return Err(bad_request("Invalid HTTP endpoint specified for URI"));
            }
        }
        _ => {
            return Err(bad_request(
                "Invalid integration type specified. Valid options are HTTP, AWS, MOCK, HTTP_PROXY, AWS_PROXY",
            ));
        }
    }
    if kind != "MOCK" && text(integration, "httpMethod").is_empty() {
        return Err(bad_request("Enumeration value for HttpMethod must be non-empty"));
    }
    if text(integration, "connectionType") == "VPC_LINK" {
        return Err(rest_apis::not_there("VPC links"));
    }
    if text(integration, "responseTransferMode") == "STREAM" {
        return Err(rest_apis::not_there("streamed responses"));
    }
    if !["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"].contains(&text(integration, "passthroughBehavior")) {
        return Err(bad_request(
            "Invalid passthrough behavior specified. Valid options are WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER",
        ));
    }
    if integration["timeoutInMillis"].as_i64().is_none_or(|timeout| !TIMEOUT.contains(&timeout)) {
        return Err(bad_request("Timeout should be between 50 ms and 29000 ms"));
    }
    check_conversion(integration)?;
    for (to, from) in integration["requestParameters"].as_object().into_iter().flatten() {
        static TO: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^integration\.request\.(header|querystring|path|multivalueheader|multivaluequerystring)\.\S+$")
                .expect("a literal that a test compiles")
        });
        static FROM: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^(method\.request\.(header|querystring|path|multivalueheader|multivaluequerystring)\.\S+|method\.request\.body(\.\S+)?|context\.\S+|stageVariables\.\S+|'[^']*')$")
                .expect("a literal that a test compiles")
        });
        if !TO.is_match(to) {
            return Err(bad_mapping(to));
        }
        let from = from.as_str().unwrap_or_default();
        if !FROM.is_match(from) {
            return Err(bad_mapping(from));
        }
    }
    Ok(())
}

/// `arn:aws:apigateway:us-east-1:kinesis:action/PutRecord`, or `…:path/bucket/key`.
fn check_arn(uri: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = uri.splitn(6, ':').collect();
    let [arn, partition, "apigateway", region, service, action] = parts[..] else {
        return Err(bad_request("Invalid ARN specified in the request"));
    };
    if arn != "arn" || !partition.starts_with("aws") || region.is_empty() || service.is_empty() {
        return Err(bad_request("Invalid ARN specified in the request"));
    }
    if !action.starts_with("action/") && !action.starts_with("path/") {
        return Err(bad_request("AWS ARN for integration must contain path or action"));
    }
    Ok(())
}

/// What must hold of every integration response of `method`.
pub(super) fn check_response(method: &Value, response: &Value) -> Result<(), ApiError> {
    let declared = &method["methodResponses"][text(response, "statusCode")];
    if declared.is_null() {
        return Err(no_response());
    }
    if Regex::new(text(response, "selectionPattern")).is_err() {
        return Err(bad_request("Invalid selection pattern specified"));
    }
    check_conversion(response)?;
    for to in response["responseParameters"].as_object().into_iter().flat_map(Map::keys) {
        if declared["responseParameters"][to].is_null() {
            return Err(bad_request(format!(
                "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping \
                 expression parameter specified: {to}]"
            )));
        }
    }
    Ok(())
}

fn check_conversion(of: &Value) -> Result<(), ApiError> {
    match text(of, "contentHandling") {
        "" | "CONVERT_TO_BINARY" | "CONVERT_TO_TEXT" => Ok(()),
        _ => {
            Err(bad_request("Invalid content handling specified. Valid options are CONVERT_TO_BINARY, CONVERT_TO_TEXT"))
        }
    }
}
