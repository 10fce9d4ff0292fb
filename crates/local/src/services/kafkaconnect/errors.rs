//! Refusals of MSK Connect.

use crate::wire::error::ApiError;

pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new("BadRequestException", message)
}

/// A parameter that cannot be; `why` is a sentence.
pub(super) fn invalid(parameter: &str, why: impl std::fmt::Display) -> ApiError {
    bad_request(format!("Invalid parameter {parameter}: {why}"))
}

pub(super) fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("ConflictException", message)
}

pub(super) fn not_found(what: &str, arn: &str) -> ApiError {
    ApiError::new("NotFoundException", format!("The {what} '{arn}' could not be found."))
}
