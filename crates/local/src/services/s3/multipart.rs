//! Ending a multipart upload: its parts become one object.
//!
//! The parts are read into one file before the commit, so reading an object is reading a file. Until the commit the
//! upload and its parts are untouched; a failure changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::Cloud;
use super::bucket_settings::malformed_xml;
use super::checksums::{Algorithm, Checksums, composite, multipart_etag};
use super::conditions::{WriteConditions, etag};
use super::index::{Read, Refusal};
use super::intake::{Source, gather};
use super::objects::version_to_show;
use super::records::{PartRecord, UploadRecord, VersionRecord, Versioning};
use super::uploads::{check_part_number, wanted_algorithm};

/// Every part but the last is at least this large: 5 MiB.
const LEAST_PART: u64 = 5 << 20;

pub(super) async fn complete(
    cloud: &Cloud,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let S3Request { mut input, headers, .. } = request;
    let conditions = WriteConditions::of(input.if_match.take(), input.if_none_match.take())?;
    let listed = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
    if listed.is_empty() {
        return Err(malformed_xml());
    }
    let refused = match join(cloud, &input, listed, conditions, &headers).await {
        Ok((record, versioning)) => return Ok(output(&input, record, versioning)),
        Err(refused) => refused,
    };
    // Another request may have ended the upload at any point of that, and taken its parts away. A client that lost
    // the first answer, or did not wait for it, gets the same one, as on AWS.
    let Err(gone) = cloud.upload(&input.bucket, &input.key, &input.upload_id).await else { return Err(refused) };
    let done = completed_before(cloud, &input).await?;
    done.map(|(record, versioning)| output(&input, record, versioning)).ok_or(gone)
}

async fn join(
    cloud: &Cloud,
    input: &CompleteMultipartUploadInput,
    listed: Vec<CompletedPart>,
    conditions: WriteConditions,
    headers: &HeaderMap,
) -> S3Result<(VersionRecord, Versioning)> {
    let upload = cloud.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let id = input.upload_id.clone();
    let stored = cloud.index.read(move |read| read.parts_of(&id, 0)).await?;
    let parts = chosen_parts(&listed, stored)?;
    let total: u64 = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|said| u64::try_from(said) != Ok(total)) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        ));
    }

    let received = gather(&cloud.blobs, sources(cloud, &parts), full_algorithms(&upload)?).await?;
    let checksums = object_checksums(&upload, &parts, received.checksums)?;
    Checksums::of_headers(headers).verify(&checksums)?;
    let record = VersionRecord {
        modified_millis: cloud.clock.now_millis(),
        etag: multipart_etag(parts.iter().map(|part| part.etag.as_str()))?,
        size: received.size,
        blob: Some(received.blob.id().clone()),
        description: upload.description,
        checksums,
        tags: upload.tags,
        part_sizes: parts.iter().map(|part| part.size).collect(),
        upload_id: Some(input.upload_id.clone()),
        ..VersionRecord::default()
    };
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let change = cloud.index.change(vec![received.blob], move |writer| {
        let versioning = writer.read().bucket(&bucket)?.versioning;
        writer.read().upload(&bucket, &key, &id)?;
        let latest = writer.read().latest(&bucket, &key)?;
        conditions.check(latest.as_ref().map(|(_, record)| record))?;
        let record = writer.put_version(versioning, &bucket, &key, record)?;
        writer.remove_upload(&bucket, &key, &id)?;
        Ok((record, versioning))
    });
    Ok(change.await?)
}

/// The object that this upload has become, if it is still there.
async fn completed_before(
    cloud: &Cloud,
    input: &CompleteMultipartUploadInput,
) -> S3Result<Option<(VersionRecord, Versioning)>> {
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let found = cloud.index.read(move |read| -> Result<_, Refusal> {
        let versioning = read.bucket(&bucket)?.versioning;
        let latest = read.latest(&bucket, &key)?.map(|(_, record)| record);
        Ok(latest.filter(|record| record.upload_id.as_deref() == Some(id.as_str())).map(|record| (record, versioning)))
    });
    Ok(found.await?)
}

