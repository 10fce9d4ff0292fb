//! `msk_connect/worker_configuration`: properties of the workers that connectors run on.
//!
//! It is there at once and never changes; a name is free again only when what had it is gone.

use std::time::Duration;

use aws_sdk_kafkaconnect::operation::describe_worker_configuration::DescribeWorkerConfigurationOutput;
use aws_sdk_kafkaconnect::types::{WorkerConfigurationState, WorkerConfigurationSummary};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pinfra_engine::{Call, CloudError, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::tagging::{retag, tags_of};
use super::used;
use crate::clients::Clients;
use crate::delete::{delete_once_unused, unless_leaving};
use crate::error::{classify, incomplete, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, once_name_is_free, wait_until};

/// A connector that used it may hold it for a while.
const PACE: Pace = Pace { slowest: Duration::from_secs(10), limit: Duration::from_secs(10 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfigurationInputs {
    /// Unique in account and region; it has the hash of the content in it.
    pub name: String,
    /// The content of a properties file.
    pub properties: String,
    /// What it is, for people.
    pub description: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerConfigurationOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its revision, which is 1: worker configurations never change.
    pub revision: i64,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct WorkerConfiguration {
    clients: Clients,
}

type LiveWorkerConfiguration = Live<WorkerConfigurationInputs, WorkerConfigurationOutputs>;

impl WorkerConfiguration {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> WorkerConfiguration {
        WorkerConfiguration { clients: clients.clone() }
    }

    async fn named(&self, name: &str) -> Result<Option<WorkerConfigurationSummary>, CloudError> {
        let request = self.clients.kafkaconnect.list_worker_configurations().name_prefix(name);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("kafkaconnect:ListWorkerConfigurations", &error))?;
            let mut all = page.worker_configurations.unwrap_or_default().into_iter();
            if let Some(found) = all.find(|configuration| configuration.name.as_deref() == Some(name)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn describe(&self, arn: &str) -> Result<Option<DescribeWorkerConfigurationOutput>, CloudError> {
        let request = self.clients.kafkaconnect.describe_worker_configuration().worker_configuration_arn(arn);
        let answer = request.send().await;
        unless_gone(answer.map_err(|error| classify("kafkaconnect:DescribeWorkerConfiguration", &error)))
    }

    async fn live(&self, found: DescribeWorkerConfigurationOutput) -> Result<LiveWorkerConfiguration, CloudError> {
        let tags = tags_of(&self.clients, found.worker_configuration_arn().unwrap_or_default()).await?;
        Ok(live_with(found, tags))
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the worker configuration {arn} to be gone"), PACE, || async {
            Ok(match self.describe(arn).await? {
                None => Progress::Ready(()),
                Some(_) => Progress::Pending("DELETING".to_owned()),
            })
        })
        .await
    }
}

/// A worker configuration with its tags.
fn live_with(found: DescribeWorkerConfigurationOutput, tags: Tags) -> LiveWorkerConfiguration {
    let arn = found.worker_configuration_arn.unwrap_or_default();
    let revision = found.latest_revision;
    let content = revision.as_ref().and_then(|revision| revision.properties_file_content.as_deref());
    let content = STANDARD.decode(content.unwrap_or_default()).unwrap_or_default();
    let inputs = WorkerConfigurationInputs {
        name: found.name.unwrap_or_default(),
        properties: String::from_utf8_lossy(&content).into_owned(),
        description: found.description.unwrap_or_default(),
        tags,
    };
    let revision = revision.map_or(1, |revision| revision.revision);
    Live { inputs, outputs: WorkerConfigurationOutputs { arn, revision } }
}

impl Resource for WorkerConfiguration {
    const INFO: KindInfo = KindInfo {
        kind: "msk_connect/worker_configuration",
        summary: "properties of the workers that connectors run on",
        fields: &[
            Field {
                name: "name",
                on_change: OnChange::Replace,
                doc: "unique in account and region, 1 to 128 characters; it has the hash of the content in it",
            },
            Field {
                name: "properties",
                on_change: OnChange::Replace,
                doc: "a properties file, such as `key.converter=…`; some keys are MSK Connect's own",
            },
            Field { name: "description", on_change: OnChange::Replace, doc: "what it is, up to 1,024 characters" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[("arn", "the worker configuration's ARN"), ("revision", "its revision, which stays 1")],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(10),
    };

    type Inputs = WorkerConfigurationInputs;
    type Outputs = WorkerConfigurationOutputs;

    async fn create(&self, call: &Call, new: &WorkerConfigurationInputs) -> Result<String, CloudError> {
        let send = || async {
            let request = self.clients.kafkaconnect.create_worker_configuration().name(&new.name);
            let request = request.properties_file_content(STANDARD.encode(&new.properties));
            let request = request.description(&new.description);
            let sent = request.set_tags(Some(new.tags.clone().into_iter().collect())).send().await;
            let made = sent.map_err(|error| classify("kafkaconnect:CreateWorkerConfiguration", &error))?;
            made.worker_configuration_arn.ok_or_else(|| incomplete("kafkaconnect:CreateWorkerConfiguration", "ARN"))
        };
        once_name_is_free(call, send, || async {
            let Some(found) = self.named(&new.name).await? else { return Ok(true) };
            let leaves = found.worker_configuration_state == Some(WorkerConfigurationState::Deleting);
            if leaves {
                self.gone(call, found.worker_configuration_arn.as_deref().unwrap_or_default()).await?;
            }
            Ok(leaves)
        })
        .await
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &WorkerConfigurationInputs,
    ) -> Result<LiveWorkerConfiguration, CloudError> {
        let found = wait_until(call, &format!("waiting for the worker configuration {id}"), PACE, || async {
            let found = self.describe(id).await?;
            Ok(found.map_or(Progress::Unseen, Progress::Ready))
        })
        .await?;
        let now = self.live(found).await?;
        retag(&self.clients, id, &now.inputs.tags, &new.tags).await?;
        Ok(Live { inputs: WorkerConfigurationInputs { tags: new.tags.clone(), ..now.inputs }, outputs: now.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveWorkerConfiguration>, CloudError> {
        if let Some(recorded) = used::recorded::<WorkerConfiguration>(&self.clients, id).await? {
            let inputs = WorkerConfigurationInputs { tags: tags_of(&self.clients, id).await?, ..recorded.inputs };
            return Ok(Some(Live { inputs, outputs: recorded.outputs }));
        }
        let (found, tags) = Box::pin(async { futures::join!(self.describe(id), tags_of(&self.clients, id)) }).await;
        match found? {
            Some(found) if found.worker_configuration_state != Some(WorkerConfigurationState::Deleting) => {
                Ok(Some(live_with(found, tags?)))
            }
            _ => Ok(None),
        }
    }

    async fn find(&self, new: &WorkerConfigurationInputs) -> Result<Option<Found>, CloudError> {
        let found = self.named(&new.name).await?;
        let found = found.filter(|found| found.worker_configuration_state != Some(WorkerConfigurationState::Deleting));
        let Some(arn) = found.and_then(|found| found.worker_configuration_arn) else { return Ok(None) };
        let owner = tags::owner(&new.tags, &tags_of(&self.clients, &arn).await?);
        Ok(Some(Found { id: arn, owner }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        old: &WorkerConfigurationInputs,
        new: &WorkerConfigurationInputs,
    ) -> Result<(), CloudError> {
        retag(&self.clients, id, &old.tags, &new.tags).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        global_name.contains(":worker-configuration/").then(|| global_name.to_owned())
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let send = || async {
            let sent =
                self.clients.kafkaconnect.delete_worker_configuration().worker_configuration_arn(id).send().await;
            let sent = sent.map(drop).map_err(|error| classify("kafkaconnect:DeleteWorkerConfiguration", &error));
            unless_leaving(sent, || async {
                let found = self.describe(id).await?;
                Ok(found.and_then(|found| found.worker_configuration_state) == Some(WorkerConfigurationState::Deleting))
            })
            .await
        };
        delete_once_unused(call, &format!("deleting the worker configuration {id}"), PACE, send).await?;
        self.gone(call, id).await
    }
}
