//! What the state of a stack says about the parts that events run through: its bucket, its API, its machine, its
//! tables, its connector. The commands that look at events start here, and need no stack file.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use pinfra_aws::Clients;
use pinfra_engine::state::{Place, Record};
use pinfra_engine::{Address, ErrorKind, State};
use pinfra_workers::config::{CleanedTable, EmulatedTable, Heartbeat};
use pinfra_workers::keys;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::stacks::choose;
use super::{local, plan, stacks};
use crate::report::Failure;

/// The parts of a stack that are recorded as made.
#[derive(Default)]
pub(super) struct Deployed {
    /// The lake bucket.
    pub(super) bucket: Option<String>,
    /// The invoke URL of the API's stage.
    pub(super) invoke_url: Option<String>,
    /// The id of the API key.
    pub(super) api_key: Option<String>,
    /// The client machine.
    pub(super) instance: Option<String>,
    /// The tables that the cleaner writes; empty without a cleaner.
    pub(super) tables: Vec<CleanedTable>,
    /// Whether the cleaner cleans what is in the streams as it comes.
    pub(super) streaming: bool,
    /// Whether it cleans what the connector has stored at times of its own.
    pub(super) scheduled: bool,
    /// The Kafka topic of each table.
    pub(super) topics: BTreeMap<String, String>,
    /// The field of each table that identifies a row, as far as a worker was told.
    pub(super) keys: BTreeMap<String, String>,
    /// What stores the topics in S3.
    pub(super) sink: Option<Sink>,
    /// The names of the workers.
    pub(super) workers: Vec<String>,
    /// Whether the API lets callers in by their signature.
    pub(super) signed: bool,
}

/// What a connector was told about objects in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sink {
    /// The bucket.
    pub(super) bucket: String,
    /// The folder in it (`topics.dir`).
    pub(super) folder: String,
    /// Between the parts of an object's name (`file.delim`).
    pub(super) delimiter: String,
    /// Records in an object at most (`flush.size`).
    pub(super) flush_size: Option<u64>,
    /// An object is written after so long, full or not (`rotate.schedule.interval.ms`).
    pub(super) rotate: Option<Duration>,
    /// Whether objects lie in a folder for each partition of their topic, as they do by default.
    pub(super) by_partition: bool,
}

impl Sink {
    /// By what is recorded of a connector; defaults are the sink's ("Amazon S3 Sink Connector Configuration Properties",
    /// Confluent documentation).
    fn of(connector: &Record) -> Option<Sink> {
        let configuration = connector.inputs.get("configuration")?;
        let text = |name: &str| configuration.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| text(name)?.parse().ok();
        let folder = connector.outputs.get("folder").and_then(Value::as_str).map(str::to_owned);
        let partitioner = text("partitioner.class").unwrap_or_default();
        Some(Sink {
            bucket: text("s3.bucket.name")?,
            folder: folder.or_else(|| text("topics.dir")).unwrap_or_else(|| "topics".to_owned()),
            delimiter: text("file.delim").unwrap_or_else(|| "+".to_owned()),
            flush_size: number("flush.size"),
            rotate: number("rotate.schedule.interval.ms").filter(|ms| *ms > 0).map(Duration::from_millis),
            by_partition: partitioner.is_empty() || partitioner.ends_with(".DefaultPartitioner"),
        })
    }
}

impl Sink {
    /// Whether its folder is a later generation: it, or one of its topics, was made again (`msk_connect/folder.rs`).
    pub(super) fn is_made_again(&self) -> bool {
        self.folder.rsplit('/').next().is_some_and(|last| last.starts_with("generation="))
    }
}

impl Deployed {
    /// As `state` has it.
    pub(super) fn of(state: &State) -> Deployed {
        let output = |kind: &str, name: &str, output: &str| -> Option<String> {
            let record = state.resources.get(&Address::new(kind, name))?;
            record.outputs.get(output).and_then(Value::as_str).map(str::to_owned)
        };
        let of_kind = |kind: &'static str| state.resources.iter().filter(move |(address, _)| address.kind() == kind);
        let inputs =
            |kind: &str, name: &str| state.resources.get(&Address::new(kind, name)).map(|record| &record.inputs);
        let cleaner = inputs("worker/process", "cleaner").and_then(|inputs| inputs.get("config"));
        let tables: Vec<CleanedTable> = cleaner.and_then(|config| said(config, "tables")).unwrap_or_default();
        let emulator = inputs("worker/process", "emulator").and_then(|inputs| inputs.get("config"));
        let emulated: Vec<EmulatedTable> = emulator.and_then(|config| said(config, "tables")).unwrap_or_default();
        let mut keys: BTreeMap<String, String> = emulated.into_iter().map(|table| (table.name, table.key)).collect();
        keys.extend(tables.iter().map(|table| (table.name.clone(), table.key.clone())));
        let topics = of_kind("msk/topic").filter_map(|(address, record)| {
            let name = record.outputs.get("name").or_else(|| record.inputs.get("name"))?;
            Some((address.name().to_owned(), name.as_str()?.to_owned()))
        });
        let sink = state.resources.get(&Address::new("msk_connect/connector", "s3")).and_then(Sink::of);
        // The JSON pointer of the method that takes an event (RFC 6901: `~1` is a slash).
        const RECORD: &str = "/document/paths/~1streams~1{stream-name}~1record/PUT/authorization";
        const RECORDS: &str = "/document/paths/~1{proxy+}/ANY/authorization";
        let api = inputs("api_gateway/rest_api", "api");
        let auth = api.and_then(|inputs| inputs.pointer(RECORD).or_else(|| inputs.pointer(RECORDS)));
        Deployed {
            bucket: bucket(state),
            invoke_url: output("api_gateway/stage", "api", "invoke_url"),
            api_key: output("api_gateway/api_key", "api", "id"),
            instance: output("ec2/instance", "client", "id"),
            streaming: cleaner.is_some_and(|config| config.get("streaming") != Some(&Value::Bool(false))),
            scheduled: cleaner.and_then(|config| config.get("schedule")).is_some_and(|schedule| !schedule.is_null()),
            topics: topics.collect(),
            signed: auth.is_some_and(|auth| auth == "AWS_IAM"),
            workers: of_kind("worker/process").map(|(address, _)| address.name().to_owned()).collect(),
            tables,
            keys,
            sink,
        }
    }

