//! What callers can do: write events to the streams and to the topics, and look at them.
//!
//! Methods below `/streams` call Kinesis as the API's role, through a mapping template. The templates are compiled in; each
//! says what it does and why. Requests are checked against models first, so that the templates meet only what they were
//! written for. What no other path takes goes on to the gateway as it came, over plain HTTP, with a secret that only the API
//! adds.

use std::collections::BTreeMap;

use pinfra_aws::api_gateway::document::{
    Authorization, Document, Integration, IntegrationResponse, Method, Response, TIMEOUT_MILLIS, Validator,
    service_action,
};
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use serde_json::{Value, json};

use crate::spec::{Api, ApiAuth, Stack};

const JSON: &str = "application/json";
/// What `curl -d` says of a body when nobody tells it otherwise. It is read as the JSON that it is: nothing here takes
/// forms, and a hand-written call that is right in all else deserves better than a 415.
const CURLS_OWN: &str = "application/x-www-form-urlencoded";
/// Kinesis's own (Kinesis API reference, "Making requests"). API Gateway wants constants in single quotes.
const KINESIS_JSON: &str = "'application/x-amz-json-1.1'";
const VALIDATOR: &str = "all";

const PUT_RECORD: &str = include_str!("../../../templates/api/put_record.vtl");
const PUT_RECORDS: &str = include_str!("../../../templates/api/put_records.vtl");
const LIST_STREAMS: &str = include_str!("../../../templates/api/list_streams.vtl");
const STREAM_NAME: &str = include_str!("../../../templates/api/stream_name.vtl");
const CREATE_STREAM: &str = include_str!("../../../templates/api/create_stream.vtl");
const REFUSED: &str = include_str!("../../../templates/api/refused.vtl");
const FAILED: &str = include_str!("../../../templates/api/failed.vtl");

const LIST: &str = "ListStreams";

/// The variable of the stage that holds the gateway's address.
pub(super) const HOST_VARIABLE: &str = "gateway";
/// The variable of the stage that holds what the gateway asks for.
pub(super) const SECRET_VARIABLE: &str = "gateway_secret";

/// Whether callers may list streams. Kinesis lists those of the whole account, which is nothing for the whole world.
pub(super) fn may_list(api: &Api) -> bool {
    *api.auth.get() != ApiAuth::None
}

/// One method: where it is, the action of Kinesis that it calls, and how.
struct Call {
    path: &'static str,
    verb: &'static str,
    action: &'static str,
    template: &'static str,
    /// The model of its body.
    model: Option<&'static str>,
    /// Parameters of the query that it knows.
    query: &'static [&'static str],
    /// Only for `admin: true`.
    admin: bool,
}

const CALLS: &[Call] = &[
    Call {
        path: "/streams",
        verb: "GET",
        action: LIST,
        template: LIST_STREAMS,
        model: None,
        query: &["ExclusiveStartStreamName", "Limit"],
        admin: false,
    },
    Call {
        path: "/streams/{stream-name}",
        verb: "GET",
        action: "DescribeStream",
        template: STREAM_NAME,
        model: None,
        query: &[],
        admin: false,
    },
    Call {
        path: "/streams/{stream-name}",
        verb: "POST",
        action: "CreateStream",
        template: CREATE_STREAM,
        model: None,
        query: &[],
        admin: true,
    },
    Call {
        path: "/streams/{stream-name}",
        verb: "DELETE",
        action: "DeleteStream",
        template: STREAM_NAME,
        model: None,
        query: &[],
        admin: true,
    },
    Call {
        path: "/streams/{stream-name}/record",
        verb: "PUT",
        action: "PutRecord",
        template: PUT_RECORD,
        model: Some("Record"),
        query: &[],
        admin: false,
    },
    Call {
        path: "/streams/{stream-name}/records",
        verb: "PUT",
        action: "PutRecords",
        template: PUT_RECORDS,
        model: Some("Records"),
        query: &[],
        admin: false,
    },
];

/// The document of an API whose integrations with Kinesis act as `role`.
pub(super) fn document(stack: &Stack, place: &Place, api: &Api, role: &Input<String>) -> Document {
    let mut document = Document::default();
    if stack.streams.is_some() {
        let allowed = |call: &&Call| (!call.admin || *api.admin.get()) && (call.action != LIST || may_list(api));
        for call in CALLS.iter().filter(allowed) {
            let method = method(call, place, *api.auth.get(), role);
            document.paths.entry(call.path.to_owned()).or_default().insert(call.verb.to_owned(), method);
        }
        document.validators.insert(VALIDATOR.to_owned(), Validator { body: true, parameters: true });
        document.models.insert("Record".to_owned(), record_model());
        document.models.insert("Records".to_owned(), records_model());
    }
    if let Some(gateway) = stack.workers.as_ref().and_then(|workers| workers.gateway.as_ref()) {
        let forwarded = forwarded(*gateway.port.get(), *api.auth.get());
        document.paths.insert("/{proxy+}".to_owned(), BTreeMap::from([("ANY".to_owned(), forwarded)]));
    }
    document
}

