//! `api_gateway/deployment`: the frozen copy of an API that a stage serves.
//!
//! AWS's deployments never change, and one cannot be deleted while a stage serves it. The engine replaces by deleting first, so
//! a new deployment in the place of an old one would be refused. This kind therefore stands for *the newest deployment of ours*
//! of an API: its id is the API's, a change makes another deployment beside the old one and tells its id in the
//! output `deployment_id`, the stage moves to it, and then deletes those that nothing serves any more.
//!
//! Deployments have neither names nor tags. Each of ours says in its description its number, which tells the newest
//! (`createdDate` has seconds), and the hash of what it froze, which tells whether it must be made again.

use std::time::Duration;

use aws_sdk_apigateway::types::Deployment as SdkDeployment;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::listing::deployments;
use super::sending::sent_once;
use crate::clients::Clients;
use crate::error::classify;
use crate::wait::through_conflicts;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentInputs {
    /// The API's id.
    pub rest_api: Input<String>,
    /// The hash of the document that is to be served ([`super::document::Document::hash`]).
    pub document_hash: String,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentOutputs {
    /// The id of the newest deployment.
    pub deployment_id: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Deployment {
    clients: Clients,
}

/// A deployment of ours.
pub(super) struct Ours {
    pub(super) id: String,
    number: u64,
    hash: String,
}

impl Deployment {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Deployment {
        Deployment { clients: clients.clone() }
    }

    async fn newest(&self, api: &str) -> Result<Option<Ours>, CloudError> {
        match ours(&self.clients, api).await {
            Ok(ours) => Ok(ours.into_iter().max_by_key(|deployment| deployment.number)),
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a deployment unless the newest is of this hash.
    async fn deploy(&self, api: &str, hash: &str) -> Result<(), CloudError> {
        let newest = self.newest(api).await?;
        if newest.as_ref().is_some_and(|newest| newest.hash == hash) {
            return Ok(());
        }
        let description = describe(newest.map_or(1, |newest| newest.number + 1), hash);
        let request = self.clients.apigateway.create_deployment().rest_api_id(api).description(&description);
        let made = request.customize().config_override(sent_once()).send().await;
        made.map(drop).map_err(|error| classify("apigateway:CreateDeployment", &error))
    }
}

/// Deployments of an API that are ours.
pub(super) async fn ours(clients: &Clients, api: &str) -> Result<Vec<Ours>, CloudError> {
    let all = deployments(clients, api).await?;
    let ours = |deployment: &SdkDeployment| {
        let (number, hash) = read_description(deployment.description()?)?;
        Some(Ours { id: deployment.id.clone().unwrap_or_default(), number, hash: hash.to_owned() })
    };
    Ok(all.iter().filter_map(ours).collect())
}

/// Deletes a deployment unless a stage serves it. Returns whether it is gone.
pub(super) async fn delete_unserved(clients: &Clients, api: &str, id: &str) -> Result<bool, CloudError> {
    let deleted = through_conflicts(|| async {
        let sent = clients.apigateway.delete_deployment().rest_api_id(api).deployment_id(id).send().await;
        sent.map(drop).map_err(|error| classify("apigateway:DeleteDeployment", &error))
    });
    match deleted.await {
        Ok(()) => Ok(true),
        Err(gone) if gone.kind == ErrorKind::NotFound => Ok(true),
        Err(served) if served.kind == ErrorKind::Blocked => Ok(false),
        Err(error) => Err(error),
    }
}

fn describe(number: u64, hash: &str) -> String {
    format!("pinfra deployment {number} of document {hash}")
}

/// The number and the hash in the description of a deployment of ours.
pub(crate) fn read_description(description: &str) -> Option<(u64, &str)> {
    let (number, hash) = description.strip_prefix("pinfra deployment ")?.split_once(" of document ")?;
    Some((number.parse().ok()?, hash))
}

impl Resource for Deployment {
    const INFO: KindInfo = KindInfo {
        kind: "api_gateway/deployment",
        summary: "the frozen copy of a REST API that its stage serves",
        fields: &[
            Field { name: "rest_api", on_change: OnChange::Replace, doc: "the API's id" },
            Field {
                name: "document_hash",
                on_change: OnChange::Update,
                doc: "of the API's document; another one makes a new deployment, to which the stage moves",
            },
        ],
        outputs: &[("deployment_id", "the id of the newest deployment")],
        loses: "",
        usual_create: Duration::from_secs(5),
        usual_update: Duration::from_secs(5),
        usual_delete: Duration::from_secs(1),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["deployment_id"];

    const KNOWN_AGAIN: bool = false;

    type Inputs = DeploymentInputs;
    type Outputs = DeploymentOutputs;

    async fn create(&self, _call: &Call, new: &DeploymentInputs) -> Result<String, CloudError> {
        let api = new.rest_api.known()?;
        self.deploy(api, &new.document_hash).await?;
        Ok(api.clone())
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &DeploymentInputs,
    ) -> Result<Live<DeploymentInputs, DeploymentOutputs>, CloudError> {
        self.deploy(id, &new.document_hash).await?;
        let gone = || CloudError::new(ErrorKind::NotFound, Self::INFO.kind, "the deployment is gone again");
        self.read(id).await?.ok_or_else(gone)
    }

    async fn read(&self, id: &str) -> Result<Option<Live<DeploymentInputs, DeploymentOutputs>>, CloudError> {
        Ok(self.newest(id).await?.map(|newest| Live {
            inputs: DeploymentInputs { rest_api: Input::Known(id.to_owned()), document_hash: newest.hash },
            outputs: DeploymentOutputs { deployment_id: newest.id },
        }))
    }

    async fn find(&self, new: &DeploymentInputs) -> Result<Option<Found>, CloudError> {
        let api = new.rest_api.known()?;
        Ok(self.newest(api).await?.map(|_| Found { id: api.clone(), owner: Owner::Ours }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        _old: &DeploymentInputs,
        new: &DeploymentInputs,
    ) -> Result<(), CloudError> {
        self.deploy(id, &new.document_hash).await
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let ours = match ours(&self.clients, id).await {
            Ok(ours) => ours,
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for deployment in ours {
            if !delete_unserved(&self.clients, id, &deployment.id).await? {
                let message = format!("a stage still serves the deployment `{}` of the API `{id}`", deployment.id);
                let error = CloudError::new(ErrorKind::Blocked, "apigateway:DeleteDeployment", message);
                return Err(error.with_hint("delete the stage, or move it to another deployment"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_tell_number_and_hash_and_others_are_not_ours() {
        assert_eq!(read_description(&describe(12, "ab")), Some((12, "ab")));
        for other in ["", "release 3", "pinfra deployment x of document ab"] {
            assert_eq!(read_description(other), None, "{other}");
        }
    }
}
