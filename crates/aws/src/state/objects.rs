//! Objects of the state bucket: read whole, and written only where nobody else has written since.
//!
//! S3 judges a condition in the instant in which it writes ("How to prevent object overwrites with conditional writes",
//! S3 user guide). What it cannot tell is whether the answer that was lost was a yes: the next try of the same request is
//! then refused because of itself. So each write carries a mark of its own, and after a refusal the mark of what is there
//! now tells whose write it was.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use pinfra_engine::{CloudError, ErrorKind};

use crate::error::classify;
use crate::wait::delays;

/// The mark of a write, in the metadata of its object.
const MARK: &str = "pinfra-write";
/// The id of the part that comes before, in the metadata of the end of a document.
const BEFORE: &str = "pinfra-before";

/// For how long a write whose outcome is not known is looked after.
const PATIENCE: Duration = Duration::from_secs(40);

/// The objects of one bucket.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    pub(super) client: Client,
    pub(super) bucket: String,
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) etag: String,
    pub(super) bytes: Bytes,
    /// See [`Write::before`].
    pub(super) before: Option<String>,
}

/// What has to be so for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing.
    Any,
    /// There is no such object.
    Absent,
    /// The object is the one with this ETag.
    Is(String),
}

/// One write of a whole object.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) bytes: Bytes,
    pub(super) condition: Condition,
    /// The id of the part that comes before, where it is the end of a longer document.
    pub(super) before: Option<String>,
}

/// How a write ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The object is the one with this ETag now.
    Done(String),
    /// The condition does not hold, and nothing was written.
    Changed,
}

impl Objects {
    /// The object, or `None`.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Stored>, CloudError> {
        const OPERATION: &str = "s3:GetObject";
        let mut delays = delays();
        loop {
            let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
                Ok(answer) => answer,
                Err(error) => match classify(OPERATION, &error) {
                    gone if is_no_such_key(&gone) => return Ok(None),
                    error => return Err(error),
                },
            };
            let (etag, before) = (answer.e_tag.unwrap_or_default(), meta(answer.metadata.as_ref(), BEFORE));
            match answer.body.collect().await {
                Ok(body) => return Ok(Some(Stored { etag, bytes: body.into_bytes(), before })),
                // The SDK tries a request again, but not the reading of what was answered.
                Err(cut) => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(CloudError::new(ErrorKind::Unreachable, OPERATION, cut.to_string())),
                },
            }
        }
    }

    /// Writes the object if its condition holds; durable on return.
    pub(super) async fn put(&self, write: &Write) -> Result<Written, CloudError> {
        let mark = uuid::Uuid::new_v4().to_string();
        let (started, mut delays) = (Instant::now(), delays());
        loop {
            let refused = match self.send(write, &mark).await {
                Ok(etag) => return Ok(Written::Done(etag)),
                Err(error) => error,
            };
            if is_final(&refused) {
                return Err(refused);
            }
            if let Some(ended) = self.outcome(write, &mark).await? {
                return Ok(ended);
            }
            // Two writers met (409), or the answer was lost before the effect: the condition still holds.
            match delays.next().filter(|_| started.elapsed() < PATIENCE) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(refused),
            }
        }
    }

    /// Deletes the object. That it is not there is success.
    pub(super) async fn delete(&self, key: &str) -> Result<(), CloudError> {
        let sent = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        sent.map(drop).map_err(|error| classify("s3:DeleteObject", &error))
    }

    /// The keys that begin with `prefix`.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, CloudError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("s3:ListObjectsV2", &error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }

    /// The names of the folders in the folder `prefix`, which ends with a slash or is empty.
    pub(super) async fn folders(&self, prefix: &str) -> Result<Vec<String>, CloudError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/");
        let mut pages = request.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("s3:ListObjectsV2", &error))?;
            let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
            names.extend(folders.filter_map(|folder| Some(folder.strip_prefix(prefix)?.strip_suffix('/')?.to_owned())));
        }
        Ok(names)
    }

    async fn send(&self, write: &Write, mark: &str) -> Result<String, CloudError> {
        // Encrypted by the bucket's own default, which S3 has for every bucket and which may be a key of the owner's.
        let request = self.client.put_object().bucket(&self.bucket).key(&write.key).metadata(MARK, mark);
        let request = request.body(ByteStream::from(write.bytes.clone()));
        let request = match &write.before {
            Some(id) => request.metadata(BEFORE, id),
            None => request,
        };
        let request = match &write.condition {
            Condition::Any => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Is(etag) => request.if_match(etag),
        };
        let answer = request.send().await.map_err(|error| classify("s3:PutObject", &error))?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    /// What became of a write that was not answered with a yes; `None` while it can still be made.
    async fn outcome(&self, write: &Write, mark: &str) -> Result<Option<Written>, CloudError> {
        let there = match self.client.head_object().bucket(&self.bucket).key(&write.key).send().await {
            Ok(answer) => Some((answer.e_tag.unwrap_or_default(), meta(answer.metadata.as_ref(), MARK))),
            Err(error) => match classify("s3:HeadObject", &error) {
                gone if gone.kind == ErrorKind::NotFound => None,
                error => return Err(error),
            },
        };
        Ok(match (there, &write.condition) {
            (Some((etag, found)), _) if found.as_deref() == Some(mark) => Some(Written::Done(etag)),
            (_, Condition::Any) | (None, Condition::Absent) => None,
            (Some((etag, _)), Condition::Is(wanted)) if etag == *wanted => None,
            _ => Some(Written::Changed),
        })
    }
}

/// Whether no later try can end otherwise.
fn is_final(error: &CloudError) -> bool {
    match error.kind {
        ErrorKind::Permission | ErrorKind::Credentials | ErrorKind::Invalid => true,
        ErrorKind::NotFound => !is_no_such_key(error),
        _ => false,
    }
}

fn is_no_such_key(error: &CloudError) -> bool {
    error.kind == ErrorKind::NotFound && error.code.as_deref() == Some("NoSuchKey")
}

fn meta(metadata: Option<&std::collections::HashMap<String, String>>, name: &str) -> Option<String> {
    metadata?.get(name).cloned()
}
