//! S3 under kills: every acknowledged object has its bytes, and a key that was written on a condition one winner.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use pinfra_aws::Clients;

use super::records::expect_no_answer;
use super::{Load, bytes_of, origin};

const BUCKET: &str = "killed-lake";
/// Keys that one writer alone writes, again and again.
const OWN_KEYS: u64 = 5;
const MOST_BYTES: u64 = 60_000;
/// A counter that all raise by compare and swap; its bytes are as small as a write's can be.
const COUNTER: &str = "counter";

/// The key that all writers try to be first at now.
pub(super) type Target = Arc<AtomicU64>;

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Won,
    Lost,
    /// It never came.
    None,
}

/// The writes to a key that are not known to be replaced, by number.
#[derive(Debug, Default)]
struct Own {
    acknowledged: Option<u64>,
    /// Sent after it, and not answered.
    perhaps: Vec<u64>,
}

/// What one writer saw.
#[derive(Default)]
pub(super) struct Outcomes {
    writer: usize,
    own: HashMap<String, Own>,
    /// By common key: the number of its only attempt, and the answer.
    once: HashMap<u64, (u64, Answer)>,
    /// The ETags that it replaced at the counter, and how often it does not know.
    swapped: Vec<String>,
    perhaps_swapped: u64,
}

pub(super) async fn prepare(clients: &Clients) {
    clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    put(&clients.s3, COUNTER, b"0".to_vec()).send().await.unwrap();
}

fn put(s3: &Client, key: &str, body: Vec<u8>) -> PutObjectFluentBuilder {
    s3.put_object().bucket(BUCKET).key(key).body(body.into())
}

fn once_key(target: u64) -> String {
    format!("once/{target:06}")
}

/// One client: an object of its own, one that only the first may make, and one more on the counter, in turn.
pub(super) async fn write(clients: Clients, writer: usize, mut load: Load, target: Target) -> Outcomes {
    let s3 = Client::from_conf(clients.s3.config().to_builder().retry_config(RetryConfig::disabled()).build());
    let mut outcomes = Outcomes { writer, ..Outcomes::default() };
    for number in 0.. {
        if !load.goes_on().await {
            break;
        }
        let answer = match number % 3 {
            0 => put_own(&s3, number, &mut outcomes).await,
            1 => put_once(&s3, number, &target, &mut outcomes).await,
            _ => raise_counter(&s3, number, &mut outcomes).await,
        };
        if answer != Answer::None {
            load.acknowledged();
        }
    }
    outcomes
}

async fn put_own(s3: &Client, number: u64, outcomes: &mut Outcomes) -> Answer {
    let key = format!("own/{}/{}", outcomes.writer, number / 3 % OWN_KEYS);
    let answer = answer_of(&put(s3, &key, bytes_of(outcomes.writer, number, MOST_BYTES)).send().await);
    assert_ne!(answer, Answer::Lost, "it had no condition");
    let own = outcomes.own.entry(key).or_default();
    match answer {
        // Whatever was sent before has happened before, or never will.
        Answer::Won => *own = Own { acknowledged: Some(number), perhaps: Vec::new() },
        _ => own.perhaps.push(number),
    }
    answer
}

async fn put_once(s3: &Client, number: u64, target: &Target, outcomes: &mut Outcomes) -> Answer {
    let now = target.load(Ordering::Relaxed);
    let body = bytes_of(outcomes.writer, number, MOST_BYTES);
    let answer = answer_of(&put(s3, &once_key(now), body).if_none_match("*").send().await);
    // Those who have come as far as this one try it too; then all go on to the next.
    let _another_was_faster = target.compare_exchange(now, now + 1, Ordering::Relaxed, Ordering::Relaxed);
    let earlier = outcomes.once.insert(now, (number, answer));
    assert_eq!(earlier, None);
    answer
}

async fn raise_counter(s3: &Client, number: u64, outcomes: &mut Outcomes) -> Answer {
    let got = match s3.get_object().bucket(BUCKET).key(COUNTER).send().await {
        Ok(got) => got,
        Err(error) => {
            expect_no_answer(&error);
            return Answer::None;
        }
    };
    let etag = got.e_tag.unwrap();
    // A body may break off with the server.
    let Ok(body) = got.body.collect().await else { return Answer::None };
    let text = String::from_utf8(body.to_vec()).unwrap();
    let count: u64 = text.split(' ').next().unwrap().parse().unwrap();
    // With its origin in it no two values have the same ETag.
    let next = format!("{} {} {number}", count + 1, outcomes.writer).into_bytes();
    let answer = answer_of(&put(s3, COUNTER, next).if_match(&etag).send().await);
    match answer {
        Answer::Won => outcomes.swapped.push(etag),
        Answer::None => outcomes.perhaps_swapped += 1,
        Answer::Lost => {}
    }
    answer
}

