//! `/_pinfra/…`: the face for the tool. Whoever can read `server.json` has the token that opens it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::counts::RequestCounts;
use super::folder::Status;

/// What is asked of the admin face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Status,
    Requests,
    Stop,
}

/// Reads the request, or answers why it is none.
pub(super) fn ask(method: &Method, path: &str, headers: &HeaderMap, token: &str) -> Result<Ask, Response<Bytes>> {
    let bearer = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| value.strip_prefix(b"Bearer "));
    if !bearer.is_some_and(|given| given.ct_eq(token.as_bytes()).into()) {
        let message = "the bearer token of `server.json` in the data folder is needed";
        return Err(answer(StatusCode::UNAUTHORIZED, &json!({ "message": message })));
    }
    match (method, path) {
        (&Method::GET, "/_pinfra/status") => Ok(Ask::Status),
        (&Method::GET, "/_pinfra/requests") => Ok(Ask::Requests),
        (&Method::POST, "/_pinfra/stop") => Ok(Ask::Stop),
        _ => {
            let message = format!("there is no `{method} {path}` in the local cloud");
            Err(answer(StatusCode::NOT_FOUND, &json!({ "message": message })))
        }
    }
}

pub(super) fn status(status: &Status, counts: &RequestCounts) -> Response<Bytes> {
    let body = json!({
        "pid": status.pid,
        "port": status.port,
        "endpoint": status.endpoint,
        "version": status.version,
        "started_at": status.started_at,
        "requests": counts.total,
        "mutating_requests": counts.mutating,
    });
    answer(StatusCode::OK, &body)
}

/// `{service: {operation: n}}`.
pub(super) fn requests(counts: &RequestCounts) -> Response<Bytes> {
    answer(StatusCode::OK, &json!(counts.by_operation))
}

pub(super) fn stopping() -> Response<Bytes> {
    answer(StatusCode::ACCEPTED, &json!({"message": "the local cloud stops"}))
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
