//! One step: the calls that make, change or delete one object, and what is done when the cloud does not take one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::Report;
use super::tries::Tries;
use crate::diff::{Views, diff};
use crate::plan::{Action, Step};
use crate::resource::{Call, Found, Kind, LiveValue, OnChange, Owner};
use crate::{CloudError, ErrorKind};

/// When to look for what a create may have left whose answer was lost: searches by tag learn of new objects some seconds
/// late (EC2 API reference, "Eventual consistency").
const LOOKS: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
];

/// How long what may be done is given to be known everywhere, before an object is made again that gave up without it.
const PERMISSIONS: Duration = Duration::from_secs(5);

/// How a step tells the loop what the cloud has called its object.
pub(super) struct Naming {
    pub(super) index: usize,
    pub(super) reports: UnboundedSender<Report>,
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

/// Runs a step to its end and returns the outputs of its resource.
pub(super) async fn run(
    kind: &dyn Kind,
    call: &Call,
    step: &Step,
    inputs: &Value,
    naming: &Naming,
) -> Result<Value, CloudError> {
    match (step.action, &step.id) {
        (Action::Create, _) => make(kind, call, step, inputs, naming).await,
        (Action::Update | Action::Adopt, Some(id)) => {
            let old = step.live.as_ref().unwrap_or(inputs);
            finish(kind, call, id, Some(old.clone()), inputs).await
        }
        (Action::Delete, Some(id)) => delete(kind, call, id).await.map(|()| Value::Null),
        (Action::Forget, _) => Ok(Value::Null),
        (Action::Update | Action::Adopt | Action::Delete, None) => {
            Err(CloudError::new(ErrorKind::Other, step.address.kind(), "the plan has no id for this step"))
        }
    }
}

async fn make(kind: &dyn Kind, call: &Call, step: &Step, inputs: &Value, naming: &Naming) -> Result<Value, CloudError> {
    let mut tries = Tries::new(call);
    let mut made_before = false;
    loop {
        let early = call.is_early();
        let refused = match kind.create(call, inputs).await {
            Ok(id) => {
                naming.named(&id).await?;
                let refused = match finish(kind, call, &id, None, inputs).await {
                    Err(refused) if early && refused.kind == ErrorKind::Permission => refused,
                    finished => return finished,
                };
                if (made_before && !call.is_early()) || !is_beyond_update(kind, &id, inputs).await? {
                    return Err(refused);
                }
                // It began before what it may do was known everywhere, and has given up for good.
                made_before = true;
                call.progress(format!("making it again after {refused}"));
                delete(kind, call, &id).await?;
                call.pause(PERMISSIONS).await?;
                continue;
            }
            Err(refused) => refused,
        };
        // Before it is sent again: an answer that was lost may have left what is asked for.
        match left_behind(kind, call, step, inputs, &refused).await? {
            Some(Found { id, owner: Owner::Ours }) => {
                naming.named(&id).await?;
                return take_over(kind, call, &id, inputs, refused).await;
            }
            Some(Found { owner: Owner::Theirs(owner), .. }) => {
                return Err(refused.with_hint(format!("it is {owner}: choose another name, or remove it")));
            }
            None => tries.pause_after(refused).await?,
        }
    }
}

/// What has the name or the tags of what could not be made: left by an answer that was lost, or somebody else's. Ends with
/// `refused` where nobody knows, and the cloud would make another one.
async fn left_behind(
    kind: &dyn Kind,
    call: &Call,
    step: &Step,
    inputs: &Value,
    refused: &CloudError,
) -> Result<Option<Found>, CloudError> {
    let looks: &[Duration] = match refused.kind {
        ErrorKind::AlreadyExists => &[Duration::ZERO],
        refused if refused.is_ambiguous() => &LOOKS,
        _ => &[],
    };
    let mut answered = looks.is_empty();
    for pause in looks {
        call.pause(*pause).await?;
        let found = kind.find_many(std::slice::from_ref(inputs)).await.pop();
        let Some(Ok(found)) = found else { continue };
        answered = true;
        match found {
            Some(found) if step.id.as_ref() != Some(&found.id) => return Ok(Some(found)),
            _ => {}
        }
    }
    if answered || kind.is_known_again() {
        return Ok(None);
    }
    Err(refused.clone().with_hint("it may have been made all the same: the next run looks for it"))
}

/// Goes on with an object of ours that is there already.
async fn take_over(
    kind: &dyn Kind,
    call: &Call,
    id: &str,
    inputs: &Value,
    refused: CloudError,
) -> Result<Value, CloudError> {
    let Some(live) = live(kind, id).await? else { return Err(refused) };
    let old = kind.comparable(&live, inputs, None).unwrap_or_else(|| live.inputs.clone());
    if must_be_replaced(kind, &old, inputs) || kind.beyond_update(&live, inputs).is_some() {
        return Err(refused.with_hint("it is half-made and cannot be changed: the next run replaces it"));
    }
    finish(kind, call, id, Some(old), inputs).await
}

/// Whether only another object can be what is asked for.
async fn is_beyond_update(kind: &dyn Kind, id: &str, inputs: &Value) -> Result<bool, CloudError> {
    Ok(live(kind, id).await?.is_some_and(|live| kind.beyond_update(&live, inputs).is_some()))
}

/// The object, where it can be read. What ends the run, and is no failure of this object, is passed on.
async fn live(kind: &dyn Kind, id: &str) -> Result<Option<LiveValue>, CloudError> {
    match kind.read_many(&[id.to_owned()]).await.pop() {
        Some(Ok(live)) => Ok(live),
        Some(Err(error)) if matches!(error.kind, ErrorKind::Parked | ErrorKind::Credentials) => Err(error),
        Some(Err(_)) | None => Ok(None),
    }
}

/// Whether no update leads from `old` to `new`.
fn must_be_replaced(kind: &dyn Kind, old: &Value, new: &Value) -> bool {
    let views = Views { desired: new, secrets: &BTreeSet::new(), recorded: None, live: Some(old), salt: "" };
    diff(kind.info(), &views).iter().any(|change| change.on_change == OnChange::Replace)
}

/// Brings an object from `old` (`None` just after its create) to `new` and waits until it is usable. After trouble it
/// begins again from what is there then.
async fn finish(
    kind: &dyn Kind,
    call: &Call,
    id: &str,
    mut old: Option<Value>,
    new: &Value,
) -> Result<Value, CloudError> {
    let mut tries = Tries::new(call);
    loop {
        let refused = match once(kind, call, id, old.as_ref(), new).await {
            Ok(LiveValue { outputs, .. }) => return Ok(outputs),
            Err(refused) => refused,
        };
        tries.pause_after_change(refused).await?;
        if let Some(Ok(Some(live))) = kind.read_many(&[id.to_owned()]).await.pop() {
            old = Some(kind.comparable(&live, new, None).unwrap_or(live.inputs));
        }
    }
}

async fn once(
    kind: &dyn Kind,
    call: &Call,
    id: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<LiveValue, CloudError> {
    if let Some(old) = old.filter(|old| *old != new) {
        kind.update(call, id, old, new).await?;
    }
    kind.settle(call, id, new).await
}

async fn delete(kind: &dyn Kind, call: &Call, id: &str) -> Result<(), CloudError> {
    let mut tries = Tries::new(call);
    loop {
        match kind.delete(call, id).await {
            Ok(()) => return Ok(()),
            Err(refused) => tries.pause_after_change(refused).await?,
        }
    }
}
