//! Carries a plan out: one loop owns the queue and the journal, steps run as tasks and only report back.
//!
//! A step's intent is on disk before its call leaves, its id as soon as the cloud has named the object, and its end
//! when the answer is here. A failed step blocks what needs it; everything else goes on.
//!
//! A run that is to end before its plan does (an interrupt, credentials that have expired, `detach`) starts nothing more and
//! *parks* what runs: calls that have left are finished, and waits are left. The journal has such a step as begun, and
//! with the id that the cloud gave it, so the next run goes on with it.

mod outcome;
mod step;
mod tries;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot::Sender;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::plan::{Action, Plan, Step};
use crate::queue::Queue;
use crate::resource::{Call, Catalog};
use crate::state::{Entry, StateError, StateStore, StepId};
use crate::value::{redact, resolve, scrub};
use crate::{Address, CloudError, ErrorKind, State};
pub use outcome::{Outcome, Parked};
use step::Naming;

/// What takes longer than this is not waited for by a run that detaches.
const LONG: Duration = Duration::from_secs(30);
/// How often a run that detaches looks how long its steps have been waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a plan is carried out.
pub struct Options {
    /// How many steps run at once.
    pub width: usize,
    /// Start nothing more, finish calls that have left, park what waits.
    pub stop: CancellationToken,
    /// Leave at once; the journal knows what was begun.
    pub leave: CancellationToken,
    /// End as soon as nothing more can be started and all that runs waits for what takes long.
    pub detach: bool,
    /// Who listens.
    pub events: UnboundedSender<Event>,
}

/// What a task tells the loop.
enum Report {
    Named {
        index: usize,
        id: String,
        written: Sender<()>,
    },
    /// It waits for the first time.
    Pausing {
        index: usize,
    },
    Waiting {
        index: usize,
        message: String,
    },
    Ended {
        index: usize,
        result: Result<Value, CloudError>,
    },
}

/// Carries `plan` out against `catalog`, recording in `store`. Returns an error only when state cannot be written:
/// then nothing more is started, and what is running is left. No step runs any more once this has returned.
pub async fn execute(
    plan: &Plan,
    catalog: &Catalog,
    store: &mut StateStore,
    options: &Options,
) -> Result<Outcome, StateError> {
    let seen = plan.seen.iter().map(|entry| before_the_steps(entry, store.state())).collect();
    store.append(seen)?;
    let items: Vec<(Duration, &[usize])> = plan.steps.iter().map(|step| (step.usual, step.needs.as_slice())).collect();
    let (reports, inbox) = unbounded_channel();
    let mut run = Run {
        plan,
        catalog,
        options,
        queue: Queue::new(&items),
        began: Instant::now(),
        park: options.stop.child_token(),
        step_of: BTreeMap::new(),
        running: BTreeMap::new(),
        made: BTreeMap::new(),
        tasks: JoinSet::new(),
        reports,
        outcome: Outcome::default(),
    };
    let ended = run.drive(store, inbox).await;
    // Steps are left where they wait for an answer. Usually none is running here.
    run.tasks.shutdown().await;
    ended?;
    let outcome = &run.outcome;
    let tried = outcome.done + outcome.failed.len() + outcome.blocked.len() + outcome.parked.len();
    run.outcome.left = plan.steps.len() - tried;
    if run.outcome.is_complete() {
        store.append(plan.seen.clone())?;
    }
    Ok(run.outcome)
}

/// What may be recorded of an untouched resource before the steps are done: all but what it newly needs. A need that
/// was turned round would make a circle with one that is still recorded, if a step fails.
fn before_the_steps(seen: &Entry, state: &State) -> Entry {
    let mut seen = seen.clone();
    if let Entry::Seen { address, needs, .. } = &mut seen {
        let record = state.resources.get(address);
        needs.retain(|need| record.is_some_and(|record| record.needs.contains(need)));
    }
    seen
}

struct Run<'a> {
    plan: &'a Plan,
    catalog: &'a Catalog,
    options: &'a Options,
    queue: Queue,
    began: Instant,
    /// Cancelled when the run is to end, for whatever reason.
    park: CancellationToken,
    /// The journal's number of each step that was begun; given in the order of beginning, so that they rise.
    step_of: BTreeMap<usize, StepId>,
    running: BTreeMap<usize, Running>,
    /// When each resource was made or changed by this run.
    made: BTreeMap<Address, Instant>,
    tasks: JoinSet<()>,
    reports: UnboundedSender<Report>,
    outcome: Outcome,
}

/// A step that runs.
struct Running {
    since: Instant,
    /// Since when it does nothing but wait, now and then looking.
    pausing: Option<Instant>,
    /// Whether what it makes has a name, by which the next run finds it.
    named: bool,
    waiting_for: Option<String>,
}

