//! What the agent reads and writes in the lake bucket.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use serde::de::DeserializeOwned;

use crate::config::{AgentConfig, Heartbeat, Program};
use crate::keys::{self, AGENT, MANIFESTS};
use crate::log::chain;

/// A manifest holds a worker's whole configuration, cleaning SQL included.
pub(super) const MAX_MANIFEST: i64 = 4 << 20;
/// More workers than one machine is meant for; without a limit, a mistake could make it start thousands.
const MAX_WORKERS: usize = 100;

/// A call to the lake that did not work.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of `{key}` in the lake failed: {why}")]
pub(super) struct LakeError {
    operation: &'static str,
    key: String,
    why: String,
}

/// A manifest object, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) etag: String,
    pub(super) size: i64,
}

/// The lake bucket, as one agent sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lake {
    s3: aws_sdk_s3::Client,
    bucket: String,
    instance: String,
}

/// A client with the credentials and the endpoint of this machine.
pub(super) async fn client(config: &AgentConfig) -> aws_sdk_s3::Client {
    // All that an agent asks for it asks for again soon: a call that hangs must not hold the next one up.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(20))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(config.region.clone()))
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(timeouts);
    aws_sdk_s3::Client::new(&loader.load().await)
}

impl Lake {
    pub(super) fn new(s3: aws_sdk_s3::Client, bucket: &str, instance: &str) -> Lake {
        Lake { s3, bucket: bucket.to_owned(), instance: instance.to_owned() }
    }

    /// The manifests there are.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, LakeError> {
        let request = self.s3.list_objects_v2().bucket(&self.bucket).prefix(MANIFESTS).delimiter("/");
        let page = request.send().await.map_err(|error| failed("listing", MANIFESTS, &error))?;
        let mut listed = Vec::new();
        for object in page.contents() {
            let key = object.key().unwrap_or_default();
            let name = key.strip_prefix(MANIFESTS).and_then(|name| name.strip_suffix(".json"));
            let Some(name) = name.filter(|name| is_name(name)) else { continue };
            let etag = object.e_tag().unwrap_or_default().to_owned();
            listed.push(Listed { name: name.to_owned(), etag, size: object.size().unwrap_or_default() });
        }
        if listed.len() > MAX_WORKERS || page.is_truncated() == Some(true) {
            let why = format!("there are more than {MAX_WORKERS} workers");
            return Err(LakeError { operation: "listing", key: MANIFESTS.to_owned(), why });
        }
        Ok(listed)
    }

    /// The bytes of a manifest; `None` when it is gone.
    pub(super) async fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, LakeError> {
        self.read(&keys::manifest(name)).await
    }

    /// What the agents are to run as, where somebody said it.
    pub(super) async fn agent_program(&self) -> Result<Option<Program>, LakeError> {
        let Some(body) = self.read(AGENT).await? else { return Ok(None) };
        json(AGENT, &body).map(Some)
    }

    /// A program's object, to be streamed.
    pub(super) async fn open(&self, key: &str) -> Result<ByteStream, LakeError> {
        let request = self.s3.get_object().bucket(&self.bucket).key(key);
        let answer = request.send().await.map_err(|error| failed("reading", key, &error))?;
        Ok(answer.body)
    }

    /// Tells how the agent is.
    pub(super) async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), LakeError> {
        let key = keys::heartbeat(&self.instance);
        let body = serde_json::to_vec(heartbeat);
        // Text, numbers, times of this century and maps with text keys always have a JSON form.
        let body = body.expect("a heartbeat can be written as JSON");
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).content_type("application/json");
        let sent = request.body(body.into()).send().await;
        sent.map(drop).map_err(|error| failed("writing", &key, &error))
    }

    /// Replaces the end of a worker's log, which begins `offset` bytes into all that it ever wrote.
    pub(super) async fn put_log(&self, worker: &str, tail: Vec<u8>, offset: u64) -> Result<(), LakeError> {
        let key = keys::log(&self.instance, worker);
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).metadata("offset", offset.to_string());
        let sent = request.content_type("text/plain; charset=utf-8").body(tail.into()).send().await;
        sent.map(drop).map_err(|error| failed("writing", &key, &error))
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, LakeError> {
        let answer = match self.s3.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(failed("reading", key, &error)),
        };
        if answer.content_length().unwrap_or_default() > MAX_MANIFEST {
            let why = format!("it is larger than {MAX_MANIFEST} bytes");
            return Err(LakeError { operation: "reading", key: key.to_owned(), why });
        }
        let body = answer.body.collect().await;
        let body = body.map_err(|error| LakeError { operation: "reading", key: key.to_owned(), why: chain(&error) })?;
        Ok(Some(body.to_vec()))
    }
}

/// Whether a worker may be called so: the name is a folder's too.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

fn json<T: DeserializeOwned>(key: &str, body: &[u8]) -> Result<T, LakeError> {
    serde_json::from_slice(body).map_err(|error| {
        let why = format!("this agent cannot understand it: {error}");
        LakeError { operation: "reading", key: key.to_owned(), why }
    })
}

fn failed<E, R>(operation: &'static str, key: &str, error: &SdkError<E, R>) -> LakeError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let why = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => chain(error),
    };
    LakeError { operation, key: key.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_the_folder_of_workers() {
        assert!(is_name("cleaner-2") && is_name("a"));
        for name in ["", ".", "..", "a/b", "../a", "A", "a b", "é", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
