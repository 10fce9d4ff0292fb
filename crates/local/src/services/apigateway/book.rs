//! Everything that the control plane remembers, in memory as it is on disk.
//!
//! An API is one document, with its resources, validators, models and stages; a deployment is a document of its own,
//! since it is written once and as large as the API. Shapes are those of the answers, so reading is picking.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::serving::Deployed;

/// All there is, in all regions; ids are unique over all of them.
#[derive(Default)]
pub(crate) struct Book {
    /// By id.
    pub(crate) apis: BTreeMap<String, Api>,
    /// By `<api>/<deployment>`.
    pub(crate) deployments: BTreeMap<String, Arc<Deployment>>,
    /// API keys by id.
    pub(crate) keys: BTreeMap<String, Key>,
    /// Usage plans by id.
    pub(crate) plans: BTreeMap<String, Plan>,
    /// The account's settings by region: `cloudwatchRoleArn`.
    pub(crate) accounts: BTreeMap<String, Value>,
    /// What stages serve, by `<api>/<stage>`; kept up by [`Book::refresh`].
    pub(super) served: BTreeMap<String, Arc<Deployed>>,
}

/// One REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) region: String,
    /// As `GetRestApi` answers, with the tags.
    pub(crate) rest: Value,
    /// As `GetResources` answers with `embed=methods`, by id.
    pub(crate) resources: BTreeMap<String, Value>,
    /// Request validators by id.
    pub(crate) validators: BTreeMap<String, Value>,
    /// Models by name.
    pub(crate) models: BTreeMap<String, Value>,
    /// As `GetStage` answers, by name.
    pub(crate) stages: BTreeMap<String, Value>,
}

/// A snapshot of an API. It never changes, but for its description.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// As `GetDeployment` answers.
    pub(crate) shape: Value,
    pub(crate) resources: Vec<Value>,
    pub(crate) validators: BTreeMap<String, Value>,
    pub(crate) models: BTreeMap<String, Value>,
    pub(crate) binary_media_types: Vec<String>,
}

/// An API key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) region: String,
    /// As `GetApiKey` answers with `includeValue`.
    pub(crate) shape: Value,
}

/// A usage plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) region: String,
    /// As `GetUsagePlan` answers.
    pub(crate) shape: Value,
    /// The ids of the keys on it.
    pub(crate) keys: Vec<String>,
}

impl Api {
    /// The id of `/`.
    pub(crate) fn root(&self) -> &str {
        self.rest["rootResourceId"].as_str().unwrap_or_default()
    }

    /// Everything that can be called, as a deployment freezes it.
    pub(crate) fn freeze(&self, shape: Value) -> Deployment {
        let types = self.rest["binaryMediaTypes"].as_array().into_iter().flatten();
        Deployment {
            shape,
            resources: self.resources.values().cloned().collect(),
            validators: self.validators.clone(),
            models: self.models.clone(),
            binary_media_types: types.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

impl Plan {
    /// What the plan says of a stage, if it covers it.
    pub(crate) fn stage(&self, api: &str, stage: &str) -> Option<&Value> {
        let mut stages = self.shape["apiStages"].as_array().into_iter().flatten();
        stages.find(|covered| covered["apiId"] == api && covered["stage"] == stage)
    }
}

impl Book {
    /// What a stage serves.
    pub(crate) fn deployed(&self, api: &str, stage: &str) -> Option<Arc<Deployed>> {
        self.served.get(&pair(api, stage)).cloned()
    }

    /// Brings what the stages of an API serve up to date; runs after each change of the API.
    pub(crate) fn refresh(&mut self, id: &str) {
        let prefix = pair(id, "");
        self.served.retain(|key, _| !key.starts_with(&prefix));
        let Some(api) = self.apis.get(id) else { return };
        for (name, stage) in &api.stages {
            let deployment = stage["deploymentId"].as_str().unwrap_or_default();
            let Some(frozen) = self.deployments.get(&pair(id, deployment)) else { continue };
            let deployed = Deployed {
                api_id: id.to_owned(),
                region: api.region.clone(),
                rest_api: api.rest.clone(),
                stage: stage.clone(),
                resources: frozen.resources.clone(),
                validators: frozen.validators.clone(),
                models: frozen.models.clone(),
                binary_media_types: frozen.binary_media_types.clone(),
            };
            self.served.insert(pair(id, name), Arc::new(deployed));
        }
    }

    /// The settings of the account in a region.
    pub(crate) fn account(&self, region: &str) -> Value {
        self.accounts.get(region).cloned().unwrap_or_else(|| json!({}))
    }
}

/// The key of what belongs to an API: ids have no slash in them.
pub(crate) fn pair(api: &str, of: &str) -> String {
    format!("{api}/{of}")
}
