//! Multipart uploads from begin to end.

use crate::client::{Answer, Server};

const LEAST: usize = 5 << 20;

async fn begin(server: &Server, key: &str) -> String {
    server.post(key).query("uploads", "").header("x-amz-meta-a", "1").send().await.ok().one("UploadId")
}

async fn part(server: &Server, key: &str, upload: &str, number: u32, body: Vec<u8>) -> String {
    let put = server.put(key).query("partNumber", number).query("uploadId", upload).body(body).send();
    put.await.ok().header("etag").to_owned()
}

fn list(parts: &[(u32, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn complete(server: &Server, key: &str, upload: &str, parts: &[(u32, &str)]) -> Answer {
    server.post(key).query("uploadId", upload).body(list(parts)).send().await
}

#[tokio::test]
async fn parts_become_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let upload = begin(&server, "/lake/k").await;
    part(&server, "/lake/k", &upload, 1, vec![b'x'; 10]).await;
    let first = part(&server, "/lake/k", &upload, 1, vec![b'a'; LEAST]).await;
    part(&server, "/lake/k", &upload, 2, vec![b'-'; LEAST]).await;
    let last = part(&server, "/lake/k", &upload, 5, vec![b'b'; 3]).await;

    let parts = server.get("/lake/k").query("uploadId", &upload).query("max-parts", 2).send().await.ok();
    assert_eq!(
        (parts.all("PartNumber"), parts.one("IsTruncated")),
        (vec!["1".to_owned(), "2".to_owned()], "true".into())
    );
    let rest =
        server.get("/lake/k").query("uploadId", &upload).query("part-number-marker", parts.one("NextPartNumberMarker"));
    assert_eq!(rest.send().await.ok().all("PartNumber"), ["5"]);
    assert_eq!(
        server.get("/lake").query("uploads", "").send().await.ok().all("UploadId"),
        std::slice::from_ref(&upload)
    );
    assert_eq!(server.head("/lake/k").send().await.status, 404);

    let done = complete(&server, "/lake/k", &upload, &[(1, &first), (5, &last)]).await.ok();
    // MD5 of the two parts' MD5s, as any S3 client computes it.
    let joined = [&first, &last].map(|etag| hex::decode(etag.trim_matches('"')).unwrap()).concat();
    use s3s::crypto::Checksum as _;
    let expected = format!("\"{}-2\"", hex::encode(s3s::crypto::Md5::checksum(&joined)));
    assert_eq!(done.one("ETag"), expected);
    let got = server.get("/lake/k").send().await.ok();
    assert!(got.body.len() == LEAST + 3 && got.body.ends_with(b"abbb"));
    assert_eq!((got.header("etag"), got.header("x-amz-meta-a")), (expected.as_str(), "1"));
    let second = server.get("/lake/k").query("partNumber", 2).send().await;
    assert_eq!(
        (second.status.as_u16(), second.text().as_str(), second.header("x-amz-mp-parts-count")),
        (206, "bbb", "2")
    );

    // Asked again after a lost answer: the same answer. Everything of the upload is gone.
    assert_eq!(complete(&server, "/lake/k", &upload, &[(1, &first), (5, &last)]).await.ok().one("ETag"), expected);
    server.get("/lake/k").query("uploadId", &upload).send().await.refused(404, "NoSuchUpload");
    let files: usize = std::fs::read_dir(folder.path().join("s3/blobs"))
        .unwrap()
        .map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count())
        .sum();
    assert_eq!(files, 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_list_of_parts_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let upload = begin(&server, "/lake/k").await;
    let first = part(&server, "/lake/k", &upload, 1, vec![1; 10]).await;
    let second = part(&server, "/lake/k", &upload, 2, vec![2; 10]).await;
    complete(&server, "/lake/k", &upload, &[(1, &first), (2, &second)]).await.refused(400, "EntityTooSmall");
    complete(&server, "/lake/k", &upload, &[(2, &second), (1, &first)]).await.refused(400, "InvalidPartOrder");
    complete(&server, "/lake/k", &upload, &[(3, &first)]).await.refused(400, "InvalidPart");
    complete(&server, "/lake/k", &upload, &[(1, &second)]).await.refused(400, "InvalidPart");
    complete(&server, "/lake/k", &upload, &[]).await.refused(400, "MalformedXML");
    complete(&server, "/lake/k", "none", &[(1, &first)]).await.refused(404, "NoSuchUpload");
    for number in ["0", "10001"] {
        let put = server.put("/lake/k").query("partNumber", number).query("uploadId", &upload).body("x").send();
        put.await.refused(400, "InvalidArgument");
    }
    server.delete("/lake/k").query("uploadId", &upload).send().await.ok();
    server.delete("/lake/k").query("uploadId", &upload).send().await.refused(404, "NoSuchUpload");
    let late = server.put("/lake/k").query("partNumber", 1).query("uploadId", &upload).body("x").send().await;
    late.refused(404, "NoSuchUpload");
}

#[tokio::test]
async fn of_several_completions_on_condition_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let race = |writer: u8| {
        let server = &server;
        async move {
            let upload = begin(server, "/lake/k").await;
            let etag = part(server, "/lake/k", &upload, 1, vec![writer; 8]).await;
            let call = server.post("/lake/k").query("uploadId", &upload).header("if-none-match", "*");
            call.body(list(&[(1, &etag)])).send().await.status.as_u16()
        }
    };
    let mut statuses = futures::future::join_all((0..8).map(race)).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test]
async fn parts_can_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/source", "0123456789").await;
    let upload = begin(&server, "/lake/k").await;
    let copy = |range: &str| {
        let call = server.put("/lake/k").query("partNumber", 1).query("uploadId", &upload);
        call.header("x-amz-copy-source", "lake/source").header("x-amz-copy-source-range", range).send()
    };
    copy("bytes=5-10").await.refused(400, "InvalidArgument");
    let etag = copy("bytes=2-4").await.ok().one("ETag");
    complete(&server, "/lake/k", &upload, &[(1, &etag)]).await.ok();
    assert_eq!(server.get("/lake/k").send().await.ok().text(), "234");
}

