//! Brings the end of a worker's log to the lake, for `pinfra logs`.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::lake::Lake;
use super::log::Log;
use crate::log::say;

/// What is kept in the lake of each log.
const TAIL_BYTES: u64 = 256 << 10;
/// At most so often: each time costs a request.
const EVERY: Duration = Duration::from_secs(2);
/// For the last words when the worker is gone.
const LAST: Duration = Duration::from_millis(500);

/// Uploads until `end` is cancelled, and then once more.
pub(super) async fn upload(lake: Lake, worker: String, log: Log, end: CancellationToken) {
    let mut uploaded = None;
    let mut failing = false;
    while !end.is_cancelled() {
        match bring(&lake, &worker, &log, &mut uploaded).await {
            Ok(()) => failing = false,
            // The lake being away is told by the heartbeat's task too: once is enough here.
            Err(error) if !failing => {
                failing = true;
                say(&format!("{worker}: its log stays here for now: {error}"));
            }
            Err(_) => {}
        }
        tokio::select! {
            () = end.cancelled() => {}
            () = sleep(EVERY.mul_f64(1.0 + 0.2 * rand::random::<f64>())) => {}
        }
    }
    // Without them the log stays as it was two seconds ago.
    let _ = timeout(LAST, bring(&lake, &worker, &log, &mut uploaded)).await;
}

async fn bring(lake: &Lake, worker: &str, log: &Log, uploaded: &mut Option<u64>) -> Result<(), String> {
    let end = log.end();
    if *uploaded == Some(end) {
        return Ok(());
    }
    let (offset, tail) = log.tail(TAIL_BYTES).map_err(|error| error.to_string())?;
    let end = offset + tail.len() as u64;
    lake.put_log(worker, tail, offset).await.map_err(|error| error.to_string())?;
    *uploaded = Some(end);
    Ok(())
}
