//! `iam/role`: an IAM role with its trust policy.
//!
//! Inline policies are part of a role and cannot be without it, so deleting a role takes along those that are left.
//! Managed policies are only detached.

use std::time::Duration;

use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listing::roles;
use super::{PACE, passing, read_policy, tag_list, tags_of};
use crate::clients::Clients;
use crate::delete::{Holder, delete_once_free};
use crate::error::{classify, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Progress, wait_until};

/// What was taken from a role is known everywhere by then, most of the time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleInputs {
    /// Unique in the account, 1 to 64 letters, digits and `+=,.@-_`.
    pub name: String,
    /// Where it stands, such as [`super::path_of`] a stack.
    pub path: String,
    /// For people; `None` for none.
    pub description: Option<String>,
    /// Who may become the role: a policy document, normalised by [`crate::policy::normalise_policy`].
    pub trust: Value,
    /// How long a session lasts at most, 3,600 to 43,200 seconds.
    pub max_session_seconds: i32,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `AROA…`: another one for a role that was made again under the same name.
    pub unique_id: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Role {
    clients: Clients,
}

impl Role {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Role {
        Role { clients: clients.clone() }
    }

    async fn bring(&self, call: &Call, old: &RoleInputs, new: &RoleInputs) -> Result<(), CloudError> {
        let (iam, name) = (&self.clients.iam, new.name.as_str());
        let (put, remove) = tags::difference(&old.tags, &new.tags);
        if !remove.is_empty() {
            let request = iam.untag_role().role_name(name).set_tag_keys(Some(remove));
            request.send().await.map_err(|error| classify("iam:UntagRole", &error))?;
        }
        if !put.is_empty() {
            let request = iam.tag_role().role_name(name).set_tags(Some(tag_list(&put)?));
            request.send().await.map_err(|error| classify("iam:TagRole", &error))?;
        }
        if (&old.description, old.max_session_seconds) != (&new.description, new.max_session_seconds) {
            let request = iam.update_role().role_name(name).max_session_duration(new.max_session_seconds);
            let request = request.description(new.description.clone().unwrap_or_default());
            request.send().await.map_err(|error| classify("iam:UpdateRole", &error))?;
        }
        if old.trust == new.trust {
            return Ok(());
        }
        let (what, document) = (format!("changing who may become {name}"), new.trust.to_string());
        wait_until(call, &what, PACE, || async {
            let request = iam.update_assume_role_policy().role_name(name).policy_document(&document);
            match request.send().await.map_err(|error| classify("iam:UpdateAssumeRolePolicy", &error)) {
                Ok(_) => Ok(Progress::Ready(())),
                Err(error) => passing(error),
            }
        })
        .await
    }

    /// Takes from the role what keeps it from being deleted and is its own.
    async fn strip(&self, name: &str) -> Result<(), CloudError> {
        let iam = &self.clients.iam;
        let mut inline = iam.list_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = inline.next().await {
            let policy = policy.map_err(|error| classify("iam:ListRolePolicies", &error))?;
            let deleted = iam.delete_role_policy().role_name(name).policy_name(policy).send().await;
            unless_gone(deleted.map_err(|error| classify("iam:DeleteRolePolicy", &error)))?;
        }
        let mut attached = iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy) = attached.next().await {
            let policy = policy.map_err(|error| classify("iam:ListAttachedRolePolicies", &error))?;
            let detached = iam.detach_role_policy().role_name(name).set_policy_arn(policy.policy_arn).send().await;
            unless_gone(detached.map_err(|error| classify("iam:DetachRolePolicy", &error)))?;
        }
        Ok(())
    }

    /// What else holds the role: an instance profile. That of its own stack goes by itself.
    async fn holder(&self, name: &str) -> Result<Holder, CloudError> {
        let Some(role) = self.read(name).await? else {
            return Ok(Holder::Passing("what is just being removed".to_owned()));
        };
        let profiles = self.clients.iam.list_instance_profiles_for_role().role_name(name).into_paginator().items();
        let profiles = profiles.send().try_collect().await;
        let profiles = unless_gone(profiles.map_err(|error| classify("iam:ListInstanceProfilesForRole", &error)))?
            .unwrap_or_default();
        let foreign = profiles.iter().filter(|profile| profile.path != role.inputs.path);
        let foreign: Vec<String> =
            foreign.map(|profile| format!("the instance profile `{}`", profile.instance_profile_name)).collect();
        if foreign.is_empty() {
            return Ok(Holder::Passing("what is just being removed".to_owned()));
        }
        let hint =
            "that is not of this stack, so it was left alone: take the role away from it, then run the command again";
        Ok(Holder::Staying { who: foreign.join(", "), hint: hint.to_owned() })
    }
}

