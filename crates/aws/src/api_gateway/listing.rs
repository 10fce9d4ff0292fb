//! Lists of API Gateway that several kinds share in one look.

use std::sync::Arc;

use aws_sdk_apigateway::types::{Deployment, Stage, UsagePlan};
use pinfra_engine::CloudError;

use crate::clients::Clients;
use crate::error::classify;

/// The largest page of a list (API reference).
const PAGE: i32 = 500;

/// Every deployment of an API.
pub(crate) type Deployments = Vec<Deployment>;
/// Every stage of an API.
pub(crate) type Stages = Vec<Stage>;
/// Every usage plan of account and region.
pub(crate) type Plans = Vec<UsagePlan>;

/// The deployments of an API.
pub(crate) async fn deployments(clients: &Clients, api: &str) -> Result<Arc<Deployments>, CloudError> {
    match &clients.look {
        Some(look) => look.deployments.get(api, || deployments_of(clients, api)).await,
        None => deployments_of(clients, api).await.map(Arc::new),
    }
}

/// The stages of an API, where this is a look.
pub(crate) async fn stages(clients: &Clients, api: &str) -> Result<Option<Arc<Stages>>, CloudError> {
    let Some(look) = &clients.look else { return Ok(None) };
    let ask = || async {
        let answer = clients.apigateway.get_stages().rest_api_id(api).send().await;
        let answer = answer.map_err(|error| classify("apigateway:GetStages", &error))?;
        Ok(answer.item.unwrap_or_default())
    };
    look.stages.get(api, ask).await.map(Some)
}

/// The usage plans, where this is a look.
pub(crate) async fn plans(clients: &Clients) -> Result<Option<Arc<Plans>>, CloudError> {
    let Some(look) = &clients.look else { return Ok(None) };
    look.plans.get("", || plans_of(clients)).await.map(Some)
}

async fn deployments_of(clients: &Clients, api: &str) -> Result<Deployments, CloudError> {
    let mut found = Vec::new();
    let mut pages = clients.apigateway.get_deployments().rest_api_id(api).into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("apigateway:GetDeployments", &error))?;
        found.extend(page.items.unwrap_or_default());
    }
    Ok(found)
}

async fn plans_of(clients: &Clients) -> Result<Plans, CloudError> {
    let mut found = Vec::new();
    let mut pages = clients.apigateway.get_usage_plans().into_paginator().page_size(PAGE).send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("apigateway:GetUsagePlans", &error))?;
        found.extend(page.items.unwrap_or_default());
    }
    Ok(found)
}
