//! Collects what expanding needs beside the stack file: files that it names, the program that is deployed, what it says
//! exists, and the one secret that is made here.

mod deployed;
mod existing;
mod files;
mod plugin;
mod program;
mod secret;

use pinfra_aws::Clients;
use pinfra_engine::state::Place;

use super::context::Context;
use crate::expand::{Facts, SourceFile};
use crate::report::Failure;
use crate::spec::{EventSource, Stack, Target};
pub(super) use deployed::deployed;
use files::{absolute, hash_of, read_text};

/// The facts of this stack at `place`.
pub(super) async fn collect(
    context: &Context,
    stack: &Stack,
    target: Target,
    place: &Place,
    clients: &Clients,
) -> Result<Facts, Failure> {
    let mut facts = of_file(stack, clients).await?;
    if let Some(connector) = &stack.connector {
        facts.plugin = Some(plugin::plugin(context, connector, target, clients).await?);
    }
    if let Some(workers) = stack.workers.as_ref().filter(|workers| !workers.is_empty()) {
        facts.program = program::program(context, stack, target).await?;
        if let Some(EventSource::Sqlite(path)) = workers.emulator.as_ref().map(|emulator| emulator.source.get()) {
            facts.source = Some(SourceFile { sha256: hash_of(path)?, path: absolute(path)? });
        }
        if workers.gateway.is_some() {
            facts.gateway_secret = secret::gateway(stack, place, clients).await?;
        }
    }
    Ok(facts)
}

/// What does not hang on what is deployed: the texts that the file names, and what it says of a cluster and a bucket of others.
async fn of_file(stack: &Stack, clients: &Clients) -> Result<Facts, Failure> {
    let cleaning =
        stack.tables.iter().filter_map(|table| Some((table.name.value.clone(), table.sql.as_ref()?.text.to_string())));
    let mut facts = Facts { cleaning: cleaning.collect(), ..Facts::default() };
    if let Some(key) = stack.client.as_ref().and_then(|client| client.key.as_ref()) {
        facts.public_key = Some(read_text(key.get())?);
    }
    if let Some(bucket) = stack.lake.as_ref().and_then(|lake| lake.existing.as_ref()) {
        existing::bucket(stack, bucket, clients).await?;
    }
    if let Some(cluster) = stack.cluster.as_ref().and_then(|cluster| cluster.existing.as_ref()) {
        facts.cluster = Some(existing::cluster(stack, cluster, clients).await?);
    }
    Ok(facts)
}
