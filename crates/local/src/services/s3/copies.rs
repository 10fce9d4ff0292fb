//! Copies: a whole object, or a range of one as a part. The bytes are read again, so the copy has its own ETag.

use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom};

use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::checksums::Algorithm;
use super::conditions::{ReadConditions, WriteConditions, etag, timestamp};
use super::describe::{description, given};
use super::intake::{MOST_BYTES, gather};
use super::objects::version_to_show;
use super::records::{VersionRecord, Versioning};
use super::uploads::{check_part_number, wanted_algorithm};
use super::{Cloud, tags};

pub(super) async fn copy_object(cloud: &Cloud, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
    let S3Request { mut input, headers, .. } = request;
    let bucket = cloud.bucket(&input.bucket).await?;
    let conditions = WriteConditions::of(condition(&headers, "if-match")?, condition(&headers, "if-none-match")?)?;
    let replaces = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let retags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let (source_bucket, source_key, source_version) = source_of(&input.copy_source)?;
    let changes = replaces
        || input.storage_class.is_some()
        || input.server_side_encryption.is_some()
        || input.website_redirect_location.is_some();
    if !changes && source_version.is_none() && (source_bucket, source_key) == (&input.bucket, &input.key) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let given_tags = tags::of_header(input.tagging.as_deref())?;
    let source_conditions = ReadConditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let opened =
        cloud.open_version(source_bucket, source_key, source_version, |record| source_conditions.check_copy(record));
    let (source, source_versioning, file) = opened.await?;
    let source_shown = version_to_show(source_versioning, &source);
    if source.size > MOST_BYTES {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        ));
    }
    let given = description(given!(input), &bucket)?;
    let description = if replaces {
        given
    } else {
        super::records::Description {
            storage_class: given.storage_class,
            encryption: given.encryption,
            website_redirect: given.website_redirect,
            ..source.description.clone()
        }
    };
    let tags = if retags { given_tags } else { source.tags.clone() };
    let algorithms = algorithms_of(input.checksum_algorithm.as_ref(), &source)?;
    let received = gather(&cloud.blobs, vec![Box::new(move || Ok(Box::new(file)))], algorithms);
    let received = received.await?;
    let (record, versioning) =
        cloud.commit_object(input.bucket, input.key, received, description, tags, conditions).await?;
    Ok(copied(record, versioning, source_shown))
}

fn copied(record: VersionRecord, versioning: Versioning, source_version: Option<String>) -> CopyObjectOutput {
    let result = CopyObjectResult {
        e_tag: Some(etag(&record.etag)),
        last_modified: Some(timestamp(record.modified_millis)),
        checksum_type: record.checksums.kind(),
        checksum_crc32: record.checksums.crc32.clone(),
        checksum_crc32c: record.checksums.crc32c.clone(),
        checksum_crc64nvme: record.checksums.crc64nvme.clone(),
        checksum_sha1: record.checksums.sha1.clone(),
        checksum_sha256: record.checksums.sha256.clone(),
    };
    CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source_version,
        version_id: version_to_show(versioning, &record),
        server_side_encryption: Some(ServerSideEncryption::from(record.description.encryption.algorithm)),
        ssekms_key_id: record.description.encryption.kms_key,
        ..CopyObjectOutput::default()
    }
}

pub(super) async fn copy_part(
    cloud: &Cloud,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let mut input = request.input;
    let number = check_part_number(input.part_number)?;
    let upload = cloud.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let (source_bucket, source_key, source_version) = source_of(&input.copy_source)?;
    let source_conditions = ReadConditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let opened =
        cloud.open_version(source_bucket, source_key, source_version, |record| source_conditions.check_copy(record));
    let (source, source_versioning, file) = opened.await?;
    let span = span_of(input.copy_source_range.as_deref(), source.size)?;
    if span.end - span.start > MOST_BYTES {
        return Err(s3_error!(InvalidRequest, "The specified copy range is larger than 5 GiB"));
    }
    let algorithms = vec![wanted_algorithm(&upload)?.unwrap_or(Algorithm::Crc64Nvme)];
    let received = gather(&cloud.blobs, vec![Box::new(move || slice_of(file, span))], algorithms).await?;
    let part = cloud.commit_part(input.bucket, input.key, input.upload_id, number, received).await?;
    let result = CopyPartResult {
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified_millis)),
        checksum_crc32: part.checksums.crc32,
        checksum_crc32c: part.checksums.crc32c,
        checksum_crc64nvme: part.checksums.crc64nvme,
        checksum_sha1: part.checksums.sha1,
        checksum_sha256: part.checksums.sha256,
    };
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: version_to_show(source_versioning, &source),
        server_side_encryption: Some(ServerSideEncryption::from(upload.description.encryption.algorithm)),
        ..UploadPartCopyOutput::default()
    })
}

fn slice_of(mut file: File, span: std::ops::Range<u64>) -> io::Result<Box<dyn io::Read>> {
    file.seek(SeekFrom::Start(span.start))?;
    Ok(Box::new(file.take(span.end - span.start)))
}

/// `bytes=first-last`, both of them and inside the source.
fn span_of(range: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(text) = range else { return Ok(0..size) };
    let malformed = || {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        )
    };
    let (first, last) = text.strip_prefix("bytes=").and_then(|span| span.split_once('-')).ok_or_else(malformed)?;
    let (first, last): (u64, u64) = first.parse().ok().zip(last.parse().ok()).ok_or_else(malformed)?;
    if first > last || last >= size {
        return Err(s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {size}"));
    }
    Ok(first..last + 1)
}

fn source_of(source: &CopySource) -> S3Result<(&str, &str, Option<&str>)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => Ok((bucket, key, version_id.as_deref())),
        _ => Err(s3_error!(NotImplemented, "the local cloud does not have access points")),
    }
}

/// `REPLACE` is true, `COPY` or nothing false.
fn directive(given: Option<&str>) -> S3Result<bool> {
    match given {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown metadata or tagging directive.")),
    }
}

/// A copy has the checksum that is asked for, or the kind its source has.
fn algorithms_of(asked: Option<&ChecksumAlgorithm>, source: &VersionRecord) -> S3Result<Vec<Algorithm>> {
    if let Some(asked) = asked {
        return Ok(vec![Algorithm::named(asked.as_str())?]);
    }
    let kept = source.checksums.algorithms();
    Ok(if kept.is_empty() { vec![Algorithm::Crc64Nvme] } else { kept })
}

/// CopyObject's own conditions are newer than the protocol types of `s3s`, so the headers are read here.
fn condition(headers: &HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = ETagCondition::parse_http_header(value.as_bytes());
    parsed.map(Some).map_err(|_| s3_error!(InvalidArgument, "the header `{name}` is no ETag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_range_lies_inside_its_source() {
        assert_eq!(span_of(None, 10).unwrap(), 0..10);
        assert_eq!(span_of(Some("bytes=2-4"), 10).unwrap(), 2..5);
        for wrong in ["bytes=2-10", "bytes=4-2", "bytes=2-", "bytes=-2", "2-4"] {
            assert_eq!(span_of(Some(wrong), 10).unwrap_err().code().as_str(), "InvalidArgument", "{wrong}");
        }
    }
}
