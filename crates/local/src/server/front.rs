//! From a request to an answer: who is asked, who asks, what for, and in which words it is answered.
//!
//! Nobody's body is read before the access key is known, and no service is called before signature and input
//! have been found good. A call runs in a task of its own: once begun it ends, even when the client has hung up.

use std::error::Error;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::counts::{Counter, RequestCounts};
use super::folder::Status;
use super::loopback::{Host, host_of};
use super::s3_signs::{Signs, is_s3};
use super::services::Services;
use super::{StartError, admin};
use crate::clock::Clock;
use crate::credentials::{ACCOUNT, Credentials, Identity};
use crate::services::Call;
use crate::services::s3::operation_of;
use crate::settings::Settings;
use crate::wire::error::ApiError;
use crate::wire::model::{Model, Protocol};
use crate::wire::sigv4::{self, Fault, SigningKeys};
use crate::wire::{answer, auth, catalogue, request as wire_request, validate};

/// The body of an answer: bytes at once, or a stream from S3.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// A client that sends its body slower than this is cut off.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What of a refused request's body is read and thrown away, so that the client gets to read the refusal.
const DRAINED: usize = 1024 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";

/// Everything that requests share.
pub(super) struct Front {
    settings: Settings,
    clock: Clock,
    credentials: Arc<Credentials>,
    signing_keys: SigningKeys,
    services: Services,
    counter: Counter,
    calls: TaskTracker,
    status: Status,
    stop_requested: CancellationToken,
    /// Let go when the last request is done, and not before.
    _lock: File,
}

/// The request is for a service with a model, from somebody whose key is known.
struct Addressed<'a> {
    service: &'static str,
    model: &'static Model,
    claim: sigv4::Claim<'a>,
    identity: Arc<Identity>,
}

/// Why a request gets no answer of a service, and in which protocol to say so.
struct Refused {
    model: Option<&'static Model>,
    error: ApiError,
}

impl Front {
    /// Opens all services.
    pub(super) fn open(settings: Settings, lock: File, port: u16) -> Result<Front, StartError> {
        let clock = Clock::default();
        let credentials = Arc::new(Credentials::open(&settings.data_dir, clock.clone())?);
        let endpoint = format!("http://127.0.0.1:{port}");
        let services = Services::open(&settings, &clock, &credentials, &endpoint)?;
        let status = Status {
            pid: std::process::id(),
            port,
            endpoint,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            token: hex::encode(rand::random::<[u8; 32]>()),
        };
        Ok(Front {
            settings,
            clock,
            credentials,
            signing_keys: SigningKeys::default(),
            services,
            counter: Counter::default(),
            calls: TaskTracker::new(),
            status,
            stop_requested: CancellationToken::new(),
            _lock: lock,
        })
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.status.endpoint
    }

    pub(super) fn counts(&self) -> RequestCounts {
        self.counter.snapshot()
    }

    pub(super) fn stop_requested(&self) -> &CancellationToken {
        &self.stop_requested
    }

    /// Waits for calls whose clients have gone.
    pub(super) async fn finish_calls(&self) {
        self.calls.close();
        self.calls.wait().await;
    }

