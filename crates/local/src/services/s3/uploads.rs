//! Multipart uploads in progress: begun, fed with parts, listed, aborted. [`multipart`](super::multipart) ends them.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::buckets::owner;
use super::checksums::Algorithm;
use super::conditions::{etag, timestamp};
use super::describe::{description, given};
use super::index::Read;
use super::intake::{Received, receive};
use super::listing::{Entry, Query, list_uploads};
use super::lists::{Encoding, page_size};
use super::objects::{check_length, declared_length, said};
use super::records::{PartRecord, UploadRecord};
use super::{Cloud, OWNER_ID, tags};

const MOST_PARTS: i32 = 10_000;

impl Cloud {
    /// The upload, or `NoSuchUpload`.
    pub(super) async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<UploadRecord> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        let found = self.index.read(move |read| {
            read.bucket(&bucket)?;
            read.upload(&bucket, &key, &id)
        });
        Ok(found.await?)
    }

    /// Names the bytes of a part, unless the upload has ended meanwhile.
    pub(super) async fn commit_part(
        &self,
        bucket: String,
        key: String,
        upload: String,
        number: u16,
        received: Received,
    ) -> S3Result<PartRecord> {
        let part = PartRecord {
            modified_millis: self.clock.now_millis(),
            etag: received.etag,
            size: received.size,
            blob: received.blob.id().clone(),
            checksums: received.checksums,
        };
        let change = self.index.change(vec![received.blob], move |writer| {
            writer.read().upload(&bucket, &key, &upload)?;
            writer.put_part(&upload, number, &part)?;
            Ok(part)
        });
        Ok(change.await?)
    }
}

pub(super) async fn create(
    cloud: &Cloud,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let mut input = request.input;
    let bucket = cloud.bucket(&input.bucket).await?;
    let (algorithm, kind) = checksum_kind(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    let now = cloud.clock.now_millis();
    let upload = UploadRecord {
        initiated_millis: now,
        description: description(given!(input), &bucket)?,
        tags: tags::of_header(input.tagging.as_deref())?,
        checksum_algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
        checksum_type: kind.map(str::to_owned),
    };
    // Ids grow with time, so that listings show the uploads of a key in the order they were begun.
    let id = format!("{now:016x}{}", uuid::Uuid::new_v4().simple());
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(id.clone()),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: kind.map(ChecksumType::from_static),
        server_side_encryption: Some(ServerSideEncryption::from(upload.description.encryption.algorithm.clone())),
        ssekms_key_id: upload.description.encryption.kms_key.clone(),
        ..CreateMultipartUploadOutput::default()
    };
    let (bucket, key) = (input.bucket, input.key);
    let change = cloud.index.change(vec![], move |writer| {
        writer.read().bucket(&bucket)?;
        writer.put_upload(&bucket, &key, &id, &upload)
    });
    change.await?;
    Ok(output)
}

/// The table of <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>: SHA values
/// cannot be combined over parts, CRC-64/NVME has no composite form.
fn checksum_kind(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<(Option<Algorithm>, Option<&'static str>)> {
    let Some(algorithm) = algorithm.map(|algorithm| Algorithm::named(algorithm.as_str())).transpose()? else {
        if kind.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            ));
        }
        return Ok((None, None));
    };
    let asked = kind.map(ChecksumType::as_str);
    let kind = match (algorithm, asked) {
        (Algorithm::Crc64Nvme, None | Some(ChecksumType::FULL_OBJECT)) => ChecksumType::FULL_OBJECT,
        (Algorithm::Crc32 | Algorithm::Crc32c, Some(ChecksumType::FULL_OBJECT)) => ChecksumType::FULL_OBJECT,
        (Algorithm::Crc64Nvme, _) | (_, Some(ChecksumType::FULL_OBJECT)) => {
            let (kind, name) = (asked.unwrap_or_default(), algorithm.name().to_lowercase());
            return Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {name} checksum algorithm."
            ));
        }
        _ => ChecksumType::COMPOSITE,
    };
    Ok((Some(algorithm), Some(kind)))
}

/// The algorithm that an upload was created with.
pub(super) fn wanted_algorithm(upload: &UploadRecord) -> S3Result<Option<Algorithm>> {
    upload.checksum_algorithm.as_deref().map(Algorithm::named).transpose()
}

