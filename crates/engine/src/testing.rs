//! A cloud in memory with planned faults, for our tests and other crates'.
//!
//! It has two kinds of the same shape. A `fake/thing` is known by its name, which only one may have, as a bucket or
//! a stream is. A `fake/item` is known by its tags only, so that making one twice makes two, as with a machine. The
//! cloud checks order by itself: what a call refers to must be there, and what something is `within` cannot go.
//!
//! Faults are planned by call and number: the second `create`, the first `update b`, the seventh `change` (any of
//! create, update and delete).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::resource::{Call, Catalog, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use crate::value::{Input, Reference};
use crate::{Address, CloudError, ErrorKind, Node};

/// What a fake object is asked to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Replaced when it changes.
    pub name: String,
    /// Changed in place.
    pub size: u64,
    /// Changed in place. `owner` and `address` tell whose an object is.
    pub tags: BTreeMap<String, String>,
    /// The ARNs of other objects; changed in place.
    pub uses: Vec<Input<String>>,
    /// The ARN of another object, which cannot go before this one; replaced when it changes.
    pub within: Option<Input<String>>,
    /// The version of another object; changed in place.
    pub follows: Option<Input<u64>>,
    /// Changed in place; refused, and echoed, when it is `refused`.
    pub password: Option<String>,
}

/// What the fake cloud answers besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// Another one for each object that is made.
    pub arn: String,
    /// The id.
    pub id: String,
    /// How often it was changed.
    pub version: u64,
}

/// An object of the fake cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: &'static str,
    /// What it was last asked to be.
    pub inputs: Inputs,
    /// How often it was changed.
    pub version: u64,
    /// Whether `settle` has run since it was last changed.
    pub ready: bool,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is refused, without effect.
    Refuse(ErrorKind),
    /// It has its effect, but the caller is told that it failed.
    LoseAnswer,
    /// The step panics before the effect.
    Panic,
    /// The effect comes later.
    Delay(Duration),
    /// Nothing happens until [`FakeCloud::release`].
    Park,
    /// The effect is there, but no answer until [`FakeCloud::release`].
    ParkAnswer,
}

/// The cloud. Clones are the same cloud.
#[derive(Clone)]
pub struct FakeCloud {
    world: Arc<Mutex<World>>,
    parked: watch::Sender<usize>,
    released: watch::Sender<usize>,
}

#[derive(Clone, Default)]
struct World {
    objects: BTreeMap<String, Object>,
    /// How many objects are within each ARN.
    inside: BTreeMap<String, usize>,
    made: usize,
    calls: BTreeMap<String, usize>,
    faults: BTreeMap<(String, usize), Fault>,
    /// Names of objects that are being made, or deleted, for as long as they stand here.
    slow: BTreeSet<String>,
    tokens: Vec<String>,
    running: usize,
    most_running: usize,
}

impl Default for FakeCloud {
    fn default() -> FakeCloud {
        FakeCloud { world: Arc::default(), parked: watch::Sender::new(0), released: watch::Sender::new(0) }
    }
}

impl FakeCloud {
    /// An empty cloud.
    pub fn new() -> FakeCloud {
        FakeCloud::default()
    }

    /// Another cloud that holds the same objects, without faults and with nothing counted.
    pub fn copy(&self) -> FakeCloud {
        let world = self.world();
        let (objects, inside) = (world.objects.clone(), world.inside.clone());
        let world = World { objects, inside, made: world.made, ..World::default() };
        FakeCloud { world: Arc::new(Mutex::new(world)), ..FakeCloud::default() }
    }

    /// The two kinds, on this cloud.
    pub fn catalog(&self) -> Catalog {
        Catalog::default().with(Fake::<true>(self.clone())).with(Fake::<false>(self.clone()))
    }

    /// Plans that the `nth` call (counted from 1) named so goes wrong.
    pub fn fault(&self, call: &str, nth: usize, fault: Fault) {
        self.world().faults.insert((call.to_owned(), nth), fault);
    }

