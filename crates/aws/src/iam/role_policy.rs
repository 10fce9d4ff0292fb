//! `iam/role_policy`: an inline policy of a role: what the role may do.
//!
//! It has no tags of its own. Its id is `role/name`, and it belongs to whom its role belongs.

use std::time::Duration;

use pinfra_engine::resource::STACK_TAG;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listing::roles;
use super::{PACE, passing, read_policy};
use crate::clients::Clients;
use crate::error::classify;
use crate::wait::{Progress, wait_until};

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolePolicyInputs {
    /// The name of the role.
    pub role: Input<String>,
    /// Unique in the role, 1 to 128 letters, digits and `+=,.@-_`.
    pub name: String,
    /// The policy document, normalised by [`crate::policy::normalise_policy`].
    #[serde(deserialize_with = "crate::policy::deserialize")]
    pub policy: Value,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePolicyOutputs {
    /// The name of the role: an input that refers to it waits for the policy, too.
    pub role: String,
    /// Its name.
    pub name: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct RolePolicy {
    clients: Clients,
}

impl RolePolicy {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> RolePolicy {
        RolePolicy { clients: clients.clone() }
    }

    /// `PutRolePolicy` makes and replaces alike.
    async fn put(&self, call: &Call, new: &RolePolicyInputs) -> Result<String, CloudError> {
        let role = new.role.known()?;
        let (what, document) = (format!("writing the policy {} of {role}", new.name), new.policy.to_string());
        wait_until(call, &what, PACE, || async {
            let request = self.clients.iam.put_role_policy().role_name(role).policy_name(&new.name);
            match request.policy_document(&document).send().await {
                Ok(_) => Ok(Progress::Ready(format!("{role}/{}", new.name))),
                Err(error) => match classify("iam:PutRolePolicy", &error) {
                    early if early.kind == ErrorKind::NotFound => Ok(Progress::Early(early)),
                    error => passing(error),
                },
            }
        })
        .await
    }
}

/// The document as the list of all roles has it, where there is one and it is in it.
async fn listed(clients: &Clients, role: &str, name: &str) -> Result<Option<String>, CloudError> {
    let Some(roles) = roles(clients).await? else { return Ok(None) };
    let detail = roles.details.as_ref().and_then(|details| details.get(role));
    let policies = detail.map(|detail| detail.role_policy_list()).unwrap_or_default();
    let policy = policies.iter().find(|policy| policy.policy_name() == Some(name));
    Ok(policy.and_then(|policy| policy.policy_document.clone()))
}

fn live(role: &str, name: &str, policy: Value) -> Live<RolePolicyInputs, RolePolicyOutputs> {
    let inputs = RolePolicyInputs { role: Input::Known(role.to_owned()), name: name.to_owned(), policy };
    Live { inputs, outputs: RolePolicyOutputs { role: role.to_owned(), name: name.to_owned() } }
}

impl Resource for RolePolicy {
    const INFO: KindInfo = KindInfo {
        kind: "iam/role_policy",
        summary: "an inline policy of an IAM role",
        fields: &[
            Field { name: "role", on_change: OnChange::Replace, doc: "the name of the role" },
            Field { name: "name", on_change: OnChange::Replace, doc: "1 to 128 letters, digits and `+=,.@-_`" },
            Field {
                name: "policy",
                on_change: OnChange::Update,
                doc: "what the role may do; all inline policies of a role have 10,240 characters",
            },
        ],
        outputs: &[("role", "the name of the role"), ("name", "the policy's name")],
        loses: "",
        usual_create: Duration::from_secs(1),
        usual_update: Duration::from_secs(1),
        usual_delete: Duration::from_secs(1),
    };

    type Inputs = RolePolicyInputs;
    type Outputs = RolePolicyOutputs;

    async fn create(&self, call: &Call, new: &RolePolicyInputs) -> Result<String, CloudError> {
        self.put(call, new).await
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &RolePolicyInputs,
    ) -> Result<Live<RolePolicyInputs, RolePolicyOutputs>, CloudError> {
        let what = format!("waiting for the policy {id}");
        let found = wait_until(call, &what, PACE, || async {
            Ok(match self.read(id).await? {
                Some(found) => Progress::Ready(found),
                None => Progress::Unseen,
            })
        })
        .await?;
        if found.inputs.policy == new.policy {
            return Ok(found);
        }
        self.put(call, new).await?;
        Ok(Live { inputs: new.clone(), outputs: found.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<Live<RolePolicyInputs, RolePolicyOutputs>>, CloudError> {
        const OPERATION: &str = "iam:GetRolePolicy";
        let Some((role, name)) = id.split_once('/') else { return Ok(None) };
        if let Some(document) = listed(&self.clients, role, name).await? {
            return Ok(Some(live(role, name, read_policy(OPERATION, &document)?)));
        }
        let answer = match self.clients.iam.get_role_policy().role_name(role).policy_name(name).send().await {
            Ok(answer) => answer,
            Err(error) => match classify(OPERATION, &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        Ok(Some(live(role, name, read_policy(OPERATION, &answer.policy_document)?)))
    }

    async fn find(&self, new: &RolePolicyInputs) -> Result<Option<Found>, CloudError> {
        // Without its role, it cannot be there either.
        let Input::Known(role) = &new.role else { return Ok(None) };
        let id = format!("{role}/{}", new.name);
        if self.read(&id).await?.is_none() {
            return Ok(None);
        }
        let answer = match self.clients.iam.get_role().role_name(role).send().await {
            Ok(answer) => answer.role,
            Err(error) => match classify("iam:GetRole", &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        // Which stack the role belongs to is judged at the role itself.
        let ours = answer.is_some_and(|role| role.tags().iter().any(|tag| tag.key == STACK_TAG));
        let owner =
            if ours { Owner::Ours } else { Owner::Theirs(format!("part of the role `{role}`, not made by pinfra")) };
        Ok(Some(Found { id, owner }))
    }

    async fn update(
        &self,
        call: &Call,
        _id: &str,
        _old: &RolePolicyInputs,
        new: &RolePolicyInputs,
    ) -> Result<(), CloudError> {
        self.put(call, new).await.map(drop)
    }

    /// A policy has no ARN.
    fn id_in(_global_name: &str) -> Option<String> {
        None
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let Some((role, name)) = id.split_once('/') else { return Ok(()) };
        let what = format!("deleting the policy {id}");
        wait_until(call, &what, PACE, || async {
            match self.clients.iam.delete_role_policy().role_name(role).policy_name(name).send().await {
                Ok(_) => Ok(Progress::Ready(())),
                Err(error) => match classify("iam:DeleteRolePolicy", &error) {
                    gone if gone.kind == ErrorKind::NotFound => Ok(Progress::Ready(())),
                    busy if busy.kind == ErrorKind::Conflict => Ok(Progress::Held(busy)),
                    error => Err(error),
                },
            }
        })
        .await
    }
}
