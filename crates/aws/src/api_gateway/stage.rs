//! `api_gateway/stage`: the name under which a deployment is served.
//!
//! A stage is made with its deployment, variables and tags; throttling is a patch afterwards. When it has moved to a
//! new deployment, it deletes those of ours that nothing serves any more. Logs are off: they would go out under a
//! role that all of an account's APIs share.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_apigateway::types::{MethodSetting, Op, PatchOperation};
use pinfra_engine::drift::Hints;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::deployment::{delete_unserved, ours};
use super::listing::stages;
use super::names;
use super::sending::{escaped, patch};
use crate::clients::{Clients, partition};
use crate::error::{classify, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::through_conflicts;

/// The key of the settings of all methods.
pub(crate) const ALL_METHODS: &str = "*/*";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageInputs {
    /// The API's id.
    pub rest_api: Input<String>,
    /// The id of the deployment that it serves.
    pub deployment: Input<String>,
    /// The first part of every path.
    pub name: String,
    /// Calls a second over all callers; `None` leaves the account's limit.
    pub throttle_rate: Option<f64>,
    /// Calls at once over all callers; `None` leaves the account's limit.
    pub throttle_burst: Option<i32>,
    /// Values that integrations may refer to.
    pub variables: BTreeMap<String, Input<String>>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOutputs {
    /// Its name.
    pub name: String,
    /// Where it answers, without a slash at the end.
    pub invoke_url: String,
    /// Its ARN.
    pub arn: String,
    /// The ARN of all its methods, for policies that let somebody call them ("ARN format of API Gateway API execution",
    /// API Gateway developer guide).
    pub methods_arn: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Stage {
    clients: Clients,
}

impl Stage {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Stage {
        Stage { clients: clients.clone() }
    }

    async fn describe(&self, id: &str) -> Result<Option<Live<StageInputs, StageOutputs>>, CloudError> {
        let (api, name) = parts(id)?;
        if let Some(listed) = self.listed(api, name).await? {
            return Ok(Some(self.live(api, name, listed)));
        }
        let found = match self.clients.apigateway.get_stage().rest_api_id(api).stage_name(name).send().await {
            Ok(found) => found,
            Err(error) => match classify("apigateway:GetStage", &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let found = Served {
            deployment: found.deployment_id,
            method_settings: found.method_settings,
            variables: found.variables,
            tags: found.tags,
        };
        Ok(Some(self.live(api, name, found)))
    }

    /// The stage as the list has it, where this is a look.
    async fn listed(&self, api: &str, name: &str) -> Result<Option<Served>, CloudError> {
        // An API that is gone has no list, and the stage itself says so.
        let stages = unless_gone(stages(&self.clients, api).await)?.flatten();
        let found = stages.as_ref().and_then(|stages| stages.iter().find(|stage| stage.stage_name() == Some(name)));
        Ok(found.cloned().map(|stage| Served {
            deployment: stage.deployment_id,
            method_settings: stage.method_settings,
            variables: stage.variables,
            tags: stage.tags,
        }))
    }

    fn live(&self, api: &str, name: &str, found: Served) -> Live<StageInputs, StageOutputs> {
        let settings = found.method_settings.unwrap_or_default().remove(ALL_METHODS);
        let inputs = StageInputs {
            rest_api: Input::Known(api.to_owned()),
            deployment: Input::Known(found.deployment.unwrap_or_default()),
            name: name.to_owned(),
            throttle_rate: settings.as_ref().map(|settings| settings.throttling_rate_limit),
            throttle_burst: settings.as_ref().map(|settings| settings.throttling_burst_limit),
            variables: found
                .variables
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key, Input::Known(value)))
                .collect(),
            tags: found.tags.unwrap_or_default().into_iter().collect(),
        };
        let outputs = StageOutputs {
            name: name.to_owned(),
            invoke_url: names::invoke_url(self.clients.apis.as_deref(), &self.clients.region, api, name),
            arn: self.arn(api, name),
            methods_arn: self.methods_arn(api, name),
        };
        Live { inputs, outputs }
    }

    fn methods_arn(&self, api: &str, name: &str) -> String {
        let (region, account) = (&self.clients.region, &self.clients.account);
        format!("arn:{}:execute-api:{region}:{account}:{api}/{name}/*", partition(region))
    }

    fn arn(&self, api: &str, name: &str) -> String {
        names::arn(&self.clients.region, &format!("/restapis/{api}/stages/{name}"))
    }

    /// Brings the stage from `old` to `new`.
    async fn bring(&self, id: &str, old: &StageInputs, new: &StageInputs) -> Result<(), CloudError> {
        let (api, name) = parts(id)?;
        let patches = patches(old, new)?;
        if !patches.is_empty() {
            through_conflicts(|| async {
                let request = self.clients.apigateway.update_stage().rest_api_id(api).stage_name(name);
                let sent = request.set_patch_operations(Some(patches.clone())).send().await;
                sent.map(drop).map_err(|error| classify("apigateway:UpdateStage", &error))
            })
            .await?;
        }
        names::retag(&self.clients, &self.arn(api, name), &old.tags, &new.tags).await
    }

    /// Deletes deployments of ours that nothing serves any more.
    async fn collect(&self, api: &str, served: &str) -> Result<(), CloudError> {
        for deployment in ours(&self.clients, api).await? {
            if deployment.id != served {
                delete_unserved(&self.clients, api, &deployment.id).await?;
            }
        }
        Ok(())
    }
}

/// A stage, whichever call has told of it.
struct Served {
    deployment: Option<String>,
    method_settings: Option<HashMap<String, MethodSetting>>,
    variables: Option<HashMap<String, String>>,
    tags: Option<HashMap<String, String>>,
}

/// The patches that lead from `old` to `new`, tags apart.
fn patches(old: &StageInputs, new: &StageInputs) -> Result<Vec<PatchOperation>, CloudError> {
    let mut patches = Vec::new();
    if old.deployment != new.deployment {
        let deployment = new.deployment.known()?;
        patches.push(patch(Op::Replace, "/deploymentId", Some(deployment)));
    }
    let before = (old.throttle_rate, old.throttle_burst);
    let after = (new.throttle_rate, new.throttle_burst);
    if before != after && after == (None, None) {
        patches.push(patch(Op::Remove, format!("/{ALL_METHODS}"), None));
    } else if before != after {
        if let Some(rate) = new.throttle_rate {
            patches.push(patch(Op::Replace, format!("/{ALL_METHODS}/throttling/rateLimit"), Some(&rate.to_string())));
        }
        if let Some(burst) = new.throttle_burst {
            patches.push(patch(Op::Replace, format!("/{ALL_METHODS}/throttling/burstLimit"), Some(&burst.to_string())));
        }
    }
    for (key, value) in new.variables.iter().filter(|(key, value)| old.variables.get(*key) != Some(value)) {
        patches.push(patch(Op::Replace, format!("/variables/{}", escaped(key)), Some(value.known()?)));
    }
    for key in old.variables.keys().filter(|key| !new.variables.contains_key(*key)) {
        patches.push(patch(Op::Remove, format!("/variables/{}", escaped(key)), None));
    }
    Ok(patches)
}

/// The API and the name in an id `<api>/<name>`.
fn parts(id: &str) -> Result<(&str, &str), CloudError> {
    id.split_once('/').ok_or_else(|| {
        CloudError::new(ErrorKind::Invalid, Stage::INFO.kind, format!("`{id}` is not the id of a stage: <api>/<name>"))
    })
}

fn id_of(inputs: &StageInputs) -> Result<String, CloudError> {
    Ok(format!("{}/{}", inputs.rest_api.known()?, inputs.name))
}

impl Resource for Stage {
    const INFO: KindInfo = KindInfo {
        kind: "api_gateway/stage",
        summary: "a stage of a REST API: where it answers, and how often it may be called",
        fields: &[
            Field { name: "rest_api", on_change: OnChange::Replace, doc: "the API's id" },
            Field { name: "deployment", on_change: OnChange::Update, doc: "the id of the deployment it serves" },
            Field { name: "name", on_change: OnChange::Replace, doc: "the first part of every path" },
            Field {
                name: "throttle_rate",
                on_change: OnChange::Update,
                doc: "calls a second over all callers; both or neither of rate and burst",
            },
            Field { name: "throttle_burst", on_change: OnChange::Update, doc: "calls at once over all callers" },
            Field { name: "variables", on_change: OnChange::Update, doc: "values that integrations may refer to" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("name", "the stage's name"),
            ("invoke_url", "where the stage answers, without a slash at the end"),
            ("arn", "the stage's ARN"),
            ("methods_arn", "the ARN of all its methods, for policies that let somebody call them"),
        ],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(1),
    };

    const DRIFT: Hints = Hints { members: &[], works: &["deployment"] };

    type Inputs = StageInputs;
    type Outputs = StageOutputs;

    async fn create(&self, _call: &Call, new: &StageInputs) -> Result<String, CloudError> {
        let api = new.rest_api.known()?;
        let deployment = new.deployment.known()?;
        let request = self.clients.apigateway.create_stage().rest_api_id(api).stage_name(&new.name);
        let request = request.deployment_id(deployment);
        let mut request = request;
        for (key, value) in &new.variables {
            request = request.variables(key, value.known()?);
        }
        let request = request.set_tags(Some(new.tags.clone().into_iter().collect()));
        match request.send().await {
            Ok(_) => id_of(new),
            Err(error) => match classify("apigateway:CreateStage", &error) {
                // The code is that of any change at the same time; a stage of the name is what the text says.
                taken if taken.kind == ErrorKind::Conflict && taken.message.contains("already exists") => {
                    Err(CloudError { kind: ErrorKind::AlreadyExists, ..taken })
                }
                error => Err(error),
            },
        }
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &StageInputs,
    ) -> Result<Live<StageInputs, StageOutputs>, CloudError> {
        let gone = || CloudError::new(ErrorKind::NotFound, Self::INFO.kind, format!("the stage `{id}` is gone again"));
        let mut now = self.describe(id).await?.ok_or_else(gone)?;
        if now.inputs != *new {
            self.bring(id, &now.inputs, new).await?;
            now = self.describe(id).await?.ok_or_else(gone)?;
        }
        let (api, _) = parts(id)?;
        self.collect(api, now.inputs.deployment.known()?).await?;
        Ok(now)
    }

    async fn read(&self, id: &str) -> Result<Option<Live<StageInputs, StageOutputs>>, CloudError> {
        self.describe(id).await
    }

    async fn find(&self, new: &StageInputs) -> Result<Option<Found>, CloudError> {
        let id = id_of(new)?;
        let found = self.describe(&id).await?;
        Ok(found.map(|found| Found { id, owner: tags::owner(&new.tags, &found.inputs.tags) }))
    }

    async fn update(&self, _call: &Call, id: &str, old: &StageInputs, new: &StageInputs) -> Result<(), CloudError> {
        self.bring(id, old, new).await
    }

    /// `<api>/<name>`, of `…:/restapis/<api>/stages/<name>`.
    fn id_in(global_name: &str) -> Option<String> {
        let (api, name) = global_name.split_once("/restapis/")?.1.split_once("/stages/")?;
        Some(format!("{api}/{name}"))
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let (api, name) = parts(id)?;
        let deleted = through_conflicts(|| async {
            let sent = self.clients.apigateway.delete_stage().rest_api_id(api).stage_name(name).send().await;
            sent.map(drop).map_err(|error| classify("apigateway:DeleteStage", &error))
        });
        match deleted.await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_api_and_stage() {
        let arn = "arn:aws:apigateway:us-east-1::/restapis/a1b2/stages/prod";
        assert_eq!(Stage::id_in(arn), Some("a1b2/prod".to_owned()));
        assert_eq!(Stage::id_in("arn:aws:apigateway:us-east-1::/restapis/a1b2"), None);
    }
}
