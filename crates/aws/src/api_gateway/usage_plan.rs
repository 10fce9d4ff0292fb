//! `api_gateway/usage_plan`: which keys may call which stages, and how often.
//!
//! Stages, throttling and quota go with the create request; keys are calls of their own. One `UpdateUsagePlan` is allowed
//! in twenty seconds (API Gateway quotas), so all patches of a change go in one. Names of plans are not unique: a plan is known by
//! its tags.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_apigateway::types::{
    ApiStage, Op, PatchOperation, QuotaPeriodType, QuotaSettings, ThrottleSettings, UsagePlan as SdkPlan,
};
use pinfra_engine::drift::Hints;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::listing::plans;
use super::names;
use super::sending::{patch, sent_once};
use crate::clients::Clients;
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::through_conflicts;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsagePlanInputs {
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// Which stages, sorted.
    pub stages: Vec<PlanStage>,
    /// The ids of the keys on it, sorted.
    pub keys: Vec<Input<String>>,
    /// How fast each key may call.
    pub throttle: Option<PlanThrottle>,
    /// How often each key may call.
    pub quota: Option<PlanQuota>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A stage that a plan covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStage {
    /// The API's id.
    pub rest_api: Input<String>,
    /// The stage's name.
    pub stage: Input<String>,
}

/// A rate, as a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanThrottle {
    /// Calls a second in the long run.
    pub rate: f64,
    /// Calls at once.
    pub burst: i32,
}

/// How many calls a period holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanQuota {
    /// Calls in a period.
    pub limit: i32,
    /// `DAY`, `WEEK` or `MONTH`.
    pub period: String,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsagePlanOutputs {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct UsagePlan {
    clients: Clients,
}

impl UsagePlan {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> UsagePlan {
        UsagePlan { clients: clients.clone() }
    }

    async fn tagged(&self, wanted: &Tags) -> Result<Option<String>, CloudError> {
        let mut pages = self.clients.apigateway.get_usage_plans().into_paginator().page_size(500).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("apigateway:GetUsagePlans", &error))?;
            for plan in page.items.unwrap_or_default() {
                let tags: Tags = plan.tags.unwrap_or_default().into_iter().collect();
                if tags::owner(wanted, &tags) == Owner::Ours {
                    return Ok(plan.id);
                }
            }
        }
        Ok(None)
    }

    async fn keys(&self, id: &str) -> Result<Vec<Input<String>>, CloudError> {
        let mut keys = BTreeSet::new();
        let request = self.clients.apigateway.get_usage_plan_keys().usage_plan_id(id);
        let mut pages = request.into_paginator().page_size(500).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("apigateway:GetUsagePlanKeys", &error))?;
            keys.extend(page.items.unwrap_or_default().into_iter().filter_map(|key| key.id));
        }
        Ok(keys.into_iter().map(Input::Known).collect())
    }

    async fn describe(&self, id: &str) -> Result<Live<UsagePlanInputs, UsagePlanOutputs>, CloudError> {
        let (found, keys) = Box::pin(async { futures::join!(self.plan(id), self.keys(id)) }).await;
        let (found, keys) = (found?, keys?);
        let stages = found.api_stages.unwrap_or_default().into_iter();
        let mut stages: Vec<(String, String)> =
            stages.map(|on| (on.api_id.unwrap_or_default(), on.stage.unwrap_or_default())).collect();
        stages.sort();
        let stage = |(api, stage)| PlanStage { rest_api: Input::Known(api), stage: Input::Known(stage) };
        let name = found.name.unwrap_or_default();
        let inputs = UsagePlanInputs {
            name: name.clone(),
            description: found.description.unwrap_or_default(),
            stages: stages.into_iter().map(stage).collect(),
            keys,
            throttle: found.throttle.map(|of| PlanThrottle { rate: of.rate_limit, burst: of.burst_limit }),
            quota: found.quota.map(|of| PlanQuota {
                limit: of.limit,
                period: of.period.map(|period| period.as_str().to_owned()).unwrap_or_default(),
            }),
            tags: found.tags.unwrap_or_default().into_iter().collect(),
        };
        Ok(Live { inputs, outputs: UsagePlanOutputs { id: id.to_owned(), name } })
    }

    /// The plan as the list has it, where this is a look and it is in it.
    async fn plan(&self, id: &str) -> Result<SdkPlan, CloudError> {
        let plans = plans(&self.clients).await?;
        let listed = plans.as_ref().and_then(|plans| plans.iter().find(|plan| plan.id() == Some(id)));
        if let Some(listed) = listed {
            return Ok(listed.clone());
        }
        let found = self.clients.apigateway.get_usage_plan().usage_plan_id(id).send().await;
        let found = found.map_err(|error| classify("apigateway:GetUsagePlan", &error))?;
        Ok(SdkPlan::builder()
            .set_name(found.name)
            .set_description(found.description)
            .set_api_stages(found.api_stages)
            .set_throttle(found.throttle)
            .set_quota(found.quota)
            .set_tags(found.tags)
            .build())
    }

    async fn patch(&self, id: &str, patches: &[PatchOperation]) -> Result<(), CloudError> {
        if patches.is_empty() {
            return Ok(());
        }
        through_conflicts(|| async {
            let request = self.clients.apigateway.update_usage_plan().usage_plan_id(id);
            let sent = request.set_patch_operations(Some(patches.to_vec())).send().await;
            sent.map(drop).map_err(|error| classify("apigateway:UpdateUsagePlan", &error))
        })
        .await
    }

    async fn bring(&self, id: &str, old: &UsagePlanInputs, new: &UsagePlanInputs) -> Result<(), CloudError> {
        let kept: BTreeSet<String> = all_known(&new.keys)?;
        let there: BTreeSet<String> = all_known(&old.keys)?;
        for key in there.difference(&kept) {
            let request = self.clients.apigateway.delete_usage_plan_key().usage_plan_id(id).key_id(key);
            if let Err(error) = request.send().await {
                let error = classify("apigateway:DeleteUsagePlanKey", &error);
                if error.kind != ErrorKind::NotFound {
                    return Err(error);
                }
            }
        }
        self.patch(id, &patches(old, new)?).await?;
        for key in kept.difference(&there) {
            through_conflicts(|| async {
                let request = self.clients.apigateway.create_usage_plan_key().usage_plan_id(id);
                let sent = request.key_id(key).key_type("API_KEY").send().await;
                sent.map(drop).map_err(|error| classify("apigateway:CreateUsagePlanKey", &error))
            })
            .await?;
        }
        let arn = names::arn(&self.clients.region, &format!("/usageplans/{id}"));
        names::retag(&self.clients, &arn, &old.tags, &new.tags).await
    }
}

