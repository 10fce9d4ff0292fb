//! API Gateway, REST APIs: the control plane, in front of [`serving`].
//!
//! Every change is made on a copy of one document, written to the store, and only then seen: an answer that follows it
//! survives a kill. Texts of refusals are AWS's own as far as they are known from its documentation and from bug
//! reports. What would change how an API answers and is not there (authorizers, caches, canaries, resource policies,
//! Lambda, VPC links) is refused when it is asked for, not when the API is called.

mod account;
mod book;
mod deployments;
mod desk;
mod errors;
mod import;
mod input;
mod integrations;
mod keys;
mod methods;
mod models;
mod paging;
mod patch;
mod plans;
mod resources;
mod rest_apis;
pub mod serving;
mod stages;
mod tags;
#[cfg(test)]
mod tests;
mod validators;

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

pub use desk::ApiGatewayOpenError;
pub use serving::{Deployed, KeyUse, Quota, Throttle};

use self::desk::Desk;
use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::wire::error::ApiError;

/// The API Gateway of one local cloud. Clones share what they hold.
#[derive(Clone)]
pub struct ApiGateway {
    desk: Arc<Desk>,
}

impl ApiGateway {
    /// Opens what is under `<data_dir>/apigateway/`, or begins it.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<ApiGateway, ApiGatewayOpenError> {
        Ok(ApiGateway { desk: Arc::new(Desk::open(data_dir, clock)?) })
    }
}

impl Service for ApiGateway {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        let desk = Arc::clone(&self.desk);
        async move {
            // A change waits for the disk.
            let answered = tokio::task::spawn_blocking(move || answer(&desk, &call, &input)).await;
            answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
        }
        .boxed()
    }

    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        tags::all(&self.desk.book(), region)
    }
}

fn answer(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    match call.operation.as_str() {
        "CreateApiKey" => keys::create(desk, call, input),
        "CreateDeployment" => deployments::create(desk, call, input),
        "CreateModel" => models::create(desk, call, input),
        "CreateRequestValidator" => validators::create(desk, call, input),
        "CreateResource" => resources::create(desk, call, input),
        "CreateRestApi" => rest_apis::create(desk, call, input),
        "CreateStage" => stages::create(desk, call, input),
        "CreateUsagePlan" => plans::create(desk, call, input),
        "CreateUsagePlanKey" => plans::create_key(desk, call, input),
        "DeleteApiKey" => keys::delete(desk, call, input),
        "DeleteDeployment" => deployments::delete(desk, call, input),
        "DeleteIntegration" => integrations::delete(desk, call, input),
        "DeleteIntegrationResponse" => integrations::delete_response(desk, call, input),
        "DeleteMethod" => methods::delete(desk, call, input),
        "DeleteMethodResponse" => methods::delete_response(desk, call, input),
        "DeleteModel" => models::delete(desk, call, input),
        "DeleteRequestValidator" => validators::delete(desk, call, input),
        "DeleteResource" => resources::delete(desk, call, input),
        "DeleteRestApi" => rest_apis::delete(desk, call, input),
        "DeleteStage" => stages::delete(desk, call, input),
        "DeleteUsagePlan" => plans::delete(desk, call, input),
        "DeleteUsagePlanKey" => plans::delete_key(desk, call, input),
        "GetAccount" => Ok(account::get(desk, call)),
        "GetApiKey" => keys::get(desk, call, input),
        "GetApiKeys" => keys::list(desk, call, input),
        "GetDeployment" => deployments::get(desk, call, input),
        "GetDeployments" => deployments::list(desk, call, input),
        "GetIntegration" => integrations::get(desk, call, input),
        "GetIntegrationResponse" => integrations::get_response(desk, call, input),
        "GetMethod" => methods::get(desk, call, input),
        "GetMethodResponse" => methods::get_response(desk, call, input),
        "GetModel" => models::get(desk, call, input),
        "GetModels" => models::list(desk, call, input),
        "GetRequestValidator" => validators::get(desk, call, input),
        "GetRequestValidators" => validators::list(desk, call, input),
        "GetResource" => resources::get(desk, call, input),
        "GetResources" => resources::list(desk, call, input),
        "GetRestApi" => rest_apis::get(desk, call, input),
        "GetRestApis" => rest_apis::list(desk, call, input),
        "GetStage" => stages::get(desk, call, input),
        "GetStages" => stages::list(desk, call, input),
        "GetTags" => tags::get(desk, call, input),
        "GetUsagePlan" => plans::get(desk, call, input),
        "GetUsagePlanKey" => plans::get_key(desk, call, input),
        "GetUsagePlanKeys" => plans::list_keys(desk, call, input),
        "GetUsagePlans" => plans::list(desk, call, input),
        "ImportRestApi" => import::import_rest_api(desk, call, input),
        "PutIntegration" => integrations::put(desk, call, input),
        "PutIntegrationResponse" => integrations::put_response(desk, call, input),
        "PutMethod" => methods::put(desk, call, input),
        "PutMethodResponse" => methods::put_response(desk, call, input),
        "PutRestApi" => import::put_rest_api(desk, call, input),
        "TagResource" => tags::tag(desk, call, input),
        "UntagResource" => tags::untag(desk, call, input),
        "UpdateAccount" => account::update(desk, call, input),
        "UpdateApiKey" => keys::update(desk, call, input),
        "UpdateDeployment" => deployments::update(desk, call, input),
        "UpdateIntegration" => integrations::update(desk, call, input),
        "UpdateIntegrationResponse" => integrations::update_response(desk, call, input),
        "UpdateMethod" => methods::update(desk, call, input),
        "UpdateMethodResponse" => methods::update_response(desk, call, input),
        "UpdateModel" => models::update(desk, call, input),
        "UpdateRequestValidator" => validators::update(desk, call, input),
        "UpdateResource" => resources::update(desk, call, input),
        "UpdateRestApi" => rest_apis::update(desk, call, input),
        "UpdateStage" => stages::update(desk, call, input),
        "UpdateUsagePlan" => plans::update(desk, call, input),
        other => Err(ApiError::unknown_operation("apigateway", other)),
    }
}