    /// Whether there is a worker of that name.
    pub(super) fn has(&self, worker: &str) -> bool {
        self.workers.iter().any(|name| name == worker)
    }

    /// What the machine's agent said last; `None` before it said anything.
    pub(super) async fn heartbeat(&self, clients: &Clients) -> Result<Option<Heartbeat>, Failure> {
        let (Some(bucket), Some(instance)) = (&self.bucket, &self.instance) else { return Ok(None) };
        object(clients, bucket, &keys::heartbeat(instance)).await
    }
}

/// A field of a worker's configuration; `None` when it is not there, or a secret.
fn said<T: DeserializeOwned>(config: &Value, field: &str) -> Option<T> {
    serde_json::from_value(config.get(field)?.clone()).ok()
}

/// The lake bucket: the one that was made, or the one that what is deployed lies in.
pub(super) fn bucket(state: &State) -> Option<String> {
    let made = state.resources.get(&Address::new("s3/bucket", "lake")).and_then(|record| record.outputs.get("name"));
    let in_it = || {
        let objects = state.resources.iter().filter(|(address, _)| address.kind() == "s3/object");
        objects.filter_map(|(_, record)| record.outputs.get("bucket")).next()
    };
    made.or_else(in_it).and_then(Value::as_str).map(str::to_owned)
}

/// A JSON object of the lake bucket, `None` when it is not there.
pub(super) async fn object<T: DeserializeOwned>(
    clients: &Clients,
    bucket: &str,
    key: &str,
) -> Result<Option<T>, Failure> {
    let Some(fetched) = fetch(clients, bucket, key).await? else { return Ok(None) };
    serde_json::from_slice(&fetched.body)
        .map(Some)
        .map_err(|error| Failure::new(format!("cannot read `s3://{bucket}/{key}`: {error}")))
}

/// An object as it is.
pub(super) struct Fetched {
    /// What was stored with it.
    pub(super) metadata: HashMap<String, String>,
    /// Its bytes.
    pub(super) body: Bytes,
}

/// An object of the lake bucket, `None` when it is not there.
pub(super) async fn fetch(clients: &Clients, bucket: &str, key: &str) -> Result<Option<Fetched>, Failure> {
    let answer = match clients.s3.get_object().bucket(bucket).key(key).send().await {
        Ok(answer) => answer,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
        Err(error) => {
            let error = pinfra_aws::error::classify("s3:GetObject", &error);
            // The bucket itself may be gone.
            return if error.kind == ErrorKind::NotFound { Ok(None) } else { Err(error.into()) };
        }
    };
    let metadata = answer.metadata.unwrap_or_default();
    let body = answer.body.collect().await;
    let body = body.map_err(|error| Failure::new(format!("cannot read `s3://{bucket}/{key}`: {error}")))?;
    Ok(Some(Fetched { metadata, body: body.into_bytes() }))
}

/// What is recorded of the stack that `given` names, and where it lives.
pub(super) fn recorded(context: &Context, given: Option<&str>) -> Result<(State, Place), Failure> {
    let chosen = choose(context, given)?;
    let there = chosen.state.filter(|state| !state.resources.is_empty());
    there.and_then(|state| state.place.clone().map(|place| (state, place))).ok_or_else(|| {
        Failure::new(format!("nothing of the stack `{}` is there", chosen.name)).hint("`pinfra up STACK.yaml` makes it")
    })
}

/// Clients of the account that the stack is in.
pub(super) async fn connect(context: &Context, state: &State, place: &Place) -> Result<Clients, Failure> {
    let connection = local::connect_if_running(context, stacks::recorded_target(place), &place.region).await?;
    let clients = Clients::connect(&connection).await?;
    plan::check_account(state, &clients)?;
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use pinfra_aws::worker::keys as written;
    use pinfra_workers::keys as read;

    #[test]
    fn manifests_and_heartbeats_are_where_the_agent_has_them() {
        assert_eq!(written::MANIFESTS, read::MANIFESTS);
        assert_eq!(written::manifest("gateway"), read::manifest("gateway"));
        assert_eq!(written::heartbeat("i-1"), read::heartbeat("i-1"));
        assert_eq!(written::log("i-1", "gateway"), read::log("i-1", "gateway"));
    }
}
