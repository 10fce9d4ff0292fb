//! `api_gateway/rest_api`: a REST API with its paths, written as one document.
//!
//! `CreateRestApi` makes an empty API, and one `PutRestApi` in the mode `overwrite` writes all of it: as single calls the same
//! would take minutes at ten a second. It is read back with one paged `GetResources` and two short lists, and compared
//! as [`Document`]s. Names of APIs are not unique, so an API is known by its tags alone.

use std::time::Duration;

use aws_sdk_apigateway::config::Builder;
use aws_sdk_apigateway::config::retry::RetryConfig;
use aws_sdk_apigateway::primitives::Blob;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType, Op, PutMode, Resource as SdkResource};
use pinfra_engine::drift::Hints;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::document::Document;
use super::openapi::openapi;
use super::sending::{patch, sent_once};
use super::{live, names};
use crate::clients::Clients;
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, through_conflicts, wait_until};

/// The largest page of a list (API reference).
const PAGE: i32 = 500;

/// One API may be deleted in thirty seconds ("Quotas for creating, deploying and managing an API", developer guide), so of
/// ten stacks that go at once the last has to wait for five minutes.
const DELETE_PACE: Pace = Pace { slowest: Duration::from_secs(10), limit: Duration::from_secs(10 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestApiInputs {
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// `REGIONAL` or `EDGE`.
    pub endpoint: String,
    /// All that callers can do with it.
    pub document: Document,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestApiOutputs {
    /// Its id, the first label of its host name.
    pub id: String,
    /// The id of the path `/`.
    pub root_resource_id: String,
    /// Its ARN.
    pub arn: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct RestApi {
    clients: Clients,
}

impl RestApi {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> RestApi {
        RestApi { clients: clients.clone() }
    }

    /// The API that carries these tags, whoever made it a second time.
    async fn tagged(&self, wanted: &Tags) -> Result<Option<String>, CloudError> {
        let mut pages = self.clients.apigateway.get_rest_apis().into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("apigateway:GetRestApis", &error))?;
            for api in page.items.unwrap_or_default() {
                let tags: Tags = api.tags.unwrap_or_default().into_iter().collect();
                if tags::owner(wanted, &tags) == Owner::Ours {
                    return Ok(api.id);
                }
            }
        }
        Ok(None)
    }

    async fn resources(&self, id: &str) -> Result<Vec<SdkResource>, CloudError> {
        let client = &self.clients.apigateway;
        let mut resources = Vec::new();
        let mut pages = client.get_resources().rest_api_id(id).embed("methods").into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("apigateway:GetResources", &error))?;
            resources.extend(page.items.unwrap_or_default());
        }
        Ok(resources)
    }

    async fn describe(&self, id: &str) -> Result<Live<RestApiInputs, RestApiOutputs>, CloudError> {
        let client = &self.clients.apigateway;
        let parts = async {
            futures::join!(
                client.get_rest_api().rest_api_id(id).send(),
                self.resources(id),
                client.get_request_validators().rest_api_id(id).limit(PAGE).send(),
                client.get_models().rest_api_id(id).limit(PAGE).send(),
            )
        };
        let (found, resources, validators, models) = Box::pin(parts).await;
        let found = found.map_err(|error| classify("apigateway:GetRestApi", &error))?;
        let validators = validators.map_err(|error| classify("apigateway:GetRequestValidators", &error))?;
        let models = models.map_err(|error| classify("apigateway:GetModels", &error))?;
        let types = found.endpoint_configuration.and_then(|endpoint| endpoint.types).unwrap_or_default();
        let document = live::document(
            found.binary_media_types.unwrap_or_default(),
            resources?,
            validators.items.unwrap_or_default(),
            models.items.unwrap_or_default(),
        );
        let inputs = RestApiInputs {
            name: found.name.unwrap_or_default(),
            description: found.description.unwrap_or_default(),
            endpoint: types.first().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            document,
            tags: found.tags.unwrap_or_default().into_iter().collect(),
        };
        let outputs = RestApiOutputs {
            id: id.to_owned(),
            root_resource_id: found.root_resource_id.unwrap_or_default(),
            arn: self.arn(id),
        };
        Ok(Live { inputs, outputs })
    }

    fn arn(&self, id: &str) -> String {
        names::arn(&self.clients.region, &format!("/restapis/{id}"))
    }

    /// Brings the API from `old` to `new`.
    async fn bring(&self, id: &str, old: &RestApiInputs, new: &RestApiInputs) -> Result<(), CloudError> {
        let client = &self.clients.apigateway;
        if (&old.name, &old.description, &old.document) != (&new.name, &new.description, &new.document) {
            let body = openapi(&new.name, &new.description, &new.document)?.to_string();
            through_conflicts(|| async {
                let request = client.put_rest_api().rest_api_id(id).mode(PutMode::Overwrite);
                let sent = request.body(Blob::new(body.as_bytes())).send().await;
                sent.map(drop).map_err(|error| classify("apigateway:PutRestApi", &error))
            })
            .await?;
        }
        if old.endpoint != new.endpoint {
            let path = format!("/endpointConfiguration/types/{}", old.endpoint);
            through_conflicts(|| async {
                let request = client.update_rest_api().rest_api_id(id);
                let request = request.patch_operations(patch(Op::Replace, path.as_str(), Some(&new.endpoint)));
                let sent = request.send().await;
                sent.map(drop).map_err(|error| classify("apigateway:UpdateRestApi", &error))
            })
            .await?;
        }
        names::retag(&self.clients, &self.arn(id), &old.tags, &new.tags).await
    }
}

