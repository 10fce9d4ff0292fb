//! Versioning: a random history against a model of it.

use crate::client::Server;

async fn set_versioning(server: &Server, status: &str) {
    let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    server.put("/lake").query("versioning", "").body(body).send().await.ok();
}

/// One version of the model; `body` is `None` for a delete marker.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    id: String,
    body: Option<String>,
}

/// What S3 does, written down a second time: newest version first.
#[derive(Default)]
struct Model {
    versions: Vec<Version>,
}

impl Model {
    fn add(&mut self, id: &str, body: Option<String>) {
        let id = if id.is_empty() { "null" } else { id };
        if id == "null" {
            self.versions.retain(|version| version.id != "null");
        }
        self.versions.insert(0, Version { id: id.to_owned(), body });
    }
}

#[tokio::test]
async fn a_random_history_is_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let mut model = Model::default();
    let mut state = "Off";
    // A fixed sequence that looks random (a linear congruential generator), so a failure can be run again.
    let mut seed = 42_u64;
    let mut next = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for step in 0..120 {
        match next(10) {
            0 => {
                state = if next(2) == 0 { "Enabled" } else { "Suspended" };
                set_versioning(&server, state).await;
            }
            1..=4 => {
                let body = format!("body {step}");
                let put = server.put("/lake/k").body(body.clone()).send().await.ok();
                assert_eq!(put.headers.contains_key("x-amz-version-id"), state != "Off");
                model.add(put.header("x-amz-version-id"), Some(body));
            }
            5..=6 => {
                let deleted = server.delete("/lake/k").send().await.ok();
                if state == "Off" {
                    model.versions.clear();
                } else {
                    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
                    model.add(deleted.header("x-amz-version-id"), None);
                }
            }
            7 if !model.versions.is_empty() => {
                let version = model.versions.remove(next(model.versions.len() as u64) as usize);
                let deleted = server.delete("/lake/k").query("versionId", &version.id).send().await.ok();
                assert_eq!(deleted.header("x-amz-delete-marker") == "true", version.body.is_none());
            }
            _ => check(&server, &model).await,
        }
    }
    check(&server, &model).await;
}

async fn check(server: &Server, model: &Model) {
    let current = server.get("/lake/k").send().await;
    match model.versions.first() {
        Some(Version { body: Some(body), .. }) => assert_eq!(&current.ok().text(), body),
        Some(_) => {
            current.refused(404, "NoSuchKey");
            assert_eq!(current.header("x-amz-delete-marker"), "true");
        }
        None => current.refused(404, "NoSuchKey"),
    }
    for version in &model.versions {
        let got = server.get("/lake/k").query("versionId", &version.id).send().await;
        match &version.body {
            Some(body) => assert_eq!(&got.ok().text(), body),
            None => got.refused(405, "MethodNotAllowed"),
        }
    }
    let expected: Vec<&str> = model.versions.iter().map(|version| version.id.as_str()).collect();
    assert_eq!(listed(server, 1).await, expected);
    // A page of several groups versions and markers, so only what is on it can be compared.
    let (mut all, mut sorted) = (listed(server, 3).await, expected);
    all.sort();
    sorted.sort_unstable();
    assert_eq!(all, sorted);
}

/// Version ids over all pages.
async fn listed(server: &Server, limit: usize) -> Vec<String> {
    let (mut ids, mut key, mut version) = (Vec::new(), String::new(), String::new());
    loop {
        let mut call = server.get("/lake").query("versions", "").query("max-keys", limit);
        if !key.is_empty() {
            call = call.query("key-marker", &key).query("version-id-marker", &version);
        }
        let page = call.send().await.ok();
        let found = page.all("VersionId");
        let has_latest = page.all("IsLatest").contains(&"true".to_owned());
        assert_eq!(has_latest, ids.is_empty() && !found.is_empty(), "only the first page has the current version");
        ids.extend(found);
        if page.one("IsTruncated") != "true" {
            return ids;
        }
        (key, version) = (page.one("NextKeyMarker"), page.one("NextVersionIdMarker"));
    }
}

#[tokio::test]
async fn versions_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    set_versioning(&server, "Enabled").await;
    let id = server.object("/lake/k", "1").await.header("x-amz-version-id").to_owned();
    let get = |version: &str| server.get("/lake/k").query("versionId", version).send();
    get("nonsense").await.refused(400, "InvalidArgument");
    get("null").await.refused(404, "NoSuchVersion");
    get(&"0".repeat(32)).await.refused(404, "NoSuchVersion");
    get(&id).await.ok();
    server.get("/lake/other").query("versionId", &id).send().await.refused(404, "NoSuchVersion");
    server
        .get("/lake")
        .query("versions", "")
        .query("version-id-marker", &id)
        .send()
        .await
        .refused(400, "InvalidArgument");
}

#[tokio::test]
async fn tags_belong_to_a_version() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    set_versioning(&server, "Enabled").await;
    let first = server.object("/lake/k", "1").await.header("x-amz-version-id").to_owned();
    server.object("/lake/k", "2").await;
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    server.put("/lake/k").query("tagging", "").query("versionId", &first).body(tags).send().await.ok();
    let get = || server.get("/lake/k").query("tagging", "");
    assert_eq!(get().send().await.ok().all("Key"), [""; 0]);
    assert_eq!(get().query("versionId", &first).send().await.ok().all("Key"), ["a"]);
    server.delete("/lake/k").query("tagging", "").query("versionId", &first).send().await.ok();
    assert_eq!(get().query("versionId", &first).send().await.ok().all("Key"), [""; 0]);
    server.get("/lake/none").query("tagging", "").send().await.refused(404, "NoSuchKey");
}

#[tokio::test]
async fn many_objects_are_deleted_in_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    for key in ["a", "b+c", "d"] {
        server.object(&format!("/lake/{key}"), "x").await;
    }
    let delete =
        |objects: &str| server.post("/lake").query("delete", "").body(format!("<Delete>{objects}</Delete>")).send();
    let answer = delete("<Object><Key>a</Key></Object><Object><Key>b+c</Key></Object><Object><Key>none</Key></Object><Object><Key>d</Key><VersionId>bad</VersionId></Object>").await.ok();
    assert_eq!(answer.text().matches("<Deleted>").count(), 3);
    assert_eq!(answer.one("Code"), "InvalidArgument");
    assert_eq!(server.get("/lake").send().await.all("Key"), ["d"]);
    let quiet = delete("<Quiet>true</Quiet><Object><Key>d</Key></Object>").await.ok();
    assert_eq!(quiet.all("Key"), [""; 0]);
    delete("").await.refused(400, "MalformedXML");
    let many: String = (0..1001).map(|number| format!("<Object><Key>{number}</Key></Object>")).collect();
    delete(&many).await.refused(400, "MalformedXML");
}
