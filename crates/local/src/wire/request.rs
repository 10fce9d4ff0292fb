//! Which operation a request is, and its input as the service sees it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::form::{self, Form};
use super::model::{Kind, Location, Member, Model, Operation, Protocol, TimestampFormat};
use super::path::Labels;
use super::{json, scalar};

/// A request with its whole body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    /// As sent, nothing decoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The operation of a request, with what was read on the way to it.
#[derive(Debug)]
pub(crate) struct Routed<'m> {
    pub(crate) operation: &'m Operation,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Body,
    Path { labels: Labels, query: Vec<(String, String)> },
    Form(Form),
}

/// Finds the operation.
pub(crate) fn route<'m>(service: &str, model: &'m Model, request: &Request<'_>) -> Result<Routed<'m>, ApiError> {
    match model.protocol {
        Protocol::Json(version) => {
            let operation = json_operation(service, model, request)?;
            check_json_content(service, version, request)?;
            Ok(Routed { operation, parts: Parts::Body })
        }
        Protocol::RestJson => rest_operation(service, model, request),
        Protocol::Query | Protocol::Ec2 => {
            let mut pairs = form::pairs(request.query.as_bytes());
            if request.method == Method::POST {
                pairs.extend(form::pairs(request.body));
            }
            let form = Form::new(&pairs);
            let Some(action) = form.get("Action") else {
                let message = "The request must contain the parameter Action";
                return Err(ApiError::new("MissingAction", message));
            };
            let operation = model.operation(action).ok_or_else(|| ApiError::unknown_operation(service, action))?;
            Ok(Routed { operation, parts: Parts::Form(form) })
        }
    }
}

fn json_operation<'m>(service: &str, model: &'m Model, request: &Request<'_>) -> Result<&'m Operation, ApiError> {
    let target = request.header("x-amz-target").unwrap_or_default();
    if target.is_empty() {
        let message =
            format!("a request to {service} names its operation in the header X-Amz-Target, and this has none");
        return Err(ApiError::new("UnknownOperationException", message));
    }
    let (prefix, name) = target.rsplit_once('.').unwrap_or_default();
    let operation = model.operation(name).filter(|_| prefix == model.target_prefix);
    operation.ok_or_else(|| ApiError::unknown_operation(service, if name.is_empty() { target } else { name }))
}

/// SDKs of some languages can speak CBOR to Kinesis; all of them can be told to speak JSON.
fn check_json_content(service: &str, version: &str, request: &Request<'_>) -> Result<(), ApiError> {
    let Some(content_type) = request.header("content-type") else { return Ok(()) };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if ["application/x-amz-json-1.1", "application/x-amz-json-1.0", "application/json"].contains(&essence) {
        return Ok(());
    }
    let message = format!(
        "the local cloud reads application/x-amz-json-{version} for {service}, and this request is {content_type}"
    );
    Err(ApiError::new("UnsupportedMediaTypeException", message).with_status(415))
}

fn rest_operation<'m>(service: &str, model: &'m Model, request: &Request<'_>) -> Result<Routed<'m>, ApiError> {
    let query = form::pairs(request.query.as_bytes());
    let fitting = model.operations.iter().filter(|operation| operation.method == request.method.as_str());
    let matched = fitting.filter_map(|operation| Some((operation, operation.path.matches(request.path, &query)?)));
    match matched.max_by_key(|(operation, _)| operation.path.literals()) {
        Some((operation, labels)) => Ok(Routed { operation, parts: Parts::Path { labels, query } }),
        None => Err(ApiError::unknown_operation(service, &format!("{} {}", request.method, request.path))),
    }
}

/// Reads the input of the operation. It has the right types; [`super::validate`] judges the values.
pub(crate) fn read(model: &Model, routed: &Routed<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let Some(input) = routed.operation.input else { return Ok(Value::Object(Map::new())) };
    match &routed.parts {
        Parts::Body => json::read(model, input, request.body),
        Parts::Form(form) => {
            if model.protocol == Protocol::Ec2 {
                refuse_unknown_parameters(model, routed.operation, form)?;
            }
            form::read(model, input, form)
        }
        Parts::Path { labels, query } => rest_input(model, routed.operation, labels, query, request),
    }
}

/// EC2 is strict about the names of parameters, other services ignore what they do not know.
fn refuse_unknown_parameters(model: &Model, operation: &Operation, form: &Form) -> Result<(), ApiError> {
    let Some(structure) = operation.input.and_then(|input| model.structure(input)) else { return Ok(()) };
    let known = |key: &str| {
        key == "Action"
            || key == "Version"
            || key.starts_with("X-Amz-")
            || structure.members.iter().any(|member| member.form_name == key)
    };
    match form.keys().find(|key| !known(key)) {
        Some(key) => Err(ApiError::new("UnknownParameter", format!("The parameter {key} is not recognized"))),
        None => Ok(()),
    }
}

