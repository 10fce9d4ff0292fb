//! What is sent to an integration: payload, headers, query and address, out of the request and the definition.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::exchange::Exchange;
use super::mapping::Source;
use super::method::{ContentHandling, Integration, Kind, Passthrough, Place};
use super::refusal::Refusal;
use super::vtl::RenderError;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same with the slash, for `{proxy+}`.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The payload of the integration: rendered, passed through, or refused for its media type.
pub(super) fn payload(exchange: &Exchange<'_>, integration: &Integration) -> Result<Bytes, Refusal> {
    if integration.kind == Kind::HttpProxy {
        return Ok(exchange.body.clone());
    }
    let media_type = exchange.media_type();
    let is_binary = exchange.api.is_binary(&media_type);
    let (body, is_binary) = convert(&exchange.body, is_binary, integration.content_handling)?;
    let template = integration.templates.iter().find(|(of, _)| *of == media_type);
    let Some((_, template)) = template else {
        return match integration.passthrough {
            Passthrough::Never => Err(Refusal::unsupported_media_type()),
            Passthrough::WhenNoTemplates if !integration.templates.is_empty() => Err(Refusal::unsupported_media_type()),
            _ => Ok(body),
        };
    };
    if is_binary {
        return Err(Refusal::internal(
            "a mapping template cannot be used on a binary payload; CONVERT_TO_TEXT makes it text",
        ));
    }
    let template = template.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?;
    let text = String::from_utf8_lossy(&body);
    match template.render(&exchange.environment(&text)) {
        Ok(rendered) => Ok(rendered.into()),
        Err(error @ RenderError::Body(_)) => Err(Refusal::bad_request(error.to_string())),
        Err(error) => Err(Refusal::internal(format!("the mapping template of {media_type}: {error}"))),
    }
}

/// The payload after content handling, and whether it is bytes then.
pub(super) fn convert(
    body: &Bytes,
    is_binary: bool,
    handling: Option<ContentHandling>,
) -> Result<(Bytes, bool), Refusal> {
    match handling {
        Some(ContentHandling::ToText) if is_binary => Ok((STANDARD.encode(body).into(), false)),
        Some(ContentHandling::ToBinary) if !is_binary => match STANDARD.decode(body) {
            Ok(bytes) => Ok((bytes.into(), true)),
            Err(_) => Err(Refusal::internal("the payload is to become binary and is not base64")),
        },
        _ => Ok((body.clone(), is_binary)),
    }
}

/// The headers that are mapped, and those that a template has overridden.
pub(super) fn headers(exchange: &Exchange<'_>, integration: &Integration) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (place, name, source) in &integration.parameters {
        if *place == Place::Header {
            let name = header_name(name)?;
            for value in source.values(exchange, None) {
                headers.append(name.clone(), header_value(&value)?);
            }
        }
    }
    for (name, value) in exchange.overridden("requestOverride")["header"].as_object().into_iter().flat_map(Map::iter) {
        headers.insert(header_name(name)?, header_value(&text_of(value))?);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

/// The address of an HTTP integration: stage variables and path variables put in, the query at its end.
pub(super) fn uri(exchange: &Exchange<'_>, integration: &Integration) -> Result<Uri, Refusal> {
    let mut text = with_stage_variables(&integration.uri, exchange)?;
    let overrides = exchange.overridden("requestOverride");
    for (place, name, source) in &integration.parameters {
        if *place != Place::Path {
            continue;
        }
        let encoded = match source {
            // As it was sent: an escaped slash stays one.
            Source::RequestPath(parameter) => {
                exchange.path_values.iter().find(|one| one.name == *parameter).map(|one| one.raw.clone())
            }
            source => source.values(exchange, None).into_iter().next().map(|value| encode_path(&value)),
        };
        let encoded = overrides["path"][name.as_str()].as_str().map(encode_path).or(encoded).unwrap_or_default();
        text = text.replace(&format!("{{{name}}}"), &encoded);
    }
    let mut query: Vec<String> = Vec::new();
    let mut add = |name: &str, value: &str| {
        query.push(format!("{}={}", utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED)));
    };
    if integration.kind == Kind::HttpProxy {
        exchange.query.iter().for_each(|(name, value)| add(name, value));
    }
    for (place, name, source) in &integration.parameters {
        if *place == Place::Query {
            source.values(exchange, None).iter().for_each(|value| add(name, value));
        }
    }
    for (name, value) in overrides["querystring"].as_object().into_iter().flat_map(Map::iter) {
        add(name, &text_of(value));
    }
    if !query.is_empty() {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(&query.join("&"));
    }
    let uri: Uri = text.parse().map_err(|_| Refusal::internal("the endpoint's URI cannot be read"))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    if is_http { Ok(uri) } else { Err(Refusal::internal("the endpoint's URI is not one of http or https")) }
}

/// Puts `${stageVariables.name}` in.
pub(super) fn with_stage_variables(text: &str, exchange: &Exchange<'_>) -> Result<String, Refusal> {
    const OPEN: &str = "${stageVariables.";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) =
            after.split_once('}').ok_or_else(|| Refusal::internal("`${stageVariables.` without its `}`"))?;
        let value = exchange.api.variables.get(name);
        let value = value.ok_or_else(|| Refusal::internal(format!("there is no stage variable `{name}`")))?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, Refusal> {
    HeaderName::try_from(name).map_err(|_| Refusal::internal(format!("`{name}` is not a header's name")))
}

pub(super) fn header_value(value: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Refusal::internal("a mapped value cannot be a header's"))
}

fn encode_path(value: &str) -> String {
    utf8_percent_encode(value, RESERVED_IN_PATH).to_string()
}

pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
