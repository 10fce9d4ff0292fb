//! Where an S3 sink stores: each connector that is made has a folder of its own.
//!
//! The sink names an object after its topic, its partition and the offset of its first record. A topic that is made again
//! begins at offset 0 again, so its objects would take the names of those that are there. A connector that reads such a
//! topic is therefore made again too, and what is made later than the first stores below `<topics.dir>/generation=<n>/`
//! (docs/cleaning.md). The stack asks for `topics.dir` as the folder of all generations.
//!
//! Which numbers were given is in an object beside the lake's data, which expiry rules of raw events do not reach. It is
//! written before the connector is made, with the token of the step: a create that is tried again keeps its number.

use std::collections::BTreeMap;

use pinfra_engine::{Call, CloudError, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::clients::Clients;
use crate::error::classify;

/// The sink's setting for the folder.
const FOLDER: &str = "topics.dir";
/// What the folder of a later generation begins with.
const GENERATION: &str = "generation=";
/// The sink's setting for the bucket.
const BUCKET: &str = "s3.bucket.name";

/// Who stores where, as the bucket keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The number of the connector that was made last.
    generation: u32,
    /// The token of the step that made it.
    made_by: String,
}

/// The folder of a new connector of that name.
///
/// # Errors
///
/// What S3 says, and `Invalid` when the object that keeps the numbers is not one of ours.
pub(super) async fn give(
    clients: &Clients,
    call: &Call,
    name: &str,
    topics: impl Iterator<Item = &String>,
    asked: &BTreeMap<String, String>,
) -> Result<Option<String>, CloudError> {
    let (Some(base), Some(bucket)) = (asked.get(FOLDER), asked.get(BUCKET)) else { return Ok(None) };
    let key = format!("_pinfra/connectors/{name}.json");
    let generation = match given(clients, bucket, &key).await? {
        Some(given) if given.made_by == call.token => return Ok(Some(of(base, given.generation))),
        Some(given) => given.generation.saturating_add(1),
        // Of a connector that was made before numbers were kept there are only its objects.
        None => last_with_objects(clients, bucket, base, topics).await?.saturating_add(1),
    };
    let body = serde_json::to_vec(&Given { generation, made_by: call.token.clone() })
        .expect("a number and a text have a JSON form");
    let put = clients.s3.put_object().bucket(bucket).key(&key).content_type("application/json").body(body.into());
    put.send().await.map_err(|error| classify("s3:PutObject", &error))?;
    Ok(Some(of(base, generation)))
}

/// The folder in which a connector with these settings stores.
pub(super) fn in_use(configuration: &BTreeMap<String, String>) -> Option<&String> {
    configuration.get(FOLDER)
}

/// `asked` with the folder of `live`, where that is a generation of the one asked for in the same bucket; `None` where it is
/// not.
pub(super) fn kept(
    asked: &BTreeMap<String, String>,
    live: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let folder = match (asked.get(FOLDER), live.get(FOLDER)) {
        (None, _) => None,
        (Some(base), Some(folder)) if is_of(base, folder) && asked.get(BUCKET) == live.get(BUCKET) => {
            Some(folder.clone())
        }
        (Some(_), _) => return None,
    };
    Some(with(asked, folder))
}

/// These settings with that folder.
pub(super) fn with(asked: &BTreeMap<String, String>, folder: Option<String>) -> BTreeMap<String, String> {
    let mut settings = asked.clone();
    settings.extend(folder.map(|folder| (FOLDER.to_owned(), folder)));
    settings
}

/// `live` in the words of the stack: a generation of the folder that is asked for is that folder.
pub(super) fn as_asked(live: &mut BTreeMap<String, String>, asked: &BTreeMap<String, String>) {
    if let (Some(folder), Some(base)) = (live.get_mut(FOLDER), asked.get(FOLDER))
        && is_of(base, folder)
    {
        folder.clone_from(base);
    }
}

fn of(base: &str, generation: u32) -> String {
    if generation < 2 { base.to_owned() } else { format!("{base}/{GENERATION}{generation}") }
}

fn is_of(base: &str, folder: &str) -> bool {
    let number = folder.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')?.strip_prefix(GENERATION));
    folder == base || number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| of(base, number) == folder))
}

async fn given(clients: &Clients, bucket: &str, key: &str) -> Result<Option<Given>, CloudError> {
    let got = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let got = match got.map_err(|error| classify("s3:GetObject", &error)) {
        // A bucket that is gone is told by the write.
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        got => got?,
    };
    let broken = |why: String| {
        let message = format!("`s3://{bucket}/{key}` does not say which folders were given: {why}");
        let hint = "delete it once the folders below `topics/` that have objects are moved away";
        CloudError::new(ErrorKind::Invalid, "s3:GetObject", message).with_hint(hint)
    };
    let body = got.body.collect().await.map_err(|error| broken(error.to_string()))?.into_bytes();
    serde_json::from_slice(&body).map(Some).map_err(|error| broken(error.to_string()))
}

/// The last generation that has objects; 0 when there are none of these topics.
async fn last_with_objects(
    clients: &Clients,
    bucket: &str,
    base: &str,
    topics: impl Iterator<Item = &String>,
) -> Result<u32, CloudError> {
    let topics: Vec<String> = topics.map(|topic| format!("{base}/{topic}/")).collect();
    let later = format!("{base}/{GENERATION}");
    let list = clients.s3.list_objects_v2().bucket(bucket).prefix(format!("{base}/")).delimiter("/");
    let mut pages = list.into_paginator().send();
    let mut last = 0;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("s3:ListObjectsV2", &error))?;
        for folder in page.common_prefixes().iter().filter_map(|folder| folder.prefix()) {
            let number = folder.strip_prefix(&later).and_then(|rest| rest.strip_suffix('/')?.parse().ok());
            let first = topics.iter().any(|topic| topic == folder).then_some(1);
            last = last.max(number.or(first).unwrap_or(0));
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &str) -> BTreeMap<String, String> {
        [(FOLDER, folder), ("flush.size", "7")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_generation_of_the_folder_is_no_change() {
        for folder in ["topics", "topics/generation=2", "topics/generation=31"] {
            let mut live = settings(folder);
            assert_eq!(kept(&settings("topics"), &live), Some(settings(folder)), "{folder}");
            as_asked(&mut live, &settings("topics"));
            assert_eq!(live, settings("topics"), "{folder}");
        }
        for folder in ["topic", "topics/", "topics/generation=1", "topics/generation=02", "topics/generation=2/x", "x"]
        {
            let mut live = settings(folder);
            assert_eq!(kept(&settings("topics"), &live), None, "{folder}");
            as_asked(&mut live, &settings("topics"));
            assert_eq!(live, settings(folder), "{folder}");
        }
    }

    #[test]
    fn a_plugin_without_such_a_folder_is_left_alone() {
        let asked: BTreeMap<String, String> = [("flush.size".to_owned(), "7".to_owned())].into();
        assert_eq!(kept(&asked, &settings("x")), Some(asked.clone()));
        assert_eq!(in_use(&asked), None);
    }
}
