//! Looks at the cloud and compares, with clients that can only read.
//!
//! ```text
//! who are we?  ──────────────────────────────────┐
//! state, stack file ─expand→ graph ─observe→ compare ─┬→ what differs, read again by itself → Drift
//!                                                unmanaged ┘
//! ```
//!
//! Nothing is locked, and neither is a local cloud started. What the first round finds rests on lists, which may know of
//! changes some seconds late: so what seems to differ is read a second time without them.

use std::collections::BTreeSet;

use futures::future::{Either, select};
use pinfra_aws::unmanaged::{self, Known};
use pinfra_aws::{Clients, catalog};
use pinfra_engine::drift::drift;
use pinfra_engine::observe::{Observation, Observed};
use pinfra_engine::state::Place;
use pinfra_engine::{Address, Drift, Finding, Graph, State, What, observe};

use super::kept::{KEPT, compared_by_hash};
use crate::commands::context::Context;
use crate::commands::last_run::Run;
use crate::commands::{facts, local, plan, stacks};
use crate::expand::{Facts, expand};
use crate::report::Failure;
use crate::spec::Stack;

/// What was found, and what it was compared with.
pub(super) struct Looked {
    /// The stack's name.
    pub(super) name: String,
    /// The stack file, where one was given.
    pub(super) file: Option<Stack>,
    /// Where the stack lives.
    pub(super) place: Place,
    /// What the graph depends on beside the stack file.
    pub(super) facts: Option<Facts>,
    /// What was compared: what the stack file asks for, or what is recorded.
    pub(super) addresses: Vec<Address>,
    /// What is there.
    pub(super) observed: Observed,
    /// What differs.
    pub(super) drift: Drift,
    /// Whether the last run recorded something else than what is there, whatever the stack file says of it.
    pub(super) recorded_otherwise: bool,
    /// The clients that were used, for the number of requests.
    pub(super) clients: Clients,
}

/// Compares the stack that `given` names.
pub(super) async fn look(context: &Context, given: Option<&str>) -> Result<Looked, Failure> {
    let chosen = stacks::choose(context, given)?;
    // Its SQL is compared and not planned: what is deployed was, and planning takes more memory than all the rest.
    let file = chosen.file;
    if let Some(problems) = file.as_ref().map(Stack::not_built_errors).filter(|problems| !problems.is_empty()) {
        return Err(Failure::Problems(problems));
    }
    let state = chosen.state.unwrap_or_else(|| State::new(chosen.name.clone(), String::new()));
    Run::tell_if_at_work(context, &chosen.name, &state)?;
    let (target, region) = match (&file, &state.place) {
        (Some(file), _) => stacks::place(context, file, Some(&state))?,
        (None, Some(place)) => (stacks::recorded_target(place), place.region.clone()),
        (None, None) => {
            return Err(Failure::new(format!("it is not recorded where the stack `{}` lives", chosen.name))
                .hint("give its stack file instead of its name"));
        }
    };
    let connection = local::connect_if_running(context, target, &region).await?;
    // Whose account this is, is asked for while everything is read as if it were the recorded one.
    let recorded = state.place.as_ref().filter(|_| !state.resources.is_empty());
    let (clients, asked) = match recorded {
        Some(place) => (Clients::read_only(&connection, &place.account).await, false),
        None => (Clients::connect_read_only(&connection).await?, true),
    };
    let place =
        Place { target: target.name().to_owned(), region: clients.region.clone(), account: clients.account.clone() };
    let looking = clients.looking(&state);
    let identity = Box::pin(async {
        if !asked {
            let mut caller = clients.clone();
            caller.account = looking.listed_account(&connection).await?;
            plan::check_account(&state, &caller)?;
        }
        Ok::<(), Failure>(())
    });
    let comparing = Box::pin(compare(context, file.as_ref(), &state, &place, &looking, &clients));
    let compared = match select(identity, comparing).await {
        Either::Left((identity, comparing)) => {
            identity?;
            comparing.await?
        }
        Either::Right((compared, identity)) => {
            identity.await?;
            compared?
        }
    };
    let Compared { facts, addresses, observed, drift, recorded_otherwise } = compared;
    Ok(Looked { name: chosen.name, file, place, facts, addresses, observed, drift, recorded_otherwise, clients })
}

