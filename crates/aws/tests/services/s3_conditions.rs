//! S3: sixteen clients that write on a condition.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use futures::future::join_all;

use crate::cloud::{Cloud, code};

const CLIENTS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_clients_that_create_an_object_one_wins() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    for round in 0..5 {
        let key = format!("_delta_log/{round:020}.json");
        let writers = (0..CLIENTS).map(|writer| {
            let put = s3.put_object().bucket("lake").key(&key).if_none_match("*");
            tokio::spawn(put.body(writer.to_string().into_bytes().into()).send())
        });
        let mut winners = Vec::new();
        for (writer, answer) in join_all(writers).await.into_iter().enumerate() {
            match answer.unwrap() {
                Ok(_) => winners.push(writer.to_string()),
                refused => assert_eq!(code(refused), "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let got = s3.get_object().bucket("lake").key(&key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), winners[0].as_bytes());
    }
}

/// Raises the counter once, as often as it takes; returns what it was raised to.
async fn raise(s3: Client) -> u32 {
    loop {
        let got = s3.get_object().bucket("lake").key("counter").send().await.unwrap();
        let etag = got.e_tag.unwrap();
        let count = String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap();
        let next = count.parse::<u32>().unwrap() + 1;
        let put = s3.put_object().bucket("lake").key("counter").if_match(etag);
        match put.body(next.to_string().into_bytes().into()).send().await {
            Ok(_) => return next,
            refused => assert_eq!(code(refused), "PreconditionFailed"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_by_compare_and_swap_is_lost() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    s3.put_object().bucket("lake").key("counter").body(b"0".to_vec().into()).send().await.unwrap();
    let raised = join_all((0..CLIENTS).map(|_| tokio::spawn(raise(s3.clone())))).await;
    let raised: BTreeSet<u32> = raised.into_iter().map(Result::unwrap).collect();
    assert_eq!(raised, (1..=16).collect());
}

#[tokio::test]
async fn conditions_of_reads_and_writes() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let absent = s3.put_object().bucket("lake").key("k").if_match("\"0\"").send().await;
    assert_eq!(code(absent), "NoSuchKey");
    let put = s3.put_object().bucket("lake").key("k").body(b"x".to_vec().into()).send().await.unwrap();
    let etag = put.e_tag.unwrap();
    assert_eq!(code(s3.get_object().bucket("lake").key("k").if_match("\"0\"").send().await), "PreconditionFailed");
    let unchanged = s3.get_object().bucket("lake").key("k").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().map(|answer| answer.status().as_u16()), Some(304));
    s3.get_object().bucket("lake").key("k").if_match(&etag).send().await.unwrap();
    assert_eq!(code(s3.delete_object().bucket("lake").key("k").if_match("\"0\"").send().await), "PreconditionFailed");
    s3.delete_object().bucket("lake").key("k").if_match(&etag).send().await.unwrap();
}
