//! One object: put, get, head, its attributes.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::ops::Range;

use http::{HeaderMap, HeaderValue};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::bucket_settings::owner_grant;
use super::buckets::owner;
use super::checksums::{Algorithm, Checksums};
use super::conditions::{ReadConditions, WriteConditions, etag, no_such_key, timestamp};
use super::describe::{description, given};
use super::index::{Read, Refusal, inverse_order_of};
use super::intake::{MOST_BYTES, Received, Said, blocking, receive, too_large};
use super::records::{Description, Tags, VersionRecord, Versioning};
use super::{Cloud, tags};

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

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

pub(super) async fn get(cloud: &Cloud, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
    let input = request.input;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let opened = cloud
        .open_version(&input.bucket, &input.key, input.version_id.as_deref(), |record| conditions.check_read(record));
    let (record, versioning, mut file) = opened.await?;
    let span = span_of(&record, input.range.as_ref(), input.part_number)?;
    let bytes = span.clone().unwrap_or(0..record.size);
    let length = bytes.end - bytes.start;
    let file = blocking(move || {
        file.seek(SeekFrom::Start(bytes.start))?;
        Ok(file)
    });
    let file = tokio::fs::File::from_std(file.await?).take(length);
    let body = StreamingBlob::wrap(ReaderStream::with_capacity(file, CHUNK));

    let tag_count = i32::try_from(record.tags.len()).ok().filter(|count| *count > 0);
    let head = head_output(record, versioning, span, input.checksum_mode.as_ref(), input.part_number);
    Ok(GetObjectOutput {
        body: Some(body),
        accept_ranges: head.accept_ranges,
        cache_control: head.cache_control,
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha1: head.checksum_sha1,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_disposition: head.content_disposition,
        content_encoding: head.content_encoding,
        content_language: head.content_language,
        content_length: head.content_length,
        content_range: head.content_range,
        content_type: head.content_type,
        e_tag: head.e_tag,
        expires: head.expires,
        last_modified: head.last_modified,
        metadata: head.metadata,
        parts_count: head.parts_count,
        server_side_encryption: head.server_side_encryption,
        ssekms_key_id: head.ssekms_key_id,
        storage_class: head.storage_class,
        tag_count,
        version_id: head.version_id,
        website_redirect_location: head.website_redirect_location,
        ..GetObjectOutput::default()
    })
}

pub(super) async fn head(cloud: &Cloud, request: S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let (record, versioning) = cloud.version_of(input.bucket, input.key, input.version_id).await?;
    conditions.check_read(&record)?;
    let span = span_of(&record, input.range.as_ref(), input.part_number)?;
    let head = head_output(record, versioning, span, input.checksum_mode.as_ref(), input.part_number);
    Ok(head)
}

/// Which bytes are asked for; `None` for all of them.
fn span_of(
    record: &VersionRecord,
    range: Option<&s3s::dto::Range>,
    part_number: Option<i32>,
) -> S3Result<Option<Range<u64>>> {
    let unsatisfiable = || {
        let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(format!("bytes */{}", record.size)) {
            headers.insert(http::header::CONTENT_RANGE, value);
        }
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        error.set_headers(headers);
        error
    };
    if range.is_some() && part_number.is_some() {
        return Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"));
    }
    if let Some(range) = range {
        let span = range.check(record.size).map_err(|_| unsatisfiable())?;
        return if span.is_empty() { Err(unsatisfiable()) } else { Ok(Some(span)) };
    }
    let Some(part) = part_number else { return Ok(None) };
    let part = usize::try_from(part)
        .ok()
        .filter(|part| *part >= 1)
        .ok_or_else(|| s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))?;
    if record.part_sizes.is_empty() && part == 1 {
        return Ok((record.size > 0).then_some(0..record.size));
    }
    let size = record.part_sizes.get(part - 1).ok_or_else(|| {
        super::refusals::custom("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
    })?;
    let start: u64 = record.part_sizes.iter().take(part - 1).sum();
    Ok(Some(start..start + size))
}

