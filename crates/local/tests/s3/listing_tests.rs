//! Listings on the wire; their walk over the index has property tests of its own beside the code.

use crate::client::Server;

#[tokio::test]
async fn pages_of_either_version_join_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let keys = ["a", "b/1", "b/2", "b/3", "c+d", "e/f/g", "h", "ü"];
    for key in keys {
        server.object(&format!("/lake/{key}"), key).await;
    }
    for limit in 1..=9 {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let mut call = server.get("/lake").query("list-type", 2).query("max-keys", limit);
            if !token.is_empty() {
                call = call.query("continuation-token", &token);
            }
            let page = call.send().await.ok();
            assert_eq!(page.one("KeyCount"), page.all("Key").len().to_string());
            seen.extend(page.all("Key"));
            token = page.one("NextContinuationToken");
            assert_eq!(page.one("IsTruncated"), (!token.is_empty()).to_string());
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, keys, "v2 with {limit} a page");

        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let call = server.get("/lake").query("max-keys", limit).query("delimiter", "/").query("marker", &marker);
            let page = call.send().await.ok();
            // Prefixes of groups come after `CommonPrefixes`; the first `Prefix` is the one that was asked for.
            let mut names: Vec<String> =
                page.all("Key").into_iter().chain(page.all("Prefix").into_iter().skip(1)).collect();
            names.sort();
            seen.extend(names);
            marker = page.one("NextMarker");
            if page.one("IsTruncated") == "false" {
                break;
            }
        }
        assert_eq!(seen, ["a", "b/", "c+d", "e/", "h", "ü"], "v1 with {limit} a page");
    }
}

#[tokio::test]
async fn names_are_encoded_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/topics/pin/pin+0+0000000000.json", "{}").await;
    let list = || server.get("/lake").query("list-type", 2).query("prefix", "topics/pin/pin+");
    assert_eq!(list().send().await.ok().all("Key"), ["topics/pin/pin+0+0000000000.json"]);
    let encoded = list().query("encoding-type", "url").send().await.ok();
    assert_eq!(encoded.all("Key"), ["topics/pin/pin%2B0%2B0000000000.json"]);
    assert_eq!((encoded.one("EncodingType"), encoded.one("Prefix")), ("url".into(), "topics/pin/pin%2B".into()));
    list().query("encoding-type", "rot13").send().await.refused(400, "InvalidArgument");
    list().query("continuation-token", "made up").send().await.refused(400, "InvalidArgument");
    server.get("/lake").query("max-keys", -1).send().await.refused(400, "InvalidArgument");
    let none = server.get("/lake").query("list-type", 2).query("max-keys", 0).send().await.ok();
    assert_eq!((none.one("KeyCount"), none.one("IsTruncated")), ("0".into(), "false".into()));
}

#[tokio::test]
async fn start_after_begins_behind_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    for key in ["_delta_log/0.json", "_delta_log/1.json", "_delta_log/2.json", "part"] {
        server.object(&format!("/lake/{key}"), "x").await;
    }
    let list = server
        .get("/lake")
        .query("list-type", 2)
        .query("prefix", "_delta_log/")
        .query("start-after", "_delta_log/0.json");
    assert_eq!(list.send().await.ok().all("Key"), ["_delta_log/1.json", "_delta_log/2.json"]);
}