fn all_known(inputs: &[Input<String>]) -> Result<BTreeSet<String>, CloudError> {
    inputs.iter().map(|input| input.known().cloned()).collect()
}

/// `<api>:<stage>` of each.
fn stage_names(stages: &[PlanStage]) -> Result<BTreeSet<String>, CloudError> {
    let name = |stage: &PlanStage| -> Result<String, CloudError> {
        Ok(format!("{}:{}", stage.rest_api.known()?, stage.stage.known()?))
    };
    stages.iter().map(name).collect()
}

fn patches(old: &UsagePlanInputs, new: &UsagePlanInputs) -> Result<Vec<PatchOperation>, CloudError> {
    let mut patches = Vec::new();
    let (there, wanted) = (stage_names(&old.stages)?, stage_names(&new.stages)?);
    for stage in there.difference(&wanted) {
        patches.push(patch(Op::Remove, "/apiStages", Some(stage)));
    }
    for stage in wanted.difference(&there) {
        patches.push(patch(Op::Add, "/apiStages", Some(stage)));
    }
    if old.name != new.name {
        patches.push(patch(Op::Replace, "/name", Some(&new.name)));
    }
    if old.description != new.description {
        patches.push(patch(Op::Replace, "/description", Some(&new.description)));
    }
    match &new.throttle {
        throttle if *throttle == old.throttle => {}
        None => patches.push(patch(Op::Remove, "/throttle", None)),
        Some(throttle) => {
            patches.push(patch(Op::Replace, "/throttle/rateLimit", Some(&throttle.rate.to_string())));
            patches.push(patch(Op::Replace, "/throttle/burstLimit", Some(&throttle.burst.to_string())));
        }
    }
    match &new.quota {
        quota if *quota == old.quota => {}
        None => patches.push(patch(Op::Remove, "/quota", None)),
        Some(quota) => {
            patches.push(patch(Op::Replace, "/quota/limit", Some(&quota.limit.to_string())));
            patches.push(patch(Op::Replace, "/quota/period", Some(&quota.period)));
        }
    }
    Ok(patches)
}

