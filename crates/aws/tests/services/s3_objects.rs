//! S3: objects, listings, copies, checksums, presigned URLs.

use std::time::Duration;

use aws_sdk_s3::client::Waiters;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectAttributes, ObjectIdentifier, Tag, Tagging,
};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;

use crate::cloud::{Cloud, code};

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let body: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let put = s3
        .put_object()
        .bucket("lake")
        .key("a/ü +%&?=#.json")
        .body(body.clone().into())
        .content_type("application/json")
        .cache_control("no-store")
        .metadata("origin", "pins")
        .send()
        .await
        .unwrap();
    let got = s3.get_object().bucket("lake").key("a/ü +%&?=#.json").send().await.unwrap();
    assert_eq!((got.content_type(), got.cache_control()), (Some("application/json"), Some("no-store")));
    assert_eq!(got.metadata().and_then(|all| all.get("origin")).map(String::as_str), Some("pins"));
    assert_eq!((got.content_length, got.e_tag()), (Some(100_000), put.e_tag()));
    assert!(got.body.collect().await.unwrap().to_vec() == body);
    let head = s3.head_object().bucket("lake").key("a/ü +%&?=#.json").send().await.unwrap();
    assert_eq!((head.content_length, head.e_tag()), (Some(100_000), put.e_tag()));
    assert!((head.last_modified().unwrap().secs() - cloud.local.clock().now().unix_timestamp()).abs() < 60);
    s3.wait_until_object_exists().bucket("lake").key("a/ü +%&?=#.json").wait(Duration::from_secs(5)).await.unwrap();

    for (range, expected, said) in [
        ("bytes=0-9", &body[..10], "bytes 0-9/100000"),
        ("bytes=99990-", &body[99_990..], "bytes 99990-99999/100000"),
        ("bytes=-5", &body[99_995..], "bytes 99995-99999/100000"),
        ("bytes=99999-200000", &body[99_999..], "bytes 99999-99999/100000"),
    ] {
        let part = s3.get_object().bucket("lake").key("a/ü +%&?=#.json").range(range).send().await.unwrap();
        assert_eq!(part.content_range(), Some(said));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), expected);
    }
    let beyond = s3.get_object().bucket("lake").key("a/ü +%&?=#.json").range("bytes=100000-").send().await;
    assert_eq!(code(beyond), "InvalidRange");
}

#[tokio::test]
async fn what_is_not_there_has_its_types() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let object = s3.get_object().bucket("lake").key("none").send().await.unwrap_err().into_service_error();
    assert!(object.is_no_such_key(), "{object:?}");
    let head = s3.head_object().bucket("lake").key("none").send().await.unwrap_err().into_service_error();
    assert!(head.is_not_found(), "{head:?}");
    let bucket = s3.list_objects_v2().bucket("none").send().await.unwrap_err().into_service_error();
    assert!(bucket.is_no_such_bucket(), "{bucket:?}");
    let head = s3.head_bucket().bucket("none").send().await.unwrap_err().into_service_error();
    assert!(head.is_not_found(), "{head:?}");
    s3.delete_object().bucket("lake").key("none").send().await.unwrap();
    let acl = s3.put_object_acl().bucket("lake").key("none").send().await;
    // S3's own code for it.
    assert_eq!(code(acl), "NotImplemented");
}

#[tokio::test]
async fn listings_are_sorted_paged_and_grouped() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let mut keys: Vec<String> = (0..23).map(|number| format!("topics/pin/{number:04}+a b.json")).collect();
    keys.extend(["topics/geo/ü.json", "topics/top.json", "other/\u{1F980}&<>\"'"].map(str::to_owned));
    for key in &keys {
        s3.put_object().bucket("lake").key(key).body(key.clone().into_bytes().into()).send().await.unwrap();
    }
    keys.sort_unstable();
    let pages = s3.list_objects_v2().bucket("lake").max_keys(10).into_paginator().send();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.contents().len()).collect::<Vec<_>>(), [10, 10, 6]);
    let listed = pages.iter().flat_map(|page| page.contents());
    for (object, key) in listed.zip(&keys) {
        assert_eq!((object.key(), object.size()), (Some(key.as_str()), i64::try_from(key.len()).ok()));
    }
    let grouped = s3.list_objects_v2().bucket("lake").prefix("topics/").delimiter("/").send().await.unwrap();
    let prefixes: Vec<_> = grouped.common_prefixes().iter().map(|group| group.prefix().unwrap()).collect();
    assert_eq!(prefixes, ["topics/geo/", "topics/pin/"]);
    assert_eq!(grouped.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(), ["topics/top.json"]);
    let after = s3.list_objects_v2().bucket("lake").start_after("topics/pin/0021+a b.json").send().await.unwrap();
    assert_eq!(after.contents()[0].key(), Some("topics/pin/0022+a b.json"));
    let old = s3.list_objects().bucket("lake").max_keys(5).send().await.unwrap();
    assert_eq!((old.contents().len(), old.is_truncated()), (5, Some(true)));
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_what_describes_it() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let put = s3.put_object().bucket("lake").key("from/ü").body(b"data".to_vec().into()).metadata("n", "1");
    let etag = put.tagging("team=data").send().await.unwrap().e_tag.unwrap();
    let copy = || s3.copy_object().bucket("lake").copy_source("lake/from/%C3%BC");
    let copied = copy().key("kept").copy_source_if_match(&etag).send().await.unwrap();
    assert_eq!(copied.copy_object_result().and_then(|result| result.e_tag()), Some(etag.as_str()));
    let replaced = copy().key("replaced").metadata_directive(MetadataDirective::Replace).metadata("n", "2");
    replaced.send().await.unwrap();
    for (key, expected) in [("kept", "1"), ("replaced", "2")] {
        let got = s3.get_object().bucket("lake").key(key).send().await.unwrap();
        assert_eq!(got.metadata().and_then(|all| all.get("n")).map(String::as_str), Some(expected));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"data");
        let tags = s3.get_object_tagging().bucket("lake").key(key).send().await.unwrap();
        assert_eq!(tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect::<Vec<_>>(), [("team", "data")]);
    }
    assert_eq!(code(copy().key("x").copy_source_if_none_match(&etag).send().await), "PreconditionFailed");
    assert_eq!(code(s3.copy_object().bucket("lake").key("x").copy_source("lake/none").send().await), "NoSuchKey");
}

