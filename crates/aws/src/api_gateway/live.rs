//! A document read back from the objects that API Gateway made of it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_apigateway::types::{self, Resource};
use pinfra_engine::value::Input;
use serde_json::Value;

use super::document::{Authorization, Document, Integration, IntegrationResponse, Method, Response, Validator};

/// Models that every API is made with and nobody asked for.
const DEFAULT_MODELS: [&str; 2] = ["Empty", "Error"];

/// The document of an API. What AWS fills in by itself (cache namespaces, connection types) is left out.
pub(super) fn document(
    binary_media_types: Vec<String>,
    resources: Vec<Resource>,
    validators: Vec<types::RequestValidator>,
    models: Vec<types::Model>,
) -> Document {
    let mut names = HashMap::new();
    let mut document = Document { binary_media_types: binary_media_types.into_iter().collect(), ..Document::default() };
    for validator in validators {
        let name = validator.name.unwrap_or_default();
        names.insert(validator.id.unwrap_or_default(), name.clone());
        let of = Validator { body: validator.validate_request_body, parameters: validator.validate_request_parameters };
        document.validators.insert(name, of);
    }
    for model in models {
        let name = model.name.unwrap_or_default();
        if !DEFAULT_MODELS.contains(&name.as_str()) {
            let text = model.schema.unwrap_or_default();
            document.models.insert(name, serde_json::from_str(&text).unwrap_or(Value::String(text)));
        }
    }
    for resource in resources {
        let path = resource.path.unwrap_or_default();
        for (verb, of) in resource.resource_methods.unwrap_or_default() {
            document.paths.entry(path.clone()).or_default().insert(verb, method(of, &names));
        }
    }
    document
}

fn method(found: types::Method, validators: &HashMap<String, String>) -> Method {
    let authorization = match found.authorization_type.as_deref() {
        None | Some("NONE") => Authorization::None,
        Some("AWS_IAM") => Authorization::Iam,
        Some(_) => Authorization::Other,
    };
    let responses = found.method_responses.unwrap_or_default().into_iter().map(|(status, response)| {
        let headers = response.response_parameters.unwrap_or_default().into_keys();
        let headers = headers.map(|name| name.trim_start_matches("method.response.header.").to_owned());
        (status, Response { headers: headers.collect(), models: sorted(response.response_models) })
    });
    Method {
        authorization,
        api_key_required: found.api_key_required.unwrap_or(false),
        validator: found.request_validator_id.map(|id| validators.get(&id).cloned().unwrap_or(id)),
        parameters: sorted(found.request_parameters),
        models: sorted(found.request_models),
        responses: responses.collect(),
        integration: found.method_integration.map(integration).unwrap_or_default(),
    }
}

fn integration(found: types::Integration) -> Integration {
    let responses = found.integration_responses.unwrap_or_default().into_iter().map(|(status, response)| {
        let mapped = IntegrationResponse {
            selection_pattern: response.selection_pattern.filter(|pattern| !pattern.is_empty()),
            parameters: sorted(response.response_parameters),
            templates: sorted(response.response_templates),
            content_handling: response.content_handling.map(|handling| handling.as_str().to_owned()),
        };
        (status, mapped)
    });
    Integration {
        kind: found.r#type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        uri: found.uri,
        http_method: found.http_method,
        credentials: found.credentials.map(Input::Known),
        parameters: sorted(found.request_parameters),
        templates: sorted(found.request_templates),
        passthrough: found.passthrough_behavior.unwrap_or_default(),
        content_handling: found.content_handling.map(|handling| handling.as_str().to_owned()),
        timeout_millis: found.timeout_in_millis,
        responses: responses.collect(),
    }
}

fn sorted<T>(map: Option<HashMap<String, T>>) -> BTreeMap<String, T> {
    map.unwrap_or_default().into_iter().collect()
}
