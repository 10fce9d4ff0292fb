//! Objects: bytes, headers, ranges, checksums, signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pinfra_local::services::s3::operation_of;

use crate::client::{Server, stamp_of};

#[tokio::test]
async fn an_object_comes_back_with_its_bytes_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = server
        .put("/lake/a/b.json")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header("cache-control", "no-cache")
        .header("content-disposition", "attachment")
        .header("content-language", "en")
        .header("x-amz-meta-origin", "test")
        .header("x-amz-tagging", "team=data&stage=dev")
        .body("hello")
        .send()
        .await
        .ok();
    assert_eq!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(put.header("x-amz-server-side-encryption"), "AES256");
    assert_ne!(put.header("x-amz-checksum-crc64nvme"), "");
    assert_eq!(put.header("x-amz-request-id").len(), 32);

    for answer in [server.get("/lake/a/b.json").send().await.ok(), server.head("/lake/a/b.json").send().await.ok()] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("cache-control", "no-cache"),
            ("content-disposition", "attachment"),
            ("content-language", "en"),
            ("x-amz-meta-origin", "test"),
            ("content-length", "5"),
            ("accept-ranges", "bytes"),
            ("etag", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("x-amz-server-side-encryption", "AES256"),
        ];
        for (name, value) in headers {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert!(!answer.headers.contains_key("x-amz-version-id"));
    }
    assert_eq!(server.get("/lake/a/b.json").send().await.text(), "hello");
    server.get("/lake/a").send().await.refused(404, "NoSuchKey");
    server.get("/nolake/a").send().await.refused(404, "NoSuchBucket");
    assert_eq!(server.head("/lake/a").send().await.status, 404);
}

#[tokio::test]
async fn ranges_are_as_http_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/k", "0123456789").await;
    server.object("/lake/empty", "").await;
    let cases = [
        ("bytes=0-3", "0123"),
        ("bytes=7-", "789"),
        ("bytes=-2", "89"),
        ("bytes=5-100", "56789"),
        ("bytes=-100", "0123456789"),
    ];
    for (range, expected) in cases {
        let part = server.get("/lake/k").header("range", range).send().await;
        assert_eq!((part.status.as_u16(), part.text().as_str()), (206, expected), "{range}");
    }
    let part = server.get("/lake/k").header("range", "bytes=2-4").send().await;
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 2-4/10", "3"));
    let beyond = server.get("/lake/k").header("range", "bytes=10-").send().await;
    beyond.refused(416, "InvalidRange");
    assert_eq!(beyond.header("content-range"), "bytes */10");
    server.get("/lake/empty").header("range", "bytes=0-0").send().await.refused(416, "InvalidRange");
    server.get("/lake/empty").header("range", "bytes=-1").send().await.refused(416, "InvalidRange");

    // What is no range is ignored, once the signature, which covers it, is found good.
    for none in ["bytes=a-", "bytes=5-2", "items=0-1", "bytes=0-1,3-4"] {
        let all = server.get("/lake/k").header("range", none).send().await;
        assert_eq!((all.status.as_u16(), all.header("content-range"), all.body.len()), (200, "", 10), "{none}");
        let head = server.head("/lake/k").header("range", none).send().await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"), "{none}");
        let unknown = server.get("/lake/k").header("range", none).access_key("NOBODY").send().await;
        unknown.refused(403, "InvalidAccessKeyId");
        let anonymous = server.get("/lake/k").header("range", none).anonymous();
        server.send(anonymous).await.refused(403, "AccessDenied");
        let presigned = server.get("/lake/k").header("range", none).presigned(60, None);
        assert_eq!(server.send(presigned).await.body.len(), 10);
        server.get("/lake/none").header("range", none).send().await.refused(404, "NoSuchKey");
        let mut tampered = server.get("/lake/k").header("range", none).signed();
        tampered.headers_mut().insert("range", "bytes=z".parse().unwrap());
        server.send(tampered).await.refused(403, "SignatureDoesNotMatch");
    }
    assert_eq!(server.get("/lake/empty").send().await.ok().body.len(), 0);
}