    /// Answers any request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let host = host_of(request.uri(), request.headers());
        if host == Host::Foreign {
            let message = "the local cloud answers only to the hosts 127.0.0.1, localhost and [::1]";
            let refused = Refused { model: None, error: ApiError::new("AccessDenied", message).with_status(403) };
            return whole(refused.response(&Uuid::new_v4().to_string()));
        }
        // Under `<bucket>.localhost` the same path is an object's.
        if host == Host::Itself && request.uri().path().starts_with("/_pinfra/") {
            return whole(admin::answer(&request, &self.status, &self.counts(), &self.stop_requested));
        }
        if is_s3(&signs_of(&request)) {
            return self.s3(request).await;
        }
        let request_id = Uuid::new_v4().to_string();
        match self.api(request, &request_id).await {
            Ok(response) => whole(response),
            Err(refused) => whole(refused.response(&request_id)),
        }
    }

    async fn s3(&self, request: Request<Incoming>) -> Response<Body> {
        let operation = operation_of(&request);
        self.counter.count("s3", operation.name, operation.mutates);
        let mut response = self.services.s3.handle(request).await;
        // S3 has a name of its own for it; clients that look for the common one find it as well.
        if let Some(request_id) = response.headers().get("x-amz-request-id").cloned() {
            response.headers_mut().insert(answer::REQUEST_ID, request_id);
        }
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    /// A request to a service with an API model.
    async fn api(&self, request: Request<Incoming>, request_id: &str) -> Result<Response<Bytes>, Refused> {
        let (parts, body) = request.into_parts();
        let head = view(&parts, &[]);
        let addressed = match self.address(&head) {
            Ok(addressed) => addressed,
            Err(refused) => {
                drain(body).await;
                return Err(refused);
            }
        };
        let model = addressed.model;
        let refuse = |error: ApiError| Refused { model: Some(model), error };

        let body = read_body(&parts, body, body_limit(addressed.service)).await.map_err(refuse)?;
        let full = view(&parts, &body);
        self.authenticate(&addressed, &full).map_err(|fault| refuse(auth::refusal(&fault, model.protocol)))?;

        let routed = wire_request::route(addressed.service, model, &full).map_err(refuse)?;
        let operation = routed.operation;
        self.counter.count(addressed.service, &operation.name, operation.mutating);
        let input = wire_request::read(model, &routed, &full).map_err(refuse)?;
        validate::validate(model, operation, &input).map_err(refuse)?;

        let call = Call {
            operation: operation.name.clone(),
            region: addressed.claim.region().to_owned(),
            account: ACCOUNT.to_owned(),
            principal: addressed.identity.principal_arn.clone(),
            access_key: addressed.claim.access_key().to_owned(),
            request_id: request_id.to_owned(),
        };
        let output = self.call(addressed.service, call, input).await.map_err(refuse)?;
        answer::success(model, operation, &output, request_id).map_err(|misfit| refuse(ApiError::internal(&misfit)))
    }

    /// Finds out, from the head alone, which service is asked and by whom.
    fn address<'a>(&self, head: &wire_request::Request<'a>) -> Result<Addressed<'a>, Refused> {
        let claim = sigv4::claim(head).map_err(|fault| {
            // Without a scope only the operation can tell in which protocol to refuse.
            let found = head.header("x-amz-target").and_then(catalogue::service_of_target);
            let model = found.or_else(|| catalogue::service("sts")).map(|(_, model)| model);
            let protocol = model.map_or(Protocol::Json("1.1"), |model| model.protocol);
            Refused { model, error: auth::refusal(&fault, protocol) }
        })?;
        let Some((service, model)) = catalogue::service(claim.service()) else {
            // All services that speak query have the envelope of STS.
            let is_form = head.header("content-type").is_some_and(|kind| kind.starts_with(FORM));
            let model = is_form.then(|| catalogue::service("sts")).flatten().map(|(_, model)| model);
            return Err(Refused { model, error: unknown_service(claim.service(), head) });
        };
        let Some(identity) = self.credentials.lookup(claim.access_key()) else {
            return Err(Refused { model: Some(model), error: auth::refusal(&Fault::UnknownKey, model.protocol) });
        };
        Ok(Addressed { service, model, claim, identity })
    }

    fn authenticate(&self, addressed: &Addressed<'_>, request: &wire_request::Request<'_>) -> Result<(), Fault> {
        let Addressed { claim, identity, .. } = addressed;
        // Not the clock of the services: a test may have moved that one, and the client signs with the real time.
        sigv4::verify(claim, request, &identity.secret, &self.signing_keys, OffsetDateTime::now_utc())?;
        if !identity.has_token(claim.security_token.as_deref()) {
            return Err(Fault::InvalidToken);
        }
        if self.credentials.expired(identity) { Err(Fault::ExpiredToken) } else { Ok(()) }
    }

    async fn call(&self, service: &str, call: Call, input: Value) -> Result<Value, ApiError> {
        let Some(target) = self.services.get(service) else {
            return Err(ApiError::unknown_operation(service, &call.operation));
        };
        // A service that panics has failed one request, not the server.
        let running = AssertUnwindSafe(async move { target.call(call, input).await }).catch_unwind();
        let mut running = Box::pin(running.map(|ended| {
            ended.unwrap_or_else(|_| Err(ApiError::new("InternalFailure", "the service panicked").with_status(500)))
        }));
        // Most calls end without waiting for anything, and are spared the way to another task and back.
        if let Poll::Ready(answer) = futures::poll!(&mut running) {
            return answer;
        }
        self.calls.spawn(running).await.unwrap_or_else(|ended| Err(ApiError::internal(&ended)))
    }
}

impl Refused {
    fn response(&self, request_id: &str) -> Response<Bytes> {
        answer::refusal(self.model, &self.error, request_id)
    }
}

/// Names the service and, where the head tells, the operation that was asked of it.
fn unknown_service(service: &str, head: &wire_request::Request<'_>) -> ApiError {
    let operation = head.header("x-amz-target").and_then(|target| target.rsplit('.').next());
    let asked = operation.map_or_else(|| format!("{} {}", head.method, head.path), str::to_owned);
    let message = format!("the local cloud does not have the service {service}, which was asked for {asked}");
    ApiError::new("UnknownOperationException", message)
}

fn signs_of(request: &Request<Incoming>) -> Signs<'_> {
    Signs {
        method: request.method(),
        authorization: request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()),
        query: request.uri().query().unwrap_or_default(),
        content_type: request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        has_target: request.headers().contains_key("x-amz-target"),
    }
}

fn view<'a>(parts: &'a Parts, body: &'a [u8]) -> wire_request::Request<'a> {
    wire_request::Request {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
    }
}

/// Kinesis takes 10 MiB of data in a call, which base64 makes 14; API Gateway takes API definitions of 6 MB.
fn body_limit(service: &str) -> usize {
    const MIB: usize = 1024 * 1024;
    match service {
        "kinesis" => 16 * MIB,
        "apigateway" => 7 * MIB,
        _ => MIB,
    }
}

async fn read_body(parts: &Parts, body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body of the request is larger than {limit} bytes");
        ApiError::new("RequestEntityTooLargeException", message).with_status(413)
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        drain(body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
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

async fn drain(body: Incoming) {
    let mut body = Limited::new(body, DRAINED);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _in_time = tokio::time::timeout(Duration::from_secs(2), all).await;
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}