fn rest_input(
    model: &Model,
    operation: &Operation,
    labels: &Labels,
    query: &[(String, String)],
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let Some((input, structure)) = operation.input.and_then(|input| Some((input, model.structure(input)?))) else {
        return Ok(Value::Object(Map::new()));
    };
    let body = match structure.payload.map(|index| &structure.members[index]) {
        None => json::read(model, input, request.body).map_err(as_bad_request)?,
        Some(payload) => {
            let mut object = Map::new();
            if let Some(value) = read_payload(model, payload, request.body)? {
                object.insert(payload.name.clone(), value);
            }
            Value::Object(object)
        }
    };
    let Value::Object(mut object) = body else {
        return Err(ApiError::new("BadRequestException", "the body of the request is not a JSON object"));
    };
    for member in &structure.members {
        let value = match member.location {
            Location::Body | Location::StatusCode => continue,
            Location::Uri => {
                let label = labels.iter().find(|(name, _)| *name == member.wire_name);
                label.map(|(_, text)| scalar_of(model, member, text, TimestampFormat::Iso8601)).transpose()?
            }
            Location::Header => {
                let text = request.header(&member.wire_name);
                text.map(|text| scalar_of(model, member, text, TimestampFormat::HttpDate)).transpose()?
            }
            Location::Headers => prefixed_headers(member, request.headers),
            Location::Query => query_value(model, structure.members.as_slice(), member, query)?,
        };
        if let Some(value) = value {
            object.insert(member.name.clone(), value);
        }
    }
    Ok(Value::Object(object))
}

fn as_bad_request(error: ApiError) -> ApiError {
    ApiError { code: "BadRequestException".to_owned(), ..error }
}

fn read_payload(model: &Model, payload: &Member, body: &[u8]) -> Result<Option<Value>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    match &model.shape(payload.shape).kind {
        Kind::Blob => Ok(Some(Value::String(STANDARD.encode(body)))),
        Kind::String => Ok(Some(Value::String(String::from_utf8_lossy(body).into_owned()))),
        _ => json::read(model, payload.shape, body).map(Some).map_err(as_bad_request),
    }
}

fn scalar_of(model: &Model, member: &Member, text: &str, timestamp: TimestampFormat) -> Result<Value, ApiError> {
    scalar::parse_text(model.shape(member.shape), text, timestamp).map_err(|expected| {
        let message = format!("the parameter `{}` must be {expected}, and `{text}` is not", member.wire_name);
        ApiError::new("BadRequestException", message)
    })
}

fn prefixed_headers(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let prefix = member.wire_name.to_ascii_lowercase();
    let found = headers.iter().filter_map(|(name, value)| {
        let key = name.as_str().strip_prefix(&prefix)?;
        Some((key.to_owned(), Value::from(value.to_str().ok()?)))
    });
    let found: Map<String, Value> = found.collect();
    (!found.is_empty()).then_some(Value::Object(found))
}

fn query_value(
    model: &Model,
    members: &[Member],
    member: &Member,
    query: &[(String, String)],
) -> Result<Option<Value>, ApiError> {
    let mut values = query.iter().filter(|(key, _)| *key == member.wire_name).map(|(_, value)| value.as_str());
    match &model.shape(member.shape).kind {
        Kind::List { member: item, .. } => {
            let shape = model.shape(*item);
            let items = values.map(|text| scalar::parse_text(shape, text, TimestampFormat::Iso8601));
            let items: Vec<Value> = items.collect::<Result<_, _>>().map_err(|expected| {
                let message = format!("the parameter `{}` must be {expected}", member.wire_name);
                ApiError::new("BadRequestException", message)
            })?;
            Ok((!items.is_empty()).then_some(Value::Array(items)))
        }
        // A map takes every key that is not another member's.
        Kind::Map { .. } => {
            let taken = |key: &str| {
                members.iter().any(|other| {
                    other.location == Location::Query && other.name != member.name && other.wire_name == key
                })
            };
            let rest = query.iter().filter(|(key, _)| !taken(key) && !key.starts_with("X-Amz-"));
            let rest: Map<String, Value> =
                rest.map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
            Ok((!rest.is_empty()).then_some(Value::Object(rest)))
        }
        _ => values.next().map(|text| scalar_of(model, member, text, TimestampFormat::Iso8601)).transpose(),
    }
}
