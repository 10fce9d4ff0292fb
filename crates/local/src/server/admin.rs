//! `/_pinfra/…`: the face for the tool. Whoever can read `server.json` has the token that opens it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::counts::RequestCounts;
use super::folder::Status;

/// Answers a request below `/_pinfra/`.
pub(super) fn answer(
    request: &Request<Incoming>,
    status: &Status,
    counts: &RequestCounts,
    stop: &CancellationToken,
) -> Response<Bytes> {
    if !has_token(request.headers(), &status.token) {
        let message = "the bearer token of `server.json` in the data folder is needed";
        return respond(StatusCode::UNAUTHORIZED, &json!({ "message": message }));
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/_pinfra/status") => respond(StatusCode::OK, &status_of(status, counts)),
        // {service: {operation: n}}
        (&Method::GET, "/_pinfra/requests") => respond(StatusCode::OK, &json!(counts.by_operation)),
        (&Method::POST, "/_pinfra/stop") => {
            stop.cancel();
            respond(StatusCode::ACCEPTED, &json!({"message": "the local cloud stops"}))
        }
        (method, path) => {
            let message = format!("there is no `{method} {path}` in the local cloud");
            respond(StatusCode::NOT_FOUND, &json!({ "message": message }))
        }
    }
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| value.strip_prefix(b"Bearer "));
    bearer.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}

/// All of `server.json` but its token.
fn status_of(status: &Status, counts: &RequestCounts) -> Value {
    json!({
        "pid": status.pid,
        "port": status.port,
        "endpoint": status.endpoint,
        "version": status.version,
        "started_at": status.started_at,
        "requests": counts.total,
        "mutating_requests": counts.mutating,
    })
}

fn respond(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