/// A role as the lists have it, where there are any and it is in them.
async fn listed(clients: &Clients, name: &str) -> Result<Option<Live<RoleInputs, RoleOutputs>>, CloudError> {
    let Some(roles) = roles(clients).await? else { return Ok(None) };
    let detail = roles.details.as_ref().and_then(|details| details.get(name));
    let (Some(detail), Some(role)) = (detail, roles.of_stack.get(name)) else { return Ok(None) };
    let trust = role.assume_role_policy_document().unwrap_or("{}");
    let inputs = RoleInputs {
        name: role.role_name.clone(),
        path: role.path.clone(),
        description: role.description.clone().filter(|text| !text.is_empty()),
        trust: read_policy("iam:ListRoles", trust)?,
        max_session_seconds: role.max_session_duration.unwrap_or(3_600),
        tags: tags_of(detail.tags()),
    };
    let outputs = RoleOutputs { arn: role.arn.clone(), name: role.role_name.clone(), unique_id: role.role_id.clone() };
    Ok(Some(Live { inputs, outputs }))
}

impl Resource for Role {
    const INFO: KindInfo = KindInfo {
        kind: "iam/role",
        summary: "an IAM role with its trust policy",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "1 to 64 letters, digits and `+=,.@-_`" },
            Field { name: "path", on_change: OnChange::Replace, doc: "where it stands: `/pinfra/<stack>/`" },
            Field { name: "description", on_change: OnChange::Update, doc: "what the role is for" },
            Field { name: "trust", on_change: OnChange::Update, doc: "the trust policy: who may become the role" },
            Field {
                name: "max_session_seconds",
                on_change: OnChange::Update,
                doc: "how long a session lasts at most: 3,600 to 43,200 seconds",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the role's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the role's ARN"),
            ("name", "the role's name"),
            ("unique_id", "the role's unique id: another one when it is made again"),
        ],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(1),
        usual_delete: Duration::from_secs(2),
    };

    const MARK: Option<&'static str> = Some("unique_id");

    type Inputs = RoleInputs;
    type Outputs = RoleOutputs;

    async fn create(&self, call: &Call, new: &RoleInputs) -> Result<String, CloudError> {
        let (what, document) = (format!("making the role {}", new.name), new.trust.to_string());
        let tags = tag_list(&new.tags)?;
        wait_until(call, &what, PACE, || async {
            let request = self.clients.iam.create_role().role_name(&new.name).path(&new.path);
            let request = request.assume_role_policy_document(&document).set_description(new.description.clone());
            let request = request.max_session_duration(new.max_session_seconds).set_tags(Some(tags.clone()));
            match request.send().await.map_err(|error| classify("iam:CreateRole", &error)) {
                Ok(_) => Ok(Progress::Ready(new.name.clone())),
                Err(error) => passing(error),
            }
        })
        .await
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &RoleInputs,
    ) -> Result<Live<RoleInputs, RoleOutputs>, CloudError> {
        let what = format!("waiting for the role {id}");
        let found = wait_until(call, &what, PACE, || async {
            Ok(match self.read(id).await? {
                Some(found) => Progress::Ready(found),
                None => Progress::Unseen,
            })
        })
        .await?;
        if found.inputs == *new {
            return Ok(found);
        }
        self.bring(call, &found.inputs, new).await?;
        Ok(Live { inputs: new.clone(), outputs: found.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<Live<RoleInputs, RoleOutputs>>, CloudError> {
        const OPERATION: &str = "iam:GetRole";
        if let Some(listed) = listed(&self.clients, id).await? {
            return Ok(Some(listed));
        }
        let role = match self.clients.iam.get_role().role_name(id).send().await {
            Ok(answer) => answer.role,
            Err(error) => match classify(OPERATION, &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let Some(role) = role else { return Ok(None) };
        let inputs = RoleInputs {
            name: role.role_name.clone(),
            path: role.path.clone(),
            description: role.description.clone().filter(|text| !text.is_empty()),
            trust: read_policy(OPERATION, role.assume_role_policy_document().unwrap_or("{}"))?,
            max_session_seconds: role.max_session_duration.unwrap_or(3_600),
            tags: tags_of(role.tags()),
        };
        let outputs = RoleOutputs { arn: role.arn, name: role.role_name, unique_id: role.role_id };
        Ok(Some(Live { inputs, outputs }))
    }

    async fn find(&self, new: &RoleInputs) -> Result<Option<Found>, CloudError> {
        let found = self.read(&new.name).await?;
        Ok(found.map(|live| Found { id: new.name.clone(), owner: tags::owner(&new.tags, &live.inputs.tags) }))
    }

    async fn update(&self, call: &Call, _id: &str, old: &RoleInputs, new: &RoleInputs) -> Result<(), CloudError> {
        self.bring(call, old, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let what = format!("deleting the role {id}");
        let send = || async {
            let sent = self.clients.iam.delete_role().role_name(id).send().await;
            sent.map(drop).map_err(|error| classify("iam:DeleteRole", &error))
        };
        let holder = || async {
            // Its policies hold it, and go with it; what was just taken away may hold it for a while.
            unless_gone(self.strip(id).await)?;
            self.holder(id).await
        };
        delete_once_free(call, &what, PACE, PATIENCE, send, holder).await
    }
}
