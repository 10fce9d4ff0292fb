//! What survives: a restart, a kill, and lifecycle rules over days of the clock.

use std::path::Path;
use std::time::{Duration, Instant};

use pinfra_local::clock::Clock;

use crate::client::{Server, days, open};

fn files(folder: &Path) -> usize {
    let fans = std::fs::read_dir(folder.join("s3/blobs")).unwrap();
    fans.map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/kept", "kept").await;
    let upload = server.post("/lake/parts").query("uploads", "").send().await.ok().one("UploadId");
    server.put("/lake/parts").query("partNumber", 1).query("uploadId", &upload).body("part").send().await.ok();
    // Sixteen writers are cut off while they write: those that were answered count.
    let writers = (0..16).map(|writer| {
        let call = server.put(&format!("/lake/cut/{writer}")).body("x".repeat(300_000));
        async move { tokio::time::timeout(Duration::from_millis(30), call.send()).await.is_ok() }
    });
    let answered: Vec<bool> = futures::future::join_all(writers).await;
    server.kill().await;

    std::fs::write(folder.path().join("s3/blobs/ab/abandoned"), "left by a crash").unwrap();
    let server = Server::start(folder.path()).await;
    assert_eq!(server.get("/lake/kept").send().await.ok().text(), "kept");
    let parts = server.get("/lake/parts").query("uploadId", &upload).send().await.ok();
    assert_eq!(parts.all("PartNumber"), ["1"]);
    let listed = server.get("/lake").query("list-type", 2).query("prefix", "cut/").send().await.ok().all("Key");
    for (writer, answered) in answered.into_iter().enumerate() {
        let key = format!("cut/{writer}");
        assert!(!answered || listed.contains(&key), "{key} was answered and is gone");
    }
    for key in &listed {
        assert_eq!(server.get(&format!("/lake/{key}")).send().await.ok().body.len(), 300_000);
    }
    assert!(!folder.path().join("s3/blobs/ab/abandoned").exists());
    // A write that was cut off removes its file itself once it notices.
    let deadline = Instant::now() + Duration::from_secs(10);
    while files(folder.path()) != 2 + listed.len() {
        assert!(Instant::now() < deadline, "{} files for {} objects", files(folder.path()), listed.len());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_folder_is_free_after_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let first = open(folder.path(), &clock);
    let settings = pinfra_local::Settings::new(folder.path());
    let second =
        pinfra_local::services::s3::S3Front::open(folder.path(), clock.clone(), &settings, std::sync::Arc::new(Nobody));
    assert!(second.unwrap_err().to_string().contains("another local cloud"));
    drop(first);
    open(folder.path(), &clock);
}

struct Nobody;

impl pinfra_local::services::s3::Secrets for Nobody {
    fn secret_of(&self, _access_key: &str) -> Option<pinfra_local::services::s3::SecretOfKey> {
        None
    }
}

#[tokio::test]
async fn replaced_and_deleted_objects_leave_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/k", "1").await;
    server.object("/lake/k", "2").await;
    server.object("/lake/other", "3").await;
    assert_eq!(files(folder.path()), 2);
    server.put("/lake/k").header("if-none-match", "*").body("4").send().await.refused(412, "PreconditionFailed");
    server
        .put("/lake/k")
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .body("5")
        .send()
        .await
        .refused(400, "BadDigest");
    server.delete("/lake/k").send().await.ok();
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn lifecycle_rules_are_enforced_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let rules = "<LifecycleConfiguration><Rule><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>2</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    server.put("/lake").query("lifecycle", "").body(rules).send().await.ok();
    server.object("/lake/tmp/a", "a").await;
    server.object("/lake/keep/a", "a").await;
    server.post("/lake/tmp/upload").query("uploads", "").send().await.ok();
    let keys = || async { server.get("/lake").query("list-type", 2).send().await.ok().all("Key") };

    server.clock.advance(days(1));
    assert_eq!(keys().await, ["keep/a", "tmp/a"]);
    server.clock.advance(days(1));
    assert_eq!(server.get("/lake").query("uploads", "").send().await.ok().all("UploadId"), [""; 0]);
    assert_eq!(keys().await, ["keep/a", "tmp/a"]);
    server.object("/lake/tmp/b", "b").await;
    server.clock.advance(days(1));
    assert_eq!(keys().await, ["keep/a", "tmp/b"]);
    assert_eq!(files(folder.path()), 2);
}
