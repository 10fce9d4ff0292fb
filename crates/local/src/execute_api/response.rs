//! From an integration's answer to the response of the method: which integration response it is, its payload, its headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Map;

use super::exchange::{Exchange, media_type};
use super::method::{ContentHandling, Integration, IntegrationResponse, Kind};
use super::refusal::Refusal;
use super::request::{header_name, header_value, text_of};

/// What an integration answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Makes the response of the method.
pub(super) fn respond(
    exchange: &Exchange<'_>,
    integration: &Integration,
    answer: &Answer,
) -> Result<Response<Bytes>, Refusal> {
    let chosen = choose(integration, answer.status)?;
    let declared = exchange.method.responses.get(&chosen.status).ok_or_else(|| {
        Refusal::internal(format!(
            "the output mapping refers to a method response that is not declared: {}",
            chosen.status
        ))
    })?;
    let text = String::from_utf8_lossy(&answer.body);
    let template = template(exchange, chosen);
    let (body, content_type) = match template {
        Some((media_type, template)) => {
            let template = template.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?;
            let rendered = template.render(&exchange.environment(&text));
            let rendered = rendered
                .map_err(|error| Refusal::internal(format!("the response template of {media_type}: {error}")))?;
            (Bytes::from(rendered), Some(media_type.clone()))
        }
        None => (passed_through(exchange, integration, chosen, answer)?, None),
    };
    let mut headers = HeaderMap::new();
    let content_type =
        content_type.or_else(|| declared.media_type.clone()).unwrap_or_else(|| "application/json".to_owned());
    headers.insert(CONTENT_TYPE, header_value(&content_type)?);
    for (name, source) in &chosen.headers {
        if !declared.headers.contains(name) {
            continue;
        }
        let source = source.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?;
        let name = header_name(name)?;
        for (at, value) in source.values(exchange, Some((&answer.headers, &text))).iter().enumerate() {
            if at == 0 {
                headers.insert(name.clone(), header_value(value)?);
            } else {
                headers.append(name.clone(), header_value(value)?);
            }
        }
    }
    let overrides = exchange.overridden("responseOverride");
    for (name, value) in overrides["header"].as_object().into_iter().flat_map(Map::iter) {
        headers.insert(header_name(name)?, header_value(&text_of(value))?);
    }
    let status = overrides.get("status").map_or_else(|| chosen.status.clone(), text_of);
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status =
        status.ok_or_else(|| Refusal::internal("the status of the response is not a number from 100 to 999"))?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The first whose pattern the whole status matches, else the one without a pattern.
fn choose(integration: &Integration, status: u16) -> Result<&IntegrationResponse, Refusal> {
    let status = status.to_string();
    for response in &integration.responses {
        let Some(pattern) = &response.pattern else { continue };
        if pattern.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?.is_match(&status) {
            return Ok(response);
        }
    }
    integration.responses.iter().find(|response| response.pattern.is_none()).ok_or_else(|| {
        Refusal::internal(format!(
            "no match for output mapping and no default output mapping configured; the endpoint's status was {status}"
        ))
    })
}

/// The template for what the caller accepts, else the one for JSON, else the first.
fn template<'r>(
    exchange: &Exchange<'_>,
    response: &'r IntegrationResponse,
) -> Option<&'r (String, super::method::Readable<super::vtl::Template>)> {
    let accepted = accepted(exchange);
    let of = |media_type: &str| response.templates.iter().find(|(of, _)| of == media_type);
    accepted.as_deref().and_then(of).or_else(|| of("application/json")).or_else(|| response.templates.first())
}

/// The first media type of `Accept`, which is the one that API Gateway looks at.
fn accepted(exchange: &Exchange<'_>) -> Option<String> {
    let accept = exchange.parts.headers.get(ACCEPT)?.to_str().ok()?;
    let first = accept.split([',', ';']).next()?.trim();
    (!first.is_empty()).then(|| first.to_ascii_lowercase())
}

fn passed_through(
    exchange: &Exchange<'_>,
    integration: &Integration,
    response: &IntegrationResponse,
    answer: &Answer,
) -> Result<Bytes, Refusal> {
    if integration.kind == Kind::Mock {
        return Ok(Bytes::new());
    }
    match response.content_handling {
        Some(ContentHandling::ToText) if media_type(&answer.headers).is_some_and(|of| exchange.api.is_binary(&of)) => {
            Ok(STANDARD.encode(&answer.body).into())
        }
        Some(ContentHandling::ToBinary) if accepted(exchange).is_some_and(|of| exchange.api.is_binary(&of)) => {
            let bytes = STANDARD.decode(&answer.body);
            Ok(bytes.map_err(|_| Refusal::internal("the response is to become binary and is not base64"))?.into())
        }
        _ => Ok(answer.body.clone()),
    }
}

/// Headers that are between two neighbours only (RFC 9110 §7.6.1), and those that are made anew.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// Headers that API Gateway passes on under another name ("Important notes", API Gateway developer guide).
const REMAPPED: [(&str, &str); 2] = [("date", "x-amzn-remapped-date"), ("server", "x-amzn-remapped-server")];

/// The response of a proxy integration: what came, but for what belongs to the connection.
pub(super) fn proxied(answer: Answer) -> Result<Response<Bytes>, Refusal> {
    let status = StatusCode::from_u16(answer.status);
    let mut response = Response::new(answer.body);
    *response.status_mut() = status.map_err(|_| Refusal::internal("the endpoint's status is none"))?;
    for (name, value) in end_to_end(&answer.headers) {
        let remapped = REMAPPED.iter().find(|(from, _)| name == *from);
        let name = remapped.map_or_else(|| name.clone(), |(_, to)| http::HeaderName::from_static(to));
        response.headers_mut().append(name, value.clone());
    }
    if !response.headers().contains_key(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

/// The headers that travel on, without those that `Connection` names.
pub(super) fn end_to_end(headers: &HeaderMap) -> impl Iterator<Item = (&http::HeaderName, &HeaderValue)> {
    let named: Vec<String> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    headers
        .iter()
        .filter(move |(name, _)| !HOP_BY_HOP.contains(&name.as_str()) && !named.iter().any(|one| one == name.as_str()))
}
