//! `pinfra down`: destroys all of a stack. Needs no stack file, and not even state when it gets one.

use std::collections::BTreeSet;

use pinfra_aws::catalog::KINDS;
use pinfra_aws::{Clients, catalog, tags};
use pinfra_engine::state::{Record, State, Status};
use pinfra_engine::{Address, Catalog, ErrorKind, Graph, Observation, StateStore, observe, plan_destroy};
use serde_json::Value;

use super::context::Context;
use super::interrupt::unless_interrupted;
use super::run::{Asked, ask, carry_out};
use super::stacks::{Chosen, choose};
use super::{local, plan, stacks};
use crate::cli::Patience;
use crate::report::Failure;
use crate::spec::{Stack, Target};

/// Destroys the stack that `given` names.
pub(super) async fn run(context: &Context, given: Option<&str>, yes: bool, patience: Patience) -> Result<(), Failure> {
    let chosen = choose(context, given)?;
    let (target, region) = place(context, &chosen)?;
    let store = stacks::open(context, &chosen.name, "down")?;
    let connected = local::connect(context, target, &region).await?;
    let protected = chosen.file.iter().flat_map(|file| file.protect.iter().map(|protected| protected.value.clone()));
    let asked = Asked { command: "pinfra down", yes, patience };
    let destroyed = destroy(context, store, target, &connected, protected.collect(), asked).await;
    connected.release(context).await;
    destroyed?;
    let lost = chosen.state.as_ref().is_none_or(|state| state.resources.is_empty() && state.open.is_empty());
    for kept in chosen.file.iter().filter(|_| lost).flat_map(not_to_be_found) {
        context.tell(&format!("without state this cannot be told from what others have, and stays: {kept}"));
    }
    Ok(())
}

/// What a stack leaves in somebody else's cluster and bucket when its state was lost: it carries no tags that could be
/// asked for, and unlike in a cluster and a bucket of its own it does not go with them.
fn not_to_be_found(file: &Stack) -> Vec<String> {
    let mut kept = Vec::new();
    if let Some(cluster) = file.cluster.as_ref().and_then(|cluster| cluster.existing.as_ref()) {
        kept.push(format!("topics `{}.…` of the cluster `{}`", *file.name, **cluster));
    }
    if let Some(bucket) = file.lake.as_ref().and_then(|lake| lake.existing.as_ref()) {
        let folders = "`_pinfra/` (with the workers' secrets), `topics/`, `tables/`";
        kept.push(format!("objects under {folders} of the bucket `{}`", **bucket));
    }
    kept
}

fn place(context: &Context, chosen: &Chosen) -> Result<(Target, String), Failure> {
    let there = chosen.state.as_ref().filter(|state| !state.resources.is_empty() || !state.open.is_empty());
    if let Some(place) = there.and_then(|state| state.place.as_ref()) {
        let target = stacks::recorded_target(place);
        if context.global.target.is_some() && stacks::asked_target(context) != Some(target) {
            let message = format!("the stack `{}` lives on `{}`", chosen.name, place.target);
            return Err(Failure::new(message).hint("leave `--target` out: it is recorded"));
        }
        return Ok((target, place.region.clone()));
    }
    match &chosen.file {
        Some(file) => Ok((stacks::target(context, file), file.region.value.clone())),
        None => Err(Failure::new(format!("nothing is recorded of the stack `{}`", chosen.name))
            .hint("if its state was lost, give its stack file instead of its name")),
    }
}

async fn destroy(
    context: &Context,
    mut store: StateStore,
    target: Target,
    connected: &local::Connected,
    protected: BTreeSet<String>,
    asked: Asked,
) -> Result<(), Failure> {
    let looked = async {
        let clients = Clients::connect(&connected.connection).await?;
        plan::check_account(store.state(), &clients)?;
        let catalog = catalog(&clients);
        let mut state = with_what_is_tagged(store.state(), &clients, &catalog).await?;
        state.protected.extend(protected);
        let observed = observe(&Graph::default(), &state, &catalog).await;
        let observed = observed.map_err(|unreadable| plan::cannot_read(&unreadable))?;
        Ok((clients, catalog, state, observed))
    };
    let (clients, catalog, mut state, observed) = unless_interrupted(plan::INTERRUPTED, Box::pin(looked)).await?;
    // The Tagging API also lists what is gone: of that there is nothing to forget.
    state.resources.retain(|address, _| {
        store.state().resources.contains_key(address) || observed.get(address) != Some(&Observation::Absent)
    });
    let plan = plan_destroy(&state, &observed, &catalog)?;
    if plan.is_empty() {
        store.close()?;
        context.tell("nothing to destroy");
        context.tell_requests(&clients)?;
        return Ok(());
    }
    ask(context, &plan, target, asked.yes).await?;
    let carried_out = carry_out(context, &plan, &catalog, &mut store, asked).await;
    store.close()?;
    context.tell_requests(&clients)?;
    carried_out.map(drop)
}

/// What is recorded, and what carries the stack's tags although nothing is recorded of it.
pub(super) async fn with_what_is_tagged(state: &State, clients: &Clients, catalog: &Catalog) -> Result<State, Failure> {
    let mut state = state.clone();
    let tagged = match tags::owned_by(clients, catalog, &state.stack).await {
        Ok(tagged) => tagged,
        // What is recorded can be destroyed without this permission.
        Err(error) if error.kind == ErrorKind::Permission && !state.resources.is_empty() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    // IAM has no regions, so a name there says of which region it is: stacks of one name may live in two.
    let region = format!("-{}", clients.region);
    let here = |address: &Address, id: &str| !address.kind().starts_with("iam/") || id.ends_with(&region);
    let mut without_needs = Vec::new();
    for (address, id) in tagged.into_iter().filter(|(address, id)| here(address, id)) {
        if !state.resources.contains_key(&address) {
            without_needs.push(address.clone());
        }
        let found = Record {
            status: Status::Begun,
            id: Some(id.clone()),
            inputs: Value::Null,
            outputs: Value::Null,
            needs: Vec::new(),
            made_by: None,
        };
        let record = state.resources.entry(address).or_insert(found);
        record.id.get_or_insert(id);
    }
    let all: Vec<Address> = state.resources.keys().cloned().collect();
    for address in without_needs {
        // Who needs whom is not known of these, but which kinds may need which is: the catalogue is in that order.
        let needs = all.iter().filter(|other| rank(other) < rank(&address)).cloned().collect();
        if let Some(record) = state.resources.get_mut(&address) {
            record.needs = needs;
        }
    }
    Ok(state)
}

/// Where a kind stands in the catalogue.
fn rank(address: &Address) -> Option<usize> {
    KINDS.iter().position(|info| info.kind == address.kind())
}
