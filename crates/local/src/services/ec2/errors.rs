//! Refusals in EC2's words ("Error codes for the Amazon EC2 API", EC2 API reference).

use crate::wire::error::ApiError;

pub(super) fn invalid_value(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

pub(super) fn combination(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterCombination", message)
}

pub(super) fn missing(parameter: &str) -> ApiError {
    ApiError::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
}

/// Something the local cloud does not do: it is named, never accepted in silence.
pub(super) fn unsupported(what: &str) -> ApiError {
    ApiError::new("UnsupportedOperation", format!("the local cloud does not have {what}"))
}

pub(super) fn incorrect_state(message: impl Into<String>) -> ApiError {
    ApiError::new("IncorrectInstanceState", message)
}

pub(super) fn dependency(message: impl Into<String>) -> ApiError {
    ApiError::new("DependencyViolation", message)
}

/// What a request with `DryRun` is answered with when it would have been carried out.
pub(super) fn dry_run() -> ApiError {
    let message = "Request would have succeeded, but DryRun flag is set.";
    ApiError::new("DryRunOperation", message).with_status(412)
}
