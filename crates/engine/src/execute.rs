//! Carries a plan out: one loop owns the queue and the journal, steps run as tasks and only report back.
//!
//! A step's intent is on disk before its call leaves, its id as soon as the cloud has named the object, and its end
//! when the answer is here. A failed step blocks what needs it; everything else goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::plan::{Action, Plan, Step};
use crate::queue::Queue;
use crate::resource::{Call, Catalog, Found, Kind, LiveValue, Owner};
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
    /// Steps not tried because the run was interrupted.
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
    Named { index: usize, id: String, written: tokio::sync::oneshot::Sender<()> },
    Ended { index: usize, result: Result<Value, CloudError> },
}

/// Carries `plan` out against `catalog`, recording in `store`. Returns an error only when state cannot be written:
/// then nothing more is started.
pub async fn execute(
    plan: &Plan,
    catalog: &Catalog,
    store: &mut StateStore,
    options: &Options,
) -> Result<Outcome, StateError> {
    let items: Vec<(Duration, &[usize])> = plan.steps.iter().map(|step| (step.usual, step.needs.as_slice())).collect();
    let (reports, inbox) = unbounded_channel();
    let run = Run {
        plan,
        catalog,
        options,
        queue: Queue::new(&items),
        first_step: store.state().next_step,
        step_of: BTreeMap::new(),
        started: BTreeMap::new(),
        tasks: JoinSet::new(),
        reports,
        outcome: Outcome::default(),
    };
    run.drive(store, inbox).await
}

struct Run<'a> {
    plan: &'a Plan,
    catalog: &'a Catalog,
    options: &'a Options,
    queue: Queue,
    first_step: StepId,
    /// The journal's number of each step that was begun; given in the order of beginning, so that they rise.
    step_of: BTreeMap<usize, StepId>,
    started: BTreeMap<usize, Instant>,
    tasks: JoinSet<()>,
    reports: UnboundedSender<Report>,
    outcome: Outcome,
}

