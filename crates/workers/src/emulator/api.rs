//! One attempt to post one event: the request, and how the API knows its caller.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use url::Url;

use super::EmulatorError;
use super::answer::{Failure, Outcome, classify, failed, retry_after};
use super::journal::Post;
use super::offsets;
use super::route::Route;
use crate::config::{ApiAuth, ApiTarget};
use crate::log::chain;

/// An integration may take 29 s ("API Gateway quotas", API Gateway developer guide): its 504 is worth waiting for.
const ANSWER: Duration = Duration::from_secs(31);
const CONNECT: Duration = Duration::from_secs(5);
/// More of an answer is not looked at.
const ANSWER_SIZE: usize = 64 << 10;
/// An API key that was refused is fetched again no sooner.
const KEY_AGE: Duration = Duration::from_secs(5);

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

/// A record for a stream, as the API maps it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    stream_name: &'a str,
    data: &'a RawValue,
    partition_key: &'a str,
}

/// A record for a topic: one without a key, so that brokers' load is spread.
#[derive(Serialize)]
struct Records<'a> {
    records: [KafkaRecord<'a>; 1],
}

#[derive(Serialize)]
struct KafkaRecord<'a> {
    value: &'a RawValue,
}

/// A request as far as its route says it.
struct Draft {
    method: Method,
    /// Below the stage.
    path: Vec<String>,
    content_type: &'static str,
    body: Vec<u8>,
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

    /// Posts an event once, on this of its routes.
    pub(super) async fn put(&self, post: &Post, route: Route) -> Outcome {
        let Ok(draft) = draft(post, route) else {
            return Outcome::Refused("the row cannot be written as JSON".to_owned());
        };
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&draft.path);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(draft.content_type));
        let known = match self.authenticate(&url, &draft, &mut headers).await {
            Ok(known) => known,
            Err(reason) => return failed(reason, false, false),
        };
        match self.http.request(draft.method, url).headers(headers).body(draft.body).send().await {
            Ok(answer) => self.judge(answer, known, route).await,
            // Who was not connected has sent nothing.
            Err(error) => {
                let unknown = !(error.is_connect() || error.is_builder());
                failed(format!("no answer from the API: {}", chain(&error.without_url())), unknown, false)
            }
        }
    }

    async fn judge(&self, mut answer: Response, key: Option<HeaderValue>, route: Route) -> Outcome {
        let status = answer.status();
        let after = retry_after(answer.headers(), OffsetDateTime::now_utc());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(part)) if body.len() < ANSWER_SIZE => body.extend_from_slice(&part),
                Ok(_) => break,
                // The status is half an answer: it does not say whether the record was taken.
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
        let outcome = match route {
            Route::Stream => classify(status, &body),
            Route::Kafka => offsets::classify(status, &body),
        };
        match outcome {
            Outcome::Failed(failure) => Outcome::Failed(Failure { after, ..failure }),
            outcome => outcome,
        }
    }

    /// Adds what the API knows us by, and gives the API key where that is it.
    async fn authenticate(
        &self,
        url: &Url,
        draft: &Draft,
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
                self.sign(url, draft, headers).await?;
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

    async fn sign(&self, url: &Url, draft: &Draft, headers: &mut HeaderMap) -> Result<(), String> {
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
        let signed = [("content-type", draft.content_type)];
        let body = SignableBody::Bytes(&draft.body);
        let request = SignableRequest::new(draft.method.as_str(), url.as_str(), signed.into_iter(), body);
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

/// What is sent: for a stream as `PutRecord` behind the API wants it, for a topic as Kafka's REST proxy does ("POST
/// /topics/(topic_name)", Confluent REST Proxy API v2).
fn draft(post: &Post, route: Route) -> serde_json::Result<Draft> {
    let (stream, topic) = (post.stream.as_deref().unwrap_or_default(), post.topic.as_deref().unwrap_or_default());
    Ok(match route {
        Route::Stream => Draft {
            method: Method::PUT,
            path: vec!["streams".to_owned(), stream.to_owned(), "record".to_owned()],
            content_type: "application/json",
            body: serde_json::to_vec(&Record {
                stream_name: stream,
                data: &post.data,
                partition_key: &post.partition_key,
            })?,
        },
        Route::Kafka => Draft {
            method: Method::POST,
            path: vec!["topics".to_owned(), topic.to_owned()],
            content_type: "application/vnd.kafka.json.v2+json",
            body: serde_json::to_vec(&Records { records: [KafkaRecord { value: &post.data }] })?,
        },
    })
}
