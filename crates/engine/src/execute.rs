//! Carries a plan out: one loop owns the queue and the journal, steps run as tasks and only report back.
//!
//! A step's intent is on disk before its call leaves, its id as soon as the cloud has named the object, and its end
//! when the answer is here. A failed step blocks what needs it; everything else goes on.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot::{self, Sender};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diff::{Views, diff};
use crate::event::Event;
use crate::plan::{Action, Plan, Step};
use crate::queue::Queue;
use crate::resource::{Call, Catalog, Found, Kind, LiveValue, OnChange, Owner};
use crate::state::{Entry, StateError, StateStore, StepId};
use crate::value::{redact, resolve, scrub};
use crate::{Address, CloudError, ErrorKind, State};

/// How a plan is carried out.
pub struct Options {
    /// How many steps run at once.
    pub width: usize,
    /// Start nothing more; wait for what is running.
    pub stop: CancellationToken,
    /// Leave at once; the journal knows what was begun.
    pub leave: CancellationToken,
    /// Who listens.
    pub events: UnboundedSender<Event>,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed, with why.
    pub failed: Vec<(Address, CloudError)>,
    /// Steps not tried because something they need failed.
    pub blocked: Vec<Address>,
    /// Steps that an interrupt kept from being tried, or from ending.
    pub left: usize,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.blocked.is_empty() && self.left == 0
    }
}

