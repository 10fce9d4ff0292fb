//! What the engine knows of a kind of resource, and how it calls one.
//!
//! A kind implements [`Resource`] with types of its own; the engine holds kinds as [`Kind`], the same calls over
//! JSON. The step between the two is here and nowhere else.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::call::Call;
use crate::drift::Hints;
use crate::value::with_secrets_of;
use crate::{CloudError, ErrorKind};

/// What changing a field costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// A call on the object that exists.
    Update,
    /// Another object in its place.
    Replace,
    /// Nothing: the field only says how pinfra acts.
    Ignore,
}

/// One input of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the inputs; a path such as `mode.shards` for a part of one.
    pub name: &'static str,
    /// What changing it costs.
    pub on_change: OnChange,
    /// What it is, its unit and its limits, in a sentence.
    pub doc: &'static str,
}

/// What is known of a kind without asking the cloud.
#[derive(Debug)]
pub struct KindInfo {
    /// Its name in addresses and in state, such as `kinesis/stream`.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub summary: &'static str,
    /// Its inputs.
    pub fields: &'static [Field],
    /// The names of its outputs with what each is.
    pub outputs: &'static [(&'static str, &'static str)],
    /// What is lost with an object, such as `every object in it`; empty when it holds nothing of its own.
    pub loses: &'static str,
    /// How long a create usually takes on AWS.
    pub usual_create: Duration,
    /// How long an update usually takes on AWS.
    pub usual_update: Duration,
    /// How long a delete usually takes on AWS.
    pub usual_delete: Duration,
}

impl KindInfo {
    /// What changing the value at `path` costs: the longest field name that is `path` or stands above it decides.
    pub fn on_change(&self, path: &str) -> OnChange {
        let above =
            |field: &&Field| path.strip_prefix(field.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        // A field that the kind forgot to list is replaced: the safe answer, and `every_input_is_listed` fails on it.
        let longest = self.fields.iter().filter(above).max_by_key(|field| field.name.len());
        longest.map_or(OnChange::Replace, |field| field.on_change)
    }
}

/// What the cloud holds now.
#[derive(Clone, Debug, PartialEq)]
pub struct Live<I, O> {
    /// In the words of the inputs, so that it can be compared with what was asked for.
    pub inputs: I,
    /// What the cloud answered besides.
    pub outputs: O,
}

/// Why no update can make an object what is asked for, if that is so: it is broken for good, or would have to shrink what
/// only grows. It is pure, as planning is.
pub type BeyondUpdate<I, O> = fn(live: &Live<I, O>, new: &I) -> Option<String>;

/// Why what is asked for can neither be had of this object nor is worth another one in its place, if that is so: the plan is
/// refused with it. It is pure, as planning is.
pub type Refused<I, O> = fn(live: &Live<I, O>, new: &I) -> Option<String>;

/// The inputs of a live object as far as they are to be compared, given what is asked for and, where it is known, what was
/// asked for at the last run. It leaves out what the cloud filled in by itself and a kind's `read` cannot tell apart.
pub type Comparable<I, O> = fn(live: Live<I, O>, asked: &[I]) -> I;

/// Why an object does no work that is as asked for, where it is idle and `settle` sets it going, such as a machine that somebody
/// stopped. It is pure, as planning is.
pub type Idle<I, O> = fn(live: &Live<I, O>) -> Option<String>;

/// Whose an object is that `find` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It carries this stack's tags, or shows in another way that an interrupted create of ours made it.
    Ours,
    /// Somebody else's; the text says whose, as far as it is known.
    Theirs(String),
}

/// The tag that names the stack of a resource.
pub const STACK_TAG: &str = "pinfra:stack";
/// The tag that names a resource in its stack.
pub const ADDRESS_TAG: &str = "pinfra:address";

/// An object that has the name, or the tags, of one that we want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The cloud's handle.
    pub id: String,
    /// Whose it is.
    pub owner: Owner,
}

