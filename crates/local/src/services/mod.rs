//! One module a service: a request, the service's own store and the clock make a response.
//!
//! A service sees a request that `wire` has already authenticated, parsed and checked against the API model.
//! Values are JSON shaped by the model: members under their model names, blobs as base64 text, timestamps as
//! seconds since the epoch. What is true only for the service (states, conflicts, limits) is decided here.

pub mod apigateway;
pub mod ec2;
pub mod iam;
pub mod kafka;
pub mod kafkaconnect;
pub mod kinesis;
mod pages;
pub mod s3;
pub mod ssm;
pub mod sts;
pub mod tagging;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::wire::error::ApiError;

/// Who asks, for what and where.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `CreateStream`.
    pub operation: String,
    /// The region of the request's signature.
    pub region: String,
    /// The twelve-digit account.
    pub account: String,
    /// ARN of the caller, such as `arn:aws:iam::000000000000:user/local`.
    pub principal: String,
    /// The access key that signed the request.
    pub access_key: String,
    /// Unique; also returned to the caller in a header.
    pub request_id: String,
    /// Why what this call makes will fail by and by; a rule of [`faults`](crate::faults) says so. Only creates that such rules
    /// may name look at it.
    pub fails: Option<String>,
}

/// A resource with its tags, as the Resource Groups Tagging API lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedResource {
    /// The resource.
    pub arn: String,
    /// Key and value pairs.
    pub tags: Vec<(String, String)>,
}

/// One AWS service of the local cloud.
pub trait Service: Send + Sync {
    /// Answers one request. An operation that is not there is `ApiError::unknown_operation`.
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>>;

    /// The ARNs that a call is about, where only the service itself can tell: by an iterator, or by a name that is not
    /// the whole ARN. `None` leaves it to what the input says.
    fn resources(&self, _call: &Call, _input: &Value) -> Option<Vec<String>> {
        None
    }

    /// Everything in this service and region that carries tags (none by default).
    fn tagged(&self, _region: &str) -> Vec<TaggedResource> {
        Vec::new()
    }
}
