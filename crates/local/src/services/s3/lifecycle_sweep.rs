//! Enforces lifecycle rules: once an hour of the clock, before the request that comes then.
//!
//! AWS runs its rules about once a day and answers for objects that are due; here they are gone as soon as somebody
//! could look.

use std::sync::atomic::Ordering;

use redb::ReadableTable;
use s3s::dto::LifecycleRule;

use super::Cloud;
use super::blobs::BlobId;
use super::index::{Read, Refusal, Writer, decode};
use super::lifecycle::{Due, due, upload_is_due};
use super::records::{UploadRecord, VersionRecord};
use crate::store::StoreError;

const EVERY_MILLIS: i64 = 60 * 60 * 1000;

/// Something of a bucket that the rules want gone.
#[derive(Debug)]
enum Task {
    Version { bucket: String, key: String, due: Due, judged: Option<BlobId> },
    Upload { bucket: String, key: String, id: String },
}

/// Runs the rules if the hour is over. A sweep that fails is tried again with the next request.
pub(super) async fn sweep_if_due(cloud: &Cloud) {
    let now = cloud.clock.now_millis();
    let due = cloud.sweep_due.load(Ordering::Relaxed);
    if now < due {
        return;
    }
    // One request sweeps; the others go on.
    if cloud.sweep_due.compare_exchange(due, now + EVERY_MILLIS, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    if sweep(cloud, now).await.is_err() {
        cloud.sweep_due.store(0, Ordering::Relaxed);
    }
}

async fn sweep(cloud: &Cloud, now: i64) -> Result<(), Refusal> {
    let tasks = cloud.index.read(move |read| tasks(read, now)).await?;
    for task in tasks {
        cloud.index.change(vec![], move |writer| perform(writer, &task, now)).await?;
    }
    Ok(())
}

fn tasks(read: &impl Read, now: i64) -> Result<Vec<Task>, Refusal> {
    let mut tasks = Vec::new();
    for (bucket, record) in read.all_buckets()? {
        let Some(lifecycle) = record.lifecycle else { continue };
        version_tasks(read, &bucket, &lifecycle.rules, now, &mut tasks)?;
        upload_tasks(read, &bucket, &lifecycle.rules, now, &mut tasks)?;
    }
    Ok(tasks)
}

fn version_tasks(
    read: &impl Read,
    bucket: &str,
    rules: &[LifecycleRule],
    now: i64,
    tasks: &mut Vec<Task>,
) -> Result<(), Refusal> {
    let table = read.versions()?;
    let mut of_key: (String, Vec<VersionRecord>) = Default::default();
    let first: (&str, &[u8], u64) = (bucket, &[], 0);
    for row in table.range(first..).map_err(StoreError::from)? {
        let (place, record) = row.map_err(StoreError::from)?;
        let (in_bucket, key, _) = place.value();
        if in_bucket != bucket {
            break;
        }
        let key = String::from_utf8_lossy(key);
        if of_key.0 != key {
            judge(bucket, &of_key, rules, now, tasks);
            of_key = (key.into_owned(), Vec::new());
        }
        of_key.1.push(decode("versions", record.value())?);
    }
    judge(bucket, &of_key, rules, now, tasks);
    Ok(())
}

fn judge(
    bucket: &str,
    (key, versions): &(String, Vec<VersionRecord>),
    rules: &[LifecycleRule],
    now: i64,
    tasks: &mut Vec<Task>,
) {
    let Some(judged) = versions.first() else { return };
    tasks.extend(due(rules, key, versions, now).into_iter().map(|due| Task::Version {
        bucket: bucket.to_owned(),
        key: key.clone(),
        due,
        judged: judged.blob.clone(),
    }));
}

fn upload_tasks(
    read: &impl Read,
    bucket: &str,
    rules: &[LifecycleRule],
    now: i64,
    tasks: &mut Vec<Task>,
) -> Result<(), Refusal> {
    let table = read.uploads()?;
    let first: (&str, &[u8], &str) = (bucket, &[], "");
    for row in table.range(first..).map_err(StoreError::from)? {
        let (place, record) = row.map_err(StoreError::from)?;
        let (in_bucket, key, id) = place.value();
        if in_bucket != bucket {
            break;
        }
        let key = String::from_utf8_lossy(key).into_owned();
        let upload: UploadRecord = decode("uploads", record.value())?;
        if upload_is_due(rules, &key, &upload, now) {
            tasks.push(Task::Upload { bucket: bucket.to_owned(), key, id: id.to_owned() });
        }
    }
    Ok(())
}

/// Does what was decided, unless the key has changed since.
fn perform(writer: &Writer<'_>, task: &Task, now: i64) -> Result<(), Refusal> {
    match task {
        Task::Upload { bucket, key, id } => writer.remove_upload(bucket, key, id),
        Task::Version { bucket, key, due: Due::Remove(version), .. } => {
            writer.remove_version(bucket, key, version)?;
            Ok(())
        }
        Task::Version { bucket, key, due: Due::Expire, judged } => {
            let Some(record) = writer.read().find_bucket(bucket)? else { return Ok(()) };
            let latest = writer.read().latest(bucket, key)?;
            if latest.is_some_and(|(_, latest)| latest.blob == *judged && !latest.delete_marker) {
                writer.delete(record.versioning, bucket, key, None, now)?;
            }
            Ok(())
        }
    }
}