    /// Makes the object of this name take its time, when it is made and when it is deleted, until [`FakeCloud::hurry`].
    pub fn be_slow(&self, name: &str) {
        self.world().slow.insert(name.to_owned());
    }

    /// Ends what takes its time.
    pub fn hurry(&self) {
        self.world().slow.clear();
    }

    /// Waits as a kind does: looking now and then.
    async fn while_slow(&self, call: &Call, state: &str) -> Result<(), CloudError> {
        call.progress(state);
        while self.world().slow.contains(call.address.name()) {
            call.pause(Duration::from_secs(5)).await?;
        }
        Ok(())
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.world().faults.clear();
    }

    /// How many calls named so there were: `create`, `create a`, `change`, `read`, `find`.
    pub fn calls(&self, call: &str) -> usize {
        self.world().calls.get(call).copied().unwrap_or_default()
    }

    /// Everything there is, by id.
    pub fn objects(&self) -> BTreeMap<String, Object> {
        self.world().objects.clone()
    }

    /// The object that carries the address `kind.name`, with its id.
    pub fn object(&self, address: &str) -> Option<(String, Object)> {
        let world = self.world();
        let found = world.objects.iter().find(|(_, o)| o.inputs.tags.get("address").is_some_and(|a| a == address));
        found.map(|(id, object)| (id.clone(), object.clone()))
    }

    /// Puts an object there, or changes one, as somebody else would.
    pub fn put(&self, id: &str, object: Object) {
        self.world().insert(id.to_owned(), object);
    }

    /// Removes an object, as somebody else would.
    pub fn remove(&self, id: &str) -> Option<Object> {
        self.world().remove(id)
    }

    /// The client tokens of all creates.
    pub fn tokens(&self) -> Vec<String> {
        self.world().tokens.clone()
    }

    /// The most calls of steps that ran at the same time.
    pub fn most_running(&self) -> usize {
        self.world().most_running
    }

    /// Returns once that many calls were parked since the cloud was made.
    pub async fn wait_parked(&self, count: usize) {
        // The sender lives as long as this cloud, so the wait ends by the condition alone.
        let _ = self.parked.subscribe().wait_for(|parked| *parked >= count).await;
    }

    /// Lets everything go on that is parked now.
    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A planned panic comes outside the lock, so the data is whole even if another test's assertion failed.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: counts it, lets go wrong what is planned to, and has its effect in between.
    async fn call<T>(
        &self,
        verb: &str,
        name: &str,
        effect: impl FnOnce(&mut World) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        // Reads are as many at once as their kind likes; steps are as many as they are told.
        let _running = (!matches!(verb, "read" | "find")).then(|| Running::new(self));
        let fault = self.count(verb, name);
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::Refuse(kind)) => return Err(CloudError::new(kind, verb, format!("`{name}` was refused"))),
            #[expect(clippy::panic, reason = "a planned fault")]
            Some(Fault::Panic) => panic!("planned panic in {verb} {name}"),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Park) => self.park().await,
            Some(Fault::LoseAnswer | Fault::ParkAnswer) | None => {}
        }
        let answer = effect(&mut self.world());
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::LoseAnswer) => Err(CloudError::new(ErrorKind::Unreachable, verb, "the answer was lost")),
            Some(Fault::ParkAnswer) => {
                self.park().await;
                answer
            }
            _ => answer,
        }
    }

    fn count(&self, verb: &str, name: &str) -> Option<Fault> {
        let mut world = self.world();
        let change = matches!(verb, "create" | "update" | "delete").then(|| "change".to_owned());
        let mut planned = None;
        for call in [Some(verb.to_owned()), Some(format!("{verb} {name}")), change].into_iter().flatten() {
            let count = world.calls.entry(call.clone()).or_default();
            *count += 1;
            let count = *count;
            planned = planned.or(world.faults.get(&(call, count)).copied());
        }
        planned
    }

    async fn park(&self) {
        let mut released = self.released.subscribe();
        self.parked.send_modify(|count| *count += 1);
        // As in `wait_parked`.
        let _ = released.changed().await;
    }
}

