//! What deployed APIs need of the services and of the keys.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response};

use super::dispatch::{Asked, Dispatch};
use crate::execute_api::backend::{Backend, Caller, ServiceCall};
use crate::services::apigateway::{Deployed, KeyUse};
use crate::services::iam::Context;
use crate::wire::error::ApiError;
use crate::wire::model::Protocol;
use crate::wire::request::Request;
use crate::wire::sigv4::{self, Fault};
use crate::wire::{answer, auth, catalogue};

/// The service that integrations act for, in trust policies of their roles.
const API_GATEWAY: &str = "apigateway.amazonaws.com";

/// The signing name of calls of deployed APIs.
const EXECUTE_API: &str = "execute-api";

impl Backend for Dispatch {
    fn deployed(&self, api_id: &str, stage: &str) -> Option<Arc<Deployed>> {
        self.services.apis.deployed(api_id, stage)
    }

    fn key(&self, value: &str, api_id: &str, stage: &str) -> Option<KeyUse> {
        self.services.apis.key(value, api_id, stage)
    }

    fn caller(&self, request: &Request<'_>, resource: &str) -> Result<Caller, ApiError> {
        let refused = |fault: Fault| auth::refusal(&fault, Protocol::RestJson);
        let claim = sigv4::claim(request).map_err(refused)?;
        if claim.service() != EXECUTE_API {
            let message = format!("Credential should be scoped to correct service: '{EXECUTE_API}'.");
            return Err(ApiError::new("InvalidSignatureException", message));
        }
        let identity = self.credentials.lookup(claim.access_key()).ok_or_else(|| refused(Fault::UnknownKey))?;
        self.authenticate(&claim, &identity, request).map_err(refused)?;
        let resources = [resource.to_owned()];
        self.services.iam.authorize(&identity.principal_arn, "execute-api:Invoke", &resources, &Context::default())?;
        Ok(Caller { access_key: claim.access_key().to_owned(), identity })
    }

    fn loopback_of(&self, region: &str, host: &str) -> Option<Ipv4Addr> {
        self.services.ec2.loopback_of(region, host)
    }

    fn count(&self, operation: &str) {
        self.counter.count(EXECUTE_API, operation, false);
    }

    fn call(&self, call: ServiceCall) -> BoxFuture<'_, Result<Response<Bytes>, ApiError>> {
        async move {
            let absent = || ApiError::unknown_operation(&call.service, &call.action);
            let (service, model) = catalogue::service(&call.service).ok_or_else(absent)?;
            let Protocol::Json(version) = model.protocol else { return Err(absent()) };
            let role = self.services.iam.assume_as_service(&call.role_arn, API_GATEWAY)?;

            let mut headers = call.headers;
            let target = HeaderValue::try_from(format!("{}.{}", model.target_prefix, call.action));
            headers.insert("x-amz-target", target.map_err(|_| ApiError::unknown_operation(service, &call.action))?);
            // The developer guide's Kinesis tutorial sends both names; AWS takes the short one for the long one.
            if headers.get(CONTENT_TYPE).is_some_and(|value| value == "x-amz-json-1.1") {
                let name = format!("application/x-amz-json-{version}");
                headers.insert(CONTENT_TYPE, HeaderValue::try_from(name).map_err(|error| ApiError::internal(&error))?);
            }
            let request = Request { method: &Method::POST, path: "/", query: "", headers: &headers, body: &call.body };
            let asked = Asked {
                service,
                model,
                region: &call.region,
                principal: &role.arn,
                access_key: "",
                request_id: &call.request_id,
                fails: None,
            };
            let answered = match self.route(service, model, &request) {
                Ok(routed) => self.answer(asked, routed, &request).await,
                Err(error) => Err(error),
            };
            match answered {
                Ok(response) => Ok(response),
                // The service itself refuses what the role may not do, so the API's mappings see it as any other refusal. A
                // role that cannot be assumed has failed the call above.
                Err(error) => Ok(answer::refusal(Some(model), &error, &call.request_id)),
            }
        }
        .boxed()
    }
}
