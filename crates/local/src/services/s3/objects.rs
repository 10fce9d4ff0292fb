//! One object: finding a version, opening its bytes, and PutObject. [`reads`](super::reads) answers the questions.

use std::fs::File;
use std::io::ErrorKind;

use http::{HeaderMap, HeaderValue};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::checksums::{Algorithm, Checksums};
use super::conditions::{WriteConditions, etag, no_such_key};
use super::describe::{description, given};
use super::index::{Read, Refusal, inverse_order_of};
use super::intake::{MOST_BYTES, Received, Said, blocking, receive, too_large};
use super::records::{Description, Tags, VersionRecord, Versioning};
use super::{Cloud, tags};

impl Cloud {
    /// A version that is there, and how its bucket is versioned.
    pub(super) async fn version_of(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
    ) -> S3Result<(VersionRecord, Versioning)> {
        let found = self.index.read(move |read| {
            let versioning = read.bucket(&bucket)?.versioning;
            let (_, record) = find_version(read, &bucket, &key, version.as_deref())?;
            Ok((record, versioning))
        });
        Ok(found.await?)
    }

    /// The same with its bytes. An object that is replaced between the look and the opening is looked up again.
    pub(super) async fn open_version(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        check: impl Fn(&VersionRecord) -> S3Result<()>,
    ) -> S3Result<(VersionRecord, Versioning, File)> {
        loop {
            let found = self.version_of(bucket.to_owned(), key.to_owned(), version.map(str::to_owned)).await?;
            let (record, versioning) = found;
            check(&record)?;
            let blob = record.blob.clone().ok_or_else(no_such_key)?;
            let blobs = std::sync::Arc::clone(&self.blobs);
            let opened = blocking(move || match blobs.read(&blob) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            });
            if let Some(file) = opened.await? {
                return Ok((record, versioning, file));
            }
            let again = self.version_of(bucket.to_owned(), key.to_owned(), version.map(str::to_owned)).await?.0;
            if again.blob == record.blob {
                return Err(s3_error!(InternalError, "the file of `{key}` is missing from the local cloud's storage"));
            }
        }
    }

    /// Names received bytes: judges the conditions and writes the new version in one step.
    pub(super) async fn commit_object(
        &self,
        bucket: String,
        key: String,
        received: Received,
        description: Description,
        tags: Tags,
        conditions: WriteConditions,
    ) -> S3Result<(VersionRecord, Versioning)> {
        let record = VersionRecord {
            modified_millis: self.clock.now_millis(),
            etag: received.etag,
            size: received.size,
            blob: Some(received.blob.id().clone()),
            description,
            checksums: received.checksums,
            tags,
            ..VersionRecord::default()
        };
        let change = self.index.change(vec![received.blob], move |writer| {
            let versioning = writer.read().bucket(&bucket)?.versioning;
            let latest = writer.read().latest(&bucket, &key)?;
            conditions.check(latest.as_ref().map(|(_, record)| record))?;
            Ok((writer.put_version(versioning, &bucket, &key, record)?, versioning))
        });
        Ok(change.await?)
    }
}

/// A version of a key, or the newest; a delete marker is an absence that says so.
pub(super) fn find_version(
    read: &impl Read,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(u64, VersionRecord), Refusal> {
    let Some(version) = version else {
        let (inverse, record) = read.latest(bucket, key)?.ok_or_else(no_such_key)?;
        if record.delete_marker {
            return Err(marked(no_such_key(), &record).into());
        }
        return Ok((inverse, record));
    };
    check_version_id(version)?;
    let found = read.version(bucket, key, version)?;
    let (inverse, record) = found.ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?;
    if record.delete_marker {
        let refused = s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.");
        return Err(marked(refused, &record).into());
    }
    Ok((inverse, record))
}

/// Refuses what cannot be a version id.
pub(super) fn check_version_id(version: &str) -> S3Result<()> {
    if version == "null" || inverse_order_of(version).is_some() {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Invalid version id specified"))
}

fn marked(mut error: S3Error, marker: &VersionRecord) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(version) = HeaderValue::from_str(marker.version_name()) {
        headers.insert("x-amz-version-id", version);
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    error.set_headers(headers);
    error
}

/// Answers name a version only in a bucket that is, or was, versioned.
pub(super) fn version_to_show(versioning: Versioning, record: &VersionRecord) -> Option<String> {
    (versioning != Versioning::Off).then(|| record.version_name().to_owned())
}

pub(super) async fn put(cloud: &Cloud, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let S3Request { mut input, headers, trailing_headers, .. } = request;
    let bucket = cloud.bucket(&input.bucket).await?;
    let description = description(given!(input), &bucket)?;
    let tags = tags::of_header(input.tagging.as_deref())?;
    let conditions = WriteConditions::of(input.if_match.take(), input.if_none_match.take())?;
    let said = said(&headers, input.checksum_algorithm.as_ref(), input.content_md5.take(), trailing_headers)?;
    let length = declared_length(&headers)?;

    let received = receive(&cloud.blobs, input.body.take(), said).await?;
    check_length(length, received.size)?;
    let (record, versioning) =
        cloud.commit_object(input.bucket, input.key, received, description, tags, conditions).await?;
    Ok(PutObjectOutput {
        e_tag: Some(etag(&record.etag)),
        version_id: version_to_show(versioning, &record),
        checksum_type: record.checksums.kind(),
        checksum_crc32: record.checksums.crc32,
        checksum_crc32c: record.checksums.crc32c,
        checksum_crc64nvme: record.checksums.crc64nvme,
        checksum_sha1: record.checksums.sha1,
        checksum_sha256: record.checksums.sha256,
        server_side_encryption: Some(ServerSideEncryption::from(record.description.encryption.algorithm)),
        ssekms_key_id: record.description.encryption.kms_key,
        ..PutObjectOutput::default()
    })
}

/// What a request says about its body.
pub(super) fn said(
    headers: &HeaderMap,
    algorithm: Option<&ChecksumAlgorithm>,
    md5: Option<String>,
    trailers: Option<s3s::TrailingHeaders>,
) -> S3Result<Said> {
    let algorithm = algorithm.map(|algorithm| Algorithm::named(algorithm.as_str())).transpose()?;
    Ok(Said { checksums: Checksums::of_headers(headers), algorithm, md5, trailers })
}

/// How long the body will be; S3 wants to know beforehand.
pub(super) fn declared_length(headers: &HeaderMap) -> S3Result<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    // A request with neither a length nor a transfer coding has no body (RFC 9112 §6.3).
    let bare = (!headers.contains_key("transfer-encoding") && !headers.contains_key("content-length")).then_some(0);
    let length = number("x-amz-decoded-content-length").or_else(|| number("content-length")).or(bare);
    let length =
        length.ok_or_else(|| s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header."))?;
    if length > MOST_BYTES { Err(too_large()) } else { Ok(length) }
}

pub(super) fn check_length(declared: u64, received: u64) -> S3Result<()> {
    if declared == received {
        return Ok(());
    }
    Err(s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header: {received} of {declared}"
    ))
}
