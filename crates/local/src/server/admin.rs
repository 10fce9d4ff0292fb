//! `/_pinfra/…`: the face for the tool. Whoever can read `server.json` has the token that opens it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::counts::RequestCounts;
use super::folder::Status;
use crate::faults::{Faults, RuleError};

/// More rules than anybody writes.
const MAX_RULES: usize = 1024 * 1024;

/// What it can look at and change.
pub(super) struct Admin<'a> {
    pub(super) status: &'a Status,
    pub(super) counts: RequestCounts,
    pub(super) stop: &'a CancellationToken,
    pub(super) faults: &'a Faults,
}

impl Admin<'_> {
    /// Answers a request below `/_pinfra/`.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Bytes> {
        if !has_token(request.headers(), &self.status.token) {
            let message = "the bearer token of `server.json` in the data folder is needed";
            return respond(StatusCode::UNAUTHORIZED, &json!({ "message": message }));
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/_pinfra/status") => respond(StatusCode::OK, &self.status_now()),
            // {service: {operation: n}}
            (&Method::GET, "/_pinfra/requests") => respond(StatusCode::OK, &json!(self.counts.by_operation)),
            (&Method::POST, "/_pinfra/stop") => {
                self.stop.cancel();
                respond(StatusCode::ACCEPTED, &json!({"message": "the local cloud stops"}))
            }
            (&Method::GET, "/_pinfra/faults") => respond(StatusCode::OK, &json!({ "rules": self.faults.rules() })),
            (&Method::PUT, "/_pinfra/faults") => self.set_faults(request.into_body()).await,
            (&Method::DELETE, "/_pinfra/faults") => {
                self.faults.clear();
                respond(StatusCode::OK, &json!({ "rules": 0 }))
            }
            (&Method::GET, "/_pinfra/calls") => respond(StatusCode::OK, &json!({ "calls": self.faults.calls() })),
            (&Method::DELETE, "/_pinfra/calls") => {
                self.faults.forget_calls(request.uri().query() == Some("all"));
                respond(StatusCode::OK, &json!({ "calls": [] }))
            }
            (method, path) => {
                let message = format!("there is no `{method} {path}` in the local cloud");
                respond(StatusCode::NOT_FOUND, &json!({ "message": message }))
            }
        }
    }

    /// The rules are the body; each line that is none is told.
    async fn set_faults(&self, body: Incoming) -> Response<Bytes> {
        let refuse = |problems: Vec<Value>| respond(StatusCode::BAD_REQUEST, &json!({ "problems": problems }));
        let whole = match Limited::new(body, MAX_RULES).collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(error) => return refuse(vec![problem(1, 1, &format!("the rules did not arrive: {error}"))]),
        };
        let Ok(text) = std::str::from_utf8(&whole) else {
            return refuse(vec![problem(1, 1, "the rules are not UTF-8 text")]);
        };
        match self.faults.set(text) {
            Ok(count) => respond(StatusCode::OK, &json!({ "rules": count })),
            Err(errors) => {
                let told = |error: &RuleError| problem(error.line, error.column, &error.message);
                refuse(errors.0.iter().map(told).collect())
            }
        }
    }

    /// All of `server.json` but its token.
    fn status_now(&self) -> Value {
        let status = self.status;
        json!({
            "pid": status.pid,
            "port": status.port,
            "endpoint": status.endpoint,
            "version": status.version,
            "started_at": status.started_at,
            "requests": self.counts.total,
            "mutating_requests": self.counts.mutating,
        })
    }
}

fn problem(line: usize, column: usize, message: &str) -> Value {
    json!({ "line": line, "column": column, "message": message })
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| value.strip_prefix(b"Bearer "));
    bearer.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}

fn respond(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
