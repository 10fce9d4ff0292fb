//! Who may ask: the keys of the local cloud, checked by `s3s` against the signature, for buckets of the region that
//! was signed.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::DeleteObjectsInput;
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use subtle::ConstantTimeEq;

use super::Cloud;
use super::index::Read;
use super::permissions::{self, Needed};
use crate::credentials::ACCOUNT;
use crate::services::iam::Context;

/// The credentials of the local cloud.
pub trait Secrets: Send + Sync {
    /// The secret of an access key; `None` if there is no such key, or no longer.
    fn secret_of(&self, access_key: &str) -> Option<SecretOfKey>;

    /// Whether the owner of the key may do `action`, such as `s3:GetObject`, on a resource; the text says why not. By
    /// default everybody with a key may do everything.
    fn may(&self, _access_key: &str, _action: &str, _resource: &str, _context: &Context) -> Result<(), String> {
        Ok(())
    }
}

/// What belongs to an access key.
#[derive(Clone)]
pub struct SecretOfKey {
    /// The secret access key.
    pub secret: String,
    /// The session token that must come with temporary credentials.
    pub session_token: Option<String>,
}

/// Looks secrets up for the signature check.
pub(super) struct Auth {
    pub(super) secrets: Arc<dyn Secrets>,
}

impl S3Auth for Auth {
    fn get_secret_key<'life0, 'life1, 'async_trait>(
        &'life0 self,
        access_key: &'life1 str,
    ) -> Pin<Box<dyn Future<Output = S3Result<SecretKey>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let found = self.secrets.secret_of(access_key).map(|key| SecretKey::from(key.secret));
        Box::pin(std::future::ready(found.ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })))
    }
}

/// Refuses anonymous requests, temporary keys without their session token, buckets that are another's or elsewhere, and
/// what the policies of a role do not allow.
pub(super) struct Access {
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) cloud: Arc<Cloud>,
}

/// Put into a request's extensions, it tells afterwards whether signature and access were found good.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission(Arc<AtomicBool>);

impl Admission {
    pub(super) fn is_granted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl S3Access for Access {
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        context: &'life1 mut S3AccessContext<'life2>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        let judged = self.judge(context);
        if judged.is_ok()
            && let Some(admission) = context.extensions_mut().get::<Admission>()
        {
            admission.0.store(true, Ordering::Release);
        }
        Box::pin(std::future::ready(judged))
    }

    /// The keys are in the body, so `check` could not judge them. Those that may not be deleted are refused one by one.
    fn delete_objects<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 mut S3Request<DeleteObjectsInput>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let access_key = request.credentials.as_ref().map(|keys| keys.access_key.clone()).unwrap_or_default();
        let mut kept = Kept::default();
        for object in &request.input.delete.objects {
            let versioned = object.version_id.is_some();
            let Needed { action, resource } = permissions::to_delete(&request.input.bucket, &object.key, versioned);
            if let Err(why) = self.secrets.may(&access_key, &action, &resource, &Context::default()) {
                kept.0.insert((object.key.clone(), object.version_id.clone()), why);
            }
        }
        request.extensions.insert(kept);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Keys with their versions that a DeleteObjects may not delete, and why; in the extensions of its request.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(pub(super) HashMap<(String, Option<String>), String>);

impl Access {
    fn judge(&self, context: &S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied: anonymous requests are not allowed"));
        };
        let expected = self.secrets.secret_of(&credentials.access_key).and_then(|key| key.session_token);
        let given = session_token(context);
        let same = match (&expected, &given) {
            (Some(expected), Some(given)) => expected.as_bytes().ct_eq(given.as_bytes()).into(),
            (None, None) => true,
            _ => false,
        };
        if !same {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        check_owner(context)?;
        self.check_region(context)?;
        self.check_permissions(context, &credentials.access_key)
    }

    fn check_permissions(&self, context: &S3AccessContext<'_>, access_key: &str) -> S3Result<()> {
        let known = permissions::known_of(context);
        let may = |needed: &Needed| {
            let allowed = self.secrets.may(access_key, &needed.action, &needed.resource, &known);
            allowed.map_err(|why| s3_error!(AccessDenied, "{why}"))
        };
        for needed in permissions::needed(context) {
            may(&needed)?;
        }
        // Who may not list a bucket does not learn that a key is not there (API reference, `GetObject`).
        let (Some(bucket), Some(key)) = (context.s3_path().get_bucket_name(), context.s3_path().get_object_key())
        else {
            return Ok(());
        };
        if !["GetObject", "HeadObject"].contains(&context.s3_op().name()) {
            return Ok(());
        }
        let Err(refused) = may(&permissions::to_list(bucket)) else { return Ok(()) };
        let there = self.cloud.index.look(|transaction| {
            transaction.bucket(bucket)?;
            Ok(transaction.latest(bucket, key)?.is_some_and(|(_, record)| !record.delete_marker))
        })?;
        if there { Ok(()) } else { Err(refused) }
    }