impl Resource for RestApi {
    const INFO: KindInfo = KindInfo {
        kind: "api_gateway/rest_api",
        summary: "an API Gateway REST API with its paths, methods and integrations",
        fields: &[
            Field { name: "name", on_change: OnChange::Update, doc: "for people; APIs may share a name" },
            Field { name: "description", on_change: OnChange::Update, doc: "for people" },
            Field { name: "endpoint", on_change: OnChange::Update, doc: "`REGIONAL` or `EDGE`" },
            Field {
                name: "document",
                on_change: OnChange::Update,
                doc: "paths, methods, integrations, models and validators; written whole, and served after a deployment",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("id", "the API's id, the first label of its host name"),
            ("root_resource_id", "the id of the path `/`"),
            ("arn", "the API's ARN"),
        ],
        loses: "its address: an API that is made again has another one",
        usual_create: Duration::from_secs(5),
        usual_update: Duration::from_secs(3),
        // One API may be deleted in thirty seconds (API Gateway quotas).
        usual_delete: Duration::from_secs(15),
    };

    const DRIFT: Hints =
        Hints { members: &["document.paths.*.*", "document.models.*", "document.validators.*"], works: &[] };

    const KNOWN_AGAIN: bool = false;

    type Inputs = RestApiInputs;
    type Outputs = RestApiOutputs;

    async fn create(&self, _call: &Call, new: &RestApiInputs) -> Result<String, CloudError> {
        let endpoint = EndpointConfiguration::builder().types(EndpointType::from(new.endpoint.as_str())).build();
        let request = self.clients.apigateway.create_rest_api().name(&new.name).description(&new.description);
        let request = request.endpoint_configuration(endpoint);
        let request = request.set_tags(Some(new.tags.clone().into_iter().collect()));
        let made = request.customize().config_override(sent_once()).send().await;
        let made = made.map_err(|error| classify("apigateway:CreateRestApi", &error))?;
        made.id.ok_or_else(|| incomplete("apigateway:CreateRestApi", "id"))
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &RestApiInputs,
    ) -> Result<Live<RestApiInputs, RestApiOutputs>, CloudError> {
        let now = self.describe(id).await?;
        if now.inputs == *new {
            return Ok(now);
        }
        self.bring(id, &now.inputs, new).await?;
        self.describe(id).await
    }

    async fn read(&self, id: &str) -> Result<Option<Live<RestApiInputs, RestApiOutputs>>, CloudError> {
        match self.describe(id).await {
            Ok(live) => Ok(Some(live)),
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, new: &RestApiInputs) -> Result<Option<Found>, CloudError> {
        Ok(self.tagged(&new.tags).await?.map(|id| Found { id, owner: Owner::Ours }))
    }

    async fn update(&self, _call: &Call, id: &str, old: &RestApiInputs, new: &RestApiInputs) -> Result<(), CloudError> {
        self.bring(id, old, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("deleting the API {id}"), DELETE_PACE, || async {
            // The SDK would try for as long in silence.
            let retries = RetryConfig::standard().with_max_attempts(3);
            let sent = self.clients.apigateway.delete_rest_api().rest_api_id(id).customize();
            let sent = sent.config_override(Builder::new().retry_config(retries)).send().await;
            let error = match sent.map_err(|error| classify("apigateway:DeleteRestApi", &error)) {
                Ok(_) => return Ok(Progress::Ready(())),
                Err(error) => error,
            };
            match error.kind {
                ErrorKind::NotFound => Ok(Progress::Ready(())),
                ErrorKind::Conflict => Ok(Progress::Pending("being changed".to_owned())),
                ErrorKind::Throttled => {
                    Ok(Progress::Pending("held back: API Gateway deletes one API in 30 s for an account".to_owned()))
                }
                _ => Err(error),
            }
        })
        .await
    }
}
