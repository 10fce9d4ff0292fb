//! The two ways to delete what may not be deleted yet: it is busy, or somebody still uses it.

use pinfra_engine::{Call, CloudError, ErrorKind};

use crate::wait::{Look, Pace, wait_until};

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
            Activity::Gone => return Ok(Look::Ready(())),
            Activity::Busy(state) => return Ok(Look::Pending(state)),
            Activity::Idle => {}
        }
        let refused = match send().await {
            Ok(()) => return Ok(Look::Ready(())),
            Err(error) => error,
        };
        match refused.kind {
            ErrorKind::NotFound => Ok(Look::Ready(())),
            ErrorKind::Conflict => Ok(Look::Held(refused)),
            ErrorKind::Invalid => match look().await? {
                Activity::Gone => Ok(Look::Ready(())),
                Activity::Busy(state) => Ok(Look::Pending(state)),
                Activity::Idle => Err(refused),
            },
            _ => Err(refused),
        }
    })
    .await
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
                Ok(()) => Ok(Look::Ready(())),
                Err(error) => match error.kind {
                    ErrorKind::NotFound => Ok(Look::Ready(())),
                    ErrorKind::Blocked | ErrorKind::Conflict => Ok(Look::Held(error)),
                    _ => Err(error),
                },
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;
    use std::time::Duration;

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
}
