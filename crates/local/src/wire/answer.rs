//! Answers and refusals as bytes, in the protocol of the service.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::error::ApiError;
use super::json::{self, Misfit};
use super::model::{Kind, Location, Model, Operation, Protocol, Structure, TimestampFormat};
use super::{scalar, xml};

/// On every answer of every service.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What a service answered.
pub(crate) fn success(
    model: &Model,
    operation: &Operation,
    output: &Value,
    request_id: &str,
) -> Result<Response<Bytes>, Misfit> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(operation.status).unwrap_or(StatusCode::OK);
    put(&mut response, REQUEST_ID, request_id);
    put(&mut response, CONTENT_TYPE, content_type(model.protocol));
    match model.protocol {
        Protocol::Json(_) => {
            // Nothing to say is an empty body, as Kinesis answers `CreateStream`.
            if let Some(shape) = operation.output {
                let mut body = Vec::with_capacity(256);
                json::write(model, shape, output, &mut body)?;
                *response.body_mut() = body.into();
            }
        }
        Protocol::RestJson => rest_success(model, operation, output, &mut response)?,
        Protocol::Query => *response.body_mut() = query_body(model, operation, output, request_id)?.into(),
        Protocol::Ec2 => *response.body_mut() = ec2_body(model, operation, output, request_id)?.into(),
    }
    Ok(response)
}