impl Run<'_> {
    async fn drive(&mut self, store: &mut StateStore, mut inbox: UnboundedReceiver<Report>) -> Result<(), StateError> {
        let mut batch: Vec<Report> = Vec::new();
        loop {
            // Ends, names and beginnings go to disk in one write; only then do calls leave and steps go on.
            let named = self.record(store, batch)?;
            let starting = self.begin_ready(store)?;
            store.sync()?;
            for written in named {
                // A step that is gone needs no answer.
                let _ = written.send(());
            }
            for (index, inputs) in starting {
                self.spawn(index, inputs, store.state());
            }
            if self.running.is_empty() {
                return Ok(());
            }
            if self.options.detach && self.busy() == 0 {
                self.park.cancel();
            }
            batch = tokio::select! {
                biased;
                () = self.options.leave.cancelled() => break,
                report = inbox.recv() => report.into_iter().collect(),
                () = tokio::time::sleep(PATIENCE), if self.options.detach => Vec::new(),
            };
            while let Ok(more) = inbox.try_recv() {
                batch.push(more);
            }
            while self.tasks.try_join_next().is_some() {}
        }
        // What has arrived by now is worth recording. Names that are not on disk are found again by the next run.
        self.tasks.shutdown().await;
        let mut last = Vec::new();
        while let Ok(more) = inbox.try_recv() {
            last.push(more);
        }
        self.record(store, last)?;
        store.sync()
    }

    /// Stages the beginning of as many steps as may run now.
    fn begin_ready(&mut self, store: &mut StateStore) -> Result<Vec<(usize, Value)>, StateError> {
        let mut starting = Vec::new();
        let width = self.options.width.max(1);
        while self.busy() + starting.len() < width && !self.stopping() {
            let Some(index) = self.queue.pop() else { break };
            let step = &self.plan.steps[index];
            let inputs = match resolve(&step.inputs, &|reference| store.state().output(reference)) {
                // As planning compares them. What the kind cannot read is told by its call.
                Ok(inputs) => self
                    .catalog
                    .get(step.address.kind())
                    .and_then(|kind| kind.normalise(&inputs).ok())
                    .unwrap_or(inputs),
                Err(reference) => {
                    let message = format!("`{reference}` is not known, although what has it is made");
                    let error = CloudError::new(ErrorKind::Other, step.address.kind(), message);
                    self.fail(index, error, Duration::ZERO);
                    continue;
                }
            };
            let number = store.state().next_step;
            store.stage(vec![Entry::Begin {
                step: number,
                address: step.address.clone(),
                action: step.action,
                id: step.id.clone(),
                inputs: redact(&inputs, &step.secrets, &store.state().lineage),
                needs: step.recorded_needs.clone(),
            }])?;
            self.step_of.insert(index, number);
            starting.push((index, inputs));
        }
        Ok(starting)
    }

    fn stopping(&self) -> bool {
        self.park.is_cancelled() || self.options.leave.is_cancelled()
    }

    /// How many steps run that something else may have to wait for. A run that detaches waits for no long one.
    fn busy(&self) -> usize {
        let long = |(index, running): &(&usize, &Running)| {
            let step = &self.plan.steps[**index];
            let has_name = running.named || step.action != Action::Create;
            has_name && running.pausing.is_some_and(|since| step.usual >= LONG || since.elapsed() >= LONG)
        };
        match self.options.detach {
            true => self.running.iter().filter(|running| !long(running)).count(),
            false => self.running.len(),
        }
    }

    fn spawn(&mut self, index: usize, inputs: Value, state: &State) {
        let step = self.plan.steps[index].clone();
        let since = Instant::now();
        self.running.insert(index, Running { since, pausing: None, named: false, waiting_for: None });
        self.emit(Event::Started { address: step.address.clone(), action: step.action, usual: step.usual });
        let kind = self.catalog.require(step.address.kind()).cloned();
        let made_by = state.resources.get(&step.address).and_then(|record| record.made_by);
        let number = made_by.filter(|_| step.action == Action::Create).or(self.step_of.get(&index).copied());
        let token = format!("{}-{}", state.lineage, number.unwrap_or_default());
        let call = self.call(index, &step, token, &inputs);
        let naming = Naming { index, reports: self.reports.clone() };
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let work = AssertUnwindSafe(call.scope(async { step::run(&*kind?, &call, &step, &inputs, &naming).await }));
            let result = work.catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)));
            // The loop is gone only when the run is being left; the journal says that the step was begun.
            let _ = reports.send(Report::Ended { index, result });
        });
    }

    fn call(&self, index: usize, step: &Step, token: String, inputs: &Value) -> Call {
        let (known, secrets) = (inputs.clone(), step.secrets.clone());
        let reports = self.reports.clone();
        let progress = Arc::new(move |message: String| {
            let message = scrub(&message, &known, &secrets);
            // When the loop is gone nobody is told any more.
            let _ = reports.send(Report::Waiting { index, message });
        });
        let (told, reports) = (AtomicBool::new(false), self.reports.clone());
        let pausing = Arc::new(move || {
            if !told.swap(true, Ordering::Relaxed) {
                let _ = reports.send(Report::Pausing { index });
            }
        });
        // What an earlier run may have made just before this one began counts as made when it began.
        let made = step.recorded_needs.iter().filter_map(|need| self.made.get(need)).max();
        Call::new(step.address.clone(), token, progress)
            .usually(step.usual)
            .after_making(made.copied().unwrap_or(self.began))
            .parked_by(self.park.clone(), pausing)
    }

    /// Stages what has been reported. Returns whom to tell when it is on disk.
    fn record(&mut self, store: &mut StateStore, batch: Vec<Report>) -> Result<Vec<Sender<()>>, StateError> {
        let mut named = Vec::new();
        for report in batch {
            let (Report::Named { index, .. }
            | Report::Pausing { index }
            | Report::Waiting { index, .. }
            | Report::Ended { index, .. }) = report;
            let Some(step) = self.step_of.get(&index).copied() else { continue };
            let address = self.plan.steps[index].address.clone();
            match report {
                Report::Named { id, written, .. } => {
                    store.stage(vec![Entry::Named { step, id: id.clone() }])?;
                    self.emit(Event::Named { address, id });
                    self.change(index, |running| running.named = true);
                    named.push(written);
                }
                Report::Pausing { .. } => self.change(index, |running| running.pausing = Some(Instant::now())),
                Report::Waiting { message, .. } => {
                    self.change(index, |running| running.waiting_for = Some(message.clone()));
                    self.emit(Event::Waiting { address, message });
                }
                Report::Ended { result: Ok(outputs), .. } => {
                    store.stage(vec![Entry::Done { step, outputs }])?;
                    let elapsed = self.end(index).map(|running| running.since.elapsed()).unwrap_or_default();
                    self.made.insert(address.clone(), Instant::now());
                    self.emit(Event::Done { address, action: self.plan.steps[index].action, elapsed });
                    self.outcome.done += 1;
                    self.queue.succeed(index);
                }
                Report::Ended { result: Err(error), .. } => {
                    let error = scrubbed(error, &self.plan.steps[index]);
                    if matches!(error.kind, ErrorKind::Parked | ErrorKind::Credentials) {
                        self.leave_to_itself(index, error);
                        continue;
                    }
                    store.stage(vec![Entry::Failed { step, reason: error.to_string() }])?;
                    let elapsed = self.end(index).map(|running| running.since.elapsed()).unwrap_or_default();
                    self.fail(index, error, elapsed);
                }
            }
        }
        Ok(named)
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.running.get_mut(&index) {
            change(running);
        }
    }

    fn end(&mut self, index: usize) -> Option<Running> {
        self.running.remove(&index)
    }

    /// A step that is left as the journal has it: begun, and named where it has a name.
    fn leave_to_itself(&mut self, index: usize, error: CloudError) {
        let waiting_for = self.end(index).and_then(|running| running.waiting_for);
        let step = &self.plan.steps[index];
        let parked = Parked { address: step.address.clone(), action: step.action, waiting_for };
        if error.kind == ErrorKind::Credentials && self.outcome.halted.is_none() {
            // No other step can go on either.
            self.park.cancel();
            self.emit(Event::Halted { error: error.clone() });
            self.outcome.halted = Some(error);
        }
        let Parked { address, action, waiting_for } = parked.clone();
        self.emit(Event::Parked { address, action, waiting_for });
        self.outcome.parked.push(parked);
    }

    fn fail(&mut self, index: usize, error: CloudError, elapsed: Duration) {
        let step = &self.plan.steps[index];
        let (address, action) = (step.address.clone(), step.action);
        self.emit(Event::Failed { address: address.clone(), action, error: error.clone(), elapsed });
        self.outcome.failed.push((address.clone(), error));
        let blocked: BTreeSet<usize> = self.queue.fail(index).into_iter().collect();
        for index in blocked {
            let step = &self.plan.steps[index];
            let event = Event::Blocked { address: step.address.clone(), action: step.action, by: address.clone() };
            self.outcome.blocked.push(step.address.clone());
            self.emit(event);
        }
    }

    fn emit(&self, event: Event) {
        // A listener that has gone away misses nothing that it wants.
        let _ = self.options.events.send(event);
    }
}

/// `error` without the secrets of the step, which the cloud may have echoed: those asked for and those there.
fn scrubbed(error: CloudError, step: &Step) -> CloudError {
    let live = step.live.as_ref().unwrap_or(&Value::Null);
    let clean = |text: String| scrub(&scrub(&text, &step.inputs, &step.secrets), live, &step.secrets);
    CloudError { message: clean(error.message), hint: error.hint.map(clean), ..error }
}

/// The error of a step that has panicked.
fn panicked(panic: &(dyn Any + Send)) -> CloudError {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("this step panicked, which is a bug: {}", said.unwrap_or("it did not say why"));
    CloudError::new(ErrorKind::Other, "pinfra", message)
}
