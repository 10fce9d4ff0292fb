//! The body of a request, within limits: one of its size, one of its time, and one of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// "Payload size: 10 MB" ("Quotas for configuring and running a REST API", API Gateway developer guide).
pub(super) const MAX_BYTES: usize = 10 << 20;
/// A caller that sends more slowly is not waited for.
const IN_TIME: Duration = Duration::from_secs(20);

/// A body that is not taken is let go by for so long: a caller that is still sending does not see an answer.
const LET_GO: Duration = Duration::from_secs(5);
const LET_GO_BYTES: usize = 2 * MAX_BYTES;

/// Reads a body, and takes its bytes out of the budget for as long as the permit lives.
pub(super) async fn read(
    mut body: Incoming,
    budget: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let read = match tokio::time::timeout(IN_TIME, gather(&mut body, budget)).await {
        Ok(read) => read,
        Err(_) => return Err(Refusal::Slow(IN_TIME.as_secs())),
    };
    if matches!(read, Err(Refusal::TooLarge(_) | Refusal::Busy)) {
        let _ = tokio::time::timeout(LET_GO, let_go(&mut body)).await;
    }
    read
}

async fn gather(body: &mut Incoming, budget: &Arc<Semaphore>) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let hint = body.size_hint();
    let announced = usize::try_from(hint.upper().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > MAX_BYTES {
        return Err(Refusal::TooLarge(MAX_BYTES));
    }
    let mut permit = take(budget, announced)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        length += data.len();
        if length > MAX_BYTES {
            return Err(Refusal::TooLarge(MAX_BYTES));
        }
        // A body that did not say how long it is pays as it comes.
        if length > permit.num_permits() {
            permit.merge(take(budget, length - permit.num_permits())?);
        }
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(first.len() + data.len());
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    // Most bodies come in one piece, which is not copied.
    let whole = if rest.is_empty() { first } else { rest.freeze() };
    Ok((whole, permit))
}

async fn let_go(body: &mut Incoming) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > LET_GO_BYTES {
            return;
        }
    }
}

fn take(budget: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let bytes = u32::try_from(bytes).map_err(|_| Refusal::TooLarge(MAX_BYTES))?;
    budget.clone().try_acquire_many_owned(bytes).map_err(|_| Refusal::Busy)
}
