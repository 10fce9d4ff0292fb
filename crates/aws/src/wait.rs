//! The one way to wait for the cloud.
//!
//! What is on its way is waited for as long as it takes: nothing is wrong with it because it takes longer than usual, and
//! people are told when it does. A run that is to end parks its waits ([`Call::pause`]), and the next run goes on with
//! them. Only what does not pass by itself has a limit: an object that stays unseen, a reference that stays unknown, somebody
//! who holds what is to go, a cloud that gives no answer.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use pinfra_engine::call::{PROPAGATION, halted, parked};
use pinfra_engine::{Call, CloudError, ErrorKind};
use tokio::time::Instant;

/// How often a call is tried: as often as the SDK tries the others.
const ATTEMPTS: usize = 8;
/// How often a change is sent that meets another one, before the step as a whole begins again from what is there then.
const CHANGES: usize = 5;
/// How long looks may fail for trouble of the cloud, or of the way to it, before the wait does.
const TROUBLE: Duration = Duration::from_secs(3 * 60);

/// What one look at an object found.
#[derive(Debug)]
pub(crate) enum Progress<T> {
    /// It is as it should be.
    Ready(T),
    /// It is on its way; the text is its state, such as `CREATING`.
    Pending(String),
    /// It is not to be seen, though the cloud has named it: for a short time that is usual.
    Unseen,
    /// It was refused for what it refers to, as it is where that is so new that it is not known everywhere.
    Early(CloudError),
    /// Somebody else stands in the way: uses what is to go, has the name, is changing it. The error says who.
    Held(CloudError),
    /// It will never be as it should; the text says why.
    Failed(String),
}

/// How often to look, and how long others may stand in the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The longest time between two looks. The first come quicker, since a short change may be over at once.
    pub(crate) slowest: Duration,
    /// How long to wait for what others hold ([`Progress::Held`]). What is on its way is waited for longer; people are then
    /// told that it takes longer than usual.
    pub(crate) limit: Duration,
}

/// Looks until the object is ready. `what` is such as `kinesis:DescribeStreamSummary of pins-pin`.
pub(crate) async fn wait_until<T, F>(
    call: &Call,
    what: &str,
    pace: Pace,
    mut look: impl FnMut() -> F,
) -> Result<T, CloudError>
where
    F: Future<Output = Result<Progress<T>, CloudError>>,
{
    let mut wait = Wait::new(call, what, pace);
    loop {
        let state = match look().await {
            Ok(Progress::Ready(found)) => return Ok(found),
            Ok(Progress::Failed(why)) => return Err(CloudError::new(ErrorKind::Other, what, why)),
            Ok(Progress::Pending(state)) => state,
            Ok(Progress::Unseen) => wait.unseen()?,
            Ok(Progress::Early(refused)) => wait.early(refused)?,
            Ok(Progress::Held(refused)) => wait.held(refused)?,
            Err(error) if error.kind.is_trouble() => wait.trouble(error)?,
            Err(error) => return Err(error),
        };
        wait.pause(state).await?;
    }
}

/// One wait.
struct Wait<'a> {
    call: &'a Call,
    what: &'a str,
    pace: Pace,
    began: Instant,
    delays: <ExponentialBuilder as BackoffBuilder>::Backoff,
    told: String,
    /// After how long people are told next that it takes longer than usual.
    long: Duration,
    /// Since when there is no answer.
    trouble: Option<Instant>,
    is_trouble: bool,
}

