//! The one way to wait for the cloud.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use pinfra_engine::{Call, CloudError, ErrorKind};

/// How often a call is tried: as often as the SDK tries the others.
const ATTEMPTS: usize = 8;

/// What one look at an object found.
#[derive(Debug)]
pub enum Look<T> {
    /// It is as it should be.
    Ready(T),
    /// It is on its way; the text is its state, such as `CREATING`.
    Pending(String),
    /// It will never be as it should; the text says why.
    Failed(String),
}

/// How often to look, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The longest time between two looks. The first come quicker, since a short change may be over at once.
    pub slowest: Duration,
    /// When to give up waiting. The object may still become usable: the next run goes on from there.
    pub limit: Duration,
}

/// Looks until the object is ready. `what` is such as `kinesis:DescribeStreamSummary of pins-pin`.
pub async fn wait_until<T, F>(call: &Call, what: &str, pace: Pace, mut look: impl FnMut() -> F) -> Result<T, CloudError>
where
    F: Future<Output = Result<Look<T>, CloudError>>,
{
    let started = Instant::now();
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(25).min(pace.slowest))
        .with_max_delay(pace.slowest)
        .with_factor(1.5)
        .with_jitter()
        .without_max_times()
        .build();
    let mut told = String::new();
    loop {
        match look().await? {
            Look::Ready(found) => return Ok(found),
            Look::Failed(why) => return Err(CloudError::new(ErrorKind::Other, what, why)),
            Look::Pending(state) => {
                if started.elapsed() >= pace.limit {
                    let message = format!("still {state} after {} s", pace.limit.as_secs());
                    let hint = "it may yet get there: run the command again, and it goes on from here";
                    return Err(CloudError::new(ErrorKind::Timeout, what, message).with_hint(hint));
                }
                if state != told {
                    call.progress(state.clone());
                    told = state;
                }
            }
        }
        tokio::time::sleep(delays.next().unwrap_or(pace.slowest)).await;
    }
}

/// Sends a change until nobody else is changing the same object, and what it is part of is not busy with itself.
pub(crate) async fn through_conflicts<T, S>(mut send: impl FnMut() -> S) -> Result<T, CloudError>
where
    S: Future<Output = Result<T, CloudError>>,
{
    let mut delays = delays();
    loop {
        match send().await {
            Err(error) if error.kind == ErrorKind::Conflict => match delays.next() {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            },
            other => return other,
        }
    }
}

/// Sends a create until its name is free. `leaving` waits for what has the name and is on its way out, or has gone in the
/// meantime; it returns false where what has the name stays.
pub(crate) async fn once_name_is_free<S, L>(
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
        tokio::time::sleep(delay).await;
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
    use std::cell::Cell;

    use pinfra_engine::Address;

    use super::*;

    const PACE: Pace = Pace { slowest: Duration::from_millis(1), limit: Duration::from_millis(50) };

    async fn wait(look: impl Fn(u32) -> Look<u32>) -> Result<u32, CloudError> {
        let looks = Cell::new(0);
        let call = Call::silent(Address::new("test/thing", "a"));
        wait_until(&call, "test", PACE, || {
            looks.set(looks.get() + 1);
            std::future::ready(Ok(look(looks.get())))
        })
        .await
    }

    #[tokio::test]
    async fn waits_until_ready() {
        let looked = wait(|n| if n < 4 { Look::Pending("CREATING".into()) } else { Look::Ready(n) }).await;
        assert_eq!(looked, Ok(4));
    }

    #[tokio::test]
    async fn a_failed_object_is_not_waited_for() {
        let error = wait(|_| Look::Failed("no capacity".into())).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Other, "no capacity"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_about_to_be_free_is_waited_for() {
        let tries = Cell::new(0);
        let send = || {
            tries.set(tries.get() + 1);
            let taken = Err(CloudError::new(ErrorKind::Conflict, "test", "taken"));
            std::future::ready(if tries.get() < 3 { taken } else { Ok("a".to_owned()) })
        };
        assert_eq!(once_name_is_free(send, || std::future::ready(Ok(true))).await, Ok("a".to_owned()));
        tries.set(0);
        let error = once_name_is_free(send, || std::future::ready(Ok(false))).await.unwrap_err();
        assert_eq!((error.kind, tries.get()), (ErrorKind::AlreadyExists, 1));
    }

    #[tokio::test]
    async fn a_long_wait_is_a_timeout_that_says_where_it_stands() {
        let error = wait(|_| Look::Pending("CREATING".into())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert!(error.message.contains("CREATING"), "{error}");
    }
}
