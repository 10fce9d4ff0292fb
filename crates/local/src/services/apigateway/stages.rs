//! Stages: names under which a deployment is served, with settings of their own.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::book::{Api, Book, pair};
use super::desk::Desk;
use super::errors::{bad_request, conflict, no_stage};
use super::input::{flag, picked, text};
use super::patch::{ANY, Operation, REPLACE, Rule, Slot};
use super::{errors, patch, rest_apis, tags};
use crate::services::Call;
use crate::wire::error::ApiError;

/// "Stages per API" (API Gateway quotas).
const MOST_STAGES: usize = 10;

const PATCHES: &[Rule] = &[
    ("/deploymentId", Slot::Text, REPLACE),
    ("/description", Slot::Text, REPLACE),
    ("/variables/*", Slot::Text, ANY),
    ("/tracingEnabled", Slot::Flag, REPLACE),
    ("/documentationVersion", Slot::Text, REPLACE),
    ("/accessLogSettings/destinationArn", Slot::Text, REPLACE),
    ("/accessLogSettings/format", Slot::Text, REPLACE),
    ("/accessLogSettings", Slot::Text, &["remove"]),
];

/// The settings of a method, below `/<resource path>/<verb>`, with where they stand in the answer.
const METHOD_PATCHES: &[(&str, &str, Slot)] = &[
    ("throttling/rateLimit", "throttlingRateLimit", Slot::Number),
    ("throttling/burstLimit", "throttlingBurstLimit", Slot::Whole),
    ("logging/loglevel", "loggingLevel", Slot::Text),
    ("logging/dataTrace", "dataTraceEnabled", Slot::Flag),
    ("metrics/enabled", "metricsEnabled", Slot::Flag),
    ("caching/enabled", "cachingEnabled", Slot::Flag),
    ("caching/ttlInSeconds", "cacheTtlInSeconds", Slot::Whole),
    ("caching/dataEncrypted", "cacheDataEncrypted", Slot::Flag),
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    refuse_absent(input)?;
    let tags = tags::checked(&input["tags"], &json!({}))?;
    let now = desk.now();
    desk.change_api(&call.region, text(input, "restApiId"), |api, book| {
        let name = text(input, "stageName");
        if api.stages.contains_key(name) {
            return Err(conflict("Stage already exists"));
        }
        let mut stage = new(api, name, now)?;
        let given =
            picked(input, &["deploymentId", "description", "variables", "documentationVersion", "tracingEnabled"]);
        for (member, value) in given {
            stage[member] = value;
        }
        stage["tags"] = tags;
        check(api, book, &stage)?;
        api.stages.insert(name.to_owned(), stage.clone());
        Ok(stage)
    })
}

/// What `CreateDeployment` with a stage name does: makes the stage, or moves the one that is there.
pub(super) fn put_by_deployment(
    desk: &Desk,
    call: &Call,
    input: &Value,
    name: &str,
    deployment: &str,
) -> Result<(), ApiError> {
    refuse_absent(input)?;
    let now = desk.now();
    desk.change_api(&call.region, text(input, "restApiId"), |api, book| {
        let mut stage = match api.stages.get(name) {
            Some(stage) => stage.clone(),
            None => new(api, name, now)?,
        };
        stage["deploymentId"] = json!(deployment);
        stage["lastUpdatedDate"] = json!(now);
        if !input["stageDescription"].is_null() {
            stage["description"] = input["stageDescription"].clone();
        }
        for (member, value) in picked(input, &["variables", "tracingEnabled"]) {
            stage[member] = value;
        }
        check(api, book, &stage)?;
        api.stages.insert(name.to_owned(), stage);
        Ok(())
    })
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        api.stages.get(text(input, "stageName")).cloned().ok_or_else(no_stage)
    })
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let of = text(input, "deploymentId");
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        let stages = api.stages.values().filter(|stage| of.is_empty() || stage["deploymentId"] == of);
        Ok(json!({"item": stages.cloned().collect::<Vec<_>>()}))
    })
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let (account, now) = (desk.book().account(&call.region), desk.now());
    desk.change_api(&call.region, text(input, "restApiId"), |api, book| {
        let mut stage = api.stages.get(text(input, "stageName")).cloned().ok_or_else(no_stage)?;
        for operation in input["patchOperations"].as_array().into_iter().flatten() {
            let operation = Operation::read(operation)?;
            if !change_method_settings(&mut stage, &operation)? {
                patch::apply_one(&mut stage, &operation, PATCHES)?;
            }
        }
        check(api, book, &stage)?;
        check_logging(&stage, &account)?;
        stage["lastUpdatedDate"] = json!(now);
        api.stages.insert(text(input, "stageName").to_owned(), stage.clone());
        Ok(stage)
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        api.stages.remove(text(input, "stageName")).map(|_| json!({})).ok_or_else(no_stage)
    })
}

fn new(api: &Api, name: &str, now: i64) -> Result<Value, ApiError> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9_-]{1,128}$").expect("a literal that a test compiles"));
    if !NAME.is_match(name) {
        return Err(bad_request("Stage name only allows a-zA-Z0-9_-"));
    }
    if api.stages.len() >= MOST_STAGES {
        return Err(errors::limit(
            "Maximum number of stages for this API has been reached. Please contact AWS to raise the limit.",
        ));
    }
    Ok(json!({
        "stageName": name,
        "cacheClusterEnabled": false,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {},
        "tracingEnabled": false,
        "createdDate": now,
        "lastUpdatedDate": now,
    }))
}

