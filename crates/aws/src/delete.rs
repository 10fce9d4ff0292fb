//! The ways to delete what may not be deleted yet: it is busy, something still uses it and will be gone, or somebody has to
//! let go of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pinfra_engine::{Call, CloudError, ErrorKind};

use crate::wait::{Pace, Progress, wait_until};

/// What an object that is to be deleted is doing.
#[derive(Debug)]
pub(crate) enum Activity {
    /// It is gone, or going.
    Gone,
    /// It is being made or changed, and can be deleted once that is over; the text is its state.
    Busy(String),
    /// Nothing.
    Idle,
}

/// Sends a delete once the object is idle. Some services refuse to delete a busy object with the code that they have for all
/// they refuse, and the refusal does not say in which state the object was: so it is looked at before, and after a refusal.
pub(crate) async fn delete_once_idle<L, S>(
    call: &Call,
    what: &str,
    pace: Pace,
    look: impl Fn() -> L,
    send: impl Fn() -> S,
) -> Result<(), CloudError>
where
    L: Future<Output = Result<Activity, CloudError>>,
    S: Future<Output = Result<(), CloudError>>,
{
    wait_until(call, what, pace, || async {
        match look().await? {
            Activity::Gone => return Ok(Progress::Ready(())),
            Activity::Busy(state) => return Ok(Progress::Pending(state)),
            Activity::Idle => {}
        }
        let refused = match send().await {
            Ok(()) => return Ok(Progress::Ready(())),
            Err(error) => error,
        };
        match refused.kind {
            ErrorKind::NotFound => Ok(Progress::Ready(())),
            ErrorKind::Conflict => Ok(Progress::Held(refused)),
            ErrorKind::Invalid => match look().await? {
                Activity::Gone => Ok(Progress::Ready(())),
                Activity::Busy(state) => Ok(Progress::Pending(state)),
                Activity::Idle => Err(refused),
            },
            _ => Err(refused),
        }
    })
    .await
}

/// The answer to a delete, where a refusal may mean that an earlier one got through and its answer was lost.
pub(crate) async fn unless_leaving<L>(
    sent: Result<(), CloudError>,
    is_leaving: impl FnOnce() -> L,
) -> Result<(), CloudError>
where
    L: Future<Output = Result<bool, CloudError>>,
{
    match sent {
        Err(error) if error.kind == ErrorKind::Invalid && is_leaving().await? => Ok(()),
        sent => sent,
    }
}

/// Sends a delete until nothing uses the object any more: what used it may hold it until it is gone itself.
pub(crate) async fn delete_once_unused<S>(
    call: &Call,
    what: &str,
    pace: Pace,
    mut send: impl FnMut() -> S,
) -> Result<(), CloudError>
where
    S: Future<Output = Result<(), CloudError>>,
{
    wait_until(call, what, pace, || {
        let sent = send();
        async {
            match sent.await {
                Ok(()) => Ok(Progress::Ready(())),
                Err(error) => match error.kind {
                    ErrorKind::NotFound => Ok(Progress::Ready(())),
                    ErrorKind::Blocked | ErrorKind::Conflict => Ok(Progress::Held(error)),
                    _ => Err(error),
                },
            }
        }
    })
    .await
}

/// What keeps an object from being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It goes by itself, if only after minutes; the text is who it is.
    Passing(String),
    /// It stays until somebody does something about it.
    Staying {
        /// Who it is.
        who: String,
        /// What to do.
        hint: String,
    },
}

