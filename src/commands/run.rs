//! Carries a plan out in front of a person: progress, interrupts, summary.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use pinfra_engine::{Catalog, Event, Options, Plan, StateStore, execute};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::report::{Failure, out, plan as plan_view, progress, summary};
use crate::spec::Target;

/// Shows what is about to be done and asks, where that is called for: on AWS, unless `--yes` was given.
pub(super) fn ask(context: &Context, plan: &Plan, target: Target, yes: bool) -> Result<(), Failure> {
    if target == Target::Local || yes {
        return Ok(());
    }
    out::note(plan_view::draw(plan, plan_view::Detail::Changes, context.page()).trim_end());
    if !std::io::stdin().is_terminal() || context.global.json {
        return Err(Failure::new("this changes an AWS account, and there is no terminal to ask at")
            .hint("look at `pinfra plan`, then give `--yes`"));
    }
    if out::ask("go ahead? (yes/no) ") { Ok(()) } else { Err(Failure::new("nothing was done")) }
}

/// Carries `plan` out and tells how it ended.
pub(super) async fn carry_out(
    context: &Context,
    plan: &Plan,
    catalog: &Catalog,
    store: &mut StateStore,
) -> Result<(), Failure> {
    let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
    let (events, inbox) = tokio::sync::mpsc::unbounded_channel();
    let signals = tokio::spawn(listen(stop.clone(), leave.clone(), events.clone()));
    let shown = tokio::spawn(progress::show(inbox, plan.steps.len(), context.reader(), context.paint));
    let options =
        Options { width: usize::from(context.global.parallelism), stop: stop.clone(), leave: leave.clone(), events };
    let outcome = execute(plan, catalog, store, &options).await;
    drop(options);
    signals.abort();
    // A reader that panicked has shown what it could; the outcome below is what counts.
    let _ = shown.await;
    let outcome = outcome?;
    let declared: BTreeMap<String, String> =
        plan.steps.iter().map(|step| (step.address.to_string(), step.declared_at.clone())).collect();
    let text = summary::draw(&outcome, context.started.elapsed(), &declared, context.paint);
    if context.global.json {
        context.result(
            "",
            "summary",
            json!({
                "done": outcome.done, "failed": outcome.failed.len(), "blocked": outcome.blocked.len(),
                "not_finished": outcome.left, "seconds": context.started.elapsed().as_secs_f64(),
            }),
        )?;
    } else if !context.global.quiet || !outcome.is_complete() {
        out::note(text.trim_end());
    }
    if stop.is_cancelled() && !outcome.is_complete() {
        return Err(Failure::Interrupted);
    }
    if outcome.is_complete() { Ok(()) } else { Err(Failure::Told(1)) }
}

/// First interrupt: start nothing more. Second: leave.
async fn listen(stop: CancellationToken, leave: CancellationToken, events: UnboundedSender<Event>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.is_cancelled() {
            leave.cancel();
            return;
        }
        // A reader that has gone away misses nothing that it wants.
        let _ = events.send(Event::Stopping);
        stop.cancel();
    }
}