/// What would change how a stage serves and is not there.
fn refuse_absent(input: &Value) -> Result<(), ApiError> {
    if flag(input, "cacheClusterEnabled") {
        return Err(rest_apis::not_there("cache clusters"));
    }
    if !input["canarySettings"].is_null() {
        return Err(rest_apis::not_there("canaries"));
    }
    Ok(())
}

fn check(api: &Api, book: &Book, stage: &Value) -> Result<(), ApiError> {
    static VARIABLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_]+$").expect("a literal that a test compiles"));
    static VALUE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z0-9\-._~:/?#&=,]+$").expect("a literal that a test compiles"));
    let id = text(&api.rest, "id");
    if !book.deployments.contains_key(&pair(id, text(stage, "deploymentId"))) {
        return Err(bad_request("Deployment id does not exist"));
    }
    for (name, value) in stage["variables"].as_object().into_iter().flatten() {
        if !VARIABLE.is_match(name) {
            return Err(bad_request(format!(
                "Stage variable name {name} is invalid. Please use values with alphanumeric characters and underscores."
            )));
        }
        if !VALUE.is_match(value.as_str().unwrap_or_default()) {
            return Err(bad_request(format!(
                "Stage variable value {value} is invalid. Please use values with alphanumeric characters and the \
                 symbols ' ', -', '.', '_', ':', '/', '?', '&', '=', and ','."
            )));
        }
    }
    Ok(())
}

/// Logs go out under a role that the account names ("Set up CloudWatch logging", developer guide).
fn check_logging(stage: &Value, account: &Value) -> Result<(), ApiError> {
    let settings = stage["methodSettings"].as_object().into_iter().flat_map(|settings| settings.values());
    let executes = settings.into_iter().any(|of| ["INFO", "ERROR"].contains(&text(of, "loggingLevel")));
    let has_role = !text(account, "cloudwatchRoleArn").is_empty();
    if (executes || !stage["accessLogSettings"].is_null()) && !has_role {
        return Err(bad_request("CloudWatch Logs role ARN must be set in account settings to enable logging"));
    }
    Ok(())
}

/// Whether the operation was one on the settings of a method. `remove /<path>/<verb>` takes all of them away. The key in
/// `methodSettings` keeps the escapes of the path: `~1pets/GET`, and `*/*` for all methods.
fn change_method_settings(stage: &mut Value, operation: &Operation<'_>) -> Result<bool, ApiError> {
    let raw: Vec<&str> = operation.path.trim_start_matches('/').split('/').collect();
    if !raw.first().is_some_and(|path| *path == "*" || path.starts_with("~1")) {
        return Ok(false);
    }
    let (key, setting) = match raw[..] {
        [path, verb] => (format!("{path}/{verb}"), None),
        [path, verb, group, leaf] => (format!("{path}/{verb}"), Some(format!("{group}/{leaf}"))),
        _ => return Err(operation.unknown(&[])),
    };
    let Some(setting) = setting else {
        if operation.op != "remove" {
            return Err(operation.unknown(&[("/<resource path>/<method>", Slot::Text, &["remove"])]));
        }
        if let Some(settings) = stage["methodSettings"].as_object_mut() {
            settings.shift_remove(&key);
        }
        return Ok(true);
    };
    let rule = METHOD_PATCHES.iter().find(|(path, ..)| *path == setting).filter(|_| operation.op == "replace");
    let Some((_, member, slot)) = rule else {
        let paths: Vec<String> = METHOD_PATCHES.iter().map(|(path, ..)| format!("/*/*/{path}")).collect();
        return Err(bad_request(format!(
            "Invalid patch path  '{}' specified for op '{}'. Must be one of: [{}]",
            operation.path,
            operation.op,
            paths.join(", ")
        )));
    };
    if *member == "cachingEnabled" && operation.value == Some("true") {
        return Err(rest_apis::not_there("cache clusters"));
    }
    if *member == "loggingLevel" && !["OFF", "ERROR", "INFO"].contains(&operation.text()?) {
        return Err(bad_request("Invalid logging level specified. Valid options are OFF, ERROR, INFO"));
    }
    let settings = &mut stage["methodSettings"][&key];
    if settings.is_null() {
        *settings = json!({
            "metricsEnabled": false,
            "loggingLevel": "OFF",
            "dataTraceEnabled": false,
            "throttlingBurstLimit": 5000,
            "throttlingRateLimit": 10_000.0,
            "cachingEnabled": false,
            "cacheTtlInSeconds": 300,
            "cacheDataEncrypted": false,
            "requireAuthorizationForCacheControl": true,
            "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
        });
    }
    let path = format!("/{member}");
    let inner = Operation { op: "replace", path: &path, segments: vec![(*member).to_owned()], value: operation.value };
    patch::apply_one(settings, &inner, &[(SETTING, *slot, REPLACE)])?;
    Ok(true)
}

/// Any member of a method's settings.
const SETTING: &str = "/*";
