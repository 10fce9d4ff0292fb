//! A call of a service whose caller is known: read, validated, authorised, carried out, and answered as bytes. The front
//! comes here with signed requests, integrations of deployed APIs come with their role.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use http::Response;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use super::authorise;
use super::counts::Counter;
use super::services::Services;
use crate::credentials::{ACCOUNT, Credentials, Identity};
use crate::faults::{Rates, Stale};
use crate::services::{Call, Service};
use crate::settings::Settings;
use crate::wire::error::ApiError;
use crate::wire::model::Model;
use crate::wire::request::Routed;
use crate::wire::sigv4::{self, Fault, SigningKeys};
use crate::wire::{answer, request as wire_request, validate};

/// Who asks which service.
pub(super) struct Asked<'a> {
    pub(super) service: &'static str,
    pub(super) model: &'static Model,
    pub(super) region: &'a str,
    pub(super) principal: &'a str,
    pub(super) access_key: &'a str,
    pub(super) request_id: &'a str,
    /// Why what this call makes will fail, where a rule says so.
    pub(super) fails: Option<String>,
}

/// The services and what stands before them.
pub(super) struct Dispatch {
    pub(super) credentials: Arc<Credentials>,
    pub(super) services: Services,
    pub(super) counter: Counter,
    rates: Option<Rates>,
    stale: Option<Stale>,
    signing_keys: SigningKeys,
    calls: TaskTracker,
}

impl Dispatch {
    pub(super) fn new(credentials: Arc<Credentials>, services: Services, settings: &Settings) -> Dispatch {
        Dispatch {
            credentials,
            services,
            counter: Counter::default(),
            rates: settings.rates.then(Rates::default),
            stale: Some(settings.stale).filter(|lasts| !lasts.is_zero()).map(Stale::new),
            signing_keys: SigningKeys::default(),
            calls: TaskTracker::new(),
        }
    }

    /// Checks a signature by a key that is known.
    pub(super) fn authenticate(
        &self,
        claim: &sigv4::Claim<'_>,
        identity: &Identity,
        request: &wire_request::Request<'_>,
    ) -> Result<(), Fault> {
        // Not the clock of the services: a test may have moved that one, and the client signs with the real time.
        sigv4::verify(claim, request, &identity.secret, &self.signing_keys, OffsetDateTime::now_utc())?;
        if !identity.has_token(claim.security_token.as_deref()) {
            return Err(Fault::InvalidToken);
        }
        if self.credentials.expired(identity) { Err(Fault::ExpiredToken) } else { Ok(()) }
    }

    /// Finds the operation of a request, and counts it.
    pub(super) fn route(
        &self,
        service: &'static str,
        model: &'static Model,
        request: &wire_request::Request<'_>,
    ) -> Result<Routed<'static>, ApiError> {
        let routed = wire_request::route(service, model, request)?;
        self.counter.count(service, &routed.operation.name, routed.operation.mutating);
        Ok(routed)
    }

    /// Answers a request.
    pub(super) async fn answer(
        &self,
        asked: Asked<'_>,
        routed: Routed<'static>,
        request: &wire_request::Request<'_>,
    ) -> Result<Response<Bytes>, ApiError> {
        let Asked { service, model, .. } = asked;
        let operation = routed.operation;
        let input = wire_request::read(model, &routed, request)?;
        validate::validate(model, operation, &input)?;

        if let Some(rates) = &self.rates {
            rates.take(service, &operation.name, operation.mutating, asked.region, &input)?;
        }

        let call = Call {
            operation: operation.name.clone(),
            region: asked.region.to_owned(),
            account: ACCOUNT.to_owned(),
            principal: asked.principal.to_owned(),
            access_key: asked.access_key.to_owned(),
            request_id: asked.request_id.to_owned(),
            fails: asked.fails,
        };
        let Some(target) = self.services.get(service) else {
            return Err(ApiError::unknown_operation(service, &call.operation));
        };
        authorise::check(&self.services, service, model.protocol, &call, &input, request)?;
        let output = match &self.stale {
            None => self.call(target, call, input).await?,
            Some(stale) if operation.mutating => {
                let output = self.call(target, call, input.clone()).await?;
                stale.made(service, &operation.name, &input, &output);
                output
            }
            Some(stale) => {
                stale.seen(service, &input)?;
                let mut output = self.call(target, call, input).await?;
                stale.leave_out(service, &mut output);
                output
            }
        };
        answer::success(model, operation, &output, asked.request_id).map_err(|misfit| ApiError::internal(&misfit))
    }

    /// Waits for calls whose clients have gone.
    pub(super) async fn finish(&self) {
        self.calls.close();
        self.calls.wait().await;
    }

    async fn call(&self, target: Arc<dyn Service>, call: Call, input: Value) -> Result<Value, ApiError> {
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
