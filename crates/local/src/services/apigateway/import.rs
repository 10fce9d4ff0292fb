//! APIs written as OpenAPI 3 documents with API Gateway's extensions (`PutRestApi`, `ImportRestApi`).
//!
//! The document is read into the same objects that the single operations make, so that what is read back is the same
//! either way. Parts that would change how the API answers and are not there are refused; what only documents it is
//! left aside. Sources: "Working with API Gateway extensions to OpenAPI", developer guide.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::book::Api;
use super::desk::Desk;
use super::errors::bad_request;
use super::input::{flag, text};
use super::{integrations, methods, models, resources, rest_apis, validators};
use crate::services::Call;
use crate::wire::error::ApiError;

const VERBS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("patch", "PATCH"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("x-amazon-apigateway-any-method", "ANY"),
];

/// Extensions that change how an API answers and that the local cloud does not have.
const ABSENT: [&str; 3] =
    ["x-amazon-apigateway-policy", "x-amazon-apigateway-gateway-responses", "x-amazon-apigateway-cors"];

pub(super) fn put_rest_api(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let document = read(input)?;
    let overwrite = text(input, "mode") == "overwrite";
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        if overwrite {
            clear(api);
        }
        apply(api, &document)?;
        Ok(api.rest.clone())
    })
}

pub(super) fn import_rest_api(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let document = read(input)?;
    let named = json!({"name": document["info"]["title"]});
    let (id, mut api) = rest_apis::new(desk, call, &named)?;
    apply(&mut api, &document)?;
    let answer = api.rest.clone();
    desk.add_api(&id, api)?;
    Ok(answer)
}

fn read(input: &Value) -> Result<Value, ApiError> {
    let bytes = STANDARD.decode(text(input, "body")).unwrap_or_default();
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| {
        bad_request(format!("Unable to parse API definition as JSON (YAML is not read here): {error}"))
    })?;
    if !text(&document, "openapi").starts_with("3.") {
        return Err(bad_request("the local cloud reads API definitions in OpenAPI 3"));
    }
    if let Some(absent) = ABSENT.iter().find(|member| !document[**member].is_null()) {
        return Err(rest_apis::not_there(absent));
    }
    Ok(document)
}

/// Takes away all that a document describes. The ids of paths that the document has too do not survive it.
fn clear(api: &mut Api) {
    let root = api.root().to_owned();
    api.resources.retain(|id, _| *id == root);
    api.resources.insert(root.clone(), json!({"id": root, "path": "/"}));
    api.validators.clear();
    api.models = models::defaults();
    if let Some(rest) = api.rest.as_object_mut() {
        rest.shift_remove("description");
        rest.shift_remove("binaryMediaTypes");
    }
}

fn apply(api: &mut Api, document: &Value) -> Result<(), ApiError> {
    let title = text(&document["info"], "title");
    if !title.is_empty() {
        api.rest["name"] = json!(title);
    }
    for (member, given) in [
        ("description", &document["info"]["description"]),
        ("version", &document["info"]["version"]),
        ("apiKeySource", &document["x-amazon-apigateway-api-key-source"]),
        ("binaryMediaTypes", &document["x-amazon-apigateway-binary-media-types"]),
        ("minimumCompressionSize", &document["x-amazon-apigateway-minimum-compression-size"]),
    ] {
        if !given.is_null() {
            api.rest[member] = given.clone();
        }
    }
    rest_apis::check(&api.rest)?;
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        put_model(api, name, schema)?;
    }
    for (name, of) in document["x-amazon-apigateway-request-validators"].as_object().into_iter().flatten() {
        put_validator(api, name, of);
    }
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let resource = resource_at(api, path)?;
        for (key, verb) in VERBS {
            if !item[key].is_null() {
                put_method(api, document, &resource, verb, item, &item[key]).map_err(|error| {
                    bad_request(format!(
                        "Unable to put method '{verb}' on resource at path '{path}': {}",
                        error.message
                    ))
                })?;
            }
        }
    }
    Ok(())
}

fn put_model(api: &mut Api, name: &str, schema: &Value) -> Result<(), ApiError> {
    let id = text(&api.rest, "id").to_owned();
    let text = with_model_urls(schema, &id).to_string();
    let model = models::new(name, "application/json", &text)?;
    api.models.insert(name.to_owned(), model);
    Ok(())
}