struct Compared {
    facts: Option<Facts>,
    addresses: Vec<Address>,
    observed: Observed,
    drift: Drift,
    recorded_otherwise: bool,
}

async fn compare(
    context: &Context,
    file: Option<&Stack>,
    state: &State,
    place: &Place,
    looking: &Clients,
    clients: &Clients,
) -> Result<Compared, Failure> {
    let (facts, graph) = match file {
        Some(file) => {
            let facts = facts::deployed(context, file, state, place, clients, KEPT).await?;
            let graph = expand(file, place, &facts)?;
            (Some(facts), Some(compared_by_hash(&graph, state)?))
        }
        None => (None, None),
    };
    let shared = catalog(looking);
    let nothing = Graph::default();
    let observed = observe(graph.as_ref().unwrap_or(&nothing), state, &shared);
    let mut observed = observed.await.map_err(|unreadable| plan::cannot_read(&unreadable))?;
    let known = Known { stack: &state.stack, observed: &observed };
    let (strange, again) =
        futures::join!(unmanaged::find(looking, &shared, known), read_again(graph.as_ref(), state, &observed, clients));
    let strange = strange?;
    observed.extend(again?);
    let strange = still_found(strange, state, &observed, clients).await?;
    let against_state = drift(None, state, &observed, &shared);
    let recorded_otherwise = against_state.findings.iter().any(|finding| finding.what == What::Changed);
    let mut drift = drift(graph.as_ref(), state, &observed, &shared);
    drift.extend(strange);
    for finding in drift.findings.iter_mut().filter(|finding| finding.declared_at.is_empty()) {
        let node = graph.as_ref().and_then(|graph| graph.get(&finding.address));
        finding.declared_at = node.map(|node| node.declared_at.clone()).unwrap_or_default();
    }
    let addresses = match &graph {
        Some(graph) => graph.nodes().map(|node| node.address.clone()).collect(),
        None => state.resources.keys().cloned().collect(),
    };
    Ok(Compared { facts, addresses, observed, drift, recorded_otherwise })
}

/// What seems to differ, read by itself.
async fn read_again(
    graph: Option<&Graph>,
    state: &State,
    observed: &Observed,
    clients: &Clients,
) -> Result<Observed, Failure> {
    let catalog = catalog(clients);
    let found = drift(graph, state, observed, &catalog);
    let addresses: BTreeSet<&Address> = found.findings.iter().map(|finding| &finding.address).collect();
    let mut some = state.clone();
    // What is in an object of somebody else's is told of that one alone, and may be ours after all.
    let theirs = |address: &Address| matches!(observed.get(address), Some(Observation::Theirs { .. }));
    some.resources.retain(|address, _| addresses.contains(address) || theirs(address));
    if some.resources.is_empty() {
        return Ok(Observed::new());
    }
    let again = observe(&Graph::default(), &some, &catalog).await;
    again.map_err(|unreadable| plan::cannot_read(&unreadable))
}

/// What touches the stack, listed a second time: as it is by then, as far as it was found before. What a run or somebody else
/// makes and takes away in between is not told.
async fn still_found(
    before: Vec<Finding>,
    state: &State,
    observed: &Observed,
    clients: &Clients,
) -> Result<Vec<Finding>, Failure> {
    if before.is_empty() {
        return Ok(before);
    }
    // What the first look has listed is kept in its clients.
    let looking = clients.looking(state);
    let mut found = unmanaged::find(&looking, &catalog(&looking), Known { stack: &state.stack, observed }).await?;
    found.retain(|finding| before.iter().any(|earlier| earlier.key() == finding.key()));
    Ok(found)
}
