//! Deployed REST APIs, served: the data plane of API Gateway.
//!
//! `address` tells which requests are calls of an API, `compiled` has each stage as it is served, `route` finds the
//! method. Then, in the order of AWS: who calls (`AWS_IAM`, API key), how often (`throttle`), is the request valid
//! (`schema`), what is sent to the integration (`request`, `vtl`, `mapping`), the call itself, and what its answer
//! becomes (`response`). What API Gateway answers itself is in `refusal`. The rest of the local cloud is a `backend`.

mod address;
mod admission;
pub(crate) mod backend;
mod compiled;
mod exchange;
mod http_call;
mod integrate;
mod log;
mod mapping;
mod method;
mod refusal;
mod request;
mod response;
mod route;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
mod throttle;
pub(crate) mod vtl;

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method as Verb, Response};
use serde_json::Value;
use uuid::Uuid;

use address::Address;
pub(crate) use address::address;
use backend::Backend;
use compiled::{Cache, Compiled};
use exchange::Exchange;
use log::FailureLog;
use refusal::Refusal;
use throttle::Meters;

use crate::clock::Clock;
use crate::wire::answer::REQUEST_ID;
use crate::wire::form;

/// Payloads end here; a longer body need not be read.
pub(crate) const MAX_BODY: usize = refusal::MAX_BODY;

const EXTENDED_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-apigw-id");

/// Why there is no whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    TooLarge,
    TooSlow,
    Broken,
}

/// Serves all deployed APIs of one local cloud.
pub(crate) struct ExecuteApi {
    backend: Arc<dyn Backend>,
    clock: Clock,
    cache: Cache,
    meters: Meters,
    http: Result<reqwest::Client, String>,
    failures: FailureLog,
}

impl ExecuteApi {
    pub(crate) fn new(data_dir: &Path, clock: Clock, backend: Arc<dyn Backend>) -> ExecuteApi {
        ExecuteApi {
            backend,
            clock,
            cache: Cache::default(),
            meters: Meters::default(),
            http: http_call::client(),
            failures: FailureLog::new(data_dir),
        }
    }

    /// Answers the call of an API; [`address`] has found that it is one.
    pub(crate) async fn answer(&self, parts: &Parts, body: Result<Bytes, BodyFault>) -> Response<Bytes> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let address = address(host, parts.uri.path()).unwrap_or(Address { api_id: "", stage: "", path: "" });
        let request_id = Uuid::new_v4();
        let extended = STANDARD.encode(&request_id.as_bytes()[..11]);
        let request_id = request_id.to_string();
        let answered = Box::pin(self.invoke(address, parts, body, &request_id, &extended)).await;
        let mut response = answered.unwrap_or_else(|refusal| {
            if let Some(reason) = &refusal.reason {
                let what = format!("{} {}/{}", parts.method, address.api_id, address.stage);
                self.failures.note(&request_id, &what, reason);
            }
            refusal.response()
        });
        for (name, value) in [(REQUEST_ID, &request_id), (EXTENDED_REQUEST_ID, &extended)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        }
        if parts.method == Verb::HEAD {
            *response.body_mut() = Bytes::new();
        }
        response
    }

    async fn invoke(
        &self,
        address: Address<'_>,
        parts: &Parts,
        body: Result<Bytes, BodyFault>,
        request_id: &str,
        extended_request_id: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        let Some(deployed) = self.backend.deployed(address.api_id, address.stage) else {
            return Err(Refusal::missing_token());
        };
        if deployed.rest_api["disableExecuteApiEndpoint"] == true {
            return Err(Refusal::forbidden());
        }
        let api: Arc<Compiled> = self.cache.get(&deployed, address.stage);
        self.backend.count(&format!("{}/{}", address.api_id, address.stage));
        let found = api.routes.find(parts.method.as_str(), address.path);
        let (method, path_values) = found.ok_or_else(Refusal::missing_token)?;
        let body = body.map_err(|fault| match fault {
            BodyFault::TooLarge => Refusal::too_large(),
            BodyFault::TooSlow => Refusal::body_timeout(),
            BodyFault::Broken => Refusal::bad_request("Bad Request"),
        })?;
        let mut exchange = Exchange {
            api: &api,
            method: &method,
            parts,
            path_values,
            query: form::pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            body,
            request_id,
            extended_request_id,
            path: address.path,
            received: self.clock.now(),
            caller: None,
            key: None,
            overrides: Mutex::new(Value::Null),
        };
        self.admit(&mut exchange)?;
        self.integrate(&exchange).await
    }
}
