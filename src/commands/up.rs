//! `pinfra up`: makes it so.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::state::Entry;
use pinfra_engine::{Address, Graph, Observation, Plan, State, StateStore, observe};

use super::context::Context;
use super::deployed::Deployed;
use super::interrupt::unless_interrupted;
use super::run::{Asked, Carried, ask, carry_out};
use super::{down, local, outputs, plan, stacks, verify};
use crate::cli::Patience;
use crate::report::{Failure, count};
use crate::spec::{Stack, Target};

/// What a probe may take: on AWS a new API key takes up to half a minute to be known everywhere.
const PROBE: Duration = Duration::from_secs(90);

/// What an interrupt of the probe means.
const UNPROVED: &str = "everything is made, and the probe was not waited for; `pinfra verify` sends another";

/// Makes the stack of `file`. With `recover`, damaged state is no obstacle.
pub(super) async fn run(
    context: &Context,
    file: &Path,
    yes: bool,
    recover: bool,
    patience: Patience,
) -> Result<(), Failure> {
    let stack = stacks::load_to_make(file)?;
    let (store, recovered) = match recover {
        true => stacks::recover(context, &stack.name, "up")?,
        false => (stacks::open(context, &stack.name, "up")?, false),
    };
    let (target, region) = stacks::place(context, &stack, Some(store.state()))?;
    let connected = local::connect(context, target, &region).await?;
    let asked = Asked { command: "pinfra up", yes, recovered, patience };
    let made = make(context, &stack, store, target, &connected, asked).await;
    if made.is_err() {
        connected.release(context).await;
    }
    made
}

async fn make(
    context: &Context,
    stack: &Stack,
    mut store: StateStore,
    target: Target,
    connected: &local::Connected,
    asked: Asked,
) -> Result<(), Failure> {
    let planned = async {
        let clients = Clients::connect(&connected.connection).await?;
        let (place, mut plan) = plan::make(context, stack, store.state(), &clients, target).await?;
        if asked.recovered
            && let Some(state) = with_strays(store.state(), &plan, &clients).await?
        {
            plan = plan::make(context, stack, &state, &clients, target).await?.1;
        }
        Ok((clients, place, plan))
    };
    let (clients, place, plan) = unless_interrupted(plan::INTERRUPTED, Box::pin(planned)).await?;
    let recorded = store.state().place.as_ref() == Some(&place) && store.state().protected == plan.protected;
    if plan.is_empty() {
        let mut entries = plan.seen;
        if !recorded {
            entries.insert(0, Entry::Stack { place, protected: plan.protected });
        }
        store.append(entries)?;
        let state = store.close()?;
        context.tell(&format!("no changes: {} as the stack file says", are(plan.unchanged)));
        unless_interrupted(UNPROVED, Box::pin(prove(context, &clients, &state, asked))).await?;
        context.tell_requests(&clients)?;
        return Ok(());
    }
    ask(context, &plan, target, asked.yes).await?;
    if !recorded {
        store.append(vec![Entry::Stack { place, protected: plan.protected.clone() }])?;
    }
    let carried_out = carry_out(context, &plan, &catalog(&clients), &mut store, asked).await;
    let state = store.close()?;
    if carried_out.as_ref().ok() != Some(&Carried::Whole) {
        context.tell_requests(&clients)?;
        return carried_out.map(drop);
    }
    unless_interrupted(UNPROVED, Box::pin(prove(context, &clients, &state, asked))).await?;
    context.tell_requests(&clients)?;
    if context.global.json {
        outputs::tell(context, &state)?;
    } else if !context.global.quiet {
        crate::report::out::note("");
        crate::report::out::data(&outputs::draw(context, &state))?;
        crate::report::out::note("");
        crate::report::out::note(match target {
            Target::Local => {
                "next: `pinfra status`, `pinfra down`; for other tools: eval \"$(pinfra local status --env)\""
            }
            Target::Aws => "next: `pinfra status`, `pinfra outputs`, `pinfra down`",
        });
    }
    Ok(())
}

/// What the lost state may have recorded and the stack file has no more: it carries the stack's tags. `None` when there is
/// no such thing.
async fn with_strays(state: &State, plan: &Plan, clients: &Clients) -> Result<Option<State>, Failure> {
    let catalog = catalog(clients);
    let mut found = down::with_what_is_tagged(state, clients, &catalog).await?;
    let seen = plan.seen.iter().filter_map(|entry| match entry {
        Entry::Seen { address, .. } => Some(address),
        _ => None,
    });
    let wanted: BTreeSet<&Address> = plan.steps.iter().map(|step| &step.address).chain(seen).collect();
    found.resources.retain(|address, _| !wanted.contains(address));
    let observed =
        observe(&Graph::default(), &found, &catalog).await.map_err(|unreadable| plan::cannot_read(&unreadable))?;
    // The Tagging API also lists what is gone.
    found.resources.retain(|address, _| observed.get(address) != Some(&Observation::Absent));
    Ok((!found.resources.is_empty()).then_some(found))
}

/// Proves with a real event that the pipeline works, where there is one from end to end.
async fn prove(context: &Context, clients: &Clients, state: &State, asked: Asked) -> Result<(), Failure> {
    let deployed = Deployed::of(state);
    if deployed.workers.is_empty() {
        return Ok(());
    }
    if asked.patience.detach {
        context.tell("no probe was sent, since it would have to be waited for; `pinfra verify` sends one");
        return Ok(());
    }
    match verify::missing(&deployed) {
        None => verify::probe(context, clients, &deployed, PROBE).await,
        Some(missing) => {
            context.tell(&format!("no probe was sent: {missing}"));
            Ok(())
        }
    }
}

fn are(n: usize) -> String {
    format!("{} {}", count(n, "resource"), if n == 1 { "is" } else { "are" })
}