/// Sends a delete until nobody holds the object. Who holds it is asked after each refusal: what goes by itself is waited for
/// up to the limit of `pace`, and what has stayed for longer than `patience` is named in the error.
pub(crate) async fn delete_once_free<S, H>(
    call: &Call,
    what: &str,
    pace: Pace,
    patience: Duration,
    send: impl Fn() -> S,
    holder: impl Fn() -> H,
) -> Result<(), CloudError>
where
    S: Future<Output = Result<(), CloudError>>,
    H: Future<Output = Result<Holder, CloudError>>,
{
    let stayed = Stayed::default();
    wait_until(call, what, pace, || async {
        let refused = match send().await {
            Ok(()) => return Ok(Progress::Ready(())),
            Err(error) => error,
        };
        match refused.kind {
            ErrorKind::NotFound => return Ok(Progress::Ready(())),
            ErrorKind::Conflict => return Ok(Progress::Held(refused)),
            ErrorKind::Blocked => {}
            _ => return Err(refused),
        }
        match holder().await? {
            Holder::Passing(who) => {
                stayed.is_over();
                Ok(Progress::Held(CloudError { message: held_by(&who), ..refused }))
            }
            Holder::Staying { who, hint } if stayed.goes_on() >= patience => {
                Err(CloudError { message: held_by(&who), hint: Some(hint), ..refused })
            }
            Holder::Staying { who, .. } => Ok(Progress::Pending(held_by(&who))),
        }
    })
    .await
}

fn held_by(who: &str) -> String {
    format!("it is held by {who}")
}

/// Since when something has stayed without a break.
#[derive(Debug, Default)]
struct Stayed(Mutex<Option<Instant>>);

impl Stayed {
    fn goes_on(&self) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now).elapsed()
    }

    fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use pinfra_engine::Address;

    use super::*;

    const PACE: Pace = Pace { slowest: Duration::from_millis(1), limit: Duration::from_secs(10) };

    /// Deletes what is busy in the looks of `busy`, and whose first delete is refused when `refuse` says so.
    async fn delete(busy: &[u32], refuse: bool) -> (Result<(), CloudError>, u32) {
        let (looks, sends) = (Cell::new(0), Cell::new(0));
        let call = Call::silent(Address::new("test/thing", "a"));
        let look = || {
            looks.set(looks.get() + 1);
            let busy = busy.contains(&looks.get());
            ready(Ok(if busy { Activity::Busy("CREATING".to_owned()) } else { Activity::Idle }))
        };
        let send = || {
            sends.set(sends.get() + 1);
            let refused = CloudError::new(ErrorKind::Invalid, "test:Delete", "not now");
            ready(if refuse && sends.get() == 1 { Err(refused) } else { Ok(()) })
        };
        let done = delete_once_idle(&call, "test", PACE, look, send).await;
        (done, sends.get())
    }

    #[tokio::test]
    async fn a_busy_object_is_deleted_once_it_is_idle() {
        assert_eq!(delete(&[1, 2], false).await, (Ok(()), 1));
    }

    #[tokio::test]
    async fn a_refusal_of_what_became_busy_is_tried_again_and_any_other_is_told() {
        assert_eq!(delete(&[2], true).await, (Ok(()), 2));
        assert_eq!(delete(&[], true).await.0.unwrap_err().message, "not now");
    }

    #[tokio::test]
    async fn what_goes_is_waited_for_and_what_stays_is_named() {
        let call = Call::silent(Address::new("test/thing", "a"));
        let blocked = || CloudError::new(ErrorKind::Blocked, "test:Delete", "has a dependent object");
        let staying = Holder::Staying { who: "`x`".to_owned(), hint: "remove `x`".to_owned() };
        let (sends, asked) = (Cell::new(0), Cell::new(0));
        let send = || {
            sends.set(sends.get() + 1);
            ready(if sends.get() < 4 { Err(blocked()) } else { Ok(()) })
        };
        let passing = || ready(Ok(Holder::Passing("`y`".to_owned())));
        assert_eq!(delete_once_free(&call, "test", PACE, Duration::ZERO, send, passing).await, Ok(()));
        let holder = || {
            asked.set(asked.get() + 1);
            ready(Ok(staying.clone()))
        };
        let patience = Duration::from_millis(20);
        let held = delete_once_free(&call, "test", PACE, patience, || ready(Err(blocked())), holder).await.unwrap_err();
        assert_eq!((held.kind, held.message.as_str()), (ErrorKind::Blocked, "it is held by `x`"));
        assert_eq!(held.hint.as_deref(), Some("remove `x`"));
        assert!(asked.get() > 1, "it is given time to go");
    }
}