/// Everything else: to the gateway, by its address in a variable of the stage. A variable holds the secret, too, so that the
/// document has none.
fn forwarded(port: u32, auth: ApiAuth) -> Method {
    let mapped = [
        ("integration.request.path.proxy", "method.request.path.proxy".to_owned()),
        ("integration.request.header.x-pinfra-gateway", format!("stageVariables.{SECRET_VARIABLE}")),
    ];
    Method {
        authorization: if auth == ApiAuth::Iam { Authorization::Iam } else { Authorization::None },
        api_key_required: auth == ApiAuth::Key,
        parameters: BTreeMap::from([("method.request.path.proxy".to_owned(), true)]),
        integration: Integration {
            kind: "HTTP_PROXY".to_owned(),
            uri: Some(format!("http://${{stageVariables.{HOST_VARIABLE}}}:{port}/{{proxy}}")),
            http_method: Some("ANY".to_owned()),
            parameters: mapped.map(|(name, source)| (name.to_owned(), source)).into(),
            passthrough: "WHEN_NO_MATCH".to_owned(),
            timeout_millis: TIMEOUT_MILLIS,
            ..Integration::default()
        },
        ..Method::default()
    }
}

fn method(call: &Call, place: &Place, auth: ApiAuth, role: &Input<String>) -> Method {
    let mut parameters = BTreeMap::new();
    if call.path.contains("{stream-name}") {
        parameters.insert("method.request.path.stream-name".to_owned(), true);
    }
    parameters.extend(call.query.iter().map(|name| (format!("method.request.querystring.{name}"), false)));
    Method {
        authorization: if auth == ApiAuth::Iam { Authorization::Iam } else { Authorization::None },
        api_key_required: auth == ApiAuth::Key,
        validator: Some(VALIDATOR.to_owned()),
        parameters,
        models: call.model.into_iter().flat_map(by_content_type).collect(),
        responses: ["200", "400", "500"].map(|status| (status.to_owned(), Response::default())).into(),
        integration: integration(call, place, role),
    }
}

fn integration(call: &Call, place: &Place, role: &Input<String>) -> Integration {
    let answered = |pattern: Option<&str>, template: Option<&str>| IntegrationResponse {
        selection_pattern: pattern.map(str::to_owned),
        templates: template.map(|template| (JSON.to_owned(), template.to_owned())).into_iter().collect(),
        ..IntegrationResponse::default()
    };
    Integration {
        kind: "AWS".to_owned(),
        uri: Some(service_action(&place.region, "kinesis", call.action)),
        http_method: Some("POST".to_owned()),
        credentials: Some(role.clone()),
        parameters: BTreeMap::from([("integration.request.header.Content-Type".to_owned(), KINESIS_JSON.to_owned())]),
        templates: by_content_type(call.template).into(),
        // What has no template is refused with 415: Kinesis could not read it.
        passthrough: "WHEN_NO_TEMPLATES".to_owned(),
        content_handling: None,
        timeout_millis: TIMEOUT_MILLIS,
        responses: BTreeMap::from([
            ("200".to_owned(), answered(None, None)),
            ("400".to_owned(), answered(Some("4\\d{2}"), Some(REFUSED))),
            ("500".to_owned(), answered(Some("5\\d{2}"), Some(FAILED))),
        ]),
    }
}

/// The same for every content type that a request may have.
fn by_content_type(text: &str) -> [(String, String); 2] {
    [JSON, CURLS_OWN].map(|content_type| (content_type.to_owned(), text.to_owned()))
}

/// `Data` may be anything: what cannot be cleaned is rejected later, with its reason, where it can be looked at.
fn record_model() -> Value {
    json!({
        "type": "object",
        "required": ["Data", "PartitionKey"],
        "properties": {"PartitionKey": partition_key()},
    })
}

/// At most 500 records a call (Kinesis API reference, `PutRecords`).
fn records_model() -> Value {
    json!({
        "type": "object",
        "required": ["records"],
        "properties": {
            "records": {
                "type": "array",
                "minItems": 1,
                "maxItems": 500,
                "items": {
                    "type": "object",
                    "required": ["data", "partition-key"],
                    "properties": {"partition-key": partition_key()},
                },
            },
        },
    })
}

/// 1 to 256 characters (Kinesis API reference, `PutRecord`).
fn partition_key() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 256})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(section: &str) -> Document {
        let text = format!("name: pins\ntables: {{ pin: {{ key: index }} }}\nstreams: {{}}\napi: {section}\n");
        let stack =
            crate::spec::parse(std::path::Path::new("stack.yaml"), text, &|_| None, crate::spec::Checks::File).unwrap();
        let place = Place { target: "local".into(), region: "us-east-1".into(), account: "000000000000".into() };
        let role = Input::Known("arn:aws:iam::000000000000:role/pins-api".to_owned());
        document(&stack, &place, stack.api.as_ref().unwrap(), &role)
    }

    #[test]
    fn the_document_of_an_api() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&documents("{}")).unwrap());
    }

    #[test]
    fn streams_are_made_and_deleted_by_an_api_only_when_asked_for() {
        let verbs = |section: &str| -> Vec<String> {
            documents(section).paths["/streams/{stream-name}"].keys().cloned().collect()
        };
        assert_eq!(verbs("{}"), ["GET"]);
        assert_eq!(verbs("{ admin: true }"), ["DELETE", "GET", "POST"]);
    }

    #[test]
    fn who_may_call() {
        let who = |section: &str| {
            let document = documents(section);
            let methods = document.paths.values().flat_map(BTreeMap::values);
            let mut found: Vec<(Authorization, bool)> =
                methods.map(|method| (method.authorization, method.api_key_required)).collect();
            found.dedup();
            found
        };
        assert_eq!(who("{}"), [(Authorization::None, true)]);
        assert_eq!(who("{ auth: iam }"), [(Authorization::Iam, false)]);
        assert_eq!(who("{ auth: none }"), [(Authorization::None, false)]);
    }
}