impl Run<'_> {
    async fn drive(
        mut self,
        store: &mut StateStore,
        mut inbox: UnboundedReceiver<Report>,
    ) -> Result<Outcome, StateError> {
        loop {
            self.start_ready(store)?;
            if self.started.is_empty() {
                break;
            }
            let first = tokio::select! {
                report = inbox.recv() => report,
                () = self.options.leave.cancelled() => break,
                Some(Err(panicked)) = self.tasks.join_next() => {
                    // A task reports its own panic below; only a cancelled one comes here, and none is cancelled.
                    debug_assert!(!panicked.is_cancelled(), "steps are not cancelled");
                    continue;
                }
            };
            // Whatever else has arrived meanwhile is recorded with it, in one write.
            let mut batch: Vec<Report> = first.into_iter().collect();
            while let Ok(more) = inbox.try_recv() {
                batch.push(more);
            }
            self.record(store, batch)?;
        }
        let tried = self.outcome.done + self.outcome.failed.len() + self.outcome.blocked.len();
        self.outcome.left = self.plan.steps.len() - tried;
        Ok(self.outcome)
    }

    fn start_ready(&mut self, store: &mut StateStore) -> Result<(), StateError> {
        let mut starting = Vec::new();
        while self.started.len() + starting.len() < self.options.width && !self.options.stop.is_cancelled() {
            let Some(index) = self.queue.pop() else { break };
            let step = &self.plan.steps[index];
            match resolve(&step.inputs, &|reference| store.state().output(reference)) {
                Ok(inputs) => starting.push((index, inputs)),
                Err(reference) => {
                    let message = format!("`{reference}` is not known, although what has it is made");
                    let error = CloudError::new(ErrorKind::Other, step.address.kind(), message);
                    self.fail(index, error, Duration::ZERO);
                }
            }
        }
        let mut entries = Vec::with_capacity(starting.len());
        for (index, inputs) in &starting {
            let step = &self.plan.steps[*index];
            let number = self.first_step + self.step_of.len() as StepId;
            self.step_of.insert(*index, number);
            entries.push(Entry::Begin {
                step: number,
                address: step.address.clone(),
                action: step.action,
                id: step.id.clone(),
                inputs: redact(inputs, &step.secrets, &store.state().lineage),
                needs: step.recorded_needs.clone(),
            });
        }
        store.append(entries)?;
        for (index, inputs) in starting {
            self.spawn(index, inputs, store.state());
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize, inputs: Value, state: &State) {
        let step = self.plan.steps[index].clone();
        self.started.insert(index, Instant::now());
        self.emit(Event::Started { address: step.address.clone(), action: step.action, usual: step.usual });
        let kind = self.catalog.require(step.address.kind()).cloned();
        let token = format!("{}-{}", state.lineage, self.step_of.get(&index).copied().unwrap_or_default());
        let (events, address) = (self.options.events.clone(), step.address.clone());
        let progress = Arc::new(move |message| {
            // A listener that has gone away misses nothing that it wants.
            let _ = events.send(Event::Waiting { address: address.clone(), message });
        });
        let call = Call::new(step.address.clone(), token, progress);
        let reports = self.reports.clone();
        let naming = Naming { index, reports: reports.clone() };
        let work = tokio::spawn(async move { run_step(kind?, &call, &step, &inputs, &naming).await });
        self.tasks.spawn(async move {
            let result = work.await.unwrap_or_else(|panicked| {
                Err(CloudError::new(ErrorKind::Other, "pinfra", format!("this step panicked, a bug: {panicked}")))
            });
            // The loop is gone only when the run is being left; the journal says that the step was begun.
            let _ = reports.send(Report::Ended { index, result });
        });
    }

    fn record(&mut self, store: &mut StateStore, batch: Vec<Report>) -> Result<(), StateError> {
        let mut entries = Vec::with_capacity(batch.len());
        for report in &batch {
            let (Report::Named { index, .. } | Report::Ended { index, .. }) = report;
            let Some(step) = self.step_of.get(index).copied() else { continue };
            entries.push(match report {
                Report::Named { id, .. } => Entry::Named { step, id: id.clone() },
                Report::Ended { result: Ok(outputs), .. } => Entry::Done { step, outputs: outputs.clone() },
                Report::Ended { result: Err(error), .. } => {
                    let begun = &self.plan.steps[*index];
                    let reason = scrub(&error.to_string(), &begun.inputs, &begun.secrets);
                    Entry::Failed { step, reason }
                }
            });
        }
        store.append(entries)?;
        for report in batch {
            match report {
                Report::Named { index, id, written } => {
                    let address = self.plan.steps[index].address.clone();
                    self.emit(Event::Named { address, id });
                    // A step that has given up waiting needs no answer.
                    let _ = written.send(());
                }
                Report::Ended { index, result } => {
                    let elapsed = self.started.remove(&index).map(|at| at.elapsed()).unwrap_or_default();
                    match result {
                        Ok(_) => {
                            let Step { address, action, .. } = &self.plan.steps[index];
                            self.emit(Event::Done { address: address.clone(), action: *action, elapsed });
                            self.outcome.done += 1;
                            self.queue.succeed(index);
                        }
                        Err(error) => self.fail(index, error, elapsed),
                    }
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, error: CloudError, elapsed: Duration) {
        let step = &self.plan.steps[index];
        let error = CloudError { message: scrub(&error.message, &step.inputs, &step.secrets), ..error };
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

/// How a step tells the loop what the cloud has called its object.
struct Naming {
    index: usize,
    reports: UnboundedSender<Report>,
}

impl Naming {
    /// Returns once the name is on disk.
    async fn named(&self, id: &str) -> Result<(), CloudError> {
        let (written, is_written) = tokio::sync::oneshot::channel();
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

async fn change(kind: &dyn Kind, call: &Call, id: &str, old: &Value, new: &Value) -> Result<Value, CloudError> {
    if old != new {
        kind.update(call, id, old, new).await?;
    }
    kind.settle(call, id, new).await.map(|LiveValue { outputs, .. }| outputs)
}
