//! The call of what a method is connected to.

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::Value;

use super::ExecuteApi;
use super::backend::ServiceCall;
use super::exchange::Exchange;
use super::method::{Integration, Kind};
use super::refusal::Refusal;
use super::response::{Answer, proxied, respond};
use super::{http_call, request};

impl ExecuteApi {
    /// Calls the integration and makes the response of its answer.
    pub(super) async fn integrate(&self, exchange: &Exchange<'_>) -> Result<Response<Bytes>, Refusal> {
        let integration = exchange.method.integration.as_ref();
        let integration = integration.map_err(|problem| Refusal::internal(problem.clone()))?;
        let payload = request::payload(exchange, integration)?;
        let answer = match integration.kind {
            Kind::Mock => mock(&payload)?,
            Kind::Aws => self.call_service(exchange, integration, payload).await?,
            Kind::Http | Kind::HttpProxy => {
                let client = self.http.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?;
                http_call::call(client, &*self.backend, exchange, integration, payload).await?
            }
        };
        if integration.kind == Kind::HttpProxy { proxied(answer) } else { respond(exchange, integration, &answer) }
    }

    async fn call_service(
        &self,
        exchange: &Exchange<'_>,
        integration: &Integration,
        payload: Bytes,
    ) -> Result<Answer, Refusal> {
        let uri = request::with_stage_variables(&integration.uri, exchange)?;
        let (region, service, action) = service_of(&uri).map_err(Refusal::internal)?;
        let role =
            integration.role.as_deref().ok_or_else(|| Refusal::internal("the integration has no credentials"))?;
        let call = ServiceCall {
            service: service.to_owned(),
            region: region.to_owned(),
            action: action.to_owned(),
            role_arn: request::with_stage_variables(role, exchange)?,
            headers: request::headers(exchange, integration)?,
            body: payload,
            request_id: exchange.request_id.to_owned(),
        };
        let called = tokio::time::timeout(integration.timeout, self.backend.call(call)).await;
        let called = called.map_err(|_| {
            Refusal::integration_timeout(format!("{service} did not answer within the integration's time-out"))
        })?;
        let response = called.map_err(|error| Refusal::internal(format!("the call of {service} {action}: {error}")))?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// `arn:aws:apigateway:us-east-1:kinesis:action/PutRecord` as region, service and action.
fn service_of(uri: &str) -> Result<(&str, &str, &str), String> {
    let parts: Vec<&str> = uri.splitn(6, ':').collect();
    let ["arn", _, "apigateway", region, service, path] = parts[..] else {
        return Err("the integration's URI is not the ARN of a service".to_owned());
    };
    // `account.service` calls a service under a host of its own.
    let service = service.rsplit('.').next().unwrap_or(service);
    match path.strip_prefix("action/").map(|action| action.split(['&', '?']).next().unwrap_or_default()) {
        Some(action) if !action.is_empty() => Ok((region, service, action)),
        _ => Err(format!("the local cloud integrates services by action, and `{path}` is none")),
    }
}

/// The template of a mock names the status of its answer.
fn mock(payload: &[u8]) -> Result<Answer, Refusal> {
    let wanted: Option<Value> = serde_json::from_slice(payload).ok();
    let status = wanted.as_ref().map(|wanted| &wanted["statusCode"]);
    let status = status.and_then(|status| status.as_u64().or_else(|| status.as_str()?.parse().ok()));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| {
        Refusal::internal("the request template of a MOCK integration has to make JSON with a `statusCode`")
    })?;
    Ok(Answer { status, headers: HeaderMap::new(), body: Bytes::new() })
}
