//! Refusals in AWS's words. Codes are the names of the API model's exceptions, which the wire shortens as AWS does.

use super::policy::Malformed;
use crate::wire::error::ApiError;

pub(super) fn no_such_entity(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntityException", message)
}

pub(super) fn no_role(name: &str) -> ApiError {
    no_such_entity(format!("The role with name {name} cannot be found."))
}

pub(super) fn no_profile(name: &str) -> ApiError {
    no_such_entity(format!("Instance Profile {name} cannot be found."))
}

pub(super) fn no_policy(arn: &str) -> ApiError {
    no_such_entity(format!("Policy {arn} was not found."))
}

pub(super) fn already_exists(message: impl Into<String>) -> ApiError {
    ApiError::new("EntityAlreadyExistsException", message)
}

pub(super) fn delete_conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("DeleteConflictException", message)
}

pub(super) fn limit(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceededException", message)
}

pub(super) fn malformed(error: &Malformed) -> ApiError {
    ApiError::new("MalformedPolicyDocumentException", error.to_string())
}

pub(super) fn invalid_input(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidInputException", message)
}

pub(super) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

pub(super) fn access_denied(message: impl Into<String>) -> ApiError {
    ApiError::new("AccessDenied", message).with_status(403)
}
