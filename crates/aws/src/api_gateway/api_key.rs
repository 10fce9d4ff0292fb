//! `api_gateway/api_key`: a key that callers send in `x-api-key`.
//!
//! API Gateway makes the value and keeps it. It is a secret: neither inputs nor outputs have it, so it never comes into
//! state; who needs it asks `GetApiKey` with `includeValue`. Names of keys are not unique: a key is known by its tags.

use std::time::Duration;

use aws_sdk_apigateway::types::{Op, PatchOperation};
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::names;
use super::sending::{patch, sent_once};
use crate::clients::Clients;
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::through_conflicts;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyInputs {
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whether calls with it are let through.
    pub enabled: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers, but for the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyOutputs {
    /// Its id, by which its value can be asked for.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct ApiKey {
    clients: Clients,
}

impl ApiKey {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> ApiKey {
        ApiKey { clients: clients.clone() }
    }

    async fn tagged(&self, new: &ApiKeyInputs) -> Result<Option<String>, CloudError> {
        let request = self.clients.apigateway.get_api_keys().name_query(&new.name).include_values(false);
        let mut pages = request.into_paginator().page_size(500).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("apigateway:GetApiKeys", &error))?;
            for key in page.items.unwrap_or_default() {
                let tags: Tags = key.tags.unwrap_or_default().into_iter().collect();
                if tags::owner(&new.tags, &tags) == Owner::Ours {
                    return Ok(key.id);
                }
            }
        }
        Ok(None)
    }

    async fn bring(&self, id: &str, old: &ApiKeyInputs, new: &ApiKeyInputs) -> Result<(), CloudError> {
        let patches = patches(old, new);
        if !patches.is_empty() {
            through_conflicts(|| async {
                let request = self.clients.apigateway.update_api_key().api_key(id);
                let sent = request.set_patch_operations(Some(patches.clone())).send().await;
                sent.map(drop).map_err(|error| classify("apigateway:UpdateApiKey", &error))
            })
            .await?;
        }
        names::retag(&self.clients, &self.arn(id), &old.tags, &new.tags).await
    }

    fn arn(&self, id: &str) -> String {
        names::arn(&self.clients.region, &format!("/apikeys/{id}"))
    }
}

fn patches(old: &ApiKeyInputs, new: &ApiKeyInputs) -> Vec<PatchOperation> {
    let mut patches = Vec::new();
    if old.name != new.name {
        patches.push(patch(Op::Replace, "/name", Some(&new.name)));
    }
    if old.description != new.description {
        patches.push(patch(Op::Replace, "/description", Some(&new.description)));
    }
    if old.enabled != new.enabled {
        patches.push(patch(Op::Replace, "/enabled", Some(&new.enabled.to_string())));
    }
    patches
}

impl Resource for ApiKey {
    const INFO: KindInfo = KindInfo {
        kind: "api_gateway/api_key",
        summary: "an API key; its value stays with API Gateway",
        fields: &[
            Field { name: "name", on_change: OnChange::Update, doc: "for people; keys may share a name" },
            Field { name: "description", on_change: OnChange::Update, doc: "for people" },
            Field { name: "enabled", on_change: OnChange::Update, doc: "whether calls with it are let through" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("id", "the key's id, by which its value can be asked for"),
            ("arn", "the key's ARN"),
            ("name", "the key's name"),
        ],
        loses: "its value: a key that is made again has another one",
        usual_create: Duration::from_secs(1),
        usual_update: Duration::from_secs(1),
        usual_delete: Duration::from_secs(1),
    };

    const KNOWN_AGAIN: bool = false;

    type Inputs = ApiKeyInputs;
    type Outputs = ApiKeyOutputs;

    async fn create(&self, _call: &Call, new: &ApiKeyInputs) -> Result<String, CloudError> {
        let request = self.clients.apigateway.create_api_key().name(&new.name).description(&new.description);
        let request = request.enabled(new.enabled).set_tags(Some(new.tags.clone().into_iter().collect()));
        let made = request.customize().config_override(sent_once()).send().await;
        let made = made.map_err(|error| classify("apigateway:CreateApiKey", &error))?;
        made.id.ok_or_else(|| incomplete("apigateway:CreateApiKey", "id"))
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &ApiKeyInputs,
    ) -> Result<Live<ApiKeyInputs, ApiKeyOutputs>, CloudError> {
        let gone = || CloudError::new(ErrorKind::NotFound, Self::INFO.kind, format!("the key `{id}` is gone again"));
        let now = self.read(id).await?.ok_or_else(gone)?;
        if now.inputs == *new {
            return Ok(now);
        }
        self.bring(id, &now.inputs, new).await?;
        self.read(id).await?.ok_or_else(gone)
    }

    async fn read(&self, id: &str) -> Result<Option<Live<ApiKeyInputs, ApiKeyOutputs>>, CloudError> {
        let found = match self.clients.apigateway.get_api_key().api_key(id).include_value(false).send().await {
            Ok(found) => found,
            Err(error) => match classify("apigateway:GetApiKey", &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let name = found.name.unwrap_or_default();
        let outputs = ApiKeyOutputs { id: id.to_owned(), arn: self.arn(id), name: name.clone() };
        let inputs = ApiKeyInputs {
            name,
            description: found.description.unwrap_or_default(),
            enabled: found.enabled,
            tags: found.tags.unwrap_or_default().into_iter().collect(),
        };
        Ok(Some(Live { inputs, outputs }))
    }

    async fn find(&self, new: &ApiKeyInputs) -> Result<Option<Found>, CloudError> {
        Ok(self.tagged(new).await?.map(|id| Found { id, owner: Owner::Ours }))
    }

    async fn update(&self, _call: &Call, id: &str, old: &ApiKeyInputs, new: &ApiKeyInputs) -> Result<(), CloudError> {
        self.bring(id, old, new).await
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let deleted = through_conflicts(|| async {
            let sent = self.clients.apigateway.delete_api_key().api_key(id).send().await;
            sent.map(drop).map_err(|error| classify("apigateway:DeleteApiKey", &error))
        });
        match deleted.await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
