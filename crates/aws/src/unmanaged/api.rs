//! Stages and deployments of the stack's API that it did not make, and usage plans that let others in.

use pinfra_engine::{Address, CloudError, Finding};
use serde_json::json;

use super::{Known, or_nothing, text, unmanaged};
use crate::api_gateway::deployment::read_description;
use crate::api_gateway::listing::{deployments, plans, stages};
use crate::clients::Clients;

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let look = known.of_kind("api_gateway/rest_api").map(|(address, api, _)| async move {
        let parts = async {
            futures::try_join!(
                stages_of(clients, known, address, api),
                deployments_of(clients, known, address, api),
                plans_on(clients, known, address, api),
            )
        };
        let (stages, deployments, plans) = Box::pin(parts).await?;
        Ok([stages, deployments, plans].concat())
    });
    let found: Result<Vec<Vec<Finding>>, CloudError> = futures::future::try_join_all(look).await;
    Ok(found?.into_iter().flatten().collect())
}

async fn stages_of(
    clients: &Clients,
    known: Known<'_>,
    address: &Address,
    api: &str,
) -> Result<Vec<Finding>, CloudError> {
    let all = or_nothing(stages(clients, api).await)?.unwrap_or_default();
    let mut found = Vec::new();
    for stage in all.iter() {
        let name = stage.stage_name().unwrap_or_default();
        let id = format!("{api}/{name}");
        if !known.has("api_gateway/stage", &id) {
            let detail = format!("the stage `{name}` is not of this stack: the API answers under it too");
            let live = json!({"stage": name, "deployment": stage.deployment_id()});
            found.push(unmanaged(address, id, live, detail));
        }
    }
    Ok(found)
}

async fn deployments_of(
    clients: &Clients,
    known: Known<'_>,
    address: &Address,
    api: &str,
) -> Result<Vec<Finding>, CloudError> {
    let all = or_nothing(deployments(clients, api).await)?;
    let ours = known.of_kind("api_gateway/deployment").find(|(_, id, _)| *id == api).map(|(address, ..)| address);
    let mut found = Vec::new();
    for deployment in all.iter().filter(|one| one.description().and_then(read_description).is_none()) {
        let id = deployment.id().unwrap_or_default();
        let live = json!({"deployment": id, "description": deployment.description()});
        let detail = format!("the deployment `{id}` is not of this stack");
        found.push(unmanaged(ours.unwrap_or(address), id.to_owned(), live, detail));
    }
    Ok(found)
}

async fn plans_on(
    clients: &Clients,
    known: Known<'_>,
    address: &Address,
    api: &str,
) -> Result<Vec<Finding>, CloudError> {
    let all = plans(clients).await?.unwrap_or_default();
    let mut found = Vec::new();
    for plan in all.iter() {
        let id = plan.id().unwrap_or_default();
        let mut on = plan.api_stages().iter().filter(|on| on.api_id() == Some(api)).filter_map(|on| on.stage());
        let (Some(stage), false) = (on.next(), known.has("api_gateway/usage_plan", id)) else { continue };
        let name = plan.name().unwrap_or_default();
        let detail = format!("the usage plan `{name}` is not of this stack, and its keys may call the stage `{stage}`");
        let live = json!({"usage_plan": id, "name": name, "stage": stage});
        let mut stages = known.of_kind("api_gateway/stage");
        let touched =
            stages.find(|(_, _, live)| text(&live.inputs, "rest_api") == api && text(&live.inputs, "name") == stage);
        found.push(unmanaged(touched.map_or(address, |(address, ..)| address), id.to_owned(), live, detail));
    }
    Ok(found)
}
