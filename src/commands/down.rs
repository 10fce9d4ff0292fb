//! `pinfra down`: destroys all of a stack. Needs no stack file, and not even state when it gets one.

use std::path::Path;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::state::{Entry, Place, State};
use pinfra_engine::{Action, Catalog, Graph, Plan, StateStore, observe, plan_destroy};

use super::context::Context;
use super::interrupt::unless_interrupted;
use super::run::{Asked, ask, carry_out};
use super::stacks::{Chosen, choose, looks_like_a_file};
use super::{left, local, plan, stacks, strays, unseen};
use crate::cli::Patience;
use crate::expand::{Facts, expand};
use crate::report::Failure;
use crate::spec::{Stack, Target};

/// What the user wishes of `down`.
#[derive(Clone, Copy)]
pub(super) struct Wished {
    /// Without a question.
    pub(super) yes: bool,
    /// Damaged state is no obstacle.
    pub(super) recover: bool,
    /// How long to wait.
    pub(super) patience: Patience,
}

/// Destroys the stack that `given` names.
pub(super) async fn run(context: &Context, given: Option<&str>, wished: Wished) -> Result<(), Failure> {
    let (chosen, recovered) = match given.filter(|given| wished.recover && looks_like_a_file(given)) {
        Some(file) => {
            let (chosen, store) = recover(context, Path::new(file))?;
            (chosen, Some(store))
        }
        None => (choose(context, given)?, None),
    };
    let (target, region) = place(context, &chosen)?;
    let store = match recovered {
        Some(store) => store,
        None => stacks::open(context, &chosen.name, "down")?,
    };
    let connected = local::connect(context, target, &region).await?;
    let asked = Asked { command: "pinfra down", yes: wished.yes, patience: wished.patience };
    let destroyed = destroy(context, store, target, &connected, chosen.file.as_ref(), asked).await;
    connected.release(context).await;
    destroyed?;
    for kept in chosen.file.iter().filter(|_| !is_recorded(chosen.state.as_ref())).flat_map(not_to_be_found) {
        context.tell(&format!("without state this cannot be told from what others have, and stays: {kept}"));
    }
    for used in chosen.state.iter().flat_map(left::of_others) {
        context.tell(&format!("was only used, and stays: {used}"));
    }
    connected.tell_if_left(context).await;
    Ok(())
}

/// The stack of a file, whose damaged state is set aside. Without the file nobody would know where it lives.
fn recover(context: &Context, file: &Path) -> Result<(Chosen, StateStore), Failure> {
    let file = stacks::load(file)?;
    let store = stacks::recover(context, &file, "down")?;
    let state = Some(store.state().clone());
    Ok((Chosen { name: file.name.value.clone(), file: Some(file), state }, store))
}

/// Whether anything is recorded of a stack.
fn is_recorded(state: Option<&State>) -> bool {
    state.is_some_and(|state| !state.resources.is_empty() || !state.open.is_empty())
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
    // By name, a stack that was here is looked for where it was: a run that was killed at its very end has recorded that
    // nothing is left, and has not said so.
    let there = chosen.state.as_ref().filter(|state| is_recorded(Some(state)) || chosen.file.is_none());
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
    file: Option<&Stack>,
    asked: Asked,
) -> Result<(), Failure> {
    let looking = async {
        let clients = Clients::connect(&connected.connection).await?;
        plan::check_account(store.state(), &clients)?;
        let catalog = catalog(&clients);
        let plan = planned(context, store.state(), file, target, &clients, &catalog).await?;
        Ok((clients, catalog, plan))
    };
    let (clients, catalog, plan) = unless_interrupted(plan::INTERRUPTED, Box::pin(looking)).await?;
    if plan.is_empty() {
        store.close()?;
        let (account, region) = (&clients.account, &clients.region);
        context.tell(&format!("nothing to destroy on `{}` in `{region}` (account {account})", target.name()));
        context.tell_requests(&clients)?;
        return Ok(());
    }
    for step in plan.steps.iter().filter(|step| step.action == Action::Forget && step.id.is_some()) {
        context.tell(&format!("`{}` is left alone: {}", step.address, step.reason));
    }
    ask(context, &plan, target, asked.yes).await?;
    if store.state().place.is_none() {
        // The next run goes on by the stack's name, should this one be killed.
        let (place, protected) = (place_of(target, &clients), store.state().protected.clone());
        store.append(vec![Entry::Stack { place, protected }])?;
    }
    let carried_out = carry_out(context, &plan, &catalog, &mut store, asked).await;
    store.close()?;
    context.tell_requests(&clients)?;
    carried_out.map(drop)
}

/// The plan that destroys what is recorded or carries the stack's tags, as far as the cloud holds it.
async fn planned(
    context: &Context,
    recorded: &State,
    file: Option<&Stack>,
    target: Target,
    clients: &Clients,
    catalog: &Catalog,
) -> Result<Plan, Failure> {
    let graph = match file.filter(|_| !is_recorded(Some(recorded))) {
        Some(file) => names_in(file, target, clients)?,
        None => Graph::default(),
    };
    let mut looked = 0;
    loop {
        let observed = observe(&graph, recorded, catalog).await;
        let mut observed = observed.map_err(|unreadable| plan::cannot_read(&unreadable))?;
        let (mut state, unlisted) = strays::with_all(recorded, &mut observed, clients, catalog).await?;
        let protected = file.into_iter().flat_map(|file| &file.protect);
        state.protected.extend(protected.map(|protected| protected.value.clone()));
        let plan = plan_destroy(&state, &observed, catalog)?;
        if !unseen::look_again(context, recorded, &plan, looked).await {
            strays::tell(context, &unlisted);
            return Ok(plan);
        }
        looked += 1;
    }
}

/// What a stack file says of the names of things, where that is all that is known: a bucket that has no tags yet has a name,
/// and tags that were just put are not known everywhere. What a file says of a cluster or a bucket of others would have to be
/// asked of them, and has tags or is not to be found.
fn names_in(file: &Stack, target: Target, clients: &Clients) -> Result<Graph, Failure> {
    let of_others = file.cluster.as_ref().is_some_and(|cluster| cluster.existing.is_some())
        || file.lake.as_ref().is_some_and(|lake| lake.existing.is_some());
    if of_others {
        return Ok(Graph::default());
    }
    Ok(expand(file, &place_of(target, clients), &Facts::default())?)
}

fn place_of(target: Target, clients: &Clients) -> Place {
    Place { target: target.name().to_owned(), region: clients.region.clone(), account: clients.account.clone() }
}