fn head_output(
    record: VersionRecord,
    versioning: Versioning,
    span: Option<Range<u64>>,
    checksum_mode: Option<&ChecksumMode>,
    part_number: Option<i32>,
) -> HeadObjectOutput {
    let version_id = version_to_show(versioning, &record);
    let VersionRecord { etag: tag, size, description, checksums, part_sizes, modified_millis, .. } = record;
    let wants_checksums = checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) && span.is_none();
    let checksums = if wants_checksums { checksums } else { Checksums::default() };
    let length = span.as_ref().map_or(size, |span| span.end - span.start);
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let content_range = span.map(|span| format!("bytes {}-{}/{size}", span.start, span.end - 1));
    let parts = i32::try_from(part_sizes.len()).ok().filter(|count| *count > 0 && part_number.is_some());
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: description.cache_control,
        checksum_type: checksums.kind(),
        checksum_crc32: checksums.crc32,
        checksum_crc32c: checksums.crc32c,
        checksum_crc64nvme: checksums.crc64nvme,
        checksum_sha1: checksums.sha1,
        checksum_sha256: checksums.sha256,
        content_disposition: description.content_disposition,
        content_encoding: description.content_encoding,
        content_language: description.content_language,
        content_length: Some(signed(length)),
        content_range,
        content_type: Some(description.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned())),
        e_tag: Some(etag(&tag)),
        expires: description.expires.map(|second| timestamp(second.saturating_mul(1000))),
        last_modified: Some(timestamp(modified_millis)),
        metadata: Some(description.metadata.into_iter().collect()),
        parts_count: parts,
        server_side_encryption: Some(ServerSideEncryption::from(description.encryption.algorithm)),
        ssekms_key_id: description.encryption.kms_key,
        storage_class: description.storage_class.map(StorageClass::from),
        version_id,
        website_redirect_location: description.website_redirect,
        ..HeadObjectOutput::default()
    }
}

pub(super) async fn attributes(
    cloud: &Cloud,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<GetObjectAttributesOutput> {
    let input = request.input;
    let (record, versioning) = cloud.version_of(input.bucket, input.key, input.version_id).await?;
    // Clients write the list into one header, which `s3s` takes as one value.
    let asked: Vec<&str> =
        input.object_attributes.iter().flat_map(|header| header.as_str().split(',')).map(str::trim).collect();
    let wants = |name: &str| asked.contains(&name);
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let parts = i32::try_from(record.part_sizes.len()).ok().filter(|count| *count > 0);
    Ok(GetObjectAttributesOutput {
        last_modified: Some(timestamp(record.modified_millis)),
        version_id: version_to_show(versioning, &record),
        e_tag: wants(ObjectAttributes::ETAG).then(|| etag(&record.etag)),
        checksum: wants(ObjectAttributes::CHECKSUM).then(|| record.checksums.to_dto()),
        object_size: wants(ObjectAttributes::OBJECT_SIZE).then(|| signed(record.size)),
        object_parts: parts
            .filter(|_| wants(ObjectAttributes::OBJECT_PARTS))
            .map(|count| GetObjectAttributesParts { total_parts_count: Some(count), ..Default::default() }),
        storage_class: wants(ObjectAttributes::STORAGE_CLASS).then(|| {
            StorageClass::from(record.description.storage_class.unwrap_or_else(|| StorageClass::STANDARD.to_owned()))
        }),
        ..GetObjectAttributesOutput::default()
    })
}

pub(super) async fn acl(cloud: &Cloud, request: S3Request<GetObjectAclInput>) -> S3Result<GetObjectAclOutput> {
    let input = request.input;
    cloud.version_of(input.bucket, input.key, input.version_id).await?;
    Ok(GetObjectAclOutput { grants: Some(vec![owner_grant()]), owner: Some(owner()), request_charged: None })
}