impl Resource for UsagePlan {
    const INFO: KindInfo = KindInfo {
        kind: "api_gateway/usage_plan",
        summary: "a usage plan: which keys may call which stages, and how often",
        fields: &[
            Field { name: "name", on_change: OnChange::Update, doc: "for people; plans may share a name" },
            Field { name: "description", on_change: OnChange::Update, doc: "for people" },
            Field { name: "stages", on_change: OnChange::Update, doc: "APIs and stages that it covers" },
            Field { name: "keys", on_change: OnChange::Update, doc: "the ids of the API keys on it" },
            Field {
                name: "throttle",
                on_change: OnChange::Update,
                doc: "calls a second and at once, for each key; none for the account's limit",
            },
            Field {
                name: "quota",
                on_change: OnChange::Update,
                doc: "calls in a day, week or month, for each key; none for no limit",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[("id", "the plan's id"), ("name", "the plan's name")],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(5),
        usual_delete: Duration::from_secs(5),
    };

    const DRIFT: Hints = Hints { members: &["stages", "keys"], works: &[] };

    const KNOWN_AGAIN: bool = false;

    type Inputs = UsagePlanInputs;
    type Outputs = UsagePlanOutputs;

    async fn create(&self, _call: &Call, new: &UsagePlanInputs) -> Result<String, CloudError> {
        let mut stages = Vec::new();
        for stage in &new.stages {
            let api = stage.rest_api.known()?;
            let name = stage.stage.known()?;
            stages.push(ApiStage::builder().api_id(api).stage(name).build());
        }
        let throttle = new
            .throttle
            .map(|throttle| ThrottleSettings::builder().rate_limit(throttle.rate).burst_limit(throttle.burst).build());
        let quota = new.quota.as_ref().map(|quota| {
            QuotaSettings::builder().limit(quota.limit).period(QuotaPeriodType::from(quota.period.as_str())).build()
        });
        let request = self.clients.apigateway.create_usage_plan().name(&new.name).description(&new.description);
        let request = request.set_api_stages(Some(stages)).set_throttle(throttle).set_quota(quota);
        let request = request.set_tags(Some(new.tags.clone().into_iter().collect()));
        let made = request.customize().config_override(sent_once()).send().await;
        let made = made.map_err(|error| classify("apigateway:CreateUsagePlan", &error))?;
        made.id.ok_or_else(|| incomplete("apigateway:CreateUsagePlan", "id"))
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &UsagePlanInputs,
    ) -> Result<Live<UsagePlanInputs, UsagePlanOutputs>, CloudError> {
        let now = self.describe(id).await?;
        if now.inputs == *new {
            return Ok(now);
        }
        self.bring(id, &now.inputs, new).await?;
        self.describe(id).await
    }

    async fn read(&self, id: &str) -> Result<Option<Live<UsagePlanInputs, UsagePlanOutputs>>, CloudError> {
        match self.describe(id).await {
            Ok(live) => Ok(Some(live)),
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, new: &UsagePlanInputs) -> Result<Option<Found>, CloudError> {
        Ok(self.tagged(&new.tags).await?.map(|id| Found { id, owner: Owner::Ours }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        old: &UsagePlanInputs,
        new: &UsagePlanInputs,
    ) -> Result<(), CloudError> {
        self.bring(id, old, new).await
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let delete = || async {
            let sent = self.clients.apigateway.delete_usage_plan().usage_plan_id(id).send().await;
            sent.map(drop).map_err(|error| classify("apigateway:DeleteUsagePlan", &error))
        };
        // A plan with stages is refused. They are let go of only then, since an update has to wait its turn.
        let refused = match through_conflicts(delete).await {
            Err(error) if error.kind == ErrorKind::Invalid => error,
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        };
        let Some(found) = self.read(id).await? else { return Ok(()) };
        if found.inputs.stages.is_empty() {
            return Err(refused);
        }
        let without = UsagePlanInputs { stages: Vec::new(), ..found.inputs.clone() };
        self.patch(id, &patches(&found.inputs, &without)?).await?;
        match through_conflicts(delete).await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
