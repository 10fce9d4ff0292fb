//! One attempt to post one event, and what its answer means.
//!
//! Three things may have happened. The event was *accepted*; the API *refused* it, and would do so again; or the attempt
//! *failed* and another may succeed. A failed attempt may have had its effect all the same (the answer was lost, or the
//! API failed after Kinesis had the record), which is told apart.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use url::Url;

use super::EmulatorError;
use super::journal::Post;
use super::log::chain;
use crate::config::{ApiAuth, ApiTarget};

/// An integration may take 29 s ("API Gateway quotas", API Gateway developer guide): its 504 is worth waiting for.
const ANSWER: Duration = Duration::from_secs(31);
const CONNECT: Duration = Duration::from_secs(5);
/// More of an answer is not looked at.
const ANSWER_SIZE: usize = 64 << 10;
/// An API key that was refused is fetched again no sooner.
const KEY_AGE: Duration = Duration::from_secs(5);
/// An API that asks for more patience does not get it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an attempt came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The record is in the stream.
    Accepted,
    /// The API will not take this event.
    Refused(String),
    /// Not this time.
    Failed(Failure),
}

/// Why an attempt failed.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// For people.
    pub(super) reason: String,
    /// It may have had an effect.
    pub(super) unknown: bool,
    /// The API answered, so this may be about the event.
    pub(super) answered: bool,
    /// Not to be tried again before.
    pub(super) after: Option<Duration>,
}

/// The API and how it knows us.
#[derive(Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    url: Url,
    region: String,
    auth: ApiAuth,
    /// Loaded when it is first needed: an API that asks for nothing needs no credentials.
    aws: OnceCell<SdkConfig>,
    key: Mutex<KnownKey>,
}

#[derive(Debug, Default)]
struct KnownKey {
    value: Option<HeaderValue>,
    asked: Option<Instant>,
    problem: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    stream_name: &'a str,
    data: &'a RawValue,
    partition_key: &'a str,
}

