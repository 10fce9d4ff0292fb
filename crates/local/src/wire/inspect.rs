//! What the wire layer makes of a request, without a server: for recorded requests and for measurements.

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use time::OffsetDateTime;

use super::error::ApiError;
use super::model::Protocol;
use super::sigv4::{self, SigningKeys};
use super::{answer, auth, catalogue, request, validate};

/// A request understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    /// Which operation it is.
    pub operation: String,
    /// Its input, in the member names of the API model.
    pub input: Value,
}

/// Reads a request to a service, which is named as in the scope of a signature.
pub fn understand(service: &str, request: &Request<Bytes>) -> Result<Understood, ApiError> {
    let (service, model) = catalogue::service(service).ok_or_else(|| ApiError::unknown_operation(service, "(any)"))?;
    let request = view(request);
    let routed = request::route(service, model, &request)?;
    let input = request::read(model, &routed, &request)?;
    Ok(Understood { operation: routed.operation.name.clone(), input })
}

/// Checks an input against the constraints of the API model.
pub fn check_input(service: &str, understood: &Understood) -> Result<(), ApiError> {
    let unknown = || ApiError::unknown_operation(service, &understood.operation);
    let (_, model) = catalogue::service(service).ok_or_else(unknown)?;
    validate::validate(model, model.operation(&understood.operation).ok_or_else(unknown)?, &understood.input)
}

/// Checks the signature of a request to a service other than S3, as of `now`.
pub fn check_signature(request: &Request<Bytes>, secret: &str, now: OffsetDateTime) -> Result<(), ApiError> {
    let request = view(request);
    let checked =
        sigv4::claim(&request).and_then(|claim| sigv4::verify(&claim, &request, secret, &SigningKeys::default(), now));
    checked.map_err(|fault| auth::refusal(&fault, Protocol::Json("1.1")))
}

/// Writes the answer of an operation; the body alone.
pub fn write_answer(service: &str, operation: &str, output: &Value) -> Result<Bytes, ApiError> {
    let unknown = || ApiError::unknown_operation(service, operation);
    let (_, model) = catalogue::service(service).ok_or_else(unknown)?;
    let operation = model.operation(operation).ok_or_else(unknown)?;
    let response =
        answer::success(model, operation, output, "request-id").map_err(|misfit| ApiError::internal(&misfit))?;
    Ok(response.into_body())
}

fn view(request: &Request<Bytes>) -> request::Request<'_> {
    request::Request {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: request.body(),
    }
}
