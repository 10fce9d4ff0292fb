//! Who somebody is as a role, and what that role may do: what the other services of the local cloud ask.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;

use super::directory::State;
use super::document::Role;
use super::policy::{Asker, Context, Decision, Policy, Trust, Use, decide, trusts};
use super::{Iam, errors, input, managed_policies};
use crate::credentials::{ACCOUNT, IssuedKeys};
use crate::services::Call;
use crate::wire::error::ApiError;

/// How long the keys of an instance are good: what the metadata service of EC2 hands out ends after some six hours.
const INSTANCE_KEYS: Duration = Duration::hours(6);

/// Somebody as the session of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Such as `arn:aws:sts::000000000000:assumed-role/gateway/i-1`; what [`Iam::authorize`] takes.
    pub arn: String,
    /// The role.
    pub role_arn: String,
    /// The role's unique id and the name of the session.
    pub user_id: String,
}

/// An instance profile as EC2 knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceProfile {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its unique id, `AIPA…`.
    pub id: String,
    /// ARN of its role, where it has one.
    pub role_arn: Option<String>,
}

impl Iam {
    /// The instance profile of that name or ARN, once EC2 knows it: `InvalidParameterValue` before, in EC2's words.
    pub fn instance_profile(&self, name_or_arn: &str) -> Result<InstanceProfile, ApiError> {
        let is_arn = name_or_arn.starts_with("arn:");
        let name = if is_arn { name_or_arn.rsplit('/').next().unwrap_or_default() } else { name_or_arn };
        let state = self.directory.state();
        let found = state.profile(name).ok().filter(|profile| !is_arn || profile.arn() == name_or_arn);
        let Some(profile) = found.filter(|profile| self.directory.is_known(profile.created)) else {
            let (what, member) = if is_arn { ("ARN", "Arn") } else { ("name", "Name") };
            let message = format!(
                "Value ({name_or_arn}) for parameter iamInstanceProfile.{} is invalid. Invalid IAM Instance Profile {what}",
                member.to_lowercase()
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        };
        let role = profile.role.as_deref().and_then(|role| state.role(role).ok());
        Ok(InstanceProfile {
            name: profile.name.clone(),
            arn: profile.arn(),
            id: profile.id.clone(),
            role_arn: role.map(|role| role.arn()),
        })
    }

    /// Temporary keys of the role in an instance profile (its name or ARN), for an instance of the id `session`. Waits
    /// for the disk. Refused with `AssumeRoleUnauthorizedAccess`, as the metadata service says, when the profile has
    /// no role or the role does not trust EC2.
    pub fn profile_keys(&self, profile: &str, session: &str) -> Result<IssuedKeys, ApiError> {
        let found = self.instance_profile(profile)?;
        let cannot = |role: &str| {
            let message = format!(
                "EC2 cannot assume the role {role}. Please see documentation at \
                 https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html."
            );
            ApiError::new("AssumeRoleUnauthorizedAccess", message)
        };
        let role_arn = found.role_arn.ok_or_else(|| cannot(&found.name))?;
        let state = self.directory.state();
        let role = self.trusting_service(&state, &role_arn, "ec2.amazonaws.com").ok_or_else(|| cannot(&role_arn))?;
        let principal = session_of(role, session);
        Ok(self.credentials.issue(&principal.arn, &principal.user_id, INSTANCE_KEYS)?)
    }

    /// A service, such as `apigateway.amazonaws.com`, as the session of a role that trusts it. `AccessDenied` when
    /// there is no such role, or it does not.
    pub fn assume_as_service(&self, role_arn: &str, service: &str) -> Result<Principal, ApiError> {
        let state = self.directory.state();
        let role = self.trusting_service(&state, role_arn, service).ok_or_else(|| {
            errors::access_denied(format!(
                "{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            ))
        })?;
        let session = service.split('.').next().unwrap_or(service);
        Ok(session_of(role, session))
    }

    /// Whether `principal_arn` may do `action`, such as `kinesis:PutRecord`, on each of `resources`. The user of the
    /// local cloud may do everything; the session of a role what the role's policies allow. `AccessDeniedException`
    /// with AWS's text otherwise. `context` has what is known of the request; what is known of the caller is added.
    pub fn authorize(
        &self,
        principal_arn: &str,
        action: &str,
        resources: &[String],
        context: &Context,
    ) -> Result<(), ApiError> {
        let Some((role_name, session)) = session_in(principal_arn) else { return Ok(()) };
        let refused = |resource: &str, why: &str| {
            let message =
                format!("User: {principal_arn} is not authorized to perform: {action} on resource: {resource} {why}");
            ApiError::new("AccessDeniedException", message)
        };
        let nobody = format!("because no identity-based policy allows the {action} action");
        let state = self.directory.state();
        let Ok(role) = state.role(role_name) else {
            return Err(refused(resources.first().map_or("*", String::as_str), &nobody));
        };
        let context = self.about(context.clone(), role, session);
        let policies = self.policies_of(&state, role);
        for resource in resources {
            match decide(policies.iter().copied(), action, resource, &context) {
                Decision::Allowed => {}
                Decision::Denied => {
                    return Err(refused(resource, "with an explicit deny in an identity-based policy"));
                }
                Decision::NotAllowed => return Err(refused(resource, &nobody)),
            }
            if let Some(arn) = &role.boundary {
                let boundary = managed_policies::document_of(&state, arn).and_then(|text| text.policy(Use::Identity));
                match decide(boundary.map(AsRef::as_ref), action, resource, &context) {
                    Decision::Allowed => {}
                    Decision::Denied => {
                        return Err(refused(resource, "with an explicit deny in a permissions boundary"));
                    }
                    Decision::NotAllowed => {
                        let why = format!("because no permissions boundary allows the {action} action");
                        return Err(refused(resource, &why));
                    }
                }
            }
        }
        Ok(())
    }

    /// The session of a role that `caller` may become (STS `AssumeRole`), with the longest time it may last in seconds.
    pub(in crate::services) fn assume(
        &self,
        caller: &str,
        role_arn: &str,
        session: &str,
        context: &Context,
    ) -> Result<(Principal, i64), ApiError> {
        const ACTION: &str = "sts:AssumeRole";
        let denied = || {
            errors::access_denied(format!(
                "User: {caller} is not authorized to perform: {ACTION} on resource: {role_arn}"
            ))
        };
        let state = self.directory.state();
        let role = state.role_by_arn(role_arn).filter(|role| self.directory.is_known(role.created));
        let role = role.ok_or_else(denied)?;
        let own = session_in(caller).and_then(|(name, _)| state.role(name).ok());
        let own = own.map(|own| (own.arn(), own.id.clone()));
        let asker = Asker::Principal {
            arn: caller,
            account: ACCOUNT,
            role: own.as_ref().map(|(arn, id)| (arn.as_str(), id.as_str())),
        };
        let Some(policy) = role.trust.policy(Use::Trust) else { return Err(denied()) };
        let allowed = match trusts(policy, asker, &role.trusted_ids, ACTION, context) {
            Trust::Named => true,
            Trust::Delegated => self.authorize(caller, ACTION, &[role_arn.to_owned()], context).is_ok(),
            Trust::Refused => false,
        };
        if allowed { Ok((session_of(role, session), role.max_session_seconds)) } else { Err(denied()) }
    }

    fn trusting_service<'a>(&self, state: &'a State, role_arn: &str, service: &str) -> Option<&'a Role> {
        let role = state.role_by_arn(role_arn).filter(|role| self.directory.is_known(role.created))?;
        let policy = role.trust.policy(Use::Trust)?;
        let context = Context::default().with("aws:SourceAccount", ACCOUNT);
        let trust = trusts(policy, Asker::Service(service), &BTreeMap::new(), "sts:AssumeRole", &context);
        (trust == Trust::Named).then_some(role.as_ref())
    }

    /// The policies of a role that other services know of by now.
    fn policies_of<'a>(&self, state: &'a State, role: &'a Role) -> Vec<&'a Policy> {
        let inline = role.inline.values().filter(|inline| self.directory.is_known(inline.written));
        let inline = inline.map(|inline| &inline.policy);
        let attached = role.attached.iter().filter(|(_, since)| self.directory.is_known(**since));
        let attached = attached.filter_map(|(arn, _)| managed_policies::document_of(state, arn));
        inline.chain(attached).filter_map(|text| text.policy(Use::Identity)).map(AsRef::as_ref).collect()
    }

    /// What a role's own policies say, by name of the role; for simulations.
    pub(super) fn decision(
        &self,
        role: &str,
        more: &[Policy],
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<Decision, ApiError> {
        let state = self.directory.state();
        let role = state.role(role)?;
        let mut policies = self.policies_of(&state, role);
        policies.extend(more);
        let context = self.about(context.clone(), role, "simulation");
        let decision = decide(policies, action, resource, &context);
        let Some(arn) = &role.boundary else { return Ok(decision) };
        let boundary = managed_policies::document_of(&state, arn).and_then(|text| text.policy(Use::Identity));
        Ok(match (decision, decide(boundary.map(AsRef::as_ref), action, resource, &context)) {
            (_, Decision::Denied) => Decision::Denied,
            (Decision::Allowed, Decision::NotAllowed) => Decision::NotAllowed,
            (decision, _) => decision,
        })
    }

    /// Adds the condition keys that tell of the caller and of the time.
    fn about(&self, context: Context, role: &Role, session: &str) -> Context {
        let now = self.directory.clock().now();
        let mut context = context
            .with("aws:PrincipalArn", role.arn())
            .with("aws:PrincipalAccount", ACCOUNT)
            .with("aws:PrincipalType", "AssumedRole")
            .with("aws:userid", format!("{}:{session}", role.id))
            .with("aws:EpochTime", now.unix_timestamp().to_string())
            .with("aws:CurrentTime", now.format(&Rfc3339).unwrap_or_default());
        for (key, value) in &role.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), value.as_str());
        }
        context
    }
}

