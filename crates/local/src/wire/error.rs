//! An error as an AWS service answers it.

use serde_json::{Map, Value};

/// What a service refuses with. The protocol, not the service, decides how it looks on the wire; the HTTP status
/// comes from the API model's error shape, or is 400 where the model has none, unless `status` is set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The code clients match on, such as `ResourceInUseException`.
    pub code: String,
    /// For people.
    pub message: String,
    /// Overrides the status of the model.
    pub status: Option<u16>,
    /// Further members of the error shape; boxed, because a `Result` is as large as its error.
    pub fields: Box<Map<String, Value>>,
}

impl ApiError {
    /// An error with its code and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> ApiError {
        ApiError { code: code.into(), message: message.into(), status: None, fields: Box::default() }
    }

    /// The same with an HTTP status of its own.
    pub fn with_status(mut self, status: u16) -> ApiError {
        self.status = Some(status);
        self
    }

    /// What an operation that the local cloud does not have answers: it is named, never silently accepted.
    pub fn unknown_operation(service: &str, operation: &str) -> ApiError {
        let message = format!("the local cloud does not have the operation {operation} of {service}");
        ApiError::new("UnknownOperationException", message)
    }

    /// Something broke in the local cloud itself.
    pub fn internal(error: &dyn std::error::Error) -> ApiError {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        ApiError::new("InternalFailure", message).with_status(500)
    }
}

impl From<crate::store::StoreError> for ApiError {
    fn from(error: crate::store::StoreError) -> ApiError {
        ApiError::internal(&error)
    }
}
