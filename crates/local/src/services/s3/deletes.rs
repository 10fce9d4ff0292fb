//! Deleting objects, versions and delete markers.

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::Cloud;
use super::access::Kept;
use super::bucket_settings::malformed_xml;
use super::conditions::WriteConditions;
use super::index::{Deleted, Read, Refusal, Writer};
use super::objects::check_version_id;
use super::records::Versioning;

/// The most keys of one DeleteObjects.
const MOST_KEYS: usize = 1000;

pub(super) async fn delete_one(cloud: &Cloud, request: S3Request<DeleteObjectInput>) -> S3Result<DeleteObjectOutput> {
    let DeleteObjectInput { bucket, key, version_id, if_match, if_match_size, if_match_last_modified_time, .. } =
        request.input;
    if if_match_size.is_some() || if_match_last_modified_time.is_some() {
        return Err(only_directory_buckets());
    }
    let wanted = Wanted { key, version: version_id, conditions: WriteConditions { if_match, if_none_match: None } };
    let now = cloud.clock.now_millis();
    let change = cloud.index.change(vec![], move |writer| {
        let versioning = writer.read().bucket(&bucket)?.versioning;
        delete(writer, versioning, &bucket, &wanted, now)
    });
    let Deleted { version, delete_marker } = change.await?;
    Ok(DeleteObjectOutput { delete_marker: delete_marker.then_some(true), version_id: version, request_charged: None })
}

pub(super) async fn delete_many(
    cloud: &Cloud,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let kept = request.extensions.get::<Kept>().cloned().unwrap_or_default();
    let DeleteObjectsInput { bucket, delete: Delete { objects, quiet }, .. } = request.input;
    if objects.is_empty() || objects.len() > MOST_KEYS {
        return Err(malformed_xml());
    }
    if objects.iter().any(|object| object.size.is_some() || object.last_modified_time.is_some()) {
        return Err(only_directory_buckets());
    }
    let now = cloud.clock.now_millis();
    let change = cloud.index.change(vec![], move |writer| {
        let versioning = writer.read().bucket(&bucket)?.versioning;
        let mut outcomes = Vec::with_capacity(objects.len());
        for object in objects {
            let conditions = WriteConditions { if_match: object.e_tag.map(ETagCondition::ETag), if_none_match: None };
            let wanted = Wanted { key: object.key, version: object.version_id, conditions };
            if let Some(why) = kept.0.get(&(wanted.key.clone(), wanted.version.clone())) {
                outcomes.push((wanted, Err(s3_error!(AccessDenied, "{why}"))));
                continue;
            }
            let outcome = match delete(writer, versioning, &bucket, &wanted, now) {
                Ok(deleted) => Ok(deleted),
                Err(Refusal::Answer(error)) => Err(error),
                Err(broken) => return Err(broken),
            };
            outcomes.push((wanted, outcome));
        }
        Ok(outcomes)
    });
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for (wanted, outcome) in change.await? {
        match outcome {
            Ok(outcome) if quiet != Some(true) => deleted.push(deleted_object(wanted, outcome)),
            Ok(_) => {}
            Err(error) => errors.push(failed_object(wanted, &error)),
        }
    }
    Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), request_charged: None })
}

struct Wanted {
    key: String,
    version: Option<String>,
    conditions: WriteConditions,
}

fn delete(
    writer: &Writer<'_>,
    versioning: Versioning,
    bucket: &str,
    wanted: &Wanted,
    now: i64,
) -> Result<Deleted, Refusal> {
    let version = wanted.version.as_deref().filter(|version| !version.is_empty());
    if let Some(version) = version {
        check_version_id(version)?;
    }
    if wanted.conditions.if_match.is_some() {
        let judged = match version {
            Some(version) => writer.read().version(bucket, &wanted.key, version)?,
            None => writer.read().latest(bucket, &wanted.key)?,
        };
        wanted.conditions.check(judged.as_ref().map(|(_, record)| record))?;
    }
    writer.delete(versioning, bucket, &wanted.key, version, now)
}

fn deleted_object(wanted: Wanted, outcome: Deleted) -> DeletedObject {
    let asked_version = wanted.version.filter(|version| !version.is_empty());
    DeletedObject {
        key: Some(wanted.key),
        delete_marker: outcome.delete_marker.then_some(true),
        delete_marker_version_id: outcome.version.filter(|_| outcome.delete_marker),
        version_id: asked_version,
    }
}

fn failed_object(wanted: Wanted, error: &S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(wanted.key),
        message: error.message().map(str::to_owned),
        version_id: wanted.version,
    }
}

fn only_directory_buckets() -> S3Error {
    s3_error!(NotImplemented, "deleting by size or time is for directory buckets, which the local cloud does not have")
}
