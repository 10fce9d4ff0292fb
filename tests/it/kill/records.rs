//! Kinesis under kills: every acknowledged record is in its shard, under its sequence number, in order, once.

use std::collections::{HashMap, HashSet};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use pinfra_aws::Clients;

use super::{Load, bytes_of, origin};

const STREAMS: usize = 4;
const SHARDS: i32 = 2;
/// Records of one PutRecords.
const BATCH: u64 = 10;
const MOST_BYTES: u64 = 2_000;

/// Writer and number: what tells records apart.
type Name = (usize, u64);

/// Stream, shard and sequence number.
type Place = (String, String, String);

/// What became of the records that were sent.
#[derive(Default)]
pub(super) struct Written {
    acknowledged: HashMap<Name, Place>,
    /// The answer never came.
    unanswered: HashSet<Name>,
}

impl Written {
    pub(super) fn add(&mut self, other: Written) {
        self.acknowledged.extend(other.acknowledged);
        self.unanswered.extend(other.unanswered);
    }
}

fn stream_of(number: usize) -> String {
    format!("kill-{}", number % STREAMS)
}

pub(super) async fn prepare(clients: &Clients) {
    for number in 0..STREAMS {
        clients.kinesis.create_stream().stream_name(stream_of(number)).shard_count(SHARDS).send().await.unwrap();
    }
}

/// One client: single records and batches in turn, each once.
pub(super) async fn write(clients: Clients, writer: usize, mut load: Load) -> Written {
    let kinesis =
        Client::from_conf(clients.kinesis.config().to_builder().retry_config(RetryConfig::disabled()).build());
    let (stream, mut written, mut number) = (stream_of(writer), Written::default(), 0);
    while load.goes_on().await {
        let names: Vec<Name> = (number..number + BATCH).map(|number| (writer, number)).collect();
        let answered = if (number / BATCH).is_multiple_of(2) {
            put_records(&kinesis, &stream, &names, &mut written).await
        } else {
            put_singly(&kinesis, &stream, &names, &mut written).await
        };
        number += BATCH;
        if answered {
            load.acknowledged();
        }
    }
    written
}

/// Ten keys a writer, so that it writes to all shards.
fn key_of((writer, number): Name) -> String {
    format!("{writer}/{}", number % 10)
}

async fn put_singly(kinesis: &Client, stream: &str, names: &[Name], written: &mut Written) -> bool {
    for name in names {
        let data = Blob::new(bytes_of(name.0, name.1, MOST_BYTES));
        match kinesis.put_record().stream_name(stream).partition_key(key_of(*name)).data(data).send().await {
            Ok(put) => {
                let place = (stream.to_owned(), put.shard_id, put.sequence_number);
                written.acknowledged.insert(*name, place);
            }
            Err(error) => {
                expect_no_answer(&error);
                written.unanswered.insert(*name);
                return false;
            }
        }
    }
    true
}

async fn put_records(kinesis: &Client, stream: &str, names: &[Name], written: &mut Written) -> bool {
    let mut request = kinesis.put_records().stream_name(stream);
    for name in names {
        let data = Blob::new(bytes_of(name.0, name.1, MOST_BYTES));
        let entry = PutRecordsRequestEntry::builder().partition_key(key_of(*name)).data(data);
        request = request.records(entry.build().unwrap());
    }
    match request.send().await {
        Ok(put) => {
            assert_eq!(put.failed_record_count, Some(0));
            for (name, result) in names.iter().zip(put.records) {
                let place = (stream.to_owned(), result.shard_id.unwrap(), result.sequence_number.unwrap());
                written.acknowledged.insert(*name, place);
            }
            true
        }
        Err(error) => {
            expect_no_answer(&error);
            written.unanswered.extend(names);
            false
        }
    }
}

/// A server that is killed answers nothing; an answer that is an error would be a bug.
pub(super) fn expect_no_answer<E: std::fmt::Debug, R: std::fmt::Debug>(error: &SdkError<E, R>) {
    let none = matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_) | SdkError::TimeoutError(_));
    assert!(none, "{error:?}");
}

/// Reads everything back and compares.
pub(super) async fn judge(clients: &Clients, mut written: Written) {
    assert!(!written.acknowledged.is_empty());
    for number in 0..STREAMS {
        let stream = stream_of(number);
        let shards = clients.kinesis.list_shards().stream_name(&stream).send().await.unwrap().shards.unwrap();
        assert_eq!(shards.len(), usize::try_from(SHARDS).unwrap());
        for shard in shards {
            judge_shard(&clients.kinesis, &stream, &shard.shard_id, &mut written).await;
        }
    }
    assert!(written.acknowledged.is_empty(), "acknowledged and lost: {:?}", written.acknowledged);
}

async fn judge_shard(kinesis: &Client, stream: &str, shard: &str, written: &mut Written) {
    let (mut last_sequence, mut last_of_writer) = (String::new(), HashMap::new());
    for (sequence, data) in read(kinesis, stream, shard).await {
        let name = origin(&data, MOST_BYTES);
        assert!(last_sequence < sequence, "sequence numbers of 56 digits sort as text");
        last_sequence.clone_from(&sequence);
        let before = last_of_writer.insert(name.0, name.1);
        assert!(before < Some(name.1), "{name:?} comes after {before:?}");
        match written.acknowledged.remove(&name) {
            Some(place) => assert_eq!(place, (stream.to_owned(), shard.to_owned(), sequence), "{name:?}"),
            None => assert!(written.unanswered.remove(&name), "{name:?} was not sent, or is there twice"),
        }
    }
}

/// All records of a shard: sequence number and data.
async fn read(kinesis: &Client, stream: &str, shard: &str) -> Vec<(String, Vec<u8>)> {
    let oldest = ShardIteratorType::TrimHorizon;
    let asked = kinesis.get_shard_iterator().stream_name(stream).shard_id(shard).shard_iterator_type(oldest);
    let mut iterator = asked.send().await.unwrap().shard_iterator.unwrap();
    let mut all = Vec::new();
    loop {
        let page = kinesis.get_records().shard_iterator(iterator).send().await.unwrap();
        all.extend(page.records.into_iter().map(|record| (record.sequence_number, record.data.into_inner())));
        if page.millis_behind_latest == Some(0) {
            return all;
        }
        iterator = page.next_shard_iterator.unwrap();
    }
}
