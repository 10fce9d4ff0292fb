//! From a request to an answer: who is asked, who asks, what for, and in which words it is answered.
//!
//! Nobody's body is read before the access key is known, and no service is called before signature and input
//! have been found good. A call runs in a task of its own: once begun it ends, even when the client has hung up.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::counts::RequestCounts;
use super::dispatch::{Asked, Dispatch};
use super::folder::Status;
use super::loopback::{Host, host_of};
use super::peer::Peer;
use super::s3_signs::{Signs, access_key, is_s3};
use super::services::Services;
use super::trouble::{Answered, HungUp, Planned, Trouble};
use super::{StartError, admin, body};
use crate::clock::Clock;
use crate::credentials::{Credentials, Identity};
use crate::execute_api::backend::Backend;
use crate::execute_api::{self, BodyFault, ExecuteApi};
use crate::faults::{Called, Faults};
use crate::services::s3::{error_code, operation_of};
use crate::settings::Settings;
use crate::wire::error::ApiError;
use crate::wire::model::{Model, Protocol};
use crate::wire::sigv4::{self, Fault};
use crate::wire::{answer, auth, catalogue, request as wire_request};

/// The body of an answer: bytes at once, or a stream from S3.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

const FORM: &str = "application/x-www-form-urlencoded";

/// Everything that requests share.
pub(super) struct Front {
    settings: Settings,
    clock: Clock,
    dispatch: Arc<Dispatch>,
    apis: ExecuteApi,
    trouble: Trouble,
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
        let dispatch = Arc::new(Dispatch::new(credentials, services, &settings));
        let backend = Arc::clone(&dispatch) as Arc<dyn Backend>;
        let apis = ExecuteApi::new(&settings.data_dir, clock.clone(), backend);
        let status = Status {
            pid: std::process::id(),
            port,
            endpoint,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            token: hex::encode(rand::random::<[u8; 32]>()),
        };
        let trouble = Trouble::new(settings.latency);
        let stop_requested = CancellationToken::new();
        Ok(Front { settings, clock, dispatch, apis, trouble, status, stop_requested, _lock: lock })
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
        &self.dispatch.credentials
    }

    pub(super) fn services(&self) -> &Services {
        &self.dispatch.services
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.status.endpoint
    }

    pub(super) fn counts(&self) -> RequestCounts {
        self.dispatch.counter.snapshot()
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.trouble.faults
    }

    pub(super) fn stop_requested(&self) -> &CancellationToken {
        &self.stop_requested
    }

    /// Waits for calls whose clients have gone.
    pub(super) async fn finish_calls(&self) {
        self.dispatch.finish().await;
    }

    /// Answers any request, unless a rule hangs up.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Result<Response<Body>, HungUp> {
        let host = host_of(request.uri(), request.headers());
        if host == Host::Foreign {
            let message = "the local cloud answers only to the hosts 127.0.0.1, localhost and [::1]";
            let refused = Refused { model: None, error: ApiError::new("AccessDenied", message).with_status(403) };
            return Ok(whole(refused.response(&Uuid::new_v4().to_string())));
        }
        // Under `<bucket>.localhost` the same path is an object's.
        if host == Host::Itself && request.uri().path().starts_with("/_pinfra/") {
            let admin = admin::Admin {
                status: &self.status,
                counts: self.counts(),
                stop: &self.stop_requested,
                faults: &self.trouble.faults,
            };
            return Ok(whole(admin.answer(request).await));
        }
        if is_api_call(&request) {
            return Ok(self.deployed_api(request).await);
        }
        if is_s3(&signs_of(&request)) {
            return self.s3(request, peer).await;
        }
        let request_id = Uuid::new_v4().to_string();
        let (parts, body) = request.into_parts();
        match self.admit(&parts, body).await {
            Ok((addressed, body)) => self.api(&addressed, &view(&parts, &body), &request_id, peer).await,
            Err(refused) => Ok(whole(refused.response(&request_id))),
        }
    }

    async fn s3(&self, request: Request<Incoming>, peer: &Peer) -> Result<Response<Body>, HungUp> {
        let operation = operation_of(&request);
        self.dispatch.counter.count("s3", operation.name, operation.mutates);
        let s3 = &self.dispatch.services.s3;
        // Its signature is checked by `s3s`, later; whose name it bears is enough to say which rules concern it.
        let key = access_key(&signs_of(&request)).and_then(|key| self.dispatch.credentials.lookup(key));
        let Some(caller) = key else { return Ok(s3_answer(s3.handle(request).await).response) };
        let called = Called {
            service: "s3",
            operation: operation.name,
            mutating: operation.mutates,
            role: role_of(&caller.principal_arn),
        };
        let answer = |planned: Planned| async move {
            let Planned::Refusal(error) = planned else { return s3_answer(s3.handle(request).await) };
            let path = request.uri().path().to_owned();
            body::discard(request.into_body()).await;
            s3_answer(s3.refuse(&error, &path))
        };
        self.trouble.play(&called, peer, answer).await
    }

    /// Reads a request to a service with an API model, and finds out whether its sender is who it says.
    async fn admit<'a>(&self, parts: &'a Parts, body: Incoming) -> Result<(Addressed<'a>, Bytes), Refused> {
        let addressed = match self.address(&view(parts, &[])) {
            Ok(addressed) => addressed,
            Err(refused) => {
                body::drain(body).await;
                return Err(refused);
            }
        };
        let model = addressed.model;
        let refuse = |error: ApiError| Refused { model: Some(model), error };
        let body = body::read(parts, body, body::limit(addressed.service)).await.map_err(refuse)?;
        self.dispatch
            .authenticate(&addressed.claim, &addressed.identity, &view(parts, &body))
            .map_err(|fault| refuse(auth::refusal(&fault, model.protocol)))?;
        Ok((addressed, body))
    }

    /// Answers a request whose sender is known.
    async fn api(
        &self,
        addressed: &Addressed<'_>,
        request: &wire_request::Request<'_>,
        request_id: &str,
        peer: &Peer,
    ) -> Result<Response<Body>, HungUp> {
        let Addressed { service, model, claim, identity } = addressed;
        let (service, model) = (*service, *model);
        let refuse = |error: ApiError| Answered {
            response: whole(answer::refusal(Some(model), &error, request_id)),
            code: Some(answer::code_on_the_wire(Some(model), &error).to_owned()),
        };
        let routed = match self.dispatch.route(service, model, request) {
            Ok(routed) => routed,
            Err(error) => return Ok(refuse(error).response),
        };
        let called = Called {
            service,
            operation: &routed.operation.name,
            mutating: routed.operation.mutating,
            role: role_of(&identity.principal_arn),
        };
        let asked = Asked {
            service,
            model,
            region: claim.region(),
            principal: &identity.principal_arn,
            access_key: claim.access_key(),
            request_id,
            fails: None,
        };
        let answer = |planned: Planned| async move {
            let asked = match planned {
                Planned::Nothing => asked,
                Planned::Refusal(error) => return refuse(error),
                Planned::Failing(reason) => Asked { fails: Some(reason), ..asked },
            };
            match self.dispatch.answer(asked, routed, request).await {
                Ok(response) => Answered { response: whole(response), code: None },
                Err(error) => refuse(error),
            }
        };
        self.trouble.play(&called, peer, answer).await
    }

    /// A call of a deployed API, which need not be signed.
    async fn deployed_api(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body::read(&parts, body, execute_api::MAX_BODY).await.map_err(|error| match error.status {
            Some(413) => BodyFault::TooLarge,
            Some(408) => BodyFault::TooSlow,
            _ => BodyFault::Broken,
        });
        whole(Box::pin(self.apis.answer(&parts, body)).await)
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
        let Some(identity) = self.dispatch.credentials.lookup(claim.access_key()) else {
            return Err(Refused { model: Some(model), error: auth::refusal(&Fault::UnknownKey, model.protocol) });
        };
        Ok(Addressed { service, model, claim, identity })
    }
}