/// What a task tells the loop.
enum Report {
    Named { index: usize, id: String, written: Sender<()> },
    Ended { index: usize, result: Result<Value, CloudError> },
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
        step_of: BTreeMap::new(),
        started: BTreeMap::new(),
        tasks: JoinSet::new(),
        reports,
        outcome: Outcome::default(),
    };
    let ended = run.drive(store, inbox).await;
    // Steps are left where they wait for an answer. Usually none is running here.
    run.tasks.shutdown().await;
    ended?;
    let tried = run.outcome.done + run.outcome.failed.len() + run.outcome.blocked.len();
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
    /// The journal's number of each step that was begun; given in the order of beginning, so that they rise.
    step_of: BTreeMap<usize, StepId>,
    started: BTreeMap<usize, Instant>,
    tasks: JoinSet<()>,
    reports: UnboundedSender<Report>,
    outcome: Outcome,
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
            if self.started.is_empty() {
                return Ok(());
            }
            batch = tokio::select! {
                biased;
                () = self.options.leave.cancelled() => break,
                report = inbox.recv() => report.into_iter().collect(),
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
        while self.started.len() + starting.len() < width && !self.stopping() {
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
        self.options.stop.is_cancelled() || self.options.leave.is_cancelled()
    }

    fn spawn(&mut self, index: usize, inputs: Value, state: &State) {
        let step = self.plan.steps[index].clone();
        self.started.insert(index, Instant::now());
        self.emit(Event::Started { address: step.address.clone(), action: step.action, usual: step.usual });
        let kind = self.catalog.require(step.address.kind()).cloned();
        let made_by = state.resources.get(&step.address).and_then(|record| record.made_by);
        let number = made_by.filter(|_| step.action == Action::Create).or(self.step_of.get(&index).copied());
        let token = format!("{}-{}", state.lineage, number.unwrap_or_default());
        let (events, address) = (self.options.events.clone(), step.address.clone());
        let (known, secrets) = (inputs.clone(), step.secrets.clone());
        let progress = Arc::new(move |message: String| {
            let message = scrub(&message, &known, &secrets);
            // A listener that has gone away misses nothing that it wants.
            let _ = events.send(Event::Waiting { address: address.clone(), message });
        });
        let call = Call::new(step.address.clone(), token, progress);
        let naming = Naming { index, reports: self.reports.clone() };
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let work = AssertUnwindSafe(async { run_step(kind?, &call, &step, &inputs, &naming).await });
            let result = work.catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)));
            // The loop is gone only when the run is being left; the journal says that the step was begun.
            let _ = reports.send(Report::Ended { index, result });
        });
    }

    /// Stages what has been reported. Returns whom to tell when it is on disk.
    fn record(&mut self, store: &mut StateStore, batch: Vec<Report>) -> Result<Vec<Sender<()>>, StateError> {
        let mut named = Vec::new();
        for report in batch {
            let (Report::Named { index, .. } | Report::Ended { index, .. }) = report;
            let Some(step) = self.step_of.get(&index).copied() else { continue };
            let Step { address, action, .. } = &self.plan.steps[index];
            let elapsed = || self.started.get(&index).map(Instant::elapsed).unwrap_or_default();
            match report {
                Report::Named { id, written, .. } => {
                    store.stage(vec![Entry::Named { step, id: id.clone() }])?;
                    self.emit(Event::Named { address: address.clone(), id });
                    named.push(written);
                }
                Report::Ended { result: Ok(outputs), .. } => {
                    store.stage(vec![Entry::Done { step, outputs }])?;
                    self.emit(Event::Done { address: address.clone(), action: *action, elapsed: elapsed() });
                    self.started.remove(&index);
                    self.outcome.done += 1;
                    self.queue.succeed(index);
                }
                Report::Ended { result: Err(error), .. } => {
                    let error = scrubbed(error, &self.plan.steps[index]);
                    store.stage(vec![Entry::Failed { step, reason: error.to_string() }])?;
                    let elapsed = elapsed();
                    self.started.remove(&index);
                    self.fail(index, error, elapsed);
                }
            }
        }
        Ok(named)
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

/// How a step tells the loop what the cloud has called its object.
struct Naming {
    index: usize,
    reports: UnboundedSender<Report>,
}

impl Naming {
    /// Returns once the name is on disk.
    async fn named(&self, id: &str) -> Result<(), CloudError> {
        let (written, is_written) = oneshot::channel();
        let report = Report::Named { index: self.index, id: id.to_owned(), written };
        let lost = || CloudError::new(ErrorKind::Other, "pinfra", "the run ended before the id could be recorded");
        self.reports.send(report).map_err(|_| lost())?;
        is_written.await.map_err(|_| lost())
    }
}

async fn run_step(
    kind: Arc<dyn Kind>,
    call: &Call,
    step: &Step,
    inputs: &Value,
    naming: &Naming,
) -> Result<Value, CloudError> {
    match (step.action, &step.id) {
        (Action::Create, _) => make(&*kind, call, inputs, naming).await,
        (Action::Update | Action::Adopt, Some(id)) => {
            let old = step.live.as_ref().unwrap_or(inputs);
            change(&*kind, call, id, old, inputs).await
        }
        (Action::Delete, Some(id)) => kind.delete(call, id).await.map(|()| Value::Null),
        (Action::Forget, _) => Ok(Value::Null),
        (Action::Update | Action::Adopt | Action::Delete, None) => {
            Err(CloudError::new(ErrorKind::Other, step.address.kind(), "the plan has no id for this step"))
        }
    }
}

async fn make(kind: &dyn Kind, call: &Call, inputs: &Value, naming: &Naming) -> Result<Value, CloudError> {
    let id = match kind.create(call, inputs).await {
        Ok(id) => id,
        // The name is taken: by an answer of ours that was lost, or by somebody else.
        Err(taken) if taken.kind == ErrorKind::AlreadyExists => {
            let found = kind.find_many(std::slice::from_ref(inputs)).await.pop();
            match found {
                Some(Ok(Some(Found { id, owner: Owner::Ours }))) => {
                    naming.named(&id).await?;
                    let live = kind.read_many(std::slice::from_ref(&id)).await.pop();
                    let Some(Ok(Some(live))) = live else { return Err(taken) };
                    if must_be_replaced(kind, &live.inputs, inputs) {
                        return Err(taken.with_hint("it is half-made and cannot be changed: run this again"));
                    }
                    return change(kind, call, &id, &live.inputs, inputs).await;
                }
                Some(Ok(Some(Found { owner: Owner::Theirs(owner), .. }))) => {
                    return Err(taken.with_hint(format!("it is {owner}: choose another name, or remove it")));
                }
                _ => return Err(taken),
            }
        }
        Err(error) => return Err(error),
    };
    naming.named(&id).await?;
    kind.settle(call, &id, inputs).await.map(|LiveValue { outputs, .. }| outputs)
}

/// Whether no update leads from `old` to `new`.
fn must_be_replaced(kind: &dyn Kind, old: &Value, new: &Value) -> bool {
    let views = Views { desired: new, secrets: &BTreeSet::new(), recorded: None, live: Some(old), salt: "" };
    diff(kind.info(), &views).iter().any(|change| change.on_change == OnChange::Replace)
}

async fn change(kind: &dyn Kind, call: &Call, id: &str, old: &Value, new: &Value) -> Result<Value, CloudError> {
    if old != new {
        kind.update(call, id, old, new).await?;
    }
    kind.settle(call, id, new).await.map(|LiveValue { outputs, .. }| outputs)
}
