//! Signature Version 4: who signed a request, for which service and region, and whether the signature is good.
//!
//! Written after "Create a signed AWS API request" in the IAM user guide; AWS's own test suite runs against it in
//! [`super::sigv4_tests`]. S3 has rules of its own (no double encoding, no normalised path, chunked bodies) and is
//! checked by `s3s`. The time is an argument: the clock of the local cloud can be moved, those of clients cannot.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::request::Request;
use super::scalar::parse_http_date;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the clocks of client and server may be apart; AWS allows 5 minutes or 15, depending on the service.
const MAX_SKEW: Duration = Duration::minutes(15);

/// A presigned request is good for no more than a week.
const MAX_EXPIRES: i64 = 7 * 24 * 3600;

/// Everything but the unreserved characters of RFC 3986 is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

type HmacSha256 = Hmac<Sha256>;

/// Why a request is not let in. How it is told depends on the protocol: see [`super::auth`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not signed at all.
    Missing,
    /// The signature lacks a part, or a part cannot be read.
    Incomplete(String),
    /// Nobody has this access key.
    UnknownKey,
    /// The session token is not the one that belongs to the key.
    InvalidToken,
    /// The temporary credentials have expired.
    ExpiredToken,
    /// The signature is another's, or for another request.
    Mismatch,
    /// Signed too long ago, or in the future.
    Stale(String),
}

/// The claim of a request, not yet verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim<'a> {
    /// `<access key>/<date>/<region>/<service>/aws4_request`.
    credential: Cow<'a, str>,
    ends: [usize; 4],
    signed_headers: Vec<Cow<'a, str>>,
    signature: Cow<'a, str>,
    /// As sent: it is part of what was signed.
    timestamp: String,
    time: OffsetDateTime,
    pub(crate) security_token: Option<Cow<'a, str>>,
    /// Seconds, in a presigned request.
    expires: Option<i64>,
}

impl Claim<'_> {
    fn part(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] + 1 };
        &self.credential[start..self.ends[index]]
    }

    pub(crate) fn access_key(&self) -> &str {
        self.part(0)
    }

    fn date(&self) -> &str {
        self.part(1)
    }

    pub(crate) fn region(&self) -> &str {
        self.part(2)
    }

    pub(crate) fn service(&self) -> &str {
        self.part(3)
    }

    /// How many seconds a presigned request is good for.
    pub(crate) fn validity(&self) -> Option<i64> {
        self.expires
    }

    /// When a presigned request ends.
    pub(crate) fn expires_at(&self) -> Option<OffsetDateTime> {
        Some(self.time + Duration::seconds(self.expires?))
    }

    fn scope(&self) -> &str {
        &self.credential[self.ends[0] + 1..]
    }
}

/// Reads the claim from the `Authorization` header, or from the query of a presigned request.
pub(crate) fn claim<'a>(request: &Request<'a>) -> Result<Claim<'a>, Fault> {
    match request.headers.get(http::header::AUTHORIZATION) {
        Some(value) => {
            let text =
                value.to_str().map_err(|_| Fault::Incomplete("the Authorization header is not text".to_owned()))?;
            header_claim(request, text)
        }
        None if request.query.contains("X-Amz-Algorithm=") => query_claim(request),
        None => Err(Fault::Missing),
    }
}

fn header_claim<'a>(request: &Request<'a>, authorization: &'a str) -> Result<Claim<'a>, Fault> {
    let Some(fields) = authorization.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')) else {
        let algorithm = authorization.split(' ').next().unwrap_or_default();
        return Err(Fault::Incomplete(format!(
            "the algorithm of the signature must be {ALGORITHM}, not '{algorithm}'"
        )));
    };
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        let value = fields.find(|(key, _)| *key == name).map(|(_, value)| value);
        value.ok_or_else(|| Fault::Incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    let (timestamp, time) = header_time(request)?;
    let credential = Cow::Borrowed(field("Credential")?);
    Ok(Claim {
        ends: credential_parts(&credential)?,
        credential,
        signed_headers: field("SignedHeaders")?.split(';').map(Cow::Borrowed).collect(),
        signature: field("Signature")?.into(),
        timestamp,
        time,
        security_token: request.header("x-amz-security-token").map(Cow::Borrowed),
        expires: None,
    })
}

