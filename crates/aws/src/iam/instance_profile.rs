//! `iam/instance_profile`: what hands a role to an EC2 instance.
//!
//! A profile is made empty and gets its role in a call of its own, and it has one role at most: another role is one
//! call to remove and one to add (API reference, `AddRoleToInstanceProfile`).

use std::time::Duration;

use aws_sdk_iam::types::InstanceProfile as SdkProfile;
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::listing::roles;
use super::{PACE, tag_list, tags_of};
use crate::clients::Clients;
use crate::error::classify;
use crate::tags::{self, Tags};
use crate::wait::{Progress, wait_until};

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceProfileInputs {
    /// Unique in the account, 1 to 128 letters, digits and `+=,.@-_`.
    pub name: String,
    /// Where it stands, such as [`super::path_of`] a stack.
    pub path: String,
    /// The name of its role; empty when somebody took it away.
    pub role: Input<String>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfileOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its unique id: another one when it is made again.
    pub unique_id: String,
}

type LiveProfile = Live<InstanceProfileInputs, InstanceProfileOutputs>;

/// The kind.
#[derive(Clone, Debug)]
pub struct InstanceProfile {
    clients: Clients,
}

impl InstanceProfile {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> InstanceProfile {
        InstanceProfile { clients: clients.clone() }
    }

    async fn bring(
        &self,
        call: &Call,
        old: &InstanceProfileInputs,
        new: &InstanceProfileInputs,
    ) -> Result<(), CloudError> {
        let (iam, name) = (&self.clients.iam, new.name.as_str());
        let (put, remove) = tags::difference(&old.tags, &new.tags);
        if !remove.is_empty() {
            let request = iam.untag_instance_profile().instance_profile_name(name).set_tag_keys(Some(remove));
            request.send().await.map_err(|error| classify("iam:UntagInstanceProfile", &error))?;
        }
        if !put.is_empty() {
            let request = iam.tag_instance_profile().instance_profile_name(name).set_tags(Some(tag_list(&put)?));
            request.send().await.map_err(|error| classify("iam:TagInstanceProfile", &error))?;
        }
        let (has, wanted) = (old.role.known()?, new.role.known()?);
        if has == wanted {
            return Ok(());
        }
        if !has.is_empty() {
            self.remove_role(name, has).await?;
        }
        self.add_role(call, name, wanted).await
    }

    async fn add_role(&self, call: &Call, name: &str, role: &str) -> Result<(), CloudError> {
        let what = format!("giving the role {role} to the instance profile {name}");
        wait_until(call, &what, PACE, || async {
            let request = self.clients.iam.add_role_to_instance_profile().instance_profile_name(name).role_name(role);
            match request.send().await {
                Ok(_) => Ok(Progress::Ready(())),
                Err(error) => match classify("iam:AddRoleToInstanceProfile", &error) {
                    // Both were made a moment ago.
                    early if early.kind == ErrorKind::NotFound => Ok(Progress::Early(early)),
                    busy if busy.kind == ErrorKind::Conflict => Ok(Progress::Held(busy)),
                    // One role at most: the removal of the one before has not come through, or an earlier try has.
                    full if full.kind == ErrorKind::Quota => match self.read(name).await? {
                        Some(live) if live.inputs.role == Input::Known(role.to_owned()) => Ok(Progress::Ready(())),
                        _ => Ok(Progress::Held(full)),
                    },
                    error => Err(error),
                },
            }
        })
        .await
    }

