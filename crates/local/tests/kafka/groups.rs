//! Consumer groups.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::FutureProducer;

use crate::support::{Brokers, PATIENCE, send, until};

fn member(brokers: &Brokers, more: &[(&str, &str)]) -> BaseConsumer {
    let mut config = brokers.client(&[
        ("group.id", "g"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("heartbeat.interval.ms", "200"),
    ]);
    for (name, value) in more {
        config.set(*name, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&["t"]).unwrap();
    consumer
}

/// Lets members do what they have to, and returns how many partitions each has.
fn assigned(members: &[&BaseConsumer], seen: &mut BTreeSet<String>) -> Vec<usize> {
    for member in members {
        while let Some(message) = member.poll(Duration::from_millis(20)) {
            seen.insert(String::from_utf8_lossy(message.unwrap().payload().unwrap()).into_owned());
        }
    }
    members.iter().map(|member| member.assignment().unwrap().count()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_partitions_and_one_takes_over() {
    let brokers = Brokers::start(2).await;
    brokers.topic("t", 4, &[]);
    let producer: FutureProducer = brokers.client(&[]).create().unwrap();
    let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    send(&producer, "t", &values).await;
    let mut seen = BTreeSet::new();
    let first = member(&brokers, &[]);
    until("the first has all", || assigned(&[&first], &mut seen) == [4]).await;
    let second = member(&brokers, &[("client.id", "second")]);
    until("they share", || assigned(&[&first, &second], &mut seen) == [2, 2]).await;
    let group = &first.fetch_group_list(Some("g"), PATIENCE).unwrap();
    assert_eq!((group.groups()[0].state(), group.groups()[0].members().len()), ("Stable", 2));
    drop(first);
    until("the second has all", || assigned(&[&second], &mut seen) == [4]).await;
    let position = || -> i64 {
        let position = second.position().unwrap();
        position.elements().iter().filter_map(|element| element.offset().to_raw()).filter(|offset| *offset > 0).sum()
    };
    until("all was read", || {
        assigned(&[&second], &mut seen);
        seen.len() == values.len() && position() == 100
    })
    .await;
    second.commit(&second.position().unwrap(), CommitMode::Sync).unwrap();
    let committed: i64 = (0..4).filter_map(|partition| brokers.cluster.committed("g", "t", partition)).sum();
    assert_eq!(committed, 100);
    drop(second);
    // Nothing is read again.
    let third = member(&brokers, &[]);
    let mut again = BTreeSet::new();
    until("the third has all", || assigned(&[&third], &mut again) == [4]).await;
    assert_eq!(again.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_comes_back_without_a_rebalance() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 2, &[]);
    let mut seen = BTreeSet::new();
    let stays = member(&brokers, &[("group.instance.id", "stays")]);
    let goes = member(&brokers, &[("group.instance.id", "goes")]);
    until("they share", || assigned(&[&stays, &goes], &mut seen) == [1, 1]).await;
    let had = stays.assignment().unwrap();
    drop(goes);
    let back = member(&brokers, &[("group.instance.id", "goes")]);
    until("it has its partition again", || assigned(&[&stays, &back], &mut seen) == [1, 1]).await;
    assert_eq!(stays.assignment().unwrap(), had);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_silent_is_left_out() {
    let brokers = Brokers::with(1, &[("group.min.session.timeout.ms", "100")]).await;
    brokers.topic("t", 2, &[]);
    let mut seen = BTreeSet::new();
    let alive = member(&brokers, &[("session.timeout.ms", "1000")]);
    let dies = member(&brokers, &[("session.timeout.ms", "1000"), ("group.instance.id", "dies")]);
    until("they share", || assigned(&[&alive, &dies], &mut seen) == [1, 1]).await;
    // A static member does not say that it leaves.
    drop(dies);
    until("the other has all", || assigned(&[&alive], &mut seen) == [2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_in_this_process_is_shown_as_others_are() {
    let brokers = Brokers::start(1).await;
    brokers.topic("t", 2, &[]);
    let consumer: BaseConsumer = brokers.client(&[("group.id", "other")]).create().unwrap();
    let member = brokers.cluster.attend("connect-x", "task-0", &[("t".to_owned(), 0), ("t".to_owned(), 1)]);
    brokers.cluster.commit("connect-x", &[("t".to_owned(), 0, 7)]).unwrap();
    let list = consumer.fetch_group_list(Some("connect-x"), PATIENCE).unwrap();
    let group = &list.groups()[0];
    assert_eq!((group.state(), group.members().len(), group.members()[0].client_id()), ("Stable", 1, "task-0"));
    assert_eq!(group.members()[0].id(), member.member_id());
    assert_eq!(group.members()[0].assignment().unwrap()[..2], [0, 0]);
    drop(member);
    let list = consumer.fetch_group_list(Some("connect-x"), PATIENCE).unwrap();
    assert_eq!(list.groups()[0].members().len(), 0);
}