    /// AWS has an endpoint for each region, so there a request may also have come to the wrong one and be redirected
    /// (301). Here it is always the right endpoint with the wrong region in the signature, and that is what AWS says
    /// then. SDKs that look for a bucket's region read it from the header or the error.
    fn check_region(&self, context: &S3AccessContext<'_>) -> S3Result<()> {
        let Some(bucket) = context.s3_path().get_bucket_name() else { return Ok(()) };
        // Making a bucket names its region in the body; where one lies may be asked from anywhere.
        if ["CreateBucket", "GetBucketLocation"].contains(&context.s3_op().name()) {
            return Ok(());
        }
        let Some((signed, code)) = signed_region(context) else { return Ok(()) };
        // One look at a small table, nearly always in memory: not worth another thread.
        let found = self.cloud.index.look(|transaction| transaction.find_bucket(bucket))?;
        match found {
            Some(record) if record.region != signed => Err(wrong_region(code, &signed, record.region)),
            _ => Ok(()),
        }
    }
}

fn check_owner(context: &S3AccessContext<'_>) -> S3Result<()> {
    match context.headers().get("x-amz-expected-bucket-owner") {
        Some(owner) if owner.as_bytes() != ACCOUNT.as_bytes() => Err(s3_error!(AccessDenied, "Access Denied")),
        _ => Ok(()),
    }
}

/// The region in the scope of the signature, and the code that refuses it; `None` with Signature Version 2.
fn signed_region(context: &S3AccessContext<'_>) -> Option<(String, &'static str)> {
    let header = context.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let region_of = |credential: &str| credential.split('/').nth_back(2).map(str::to_owned);
    match header {
        Some(header) => {
            let credential = header.split_once("Credential=")?.1.split([',', ' ']).next()?;
            Some((region_of(credential)?, "AuthorizationHeaderMalformed"))
        }
        None => {
            let credential = super::operation::query_value(context.uri().query()?, "X-Amz-Credential")?;
            Some((region_of(&credential)?, "AuthorizationQueryParametersError"))
        }
    }
}

fn wrong_region(code: &'static str, signed: &str, region: String) -> S3Error {
    let what = match code {
        "AuthorizationHeaderMalformed" => "The authorization header is malformed",
        _ => "Error parsing the X-Amz-Credential parameter",
    };
    let message = format!("{what}; the region '{signed}' is wrong; expecting '{region}'");
    let mut error = super::refusals::custom(code, 400, &message);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if let Ok(region) = HeaderValue::try_from(region) {
        headers.insert("x-amz-bucket-region", region);
    }
    error.set_headers(headers);
    error
}

fn session_token(context: &S3AccessContext<'_>) -> Option<String> {
    if let Some(header) = context.headers().get("x-amz-security-token") {
        return header.to_str().ok().map(str::to_owned);
    }
    super::operation::query_value(context.uri().query()?, "X-Amz-Security-Token")
}

/// Reads `<bucket>.localhost` and `<bucket>.s3.localhost` as virtual-hosted names; all other hosts are path-style.
pub(super) struct LocalhostNames;

impl S3Host for LocalhostNames {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        match bucket_of_host(host) {
            Some(bucket) => Ok(VirtualHost::new(host).with_bucket(bucket)),
            None => Ok(VirtualHost::new(host)),
        }
    }
}

/// The bucket in a `Host` header, if it names one.
pub(super) fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_suffix(".localhost")?;
    let name = name.strip_suffix(".s3").unwrap_or(name);
    (name != "s3").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_a_bucket_only_below_localhost() {
        let cases = [
            ("127.0.0.1:4566", None),
            ("localhost:4566", None),
            ("s3.localhost:4566", None),
            ("lake.localhost:4566", Some("lake")),
            ("lake.s3.localhost", Some("lake")),
            ("my.lake.localhost", Some("my.lake")),
        ];
        for (host, bucket) in cases {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }
}
