//! A document as API Gateway takes it: OpenAPI 3 with `x-amazon-apigateway-*` extensions ("Working with API Gateway
//! extensions to OpenAPI", developer guide).

use pinfra_engine::value::Input;
use pinfra_engine::{CloudError, ErrorKind};
use serde_json::{Map, Value, json};

use super::document::{Authorization, Document, Integration, Method};

const KEY_SCHEME: &str = "api_key";
const SIGNATURE_SCHEME: &str = "sigv4";

/// The OpenAPI text of an API. Fails on what an API cannot be written with.
pub(super) fn openapi(name: &str, description: &str, document: &Document) -> Result<Value, CloudError> {
    let mut paths = Map::new();
    for (path, methods) in &document.paths {
        let mut item = Map::new();
        for (verb, method) in methods {
            let key = match verb.as_str() {
                "ANY" => "x-amazon-apigateway-any-method".to_owned(),
                verb => verb.to_ascii_lowercase(),
            };
            item.insert(key, operation(method)?);
        }
        paths.insert(path.clone(), Value::Object(item));
    }
    let validators = document.validators.iter().map(|(name, validator)| {
        let of = json!({"validateRequestBody": validator.body, "validateRequestParameters": validator.parameters});
        (name.clone(), of)
    });
    Ok(json!({
        "openapi": "3.0.1",
        // The version is required in OpenAPI and means nothing here: it must not change with the time of writing.
        "info": {"title": name, "description": description, "version": "1"},
        "paths": paths,
        "components": {
            "schemas": document.models,
            "securitySchemes": {
                KEY_SCHEME: {"type": "apiKey", "name": "x-api-key", "in": "header"},
                SIGNATURE_SCHEME: {"type": "apiKey", "name": "Authorization", "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4"},
            },
        },
        "x-amazon-apigateway-request-validators": validators.collect::<Map<String, Value>>(),
        "x-amazon-apigateway-binary-media-types": document.binary_media_types,
    }))
}

fn operation(method: &Method) -> Result<Value, CloudError> {
    let mut parameters = Vec::new();
    for (place, required) in &method.parameters {
        parameters.push(parameter(place, *required)?);
    }
    let mut responses = Map::new();
    for (status, response) in &method.responses {
        let headers = response.headers.iter().map(|name| (name.clone(), json!({"schema": {"type": "string"}})));
        let mut declared = json!({
            "description": format!("status {status}"),
            "headers": headers.collect::<Map<String, Value>>(),
        });
        if !response.models.is_empty() {
            declared["content"] = content(&response.models);
        }
        responses.insert(status.clone(), declared);
    }
    let mut operation = json!({
        "parameters": parameters,
        "responses": responses,
        "x-amazon-apigateway-integration": integration(&method.integration)?,
    });
    if !method.models.is_empty() {
        operation["requestBody"] = json!({"required": true, "content": content(&method.models)});
    }
    if let Some(validator) = &method.validator {
        operation["x-amazon-apigateway-request-validator"] = json!(validator);
    }
    let mut security = Map::new();
    match method.authorization {
        Authorization::None => {}
        Authorization::Iam => drop(security.insert(SIGNATURE_SCHEME.to_owned(), json!([]))),
        Authorization::Other => return Err(invalid("an authorizer, which pinfra does not make")),
    }
    if method.api_key_required {
        security.insert(KEY_SCHEME.to_owned(), json!([]));
    }
    if !security.is_empty() {
        operation["security"] = json!([security]);
    }
    Ok(operation)
}

fn parameter(place: &str, required: bool) -> Result<Value, CloudError> {
    let rest = place.strip_prefix("method.request.").and_then(|rest| rest.split_once('.'));
    let Some((kind, name)) = rest else { return Err(invalid(&format!("the parameter `{place}`"))) };
    let kind = match kind {
        "querystring" => "query",
        "path" | "header" => kind,
        _ => return Err(invalid(&format!("the parameter `{place}`"))),
    };
    Ok(json!({"name": name, "in": kind, "required": required, "schema": {"type": "string"}}))
}

fn content(models: &std::collections::BTreeMap<String, String>) -> Value {
    let by_type = models.iter().map(|(content_type, model)| {
        (content_type.clone(), json!({"schema": {"$ref": format!("#/components/schemas/{model}")}}))
    });
    Value::Object(by_type.collect())
}

fn integration(integration: &Integration) -> Result<Value, CloudError> {
    let mut responses = Map::new();
    for (status, response) in &integration.responses {
        let mut mapped = json!({
            "statusCode": status,
            "responseParameters": response.parameters,
            "responseTemplates": response.templates,
        });
        if let Some(handling) = &response.content_handling {
            mapped["contentHandling"] = json!(handling);
        }
        let pattern = response.selection_pattern.clone().unwrap_or_else(|| "default".to_owned());
        if responses.insert(pattern.clone(), mapped).is_some() {
            return Err(invalid(&format!("two answers for `{pattern}`")));
        }
    }
    let mut written = json!({
        "type": integration.kind.to_ascii_lowercase(),
        "requestParameters": integration.parameters,
        "requestTemplates": integration.templates,
        "passthroughBehavior": integration.passthrough.to_ascii_lowercase(),
        "timeoutInMillis": integration.timeout_millis,
        "responses": responses,
    });
    for (member, value) in [
        ("uri", &integration.uri),
        ("httpMethod", &integration.http_method),
        ("contentHandling", &integration.content_handling),
    ] {
        if let Some(value) = value {
            written[member] = json!(value);
        }
    }
    match &integration.credentials {
        None => {}
        Some(Input::Known(role)) => written["credentials"] = json!(role),
        Some(Input::Reference(reference)) => return Err(invalid(&format!("the unresolved `{reference}`"))),
    }
    Ok(written)
}

fn invalid(what: &str) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "api_gateway/rest_api", format!("an API cannot be written with {what}"))
}