fn rest_success(
    model: &Model,
    operation: &Operation,
    output: &Value,
    response: &mut Response<Bytes>,
) -> Result<(), Misfit> {
    let Some((shape, structure)) = operation.output.and_then(|shape| Some((shape, model.structure(shape)?))) else {
        if operation.status != 204 {
            *response.body_mut() = Bytes::from_static(b"{}");
        }
        return Ok(());
    };
    let payload = structure.payload.map(|index| &structure.members[index]);
    match payload {
        None => {
            let mut body = Vec::with_capacity(256);
            json::write(model, shape, output, &mut body)?;
            *response.body_mut() = body.into();
        }
        Some(payload) => {
            let value = output.get(&payload.name).unwrap_or(&Value::Null);
            *response.body_mut() = match (&model.shape(payload.shape).kind, value) {
                (_, Value::Null) => Bytes::new(),
                (Kind::Blob, Value::String(text)) => {
                    STANDARD.decode(text).map_err(|_| Misfit::new(&payload.name, "is not base64"))?.into()
                }
                (Kind::String, Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
                _ => {
                    let mut body = Vec::new();
                    json::write(model, payload.shape, value, &mut body)?;
                    body.into()
                }
            };
        }
    }
    for member in &structure.members {
        match (member.location, output.get(&member.name)) {
            (Location::Header, Some(value)) if !value.is_null() => {
                let text = header_text(model, member.shape, value);
                let name = HeaderName::try_from(member.wire_name.as_str());
                let name = name.map_err(|_| Misfit::new(&member.wire_name, "is not a header name"))?;
                put(response, name, &text);
            }
            (Location::StatusCode, Some(value)) => {
                let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                *response.status_mut() = status.ok_or_else(|| Misfit::new(&member.name, "is not a status"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn header_text(model: &Model, shape: usize, value: &Value) -> String {
    match (&model.shape(shape).kind, value) {
        (_, Value::String(text)) => text.clone(),
        (Kind::Timestamp(format), Value::Number(number)) => {
            let format = format.unwrap_or(TimestampFormat::HttpDate);
            number.as_f64().and_then(|seconds| scalar::format_time(seconds, format)).unwrap_or_default()
        }
        _ => value.to_string(),
    }
}

fn query_body(model: &Model, operation: &Operation, output: &Value, request_id: &str) -> Result<String, Misfit> {
    let name = format!("{}Response", operation.name);
    let mut body = format!("<{name} xmlns=\"{}\">", model.xml_namespace);
    if let Some(shape) = operation.output {
        let wrapper = operation.result_wrapper.clone().unwrap_or_else(|| format!("{}Result", operation.name));
        xml::open(&wrapper, &mut body);
        xml::members(model, shape, output, &mut body)?;
        xml::close(&wrapper, &mut body);
    }
    body.push_str("<ResponseMetadata>");
    xml::element("RequestId", request_id, &mut body);
    body.push_str("</ResponseMetadata>");
    xml::close(&name, &mut body);
    Ok(body)
}

fn ec2_body(model: &Model, operation: &Operation, output: &Value, request_id: &str) -> Result<String, Misfit> {
    let name = format!("{}Response", operation.name);
    let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} xmlns=\"{}\">", model.xml_namespace);
    xml::element("requestId", request_id, &mut body);
    match operation.output {
        Some(shape) => xml::members(model, shape, output, &mut body)?,
        // EC2's way of saying nothing.
        None => xml::element("return", "true", &mut body),
    }
    xml::close(&name, &mut body);
    Ok(body)
}

/// What a service, or this layer, refused with. Without a model (a service that is not here) it is JSON.
pub(crate) fn refusal(model: Option<&Model>, error: &ApiError, request_id: &str) -> Response<Bytes> {
    let protocol = model.map_or(Protocol::Json("1.1"), |model| model.protocol);
    let modelled = model.and_then(|model| model.error(&error.code));
    let code = modelled.and_then(|(_, about)| about.code.as_ref()).filter(|_| is_xml(protocol)).unwrap_or(&error.code);
    let status = error
        .status
        .or_else(|| modelled.and_then(|(_, about)| about.status))
        .unwrap_or_else(|| if modelled.is_some_and(|(_, about)| about.fault) { 500 } else { 400 });

    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    put(&mut response, REQUEST_ID, request_id);
    put(&mut response, CONTENT_TYPE, content_type(protocol));
    let body = match protocol {
        Protocol::Json(_) => json_error(Some(code), modelled.map(|(structure, _)| structure), error),
        Protocol::RestJson => {
            put(&mut response, ERROR_TYPE, code);
            for (name, text) in error_headers(modelled.map(|(structure, _)| structure), error) {
                put(&mut response, name, text);
            }
            json_error(None, modelled.map(|(structure, _)| structure), error)
        }
        Protocol::Query => query_error(model, code, status, error, request_id),
        Protocol::Ec2 => {
            let mut body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>".to_owned();
            xml::element("Code", code, &mut body);
            xml::element("Message", &error.message, &mut body);
            body.push_str("</Error></Errors>");
            xml::element("RequestID", request_id, &mut body);
            body.push_str("</Response>");
            body.into_bytes()
        }
    };
    *response.body_mut() = body.into();
    response
}

/// The members of an error that its model has in headers, such as `Retry-After`.
fn error_headers<'a>(structure: Option<&Structure>, error: &'a ApiError) -> Vec<(HeaderName, &'a str)> {
    let member_of = |name: &str| structure?.member(name).filter(|member| member.location == Location::Header);
    let fields = error.fields.iter();
    let header = |(name, value): (&String, &'a Value)| {
        Some((HeaderName::try_from(member_of(name)?.wire_name.as_str()).ok()?, value.as_str()?))
    };
    fields.filter_map(header).collect()
}

fn is_xml(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Query | Protocol::Ec2)
}

fn json_error(code: Option<&str>, structure: Option<&Structure>, error: &ApiError) -> Vec<u8> {
    // Most exceptions call it `message`, some `Message`; clients look for what their model says.
    let members = structure.map(|structure| structure.members.as_slice()).unwrap_or_default();
    let message = members.iter().find(|member| member.name.eq_ignore_ascii_case("message"));
    let mut body = Vec::with_capacity(128);
    let mut separator = b'{';
    let mut entry = |name: &str, value: &Value| {
        body.push(separator);
        separator = b',';
        json::write_text(name, &mut body);
        body.push(b':');
        body.extend_from_slice(value.to_string().as_bytes());
    };
    if let Some(code) = code {
        entry("__type", &Value::from(code));
    }
    entry(message.map_or("message", |member| &member.wire_name), &Value::from(error.message.as_str()));
    for (name, value) in error.fields.iter() {
        let member = members.iter().find(|member| member.name == *name);
        if member.is_some_and(|member| member.location == Location::Header) {
            continue;
        }
        entry(member.map_or(name.as_str(), |member| &member.wire_name), value);
    }
    body.push(b'}');
    body
}

fn query_error(model: Option<&Model>, code: &str, status: u16, error: &ApiError, request_id: &str) -> Vec<u8> {
    let namespace = model.map(|model| model.xml_namespace.as_str()).unwrap_or_default();
    let mut body = format!("<ErrorResponse xmlns=\"{namespace}\"><Error>");
    xml::element("Type", if status < 500 { "Sender" } else { "Receiver" }, &mut body);
    xml::element("Code", code, &mut body);
    xml::element("Message", &error.message, &mut body);
    body.push_str("</Error>");
    xml::element("RequestId", request_id, &mut body);
    body.push_str("</ErrorResponse>");
    body.into_bytes()
}

fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json("1.0") => "application/x-amz-json-1.0",
        Protocol::Json(_) => "application/x-amz-json-1.1",
        Protocol::RestJson => "application/json",
        Protocol::Query => "text/xml",
        Protocol::Ec2 => "text/xml;charset=UTF-8",
    }
}

fn put(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    // A value that is no header (a line break in a service's text) is left out rather than sent broken.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