/// References between models are kept as the addresses under which API Gateway knows them.
fn with_model_urls(schema: &Value, api: &str) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| match (key.as_str(), value.as_str()) {
                    ("$ref", Some(reference)) => {
                        let name = reference.strip_prefix("#/components/schemas/");
                        let url =
                            name.map(|name| format!("https://apigateway.amazonaws.com/restapis/{api}/models/{name}"));
                        (key.clone(), json!(url.unwrap_or_else(|| reference.to_owned())))
                    }
                    _ => (key.clone(), with_model_urls(value, api)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| with_model_urls(item, api)).collect()),
        other => other.clone(),
    }
}

fn put_validator(api: &mut Api, name: &str, of: &Value) {
    let there = api.validators.iter().find(|(_, validator)| validator["name"] == name).map(|(id, _)| id.clone());
    let there = there.and_then(|id| api.validators.get_mut(&id));
    if let Some(validator) = there {
        validator["validateRequestBody"] = json!(flag(of, "validateRequestBody"));
        validator["validateRequestParameters"] = json!(flag(of, "validateRequestParameters"));
        return;
    }
    validators::add(api, name, of);
}

/// The resource at a path; what is missing on the way is made.
fn resource_at(api: &mut Api, path: &str) -> Result<String, ApiError> {
    let mut at = api.root().to_owned();
    let mut so_far = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        so_far = format!("{so_far}/{part}");
        at = match resources::at_path(api, &so_far) {
            Some(id) => id,
            None => resources::add(api, &at, part)?,
        };
    }
    Ok(at)
}

fn put_method(
    api: &mut Api,
    document: &Value,
    resource: &str,
    verb: &str,
    item: &Value,
    operation: &Value,
) -> Result<(), ApiError> {
    let (authorization, key_required) = security(document, operation)?;
    let mut method = json!({"httpMethod": verb, "authorizationType": authorization, "apiKeyRequired": key_required});
    if !text(operation, "operationId").is_empty() {
        method["operationName"] = operation["operationId"].clone();
    }
    let parameters = parameters(document, item, operation);
    if !parameters.is_empty() {
        method["requestParameters"] = Value::Object(parameters);
    }
    let bodies = models_of(api, &operation["requestBody"]["content"])?;
    if !bodies.is_empty() {
        method["requestModels"] = Value::Object(bodies);
    }
    if let Some(validator) = validator(api, document, operation)? {
        method["requestValidatorId"] = json!(validator);
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let mut declared = json!({"statusCode": status});
        let headers = response["headers"].as_object().into_iter().flat_map(Map::keys);
        let headers: Map<String, Value> =
            headers.map(|name| (format!("method.response.header.{name}"), json!(false))).collect();
        if !headers.is_empty() {
            declared["responseParameters"] = Value::Object(headers);
        }
        let shapes = models_of(api, &response["content"])?;
        if !shapes.is_empty() {
            declared["responseModels"] = Value::Object(shapes);
        }
        methods::check_response(api, &declared)?;
        method["methodResponses"][status] = declared;
    }
    methods::check(api, &method)?;
    let given = &operation["x-amazon-apigateway-integration"];
    if !given.is_null() {
        method["methodIntegration"] = integration(given, resource, &method)?;
    }
    if let Some(resource) = api.resources.get_mut(resource) {
        resource["resourceMethods"][verb] = method;
    }
    Ok(())
}

/// How a method is protected: by signatures (`x-amazon-apigateway-auth`, or a scheme of the type `awsSigv4`), by API
/// keys (a scheme of the type `apiKey` in the header `x-api-key`), by both, or not at all.
fn security(document: &Value, operation: &Value) -> Result<(String, bool), ApiError> {
    let mut authorization = "NONE".to_owned();
    let mut key_required = false;
    let required = if operation["security"].is_null() { &document["security"] } else { &operation["security"] };
    let names = required.as_array().into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys);
    for name in names {
        let scheme = &document["components"]["securitySchemes"][name];
        let header = text(scheme, "name").to_ascii_lowercase();
        match (text(scheme, "type"), text(scheme, "x-amazon-apigateway-authtype"), header.as_str()) {
            ("apiKey", "awsSigv4", _) => authorization = "AWS_IAM".to_owned(),
            ("apiKey", "", "x-api-key") => key_required = true,
            _ => return Err(rest_apis::not_there(&format!("the security scheme '{name}'"))),
        }
    }
    let auth = text(&operation["x-amazon-apigateway-auth"], "type");
    if !auth.is_empty() {
        authorization = auth.to_ascii_uppercase();
    }
    Ok((authorization, key_required))
}

