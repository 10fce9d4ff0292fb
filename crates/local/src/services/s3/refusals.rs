//! Answers that refuse, brought to the shape of AWS: a message, the resource, and the request's id.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use s3s::{Body, S3Error, S3ErrorCode, StdError};

use crate::wire::error::ApiError;

/// What an operation that is not there answers. It is named, never silently accepted.
pub(super) fn unknown_operation(name: &str) -> Response<Body> {
    if name == super::operation::NONE {
        return response(S3ErrorCode::MethodNotAllowed.into());
    }
    let message = format!("the local cloud does not have the operation {name} of S3");
    response(S3Error::with_message(S3ErrorCode::NotImplemented, message))
}

/// An error whose code `s3s` does not know.
pub(super) fn custom(code: &'static str, status: u16, message: &str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.to_owned());
    if let Ok(status) = StatusCode::from_u16(status) {
        error.set_status_code(status);
    }
    error
}

/// An error that somebody asked for. The status is that of the code, where S3 has it and nothing else is said.
pub(super) fn planned(error: &ApiError) -> Response<Body> {
    let code = S3ErrorCode::from_bytes(error.code.as_bytes());
    let code = code.unwrap_or_else(|| S3ErrorCode::Custom(error.code.as_str().into()));
    let status = error.status.and_then(|status| StatusCode::from_u16(status).ok()).or_else(|| code.status_code());
    let mut refusal = S3Error::with_message(code, error.message.clone());
    refusal.set_status_code(status.unwrap_or(StatusCode::BAD_REQUEST));
    response(refusal)
}

/// The code in an answer that refuses; `None` where the answer has no body.
pub(super) fn code_of(answer: &Response<Body>) -> Option<String> {
    let body = answer.body().bytes()?;
    let (_, rest) = std::str::from_utf8(&body).ok()?.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0.to_owned())
}

/// Something broke below the protocol.
pub(super) fn internal(error: StdError) -> Response<Body> {
    response(S3Error::with_source(S3ErrorCode::InternalError, error))
}

fn response(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut bare = Response::new(Body::empty());
        *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        bare
    })
}

/// Puts the request's id on every answer and completes what `s3s` leaves out of errors.
pub(super) fn complete(mut answer: Response<Body>, resource: &str, request_id: &str) -> Response<Body> {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        answer.headers_mut().insert("x-amz-request-id", id.clone());
        answer.headers_mut().insert("x-amz-id-2", id);
    }
    answer.headers_mut().insert(header::SERVER, HeaderValue::from_static("AmazonS3"));
    let status = answer.status();
    if status == StatusCode::NOT_MODIFIED {
        answer.headers_mut().remove(header::CONTENT_TYPE);
        *answer.body_mut() = Body::empty();
        return answer;
    }
    if !status.is_client_error() && !status.is_server_error() {
        return answer;
    }
    let region = answer.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let completed = answer.body().bytes().and_then(|body| completed_error(&body, resource, region, request_id));
    let Some(completed) = completed else {
        return answer;
    };
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    *answer.body_mut() = Body::from(completed);
    answer
}

fn completed_error(body: &[u8], resource: &str, region: &str, request_id: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let (head, tail) = text.split_once("</Code>")?;
    let (_, code) = head.rsplit_once("<Code>")?;
    let message = if tail.contains("<Message>") { "" } else { default_message(code) };
    let message = if message.is_empty() { String::new() } else { format!("<Message>{message}</Message>") };
    let tail = tail.strip_suffix("</Error>")?;
    let resource = quick_xml::escape::escape(resource);
    // SDKs that signed for the wrong region sign again for the one that is named here.
    let region = if region.is_empty() { String::new() } else { format!("<Region>{region}</Region>") };
    let completed = format!(
        "{head}</Code>{message}{tail}{region}<Resource>{resource}</Resource><RequestId>{request_id}</RequestId></Error>"
    );
    Some(Bytes::from(completed))
}

/// The texts of <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> for errors `s3s` makes itself.
fn default_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MissingRequestBodyError" => "Request Body is empty",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        "InternalError" => "We encountered an internal error. Please try again.",
        _ => "The request was refused.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_message_gets_one_with_resource_and_request_id() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>InvalidURI</Code></Error>";
        let completed = completed_error(body, "/lake/a&b", "", "ID").unwrap();
        assert_eq!(
            std::str::from_utf8(&completed).unwrap(),
            "<?xml version=\"1.0\"?><Error><Code>InvalidURI</Code><Message>Couldn't parse the specified URI.</Message>\
             <Resource>/lake/a&amp;b</Resource><RequestId>ID</RequestId></Error>"
        );
    }
}
