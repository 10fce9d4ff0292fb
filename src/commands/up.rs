//! `pinfra up`: makes it so.

use std::path::Path;
use std::time::Duration;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::state::Entry;
use pinfra_engine::{State, StateStore};

use super::context::Context;
use super::deployed::Deployed;
use super::interrupt::unless_interrupted;
use super::plan::Planned;
use super::run::{Asked, Carried, ask, carry_out};
use super::saved::{self, Saved};
use super::{local, outputs, plan, stacks, verify};
use crate::cli::Patience;
use crate::report::{Failure, count};
use crate::spec::{Stack, Target};

/// What a probe may take: on AWS a new API key takes up to half a minute to be known everywhere.
const PROBE: Duration = Duration::from_secs(90);

/// What an interrupt of the probe means.
const UNPROVED: &str = "everything is made, and the probe was not waited for; `pinfra verify` sends another";

/// What the user wishes of `up`.
pub(super) struct Wished<'a> {
    /// A saved plan: this one is carried out and no other.
    pub(super) plan: Option<&'a Path>,
    /// Without a question.
    pub(super) yes: bool,
    /// Damaged state is no obstacle.
    pub(super) recover: bool,
    /// How long to wait.
    pub(super) patience: Patience,
}

/// Makes the stack of `file`.
pub(super) async fn run(context: &Context, file: &Path, wished: Wished<'_>) -> Result<(), Failure> {
    let saved = wished.plan.map(saved::read).transpose()?;
    let stack = stacks::load_to_make(file)?;
    let store = match wished.recover {
        true => stacks::recover(context, &stack, "up")?,
        false => stacks::open(context, &stack.name, "up")?,
    };
    let (target, region) = stacks::place(context, &stack, Some(store.state()))?;
    let connected = local::connect(context, target, &region).await?;
    let asked = Asked { command: "pinfra up", yes: wished.yes || saved.is_some(), patience: wished.patience };
    let made = make(context, &stack, store, target, &connected, saved.as_ref(), asked).await;
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
    asked: Asked,
) -> Result<(), Failure> {
    let planning = async {
        let clients = Clients::connect(&connected.connection).await?;
        let planned = plan::make(context, stack, store.state(), &clients, target).await?;
        if let Some(saved) = saved {
            saved.is_of(&planned, store.state())?;
        }
        Ok((clients, planned))
    };
    let (clients, planned) = unless_interrupted(plan::INTERRUPTED, Box::pin(planning)).await?;
    let Planned { place, plan, .. } = planned;
    let recorded = store.state().place.as_ref() == Some(&place) && store.state().protected == plan.protected;
    if plan.is_empty() {
        let mut entries = plan.seen;
        let renewed = if entries.is_empty() { "" } else { "; what was recorded otherwise is brought up to date" };
        if !recorded {
            entries.insert(0, Entry::Stack { place, protected: plan.protected });
        }
        store.append(entries)?;
        let state = store.close()?;
        context.tell(&format!("no changes: {} as the stack file says{renewed}", are(plan.unchanged)));
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
