//! Looks again before a plan is believed that takes something for gone which the cloud may only not show yet.
//!
//! AWS shows some things only after a moment ("Eventual consistency in the Amazon EC2 API"). What a run was making when it was
//! killed may be such a thing, and the run after it is the last one that knows of it.

use std::time::Duration;

use pinfra_engine::Plan;
use pinfra_engine::state::State;

use super::context::Context;

/// When to look again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// How many of them are spent on what was perhaps never made. What the cloud has named surely was.
const WITHOUT_A_NAME: usize = 2;

/// Pauses before the look after the first and `looked` more, where `plan` needs one. Returns whether it does.
pub(super) async fn look_again(context: &Context, state: &State, plan: &Plan, looked: usize) -> bool {
    if plan.unseen.is_empty() {
        return false;
    }
    let is_named = |address| state.resources.get(address).is_some_and(|record| record.id.is_some());
    let most = if plan.unseen.iter().any(is_named) { PAUSES.len() } else { WITHOUT_A_NAME };
    let Some(pause) = PAUSES[..most].get(looked) else { return false };
    if looked == 0 {
        context.tell("looking again for what the run before may have made at its end");
    }
    tokio::time::sleep(*pause).await;
    true
}
