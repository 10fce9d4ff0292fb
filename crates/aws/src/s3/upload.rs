//! Uploads: in one request, or in parts when the file is large. Either way an object appears as a whole, and only if
//! its bytes have the SHA-256 that was planned.

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use pinfra_engine::{CloudError, ErrorKind};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::label::{LABEL, label};
use super::object::SHA256;
use crate::error::{classify, unless_gone};
use crate::tags::Tags;

/// From here on a lost connection would cost too much ("use multipart upload for objects larger than 100 MB", S3 user
/// guide).
const IN_PARTS_FROM: u64 = 100 << 20;
/// With at most 10,000 parts (S3 quotas) enough for 160 GB.
const PART: usize = 16 << 20;
/// Parts under way at once, all of which are in memory.
const PARTS_AT_ONCE: usize = 4;

/// What is written, and what it must be.
pub(super) struct Target<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) sha256: &'a str,
    pub(super) content_type: &'a str,
    pub(super) tags: &'a Tags,
}

/// Uploads a file.
pub(super) async fn file(s3: &aws_sdk_s3::Client, target: &Target<'_>, path: &str) -> Result<(), CloudError> {
    let size = tokio::fs::metadata(path).await.map_err(|error| unreadable(path, &error))?.len();
    if size >= IN_PARTS_FROM {
        return in_parts(s3, target, Path::new(path)).await;
    }
    let body = ByteStream::from_path(path).await;
    whole(s3, target, body.map_err(|error| unreadable(path, &error))?).await
}

/// Uploads in one request. S3 compares the checksum and keeps it.
pub(super) async fn whole(s3: &aws_sdk_s3::Client, target: &Target<'_>, body: ByteStream) -> Result<(), CloudError> {
    let request = s3.put_object().bucket(target.bucket).key(target.key).content_type(target.content_type);
    let request = request.metadata(SHA256, target.sha256).metadata(LABEL, label(target.tags)).body(body);
    let sent = request.checksum_sha256(checksum(target)?).send().await;
    sent.map(drop).map_err(|error| {
        let error = classify("s3:PutObject", &error);
        match error.code.as_deref() {
            Some("BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
                error.with_hint("the file has changed since it was planned: run the command again")
            }
            _ => error,
        }
    })
}

async fn in_parts(s3: &aws_sdk_s3::Client, target: &Target<'_>, path: &Path) -> Result<(), CloudError> {
    abort_earlier(s3, target).await?;
    let request = s3.create_multipart_upload().bucket(target.bucket).key(target.key);
    let request = request.content_type(target.content_type).metadata(SHA256, target.sha256);
    let request = request.metadata(LABEL, label(target.tags)).checksum_algorithm(ChecksumAlgorithm::Sha256);
    let begun = request.send().await.map_err(|error| classify("s3:CreateMultipartUpload", &error))?;
    let upload = begun.upload_id().unwrap_or_default();
    let finished = match parts(s3, target, upload, path).await {
        Ok(parts) => complete(s3, target, upload, parts).await,
        Err(error) => Err(error),
    };
    if finished.is_err() {
        // The bucket's lifecycle removes what this cannot.
        let _ = s3.abort_multipart_upload().bucket(target.bucket).key(target.key).upload_id(upload).send().await;
    }
    finished
}

/// Ends uploads of this object that were begun and never finished: a run that was killed leaves its parts behind, which are
/// paid for and seen by nobody.
async fn abort_earlier(s3: &aws_sdk_s3::Client, target: &Target<'_>) -> Result<(), CloudError> {
    let listed = s3.list_multipart_uploads().bucket(target.bucket).prefix(target.key).send().await;
    let listed = listed.map_err(|error| classify("s3:ListMultipartUploads", &error))?;
    for upload in listed.uploads().iter().filter(|upload| upload.key() == Some(target.key)) {
        let abort = s3.abort_multipart_upload().bucket(target.bucket).key(target.key);
        let sent = abort.set_upload_id(upload.upload_id.clone()).send().await;
        unless_gone(sent.map_err(|error| classify("s3:AbortMultipartUpload", &error)))?;
    }
    Ok(())
}

/// Uploads all parts, and compares what was read with what was planned.
async fn parts(
    s3: &aws_sdk_s3::Client,
    target: &Target<'_>,
    upload: &str,
    path: &Path,
) -> Result<Vec<CompletedPart>, CloudError> {
    let shown = path.display().to_string();
    let mut file = tokio::fs::File::open(path).await.map_err(|error| unreadable(&shown, &error))?;
    let mut hasher = Sha256::new();
    let mut sending = FuturesOrdered::new();
    let mut parts = Vec::new();
    let mut number = 0;
    while let Some(chunk) = next_part(&mut file).await.map_err(|error| unreadable(&shown, &error))? {
        hasher.update(&chunk);
        number += 1;
        sending.push_back(part(s3, target, upload, number, chunk));
        if sending.len() == PARTS_AT_ONCE
            && let Some(part) = sending.next().await
        {
            parts.push(part?);
        }
    }
    while let Some(part) = sending.next().await {
        parts.push(part?);
    }
    let found = hex::encode(hasher.finalize());
    if found == target.sha256 {
        return Ok(parts);
    }
    let message = format!("`{shown}` has another SHA-256 than was planned: {found}");
    Err(CloudError::new(ErrorKind::Conflict, "s3:UploadPart", message)
        .with_hint("the file has changed since it was planned: run the command again"))
}

async fn part(
    s3: &aws_sdk_s3::Client,
    target: &Target<'_>,
    upload: &str,
    number: i32,
    chunk: Bytes,
) -> Result<CompletedPart, CloudError> {
    let checksum = STANDARD.encode(Sha256::digest(&chunk));
    let request = s3.upload_part().bucket(target.bucket).key(target.key).upload_id(upload).part_number(number);
    let sent = request.checksum_sha256(&checksum).body(chunk.into()).send().await;
    let sent = sent.map_err(|error| classify("s3:UploadPart", &error))?;
    let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).checksum_sha256(checksum);
    Ok(part.build())
}

async fn complete(
    s3: &aws_sdk_s3::Client,
    target: &Target<'_>,
    upload: &str,
    parts: Vec<CompletedPart>,
) -> Result<(), CloudError> {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let request = s3.complete_multipart_upload().bucket(target.bucket).key(target.key).upload_id(upload);
    let sent = request.multipart_upload(parts).send().await;
    sent.map(drop).map_err(|error| classify("s3:CompleteMultipartUpload", &error))
}

/// The next part of a file; shorter than the others at its end, and `None` behind it.
async fn next_part(file: &mut tokio::fs::File) -> std::io::Result<Option<Bytes>> {
    let mut chunk = Vec::with_capacity(PART);
    file.take(PART as u64).read_to_end(&mut chunk).await?;
    Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
}

/// The SHA-256 as S3 takes it.
fn checksum(target: &Target<'_>) -> Result<String, CloudError> {
    let bytes = hex::decode(target.sha256).ok().filter(|bytes| bytes.len() == 32);
    let bytes = bytes.ok_or_else(|| {
        let message = format!("`{}` is not a SHA-256 in hex", target.sha256);
        CloudError::new(ErrorKind::Invalid, "s3/object", message)
    })?;
    Ok(STANDARD.encode(bytes))
}

fn unreadable(path: &str, error: &dyn std::error::Error) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "s3/object", format!("`{path}` cannot be read: {error}"))
}