impl Api {
    /// An API to which `width` requests may be under way at once.
    pub(super) fn new(target: &ApiTarget, width: usize) -> Result<Api, EmulatorError> {
        let wrong = |reason: String| EmulatorError::ApiUrl { url: target.url.clone(), reason };
        let url = Url::parse(&target.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(wrong("it does not start with `https://` or `http://`".to_owned()));
        }
        let mut http = reqwest::Client::builder()
            .pool_max_idle_per_host(width)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("pinfra-emulator/", env!("CARGO_PKG_VERSION")));
        let host = url.host_str().unwrap_or_default();
        if matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
            http = http.no_proxy();
        }
        if host.ends_with(".localhost") {
            // "Name resolution libraries SHOULD always return the IP loopback address" (RFC 6761, section 6.3); not all do.
            http = http.no_proxy().resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
        }
        let http = http.build().map_err(|error| EmulatorError::Http(chain(&error)))?;
        let (region, auth) = (target.region.clone(), target.auth.clone());
        Ok(Api { http, url, region, auth, aws: OnceCell::new(), key: Mutex::default() })
    }

    /// The same with what to reach AWS by, which is otherwise what the environment says.
    pub(super) fn with_sdk(self, sdk: SdkConfig) -> Api {
        Api { aws: OnceCell::new_with(Some(sdk)), ..self }
    }

    /// Posts an event once.
    pub(super) async fn put(&self, post: &Post) -> Outcome {
        let body = Body { stream_name: &post.stream, data: &post.data, partition_key: &post.partition_key };
        let Ok(body) = serde_json::to_vec(&body) else {
            return Outcome::Refused("the row cannot be written as JSON".to_owned());
        };
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["streams", &post.stream, "record"]);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let known = match self.authenticate(&url, &body, &mut headers).await {
            Ok(known) => known,
            Err(reason) => return failed(reason, false, false),
        };
        match self.http.request(Method::PUT, url).headers(headers).body(body).send().await {
            Ok(answer) => self.judge(answer, known).await,
            // Who was not connected has sent nothing.
            Err(error) => {
                let unknown = !(error.is_connect() || error.is_builder());
                failed(format!("no answer from the API: {}", chain(&error.without_url())), unknown, false)
            }
        }
    }

    async fn judge(&self, mut answer: Response, key: Option<HeaderValue>) -> Outcome {
        let status = answer.status();
        let after = retry_after(answer.headers(), OffsetDateTime::now_utc());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(part)) if body.len() < ANSWER_SIZE => body.extend_from_slice(&part),
                Ok(_) => break,
                // The status is half an answer: it does not say whether Kinesis took the record.
                Err(error) => {
                    return failed(format!("half an answer: {}", chain(&error.without_url())), true, false);
                }
            }
        }
        if status == StatusCode::FORBIDDEN
            && let Some(key) = key
        {
            self.forget(&key).await;
        }
        match classify(status, &body) {
            Outcome::Failed(failure) => Outcome::Failed(Failure { after, ..failure }),
            outcome => outcome,
        }
    }

    /// Adds what the API knows us by, and gives the API key where that is it.
    async fn authenticate(
        &self,
        url: &Url,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<Option<HeaderValue>, String> {
        match &self.auth {
            ApiAuth::None => Ok(None),
            ApiAuth::Key { id } => {
                let key = self.key(id).await?;
                headers.insert(HeaderName::from_static("x-api-key"), key.clone());
                Ok(Some(key))
            }
            ApiAuth::Iam => {
                self.sign(url, body, headers).await?;
                Ok(None)
            }
        }
    }

    /// The API key, fetched once and again after it was refused.
    async fn key(&self, id: &str) -> Result<HeaderValue, String> {
        let mut known = self.key.lock().await;
        let fresh = known.asked.is_some_and(|asked| asked.elapsed() < KEY_AGE);
        match &known.value {
            Some(value) => return Ok(value.clone()),
            None if fresh && !known.problem.is_empty() => return Err(known.problem.clone()),
            None => {}
        }
        known.asked = Some(Instant::now());
        let client = aws_sdk_apigateway::Client::new(self.aws().await);
        let fetched = match Box::pin(client.get_api_key().api_key(id).include_value(true).send()).await {
            Ok(key) => key.value.ok_or("API Gateway gave it without its value".to_owned()),
            Err(error) => Err(chain(&error)),
        };
        let value = fetched.and_then(|value| HeaderValue::from_str(&value).map_err(|error| error.to_string()));
        match value {
            Ok(mut value) => {
                value.set_sensitive(true);
                known.problem.clear();
                Ok(known.value.insert(value).clone())
            }
            Err(reason) => {
                known.problem = format!("cannot fetch the API key `{id}`: {reason}");
                Err(known.problem.clone())
            }
        }
    }

    /// After a refusal: the key may have been replaced. One that was fetched just now is kept, since it takes a while
    /// until API Gateway knows a new one everywhere.
    async fn forget(&self, key: &HeaderValue) {
        let mut known = self.key.lock().await;
        let old = known.asked.is_none_or(|asked| asked.elapsed() >= KEY_AGE);
        if old && known.value.as_ref() == Some(key) {
            known.value = None;
        }
    }

    async fn sign(&self, url: &Url, body: &[u8], headers: &mut HeaderMap) -> Result<(), String> {
        let provider = self.aws().await.credentials_provider().ok_or("there are no AWS credentials")?;
        let credentials = provider.provide_credentials().await.map_err(|error| chain(&error))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| chain(&error))?
            .into();
        let signed = [("content-type", "application/json")];
        let request = SignableRequest::new("PUT", url.as_str(), signed.into_iter(), SignableBody::Bytes(body));
        let (signature, _) =
            sign(request.map_err(|error| chain(&error))?, &params).map_err(|error| chain(&error))?.into_parts();
        for (name, value) in signature.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }

    async fn aws(&self) -> &SdkConfig {
        let region = Region::new(self.region.clone());
        self.aws.get_or_init(|| Box::pin(aws_config::defaults(BehaviorVersion::latest()).region(region).load())).await
    }
}

