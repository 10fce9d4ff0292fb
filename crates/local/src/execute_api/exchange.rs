//! One call on its way through an API: the request, where it was routed, and what templates see of it.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::request::Parts;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::backend::Caller;
use super::compiled::Compiled;
use super::method::Method;
use super::route::PathValues;
use super::vtl::Environment;
use crate::credentials::ACCOUNT;

/// What is known of a call once its method is found.
pub(super) struct Exchange<'a> {
    pub(super) api: &'a Compiled,
    pub(super) method: &'a Method,
    pub(super) parts: &'a Parts,
    pub(super) path_values: PathValues,
    /// Decoded, in order.
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) request_id: &'a str,
    pub(super) extended_request_id: &'a str,
    /// The path below the stage, as sent.
    pub(super) path: &'a str,
    pub(super) received: OffsetDateTime,
    pub(super) caller: Option<Caller>,
    /// The id of the API key and its value.
    pub(super) key: Option<(String, String)>,
    /// What templates have set below `$context`.
    pub(super) overrides: Mutex<Value>,
}

impl<'a> Exchange<'a> {
    /// The media type of the request, which is JSON when it says nothing.
    pub(super) fn media_type(&self) -> String {
        media_type(&self.parts.headers).unwrap_or_else(|| "application/json".to_owned())
    }

    /// The body as text; what is not UTF-8 in it is replaced.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// What a template sees whose payload is `body`.
    pub(super) fn environment<'e>(&'e self, body: &'e str) -> View<'e, 'a> {
        View { exchange: self, body }
    }

    /// What templates have set of `$context.requestOverride` or `$context.responseOverride`.
    pub(super) fn overridden(&self, what: &str) -> Value {
        self.overrides.lock().unwrap_or_else(PoisonError::into_inner)[what].clone()
    }

    /// `$context` ("API Gateway mapping template reference", API Gateway developer guide).
    pub(super) fn context(&self) -> Value {
        let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let host = self.parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let deployed = &self.api.deployed;
        let mut context = json!({
            "accountId": ACCOUNT,
            "apiId": deployed.api_id,
            "deploymentId": deployed.stage["deploymentId"],
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "extendedRequestId": self.extended_request_id,
            "httpMethod": self.parts.method.as_str(),
            "identity": self.identity(),
            "path": format!("/{}{}", self.api.stage, self.path),
            "protocol": "HTTP/1.1",
            "requestId": self.request_id,
            "requestTime": self.received.format(format).unwrap_or_default(),
            "requestTimeEpoch": i64::try_from(self.received.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
            "resourceId": self.method.resource_id,
            "resourcePath": self.method.path,
            "stage": self.api.stage,
        });
        let overrides = self.overrides.lock().unwrap_or_else(PoisonError::into_inner);
        merge(&mut context, &overrides);
        context
    }

    fn identity(&self) -> Value {
        let agent = self.parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let mut identity = json!({"sourceIp": "127.0.0.1", "userAgent": agent});
        if let Some(caller) = &self.caller {
            identity["accessKey"] = json!(caller.access_key);
            identity["accountId"] = json!(ACCOUNT);
            identity["caller"] = json!(caller.identity.user_id);
            identity["user"] = json!(caller.identity.user_id);
            identity["userArn"] = json!(caller.identity.principal_arn);
        }
        if let Some((id, value)) = &self.key {
            identity["apiKeyId"] = json!(id);
            identity["apiKey"] = json!(value);
        }
        identity
    }
}

/// The media type of a `Content-Type`, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

/// A payload with the rest of the call around it.
pub(super) struct View<'e, 'a> {
    exchange: &'e Exchange<'a>,
    body: &'e str,
}

impl Environment for View<'_, '_> {
    fn body(&self) -> &str {
        self.body
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let exchange = self.exchange;
        if let Some(one) = exchange.path_values.iter().find(|one| one.name == name) {
            return Some(one.value.clone());
        }
        if let Some((_, value)) = exchange.query.iter().rev().find(|(key, _)| key == name) {
            return Some(value.clone());
        }
        let value = exchange.parts.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    fn parameters(&self) -> Value {
        let exchange = self.exchange;
        let path = exchange.path_values.iter().map(|one| (one.name.clone(), json!(one.value)));
        let query = exchange.query.iter().map(|(key, value)| (key.clone(), json!(value)));
        let headers = exchange.parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
        json!({
            "path": path.collect::<Map<_, _>>(),
            "querystring": query.collect::<Map<_, _>>(),
            "header": headers.collect::<Map<_, _>>(),
        })
    }

    fn context(&self) -> Value {
        self.exchange.context()
    }

    fn set_context(&self, path: &[String], value: Value) {
        let mut overrides = self.exchange.overrides.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = &mut *overrides;
        for name in path {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[name.as_str()];
        }
        *place = value;
    }

    fn stage_variables(&self) -> Value {
        json!(self.exchange.api.variables)
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}