pub(super) fn check_part_number(number: i32) -> S3Result<u16> {
    let number = Some(number).filter(|number| (1..=MOST_PARTS).contains(number));
    number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

pub(super) async fn upload_part(cloud: &Cloud, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let S3Request { mut input, headers, trailing_headers, .. } = request;
    let number = check_part_number(input.part_number)?;
    let upload = cloud.upload(&input.bucket, &input.key, &input.upload_id).await?;
    if input.sse_customer_key.is_some() {
        return Err(s3_error!(NotImplemented, "the local cloud does not have encryption with customer keys (SSE-C)"));
    }
    let mut said = said(&headers, input.checksum_algorithm.as_ref(), input.content_md5.take(), trailing_headers)?;
    said.algorithm = wanted_algorithm(&upload)?.or(said.algorithm);
    let length = declared_length(&headers)?;

    let received = receive(&cloud.blobs, input.body.take(), said).await?;
    check_length(length, received.size)?;
    let part = cloud.commit_part(input.bucket, input.key, input.upload_id, number, received).await?;
    Ok(UploadPartOutput {
        e_tag: Some(etag(&part.etag)),
        checksum_crc32: part.checksums.crc32,
        checksum_crc32c: part.checksums.crc32c,
        checksum_crc64nvme: part.checksums.crc64nvme,
        checksum_sha1: part.checksums.sha1,
        checksum_sha256: part.checksums.sha256,
        server_side_encryption: Some(ServerSideEncryption::from(upload.description.encryption.algorithm)),
        ..UploadPartOutput::default()
    })
}

pub(super) async fn abort(
    cloud: &Cloud,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
    let change = cloud.index.change(vec![], move |writer| {
        writer.read().bucket(&bucket)?;
        writer.read().upload(&bucket, &key, &upload_id)?;
        writer.remove_upload(&bucket, &key, &upload_id)
    });
    change.await?;
    Ok(AbortMultipartUploadOutput { request_charged: None })
}

pub(super) async fn list_parts(cloud: &Cloud, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let upload = cloud.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let limit = page_size(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let after = u16::try_from(marker).map_err(|_| s3_error!(InvalidArgument, "Invalid part-number-marker"))?;
    let id = input.upload_id.clone();
    let mut parts = cloud.index.read(move |read| read.parts_of(&id, after)).await?;
    let truncated = parts.len() > limit && limit > 0;
    parts.truncate(limit);
    let next = parts.last().map_or(marker, |(number, _)| i32::from(*number));
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(next),
        is_truncated: Some(truncated),
        parts: Some(parts.into_iter().map(listed_part).collect()),
        owner: Some(owner()),
        initiator: Some(initiator()),
        storage_class: Some(StorageClass::from(storage_class(&upload))),
        checksum_algorithm: upload.checksum_algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.checksum_type.map(ChecksumType::from),
        ..ListPartsOutput::default()
    })
}

fn listed_part((number, part): (u16, PartRecord)) -> Part {
    Part {
        part_number: Some(i32::from(number)),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified_millis)),
        checksum_crc32: part.checksums.crc32,
        checksum_crc32c: part.checksums.crc32c,
        checksum_crc64nvme: part.checksums.crc64nvme,
        checksum_sha1: part.checksums.sha1,
        checksum_sha256: part.checksums.sha256,
    }
}

pub(super) async fn list(
    cloud: &Cloud,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_size(input.max_uploads, "max-uploads")?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.key_marker.clone().unwrap_or_default(),
        limit,
    };
    let id_marker = input.upload_id_marker.clone().filter(|_| !query.after.is_empty());
    let page = cloud.index.read(move |read| {
        read.bucket(&query.bucket)?;
        list_uploads(read, &query, id_marker.as_deref())
    });
    let page = page.await?;
    let next_key = page.last_name().filter(|_| page.truncated).map(|name| encoding.apply(name));
    let next_id = match page.entries.last().filter(|_| page.truncated) {
        Some(Entry::One(_, (id, _))) => Some(id.clone()),
        _ => None,
    };
    let mut output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)),
        key_marker: Some(encoding.apply(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        next_key_marker: next_key,
        next_upload_id_marker: next_id,
        encoding_type: input.encoding_type,
        max_uploads: i32::try_from(limit).ok(),
        is_truncated: Some(page.truncated),
        ..ListMultipartUploadsOutput::default()
    };
    let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Group(prefix) => prefixes.push(CommonPrefix { prefix: Some(encoding.apply(&prefix)) }),
            Entry::One(key, (id, upload)) => uploads.push(listed_upload(encoding.apply(&key), id, upload)),
        }
    }
    output.uploads = Some(uploads);
    output.common_prefixes = Some(prefixes);
    Ok(output)
}

fn listed_upload(key: String, id: String, upload: UploadRecord) -> MultipartUpload {
    MultipartUpload {
        key: Some(key),
        upload_id: Some(id),
        initiated: Some(timestamp(upload.initiated_millis)),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from(storage_class(&upload))),
        checksum_algorithm: upload.checksum_algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.checksum_type.map(ChecksumType::from),
    }
}

fn storage_class(upload: &UploadRecord) -> String {
    upload.description.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned())
}

fn initiator() -> Initiator {
    Initiator { display_name: Some("local".to_owned()), id: Some(OWNER_ID.to_owned()) }
}
