//! HTTP and HTTP_PROXY integrations: the call of an endpoint.

use std::error::Error;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};

use super::backend::Backend;
use super::exchange::Exchange;
use super::method::{Integration, Kind};
use super::refusal::{MAX_BODY, Refusal};
use super::request::{self, header_value};
use super::response::{Answer, end_to_end};

/// Clients that keep their connections; redirects are the caller's to follow.
pub(super) fn client() -> Result<reqwest::Client, String> {
    // The first one who sets it wins, and all in this program set the same.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.build().map_err(|error| format!("no HTTP client can be made: {error}"))
}

/// Calls the endpoint. One that runs on an instance of the local cloud is called where that listens in truth.
pub(super) async fn call(
    client: &reqwest::Client,
    backend: &dyn Backend,
    exchange: &Exchange<'_>,
    integration: &Integration,
    payload: Bytes,
) -> Result<Answer, Refusal> {
    let uri = request::uri(exchange, integration)?;
    let method = match &integration.verb {
        Some(verb) => Method::from_bytes(verb.as_bytes()).map_err(|_| Refusal::internal("the HTTP method is none"))?,
        None => exchange.parts.method.clone(),
    };
    let mut headers = match integration.kind {
        Kind::HttpProxy => forwarded(exchange)?,
        _ => HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, header_value(&format!("AmazonAPIGateway_{}", exchange.api.deployed.api_id))?),
        ]),
    };
    for (name, value) in &request::headers(exchange, integration)? {
        // A proxied request keeps its own media type.
        let is_default = name == http::header::CONTENT_TYPE && integration.kind == Kind::HttpProxy;
        if !is_default || !headers.contains_key(name) && !payload.is_empty() {
            headers.insert(name.clone(), value.clone());
        }
    }
    let (uri, named) = reached(uri, backend, &exchange.api.deployed.region)?;
    if let Some(named) = named {
        headers.insert(HOST, header_value(&named)?);
    }
    let sent =
        client.request(method, uri.to_string()).headers(headers).body(payload).timeout(integration.timeout).send();
    let response = sent.await.map_err(|error| failed(&error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = limited(response).await?;
    Ok(Answer { status, headers, body })
}

/// The URI to be called, and what to send as its host where that is not the URI's own.
fn reached(uri: Uri, backend: &dyn Backend, region: &str) -> Result<(Uri, Option<String>), Refusal> {
    let Some(loopback) = uri.host().and_then(|host| backend.loopback_of(region, host)) else { return Ok((uri, None)) };
    let named = uri.authority().map(ToString::to_string);
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let mut parts = uri.into_parts();
    let authority = Authority::try_from(format!("{loopback}{port}"));
    parts.authority = Some(authority.map_err(|_| Refusal::internal("the endpoint's URI has no host"))?);
    let uri = Uri::from_parts(parts).map_err(|_| Refusal::internal("the endpoint's URI cannot be read"))?;
    Ok((uri, named))
}

async fn limited(mut response: reqwest::Response) -> Result<Bytes, Refusal> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Refusal::internal(format!("the endpoint's answer is larger than {MAX_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// The caller's headers and what a proxy adds to them.
fn forwarded(exchange: &Exchange<'_>) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in end_to_end(&exchange.parts.headers) {
        // The endpoint has a host of its own.
        if name != HOST {
            headers.append(name.clone(), value.clone());
        }
    }
    let host = exchange.parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    let before = exchange.parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let hops = before.map_or_else(|| "127.0.0.1".to_owned(), |before| format!("{before}, 127.0.0.1"));
    for (name, value) in [
        ("x-forwarded-for", hops.as_str()),
        ("x-forwarded-port", port),
        ("x-forwarded-proto", "http"),
        ("x-amzn-apigateway-api-id", &exchange.api.deployed.api_id),
    ] {
        headers.insert(HeaderName::from_static(name), header_value(value)?);
    }
    Ok(headers)
}

/// Addresses may carry secrets in their query, so only the cause is told.
fn failed(error: &reqwest::Error) -> Refusal {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() {
        return Refusal::integration_timeout("the endpoint did not answer within the integration's time-out");
    }
    Refusal::internal(format!("the endpoint cannot be reached, or does not speak HTTP: {cause}"))
}