#[tokio::test]
async fn hostile_keys_are_only_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let long = "k".repeat(1024);
    let keys = [
        "conf",
        "conf/b",
        "conf/",
        "a//b",
        "../x",
        "..",
        "./y",
        "a/../../../etc/passwd",
        "/leading",
        "trailing/",
        "sp ace",
        "plus+plus",
        "per%cent",
        "%2e%2e",
        "ünïcode/日本/🦀",
        "new\nline",
        "\u{1}control",
        "a&b<c>\"'",
        "?q=1#f",
        "C:\\x",
        &long,
    ];
    for key in keys {
        server.object(&format!("/lake/{key}"), key).await;
    }
    for key in keys {
        let got = server.get(&format!("/lake/{key}")).send().await;
        assert_eq!(got.text(), key);
    }
    server.put(&format!("/lake/{}", "k".repeat(1025))).send().await.refused(400, "KeyTooLongError");
    let mut expected: Vec<&str> = keys.to_vec();
    expected.sort_by_key(|key| key.as_bytes().to_vec());
    let listed = server.get("/lake").query("list-type", 2).query("encoding-type", "url").send().await.ok();
    let listed: Vec<String> = listed
        .all("Key")
        .iter()
        .map(|key| percent_encoding::percent_decode_str(key).decode_utf8().unwrap().into_owned())
        .collect();
    assert_eq!(listed, expected);

    let mut files = 0;
    for fan in std::fs::read_dir(folder.path().join("s3/blobs")).unwrap() {
        for file in std::fs::read_dir(fan.unwrap().path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
            files += 1;
        }
    }
    assert_eq!(files, keys.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    // XML 1.0 cannot hold a control character: such a key is deleted by its own request, on AWS too.
    let (spelled, controls): (Vec<&str>, Vec<&str>) = keys.iter().partition(|key| !key.contains('\u{1}'));
    for key in controls {
        server.delete(&format!("/lake/{key}")).send().await.ok();
    }
    let escaped = |key: &str| quick_xml::escape::escape(key).replace('\n', "&#10;");
    let objects: String = spelled.iter().map(|key| format!("<Object><Key>{}</Key></Object>", escaped(key))).collect();
    let deleted =
        server.post("/lake").query("delete", "").body(format!("<Delete>{objects}</Delete>")).send().await.ok();
    assert_eq!(deleted.all("Error"), [""; 0], "{}", deleted.text());
    assert_eq!(server.get("/lake").send().await.all("Key"), [""; 0]);
}

#[tokio::test]
async fn checksums_are_verified_and_returned() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    // The check values of `123456789`: CRC catalogue (reveng), RFC 1321 and FIPS 180 tools.
    let good = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ];
    for (name, value) in good {
        let put = server.put("/lake/k").header(name, value).body("123456789").send().await.ok();
        assert_eq!(put.header(name), value);
        let got = server.get("/lake/k").header("x-amz-checksum-mode", "ENABLED").send().await.ok();
        assert_eq!((got.header(name), got.header("x-amz-checksum-type")), (value, "FULL_OBJECT"));
        assert_eq!(server.get("/lake/k").send().await.header(name), "");
        server.put("/lake/bad").header(name, value).body("12345678X").send().await.refused(400, "BadDigest");
    }
    let md5 = "JfnnlDI7RTiF9RgfGDgMBA==";
    server.put("/lake/bad").header("content-md5", md5).body("123456789").send().await.refused(400, "BadDigest");
    server.put("/lake/bad").header("content-md5", "xyz").body("123456789").send().await.refused(400, "InvalidDigest");
    let md5 = STANDARD.encode(hex::decode("25f9e794323b453885f5181f1b624d0b").unwrap());
    server.put("/lake/k").header("content-md5", md5).body("123456789").send().await.ok();
    server.get("/lake/bad").send().await.refused(404, "NoSuchKey");
}

#[tokio::test]
async fn a_trailing_checksum_of_a_chunked_body_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = |key: &str, checksum: &str| {
        let body = format!("5\r\n12345\r\n4\r\n6789\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n");
        server
            .put(key)
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", 9)
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .header("content-encoding", "aws-chunked")
            .body(body)
            .send()
    };
    let good = put("/lake/k", "y/Q5Jg==").await.ok();
    assert_eq!(good.header("x-amz-checksum-crc32"), "y/Q5Jg==");
    let got = server.get("/lake/k").send().await;
    assert_eq!((got.text().as_str(), got.header("content-encoding")), ("123456789", ""));
    put("/lake/bad", "AAAAAA==").await.refused(400, "BadDigest");
    server.head("/lake/bad").send().await;
    assert_eq!(server.head("/lake/bad").send().await.status, 404);
}

#[tokio::test]
async fn only_a_valid_signature_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/k", "secret").await;
    server.send(server.get("/lake/k").anonymous()).await.refused(403, "AccessDenied");
    server.get("/lake/k").access_key("NOBODY").send().await.refused(403, "InvalidAccessKeyId");
    let mut tampered = server.get("/lake/k").signed();
    *tampered.uri_mut() = tampered.uri().to_string().replace("/k", "/other").parse().unwrap();
    server.send(tampered).await.refused(403, "SignatureDoesNotMatch");
    let mut body = server.put("/lake/k").body("what was signed").signed();
    *body.body_mut() = http_body_util::Full::new(Bytes::from_static(b"what came instead"));
    let refused = server.send(body).await;
    assert!(refused.status.is_client_error(), "{}", refused.text());
    assert_eq!(server.get("/lake/k").send().await.text(), "secret");

    server.get("/lake/k").access_key("SESSION").send().await.refused(400, "InvalidToken");
    let wrong = server.get("/lake/k").access_key("SESSION").header("x-amz-security-token", "other");
    wrong.send().await.refused(400, "InvalidToken");
    let right = server.get("/lake/k").access_key("SESSION").header("x-amz-security-token", "token");
    assert_eq!(right.send().await.text(), "secret");
}

