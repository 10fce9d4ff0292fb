//! What the control plane tells the half that answers calls of deployed APIs: frozen definitions, and keys.
//!
//! The control plane knows who may call what at which rate; how often somebody has called is the serving half's to
//! count.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::ApiGateway;
use super::book::Plan;

/// An API as a stage serves it: the definition as it was when the deployment was made, and the stage as it is now.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The API's id, the first label of its host name.
    pub api_id: String,
    /// Where it was made.
    pub region: String,
    /// The API itself, in the shape of `GetRestApi`: `apiKeySource`, `policy`, `disableExecuteApiEndpoint`, and more.
    pub rest_api: Value,
    /// In the shape of `GetStage`: `variables`, `methodSettings`, and more.
    pub stage: Value,
    /// The items of `GetResources` with `embed=methods`, frozen at deployment.
    pub resources: Vec<Value>,
    /// Request validators by id, in the shape of `GetRequestValidator`, frozen at deployment.
    pub validators: BTreeMap<String, Value>,
    /// Models by name, in the shape of `GetModel`, frozen at deployment.
    pub models: BTreeMap<String, Value>,
    /// Media types whose bodies are bytes, such as `image/png` or `*/*`, frozen at deployment.
    pub binary_media_types: Vec<String>,
}

/// A known API key in front of a stage that its usage plan covers.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyUse {
    /// The key's id, for counting; never the value.
    pub key_id: String,
    /// A key that is off is refused like one that is not known.
    pub enabled: bool,
    /// The plan that covers the stage.
    pub plan_id: String,
    /// The plan's rate for each key, if it has one.
    pub throttle: Option<Throttle>,
    /// Rates of single methods of this stage, by `/pets/GET`: the path and the verb.
    pub method_throttles: BTreeMap<String, Throttle>,
    /// How many calls a key has in a period, if the plan limits them.
    pub quota: Option<Quota>,
}

/// A rate, as a token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Calls a second in the long run.
    pub rate: f64,
    /// Calls at once.
    pub burst: u32,
}

/// How many calls a period holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Calls in a period.
    pub limit: u64,
    /// How many of the first period are taken off.
    pub offset: u64,
    /// `DAY`, `WEEK` or `MONTH`.
    pub period: String,
}

impl ApiGateway {
    /// What the stage of that API serves, `None` when there is no such API or stage.
    pub fn deployed(&self, api_id: &str, stage: &str) -> Option<Arc<Deployed>> {
        self.desk.book().deployed(api_id, stage)
    }

    /// What an API key with this value may do at that stage, `None` when no key has the value, or none of its plans covers
    /// the stage.
    pub fn key(&self, value: &str, api_id: &str, stage: &str) -> Option<KeyUse> {
        let book = self.desk.book();
        let (key_id, key) = book.keys.iter().find(|(_, key)| key.shape["value"] == value)?;
        let covers = |plan: &&Plan| plan.keys.contains(key_id) && plan.stage(api_id, stage).is_some();
        let (plan_id, plan) = book.plans.iter().find(|(_, plan)| covers(plan))?;
        let covered = plan.stage(api_id, stage)?;
        let methods = covered["throttle"].as_object().into_iter().flatten();
        Some(KeyUse {
            key_id: key_id.clone(),
            enabled: key.shape["enabled"] == true,
            plan_id: plan_id.clone(),
            throttle: throttle(&plan.shape["throttle"]),
            method_throttles: methods.filter_map(|(path, of)| Some((path.clone(), throttle(of)?))).collect(),
            quota: quota(&plan.shape["quota"]),
        })
    }
}

fn throttle(settings: &Value) -> Option<Throttle> {
    let rate = settings["rateLimit"].as_f64();
    let burst = settings["burstLimit"].as_u64().and_then(|burst| u32::try_from(burst).ok());
    if rate.is_none() && burst.is_none() {
        return None;
    }
    // What is left out is unlimited below the account's own limit (10,000 a second, burst 5,000: "Quotas" in the API
    // Gateway developer guide).
    Some(Throttle { rate: rate.unwrap_or(10_000.0), burst: burst.unwrap_or(5_000) })
}

fn quota(settings: &Value) -> Option<Quota> {
    Some(Quota {
        limit: settings["limit"].as_u64()?,
        offset: settings["offset"].as_u64().unwrap_or(0),
        period: settings["period"].as_str()?.to_owned(),
    })
}
