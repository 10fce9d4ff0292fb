//! `msk_connect/plugin`: code that connectors run, from an object in a bucket.
//!
//! MSK Connect copies the object when the plugin is made and never looks again, so other content is another plugin. Its name
//! is free again only when it is gone, and it is not deleted while a connector uses it.

use std::time::Duration;

use aws_sdk_kafkaconnect::operation::describe_custom_plugin::DescribeCustomPluginOutput;
use aws_sdk_kafkaconnect::types::{
    CustomPluginContentType, CustomPluginLocation, CustomPluginState, CustomPluginSummary, S3Location, StateDescription,
};
use pinfra_engine::resource::BeyondUpdate;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::tagging::{retag, tags_of};
use super::used;
use crate::clients::{Clients, partition};
use crate::delete::{delete_once_unused, unless_leaving};
use crate::error::{classify, incomplete, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, once_name_is_free, wait_until};

/// Making one takes under two minutes (field); other tools wait ten.
const PACE: Pace = Pace { slowest: Duration::from_secs(10), limit: Duration::from_secs(10 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginInputs {
    /// Unique in account and region; it has the hash of the content in it.
    pub name: String,
    /// The bucket's name.
    pub bucket: Input<String>,
    /// The object's key.
    pub key: Input<String>,
    /// `ZIP` or `JAR`.
    pub content_type: String,
    /// What it is, for people.
    pub description: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its revision, which is 1: plugins never change.
    pub revision: i64,
    /// Why it will never be usable, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it does not work now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Plugin {
    clients: Clients,
}

type LivePlugin = Live<PluginInputs, PluginOutputs>;

impl Plugin {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Plugin {
        Plugin { clients: clients.clone() }
    }

    async fn named(&self, name: &str) -> Result<Option<CustomPluginSummary>, CloudError> {
        let mut pages = self.clients.kafkaconnect.list_custom_plugins().name_prefix(name).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("kafkaconnect:ListCustomPlugins", &error))?;
            let mut plugins = page.custom_plugins.unwrap_or_default().into_iter();
            if let Some(found) = plugins.find(|plugin| plugin.name.as_deref() == Some(name)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn describe(&self, arn: &str) -> Result<Option<DescribeCustomPluginOutput>, CloudError> {
        let answer = self.clients.kafkaconnect.describe_custom_plugin().custom_plugin_arn(arn).send().await;
        unless_gone(answer.map_err(|error| classify("kafkaconnect:DescribeCustomPlugin", &error)))
    }

    async fn live(&self, found: DescribeCustomPluginOutput) -> Result<LivePlugin, CloudError> {
        let tags = tags_of(&self.clients, found.custom_plugin_arn().unwrap_or_default()).await?;
        Ok(live_with(found, tags))
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the plugin {arn} to be gone"), PACE, || async {
            Ok(match self.describe(arn).await? {
                None => Progress::Ready(()),
                Some(found) => Progress::Pending(state_of(found.custom_plugin_state.as_ref()).to_owned()),
            })
        })
        .await
    }
}

/// A plugin with its tags.
fn live_with(found: DescribeCustomPluginOutput, tags: Tags) -> LivePlugin {
    let arn = found.custom_plugin_arn.clone().unwrap_or_default();
    let failure = is_broken(found.custom_plugin_state.as_ref())
        .then(|| told(found.custom_plugin_state.as_ref(), found.state_description.as_ref()));
    let idle = failure.is_none() && found.custom_plugin_state != Some(CustomPluginState::Active);
    let condition = idle.then(|| format!("the plugin is {}", state_of(found.custom_plugin_state.as_ref())));
    let revision = found.latest_revision;
    let object = revision.as_ref().and_then(|revision| revision.location.as_ref()?.s3_location.as_ref());
    let bucket = object.and_then(|object| object.bucket_arn.as_deref()?.rsplit(':').next());
    let inputs = PluginInputs {
        name: found.name.unwrap_or_default(),
        bucket: Input::Known(bucket.unwrap_or_default().to_owned()),
        key: Input::Known(object.and_then(|object| object.file_key.clone()).unwrap_or_default()),
        content_type: revision
            .as_ref()
            .and_then(|revision| revision.content_type.as_ref())
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        description: found.description.unwrap_or_default(),
        tags,
    };
    let revision = revision.map_or(1, |revision| revision.revision);
    Live { inputs, outputs: PluginOutputs { arn, revision, failure, condition } }
}

fn state_of(state: Option<&CustomPluginState>) -> &str {
    state.map_or("in no state yet", CustomPluginState::as_str)
}

fn is_broken(state: Option<&CustomPluginState>) -> bool {
    matches!(state, Some(CustomPluginState::CreateFailed | CustomPluginState::UpdateFailed))
}

/// What MSK Connect says of a plugin that it could not make.
fn told(state: Option<&CustomPluginState>, description: Option<&StateDescription>) -> String {
    let code = description.and_then(|description| description.code.as_deref()).unwrap_or(state_of(state));
    let message = description.and_then(|description| description.message.as_deref());
    format!("{code}: {}", message.unwrap_or("MSK Connect gives no reason"))
}

fn beyond_update(live: &LivePlugin, _new: &PluginInputs) -> Option<String> {
    live.outputs.failure.as_ref().map(|failure| format!("it will never be usable: {failure}"))
}

impl Resource for Plugin {
    const INFO: KindInfo = KindInfo {
        kind: "msk_connect/plugin",
        summary: "code that connectors run, copied from an object in a bucket",
        fields: &[
            Field {
                name: "name",
                on_change: OnChange::Replace,
                doc: "unique in account and region, 1 to 128 characters; it has the hash of the content in it",
            },
            Field { name: "bucket", on_change: OnChange::Replace, doc: "the bucket's name" },
            Field { name: "key", on_change: OnChange::Replace, doc: "the object's key" },
            Field { name: "content_type", on_change: OnChange::Replace, doc: "`ZIP` or `JAR`" },
            Field { name: "description", on_change: OnChange::Replace, doc: "what it is, up to 1,024 characters" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the plugin's ARN"),
            ("revision", "its revision, which stays 1"),
            ("condition", "why it does not work now, where that is so"),
            ("failure", "why it will never be usable, where that is so"),
        ],
        loses: "",
        usual_create: Duration::from_secs(60),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(30),
    };
    const BEYOND_UPDATE: Option<BeyondUpdate<PluginInputs, PluginOutputs>> = Some(beyond_update);

    type Inputs = PluginInputs;
    type Outputs = PluginOutputs;

    async fn create(&self, call: &Call, new: &PluginInputs) -> Result<String, CloudError> {
        let bucket = format!("arn:{}:s3:::{}", partition(&self.clients.region), new.bucket.known()?);
        let object = S3Location::builder().bucket_arn(bucket).file_key(new.key.known()?).build();
        let object = object.map_err(|error| CloudError::new(ErrorKind::Invalid, Self::INFO.kind, error.to_string()))?;
        let location = CustomPluginLocation::builder().s3_location(object).build();
        let send = || async {
            let request = self.clients.kafkaconnect.create_custom_plugin().name(&new.name).location(location.clone());
            let request = request.content_type(CustomPluginContentType::from(new.content_type.as_str()));
            let request = request.description(&new.description);
            let sent = request.set_tags(Some(new.tags.clone().into_iter().collect())).send().await;
            let made = sent.map_err(|error| classify("kafkaconnect:CreateCustomPlugin", &error))?;
            made.custom_plugin_arn.ok_or_else(|| incomplete("kafkaconnect:CreateCustomPlugin", "ARN"))
        };
        once_name_is_free(call, send, || async {
            let Some(found) = self.named(&new.name).await? else { return Ok(true) };
            let leaves = found.custom_plugin_state == Some(CustomPluginState::Deleting);
            if leaves {
                self.gone(call, found.custom_plugin_arn.as_deref().unwrap_or_default()).await?;
            }
            Ok(leaves)
        })
        .await
    }

    async fn settle(&self, call: &Call, id: &str, new: &PluginInputs) -> Result<LivePlugin, CloudError> {
        let found = wait_until(call, &format!("waiting for the plugin {id}"), PACE, || async {
            Ok(match self.describe(id).await? {
                None => Progress::Unseen,
                Some(found) => match found.custom_plugin_state.as_ref() {
                    Some(CustomPluginState::Active) => Progress::Ready(found),
                    Some(CustomPluginState::Deleting) => Progress::Failed("somebody is deleting the plugin".to_owned()),
                    state if is_broken(state) => Progress::Failed(told(state, found.state_description.as_ref())),
                    state => Progress::Pending(state_of(state).to_owned()),
                },
            })
        })
        .await?;
        let now = self.live(found).await?;
        retag(&self.clients, id, &now.inputs.tags, &new.tags).await?;
        Ok(Live { inputs: PluginInputs { tags: new.tags.clone(), ..now.inputs }, outputs: now.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LivePlugin>, CloudError> {
        if let Some(recorded) = used::recorded::<Plugin>(&self.clients, id).await? {
            let inputs = PluginInputs { tags: tags_of(&self.clients, id).await?, ..recorded.inputs };
            return Ok(Some(Live { inputs, outputs: recorded.outputs }));
        }
        let (found, tags) = Box::pin(async { futures::join!(self.describe(id), tags_of(&self.clients, id)) }).await;
        match found? {
            Some(found) if found.custom_plugin_state != Some(CustomPluginState::Deleting) => {
                Ok(Some(live_with(found, tags?)))
            }
            _ => Ok(None),
        }
    }

    async fn find(&self, new: &PluginInputs) -> Result<Option<Found>, CloudError> {
        let found = self.named(&new.name).await?;
        let found = found.filter(|found| found.custom_plugin_state != Some(CustomPluginState::Deleting));
        let Some(arn) = found.and_then(|found| found.custom_plugin_arn) else { return Ok(None) };
        let owner = tags::owner(&new.tags, &tags_of(&self.clients, &arn).await?);
        Ok(Some(Found { id: arn, owner }))
    }

    async fn update(&self, _call: &Call, id: &str, old: &PluginInputs, new: &PluginInputs) -> Result<(), CloudError> {
        retag(&self.clients, id, &old.tags, &new.tags).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        global_name.contains(":custom-plugin/").then(|| global_name.to_owned())
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let send = || async {
            let sent = self.clients.kafkaconnect.delete_custom_plugin().custom_plugin_arn(id).send().await;
            let sent = sent.map(drop).map_err(|error| classify("kafkaconnect:DeleteCustomPlugin", &error));
            unless_leaving(sent, || async {
                let found = self.describe(id).await?;
                Ok(found.and_then(|found| found.custom_plugin_state) == Some(CustomPluginState::Deleting))
            })
            .await
        };
        delete_once_unused(call, &format!("deleting the plugin {id}"), PACE, send).await?;
        self.gone(call, id).await
    }
}
