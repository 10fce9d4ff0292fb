//! `pinfra up`: makes it so.

use std::path::Path;
use std::time::Duration;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::state::Entry;
use pinfra_engine::{State, StateStore};

use super::context::Context;
use super::deployed::Deployed;
use super::plan::Planned;
use super::run::{ask, carry_out};
use super::saved::{self, Saved};
use super::{local, outputs, plan, stacks, verify};
use crate::report::{Failure, count};
use crate::spec::{Stack, Target};

/// What a probe may take: on AWS a new API key takes up to half a minute to be known everywhere.
const PROBE: Duration = Duration::from_secs(90);

/// Makes the stack of `file`; with a saved plan, by that one alone.
pub(super) async fn run(context: &Context, file: &Path, saved: Option<&Path>, yes: bool) -> Result<(), Failure> {
    let saved = saved.map(saved::read).transpose()?;
    let stack = stacks::load_to_make(file)?;
    let store = stacks::open(context, &stack.name, "up")?;
    let (target, region) = stacks::place(context, &stack, Some(store.state()))?;
    let connected = local::connect(context, target, &region).await?;
    let made = make(context, &stack, store, target, &connected, saved.as_ref(), yes).await;
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
    saved: Option<&Saved>,
    yes: bool,
) -> Result<(), Failure> {
    let clients = Clients::connect(&connected.connection).await?;
    let planned = plan::make(context, stack, store.state(), &clients, target).await?;
    if let Some(saved) = saved {
        saved.is_of(&planned, store.state())?;
    }
    let Planned { place, plan, .. } = planned;
    let recorded = store.state().place.as_ref() == Some(&place) && store.state().protected == plan.protected;
    if plan.is_empty() {
        let mut entries = plan.seen;
        if !recorded {
            entries.insert(0, Entry::Stack { place, protected: plan.protected });
        }
        store.append(entries)?;
        let state = store.close()?;
        context.tell(&format!("no changes: {} as the stack file says", are(plan.unchanged)));
        prove(context, &clients, &state).await?;
        context.tell_requests(&clients)?;
        return Ok(());
    }
    // Who saved a plan has seen it.
    ask(context, &plan, target, yes || saved.is_some())?;
    if !recorded {
        store.append(vec![Entry::Stack { place, protected: plan.protected.clone() }])?;
    }
    let carried_out = carry_out(context, &plan, &catalog(&clients), &mut store).await;
    let state = store.close()?;
    if carried_out.is_err() {
        context.tell_requests(&clients)?;
    }
    carried_out?;
    prove(context, &clients, &state).await?;
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

/// Proves with a real event that the pipeline works, where there is one from end to end.
async fn prove(context: &Context, clients: &Clients, state: &State) -> Result<(), Failure> {
    let deployed = Deployed::of(state);
    if deployed.workers.is_empty() {
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
