//! What serving needs of the rest of the local cloud.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Response};

use crate::credentials::Identity;
use crate::services::apigateway::{Deployed, KeyUse};
use crate::wire::error::ApiError;
use crate::wire::request::Request;

/// The local cloud, as deployed APIs see it.
pub(crate) trait Backend: Send + Sync {
    /// What the stage of that API serves.
    fn deployed(&self, api_id: &str, stage: &str) -> Option<Arc<Deployed>>;

    /// What a key may do at that stage.
    fn key(&self, value: &str, api_id: &str, stage: &str) -> Option<KeyUse>;

    /// Who has signed a request for the service `execute-api`, and may invoke `resource`.
    fn caller(&self, request: &Request<'_>, resource: &str) -> Result<Caller, ApiError>;

    /// Where what runs on an instance is reached: the `host` of an endpoint is one of the instance's addresses, or the
    /// name of one. `None` when it is no instance's.
    fn loopback_of(&self, region: &str, host: &str) -> Option<Ipv4Addr>;

    /// Counts an invocation.
    fn count(&self, operation: &str);

    /// Carries out one call of a service, as the role of an integration. What the service answers, refusals included, is
    /// a response; an error is that the call could not be made at all.
    fn call(&self, call: ServiceCall) -> BoxFuture<'_, Result<Response<Bytes>, ApiError>>;
}

/// The caller of a method with `AWS_IAM`.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) access_key: String,
    pub(crate) identity: Arc<Identity>,
}

/// One call that an integration makes.
#[derive(Debug)]
pub(crate) struct ServiceCall {
    /// The signing name, such as `kinesis`.
    pub(crate) service: String,
    pub(crate) region: String,
    /// Such as `PutRecord`.
    pub(crate) action: String,
    /// The integration's role.
    pub(crate) role_arn: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// That of the call of the API.
    pub(crate) request_id: String,
}