#[tokio::test]
async fn presigned_urls_work_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = server.put("/lake/a b+c").body("by url").presigned(60, None);
    server.send(put).await.ok();
    assert_eq!(server.send(server.get("/lake/a b+c").presigned(60, None)).await.ok().text(), "by url");
    let download = server.get("/lake/a b+c").query("response-content-type", "text/csv").presigned(60, None);
    assert_eq!(server.send(download).await.header("content-type"), "text/csv");
    let old = stamp_of(time::OffsetDateTime::now_utc() - time::Duration::minutes(2));
    server.send(server.get("/lake/a b+c").presigned(60, Some(old))).await.refused(403, "AccessDenied");
    let other_method = server.delete("/lake/a b+c").presigned(60, None);
    let (mut parts, body) = server.get("/lake/a b+c").presigned(60, None).into_parts();
    parts.method = other_method.method().clone();
    server.send(http::Request::from_parts(parts, body)).await.refused(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_copy_has_its_own_description_and_checks_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = server.put("/lake/from+1").header("x-amz-meta-a", "1").header("x-amz-tagging", "t=1").body("copied");
    let etag = put.send().await.ok().header("etag").to_owned();
    let copy = |to: &str| server.put(to).header("x-amz-copy-source", "/lake/from%2B1");

    let copied = copy("/lake/to").send().await.ok();
    assert_eq!(copied.one("ETag"), etag);
    let got = server.get("/lake/to").send().await.ok();
    assert_eq!(
        (got.text().as_str(), got.header("x-amz-meta-a"), got.header("x-amz-tagging-count")),
        ("copied", "1", "1")
    );

    copy("/lake/to").header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-b", "2").send().await.ok();
    let got = server.get("/lake/to").send().await.ok();
    assert_eq!((got.header("x-amz-meta-a"), got.header("x-amz-meta-b")), ("", "2"));

    copy("/lake/from+1").send().await.refused(400, "InvalidRequest");
    copy("/lake/from+1").header("x-amz-metadata-directive", "REPLACE").send().await.ok();
    copy("/lake/x").header("x-amz-copy-source-if-match", "\"other\"").send().await.refused(412, "PreconditionFailed");
    copy("/lake/x").header("x-amz-copy-source-if-none-match", &etag).send().await.refused(412, "PreconditionFailed");
    copy("/lake/to").header("if-none-match", "*").send().await.refused(412, "PreconditionFailed");
    server.put("/lake/x").header("x-amz-copy-source", "/lake/none").send().await.refused(404, "NoSuchKey");
    server.put("/lake/x").header("x-amz-copy-source", "/none/k").send().await.refused(404, "NoSuchBucket");
}

#[tokio::test]
async fn limits_are_those_of_s3() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = || server.put("/lake/k");
    put().header("x-amz-meta-a", "v".repeat(2048)).send().await.refused(400, "MetadataTooLarge");
    put().header("x-amz-meta-a", "v".repeat(2047)).send().await.ok();
    let tags: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
    put().header("x-amz-tagging", tags.join("&")).send().await.refused(400, "BadRequest");
    put().header("x-amz-acl", "public-read").send().await.refused(400, "AccessControlListNotSupported");
    put().header("x-amz-storage-class", "ODD").send().await.refused(400, "InvalidStorageClass");
    put().header("x-amz-server-side-encryption", "ROT13").send().await.refused(400, "InvalidEncryptionAlgorithmError");
}

#[tokio::test]
async fn attributes_are_those_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/k", "hello").await;
    let call =
        server.get("/lake/k").query("attributes", "").header("x-amz-object-attributes", "ETag,ObjectSize, Checksum");
    let answer = call.send().await.ok();
    assert_eq!(answer.one("ETag").trim_matches('"'), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!((answer.one("ObjectSize"), answer.one("StorageClass")), ("5".into(), "".into()));
    assert_ne!(answer.one("ChecksumCRC64NVME"), "");
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let cases = [
        (server.put("/lake").query("cors", ""), "PutBucketCors"),
        (server.put("/new").query("abac", ""), "PutBucketAbac"),
        (server.post("/lake/k").query("restore", ""), "RestoreObject"),
        (server.get("/lake/k").query("torrent", ""), "GetObjectTorrent"),
        (server.put("/lake/k").query("renameObject", ""), "RenameObject"),
    ];
    for (call, name) in cases {
        let request = call.signed();
        assert_eq!(operation_of(&request).name, name);
        let answer = server.send(request).await;
        answer.refused(501, "NotImplemented");
        assert!(answer.one("Message").contains(name), "{}", answer.text());
    }
    server.head("/new").send().await;
    assert_eq!(server.head("/new").send().await.status, 404);
}

#[tokio::test]
async fn large_bodies_stream_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    server.put("/lake/large").body(body.clone()).send().await.ok();
    assert!(server.get("/lake/large").send().await.ok().body == body);
    let middle = server.get("/lake/large").header("range", "bytes=1048570-2097160").send().await;
    assert!(middle.body == body[1_048_570..=2_097_160]);
}