/// One kind of cloud object: its shape, what a change to it costs, and the calls that move it.
///
/// Every call may run twice: a kill can come between a call's effect and its answer.
pub trait Resource: Send + Sync + 'static {
    /// What is known without asking the cloud.
    const INFO: KindInfo;
    /// Outputs that an update may change, such as the version of an object's content: when one is planned, what
    /// refers to them is planned to change along. All others stay as they are for as long as the object lives.
    const CHANGING_OUTPUTS: &'static [&'static str] = &[];
    /// The output that is another one for another object, where the id is a name that another object may get. It tells an
    /// object of ours whose tags were taken off from one that somebody else has made in its place. A read may leave it out
    /// of an object that has ownership tags; one that cannot tell it counts as another object.
    const MARK: Option<&'static str> = None;
    /// Whether the cloud knows a create that is sent again, by a unique name or a client token. Where it does not, it would
    /// make another object, so what an earlier run may have made has to be looked for.
    const KNOWN_AGAIN: bool = true;
    /// Tells what can only be replaced, where that hangs on more than which field differs.
    const BEYOND_UPDATE: Option<BeyondUpdate<Self::Inputs, Self::Outputs>> = None;
    /// Tells what can be asked of a new object and not of this one, where a replacement is not what is meant.
    const REFUSED: Option<Refused<Self::Inputs, Self::Outputs>> = None;
    /// Tells what of a live object is compared, where that is not all of its inputs.
    const COMPARABLE: Option<Comparable<Self::Inputs, Self::Outputs>> = None;
    /// Tells what has to be set going although none of its fields differs.
    const IDLE: Option<Idle<Self::Inputs, Self::Outputs>> = None;
    /// How drift tells what differs.
    const DRIFT: Hints = Hints { members: &[], works: &[] };
    /// What a stack asks for.
    type Inputs: Serialize + DeserializeOwned + Send + Sync;
    /// What the cloud answers besides.
    type Outputs: Serialize + DeserializeOwned + Send + Sync;

    /// Sends the request that makes the object and returns its id at once.
    fn create(&self, call: &Call, new: &Self::Inputs) -> impl Future<Output = Result<String, CloudError>> + Send;

    /// Waits until the object is usable, and sets what a create request cannot carry. Running it on a finished
    /// object changes nothing.
    fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &Self::Inputs,
    ) -> impl Future<Output = Result<Live<Self::Inputs, Self::Outputs>, CloudError>> + Send;

    /// What the cloud holds; `None` once the object is gone (or is going).
    #[expect(clippy::type_complexity, reason = "an alias would hide what a read returns")]
    fn read(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Live<Self::Inputs, Self::Outputs>>, CloudError>> + Send;

    /// Reads many at once, in the order of `ids`. A kind whose service lists in pages does better than this.
    #[expect(clippy::type_complexity, reason = "an alias would hide what a read returns")]
    fn read_many(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Vec<Result<Option<Live<Self::Inputs, Self::Outputs>>, CloudError>>> + Send {
        many(ids.iter().map(|id| self.read(id)).collect())
    }

    /// Finds what has the name of `new` or its ownership tags, such as what an interrupted `create` left.
    fn find(&self, new: &Self::Inputs) -> impl Future<Output = Result<Option<Found>, CloudError>> + Send;

    /// Finds many at once, in the order of `new`.
    fn find_many(&self, new: &[Self::Inputs]) -> impl Future<Output = Vec<Result<Option<Found>, CloudError>>> + Send {
        many(new.iter().map(|inputs| self.find(inputs)).collect())
    }

    /// Moves the object from `old`, what the cloud holds, to `new`. `settle` runs after it.
    fn update(
        &self,
        call: &Call,
        id: &str,
        old: &Self::Inputs,
        new: &Self::Inputs,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// The id that this kind reads by, in the global name that a search by tags returns (on AWS an ARN).
    fn id_in(global_name: &str) -> Option<String> {
        global_name.rsplit(['/', ':']).next().filter(|id| !id.is_empty()).map(str::to_owned)
    }

    /// Deletes the object and waits until it is gone. Succeeds when it is gone already.
    fn delete(&self, call: &Call, id: &str) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// How many reads of one kind run at the same time.
const READS_AT_ONCE: usize = 32;

/// Runs these calls, a bounded number at a time, and returns the answers in their order.
pub async fn many<F: Future>(calls: Vec<F>) -> Vec<F::Output> {
    futures::stream::iter(calls).buffered(READS_AT_ONCE).collect().await
}

/// A live object over JSON.
pub type LiveValue = Live<Value, Value>;

/// [`Resource`] over JSON, as the engine holds it.
pub trait Kind: Send + Sync {
    /// What is known without asking the cloud.
    fn info(&self) -> &'static KindInfo;
    /// See [`Resource::CHANGING_OUTPUTS`].
    fn changing_outputs(&self) -> &'static [&'static str];
    /// See [`Resource::MARK`].
    fn mark(&self) -> Option<&'static str>;
    /// See [`Resource::KNOWN_AGAIN`].
    fn is_known_again(&self) -> bool;
    /// See [`Resource::DRIFT`].
    fn hints(&self) -> Hints;
    /// See [`Resource::BEYOND_UPDATE`]; nothing where `live` or `new` cannot be read.
    fn beyond_update(&self, live: &LiveValue, new: &Value) -> Option<String>;
    /// See [`Resource::REFUSED`]; nothing where `live` or `new` cannot be read.
    fn refused(&self, live: &LiveValue, new: &Value) -> Option<String>;
    /// See [`Resource::IDLE`]; nothing where `live` cannot be read.
    fn idle(&self, live: &LiveValue) -> Option<String>;
    /// See [`Resource::COMPARABLE`]; nothing where all inputs of `live` are compared as they are.
    fn comparable(&self, live: &LiveValue, new: &Value, recorded: Option<&Value>) -> Option<Value>;
    /// The inputs as the kind's own type writes them: defaults filled in; an error says what does not fit.
    fn normalise(&self, inputs: &Value) -> Result<Value, CloudError>;
    /// See [`Resource::create`].
    fn create<'a>(&'a self, call: &'a Call, new: &'a Value) -> BoxFuture<'a, Result<String, CloudError>>;
    /// See [`Resource::settle`].
    fn settle<'a>(
        &'a self,
        call: &'a Call,
        id: &'a str,
        new: &'a Value,
    ) -> BoxFuture<'a, Result<LiveValue, CloudError>>;
    /// See [`Resource::read_many`].
    fn read_many<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Vec<Result<Option<LiveValue>, CloudError>>>;
    /// See [`Resource::find_many`].
    fn find_many<'a>(&'a self, new: &'a [Value]) -> BoxFuture<'a, Vec<Result<Option<Found>, CloudError>>>;
    /// See [`Resource::update`].
    fn update<'a>(
        &'a self,
        call: &'a Call,
        id: &'a str,
        old: &'a Value,
        new: &'a Value,
    ) -> BoxFuture<'a, Result<(), CloudError>>;
    /// See [`Resource::delete`].
    fn delete<'a>(&'a self, call: &'a Call, id: &'a str) -> BoxFuture<'a, Result<(), CloudError>>;
    /// See [`Resource::id_in`].
    fn id_in(&self, global_name: &str) -> Option<String>;
}

