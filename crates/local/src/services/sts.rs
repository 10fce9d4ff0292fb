//! Security Token Service: who a caller is, and temporary credentials.
//!
//! Who may become a role is for [`Iam`] to say. Session policies and session tags are not there, and are refused.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use time::Duration;

use super::iam::{Context, Iam};
use super::{Call, Service};
use crate::credentials::{ACCOUNT, Credentials, IssuedKeys};
use crate::wire::error::ApiError;

const HOUR: i64 = 3600;

/// What would change what a session may do, and is not there.
const NOT_HERE: &[&str] =
    &["Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity", "ProvidedContexts", "SerialNumber"];

/// The service.
pub struct Sts {
    credentials: Arc<Credentials>,
    iam: Iam,
}

impl Sts {
    /// The service over the keys of the local cloud and its roles.
    pub fn new(credentials: Arc<Credentials>, iam: Iam) -> Sts {
        Sts { credentials, iam }
    }

    fn get_caller_identity(&self, call: &Call) -> Value {
        let identity = self.credentials.lookup(&call.access_key);
        let user_id = identity.map(|identity| identity.user_id.clone()).unwrap_or_default();
        json!({"UserId": user_id, "Account": call.account, "Arn": call.principal})
    }

    async fn assume_role(&self, call: &Call, input: &Value) -> Result<Value, ApiError> {
        let (role_arn, session) = (text(input, "RoleArn"), text(input, "RoleSessionName"));
        if !is_role(role_arn) {
            return Err(ApiError::new("ValidationError", format!("{role_arn} is invalid")));
        }
        if let Some(member) = NOT_HERE.iter().find(|member| !input[**member].is_null()) {
            let message = format!("the local cloud does not have {member} in AssumeRole; leave it out");
            return Err(ApiError::new("ValidationError", message));
        }
        if !role_arn.starts_with(&format!("arn:aws:iam::{ACCOUNT}:")) {
            let message = format!("{role_arn} is not in the account {ACCOUNT}, the only one of the local cloud");
            return Err(ApiError::new("AccessDenied", message).with_status(403));
        }
        let mut context = Context::default().with("sts:RoleSessionName", session);
        if let Some(external) = input["ExternalId"].as_str() {
            context = context.with("sts:ExternalId", external);
        }
        let (principal, longest) = self.iam.assume(&call.principal, role_arn, session, &context)?;
        let seconds = input["DurationSeconds"].as_i64().unwrap_or(HOUR);
        if call.principal.contains(":assumed-role/") && seconds > HOUR {
            let message =
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
            return Err(ApiError::new("ValidationError", message));
        }
        if seconds > longest {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(ApiError::new("ValidationError", message));
        }
        let keys = self.issue(principal.arn.clone(), principal.user_id.clone(), seconds).await?;
        Ok(json!({
            "Credentials": credentials_of(&keys),
            "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
        }))
    }

    async fn get_session_token(&self, call: &Call, input: &Value) -> Result<Value, ApiError> {
        let identity = self.credentials.lookup(&call.access_key);
        let Some(identity) = identity.filter(|identity| identity.session_token.is_none()) else {
            let message = "Cannot call GetSessionToken with session credentials";
            return Err(ApiError::new("AccessDenied", message).with_status(403));
        };
        let seconds = input["DurationSeconds"].as_i64().unwrap_or(12 * HOUR);
        let keys = self.issue(identity.principal_arn.clone(), identity.user_id.clone(), seconds).await?;
        Ok(json!({"Credentials": credentials_of(&keys)}))
    }

    async fn issue(&self, arn: String, user_id: String, seconds: i64) -> Result<IssuedKeys, ApiError> {
        let credentials = Arc::clone(&self.credentials);
        let issue = move || credentials.issue(&arn, &user_id, Duration::seconds(seconds));
        let issued = tokio::task::spawn_blocking(issue).await.map_err(|error| ApiError::internal(&error))?;
        Ok(issued?)
    }
}

impl Service for Sts {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        async move {
            match call.operation.as_str() {
                "GetCallerIdentity" => Ok(self.get_caller_identity(&call)),
                "AssumeRole" => self.assume_role(&call, &input).await,
                "GetSessionToken" => self.get_session_token(&call, &input).await,
                other => Err(ApiError::unknown_operation("sts", other)),
            }
        }
        .boxed()
    }
}

fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input[member].as_str().unwrap_or_default()
}

/// Such as `arn:aws:iam::000000000000:role/some/path/name`.
fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", _, resource]
        if resource.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).is_some_and(|name| !name.is_empty()))
}

fn credentials_of(keys: &IssuedKeys) -> Value {
    json!({
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.identity.secret,
        "SessionToken": keys.identity.session_token,
        "Expiration": keys.identity.expires.map(|expires| expires.unix_timestamp()),
    })
}
