//! Stages and deployments of the stack's API that it did not make, and usage plans that let others in.

use pinfra_engine::{Address, CloudError, Finding};
use serde_json::json;

use super::{Known, or_nothing, text, unmanaged};
use crate::api_gateway::deployment::read_description;
use crate::api_gateway::listing::{Deployments, Plans, Stages, deployments, plans, stages};
use crate::clients::Clients;

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let mut found = Vec::new();
    for (address, id, _) in known.of_kind("api_gateway/rest_api") {
        let lists = async { futures::join!(stages(clients, id), deployments(clients, id), plans(clients)) };
        let (stages, deployments, plans) = Box::pin(lists).await;
        let api = Api { known, address, id };
        found.extend(api.stages(&or_nothing(stages)?.unwrap_or_default()));
        found.extend(api.deployments(&or_nothing(deployments.map(Some))?.unwrap_or_default()));
        found.extend(api.plans(&plans?.unwrap_or_default()));
    }
    Ok(found)
}

/// An API of the stack.
struct Api<'a> {
    known: Known<'a>,
    address: &'a Address,
    id: &'a str,
}

impl Api<'_> {
    fn stages(&self, all: &Stages) -> Vec<Finding> {
        let names = all.iter().map(|stage| (stage, stage.stage_name().unwrap_or_default()));
        let ids = names.map(|(stage, name)| (stage, name, format!("{}/{name}", self.id)));
        let strange = ids.filter(|(.., id)| !self.known.has("api_gateway/stage", id));
        let tell = |(stage, name, id): (&aws_sdk_apigateway::types::Stage, &str, String)| {
            let detail = format!("the stage `{name}` is not of this stack: the API answers under it too");
            unmanaged(self.address, id, json!({"stage": name, "deployment": stage.deployment_id()}), detail)
        };
        strange.map(tell).collect()
    }

    fn deployments(&self, all: &Deployments) -> Vec<Finding> {
        let ours = self.known.of_kind("api_gateway/deployment").find(|(_, id, _)| *id == self.id);
        let address = ours.map_or(self.address, |(address, ..)| address);
        let strange = all.iter().filter(|one| one.description().and_then(read_description).is_none());
        let tell = |one: &aws_sdk_apigateway::types::Deployment| {
            let id = one.id().unwrap_or_default();
            let live = json!({"deployment": id, "description": one.description()});
            unmanaged(address, id.to_owned(), live, format!("the deployment `{id}` is not of this stack"))
        };
        strange.map(tell).collect()
    }

    fn plans(&self, all: &Plans) -> Vec<Finding> {
        let tell = |plan: &aws_sdk_apigateway::types::UsagePlan| {
            let (id, name) = (plan.id().unwrap_or_default(), plan.name().unwrap_or_default());
            let stage = plan.api_stages().iter().find(|on| on.api_id() == Some(self.id))?.stage()?;
            let detail =
                format!("the usage plan `{name}` is not of this stack, and its keys may call the stage `{stage}`");
            let live = json!({"usage_plan": id, "name": name, "stage": stage});
            Some(unmanaged(self.stage(stage), id.to_owned(), live, detail))
        };
        let strange =
            all.iter().filter(|plan| !self.known.has("api_gateway/usage_plan", plan.id().unwrap_or_default()));
        strange.filter_map(tell).collect()
    }

    /// The address of a stage, or of the API.
    fn stage(&self, name: &str) -> &Address {
        let mut stages = self.known.of_kind("api_gateway/stage");
        let found =
            stages.find(|(_, _, live)| text(&live.inputs, "rest_api") == self.id && text(&live.inputs, "name") == name);
        found.map_or(self.address, |(address, ..)| address)
    }
}
