//! Carries a plan out in front of a person: progress, interrupts, time, summary.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use pinfra_engine::{Catalog, Event, Options, Outcome, Plan, StateStore, execute};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::interrupt::{Interrupts, unless_interrupted};
use crate::cli::Patience;
use crate::report::{Failure, out, plan as plan_view, progress, summary};
use crate::spec::Target;

/// How a plan was carried out, where nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// All of it is done.
    Whole,
    /// What takes long is under way and was not waited for, as was asked (`--detach`).
    Detached,
}

/// What the user asked for besides the plan.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// `pinfra up` or `pinfra down`.
    pub(super) command: &'static str,
    /// Without a question; who saved a plan has seen it.
    pub(super) yes: bool,
    /// How long to wait.
    pub(super) patience: Patience,
}

/// Shows what is about to be done and asks, where that is called for: on AWS, unless `--yes` was given.
pub(super) async fn ask(context: &Context, plan: &Plan, target: Target, yes: bool) -> Result<(), Failure> {
    if target == Target::Local || yes {
        return Ok(());
    }
    out::note(plan_view::draw(plan, plan_view::Detail::Changes, context.paint).trim_end());
    if !std::io::stdin().is_terminal() || context.global.json {
        return Err(Failure::new("this changes an AWS account, and there is no terminal to ask at")
            .hint("look at `pinfra plan`, then give `--yes`"));
    }
    // The answer is read by a thread of its own: nothing else would let go of the terminal at an interrupt.
    let answer = tokio::task::spawn_blocking(|| out::ask("go ahead? (yes/no) "));
    let answered = unless_interrupted("nothing was done", async { Ok(answer.await.unwrap_or(false)) }).await?;
    if answered { Ok(()) } else { Err(Failure::new("nothing was done")) }
}

/// Carries `plan` out and tells how it ended.
pub(super) async fn carry_out(
    context: &Context,
    plan: &Plan,
    catalog: &Catalog,
    store: &mut StateStore,
    asked: Asked,
) -> Result<Carried, Failure> {
    let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
    let (interrupted, timed_out) = (CancellationToken::new(), CancellationToken::new());
    let (events, inbox) = tokio::sync::mpsc::unbounded_channel();
    let ends = Ends { stop: stop.clone(), leave: leave.clone(), events: events.clone() };
    let signals = tokio::spawn(listen(Interrupts::new()?, ends.clone(), interrupted.clone()));
    let left = asked.patience.timeout.map(|timeout| timeout.saturating_sub(context.started.elapsed()));
    let clock = tokio::spawn(run_out(left, ends, timed_out.clone()));
    let shown = tokio::spawn(progress::show(inbox, plan.steps.len(), context.reader(), context.paint));
    let width = usize::from(context.global.parallelism);
    let options = Options { width, stop, leave, detach: asked.patience.detach, events };
    let outcome = execute(plan, catalog, store, &options).await;
    drop(options);
    signals.abort();
    clock.abort();
    // A reader that panicked has shown what it could; the outcome below is what counts.
    let _ = shown.await;
    let outcome = outcome?;
    let out_of_time = asked.patience.timeout.filter(|_| timed_out.is_cancelled() && !outcome.is_complete());
    tell(context, plan, &outcome, asked.command, out_of_time)?;
    if outcome.is_complete() {
        return Ok(Carried::Whole);
    }
    if interrupted.is_cancelled() {
        return Err(Failure::Interrupted(None));
    }
    let nothing_wrong = outcome.failed.is_empty() && outcome.halted.is_none() && out_of_time.is_none();
    if asked.patience.detach && nothing_wrong { Ok(Carried::Detached) } else { Err(Failure::Told(1)) }
}

fn tell(
    context: &Context,
    plan: &Plan,
    outcome: &Outcome,
    command: &str,
    timed_out: Option<Duration>,
) -> Result<(), Failure> {
    let elapsed = context.started.elapsed();
    if context.global.json {
        let parked: Vec<_> = outcome.parked.iter().map(|parked| &parked.address).collect();
        return context.result(
            "",
            "summary",
            json!({
                "done": outcome.done, "failed": outcome.failed.len(), "blocked": outcome.blocked.len(),
                "under_way": parked, "not_finished": outcome.left + parked.len(), "seconds": elapsed.as_secs_f64(),
                "halted": outcome.halted.as_ref().map(ToString::to_string), "timed_out": timed_out.is_some(),
            }),
        );
    }
    if !context.global.quiet || !outcome.is_complete() {
        let declared: BTreeMap<String, String> =
            plan.steps.iter().map(|step| (step.address.to_string(), step.declared_at.clone())).collect();
        let run = summary::Run { command, elapsed, declared: &declared, timed_out };
        out::note(summary::draw(outcome, &run, context.paint).trim_end());
    }
    Ok(())
}

/// How a run is brought to its end from outside.
#[derive(Clone)]
struct Ends {
    stop: CancellationToken,
    leave: CancellationToken,
    events: UnboundedSender<Event>,
}

impl Ends {
    fn stop(&self) {
        // A reader that has gone away misses nothing that it wants.
        let _ = self.events.send(Event::Stopping);
        self.stop.cancel();
    }
}

/// First interrupt: start nothing more, park what waits. Second: leave.
async fn listen(mut interrupts: Interrupts, ends: Ends, interrupted: CancellationToken) {
    interrupts.next().await;
    interrupted.cancel();
    ends.stop();
    interrupts.next().await;
    ends.leave.cancel();
}

/// After `time`, where there is one: the same as the first interrupt.
async fn run_out(time: Option<Duration>, ends: Ends, timed_out: CancellationToken) {
    let Some(time) = time else { return };
    tokio::time::sleep(time).await;
    timed_out.cancel();
    ends.stop();
}
