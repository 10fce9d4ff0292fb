//! The refusals of API Gateway, in its own words.

use crate::wire::error::ApiError;

pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new("BadRequestException", message)
}

pub(super) fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("ConflictException", message)
}

pub(super) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("NotFoundException", message)
}

pub(super) fn limit(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceededException", message)
}

pub(super) fn no_api(id: &str) -> ApiError {
    not_found(format!("Invalid API identifier specified {}:{id}", crate::credentials::ACCOUNT))
}

pub(super) fn no_resource() -> ApiError {
    not_found("Invalid Resource identifier specified")
}

pub(super) fn no_method() -> ApiError {
    not_found("Invalid Method identifier specified")
}

pub(super) fn no_integration() -> ApiError {
    not_found("Invalid Integration identifier specified")
}

pub(super) fn no_response() -> ApiError {
    not_found("Invalid Response status code specified")
}

pub(super) fn no_deployment() -> ApiError {
    not_found("Invalid Deployment identifier specified")
}

pub(super) fn no_stage() -> ApiError {
    not_found("Invalid stage identifier specified")
}

pub(super) fn no_key() -> ApiError {
    not_found("Invalid API Key identifier specified")
}

pub(super) fn no_plan() -> ApiError {
    not_found("Invalid Usage Plan ID specified")
}
