//! Security Token Service: who a caller is, and temporary credentials.
//!
//! A role's trust policy cannot be asked yet, because roles arrive with IAM: every role of the account may be assumed.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::Duration;

use super::{Call, Service};
use crate::credentials::{ACCOUNT, Credentials, IssuedKeys};
use crate::wire::error::ApiError;

const HOUR: i64 = 3600;

/// The service.
pub struct Sts {
    credentials: Arc<Credentials>,
}

impl Sts {
    /// The service over the keys of the local cloud.
    pub fn new(credentials: Arc<Credentials>) -> Sts {
        Sts { credentials }
    }

    fn get_caller_identity(&self, call: &Call) -> Value {
        let identity = self.credentials.lookup(&call.access_key);
        let user_id = identity.map(|identity| identity.user_id.clone()).unwrap_or_default();
        json!({"UserId": user_id, "Account": call.account, "Arn": call.principal})
    }

    async fn assume_role(&self, input: &Value) -> Result<Value, ApiError> {
        let (role_arn, session) = (text(input, "RoleArn"), text(input, "RoleSessionName"));
        let Some(role) = role_name(role_arn) else {
            let message = format!("{role_arn} is invalid");
            return Err(ApiError::new("ValidationError", message));
        };
        if !role_arn.starts_with(&format!("arn:aws:iam::{ACCOUNT}:")) {
            let message = format!("{role_arn} is not in the account {ACCOUNT}, the only one of the local cloud");
            return Err(ApiError::new("AccessDenied", message).with_status(403));
        }
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}");
        let assumed_role_id = format!("{}:{session}", role_id(role_arn));
        let seconds = input["DurationSeconds"].as_i64().unwrap_or(HOUR);
        let keys = self.issue(arn.clone(), assumed_role_id.clone(), seconds).await?;
        Ok(json!({
            "Credentials": credentials_of(&keys),
            "AssumedRoleUser": {"AssumedRoleId": assumed_role_id, "Arn": arn},
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
                "AssumeRole" => self.assume_role(&input).await,
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

/// The last part of `arn:aws:iam::000000000000:role/some/path/name`.
fn role_name(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", _, resource] = parts.as_slice() else { return None };
    resource.strip_prefix("role/")?.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The same for the same role, as AWS's ids are.
fn role_id(role_arn: &str) -> String {
    let digest = Sha256::digest(role_arn);
    let letters =
        digest.iter().take(17).map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]));
    format!("AROA{}", letters.collect::<String>())
}

fn credentials_of(keys: &IssuedKeys) -> Value {
    json!({
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.identity.secret,
        "SessionToken": keys.identity.session_token,
        "Expiration": keys.identity.expires.map(|expires| expires.unix_timestamp()),
    })
}
