//! Records that cannot be written: counted off, logged, or sent to the dead-letter topic, as `errors.*` says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::kafka::{Cluster, NewRecord, Record};

use super::access::Access;
use super::config::{DeadLetters, Errors};
use super::fault::Fault;

/// What went wrong with a record.
pub(super) struct Failure<'a> {
    /// As Connect calls it: `VALUE_CONVERTER`, `KEY_CONVERTER`, `TASK_PUT`.
    pub(super) stage: &'static str,
    /// The class that was at work.
    pub(super) class: &'a str,
    pub(super) exception: &'a str,
    pub(super) message: &'a str,
}

/// Where a record came from.
pub(super) struct Origin<'a> {
    pub(super) connector: &'a str,
    pub(super) task: usize,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

/// Makes the dead-letter topic, if it is not there. Connect does it when a task starts.
pub(super) fn prepare(cluster: &Cluster, access: &Access, letters: &DeadLetters) -> Result<(), Fault> {
    access.topic("DescribeTopic", &letters.topic)?;
    access.topic("WriteData", &letters.topic)?;
    if cluster.topic(&letters.topic).is_some() {
        return Ok(());
    }
    access.topic("CreateTopic", &letters.topic)?;
    match cluster.create_topic(&letters.topic, 1, letters.replication, &BTreeMap::new()) {
        Err(refused) if refused.code != ResponseError::TopicAlreadyExists => {
            Err(Fault::configuration(format!("Could not initialize dead letter queue: {refused}")))
        }
        _ => Ok(()),
    }
}

/// Sends a record there as it came.
pub(super) fn send(
    cluster: &Cluster,
    letters: &DeadLetters,
    record: &Record,
    origin: &Origin<'_>,
    failure: &Failure<'_>,
) -> Result<(), Fault> {
    let mut headers = record.headers.clone();
    if letters.context {
        headers.extend(context(record, origin, failure));
    }
    let letter = NewRecord {
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
        timestamp_millis: Some(record.timestamp_millis).filter(|millis| *millis >= 0),
    };
    let sent = cluster.append(&letters.topic, None, &[letter]);
    sent.map(|_| ()).map_err(|refused| {
        let topic = &letters.topic;
        Fault::task(format!("Could not produce message to dead letter queue. topic={topic}: {refused}"))
    })
}

/// A line for the log of the connector. Contents stay out of it, unless `errors.log.include.messages` asks for them.
pub(super) fn line(errors: &Errors, record: &Record, origin: &Origin<'_>, failure: &Failure<'_>) -> String {
    let Origin { connector, task, topic, partition } = origin;
    let mut line = format!(
        "Error encountered in task {connector}-{task}. Executing stage '{}' with class '{}', where consumed record is \
         {{topic='{topic}', partition={partition}, offset={}, timestamp={}}}: {}",
        failure.stage, failure.class, record.offset, record.timestamp_millis, failure.message
    );
    if errors.log_has_messages {
        let shown = |bytes: &Option<Bytes>| {
            bytes.as_ref().map_or_else(|| "null".to_owned(), |bytes| format!("{:?}", String::from_utf8_lossy(bytes)))
        };
        let _infallible = write!(line, " key={} value={}", shown(&record.key), shown(&record.value));
    }
    line
}

fn context(record: &Record, origin: &Origin<'_>, failure: &Failure<'_>) -> Vec<(String, Option<Bytes>)> {
    let headers = [
        ("topic", origin.topic.to_owned()),
        ("partition", origin.partition.to_string()),
        ("offset", record.offset.to_string()),
        ("connector.name", origin.connector.to_owned()),
        ("task.id", origin.task.to_string()),
        ("stage", failure.stage.to_owned()),
        ("class.name", failure.class.to_owned()),
        ("exception.class.name", failure.exception.to_owned()),
        ("exception.message", failure.message.to_owned()),
        // There is no Java stack; the first line of one is what there is to say.
        ("exception.stacktrace", format!("{}: {}", failure.exception, failure.message)),
    ];
    headers.map(|(name, value)| (format!("__connect.errors.{name}"), Some(Bytes::from(value)))).into()
}
