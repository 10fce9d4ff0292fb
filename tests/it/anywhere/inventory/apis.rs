//! What API Gateway holds.

use pinfra_aws::Clients;

use super::Inventory;

pub(super) async fn list(clients: &Clients, inventory: &mut Inventory) {
    let client = &clients.apigateway;
    let apis = client.get_rest_apis().limit(500).send().await.unwrap();
    for api in apis.items() {
        let (id, name) = (api.id().unwrap_or_default(), api.name().unwrap_or_default());
        let resources = client.get_resources().rest_api_id(id).limit(500).send().await;
        let deployments = client.get_deployments().rest_api_id(id).limit(500).send().await;
        let stages = client.get_stages().rest_api_id(id).send().await;
        // One that is deleted in between is not there.
        let (Ok(resources), Ok(deployments), Ok(stages)) = (resources, deployments, stages) else { continue };
        inventory.add(format!("API {name} with {} paths", resources.items().len()));
        for _ in deployments.items() {
            inventory.add(format!("API {name}: deployment"));
        }
        for stage in stages.item() {
            inventory.add(format!("API {name}: stage {}", stage.stage_name().unwrap_or_default()));
        }
    }
    let keys = client.get_api_keys().limit(500).send().await.unwrap();
    for key in keys.items() {
        inventory.add(format!("API key {}", key.name().unwrap_or_default()));
    }
    let plans = client.get_usage_plans().limit(500).send().await.unwrap();
    for plan in plans.items() {
        let (id, name) = (plan.id().unwrap_or_default(), plan.name().unwrap_or_default());
        let Ok(on_it) = client.get_usage_plan_keys().usage_plan_id(id).limit(500).send().await else { continue };
        let stages: Vec<&str> = plan.api_stages().iter().filter_map(|stage| stage.stage()).collect();
        inventory.add(format!("usage plan {name} of {} keys for {}", on_it.items().len(), stages.join(", ")));
    }
}
