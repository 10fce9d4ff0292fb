//! What the stack's lock tells of the run that is at work on it, and of the last one where that was not finished.

use pinfra_engine::State;
use pinfra_engine::state::{Life, LockStatus, lock_status};

use super::context::Context;
use super::stacks;
use crate::report::Failure;

/// A run that matters to whoever looks at a stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// One is at work; the text says which.
    AtWork(String),
    /// The last one was a `down` that has destroyed something, and not all.
    HalfDown,
}

impl Run {
    /// The one of this stack, if there is any. A lock that cannot be read is for `lock status` to tell.
    pub(super) fn of(context: &Context, name: &str, state: &State) -> Result<Option<Run>, Failure> {
        let status = lock_status(&*stacks::shelf(context, name)?).ok().flatten();
        Ok(status.and_then(|status| judged(&status, state)))
    }

    /// Tells whoever compares with the cloud that a run is changing it.
    pub(super) fn tell_if_at_work(context: &Context, name: &str, state: &State) -> Result<(), Failure> {
        if let Some(Run::AtWork(who)) = Run::of(context, name, state)? {
            context.tell(&format!("{who}: what it has begun and not finished shows as different"));
        }
        Ok(())
    }
}

fn judged(status: &LockStatus, state: &State) -> Option<Run> {
    let holder = &status.holder;
    let who = format!("`pinfra {}` of {} (pid {})", holder.command, holder.at(), holder.pid);
    match status.life {
        Life::Held => return Some(Run::AtWork(format!("{who} is at work on it"))),
        Life::Silent => return Some(Run::AtWork(format!("{who} is there and silent: see `pinfra lock status`"))),
        Life::Free | Life::Dead | Life::Expired => {}
    }
    // What a run writes bears its lock's token: a `down` that was refused, or not confirmed, has written nothing.
    let has_written = state.token == holder.token;
    (holder.command == "down" && has_written && !state.resources.is_empty()).then_some(Run::HalfDown)
}