impl<'a> Wait<'a> {
    fn new(call: &'a Call, what: &'a str, pace: Pace) -> Wait<'a> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(25).min(pace.slowest))
            .with_max_delay(pace.slowest)
            .with_factor(1.5)
            .with_jitter()
            .without_max_times()
            .build();
        // Where nobody knows what is usual, the limit is as good a guess.
        let long = if call.usual.is_zero() { pace.limit } else { (call.usual * 2).min(pace.limit) };
        Wait {
            call,
            what,
            pace,
            began: Instant::now(),
            delays,
            told: String::new(),
            long,
            trouble: None,
            is_trouble: false,
        }
    }

    fn unseen(&self) -> Result<String, CloudError> {
        if self.began.elapsed() < PROPAGATION {
            return Ok("not visible yet".to_owned());
        }
        let message = format!("it is not there, {} s after it was made", PROPAGATION.as_secs());
        let hint = "somebody may have deleted it: the next run finds out, and makes it anew";
        Err(CloudError::new(ErrorKind::NotFound, self.what, message).with_hint(hint))
    }

    fn early(&self, refused: CloudError) -> Result<String, CloudError> {
        if !self.call.is_early() {
            return Err(refused);
        }
        Ok(format!("what it refers to may be too new to be known everywhere: {}", refused.message))
    }

    fn held(&self, refused: CloudError) -> Result<String, CloudError> {
        if self.began.elapsed() < self.pace.limit {
            return Ok(refused.message);
        }
        let message = format!("{}, also after {}", refused.message, in_words(self.pace.limit));
        Err(CloudError { message, ..refused })
    }

    fn trouble(&mut self, error: CloudError) -> Result<String, CloudError> {
        self.is_trouble = true;
        let since = *self.trouble.get_or_insert_with(Instant::now);
        if since.elapsed() < TROUBLE { Ok(format!("asking again after {error}")) } else { Err(error) }
    }

    /// Tells people what is new, and waits for the next look.
    async fn pause(&mut self, state: String) -> Result<(), CloudError> {
        if !std::mem::take(&mut self.is_trouble) {
            self.trouble = None;
        }
        let waited = self.began.elapsed();
        if waited >= self.long {
            self.long = waited * 2;
            let usual = match self.call.usual {
                Duration::ZERO => String::new(),
                usual => format!("; usually {}", in_words(usual)),
            };
            self.call.progress(format!("still {state} after {}{usual}", in_words(waited)));
        } else if state != self.told {
            self.call.progress(state.clone());
        }
        let delay = self.delays.next().unwrap_or(self.pace.slowest);
        let parked = self.call.pause(delay).await;
        self.told.clone_from(&state);
        parked.map_err(|parked| CloudError { operation: self.what.to_owned(), message: state, ..parked })
    }
}

/// Such as `25 min` or `2 h 5 min`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Sends a change until nobody else is changing the same object, and what it is part of is not busy with itself. What
/// lasts longer is for the step as a whole, which begins again from what is there then. A run that is to end sends it no more.
pub(crate) async fn through_conflicts<T, S>(mut send: impl FnMut() -> S) -> Result<T, CloudError>
where
    S: Future<Output = Result<T, CloudError>>,
{
    let mut delays = delays().take(CHANGES - 1);
    loop {
        match send().await {
            Err(error) if error.kind == ErrorKind::Conflict => match delays.next() {
                Some(delay) => tokio::select! {
                    biased;
                    () = halted() => return Err(parked(error.operation)),
                    () = tokio::time::sleep(delay) => {}
                },
                None => return Err(error),
            },
            other => return other,
        }
    }
}

/// Sends a create until its name is free. `leaving` waits for what has the name and is on its way out, or has gone in the
/// meantime; it returns false where what has the name stays.
pub(crate) async fn once_name_is_free<S, L>(
    call: &Call,
    mut send: impl FnMut() -> S,
    mut leaving: impl FnMut() -> L,
) -> Result<String, CloudError>
where
    S: Future<Output = Result<String, CloudError>>,
    L: Future<Output = Result<bool, CloudError>>,
{
    let mut delays = delays();
    loop {
        let taken = match send().await {
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::AlreadyExists) => error,
            sent => return sent,
        };
        let next = if leaving().await? { delays.next() } else { None };
        let Some(delay) = next else { return Err(CloudError { kind: ErrorKind::AlreadyExists, ..taken }) };
        call.pause(delay).await?;
    }
}

