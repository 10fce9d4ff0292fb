//! `msk/configuration`: broker properties that a cluster uses.
//!
//! A change of properties makes another revision of the same configuration, to which the cluster is then moved.
//! Configurations have no tags, so each of ours says in its description whose it is.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_kafka::primitives::Blob;
use aws_sdk_kafka::types::{Configuration as SdkConfiguration, ConfigurationState};
use pinfra_engine::{Address, Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::listing::configurations;
use super::properties;
use crate::clients::Clients;
use crate::delete::{delete_once_unused, unless_leaving};
use crate::error::{classify, incomplete, unless_gone};
use crate::wait::{Pace, Progress, once_name_is_free, through_conflicts, wait_until};

/// A cluster that used it may hold it for some minutes after it is gone.
const DELETE_PACE: Pace = Pace { slowest: Duration::from_secs(10), limit: Duration::from_secs(5 * 60) };

/// What the description of each of ours begins with.
const OURS: &str = "pinfra:";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationInputs {
    /// Unique in account and region.
    pub name: String,
    /// The Kafka versions it may be used with, sorted.
    pub kafka_versions: Vec<String>,
    /// Broker properties, such as `log.retention.hours`.
    pub properties: BTreeMap<String, String>,
    /// Whose it is ([`ownership`]).
    pub description: String,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationOutputs {
    /// Its ARN.
    pub arn: String,
    /// The newest revision, counted from 1.
    pub revision: i64,
}

/// The description that says whose a configuration is.
pub fn ownership(stack: &str, address: &Address) -> String {
    format!("{OURS}{stack}:{address}")
}

/// The stack and the address in a description of [`ownership`].
pub(crate) fn read_ownership(description: &str) -> Option<(&str, Address)> {
    let (stack, address) = description.strip_prefix(OURS)?.split_once(':')?;
    Some((stack, address.parse().ok()?))
}

/// Whose a configuration is that has this description, seen from one that should have `wanted`.
fn owner(wanted: &str, found: &str) -> Owner {
    if found == wanted {
        return Owner::Ours;
    }
    Owner::Theirs(match read_ownership(found) {
        Some((stack, address)) => format!("`{address}` of the stack `{stack}`"),
        None => "not made by pinfra".to_owned(),
    })
}

/// Every configuration of account and region.
pub(super) async fn all(clients: &Clients) -> Result<Vec<SdkConfiguration>, CloudError> {
    let mut pages = clients.kafka.list_configurations().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("kafka:ListConfigurations", &error))?;
        found.extend(page.configurations.unwrap_or_default());
    }
    Ok(found)
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Configuration {
    clients: Clients,
}

type LiveConfiguration = Live<ConfigurationInputs, ConfigurationOutputs>;

impl Configuration {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Configuration {
        Configuration { clients: clients.clone() }
    }

    async fn named(&self, name: &str) -> Result<Option<SdkConfiguration>, CloudError> {
        Ok(all(&self.clients).await?.into_iter().find(|found| found.name.as_deref() == Some(name)))
    }

    /// The configuration, from the list of all where this is a look and that has it.
    async fn describe(&self, arn: &str) -> Result<Option<SdkConfiguration>, CloudError> {
        if self.clients.look.is_some() {
            let all = configurations(&self.clients).await?;
            if let Some(listed) = all.iter().find(|found| found.arn() == Some(arn)) {
                return Ok(Some(listed.clone()));
            }
        }
        let answer = self.clients.kafka.describe_configuration().arn(arn).send().await;
        let found = unless_gone(answer.map_err(|error| classify("kafka:DescribeConfiguration", &error)))?;
        Ok(found.map(|found| {
            SdkConfiguration::builder()
                .set_arn(found.arn)
                .set_name(found.name)
                .set_description(found.description)
                .set_kafka_versions(found.kafka_versions)
                .set_latest_revision(found.latest_revision)
                .set_state(found.state)
                .build()
        }))
    }

    async fn live(&self, found: SdkConfiguration) -> Result<LiveConfiguration, CloudError> {
        let arn = found.arn.unwrap_or_default();
        let revision = found.latest_revision.and_then(|latest| latest.revision);
        let revision = revision.ok_or_else(|| incomplete("kafka:DescribeConfiguration", "revision"))?;
        let properties = self.properties(&arn, revision).await?;
        let mut kafka_versions = found.kafka_versions.unwrap_or_default();
        kafka_versions.sort();
        let inputs = ConfigurationInputs {
            name: found.name.unwrap_or_default(),
            kafka_versions,
            properties,
            description: found.description.unwrap_or_default(),
        };
        Ok(Live { inputs, outputs: ConfigurationOutputs { arn, revision } })
    }

    /// The properties of a revision. Revisions never change, so that of a recorded one is not read.
    async fn properties(&self, arn: &str, revision: i64) -> Result<BTreeMap<String, String>, CloudError> {
        let recorded = self.clients.recorded::<Configuration>(arn);
        if let Some(recorded) = recorded.filter(|recorded| recorded.outputs.revision == revision) {
            return Ok(recorded.inputs.properties);
        }
        let request = self.clients.kafka.describe_configuration_revision().arn(arn).revision(revision);
        let answer = request.send().await.map_err(|error| classify("kafka:DescribeConfigurationRevision", &error))?;
        let text = answer.server_properties.map(Blob::into_inner).unwrap_or_default();
        Ok(properties::from_text(&String::from_utf8_lossy(&text)))
    }

    /// Makes a revision of the wanted properties.
    async fn revise(&self, arn: &str, new: &ConfigurationInputs) -> Result<(), CloudError> {
        through_conflicts(|| async {
            let request = self.clients.kafka.update_configuration().arn(arn).description(&new.description);
            let sent = request.server_properties(blob(new)).send().await;
            sent.map(drop).map_err(|error| classify("kafka:UpdateConfiguration", &error))
        })
        .await
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the configuration {arn} to be gone"), DELETE_PACE, || async {
            Ok(match self.describe(arn).await?.and_then(|found| found.state) {
                None => Progress::Ready(()),
                Some(ConfigurationState::DeleteFailed) => Progress::Failed("deleting it failed".to_owned()),
                Some(state) => Progress::Pending(state.as_str().to_owned()),
            })
        })
        .await
    }
}

