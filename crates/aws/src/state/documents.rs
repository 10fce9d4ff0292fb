//! Documents that grow at their end, out of objects that can only be written whole.
//!
//! The end of a document is in the object of its name. An append writes that object again, on the condition that it is still
//! the one that this writer knows: whoever writes in between changes its ETag, and from then on the writer of before is
//! refused. That makes it one object which all writers have to get past, also the one that was stopped for an hour and knows
//! of nothing. When the object has grown to [`LARGEST`], what it holds is put aside as a part that never changes
//! (`<name>/<id>`), and its metadata names that part; so a journal of any length costs little more than its own size.
//!
//! A kill between the two writes leaves a part that nothing names. It is not read, and goes with the parts that the next
//! writing of the whole document replaces.

use bytes::Bytes;
use pinfra_engine::{CloudError, ErrorKind};

use super::objects::{Condition, Objects, Stored, Write, Written};
use crate::wait::delays;

/// What an append writes again at most.
const LARGEST: usize = 64 * 1024;

/// The end of a document, as its writer knows it.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// The version that was told to whoever read or wrote the document last. Appends of our own do not change it.
    pub(super) known_as: String,
    /// Whether we have written it.
    pub(super) is_ours: bool,
    /// The object's ETag.
    etag: String,
    /// What the object holds.
    bytes: Bytes,
    /// The id of the part before it.
    before: Option<String>,
}

impl End {
    fn of(stored: Stored) -> End {
        End {
            known_as: stored.etag.clone(),
            is_ours: false,
            etag: stored.etag,
            bytes: stored.bytes,
            before: stored.before,
        }
    }

    /// What has to be so when this document is to be replaced as it is.
    pub(super) fn condition(&self) -> Condition {
        Condition::Is(self.etag.clone())
    }
}

/// How an append or a write ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is durable, and this is the document's end now.
    Well(End),
    /// Somebody else has written; nothing was done.
    Changed,
}

/// The whole document, and its end.
pub(super) async fn read(objects: &Objects, key: &str) -> Result<Option<(Vec<u8>, End)>, CloudError> {
    let mut delays = delays();
    loop {
        let Some(last) = objects.get(key).await? else { return Ok(None) };
        if let Some(mut parts) = parts_before(objects, key, &last).await? {
            parts.reverse();
            let mut whole = parts.concat();
            whole.extend_from_slice(&last.bytes);
            return Ok(Some((whole, End::of(last))));
        }
        // A writer has replaced the document while we read it. If it stays so, a part is gone.
        match delays.next() {
            Some(delay) => tokio::time::sleep(delay).await,
            None => {
                let message = format!("a part of `{key}` is not there any more");
                return Err(CloudError::new(ErrorKind::Other, "s3:GetObject", message));
            }
        }
    }
}

/// What comes before `last`, the latest first; `None` when a part is missing.
async fn parts_before(objects: &Objects, key: &str, last: &Stored) -> Result<Option<Vec<Bytes>>, CloudError> {
    let mut parts = Vec::new();
    let mut before = last.before.clone();
    while let Some(id) = before {
        let Some(part) = objects.get(&part_key(key, &id)).await? else { return Ok(None) };
        parts.push(part.bytes);
        before = part.before;
    }
    Ok(Some(parts))
}

/// Writes the whole document. `replaced` is the end of the one that was there, as far as it is known.
pub(super) async fn write(
    objects: &Objects,
    key: &str,
    bytes: Bytes,
    condition: Condition,
    replaced: Option<&End>,
) -> Result<Ended, CloudError> {
    let write = Write { key: key.to_owned(), bytes, condition, before: None };
    let etag = match objects.put(&write).await? {
        Written::Done(etag) => etag,
        Written::Changed => return Ok(Ended::Changed),
    };
    if replaced.is_some_and(|end| end.before.is_some()) {
        // Nothing names them any more. What stays for now goes the next time.
        let _ = remove_parts(objects, key).await;
    }
    Ok(Ended::Well(End { known_as: etag.clone(), is_ours: true, etag, bytes: write.bytes, before: None }))
}

/// Adds to the document whose end is `end`.
pub(super) async fn append(objects: &Objects, key: &str, end: &End, bytes: &[u8]) -> Result<Ended, CloudError> {
    let full = !end.bytes.is_empty() && end.bytes.len() + bytes.len() > LARGEST;
    let (bytes, before) = if full {
        (Bytes::copy_from_slice(bytes), Some(put_aside(objects, key, end).await?))
    } else {
        (Bytes::from([&end.bytes, bytes].concat()), end.before.clone())
    };
    let write = Write { key: key.to_owned(), bytes, condition: end.condition(), before };
    match objects.put(&write).await? {
        Written::Done(etag) => {
            let known_as = end.known_as.clone();
            Ok(Ended::Well(End { known_as, is_ours: true, etag, bytes: write.bytes, before: write.before }))
        }
        Written::Changed => Ok(Ended::Changed),
    }
}

/// Deletes the document and all of its parts.
pub(super) async fn remove(objects: &Objects, key: &str) -> Result<(), CloudError> {
    objects.delete(key).await?;
    remove_parts(objects, key).await
}

/// Makes a part of what the end of a document holds, and returns the part's id.
async fn put_aside(objects: &Objects, key: &str, end: &End) -> Result<String, CloudError> {
    let id = uuid::Uuid::new_v4().to_string();
    let (bytes, before) = (end.bytes.clone(), end.before.clone());
    let write = Write { key: part_key(key, &id), bytes, condition: Condition::Absent, before };
    match objects.put(&write).await? {
        Written::Done(_) => Ok(id),
        Written::Changed => {
            let message = format!("`{}` is there already, though its name was made for it", write.key);
            Err(CloudError::new(ErrorKind::Other, "s3:PutObject", message))
        }
    }
}

fn part_key(key: &str, id: &str) -> String {
    format!("{key}/{id}")
}

async fn remove_parts(objects: &Objects, key: &str) -> Result<(), CloudError> {
    for part in objects.keys(&format!("{key}/")).await? {
        objects.delete(&part).await?;
    }
    Ok(())
}