#[tokio::test]
async fn every_checksum_is_computed_verified_and_returned() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    // Of the nine digits that every CRC is documented with.
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
        (ChecksumAlgorithm::Crc32C, "4waSgw=="),
        (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
        (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ] {
        let key = algorithm.as_str();
        let put = s3.put_object().bucket("lake").key(key).checksum_algorithm(algorithm.clone());
        put.body(b"123456789".to_vec().into()).send().await.unwrap();
        // The SDK verifies it again while it reads.
        let got = s3.get_object().bucket("lake").key(key).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let said = match algorithm {
            ChecksumAlgorithm::Crc32 => got.checksum_crc32(),
            ChecksumAlgorithm::Crc32C => got.checksum_crc32_c(),
            ChecksumAlgorithm::Crc64Nvme => got.checksum_crc64_nvme(),
            ChecksumAlgorithm::Sha1 => got.checksum_sha1(),
            _ => got.checksum_sha256(),
        };
        assert_eq!(said, Some(expected), "{key}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"123456789");
    }
    let wrong = s3.put_object().bucket("lake").key("x").checksum_sha256("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
    assert_eq!(code(wrong.body(b"987654321".to_vec().into()).send().await), "BadDigest");
    let attributes = s3.get_object_attributes().bucket("lake").key("SHA256");
    let attributes = attributes.object_attributes(ObjectAttributes::Checksum).send().await.unwrap();
    assert!(attributes.checksum().is_some_and(|checksum| checksum.checksum_sha256().is_some()));
}

#[tokio::test]
async fn a_file_is_streamed_with_its_checksum_behind_it() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    std::fs::write(file.path(), &bytes).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    s3.put_object().bucket("lake").key("file").body(body).send().await.unwrap();
    let got = s3.get_object().bucket("lake").key("file").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().to_vec() == bytes);
}

/// Sends a request as a program without any SDK does.
async fn send(method: &str, url: &str, body: &'static [u8]) -> (u16, String) {
    let plain = http::Request::builder().method(method).uri(url);
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let answer = client.request(plain.body(Full::from(body)).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn presigned_urls_are_good_for_what_was_signed() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
    let put = s3.put_object().bucket("lake").key("a b/ü").presigned(hour.clone()).await.unwrap();
    assert_eq!(send("PUT", put.uri(), b"through a URL").await, (200, String::new()));
    let get = s3.get_object().bucket("lake").key("a b/ü");
    let get = get.response_content_type("text/x-pins").presigned(hour.clone()).await.unwrap();
    assert_eq!(send("GET", get.uri(), b"").await, (200, "through a URL".to_owned()));

    let another_key = get.uri().replace("a%20b", "a%20c");
    let (status, text) = send("GET", &another_key, b"").await;
    assert!(status == 403 && text.contains("<Code>SignatureDoesNotMatch</Code>"), "{status} {text}");
    let (status, text) = send("DELETE", get.uri(), b"").await;
    assert!(status == 403 && text.contains("<Code>SignatureDoesNotMatch</Code>"), "{status} {text}");
    let past = std::time::SystemTime::now() - Duration::from_secs(7200);
    let expired = PresigningConfig::builder().start_time(past).expires_in(Duration::from_secs(3600)).build().unwrap();
    let expired = s3.get_object().bucket("lake").key("a b/ü").presigned(expired).await.unwrap();
    let (status, text) = send("GET", expired.uri(), b"").await;
    assert!(status == 403 && text.contains("<Code>AccessDenied</Code>"), "{status} {text}");
}

#[tokio::test]
async fn tags_of_an_object_and_many_deletes_in_one_request() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let keys: Vec<String> = (0..30).map(|number| format!("k/{number}&<ü>")).collect();
    for key in &keys {
        s3.put_object().bucket("lake").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let tag = Tag::builder().key("a").value("b + ü").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    s3.put_object_tagging().bucket("lake").key(&keys[0]).tagging(tagging).send().await.unwrap();
    let tags = s3.get_object_tagging().bucket("lake").key(&keys[0]).send().await.unwrap();
    assert_eq!(tags.tag_set(), [tag]);
    assert_eq!(s3.get_object().bucket("lake").key(&keys[0]).send().await.unwrap().tag_count(), Some(1));
    s3.delete_object_tagging().bucket("lake").key(&keys[0]).send().await.unwrap();
    assert!(s3.get_object_tagging().bucket("lake").key(&keys[0]).send().await.unwrap().tag_set().is_empty());

    let object = |key: &String| ObjectIdentifier::builder().key(key).build().unwrap();
    let first = Delete::builder().set_objects(Some(keys[..20].iter().map(object).collect())).build().unwrap();
    let deleted = s3.delete_objects().bucket("lake").delete(first).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (20, 0));
    let rest = Delete::builder().set_objects(Some(keys[20..].iter().map(object).collect())).quiet(true).build();
    let deleted = s3.delete_objects().bucket("lake").delete(rest.unwrap()).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (0, 0));
    assert_eq!(s3.list_objects_v2().bucket("lake").send().await.unwrap().key_count(), Some(0));
}
