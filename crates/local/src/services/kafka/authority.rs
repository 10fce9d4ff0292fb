//! Who connects to brokers with IAM, and what it may do: the gate of the brokers, on the keys and policies of the account.
//!
//! A token is base64url of a presigned request, `GET https://kafka.<region>.amazonaws.com/?Action=kafka-cluster:Connect`,
//! signed for the service `kafka-cluster` and good for 15 minutes at most; clients add a `User-Agent` to it after signing
//! (aws-msk-iam-sasl-signer, aws-msk-iam-auth). It is checked as any signature here: by the real time, not by the clock
//! that a test may have moved.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};
use time::OffsetDateTime;

use crate::credentials::Credentials;
use crate::kafka::{Gate, Principal};
use crate::services::iam::{Context, Iam};
use crate::wire::request::Request;
use crate::wire::sigv4::{self, Fault, SigningKeys};

/// The service that tokens are signed for.
const SERVICE: &str = "kafka-cluster";

/// What a token asks for, as it stands in its query.
const ACTION: &str = "Action=kafka-cluster%3AConnect";

/// Seconds that a token may be good for.
const LONGEST: i64 = 900;

/// The gate of the brokers.
pub struct Authority {
    credentials: Arc<Credentials>,
    iam: Iam,
    signing_keys: SigningKeys,
}

impl Authority {
    /// A gate that knows these keys and asks the policies of these roles.
    pub fn new(credentials: Arc<Credentials>, iam: Iam) -> Authority {
        Authority { credentials, iam, signing_keys: SigningKeys::default() }
    }
}

impl Gate for Authority {
    fn connect(&self, token: &str, region: &str) -> Result<Principal, String> {
        let token = token.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(token).or_else(|_| URL_SAFE.decode(token));
        let url = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let url = url.ok_or("the token is not the base64url encoding of a signed URL")?;
        let (host, query) = parts(&url).ok_or("the token is not a signed URL of https")?;
        if !is_of_msk(host, region) {
            return Err(format!("the token is for {host}, not for kafka.{region}.amazonaws.com"));
        }
        let signed = without_user_agent(query);
        if !signed.split('&').any(|pair| pair == ACTION) {
            return Err("the token is not for the action kafka-cluster:Connect".to_owned());
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| "the token has no good host")?);
        let request = Request { method: &Method::GET, path: "/", query: &signed, headers: &headers, body: b"" };
        self.verified(&request, region)
    }

    fn may(&self, principal_arn: &str, action: &str, resource_arn: &str) -> Result<(), String> {
        let context = Context::default().with("aws:SourceIp", "127.0.0.1").with("aws:SecureTransport", "true");
        let allowed = self.iam.authorize(principal_arn, action, &[resource_arn.to_owned()], &context);
        allowed.map_err(|error| error.message)
    }
}

impl Authority {
    fn verified(&self, request: &Request<'_>, region: &str) -> Result<Principal, String> {
        let claim = sigv4::claim(request).map_err(|fault| told(&fault))?;
        if (claim.service(), claim.region()) != (SERVICE, region) {
            return Err(format!(
                "the token is signed for {} in {}, not for {SERVICE} in {region}",
                claim.service(),
                claim.region()
            ));
        }
        let expires = claim.expires_at().filter(|_| claim.validity() <= Some(LONGEST));
        let expires = expires.ok_or_else(|| format!("the token must be good for at most {LONGEST} seconds"))?;
        let identity = self.credentials.lookup(claim.access_key()).ok_or_else(|| told(&Fault::UnknownKey))?;
        let now = OffsetDateTime::now_utc();
        sigv4::verify(&claim, request, &identity.secret, &self.signing_keys, now).map_err(|fault| told(&fault))?;
        if !identity.has_token(claim.security_token.as_deref()) {
            return Err(told(&Fault::InvalidToken));
        }
        if self.credentials.expired(&identity) {
            return Err(told(&Fault::ExpiredToken));
        }
        let expires_millis = expires.unix_timestamp().saturating_mul(1_000);
        Ok(Principal { arn: identity.principal_arn.clone(), expires_millis })
    }
}

/// Host and query of `https://<host>/?<query>`.
fn parts(url: &str) -> Option<(&str, &str)> {
    let (host, query) = url.strip_prefix("https://")?.split_once('?')?;
    Some((host.strip_suffix('/').unwrap_or(host), query))
}

/// The names of MSK's endpoints in a region.
fn is_of_msk(host: &str, region: &str) -> bool {
    [format!("kafka.{region}.amazonaws.com"), format!("kafka-fips.{region}.amazonaws.com")]
        .iter()
        .any(|one| one == host)
}

/// The query as it was signed: who speaks is added after that.
fn without_user_agent(query: &str) -> String {
    let signed: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("User-Agent=")).collect();
    signed.join("&")
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Missing => "the token is not signed".to_owned(),
        Fault::Incomplete(what) | Fault::Stale(what) => what.clone(),
        Fault::UnknownKey => "the access key of the token is not known".to_owned(),
        Fault::InvalidToken => "the session token does not belong to the access key".to_owned(),
        Fault::ExpiredToken => "the credentials that signed the token have expired".to_owned(),
        Fault::Mismatch => "the signature of the token is not good".to_owned(),
    }
}