struct Erased<R: Resource> {
    resource: R,
    info: PhantomData<R>,
}

/// Constants of a generic type, promoted to a `'static` reference.
trait StaticInfo {
    const STATIC_INFO: &'static KindInfo;
}

impl<R: Resource> StaticInfo for R {
    const STATIC_INFO: &'static KindInfo = &R::INFO;
}

impl<R: Resource> Kind for Erased<R> {
    fn info(&self) -> &'static KindInfo {
        R::STATIC_INFO
    }

    fn changing_outputs(&self) -> &'static [&'static str] {
        R::CHANGING_OUTPUTS
    }

    fn mark(&self) -> Option<&'static str> {
        R::MARK
    }

    fn is_known_again(&self) -> bool {
        R::KNOWN_AGAIN
    }

    fn hints(&self) -> Hints {
        R::DRIFT
    }

    fn beyond_update(&self, live: &LiveValue, new: &Value) -> Option<String> {
        let beyond = R::BEYOND_UPDATE?;
        beyond(&parse_live::<R>(live).ok()?, &parse::<R, _>(new).ok()?)
    }

    fn refused(&self, live: &LiveValue, new: &Value) -> Option<String> {
        let refused = R::REFUSED?;
        refused(&parse_live::<R>(live).ok()?, &parse::<R, _>(new).ok()?)
    }

    fn idle(&self, live: &LiveValue) -> Option<String> {
        let idle = R::IDLE?;
        idle(&parse_live::<R>(live).ok()?)
    }

    fn comparable(&self, live: &LiveValue, new: &Value, recorded: Option<&Value>) -> Option<Value> {
        let comparable = R::COMPARABLE?;
        let mut asked: Vec<R::Inputs> = vec![parse::<R, _>(new).ok()?];
        // What an older version recorded may not be readable any more; it then says nothing.
        asked.extend(recorded.and_then(|recorded| parse::<R, _>(&with_secrets_of(recorded, Some(new))).ok()));
        write::<R, _>(&comparable(parse_live::<R>(live).ok()?, &asked)).ok()
    }

    fn normalise(&self, inputs: &Value) -> Result<Value, CloudError> {
        let typed: R::Inputs = parse::<R, _>(inputs)?;
        write::<R, _>(&typed)
    }

    fn create<'a>(&'a self, call: &'a Call, new: &'a Value) -> BoxFuture<'a, Result<String, CloudError>> {
        async move { self.resource.create(call, &parse::<R, _>(new)?).await }.boxed()
    }

    fn settle<'a>(
        &'a self,
        call: &'a Call,
        id: &'a str,
        new: &'a Value,
    ) -> BoxFuture<'a, Result<LiveValue, CloudError>> {
        async move { live::<R>(&self.resource.settle(call, id, &parse::<R, _>(new)?).await?) }.boxed()
    }

    fn read_many<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Vec<Result<Option<LiveValue>, CloudError>>> {
        async move {
            let read = self.resource.read_many(ids).await;
            let read = read.into_iter().map(|one| one?.map(|found| live::<R>(&found)).transpose()).collect();
            one_each::<R, _>("read_many", ids.len(), read)
        }
        .boxed()
    }

    fn find_many<'a>(&'a self, new: &'a [Value]) -> BoxFuture<'a, Vec<Result<Option<Found>, CloudError>>> {
        async move {
            let mut wrong = Vec::with_capacity(new.len());
            let mut typed: Vec<R::Inputs> = Vec::with_capacity(new.len());
            for inputs in new {
                match parse::<R, _>(inputs) {
                    Ok(inputs) => {
                        typed.push(inputs);
                        wrong.push(None);
                    }
                    Err(error) => wrong.push(Some(error)),
                }
            }
            let found = one_each::<R, _>("find_many", typed.len(), self.resource.find_many(&typed).await);
            let mut found = found.into_iter();
            wrong.into_iter().filter_map(|wrong| wrong.map(Err).or_else(|| found.next())).collect()
        }
        .boxed()
    }

    fn update<'a>(
        &'a self,
        call: &'a Call,
        id: &'a str,
        old: &'a Value,
        new: &'a Value,
    ) -> BoxFuture<'a, Result<(), CloudError>> {
        async move { self.resource.update(call, id, &parse::<R, _>(old)?, &parse::<R, _>(new)?).await }.boxed()
    }

    fn delete<'a>(&'a self, call: &'a Call, id: &'a str) -> BoxFuture<'a, Result<(), CloudError>> {
        self.resource.delete(call, id).boxed()
    }

    fn id_in(&self, global_name: &str) -> Option<String> {
        R::id_in(global_name)
    }
}

