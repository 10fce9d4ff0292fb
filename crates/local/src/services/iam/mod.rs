//! Identity and Access Management: roles, their policies and instance profiles, and what a role may do.
//!
//! A [`directory`] holds the documents in memory and in a store; one file an IAM noun changes them. [`policy`] is the
//! pure half: it reads policy documents and says what they allow. [`sessions`] is what other services ask: the keys of
//! an instance, whether a service may become a role, whether a session may do something.
//!
//! The service is global: the region of a call means nothing. Differences from AWS: there are no users, groups, service
//! control policies and session policies; a name's letters are told apart by case when it is looked up (and not when
//! it is taken, as on AWS); the local cloud's own user may do everything.

mod attachments;
mod authorization_details;
mod aws_managed;
mod directory;
mod document;
mod errors;
mod inline_policies;
mod input;
mod instance_profiles;
mod managed_policies;
mod pages;
mod policy;
mod resources;
mod roles;
mod sessions;
mod simulate;
mod tags;
mod trust;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::wire::error::ApiError;
use directory::Directory;

pub use policy::Context;
pub use sessions::{InstanceProfile, Principal};

/// The IAM of one local cloud. Clones share everything.
#[derive(Clone)]
pub struct Iam {
    directory: Arc<Directory>,
    credentials: Arc<Credentials>,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum IamOpenError {
    /// The folder cannot be made.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Roles and policies cannot be read.
    #[error("cannot open the store of IAM")]
    Store(#[from] StoreError),
}

impl Iam {
    /// Opens `<data_dir>/iam/`, or begins it.
    pub fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        credentials: Arc<Credentials>,
    ) -> Result<Iam, IamOpenError> {
        let folder = data_dir.join("iam");
        std::fs::create_dir_all(&folder).map_err(|source| IamOpenError::Folder { path: folder.clone(), source })?;
        let directory = Directory::open(&folder.join("iam.redb"), clock, settings.iam_propagation)?;
        Ok(Iam { directory: Arc::new(directory), credentials })
    }
}

impl Service for Iam {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        let iam = self.clone();
        async move {
            // A change waits for the disk.
            let answered = tokio::task::spawn_blocking(move || answer(&iam, &call, &input)).await;
            answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
        }
        .boxed()
    }

    fn resources(&self, _call: &Call, input: &Value) -> Option<Vec<String>> {
        Some(resources::named(&self.directory.state(), input))
    }

    /// Of what IAM has, the Tagging API lists instance profiles and not roles, and since IAM has no regions, in one alone
    /// ("Supported resources for Tag Editor", Tagging AWS resources user guide).
    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        if region != "us-east-1" {
            return Vec::new();
        }
        let state = self.directory.state();
        let profile = |profile: &Arc<document::Profile>| TaggedResource {
            arn: profile.arn(),
            tags: profile.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        };
        state.profiles.values().map(profile).collect()
    }
}

fn answer(iam: &Iam, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let directory = &iam.directory;
    match call.operation.as_str() {
        "AddRoleToInstanceProfile" => instance_profiles::add_role(directory, input),
        "AttachRolePolicy" => attachments::attach(directory, input),
        "CreateInstanceProfile" => instance_profiles::create(directory, input),
        "CreatePolicy" => managed_policies::create(directory, input),
        "CreatePolicyVersion" => versions::create(directory, input),
        "CreateRole" => roles::create(directory, input),
        "DeleteInstanceProfile" => instance_profiles::delete(directory, input),
        "DeletePolicy" => managed_policies::delete(directory, input),
        "DeletePolicyVersion" => versions::delete(directory, input),
        "DeleteRole" => roles::delete(directory, input),
        "DeleteRolePolicy" => inline_policies::delete(directory, input),
        "DetachRolePolicy" => attachments::detach(directory, input),
        "GetAccountAuthorizationDetails" => authorization_details::list(directory, input),
        "GetInstanceProfile" => instance_profiles::get(directory, input),
        "GetPolicy" => managed_policies::get(directory, input),
        "GetPolicyVersion" => versions::get(directory, input),
        "GetRole" => roles::get(directory, input),
        "GetRolePolicy" => inline_policies::get(directory, input),
        "GetUser" => sessions::get_user(iam, call, input),
        "ListAccountAliases" => Ok(pages::page(Vec::new(), input, "AccountAliases")?),
        "ListAttachedRolePolicies" => attachments::list_of_role(directory, input),
        "ListEntitiesForPolicy" => attachments::list_of_policy(directory, input),
        "ListInstanceProfileTags" => tags::list_of_profile(directory, input),
        "ListInstanceProfiles" => instance_profiles::list(directory, input),
        "ListInstanceProfilesForRole" => instance_profiles::list_of_role(directory, input),
        "ListPolicies" => managed_policies::list(directory, input),
        "ListPolicyTags" => tags::list_of_policy(directory, input),
        "ListPolicyVersions" => versions::list(directory, input),
        "ListRolePolicies" => inline_policies::list(directory, input),
        "ListRoleTags" => tags::list_of_role(directory, input),
        "ListRoles" => roles::list(directory, input),
        "PutRolePolicy" => inline_policies::put(directory, input),
        "RemoveRoleFromInstanceProfile" => instance_profiles::remove_role(directory, input),
        "SimulatePrincipalPolicy" => simulate::simulate(iam, input),
        "TagInstanceProfile" => tags::put_on_profile(directory, input),
        "TagPolicy" => tags::put_on_policy(directory, input),
        "TagRole" => tags::put_on_role(directory, input),
        "UntagInstanceProfile" => tags::remove_from_profile(directory, input),
        "UntagRole" => tags::remove_from_role(directory, input),
        "UpdateAssumeRolePolicy" => roles::update_trust(directory, input),
        "UpdateRole" => roles::update(directory, input),
        "UpdateRoleDescription" => roles::update_description(directory, input),
        other => Err(ApiError::unknown_operation("iam", other)),
    }
}