/// The time before each next try of a call.
pub(crate) fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(ATTEMPTS - 1)
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::{Arc, Mutex};

    use pinfra_engine::Address;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(60) };

    fn call() -> Call {
        Call::silent(Address::new("test/thing", "a"))
    }

    async fn wait(call: &Call, look: impl Fn(u32) -> Result<Progress<u32>, CloudError>) -> Result<u32, CloudError> {
        let looks = Cell::new(0);
        wait_until(call, "test", PACE, || {
            looks.set(looks.get() + 1);
            std::future::ready(look(looks.get()))
        })
        .await
    }

    fn refused(kind: ErrorKind) -> CloudError {
        CloudError::new(kind, "test:Call", "in use by i-1")
    }

    #[tokio::test(start_paused = true)]
    async fn waits_until_ready() {
        let looked =
            wait(&call(), |n| Ok(if n < 4 { Progress::Pending("CREATING".into()) } else { Progress::Ready(n) })).await;
        assert_eq!(looked, Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_object_is_not_waited_for() {
        let error = wait(&call(), |_| Ok(Progress::Failed("no capacity".into()))).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Other, "no capacity"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_goes_on_and_says_so() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let tell = Arc::new(move |message| heard.lock().unwrap().push(message));
        let call = Call::new(Address::new("test/thing", "a"), String::new(), tell).usually(Duration::from_secs(20));
        let began = Instant::now();
        let day = Duration::from_secs(24 * 3600);
        let ready =
            |_| Ok(if began.elapsed() > day { Progress::Ready(1) } else { Progress::Pending("CREATING".into()) });
        assert_eq!(wait(&call, ready).await, Ok(1));
        let told = told.lock().unwrap();
        assert_eq!(told[0], "CREATING");
        assert!(told[1].starts_with("still CREATING after 4") && told[1].ends_with("; usually 20 s"), "{told:?}");
        // Said again after twice the time each, not at every look.
        assert!((10..16).contains(&told.len()), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_to_end_parks_its_waits_at_once() {
        let park = CancellationToken::new();
        let call = call().parked_by(park.clone(), Arc::new(|| {}));
        let looks = Cell::new(0);
        let began = Instant::now();
        let parked = wait(&call, |n| {
            looks.set(n);
            if n == 3 {
                park.cancel();
            }
            Ok(Progress::Pending("CREATING".into()))
        });
        let parked = parked.await.unwrap_err();
        assert_eq!((parked.kind, parked.message.as_str(), looks.get()), (ErrorKind::Parked, "CREATING", 3));
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_something_is_named_at_the_limit() {
        let began = Instant::now();
        let error = wait(&call(), |_| Ok(Progress::Held(refused(ErrorKind::Blocked)))).await.unwrap_err();
        assert_eq!(error.message, "in use by i-1, also after 1 min");
        assert_eq!((error.kind, error.operation.as_str()), (ErrorKind::Blocked, "test:Call"));
        assert!(began.elapsed() < Duration::from_secs(70));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_unseen_or_unknown_is_given_up_after_two_minutes() {
        for look in [|| Progress::Unseen, || Progress::Early(refused(ErrorKind::Invalid))] {
            let began = Instant::now();
            wait(&call(), |_| Ok(look())).await.unwrap_err();
            assert!((120..130).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        }
        let late = call().after_making(Instant::now() - PROPAGATION);
        let error = wait(&late, |_| Ok(Progress::Early(refused(ErrorKind::Invalid)))).await.unwrap_err();
        assert_eq!(error, refused(ErrorKind::Invalid), "what it refers to is long known");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_fail_for_trouble_of_the_cloud_are_no_failure_of_the_object() {
        let (call, trouble) = (call(), RefCell::new(0));
        let looked = wait(&call, |n| {
            if n % 2 == 1 {
                *trouble.borrow_mut() += 1;
                return Err(refused(ErrorKind::Unreachable));
            }
            Ok(if n < 200 { Progress::Pending("CREATING".into()) } else { Progress::Ready(n) })
        });
        assert_eq!(looked.await, Ok(200));
        assert_eq!(trouble.into_inner(), 100);
        let began = Instant::now();
        let error = wait(&call, |_| Err(refused(ErrorKind::Throttled))).await.unwrap_err();
        assert_eq!(error, refused(ErrorKind::Throttled));
        assert!(began.elapsed() >= TROUBLE && began.elapsed() < TROUBLE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_meets_others_is_sent_again_until_the_run_is_to_end() {
        let park = CancellationToken::new();
        let call = call().parked_by(park.clone(), Arc::new(|| {}));
        let tries = Cell::new(0);
        let send = |last: u32| {
            let (tries, park) = (&tries, &park);
            move || {
                tries.set(tries.get() + 1);
                if tries.get() == last {
                    park.cancel();
                }
                std::future::ready(Err::<(), _>(refused(ErrorKind::Conflict)))
            }
        };
        assert_eq!(call.scope(through_conflicts(send(0))).await, Err(refused(ErrorKind::Conflict)));
        assert_eq!(tries.take(), 5);
        let began = Instant::now();
        let error = call.scope(through_conflicts(send(1))).await.unwrap_err();
        assert_eq!((error.kind, error.operation.as_str(), tries.get()), (ErrorKind::Parked, "test:Call", 1));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_about_to_be_free_is_waited_for() {
        let tries = Cell::new(0);
        let send = || {
            tries.set(tries.get() + 1);
            let taken = Err(CloudError::new(ErrorKind::Conflict, "test", "taken"));
            std::future::ready(if tries.get() < 3 { taken } else { Ok("a".to_owned()) })
        };
        let freed = once_name_is_free(&call(), send, || std::future::ready(Ok(true))).await;
        assert_eq!(freed, Ok("a".to_owned()));
        tries.set(0);
        let error = once_name_is_free(&call(), send, || std::future::ready(Ok(false))).await.unwrap_err();
        assert_eq!((error.kind, tries.get()), (ErrorKind::AlreadyExists, 1));
    }

    #[test]
    fn times_are_in_words() {
        let words = [45, 1_500, 7_200, 7_500].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(words, ["45 s", "25 min", "2 h", "2 h 5 min"]);
    }
}