#[tokio::test]
async fn checksums_of_parts_are_combined() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let begin = |algorithm: &'static str, kind: &'static str| {
        let call = server.post("/lake/k").query("uploads", "").header("x-amz-checksum-algorithm", algorithm);
        call.header("x-amz-checksum-type", kind).send()
    };
    begin("SHA256", "FULL_OBJECT").await.refused(400, "InvalidRequest");
    begin("CRC64NVME", "COMPOSITE").await.refused(400, "InvalidRequest");

    let upload = begin("CRC32", "FULL_OBJECT").await.ok().one("UploadId");
    let etag = part(&server, "/lake/k", &upload, 1, b"123456789".to_vec()).await;
    let wrong = server.post("/lake/k").query("uploadId", &upload).header("x-amz-checksum-crc32", "AAAAAA==");
    wrong.body(list(&[(1, &etag)])).send().await.refused(400, "BadDigest");
    let done = complete(&server, "/lake/k", &upload, &[(1, &etag)]).await.ok();
    assert_eq!((done.one("ChecksumCRC32"), done.one("ChecksumType")), ("y/Q5Jg==".into(), "FULL_OBJECT".into()));

    let upload = begin("CRC32", "COMPOSITE").await.ok().one("UploadId");
    let etag = part(&server, "/lake/k", &upload, 1, b"123456789".to_vec()).await;
    let done = complete(&server, "/lake/k", &upload, &[(1, &etag)]).await.ok();
    assert!(done.one("ChecksumCRC32").ends_with("-1") && done.one("ChecksumType") == "COMPOSITE", "{}", done.text());
}

#[tokio::test]
async fn uploads_are_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let mut expected = Vec::new();
    for key in ["a", "b", "b", "c/d"] {
        expected.push((key.to_owned(), begin(&server, &format!("/lake/{key}")).await));
    }
    expected.sort();
    let (mut seen, mut key, mut id) = (Vec::new(), String::new(), String::new());
    loop {
        let call = server.get("/lake").query("uploads", "").query("max-uploads", 1);
        let page = call.query("key-marker", &key).query("upload-id-marker", &id).send().await.ok();
        seen.extend(page.all("Key").into_iter().zip(page.all("UploadId")));
        if page.one("IsTruncated") == "false" {
            break;
        }
        (key, id) = (page.one("NextKeyMarker"), page.one("NextUploadIdMarker"));
    }
    assert_eq!(seen, expected);
    let grouped = server.get("/lake").query("uploads", "").query("delimiter", "/").send().await.ok();
    assert_eq!(grouped.all("Key"), ["a", "b", "b"]);
    assert!(grouped.text().contains("<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>"), "{}", grouped.text());
}

#[tokio::test]
async fn completed_by_many_at_once_it_is_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    for round in 0..10 {
        let key = format!("/lake/{round}");
        let upload = begin(&server, &key).await;
        let etag = part(&server, &key, &upload, 1, vec![b'a'; 1000]).await;
        let parts = [(1, etag.as_str())];
        let all = (0..8).map(|_| complete(&server, &key, &upload, &parts));
        for answer in futures::future::join_all(all).await {
            assert!(answer.ok().one("ETag").ends_with("-1\""), "everybody is told of the same object");
        }
        let late = complete(&server, &key, &upload, &parts).await.ok();
        assert_eq!(server.head(&key).send().await.ok().header("etag"), late.one("ETag"));
    }
}