/// Counts a call as running until it is dropped.
struct Running(FakeCloud);

impl Running {
    fn new(cloud: &FakeCloud) -> Running {
        let mut world = cloud.world();
        world.running += 1;
        world.most_running = world.most_running.max(world.running);
        drop(world);
        Running(cloud.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.world().running -= 1;
    }
}

impl World {
    fn insert(&mut self, id: String, object: Object) {
        self.remove(&id);
        if let Some(Input::Known(arn)) = &object.inputs.within {
            *self.inside.entry(arn.clone()).or_default() += 1;
        }
        self.objects.insert(id, object);
    }

    fn remove(&mut self, id: &str) -> Option<Object> {
        let object = self.objects.remove(id)?;
        if let Some(Input::Known(arn)) = &object.inputs.within
            && let Some(count) = self.inside.get_mut(arn)
        {
            *count -= 1;
        }
        Some(object)
    }

    fn arn_exists(&self, arn: &str) -> bool {
        arn.strip_prefix("arn:").is_some_and(|id| self.objects.contains_key(id))
    }

    fn check(&self, verb: &str, new: &Inputs) -> Result<(), CloudError> {
        let invalid = |message: String| Err(CloudError::new(ErrorKind::Invalid, verb, message));
        for arn in new.uses.iter().chain(&new.within) {
            match arn {
                Input::Known(arn) if self.arn_exists(arn) => {}
                other => return invalid(format!("`{}` refers to {other:?}, which is not there", new.name)),
            }
        }
        match new.password.as_deref() {
            Some(password) if password.starts_with("refused") => invalid(format!("`{password}` is no password")),
            _ => Ok(()),
        }
    }
}

/// `fake/thing` if `NAMED`, else `fake/item`.
struct Fake<const NAMED: bool>(FakeCloud);

impl<const NAMED: bool> Fake<NAMED> {
    fn live(id: &str, object: &Object) -> Live<Inputs, Outputs> {
        let outputs = Outputs { arn: format!("arn:{id}"), id: id.to_owned(), version: object.version };
        Live { inputs: object.inputs.clone(), outputs }
    }
}

fn gone(verb: &str, id: &str) -> CloudError {
    CloudError::new(ErrorKind::NotFound, verb, format!("there is no `{id}`"))
}

impl<const NAMED: bool> Resource for Fake<NAMED> {
    const INFO: KindInfo = KindInfo {
        kind: if NAMED { "fake/thing" } else { "fake/item" },
        summary: "An object of the fake cloud.",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "its name" },
            Field { name: "size", on_change: OnChange::Update, doc: "its size" },
            Field { name: "tags", on_change: OnChange::Update, doc: "its tags" },
            Field { name: "uses", on_change: OnChange::Update, doc: "what it uses" },
            Field { name: "within", on_change: OnChange::Replace, doc: "what it is within" },
            Field { name: "follows", on_change: OnChange::Update, doc: "the version that it follows" },
            Field { name: "password", on_change: OnChange::Update, doc: "its password" },
        ],
        outputs: &[("arn", "its name in the whole cloud"), ("id", "its id"), ("version", "how often it was changed")],
        loses: "",
        usual_create: Duration::from_secs(10),
        usual_update: Duration::from_secs(5),
        usual_delete: Duration::from_secs(2),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["version"];
    const MARK: Option<&'static str> = if NAMED { Some("arn") } else { None };
    const KNOWN_AGAIN: bool = NAMED;
    type Inputs = Inputs;
    type Outputs = Outputs;

    async fn create(&self, call: &Call, new: &Inputs) -> Result<String, CloudError> {
        let make = |world: &mut World| {
            world.tokens.push(call.token.clone());
            world.check("create", new)?;
            let same_name = |object: &Object| object.kind == Self::INFO.kind && object.inputs.name == new.name;
            if NAMED && world.objects.values().any(same_name) {
                let message = format!("`{}` is there already", new.name);
                return Err(CloudError::new(ErrorKind::AlreadyExists, "create", message));
            }
            world.made += 1;
            let id = format!("{}-{}", new.name, world.made);
            world.insert(id.clone(), Object { kind: Self::INFO.kind, inputs: new.clone(), version: 0, ready: false });
            Ok(id)
        };
        self.0.call("create", call.address.name(), make).await
    }