/// The parts that the client lists, checked against those that are stored.
fn chosen_parts(listed: &[CompletedPart], stored: Vec<(u16, PartRecord)>) -> S3Result<Vec<PartRecord>> {
    let mut stored: HashMap<u16, PartRecord> = stored.into_iter().collect();
    let mut chosen: Vec<PartRecord> = Vec::with_capacity(listed.len());
    let mut last_number = 0;
    for part in listed {
        let number = check_part_number(part.part_number.unwrap_or_default())?;
        if number <= last_number {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        last_number = number;
        if chosen.last().is_some_and(|part| part.size < LEAST_PART) {
            return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
        }
        let found = stored.remove(&number).ok_or_else(invalid_part)?;
        if part.e_tag.as_ref().is_some_and(|etag| etag.value() != found.etag) {
            return Err(invalid_part());
        }
        said_of_part(part).verify(&found.checksums).map_err(|_| invalid_part())?;
        chosen.push(found);
    }
    Ok(chosen)
}

fn said_of_part(part: &CompletedPart) -> Checksums {
    Checksums {
        crc32: part.checksum_crc32.clone(),
        crc32c: part.checksum_crc32c.clone(),
        crc64nvme: part.checksum_crc64nvme.clone(),
        sha1: part.checksum_sha1.clone(),
        sha256: part.checksum_sha256.clone(),
        composite: false,
    }
}

fn sources(cloud: &Cloud, parts: &[PartRecord]) -> Vec<Source> {
    let source = |part: &PartRecord| -> Source {
        let (blobs, blob) = (Arc::clone(&cloud.blobs), part.blob.clone());
        Box::new(move || Ok(Box::new(blobs.read(&blob)?)))
    };
    parts.iter().map(source).collect()
}

/// What to compute over the whole object.
fn full_algorithms(upload: &UploadRecord) -> S3Result<Vec<Algorithm>> {
    let algorithm = wanted_algorithm(upload)?.unwrap_or(Algorithm::Crc64Nvme);
    let composite = upload.checksum_type.as_deref() == Some(ChecksumType::COMPOSITE);
    Ok(if composite { Vec::new() } else { vec![algorithm] })
}

fn object_checksums(upload: &UploadRecord, parts: &[PartRecord], full: Checksums) -> S3Result<Checksums> {
    let Some(algorithm) = wanted_algorithm(upload)? else { return Ok(full) };
    if upload.checksum_type.as_deref() != Some(ChecksumType::COMPOSITE) {
        return Ok(full);
    }
    let mut checksums = Checksums { composite: true, ..Checksums::default() };
    checksums.set(algorithm, composite(algorithm, parts.iter().map(|part| part.checksums.get(algorithm)))?);
    Ok(checksums)
}

fn output(
    input: &CompleteMultipartUploadInput,
    record: VersionRecord,
    versioning: Versioning,
) -> CompleteMultipartUploadOutput {
    CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
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
        ..CompleteMultipartUploadOutput::default()
    }
}

fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    )
}

#[cfg(test)]
mod tests {
    use super::super::blobs::BlobId;
    use super::*;

    fn stored(number: u16, size: u64) -> (u16, PartRecord) {
        let blob: BlobId = serde_json::from_str("\"x\"").unwrap();
        let part =
            PartRecord { modified_millis: 0, etag: format!("e{number}"), size, blob, checksums: Checksums::default() };
        (number, part)
    }

    fn listed(number: i32, etag: &str) -> CompletedPart {
        CompletedPart { part_number: Some(number), e_tag: Some(super::etag(etag)), ..CompletedPart::default() }
    }

    #[test]
    fn parts_are_in_order_known_and_large_enough() {
        let all = || vec![stored(1, LEAST_PART), stored(2, LEAST_PART - 1), stored(7, 1)];
        let choose = |list: &[CompletedPart]| match chosen_parts(list, all()) {
            Ok(parts) => Ok(parts.len()),
            Err(error) => Err(error.code().as_str().to_owned()),
        };
        assert_eq!(choose(&[listed(1, "e1"), listed(7, "e7")]), Ok(2));
        assert_eq!(choose(&[listed(2, "e2")]), Ok(1));
        assert_eq!(choose(&[listed(2, "e2"), listed(1, "e1")]), Err("InvalidPartOrder".to_owned()));
        assert_eq!(choose(&[listed(1, "e1"), listed(1, "e1")]), Err("InvalidPartOrder".to_owned()));
        assert_eq!(choose(&[listed(2, "e2"), listed(7, "e7")]), Err("EntityTooSmall".to_owned()));
        assert_eq!(choose(&[listed(3, "e3")]), Err("InvalidPart".to_owned()));
        assert_eq!(choose(&[listed(1, "other")]), Err("InvalidPart".to_owned()));
        assert_eq!(choose(&[listed(0, "e0")]), Err("InvalidArgument".to_owned()));
    }
}
