//! Who may call, how often, and with what: all that is decided before the integration.

use http::HeaderMap;
use serde_json::Value;

use super::ExecuteApi;
use super::exchange::Exchange;
use super::method::{Authorization, Place};
use super::refusal::Refusal;
use crate::credentials::ACCOUNT;
use crate::wire::request::Request;

const API_KEY: &str = "x-api-key";

impl ExecuteApi {
    /// Lets the call in, or says why not. The caller and the key are noted in the exchange.
    pub(super) fn admit(&self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        self.authorize(exchange)?;
        self.check_key(exchange)?;
        if let Some((method, throttle)) = exchange.api.throttle(exchange.method) {
            let deployed = &exchange.api.deployed;
            let bucket = format!("{}/{}/{method}", deployed.api_id, exchange.api.stage);
            if !self.meters.take(&bucket, throttle, self.clock.now_millis()) {
                return Err(Refusal::throttled());
            }
        }
        check_parameters(exchange)?;
        check_body(exchange)
    }

    fn authorize(&self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        match &exchange.method.authorization {
            Authorization::None => Ok(()),
            Authorization::Other(kind) => {
                Err(Refusal::internal(format!("the local cloud does not have the authorization type {kind}")))
            }
            Authorization::Iam => {
                let deployed = &exchange.api.deployed;
                let resource = format!(
                    "arn:aws:execute-api:{}:{ACCOUNT}:{}/{}/{}{}",
                    deployed.region, deployed.api_id, exchange.api.stage, exchange.parts.method, exchange.path
                );
                let request = Request {
                    method: &exchange.parts.method,
                    path: exchange.parts.uri.path(),
                    query: exchange.parts.uri.query().unwrap_or_default(),
                    headers: &exchange.parts.headers,
                    body: &exchange.body,
                };
                let caller = self.backend.caller(&request, &resource);
                exchange.caller = Some(caller.map_err(|error| Refusal::of_caller(&error))?);
                Ok(())
            }
        }
    }

    fn check_key(&self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        if !exchange.method.key_required {
            return Ok(());
        }
        let (api_id, stage) = (&exchange.api.deployed.api_id, &exchange.api.stage);
        let value = text(&exchange.parts.headers, API_KEY).ok_or_else(Refusal::forbidden)?;
        let found = self.backend.key(value, api_id, stage).filter(|found| found.enabled);
        let found = found.ok_or_else(Refusal::forbidden)?;
        let owner = format!("{}/{}", found.plan_id, found.key_id);

        let own = format!("{}/{}", exchange.method.path, exchange.method.verb);
        let of_method = found.method_throttles.get(&own).or_else(|| found.method_throttles.get("*/*"));
        let now = self.clock.now_millis();
        if let Some(throttle) = of_method
            && !self.meters.take(&format!("{owner}/{api_id}/{stage}/{own}"), *throttle, now)
        {
            return Err(Refusal::throttled());
        }
        if let Some(throttle) = found.throttle
            && !self.meters.take(&owner, throttle, now)
        {
            return Err(Refusal::throttled());
        }
        if let Some(quota) = &found.quota
            && !self.meters.take_quota(&owner, quota, self.clock.now())
        {
            return Err(Refusal::quota_exceeded());
        }
        exchange.key = Some((found.key_id, value.to_owned()));
        Ok(())
    }
}

fn check_parameters(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    if !exchange.method.checks.0 {
        return Ok(());
    }
    let is_there = |place: Place, name: &str| match place {
        Place::Header => text(&exchange.parts.headers, name).is_some_and(|value| !value.is_empty()),
        Place::Query => exchange.query.iter().any(|(key, value)| key == name && !value.is_empty()),
        Place::Path => exchange.path_values.iter().any(|one| one.name == name && !one.value.is_empty()),
    };
    let missing: Vec<&str> = exchange
        .method
        .required
        .iter()
        .filter(|(place, name)| !is_there(*place, name))
        .map(|(_, name)| name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Missing required request parameters: [{}]", missing.join(", "))))
}

/// A media type without a model is not checked, as on AWS.
fn check_body(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    if !exchange.method.checks.1 {
        return Ok(());
    }
    let Some(schema) = exchange.method.body_models.get(&exchange.media_type()) else { return Ok(()) };
    let schema = schema.as_ref().map_err(|problem| Refusal::internal(problem.clone()))?;
    let value: Option<Value> = serde_json::from_slice(&exchange.body).ok();
    match value {
        Some(value) if schema.accepts(&value) => Ok(()),
        _ => Err(Refusal::bad_request("Invalid request body")),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
