//! Reading one object: its bytes or a range of them, its headers, its attributes.

use std::io::{Seek, SeekFrom};
use std::ops::Range;

use http::{HeaderMap, HeaderValue};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::Cloud;
use super::buckets::owner;
use super::checksums::Checksums;
use super::conditions::{ReadConditions, etag, timestamp};
use super::intake::blocking;
use super::objects::version_to_show;
use super::records::{VersionRecord, Versioning};
use super::unset_settings::owner_grant;

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

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
