//! The one place that reads AWS's error codes.
//!
//! What each class means for a request is in [`crate::retries`], and for a step in `execute` of the engine.

mod codes;
mod hints;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pinfra_engine::call::parked;
use pinfra_engine::{CloudError, ErrorKind};

pub(crate) use codes::kind_of;
use hints::hint_for;

use crate::meter::NotSent;

/// What a failed SDK call means. `operation` is such as `kinesis:CreateStream`.
pub fn classify<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message());
            let status = service.raw().status().as_u16();
            let headers = service.raw().headers();
            let request_id = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];
            let request_id = request_id.iter().find_map(|name| headers.get(*name)).map(str::to_owned);
            let kind = kind_of(code.unwrap_or_default(), message.unwrap_or_default(), status);
            let mut found = CloudError::new(kind, operation, message.unwrap_or_default());
            found.code = Some(code.map_or_else(|| format!("HTTP {status}"), str::to_owned));
            found.request_id = request_id;
            found.hint = match found.message.contains("24 hour") {
                true => Some("wait until the 24 hours are over, or ask for what is there now".to_owned()),
                false => hint_for(kind, operation, found.code.as_deref().unwrap_or_default()),
            };
            found
        }
        SdkError::DispatchFailure(failure) => {
            if is_held_back(failure) {
                return parked(operation);
            }
            let text = chain(error);
            // What these clients may not send was not sent, and would not be at the next try.
            if failure.is_user() {
                return CloudError::new(ErrorKind::Permission, operation, text);
            }
            let kind = if failure.is_io() || failure.is_timeout() || text.contains("dns error") {
                ErrorKind::Unreachable
            } else if text.contains("credential") || text.contains("identity") {
                ErrorKind::Credentials
            } else {
                ErrorKind::Unreachable
            };
            let hint = match kind {
                ErrorKind::Credentials => hint_for(kind, operation, ""),
                _ => Some("check the network, the region, and AWS_ENDPOINT_URL if it is set".to_owned()),
            };
            CloudError { hint, ..CloudError::new(kind, operation, text) }
        }
        SdkError::TimeoutError(_) => CloudError::new(ErrorKind::Unreachable, operation, chain(error)),
        // What came back is cut off, or no answer of this API: a proxy's, or half of one.
        SdkError::ResponseError(_) => CloudError::new(ErrorKind::Transient, operation, chain(error)),
        _ => CloudError::new(ErrorKind::Other, operation, chain(error)),
    }
}

/// What a call answered, or `None` where it says that the object is not there.
pub(crate) fn unless_gone<T>(answer: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An answer without what the API always returns.
pub(crate) fn incomplete(operation: &str, what: &str) -> CloudError {
    CloudError::new(ErrorKind::Other, operation, format!("the answer has no {what}"))
}

/// An object that the cloud has named, and does not show: it is too new, or was deleted.
pub(crate) fn unseen(operation: &str, what: &str) -> CloudError {
    CloudError::new(ErrorKind::NotFound, operation, format!("{what} is not to be seen, though AWS has named it"))
}

/// Nobody listens at an endpoint that was set by hand.
pub(crate) fn unreachable_endpoint(url: &str, why: &str) -> CloudError {
    CloudError::new(ErrorKind::Unreachable, format!("connecting to {url}"), why.to_owned())
        .with_hint("start what should listen there, or unset AWS_ENDPOINT_URL (and AWS_ENDPOINT_URL_<SERVICE>)")
}

/// Whether the meter held the request back until the run of its step was to end.
fn is_held_back(failure: &DispatchFailure) -> bool {
    let source = failure.as_connector_error().and_then(std::error::Error::source);
    source.is_some_and(|source| source.is::<NotSent>())
}

/// The error and its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}
