//! Conditional requests, and what they are for: several writers at once.

use crate::client::{Answer, Server};

#[tokio::test]
async fn of_sixteen_creators_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    for round in 0..10 {
        let key = format!("/lake/log/{round:020}.json");
        let writers =
            (0..16).map(|writer| server.put(&key).header("if-none-match", "*").body(format!("writer {writer}")).send());
        let answers = futures::future::join_all(writers).await;
        let winners: Vec<usize> = (0..16).filter(|writer| answers[*writer].status == 200).collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let lost = answers.iter().filter(|answer| answer.status != 200);
        lost.for_each(|answer: &Answer| answer.refused(412, "PreconditionFailed"));
        assert_eq!(server.get(&key).send().await.text(), format!("writer {}", winners[0]));
    }
}

#[tokio::test]
async fn compare_and_swap_counts_every_increment() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.object("/lake/counter", "0").await;
    let increment = || async {
        let mut done = 0;
        while done < 5 {
            let got = server.get("/lake/counter").send().await.ok();
            let next = got.text().parse::<u32>().unwrap() + 1;
            let put = server.put("/lake/counter").header("if-match", got.header("etag")).body(next.to_string()).send();
            match put.await.status.as_u16() {
                200 => done += 1,
                status => assert_eq!(status, 412),
            }
        }
    };
    futures::future::join_all((0..8).map(|_| increment())).await;
    assert_eq!(server.get("/lake/counter").send().await.text(), "40");
}

#[tokio::test]
async fn readers_see_whole_objects_while_writers_replace_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let body = |letter: char| letter.to_string().repeat(300_000);
    server.object("/lake/k", &body('a')).await;
    let write = async {
        for letter in ('a'..='z').cycle().take(20) {
            server.object("/lake/k", &body(letter)).await;
        }
    };
    let read = || async {
        for _ in 0..20 {
            let got = server.get("/lake/k").send().await.ok().text();
            let first = got.chars().next().unwrap();
            assert!(got == body(first));
        }
    };
    futures::future::join3(write, read(), read()).await;
}

#[tokio::test]
async fn reads_and_deletes_honour_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let etag = server.object("/lake/k", "x").await.header("etag").to_owned();
    let modified = server.head("/lake/k").send().await.header("last-modified").to_owned();
    let past = "Mon, 01 Jan 2024 00:00:00 GMT";

    let unchanged = server.get("/lake/k").header("if-none-match", &etag).send().await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), etag);
    assert_eq!(server.get("/lake/k").header("if-modified-since", &modified).send().await.status, 304);
    server.get("/lake/k").header("if-modified-since", past).send().await.ok();
    server.get("/lake/k").header("if-match", "\"other\"").send().await.refused(412, "PreconditionFailed");
    server.get("/lake/k").header("if-unmodified-since", past).send().await.refused(412, "PreconditionFailed");
    assert_eq!(server.head("/lake/k").header("if-match", "\"other\"").send().await.status, 412);

    server.put("/lake/k").header("if-none-match", &etag).body("y").send().await.refused(501, "NotImplemented");
    server.put("/lake/new").header("if-match", &etag).body("y").send().await.refused(404, "NoSuchKey");
    server.delete("/lake/k").header("if-match", "\"other\"").send().await.refused(412, "PreconditionFailed");
    server.delete("/lake/k").header("if-match", &etag).send().await.ok();
    server.get("/lake/k").send().await.refused(404, "NoSuchKey");
}
