//! What API Gateway answers itself: the default gateway responses ("Gateway response types", API Gateway developer guide).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::wire::error::ApiError;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Payloads end at 10 MB ("Quotas", API Gateway developer guide).
pub(super) const MAX_BODY: usize = 10 * 1024 * 1024;

/// A call that gets no answer of its integration.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    error_type: &'static str,
    message: String,
    /// For the log: what the caller is not told. Never a body or a key.
    pub(super) reason: Option<String>,
}

impl Refusal {
    fn new(status: u16, error_type: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, error_type, message: message.into(), reason: None }
    }

    /// No such stage, resource or method; also a call that is to be signed and is not.
    pub(super) fn missing_token() -> Refusal {
        Refusal::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    }

    /// No key, or none that is good here.
    pub(super) fn forbidden() -> Refusal {
        Refusal::new(403, "ForbiddenException", "Forbidden")
    }

    pub(super) fn throttled() -> Refusal {
        Refusal::new(429, "TooManyRequestsException", "Too Many Requests")
    }

    pub(super) fn quota_exceeded() -> Refusal {
        Refusal::new(429, "LimitExceededException", "Limit Exceeded")
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "BadRequestException", message)
    }

    pub(super) fn unsupported_media_type() -> Refusal {
        Refusal::new(415, "UnsupportedMediaTypeException", "Unsupported Media Type")
    }

    pub(super) fn too_large() -> Refusal {
        let message = format!("HTTP content length exceeded {MAX_BODY} bytes.");
        Refusal::new(413, "RequestTooLargeException", message)
    }

    /// The body did not come in time.
    pub(super) fn body_timeout() -> Refusal {
        Refusal::new(408, "RequestTimeoutException", "Request Timeout")
    }

    /// What is wrong with the API, or with what it is connected to, is told to the log alone.
    pub(super) fn internal(reason: impl Into<String>) -> Refusal {
        let mut refusal = Refusal::new(500, "InternalServerErrorException", "Internal server error");
        refusal.reason = Some(reason.into());
        refusal
    }

    pub(super) fn integration_timeout(reason: impl Into<String>) -> Refusal {
        let mut refusal = Refusal::new(504, "InternalServerErrorException", "Endpoint request timed out");
        refusal.reason = Some(reason.into());
        refusal
    }

    /// A signature that is not accepted, or a caller whose policies do not allow the call.
    pub(super) fn of_caller(error: &ApiError) -> Refusal {
        let error_type = match error.code.as_str() {
            "MissingAuthenticationTokenException" => "MissingAuthenticationTokenException",
            "IncompleteSignatureException" => "IncompleteSignatureException",
            "InvalidSignatureException" => "InvalidSignatureException",
            "UnrecognizedClientException" => "UnrecognizedClientException",
            "ExpiredTokenException" => "ExpiredTokenException",
            _ => "AccessDeniedException",
        };
        Refusal::new(403, error_type, error.message.clone())
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(serde_json::json!({ "message": self.message }).to_string()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(self.error_type));
        response
    }
}