fn failed(reason: String, unknown: bool, answered: bool) -> Outcome {
    Outcome::Failed(Failure { reason, unknown, answered, after: None })
}

/// What an answer means.
fn classify(status: StatusCode, body: &[u8]) -> Outcome {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    // An integration that maps all answers to 200 passes on Kinesis's own errors like this.
    let error = text("__type").map(|kind| kind.rsplit('#').next().unwrap_or(kind));
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    let mut reason = format!("the API answered {status}");
    for part in [error.unwrap_or_default(), message] {
        if !part.is_empty() {
            let part: String = part.chars().filter(|c| !c.is_control()).take(200).collect();
            reason = format!("{reason}: {part}");
        }
    }
    match (status.as_u16(), error) {
        (200..300, None) => Outcome::Accepted,
        (_, Some(error)) if THROTTLED.iter().any(|one| error.contains(one)) => failed(reason, false, true),
        (_, Some(error)) if BROKEN.iter().any(|one| error.contains(one)) => failed(reason, true, true),
        (408 | 425 | 429, _) => failed(reason, false, true),
        // These are about the caller, not about the event: it is worth keeping until somebody has put that right.
        (401 | 403, _) => failed(reason, false, true),
        (500.., _) => failed(reason, true, true),
        _ => Outcome::Refused(reason),
    }
}

/// Errors of Kinesis that say that it did not take the record ("PutRecord", Kinesis Data Streams API reference).
const THROTTLED: [&str; 5] =
    ["ProvisionedThroughputExceeded", "LimitExceeded", "Throttling", "KMSThrottling", "SlowDown"];
/// Errors that do not say.
const BROKEN: [&str; 3] = ["InternalFailure", "InternalServerError", "ServiceUnavailable"];

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (OffsetDateTime::parse(text, &Rfc2822).ok()? - now).try_into().unwrap_or(Duration::ZERO),
    };
    Some(wait.min(PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(status: u16, body: &str, unknown: bool) {
        let outcome = classify(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(matches!(&outcome, Outcome::Failed(failure) if failure.unknown == unknown), "{outcome:?}");
    }

    #[track_caller]
    fn refuses(status: u16, body: &str, reason: &str) {
        let outcome = classify(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(outcome, Outcome::Refused(reason.to_owned()));
    }

    #[test]
    fn answers_are_told_apart() {
        let taken = classify(StatusCode::OK, br#"{"SequenceNumber":"495","ShardId":"shardId-000000000000"}"#);
        assert_eq!(taken, Outcome::Accepted);
        fails(429, r#"{"message":"Too Many Requests"}"#, false);
        fails(400, r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}"#, false);
        fails(200, r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}"#, false);
        fails(403, r#"{"message":"Forbidden"}"#, false);
        fails(500, r#"{"message": "Internal server error"}"#, true);
        fails(504, r#"{"message": "Endpoint request timed out"}"#, true);
        refuses(400, r#"{"message":"Invalid request body"}"#, "the API answered 400 Bad Request: Invalid request body");
        refuses(
            200,
            r#"{"__type":"com.amazonaws#ResourceNotFoundException","message":"Stream x not found"}"#,
            "the API answered 200 OK: ResourceNotFoundException: Stream x not found",
        );
        refuses(413, "<html>", "the API answered 413 Payload Too Large");
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now = OffsetDateTime::from_unix_timestamp(1_445_412_460).unwrap();
        let parse = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(parse("3"), Some(Duration::from_secs(3)));
        assert_eq!(parse("99999999"), Some(PATIENCE));
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(20)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
    }
}
