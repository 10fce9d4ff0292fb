//! S3: multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

use crate::cloud::{Cloud, code};

/// The least that a part but the last may have.
const PART: usize = 5 << 20;

fn bytes(letter: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| letter ^ at.to_le_bytes()[1]).collect()
}

async fn begin(s3: &Client, key: &str) -> String {
    let begun = s3.create_multipart_upload().bucket("lake").key(key).metadata("n", "1").send().await.unwrap();
    begun.upload_id.unwrap()
}

async fn part(s3: &Client, key: &str, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let sent = s3.upload_part().bucket("lake").key(key).upload_id(upload).part_number(number);
    let etag = sent.body(body.into()).send().await.unwrap().e_tag;
    CompletedPart::builder().part_number(number).set_e_tag(etag).build()
}

fn list(parts: impl IntoIterator<Item = CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.into_iter().collect())).build()
}

#[tokio::test]
async fn parts_become_one_object() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let upload = begin(&s3, "large").await;
    let bodies = [bytes(1, PART), bytes(2, PART + 17), bytes(3, 1_000)];
    let mut parts = Vec::new();
    // In any order, and one of them twice.
    for number in [3, 1, 2, 1] {
        let body = bodies[usize::try_from(number).unwrap() - 1].clone();
        parts.push(part(&s3, "large", &upload, number, body).await);
    }
    parts.remove(1);
    parts.sort_by_key(|part| part.part_number());
    let pages = s3.list_parts().bucket("lake").key("large").upload_id(&upload).max_parts(2).into_paginator().send();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let listed: Vec<_> =
        pages.iter().flat_map(|page| page.parts()).map(|part| (part.part_number, part.e_tag())).collect();
    let expected: Vec<_> = parts.iter().map(|part| (part.part_number(), part.e_tag())).collect();
    assert_eq!((pages.len(), listed), (2, expected));
    let uploads = s3.list_multipart_uploads().bucket("lake").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload.as_str()));

    let complete = s3.complete_multipart_upload().bucket("lake").key("large").upload_id(&upload);
    let completed = complete.multipart_upload(list(parts)).send().await.unwrap();
    assert!(completed.e_tag().unwrap().trim_matches('"').ends_with("-3"), "{completed:?}");
    let got = s3.get_object().bucket("lake").key("large").send().await.unwrap();
    assert_eq!(got.metadata().and_then(|all| all.get("n")).map(String::as_str), Some("1"));
    assert!(got.body.collect().await.unwrap().to_vec() == bodies.concat());
    let second = s3.get_object().bucket("lake").key("large").part_number(2).send().await.unwrap();
    assert_eq!((second.parts_count(), second.content_length()), (Some(3), i64::try_from(PART + 17).ok()));
    assert!(s3.list_multipart_uploads().bucket("lake").send().await.unwrap().uploads().is_empty());
}

#[tokio::test]
async fn a_part_may_be_copied_from_another_object() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    s3.put_object().bucket("lake").key("from").body(ByteStream::from_static(b"0123456789")).send().await.unwrap();
    let upload = begin(&s3, "to").await;
    let copy = s3.upload_part_copy().bucket("lake").key("to").upload_id(&upload).part_number(1);
    let copied = copy.copy_source("lake/from").copy_source_range("bytes=2-5").send().await.unwrap();
    let etag = copied.copy_part_result().and_then(|result| result.e_tag()).map(str::to_owned);
    let parts = list([CompletedPart::builder().part_number(1).set_e_tag(etag).build()]);
    let complete = s3.complete_multipart_upload().bucket("lake").key("to").upload_id(&upload);
    complete.multipart_upload(parts).send().await.unwrap();
    let got = s3.get_object().bucket("lake").key("to").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"2345");
}

#[tokio::test]
async fn checksums_of_parts_are_kept() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let begun = s3.create_multipart_upload().bucket("lake").key("sums").checksum_algorithm(ChecksumAlgorithm::Crc32C);
    let upload = begun.send().await.unwrap().upload_id.unwrap();
    let sent = s3.upload_part().bucket("lake").key("sums").upload_id(&upload).part_number(1);
    let sent = sent.checksum_algorithm(ChecksumAlgorithm::Crc32C).body(ByteStream::from_static(b"123456789"));
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.checksum_crc32_c(), Some("4waSgw=="));
    let part =
        CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag).set_checksum_crc32_c(sent.checksum_crc32_c);
    let complete = s3.complete_multipart_upload().bucket("lake").key("sums").upload_id(&upload);
    let completed = complete.multipart_upload(list([part.build()])).send().await.unwrap();
    assert_eq!(completed.checksum_type(), Some(&ChecksumType::Composite));
    assert!(completed.checksum_crc32_c().is_some_and(|sum| sum.ends_with("-1")), "{completed:?}");
}

#[tokio::test]
async fn what_cannot_be_completed_is_refused() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let upload = begin(&s3, "k").await;
    let small = [part(&s3, "k", &upload, 1, vec![1]).await, part(&s3, "k", &upload, 2, vec![2]).await];
    let complete = |parts: CompletedMultipartUpload| {
        s3.complete_multipart_upload().bucket("lake").key("k").upload_id(&upload).multipart_upload(parts).send()
    };
    assert_eq!(code(complete(list(small.clone())).await), "EntityTooSmall");
    assert_eq!(code(complete(list(small.clone().into_iter().rev())).await), "InvalidPartOrder");
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"0\"").build();
    assert_eq!(code(complete(list([wrong])).await), "InvalidPart");
    s3.abort_multipart_upload().bucket("lake").key("k").upload_id(&upload).send().await.unwrap();
    assert_eq!(code(complete(list(small)).await), "NoSuchUpload");
    let again = s3.abort_multipart_upload().bucket("lake").key("k").upload_id(&upload).send().await.unwrap_err();
    assert!(again.into_service_error().is_no_such_upload());
}