fn parameters(document: &Value, item: &Value, operation: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    let both = [&item["parameters"], &operation["parameters"]];
    for parameter in both.iter().filter_map(|list| list.as_array()).flatten() {
        let parameter = match parameter["$ref"].as_str().and_then(|at| at.strip_prefix("#/components/parameters/")) {
            Some(name) => &document["components"]["parameters"][name],
            None => parameter,
        };
        let place = match text(parameter, "in") {
            "query" => "querystring",
            place @ ("header" | "path") => place,
            _ => continue,
        };
        found.insert(format!("method.request.{place}.{}", text(parameter, "name")), json!(flag(parameter, "required")));
    }
    found
}

/// The models of bodies by content type; a schema written in its place becomes a model with a made-up name.
fn models_of(api: &mut Api, content: &Value) -> Result<Map<String, Value>, ApiError> {
    let mut found = Map::new();
    for (content_type, of) in content.as_object().into_iter().flatten() {
        let schema = &of["schema"];
        if schema.is_null() {
            continue;
        }
        let reference = schema["$ref"].as_str().and_then(|at| at.strip_prefix("#/components/schemas/"));
        let name = match reference {
            Some(name) => name.to_owned(),
            None => {
                let name = format!("MODEL{}", super::desk::new_id(6));
                put_model(api, &name, schema)?;
                name
            }
        };
        found.insert(content_type.clone(), json!(name));
    }
    Ok(found)
}

/// The id of the validator that the operation, or the whole document, names.
fn validator(api: &Api, document: &Value, operation: &Value) -> Result<Option<String>, ApiError> {
    const NAME: &str = "x-amazon-apigateway-request-validator";
    let Some(name) = operation[NAME].as_str().or_else(|| document[NAME].as_str()) else { return Ok(None) };
    let found = api.validators.iter().find(|(_, validator)| validator["name"] == name);
    let missing = || bad_request(format!("Invalid request validator specified: {name}"));
    Ok(Some(found.map(|(id, _)| id.clone()).ok_or_else(missing)?))
}

fn integration(given: &Value, resource: &str, method: &Value) -> Result<Value, ApiError> {
    let mut picked = Value::Object(super::input::picked(given, integrations::MEMBERS));
    picked["type"] = json!(text(given, "type").to_ascii_uppercase());
    for (member, value) in [
        ("passthroughBehavior", text(given, "passthroughBehavior")),
        ("contentHandling", text(given, "contentHandling")),
        ("connectionType", text(given, "connectionType")),
    ] {
        if !value.is_empty() {
            picked[member] = json!(value.to_ascii_uppercase());
        }
    }
    if !text(given, "httpMethod").is_empty() {
        picked["httpMethod"] = json!(text(given, "httpMethod").to_ascii_uppercase());
    }
    let mut integration = integrations::complete(&picked, resource);
    integrations::check(&integration)?;
    for (pattern, response) in given["responses"].as_object().into_iter().flatten() {
        let status = text(response, "statusCode");
        let mut mapped =
            Value::Object(super::input::picked(response, &["statusCode", "responseParameters", "responseTemplates"]));
        let conversion = text(response, "contentHandling");
        if !conversion.is_empty() {
            mapped["contentHandling"] = json!(conversion.to_ascii_uppercase());
        }
        if pattern != "default" {
            mapped["selectionPattern"] = json!(pattern);
        }
        if !integration["integrationResponses"][status].is_null() {
            return Err(bad_request(format!("two integration responses have the status code {status}")));
        }
        integrations::check_response(method, &mapped)?;
        integration["integrationResponses"][status] = mapped;
    }
    Ok(integration)
}
