//! `pinfra plan`: what `up` would do and why. Changes nothing.

use std::path::Path;

use pinfra_aws::{Clients, catalog};
use pinfra_engine::state::{Entry, Place};
use pinfra_engine::{Fingerprint, Graph, Observed, Plan, State, observe, plan};
use serde_json::json;

use super::context::Context;
use super::interrupt::unless_interrupted;
use super::last_run::Run;
use super::{facts, files, local, saved, stacks, strays, unseen};
use crate::expand::expand;
use crate::report::plan::{Detail, draw};
use crate::report::{Failure, count};
use crate::spec::{Stack, Target};

/// What an interrupt means while nothing is carried out yet.
pub(super) const INTERRUPTED: &str = "that was while planning, and nothing was changed";

/// Shows the plan. Returns whether there are changes.
pub(super) async fn run(context: &Context, file: &Path, out: Option<&Path>) -> Result<bool, Failure> {
    out.map_or(Ok(()), |out| files::check_folder(saved::CANNOT_WRITE, out))?;
    let stack = stacks::load_to_make(file)?;
    let state = stacks::read(context, &stack.name)?;
    let (target, region) = stacks::place(context, &stack, state.as_ref())?;
    let state = state.unwrap_or_else(|| State::new(stack.name.value.clone(), String::new()));
    Run::tell_if_at_work(context, &stack.name, &state)?;
    let connected = local::connect(context, target, &region).await?;
    let planning = async {
        let clients = Clients::connect(&connected.connection).await?;
        let Planned { plan, graph, observed, place } = make(context, &stack, &state, &clients, target).await?;
        if let Some(out) = out {
            saved::write(out, &place, |key| Fingerprint::of(key, &graph, &state, &observed, &plan))?;
            context.tell(&format!("saved: `pinfra up {} --plan {}` does this", file.display(), out.display()));
        }
        context.tell_requests(&clients)?;
        Ok::<Plan, Failure>(plan)
    };
    let planned = unless_interrupted(INTERRUPTED, Box::pin(planning)).await;
    connected.release(context).await;
    let plan = planned?;
    let value = json!({"steps": plan.steps, "unchanged": plan.unchanged, "serial": plan.serial,
        "usual_seconds": plan.usual_duration().as_secs_f64()});
    context.result(&draw(&plan, Detail::Fields, context.page_out()), "plan", value)?;
    // Outputs that AWS changes by itself, such as an address that came later, are nobody's business.
    let asked_otherwise = |entry: &Entry| match entry {
        Entry::Seen { address, inputs, .. } => {
            state.resources.get(address).is_some_and(|record| record.inputs != *inputs)
        }
        _ => false,
    };
    if plan.is_empty() && plan.seen.iter().any(asked_otherwise) {
        context
            .tell(&format!("what is recorded is not the newest: `pinfra up {}` records what is there", file.display()));
    }
    Ok(!plan.is_empty())
}

/// A plan, and what it was made from.
pub(super) struct Planned {
    /// Where the stack lives.
    pub(super) place: Place,
    /// What its file asks for.
    pub(super) graph: Graph,
    /// What the cloud holds.
    pub(super) observed: Observed,
    /// What has to be done.
    pub(super) plan: Plan,
}

/// Where the stack lives, and the plan that makes it what its file says.
pub(super) async fn make(
    context: &Context,
    stack: &Stack,
    state: &State,
    clients: &Clients,
    target: Target,
) -> Result<Planned, Failure> {
    let place =
        Place { target: target.name().to_owned(), region: clients.region.clone(), account: clients.account.clone() };
    check_account(state, clients)?;
    let facts = facts::collect(context, stack, target, &place, clients).await?;
    let graph = expand(stack, &place, &facts)?;
    stacks::check_lake(context, &graph)?;
    let catalog = catalog(clients);
    let mut looked = 0;
    loop {
        let mut observed = observe(&graph, state, &catalog).await.map_err(|unreadable| cannot_read(&unreadable))?;
        let known = strays::unless_recorded(context, state, &mut observed, clients, &catalog).await?;
        let plan = plan(&graph, &known, &observed, &catalog)?;
        if !unseen::look_again(context, state, &plan, looked).await {
            return Ok(Planned { place, graph, observed, plan });
        }
        looked += 1;
    }
}

/// Whether the credentials are of the account that the stack is in. In another one everything would seem to be gone, or
/// to be somebody else's of the same name.
pub(super) fn check_account(state: &State, clients: &Clients) -> Result<(), Failure> {
    let elsewhere = state.place.as_ref().filter(|was| was.account != clients.account && !state.resources.is_empty());
    let Some(was) = elsewhere else { return Ok(()) };
    let (stack, mine) = (&state.stack, &clients.account);
    let message = format!("the stack `{stack}` is in account {}, and these credentials are of {mine}", was.account);
    Err(Failure::new(message).hint("use the credentials of that account, such as by AWS_PROFILE"))
}

/// What could not be read, the same cause told once.
pub(super) fn cannot_read(unreadable: &pinfra_engine::observe::Unreadable) -> Failure {
    let Some((address, error)) = unreadable.first() else { return Failure::new("something could not be read") };
    let more = match unreadable.len() {
        1 => String::new(),
        n => format!(" (and {})", count(n - 1, "more resource")),
    };
    Failure::Message {
        message: format!("cannot read `{address}`{more}"),
        causes: vec![error.to_string()],
        hint: error.hint.clone(),
    }
}
