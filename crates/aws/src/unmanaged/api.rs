//! Stages and deployments of the stack's API that it did not make, usage plans that let others in, and what its own stage was
//! told besides: a canary, and settings of single methods.

use aws_sdk_apigateway::types::{Deployment, MethodSetting, Stage, UsagePlan};
use pinfra_engine::{Address, CloudError, Finding, What};
use serde_json::json;

use super::{Known, or_nothing, text, unmanaged};
use crate::api_gateway::deployment::read_description;
use crate::api_gateway::listing::{Deployments, Plans, Stages, deployments, plans, stages};
use crate::api_gateway::stage::ALL_METHODS;
use crate::clients::Clients;

pub(super) async fn find(clients: &Clients, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let mut found = Vec::new();
    for (address, id, _) in known.of_kind("api_gateway/rest_api") {
        let lists = async { futures::join!(stages(clients, id), deployments(clients, id), plans(clients)) };
        let (stages, deployments, plans) = Box::pin(lists).await;
        let api = Api { known, address, id };
        let stages = or_nothing(stages)?.unwrap_or_default();
        found.extend(api.stages(&stages));
        found.extend(stages.iter().flat_map(|stage| api.canary(stage).into_iter().chain(api.single_methods(stage))));
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
        let tell = |(stage, name, id): (&Stage, &str, String)| {
            let detail = format!("the stage `{name}` is not of this stack: the API answers under it too");
            unmanaged(self.address, id, json!({"stage": name, "deployment": stage.deployment_id()}), detail)
        };
        strange.map(tell).collect()
    }

    /// A part of the calls that is answered by another deployment than the stage says.
    fn canary(&self, stage: &Stage) -> Option<Finding> {
        let canary = stage.canary_settings().filter(|canary| canary.percent_traffic() > 0.0)?;
        let (name, percent) = (stage.stage_name()?, canary.percent_traffic());
        let deployment = canary.deployment_id().unwrap_or_default();
        let detail = format!("{percent} % of its calls are answered by the deployment `{deployment}` (a canary)");
        let live = json!({"canary": deployment, "percent": percent});
        let found = unmanaged(self.ours(name)?, format!("{}/{name}/canary", self.id), live, detail);
        Some(Finding { what: What::Unhealthy, ..found })
    }

    /// What single methods of a stage were told: the stack tells all of them the same.
    fn single_methods(&self, stage: &Stage) -> Vec<Finding> {
        let name = stage.stage_name().unwrap_or_default();
        let Some(address) = self.ours(name) else { return Vec::new() };
        let settings = stage.method_settings().into_iter().flatten().filter(|(method, _)| *method != ALL_METHODS);
        let tell = |(method, settings): (&String, &MethodSetting)| {
            let detail = format!("`{method}` has settings of its own, which this stack did not make");
            let (rate, burst) = (settings.throttling_rate_limit(), settings.throttling_burst_limit());
            let live = json!({"method": method, "throttle_rate": rate, "throttle_burst": burst});
            unmanaged(address, format!("{}/{name}/{method}", self.id), live, detail)
        };
        settings.map(tell).collect()
    }

    fn deployments(&self, all: &Deployments) -> Vec<Finding> {
        let ours = self.known.of_kind("api_gateway/deployment").find(|(_, id, _)| *id == self.id);
        let address = ours.map_or(self.address, |(address, ..)| address);
        let strange = all.iter().filter(|one| one.description().and_then(read_description).is_none());
        let tell = |one: &Deployment| {
            let id = one.id().unwrap_or_default();
            let live = json!({"deployment": id, "description": one.description()});
            unmanaged(address, id.to_owned(), live, format!("the deployment `{id}` is not of this stack"))
        };
        strange.map(tell).collect()
    }

    fn plans(&self, all: &Plans) -> Vec<Finding> {
        let tell = |plan: &UsagePlan| {
            let (id, name) = (plan.id().unwrap_or_default(), plan.name().unwrap_or_default());
            let stage = plan.api_stages().iter().find(|on| on.api_id() == Some(self.id))?.stage()?;
            let detail =
                format!("the usage plan `{name}` is not of this stack, and its keys may call the stage `{stage}`");
            let live = json!({"usage_plan": id, "name": name, "stage": stage});
            Some(unmanaged(self.ours(stage).unwrap_or(self.address), id.to_owned(), live, detail))
        };
        let strange =
            all.iter().filter(|plan| !self.known.has("api_gateway/usage_plan", plan.id().unwrap_or_default()));
        strange.filter_map(tell).collect()
    }

    /// The address of the stage with that name, where it is the stack's.
    fn ours(&self, name: &str) -> Option<&Address> {
        let mut stages = self.known.of_kind("api_gateway/stage");
        let found =
            stages.find(|(_, _, live)| text(&live.inputs, "rest_api") == self.id && text(&live.inputs, "name") == name);
        found.map(|(address, ..)| address)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_apigateway::types::CanarySettings;
    use pinfra_engine::observe::{Observation, Observed};
    use pinfra_engine::resource::LiveValue;

    use super::*;

    #[test]
    fn a_canary_of_the_stack_s_own_stage_is_told() {
        let address = Address::new("api_gateway/stage", "api");
        let live = LiveValue { inputs: json!({"rest_api": "a1", "name": "prod"}), outputs: json!({}) };
        let observed = Observed::from([(address.clone(), Observation::Present { id: "a1/prod".into(), live })]);
        let known = Known { stack: "pins", observed: &observed };
        let api = Api { known, address: &address, id: "a1" };
        let stage = |name: &str, percent: f64| {
            let canary = CanarySettings::builder().deployment_id("d2").percent_traffic(percent).build();
            Stage::builder().stage_name(name).deployment_id("d1").canary_settings(canary).build()
        };
        let found = api.canary(&stage("prod", 10.0)).unwrap();
        assert_eq!((found.what, &found.address), (What::Unhealthy, &address));
        assert_eq!(found.detail, "10 % of its calls are answered by the deployment `d2` (a canary)");
        assert!(api.canary(&stage("prod", 0.0)).is_none(), "nobody is led there");
        assert!(api.canary(&stage("test", 10.0)).is_none(), "another's stage is told as a whole");
    }
}
