//! The objects that `up` has written, in one list for one look.
//!
//! A list tells of each object its ETag and when it was written. S3 changes the time with every write, of bytes and of metadata
//! alike: where both are what was recorded, the object is as it was recorded, and is not read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_s3::primitives::DateTime;
use pinfra_engine::{CloudError, ErrorKind, Live, Resource};
use serde::{Deserialize, Serialize};

use super::label;
use crate::clients::Clients;
use crate::error::classify;

/// Below this `up` writes what machines and connectors need. Workers keep little there; their data is elsewhere.
const FOLDER: &str = "_pinfra/";

/// What tells one writing of an object from every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its ETag.
    pub etag: String,
    /// When it was written, in seconds since 1970: that is how exact S3 is.
    pub written: i64,
}

impl Stamp {
    /// Of an object whose metadata holds its tags. Object tags change without a trace, so one that has those has no stamp.
    pub(crate) fn of(
        metadata: Option<&HashMap<String, String>>,
        etag: Option<&str>,
        written: Option<&DateTime>,
    ) -> Option<Stamp> {
        label::read(metadata)?;
        stamp(etag, written)
    }
}

fn stamp(etag: Option<&str>, written: Option<&DateTime>) -> Option<Stamp> {
    Some(Stamp { etag: etag?.to_owned(), written: written?.secs() })
}

/// The first page of what lies there.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    stamps: BTreeMap<String, Stamp>,
    /// Whether that is all.
    whole: bool,
}

/// What is recorded of the object with this key, where this is a look and nobody has written it since.
pub(crate) async fn unchanged<R: Resource>(
    clients: &Clients,
    bucket: &str,
    key: &str,
    id: &str,
    stamp: fn(&R::Outputs) -> Option<Stamp>,
) -> Result<Option<Live<R::Inputs, R::Outputs>>, CloudError> {
    let Some(recorded) = clients.recorded::<R>(id) else { return Ok(None) };
    let Some(was) = stamp(&recorded.outputs) else { return Ok(None) };
    let Some(objects) = objects(clients, bucket).await? else { return Ok(None) };
    Ok((objects.stamps.get(key) == Some(&was)).then_some(recorded))
}

/// The keys below `prefix`, which is below [`FOLDER`]: from the list of this look if that has them all.
pub(crate) async fn keys(clients: &Clients, bucket: &str, prefix: &str) -> Result<Vec<String>, CloudError> {
    if let Some(objects) = objects(clients, bucket).await?.filter(|objects| objects.whole) {
        return Ok(objects.stamps.keys().filter(|key| key.starts_with(prefix)).cloned().collect());
    }
    let mut pages = clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        match page.map_err(|error| classify("s3:ListObjectsV2", &error)) {
            Ok(page) => keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key)),
            // The Tagging API still lists a bucket that is gone.
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(keys)
}

/// One page, whatever there is: what is not in it is read by itself. `None` where this is no look.
async fn objects(clients: &Clients, bucket: &str) -> Result<Option<Arc<Objects>>, CloudError> {
    let Some(look) = &clients.look else { return Ok(None) };
    let ask = || async {
        let page = clients.s3.list_objects_v2().bucket(bucket).prefix(FOLDER).send().await;
        let page = match page.map_err(|error| classify("s3:ListObjectsV2", &error)) {
            Ok(page) => page,
            // Each is read by itself then, and who needs the list says that it may not be read.
            Err(error) if error.kind == ErrorKind::Permission => return Ok(Objects::default()),
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(Objects { whole: true, ..Objects::default() }),
            Err(error) => return Err(error),
        };
        let whole = page.is_truncated() != Some(true);
        let objects = page.contents.unwrap_or_default().into_iter();
        let stamped = |object: aws_sdk_s3::types::Object| {
            let stamp = stamp(object.e_tag(), object.last_modified())?;
            Some((object.key?, stamp))
        };
        Ok(Objects { stamps: objects.filter_map(stamped).collect(), whole })
    };
    look.objects.get(bucket, ask).await.map(Some)
}