fn blob(inputs: &ConfigurationInputs) -> Blob {
    Blob::new(properties::to_text(&inputs.properties))
}

impl Resource for Configuration {
    const INFO: KindInfo = KindInfo {
        kind: "msk/configuration",
        summary: "broker properties that a cluster uses",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "unique in account and region" },
            Field {
                name: "kafka_versions",
                on_change: OnChange::Replace,
                doc: "the Kafka versions it may be used with",
            },
            Field {
                name: "properties",
                on_change: OnChange::Update,
                doc: "broker properties, such as `log.retention.hours`; a change makes another revision",
            },
            Field { name: "description", on_change: OnChange::Ignore, doc: "says whose it is: it has no tags" },
        ],
        outputs: &[("arn", "the configuration's ARN"), ("revision", "its newest revision, counted from 1")],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(10),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["revision"];

    type Inputs = ConfigurationInputs;
    type Outputs = ConfigurationOutputs;

    async fn create(&self, call: &Call, new: &ConfigurationInputs) -> Result<String, CloudError> {
        let send = || async {
            let request = self.clients.kafka.create_configuration().name(&new.name).description(&new.description);
            let request = request
                .set_kafka_versions(Some(new.kafka_versions.clone()).filter(|versions| !versions.is_empty()))
                .server_properties(blob(new));
            let made = request.send().await.map_err(|error| classify("kafka:CreateConfiguration", &error))?;
            made.arn.ok_or_else(|| incomplete("kafka:CreateConfiguration", "ARN"))
        };
        once_name_is_free(call, send, || async {
            let Some(found) = self.named(&new.name).await? else { return Ok(true) };
            let leaves = found.state == Some(ConfigurationState::Deleting);
            if leaves {
                self.gone(call, found.arn.as_deref().unwrap_or_default()).await?;
            }
            Ok(leaves)
        })
        .await
    }

    async fn settle(&self, _call: &Call, id: &str, new: &ConfigurationInputs) -> Result<LiveConfiguration, CloudError> {
        let gone = || CloudError::new(ErrorKind::NotFound, Self::INFO.kind, format!("`{id}` is gone again"));
        let now = self.live(self.describe(id).await?.ok_or_else(gone)?).await?;
        if now.inputs.properties == new.properties {
            return Ok(now);
        }
        self.revise(id, new).await?;
        let now = self.live(self.describe(id).await?.ok_or_else(gone)?).await?;
        if now.inputs.properties != new.properties {
            // Their revision beside our properties would be taken for read by every look that comes after.
            let message = format!("`{id}` was revised by somebody else meanwhile");
            return Err(CloudError::new(ErrorKind::Conflict, Self::INFO.kind, message));
        }
        Ok(now)
    }

    async fn read(&self, id: &str) -> Result<Option<LiveConfiguration>, CloudError> {
        match self.describe(id).await? {
            Some(found) if found.state != Some(ConfigurationState::Deleting) => self.live(found).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn find(&self, new: &ConfigurationInputs) -> Result<Option<Found>, CloudError> {
        let found = self.named(&new.name).await?.filter(|found| found.state != Some(ConfigurationState::Deleting));
        Ok(found.map(|found| Found {
            owner: owner(&new.description, found.description.as_deref().unwrap_or_default()),
            id: found.arn.unwrap_or_default(),
        }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        old: &ConfigurationInputs,
        new: &ConfigurationInputs,
    ) -> Result<(), CloudError> {
        if old.properties == new.properties {
            return Ok(());
        }
        self.revise(id, new).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        global_name.contains(":configuration/").then(|| global_name.to_owned())
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let send = || async {
            let sent = self.clients.kafka.delete_configuration().arn(id).send().await;
            let sent = sent.map(drop).map_err(|error| classify("kafka:DeleteConfiguration", &error));
            unless_leaving(sent, || async {
                let found = self.describe(id).await?;
                Ok(found.and_then(|found| found.state) == Some(ConfigurationState::Deleting))
            })
            .await
        };
        delete_once_unused(call, &format!("deleting the configuration {id}"), DELETE_PACE, send).await?;
        self.gone(call, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_whose_a_configuration_is() {
        let address = Address::new("msk/configuration", "pins.main");
        let description = ownership("pins", &address);
        assert_eq!(read_ownership(&description), Some(("pins", address)));
        assert_eq!(owner(&description, &description), Owner::Ours);
        let theirs = Owner::Theirs("`msk/configuration.pins.main` of the stack `pins`".to_owned());
        assert_eq!(owner("pinfra:other:msk/configuration.a", &description), theirs);
        assert_eq!(owner(&description, "tuned by hand"), Owner::Theirs("not made by pinfra".to_owned()));
    }
}