    async fn remove_role(&self, name: &str, role: &str) -> Result<(), CloudError> {
        let request = self.clients.iam.remove_role_from_instance_profile();
        match request.instance_profile_name(name).role_name(role).send().await {
            Ok(_) => Ok(()),
            Err(error) => match classify("iam:RemoveRoleFromInstanceProfile", &error) {
                gone if gone.kind == ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// A profile as the list of all roles has it, with the tags of the list of what is tagged: both have it where it hands out a
/// role, and in the one region where IAM's tags are listed.
async fn listed(clients: &Clients, name: &str) -> Result<Option<LiveProfile>, CloudError> {
    let Some(roles) = roles(clients).await? else { return Ok(None) };
    let Some((role, profile)) = roles.profile(name) else { return Ok(None) };
    let tags = tags::listed(clients, &profile.arn).await;
    Ok(tags.map(|tags| live(profile, role.to_owned(), tags)))
}

fn live(profile: &SdkProfile, role: String, tags: Tags) -> LiveProfile {
    let name = profile.instance_profile_name.clone();
    let inputs =
        InstanceProfileInputs { name: name.clone(), path: profile.path.clone(), role: Input::Known(role), tags };
    let (arn, unique_id) = (profile.arn.clone(), profile.instance_profile_id.clone());
    Live { inputs, outputs: InstanceProfileOutputs { arn, name, unique_id } }
}

impl Resource for InstanceProfile {
    const INFO: KindInfo = KindInfo {
        kind: "iam/instance_profile",
        summary: "an IAM instance profile: what hands a role to an EC2 instance",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "1 to 128 letters, digits and `+=,.@-_`" },
            Field { name: "path", on_change: OnChange::Replace, doc: "where it stands: `/pinfra/<stack>/`" },
            Field { name: "role", on_change: OnChange::Update, doc: "the name of its one role" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the profile's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the profile's ARN"),
            ("name", "the profile's name"),
            ("unique_id", "the profile's unique id: another one when it is made again"),
        ],
        loses: "",
        usual_create: Duration::from_secs(2),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(2),
    };

    const MARK: Option<&'static str> = Some("unique_id");

    type Inputs = InstanceProfileInputs;
    type Outputs = InstanceProfileOutputs;

    async fn create(&self, _call: &Call, new: &InstanceProfileInputs) -> Result<String, CloudError> {
        let request = self.clients.iam.create_instance_profile().instance_profile_name(&new.name).path(&new.path);
        let request = request.set_tags(Some(tag_list(&new.tags)?));
        request.send().await.map_err(|error| classify("iam:CreateInstanceProfile", &error))?;
        Ok(new.name.clone())
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &InstanceProfileInputs,
    ) -> Result<Live<InstanceProfileInputs, InstanceProfileOutputs>, CloudError> {
        let what = format!("waiting for the instance profile {id}");
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

    async fn read(&self, id: &str) -> Result<Option<LiveProfile>, CloudError> {
        if let Some(listed) = listed(&self.clients, id).await? {
            return Ok(Some(listed));
        }
        let profile = match self.clients.iam.get_instance_profile().instance_profile_name(id).send().await {
            Ok(answer) => answer.instance_profile,
            Err(error) => match classify("iam:GetInstanceProfile", &error) {
                gone if gone.kind == ErrorKind::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let Some(profile) = profile else { return Ok(None) };
        let role = profile.roles().first().map(|role| role.role_name.clone()).unwrap_or_default();
        let tags = tags_of(profile.tags());
        Ok(Some(live(&profile, role, tags)))
    }

    async fn find(&self, new: &InstanceProfileInputs) -> Result<Option<Found>, CloudError> {
        let found = self.read(&new.name).await?;
        Ok(found.map(|live| Found { id: new.name.clone(), owner: tags::owner(&new.tags, &live.inputs.tags) }))
    }

    async fn update(
        &self,
        call: &Call,
        _id: &str,
        old: &InstanceProfileInputs,
        new: &InstanceProfileInputs,
    ) -> Result<(), CloudError> {
        self.bring(call, old, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let what = format!("deleting the instance profile {id}");
        wait_until(call, &what, PACE, || async {
            let Some(live) = self.read(id).await? else { return Ok(Progress::Ready(())) };
            let role = live.inputs.role.known()?;
            if !role.is_empty() {
                self.remove_role(id, role).await?;
            }
            match self.clients.iam.delete_instance_profile().instance_profile_name(id).send().await {
                Ok(_) => Ok(Progress::Ready(())),
                Err(error) => match classify("iam:DeleteInstanceProfile", &error) {
                    gone if gone.kind == ErrorKind::NotFound => Ok(Progress::Ready(())),
                    held if held.kind == ErrorKind::Blocked || held.kind == ErrorKind::Conflict => {
                        Ok(Progress::Held(held))
                    }
                    error => Err(error),
                },
            }
        })
        .await
    }
}