/// The answers, if there is one for each question. Otherwise nobody can tell which is missing, and a missing one must
/// not be taken for an object that is gone.
fn one_each<R: Resource, T>(
    call: &str,
    asked: usize,
    answers: Vec<Result<T, CloudError>>,
) -> Vec<Result<T, CloudError>> {
    if answers.len() == asked {
        return answers;
    }
    let message = format!("a bug: `{call}` gave {} answers to {asked} questions", answers.len());
    (0..asked).map(|_| Err(CloudError::new(ErrorKind::Other, R::INFO.kind, message.clone()))).collect()
}

fn parse<R: Resource, T: DeserializeOwned>(value: &Value) -> Result<T, CloudError> {
    T::deserialize(value).map_err(|error| {
        CloudError::new(ErrorKind::Invalid, R::INFO.kind, format!("these inputs are not those of this kind: {error}"))
    })
}

fn write<R: Resource, T: Serialize>(value: &T) -> Result<Value, CloudError> {
    serde_json::to_value(value)
        .map_err(|error| CloudError::new(ErrorKind::Other, R::INFO.kind, format!("cannot be written as JSON: {error}")))
}

fn live<R: Resource>(found: &Live<R::Inputs, R::Outputs>) -> Result<LiveValue, CloudError> {
    Ok(Live { inputs: write::<R, _>(&found.inputs)?, outputs: write::<R, _>(&found.outputs)? })
}

fn parse_live<R: Resource>(live: &LiveValue) -> Result<Live<R::Inputs, R::Outputs>, CloudError> {
    Ok(Live { inputs: parse::<R, _>(&live.inputs)?, outputs: parse::<R, _>(&live.outputs)? })
}

/// The kinds there are, by name.
#[derive(Clone, Default)]
pub struct Catalog {
    kinds: BTreeMap<&'static str, Arc<dyn Kind>>,
}

impl Catalog {
    /// Adds a kind.
    pub fn with<R: Resource>(mut self, resource: R) -> Catalog {
        self.kinds.insert(R::INFO.kind, Arc::new(Erased { resource, info: PhantomData }));
        self
    }

    /// The kind of that name.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Kind>> {
        self.kinds.get(kind)
    }

    /// The kind of that name, or the error that a step on it fails with.
    pub fn require(&self, kind: &str) -> Result<&Arc<dyn Kind>, CloudError> {
        self.get(kind).ok_or_else(|| {
            CloudError::new(ErrorKind::Invalid, kind, "this version of pinfra does not have this kind")
                .with_hint("use the version that made this stack, or a newer one")
        })
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn Kind>> {
        self.kinds.values()
    }
}
