//! Bodies of requests: how long they may be, and how those are got rid of that nobody wants.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::wire::error::ApiError;

/// A client that sends its body slower than this is cut off.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What of a refused request's body is read and thrown away, so that the client gets to read the refusal.
const DRAINED: usize = 1024 * 1024;

/// Kinesis takes 10 MiB of data in a call, which base64 makes 14; API Gateway takes API definitions of 6 MB.
pub(super) fn limit(service: &str) -> usize {
    const MIB: usize = 1024 * 1024;
    match service {
        "kinesis" => 16 * MIB,
        "apigateway" => 7 * MIB,
        _ => MIB,
    }
}

/// Reads a body whole; refuses one that is longer than the limit, or slow.
pub(super) async fn read(parts: &Parts, body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body of the request is larger than {limit} bytes");
        ApiError::new("RequestEntityTooLargeException", message).with_status(413)
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        drain(body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let message = format!("the body of the request did not arrive: {error}");
            Err(ApiError::new("IncompleteBody", message))
        }
        Err(_) => {
            let message = "the body of the request did not arrive in time";
            Err(ApiError::new("RequestTimeout", message).with_status(408))
        }
    }
}

/// Reads a body to its end, however long it is: an SDK that cannot send all of it does not look for the answer.
pub(super) async fn discard(mut body: Incoming) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _in_time = tokio::time::timeout(TIMEOUT, all).await;
}

/// Reads some of a body that nobody wants.
pub(super) async fn drain(body: Incoming) {
    let mut body = Limited::new(body, DRAINED);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _in_time = tokio::time::timeout(Duration::from_secs(2), all).await;
}