/// The one user there is, asked for by its name or by itself.
pub(super) fn get_user(iam: &Iam, call: &Call, asked: &Value) -> Result<Value, ApiError> {
    let identity = iam.credentials.lookup(iam.credentials.access_key());
    match asked["UserName"].as_str() {
        Some("local") => {}
        Some(name) => return Err(errors::no_such_entity(format!("The user with name {name} cannot be found."))),
        None if session_in(&call.principal).is_some() => {
            return Err(errors::validation("Must specify userName when calling with non-User credentials"));
        }
        None => {}
    }
    Ok(json!({"User": {
        "Path": "/",
        "UserName": "local",
        "UserId": identity.map(|identity| identity.user_id.clone()).unwrap_or_default(),
        "Arn": format!("arn:aws:iam::{ACCOUNT}:user/local"),
        "CreateDate": input::timestamp(0),
    }}))
}

fn session_of(role: &Role, session: &str) -> Principal {
    Principal {
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/{session}", role.name),
        role_arn: role.arn(),
        user_id: format!("{}:{session}", role.id),
    }
}

/// Role and session in the ARN of a session; `None` for a user's.
pub(super) fn session_in(principal_arn: &str) -> Option<(&str, &str)> {
    principal_arn.split_once(":assumed-role/")?.1.split_once('/')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::credentials::Credentials;
    use crate::settings::Settings;

    /// A role that trusts `service`, in an instance profile.
    fn iam(folder: &std::path::Path, clock: &Clock, settings: &Settings, service: &str) -> Iam {
        let credentials = Arc::new(Credentials::open(folder, clock.clone()).unwrap());
        let iam = Iam::open(folder, clock.clone(), settings, credentials).unwrap();
        let statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
        let document = json!({"Statement": statement}).to_string();
        let role = json!({"RoleName": "r", "Path": "/p/", "AssumeRolePolicyDocument": document});
        super::super::roles::create(&iam.directory, &role).unwrap();
        super::super::instance_profiles::create(&iam.directory, &json!({"InstanceProfileName": "i"})).unwrap();
        iam
    }

    #[test]
    fn an_instance_gets_keys_of_a_role_that_trusts_ec2() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
        let iam = iam(folder.path(), &clock, &Settings::new(folder.path()), "ec2.amazonaws.com");
        let code = |answer: Result<IssuedKeys, ApiError>| answer.err().unwrap().code;
        assert_eq!(code(iam.profile_keys("none", "i-1")), "InvalidParameterValue");
        assert_eq!(code(iam.profile_keys("i", "i-1")), "AssumeRoleUnauthorizedAccess", "it has no role yet");
        let asked = json!({"InstanceProfileName": "i", "RoleName": "r"});
        super::super::instance_profiles::add_role(&iam.directory, &asked).unwrap();
        for profile in ["i", "arn:aws:iam::000000000000:instance-profile/i"] {
            let keys = iam.profile_keys(profile, "i-1").unwrap();
            assert_eq!(keys.identity.principal_arn, "arn:aws:sts::000000000000:assumed-role/r/i-1");
        }
        assert_eq!(
            iam.assume_as_service("arn:aws:iam::000000000000:role/p/r", "apigateway.amazonaws.com").err().unwrap().code,
            "AccessDenied"
        );
    }

    #[test]
    fn a_service_becomes_a_role_once_it_is_known() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
        let wait = std::time::Duration::from_secs(10);
        let settings = Settings { iam_propagation: wait, ..Settings::new(folder.path()) };
        let iam = iam(folder.path(), &clock, &settings, "apigateway.amazonaws.com");
        let arn = "arn:aws:iam::000000000000:role/p/r";
        assert!(iam.assume_as_service(arn, "apigateway.amazonaws.com").is_err());
        clock.advance(wait);
        let principal = iam.assume_as_service(arn, "apigateway.amazonaws.com").unwrap();
        assert_eq!(principal.arn, "arn:aws:sts::000000000000:assumed-role/r/apigateway");

        let statement = json!({"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let put = json!({"RoleName": "r", "PolicyName": "p", "PolicyDocument": policy});
        super::super::inline_policies::put(&iam.directory, &put).unwrap();
        let may = || iam.authorize(&principal.arn, "kinesis:PutRecord", &["*".to_owned()], &Context::default());
        assert_eq!(may().unwrap_err().code, "AccessDeniedException");
        clock.advance(wait);
        may().unwrap();
    }
}
