//! Instance profiles: what EC2 asks IAM for, and the operations that give instances a profile or take it away.

use serde_json::{Value, json};

use super::filters::{Listing, describe};
use super::instance::{Instance, Profile, State};
use super::launch;
use super::region::Region;
use super::{Request, errors, ids};
use crate::credentials::IssuedKeys;
use crate::wire::error::ApiError;

/// An instance profile of IAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundProfile {
    /// Its ARN.
    pub arn: String,
    /// Its unique id, `AIPA…`.
    pub id: String,
}

/// What EC2 needs of IAM.
pub trait Profiles: Send + Sync {
    /// The instance profile of that name or ARN, if there is one that can be seen already.
    fn find(&self, name_or_arn: &str) -> Option<FoundProfile>;

    /// Temporary keys of the role in a profile. The error is what the instance is told of it.
    fn keys(&self, profile_arn: &str, session: &str) -> Result<IssuedKeys, ApiError>;
}

/// A cloud without IAM: no profile is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProfiles;

impl Profiles for NoProfiles {
    fn find(&self, _name_or_arn: &str) -> Option<FoundProfile> {
        None
    }

    fn keys(&self, profile_arn: &str, _session: &str) -> Result<IssuedKeys, ApiError> {
        Err(ApiError::new("NoSuchEntity", format!("Instance Profile {profile_arn} cannot be found.")).with_status(404))
    }
}

/// `AssociateIamInstanceProfile`.
pub(super) fn associate(
    region: &mut Region,
    request: &Request<'_>,
    profiles: &dyn Profiles,
) -> Result<Value, ApiError> {
    let profile = launch::profile(&request.input["IamInstanceProfile"], request, profiles)?;
    let instance = region.instance_mut(request.text("InstanceId"))?;
    if !matches!(instance.state, State::Pending | State::Running | State::Stopping | State::Stopped) {
        let message = format!("The instance '{}' is not in the 'running' or 'stopped' states.", instance.id);
        return Err(errors::incorrect_state(message));
    }
    if instance.profile.is_some() {
        let message = format!("There is an existing association for instance {}", instance.id);
        return Err(errors::incorrect_state(message));
    }
    instance.profile = profile;
    Ok(json!({"IamInstanceProfileAssociation": view(instance, "associating")}))
}

/// `ReplaceIamInstanceProfileAssociation`: the new one has an id of its own.
pub(super) fn replace(region: &mut Region, request: &Request<'_>, profiles: &dyn Profiles) -> Result<Value, ApiError> {
    let profile = launch::profile(&request.input["IamInstanceProfile"], request, profiles)?;
    let instance = associated(region, request.text("AssociationId"))?;
    instance.profile = profile;
    Ok(json!({"IamInstanceProfileAssociation": view(instance, "associating")}))
}

/// `DisassociateIamInstanceProfile`.
pub(super) fn disassociate(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let instance = associated(region, request.text("AssociationId"))?;
    let answer = json!({"IamInstanceProfileAssociation": view(instance, "disassociating")});
    instance.profile = None;
    Ok(answer)
}

/// `DescribeIamInstanceProfileAssociations`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "AssociationIds",
        id: "AssociationId",
        noun: ids::PROFILE_ASSOCIATION,
        filters: &[("instance-id", "InstanceId"), ("state", "State")],
    };
    let all = region.instances.values().filter(|instance| instance.profile.is_some());
    let associations = all.map(|instance| view(instance, "associated")).collect();
    Ok(describe(associations, request.input, &LISTING)?.answer("IamInstanceProfileAssociations"))
}

fn associated<'a>(region: &'a mut Region, id: &str) -> Result<&'a mut Instance, ApiError> {
    ids::PROFILE_ASSOCIATION.check(id)?;
    let holds = |profile: &Profile| profile.association_id == id;
    let found = region.instances.values_mut().find(|instance| instance.profile.as_ref().is_some_and(holds));
    found.ok_or_else(|| ids::PROFILE_ASSOCIATION.not_found(id))
}

fn view(instance: &Instance, state: &str) -> Value {
    let Some(profile) = &instance.profile else { return Value::Null };
    json!({
        "AssociationId": profile.association_id, "InstanceId": instance.id, "State": state, "Timestamp": profile.since,
        "IamInstanceProfile": {"Arn": profile.arn, "Id": profile.id},
    })
}
