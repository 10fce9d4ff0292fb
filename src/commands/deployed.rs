//! What the state of a stack says about the parts that events run through: its bucket, its API, its machine, its
//! tables. The commands that look at events start here, and need no stack file.

use std::collections::HashMap;

use bytes::Bytes;
use pinfra_aws::Clients;
use pinfra_engine::state::Place;
use pinfra_engine::{Address, State};
use pinfra_workers::config::{CleanedTable, Heartbeat};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::stacks::choose;
use super::{local, plan, stacks};
use crate::report::Failure;

/// The parts of a stack that are recorded as made.
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
    /// The names of the workers.
    pub(super) workers: Vec<String>,
    /// Whether the API lets callers in by their signature.
    pub(super) signed: bool,
}

impl Deployed {
    /// As `state` has it.
    pub(super) fn of(state: &State) -> Deployed {
        let output = |kind: &str, name: &str, output: &str| -> Option<String> {
            let record = state.resources.get(&Address::new(kind, name))?;
            record.outputs.get(output).and_then(Value::as_str).map(str::to_owned)
        };
        let workers: Vec<String> = state
            .resources
            .keys()
            .filter(|address| address.kind() == "worker/process")
            .map(|address| address.name().to_owned())
            .collect();
        let inputs =
            |name: &str| state.resources.get(&Address::new("worker/process", name)).map(|record| &record.inputs);
        let tables = inputs("cleaner").and_then(|inputs| inputs.pointer("/config/tables")).cloned();
        let api = state.resources.get(&Address::new("api_gateway/rest_api", "api")).map(|record| &record.inputs);
        // The JSON pointer of the method that takes an event (RFC 6901: `~1` is a slash).
        const RECORD: &str = "/document/paths/~1streams~1{stream-name}~1record/PUT/authorization";
        let auth = api.and_then(|inputs| inputs.pointer(RECORD));
        Deployed {
            bucket: bucket(state),
            invoke_url: output("api_gateway/stage", "api", "invoke_url"),
            api_key: output("api_gateway/api_key", "api", "id"),
            instance: output("ec2/instance", "client", "id"),
            tables: tables.and_then(|tables| serde_json::from_value(tables).ok()).unwrap_or_default(),
            signed: auth.is_some_and(|auth| auth == "AWS_IAM"),
            workers,
        }
    }

    /// What the machine's agent said last; `None` before it said anything.
    pub(super) async fn heartbeat(&self, clients: &Clients) -> Result<Option<Heartbeat>, Failure> {
        let (Some(bucket), Some(instance)) = (&self.bucket, &self.instance) else { return Ok(None) };
        object(clients, bucket, &format!("_pinfra/agents/{instance}/heartbeat.json")).await
    }
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
        Err(error) => return Err(pinfra_aws::error::classify("s3:GetObject", &error).into()),
    };
    let metadata = answer.metadata.unwrap_or_default();
    let body = answer.body.collect().await;
    let body = body.map_err(|error| Failure::new(format!("cannot read `s3://{bucket}/{key}`: {error}")))?;
    Ok(Some(Fetched { metadata, body: body.into_bytes() }))
}

/// What is recorded of the stack that `given` names, and where it lives.
pub(super) fn recorded(context: &Context, given: Option<&str>) -> Result<(State, Place), Failure> {
    let chosen = choose(context, given)?;
    chosen.state.and_then(|state| state.place.clone().map(|place| (state, place))).ok_or_else(|| {
        Failure::new(format!("nothing of the stack `{}` is there", chosen.name)).hint("`pinfra up` makes it")
    })
}

/// Clients of the account that the stack is in.
pub(super) async fn connect(context: &Context, state: &State, place: &Place) -> Result<Clients, Failure> {
    let connection = local::connect_if_running(context, stacks::recorded_target(place), &place.region).await?;
    let clients = Clients::connect(&connection).await?;
    plan::check_account(state, &clients)?;
    Ok(clients)
}