impl Refused {
    fn response(&self, request_id: &str) -> Response<Bytes> {
        answer::refusal(self.model, &self.error, request_id)
    }
}

/// The role whose session this is; `None` for a user.
fn role_of(principal: &str) -> Option<&str> {
    principal.split_once(":assumed-role/")?.1.split('/').next()
}

fn s3_answer(mut response: Response<s3s::Body>) -> Answered {
    // S3 has a name of its own for it; clients that look for the common one find it as well.
    if let Some(request_id) = response.headers().get("x-amz-request-id").cloned() {
        response.headers_mut().insert(answer::REQUEST_ID, request_id);
    }
    let code = error_code(&response);
    Answered { response: response.map(|body| body.map_err(Into::into).boxed_unsync()), code }
}

/// Names the service and, where the head tells, the operation that was asked of it.
fn unknown_service(service: &str, head: &wire_request::Request<'_>) -> ApiError {
    let operation = head.header("x-amz-target").and_then(|target| target.rsplit('.').next());
    let asked = operation.map_or_else(|| format!("{} {}", head.method, head.path), str::to_owned);
    let message = format!("the local cloud does not have the service {service}, which was asked for {asked}");
    ApiError::new("UnknownOperationException", message)
}

fn is_api_call(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    execute_api::address(host.unwrap_or_default(), request.uri().path()).is_some()
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

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}