fn header_time(request: &Request<'_>) -> Result<(String, OffsetDateTime), Fault> {
    if let Some(text) = request.header("x-amz-date") {
        let time = parse_time(text).ok_or_else(|| Fault::Incomplete(format!("X-Amz-Date '{text}' is not a date")))?;
        return Ok((text.to_owned(), time));
    }
    let date = request.header("date").and_then(parse_http_date);
    let time = date.ok_or_else(|| {
        let message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
        Fault::Incomplete(message.to_owned())
    })?;
    Ok((format_time(time), time))
}

fn query_claim<'a>(request: &Request<'a>) -> Result<Claim<'a>, Fault> {
    let get = |name: &str| {
        let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| *key == name).map(|(_, value)| value)?;
        percent_decode(value.as_bytes()).decode_utf8().ok()
    };
    let need = |name: &str| get(name).ok_or_else(|| Fault::Incomplete(format!("the query requires '{name}'.")));

    if need("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Fault::Incomplete(format!("the algorithm of the signature must be {ALGORITHM}")));
    }
    let timestamp = need("X-Amz-Date")?;
    let time = parse_time(&timestamp).ok_or_else(|| Fault::Incomplete("X-Amz-Date is not a date".to_owned()))?;
    // Only S3 insists on `X-Amz-Expires`; elsewhere its absence means the usual validity.
    let expires = match get("X-Amz-Expires") {
        None => MAX_SKEW.whole_seconds(),
        Some(text) => {
            let seconds = text.parse::<i64>().ok().filter(|seconds| (0..=MAX_EXPIRES).contains(seconds));
            let message = || format!("X-Amz-Expires must be a number of seconds from 0 to {MAX_EXPIRES}");
            seconds.ok_or_else(|| Fault::Incomplete(message()))?
        }
    };
    let credential = need("X-Amz-Credential")?;
    Ok(Claim {
        ends: credential_parts(&credential)?,
        credential,
        signed_headers: need("X-Amz-SignedHeaders")?.split(';').map(|name| Cow::Owned(name.to_owned())).collect(),
        signature: need("X-Amz-Signature")?,
        timestamp: timestamp.into_owned(),
        time,
        security_token: get("X-Amz-Security-Token"),
        expires: Some(expires),
    })
}

/// Where the access key, the date, the region and the service end.
fn credential_parts(credential: &str) -> Result<[usize; 4], Fault> {
    let slashes: Vec<usize> = credential.match_indices('/').map(|(at, _)| at).collect();
    match (<[usize; 4]>::try_from(slashes), credential.ends_with("/aws4_request")) {
        (Ok(ends), true) => Ok(ends),
        _ => Err(Fault::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
        ))),
    }
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(text, format).ok().map(PrimitiveDateTime::assume_utc)
}

fn format_time(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    time.format(format).unwrap_or_default()
}

/// Derived signing keys, which depend on nothing but the secret and the scope: four HMACs saved a request.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys {
    by_credential: Mutex<HashMap<String, [u8; 32]>>,
}

impl SigningKeys {
    /// More than a day's scopes of any test; then it starts anew.
    const CAPACITY: usize = 1000;

    fn get(&self, claim: &Claim<'_>) -> Option<[u8; 32]> {
        let keys = self.by_credential.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(claim.credential.as_ref()).copied()
    }

    fn keep(&self, claim: &Claim<'_>, key: [u8; 32]) {
        let mut keys = self.by_credential.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= Self::CAPACITY {
            keys.clear();
        }
        keys.insert(claim.credential.clone().into_owned(), key);
    }
}

/// Checks time, signed headers and signature. The secret is that of the claim's access key.
pub(crate) fn verify(
    claim: &Claim<'_>,
    request: &Request<'_>,
    secret: &str,
    keys: &SigningKeys,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    check_time(claim, now)?;
    check_signed_headers(claim, request)?;
    let canonical = canonical_request(claim, request);
    let digest = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("{ALGORITHM}\n{}\n{}\n{digest}", claim.timestamp, claim.scope());

    let cached = keys.get(claim);
    let key = cached.unwrap_or_else(|| signing_key(secret, claim));
    let expected = hex::encode(hmac(&key, to_sign.as_bytes()));
    if !bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        return Err(Fault::Mismatch);
    }
    if cached.is_none() {
        keys.keep(claim, key);
    }
    Ok(())
}