    async fn settle(&self, call: &Call, id: &str, _new: &Inputs) -> Result<Live<Inputs, Outputs>, CloudError> {
        self.0.while_slow(call, "CREATING").await?;
        let settle = |world: &mut World| {
            let object = world.objects.get_mut(id).ok_or_else(|| gone("settle", id))?;
            object.ready = true;
            Ok(Self::live(id, object))
        };
        self.0.call("settle", call.address.name(), settle).await
    }

    async fn read(&self, id: &str) -> Result<Option<Live<Inputs, Outputs>>, CloudError> {
        let read = |world: &mut World| Ok(world.objects.get(id).map(|object| Self::live(id, object)));
        self.0.call("read", id, read).await
    }

    async fn find(&self, new: &Inputs) -> Result<Option<Found>, CloudError> {
        let find = |world: &mut World| {
            let tag = |object: &Object, name: &str| object.inputs.tags.get(name) == new.tags.get(name);
            let matches = |object: &Object| match NAMED {
                true => object.inputs.name == new.name,
                false => tag(object, "owner") && tag(object, "address"),
            };
            let found = world.objects.iter().find(|(_, object)| object.kind == Self::INFO.kind && matches(object));
            Ok(found.map(|(id, object)| {
                let ours = tag(object, "owner") && tag(object, "address");
                let theirs = || format!("tagged {:?}", object.inputs.tags);
                Found { id: id.clone(), owner: if ours { Owner::Ours } else { Owner::Theirs(theirs()) } }
            }))
        };
        self.0.call("find", &new.name, find).await
    }

    async fn update(&self, call: &Call, id: &str, _old: &Inputs, new: &Inputs) -> Result<(), CloudError> {
        let change = |world: &mut World| {
            world.check("update", new)?;
            let object = world.objects.get_mut(id).ok_or_else(|| gone("update", id))?;
            let (name, within) = (object.inputs.name.clone(), object.inputs.within.clone());
            object.inputs = Inputs { name, within, ..new.clone() };
            object.version += 1;
            object.ready = false;
            Ok(())
        };
        self.0.call("update", call.address.name(), change).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let delete = |world: &mut World| {
            let inside = world.inside.get(&format!("arn:{id}")).copied().unwrap_or_default();
            if inside > 0 {
                let message = format!("`{id}` has {inside} objects within it");
                return Err(CloudError::new(ErrorKind::Blocked, "delete", message));
            }
            world.remove(id);
            Ok(())
        };
        self.0.call("delete", call.address.name(), delete).await?;
        self.0.while_slow(call, "DELETING").await
    }
}

/// A node of `address` (such as `fake/thing.a`) with these inputs, tagged as ours.
pub fn node(address: &str, mut inputs: Inputs) -> Node {
    let address: Address = address.parse().expect("a test writes its addresses right");
    inputs.tags.insert("owner".to_owned(), "us".to_owned());
    inputs.tags.insert("address".to_owned(), address.to_string());
    if inputs.name.is_empty() {
        inputs.name = address.name().to_owned();
    }
    let secrets = inputs.password.iter().map(|_| "password".to_owned()).collect::<BTreeSet<_>>();
    let inputs: Value = serde_json::to_value(inputs).expect("inputs have a JSON form");
    Node { address, inputs, secrets, after: Vec::new(), declared_at: String::new() }
}

/// The ARN of another resource.
pub fn arn_of(address: &str) -> Input<String> {
    output_of(address, "arn")
}

/// The version of another resource.
pub fn version_of(address: &str) -> Input<u64> {
    output_of(address, "version")
}

fn output_of<T>(address: &str, output: &str) -> Input<T> {
    let address = address.parse().expect("a test writes its addresses right");
    Input::Reference(Reference { address, output: output.to_owned() })
}
