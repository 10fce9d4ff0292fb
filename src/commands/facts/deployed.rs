//! The facts of a stack as it is deployed: what is recorded of files, instead of the files. So a machine that has another
//! build of this program, or none of the user's files, compares with what was deployed, and packs and fetches nothing.
//! Without state, what the lake bucket says is deployed is taken.

use std::path::PathBuf;

use pinfra_aws::Clients;
use pinfra_engine::state::Place;
use pinfra_engine::{Address, ErrorKind, State};
use pinfra_workers::config::Program;
use pinfra_workers::keys::AGENT;
use serde_json::Value;

use super::{of_file, plugin, secret};
use crate::commands::context::Context;
use crate::commands::facts::files::{absolute, hash_of};
use crate::expand::{Facts, PluginFile, ProgramFile, SourceFile, bucket_name};
use crate::report::Failure;
use crate::spec::{EventSource, Stack, Target};

/// The facts of this stack at `place`. `kept` stands for the secret that the gateway and the API share, where state has
/// its hash.
pub(in crate::commands) async fn deployed(
    context: &Context,
    stack: &Stack,
    state: &State,
    place: &Place,
    clients: &Clients,
    kept: &str,
) -> Result<Facts, Failure> {
    let mut facts = of_file(stack, clients).await?;
    let target = if place.target == Target::Aws.name() { Target::Aws } else { Target::Local };
    if let Some(connector) = &stack.connector {
        facts.plugin = Some(match recorded_plugin(state) {
            Some(plugin) => plugin,
            None => plugin::plugin(context, connector, target, clients).await?,
        });
    }
    if let Some(workers) = stack.workers.as_ref().filter(|workers| !workers.is_empty()) {
        let bucket = bucket_name(stack, place);
        facts.program = match recorded_program(state) {
            Some(program) => program,
            None => program_in(clients, &bucket).await?,
        };
        if let Some(EventSource::Sqlite(path)) = workers.emulator.as_ref().map(|emulator| emulator.source.get()) {
            let recorded = text(state, &Address::new("s3/object", "source"), "sha256");
            let sha256 = match recorded.filter(|_| !path.exists()) {
                Some(recorded) => recorded,
                None => hash_of(path)?,
            };
            facts.source = Some(SourceFile { sha256, path: absolute(path)? });
        }
        if workers.gateway.is_some() {
            let is_recorded = state.resources.contains_key(&Address::new("worker/process", "gateway"));
            facts.gateway_secret =
                if is_recorded { kept.to_owned() } else { secret::gateway(stack, place, clients).await? };
        }
    }
    Ok(facts)
}

/// An output that is recorded.
fn text(state: &State, address: &Address, output: &str) -> Option<String> {
    state.resources.get(address)?.outputs.get(output).and_then(Value::as_str).map(str::to_owned)
}

/// The archive that was deployed: its content is part of its address.
fn recorded_plugin(state: &State) -> Option<PluginFile> {
    let mut objects = state.resources.keys().filter(|address| address.kind() == "s3/object");
    let address = objects.find(|address| address.name() == "plugin" || address.name().starts_with("plugin."))?;
    let key = text(state, address, "key")?;
    let name = key.rsplit('/').next().unwrap_or_default().to_owned();
    Some(PluginFile { name, path: PathBuf::new(), sha256: text(state, address, "sha256")? })
}

fn recorded_program(state: &State) -> Option<ProgramFile> {
    let address = Address::new("s3/object", "program");
    let sha256 = text(state, &address, "key")?.rsplit('/').next()?.trim_end_matches(".gz").to_owned();
    Some(ProgramFile { sha256, packed: PathBuf::new(), packed_sha256: text(state, &address, "sha256")? })
}

/// The program that lies in the bucket for the machine's agent.
async fn program_in(clients: &Clients, bucket: &str) -> Result<ProgramFile, Failure> {
    let answer = match clients.s3.get_object().bucket(bucket).key(AGENT).send().await {
        Ok(answer) => answer,
        Err(error) => match pinfra_aws::error::classify("s3:GetObject", &error) {
            gone if gone.kind == ErrorKind::NotFound => return Ok(ProgramFile::default()),
            error => return Err(error.into()),
        },
    };
    let unreadable = || Failure::new(format!("cannot read `s3://{bucket}/{AGENT}`"));
    let body = answer.body.collect().await.map_err(|_| unreadable())?.into_bytes();
    let Program { key, sha256 } = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let packed = pinfra_aws::s3::object::sha256(clients, bucket, &key).await?;
    Ok(ProgramFile { sha256, packed: PathBuf::new(), packed_sha256: packed.unwrap_or_default() })
}