fn check_time(claim: &Claim<'_>, now: OffsetDateTime) -> Result<(), Fault> {
    if !claim.timestamp.starts_with(claim.date()) {
        let message = format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}'",
            claim.date(),
            &claim.timestamp
        );
        return Err(Fault::Stale(message));
    }
    let shown = format_time(now);
    if claim.time > now + MAX_SKEW {
        let limit = format_time(now + MAX_SKEW);
        let message =
            format!("Signature not yet current: {} is still later than {limit} ({shown} + 15 min.)", claim.timestamp);
        return Err(Fault::Stale(message));
    }
    match claim.expires {
        None if claim.time < now - MAX_SKEW => {
            let limit = format_time(now - MAX_SKEW);
            let message =
                format!("Signature expired: {} is now earlier than {limit} ({shown} - 15 min.)", claim.timestamp);
            Err(Fault::Stale(message))
        }
        Some(seconds) if claim.time + Duration::seconds(seconds) < now => {
            let limit = format_time(claim.time + Duration::seconds(seconds));
            Err(Fault::Stale(format!("Signature expired: it was good until {limit} and now is {shown}")))
        }
        _ => Ok(()),
    }
}

/// What decides about the request has to be signed, or whoever is in between could change it.
fn check_signed_headers(claim: &Claim<'_>, request: &Request<'_>) -> Result<(), Fault> {
    let signed = |name: &str| claim.signed_headers.iter().any(|header| header == name);
    if !signed("host") {
        return Err(Fault::Incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization.".to_owned()));
    }
    for name in ["x-amz-date", "x-amz-target", "x-amz-security-token", "x-amz-content-sha256"] {
        if request.headers.contains_key(name) && !signed(name) {
            return Err(Fault::Incomplete(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    match claim.signed_headers.iter().find(|name| !request.headers.contains_key(name.as_ref())) {
        Some(name) => Err(Fault::Incomplete(format!("the signed header '{name}' is not in the request"))),
        None => Ok(()),
    }
}

fn canonical_request(claim: &Claim<'_>, request: &Request<'_>) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(request.method.as_str());
    text.push('\n');
    text.extend(percent_encode(normalised_path(request.path).as_bytes(), RESERVED_IN_PATH));
    text.push('\n');
    push_canonical_query(request.query, &mut text);
    text.push('\n');
    for name in &claim.signed_headers {
        text.push_str(name);
        text.push(':');
        let mut separator = "";
        for value in request.headers.get_all(name.as_ref()) {
            text.push_str(std::mem::replace(&mut separator, ","));
            push_trimmed(&String::from_utf8_lossy(value.as_bytes()), &mut text);
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&claim.signed_headers.join(";"));
    text.push('\n');
    match request.header("x-amz-content-sha256") {
        Some("UNSIGNED-PAYLOAD") => text.push_str("UNSIGNED-PAYLOAD"),
        // Always of the body that came: a header that tells another hash makes another signature.
        _ => text.push_str(&hex::encode(Sha256::digest(request.body))),
    }
    text
}

/// Without empty, `.` and `..` segments. It is encoded once more after this, which is what AWS asks for.
fn normalised_path(path: &str) -> Cow<'_, str> {
    let clean = path.starts_with('/') && !path.contains("//") && !path.contains("/.");
    if clean {
        return path.into();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let folder = !kept.is_empty() && (path.ends_with('/') || path.ends_with("/.") || path.ends_with("/.."));
    format!("/{}{}", kept.join("/"), if folder { "/" } else { "" }).into()
}

fn push_canonical_query(query: &str, text: &mut String) {
    if query.is_empty() {
        return;
    }
    let encode = |part: &str| {
        let bytes: Cow<'_, [u8]> = percent_decode(part.as_bytes()).into();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| *key != "X-Amz-Signature")
        .map(|(key, value)| (encode(key), encode(value)))
        .collect();
    pairs.sort_unstable();
    let mut separator = "";
    for (key, value) in &pairs {
        text.push_str(std::mem::replace(&mut separator, "&"));
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
}

/// Blanks at both ends go, runs of blanks become one.
fn push_trimmed(value: &str, text: &mut String) {
    let mut separator = "";
    for word in value.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
        text.push_str(std::mem::replace(&mut separator, " "));
        text.push_str(word);
    }
}

fn signing_key(secret: &str, claim: &Claim<'_>) -> [u8; 32] {
    let date = hmac(format!("AWS4{secret}").as_bytes(), claim.date().as_bytes());
    let region = hmac(&date, claim.region().as_bytes());
    let service = hmac(&region, claim.service().as_bytes());
    hmac(&service, b"aws4_request")
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