fn answer_of<T, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    put: &Result<T, SdkError<E, R>>,
) -> Answer {
    let Err(error) = put else { return Answer::Won };
    let Some(answered) = error.as_service_error() else {
        expect_no_answer(error);
        return Answer::None;
    };
    assert!(matches!(answered.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")), "{answered:?}");
    Answer::Lost
}

/// Reads everything back and compares.
pub(super) async fn judge(clients: &Clients, outcomes: &[Outcomes]) {
    let mut objects = all_objects(&clients.s3).await;
    for one in outcomes {
        for (key, own) in &one.own {
            let found = objects.remove(key).map(|bytes| origin(&bytes, MOST_BYTES));
            let expected = match found {
                Some((writer, number)) => {
                    writer == one.writer && (own.acknowledged == Some(number) || own.perhaps.contains(&number))
                }
                None => own.acknowledged.is_none(),
            };
            assert!(expected, "{key} of writer {}: {own:?}, found {found:?}", one.writer);
        }
    }
    let counter = String::from_utf8(objects.remove(COUNTER).unwrap()).unwrap();
    judge_counter(&counter, outcomes);
    judge_once(&mut objects, outcomes);
    assert!(objects.is_empty(), "nobody wrote {:?}", objects.keys());
}

/// What a writer's numbered try at a key was answered.
type Attempt = ((usize, u64), Answer);

fn judge_once(objects: &mut BTreeMap<String, Vec<u8>>, outcomes: &[Outcomes]) {
    let mut attempts: BTreeMap<u64, Vec<Attempt>> = BTreeMap::new();
    for one in outcomes {
        for (target, (number, answer)) in &one.once {
            attempts.entry(*target).or_default().push(((one.writer, *number), *answer));
        }
    }
    assert!(attempts.values().any(|of_key| of_key.len() > 1), "nobody ever had a rival");
    for (target, of_key) in attempts {
        let with = |wanted: Answer| of_key.iter().filter(move |(_, answer)| *answer == wanted).map(|(name, _)| *name);
        let winners: Vec<_> = with(Answer::Won).collect();
        let found = objects.remove(&once_key(target)).map(|bytes| origin(&bytes, MOST_BYTES));
        match winners[..] {
            [winner] => assert_eq!(found, Some(winner), "{of_key:?}"),
            // A loser lost to somebody; without a winner that was one who was not told.
            [] => {
                assert!(found.is_some() || with(Answer::Lost).next().is_none(), "{of_key:?}");
                assert!(found.is_none_or(|found| with(Answer::None).any(|name| name == found)), "{of_key:?}");
            }
            _ => panic!("several winners: {of_key:?}"),
        }
    }
}

fn judge_counter(counter: &str, outcomes: &[Outcomes]) {
    let count: usize = counter.split(' ').next().unwrap().parse().unwrap();
    let mut replaced: Vec<&String> = outcomes.iter().flat_map(|one| &one.swapped).collect();
    let won = replaced.len();
    replaced.sort_unstable();
    replaced.dedup();
    assert_eq!(replaced.len(), won, "two have replaced the same value");
    let perhaps: u64 = outcomes.iter().map(|one| one.perhaps_swapped).sum();
    let most = won + usize::try_from(perhaps).unwrap();
    assert!((won..=most).contains(&count), "{won} were acknowledged and {perhaps} not answered, but it is {count}");
}

async fn all_objects(s3: &Client) -> BTreeMap<String, Vec<u8>> {
    let mut objects = BTreeMap::new();
    let mut pages = s3.list_objects_v2().bucket(BUCKET).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents.unwrap_or_default() {
            let (key, size) = (object.key.unwrap(), object.size.unwrap());
            let got = s3.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
            let bytes = got.body.collect().await.unwrap().to_vec();
            assert_eq!(i64::try_from(bytes.len()).unwrap(), size, "{key}");
            objects.insert(key, bytes);
        }
    }
    objects
}
