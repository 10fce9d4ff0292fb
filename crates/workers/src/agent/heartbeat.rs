//! Tells the lake how the agent and its workers are: every two seconds, and at once when there is news.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::lake::Lake;
use crate::config::Heartbeat;
use crate::log::say;

/// Between two beats, whatever happens.
const LEAST: Duration = Duration::from_millis(1_000);
/// Between two beats when nothing happens.
const MOST: Duration = Duration::from_millis(2_000);
/// For the first news after a quiet time: what belongs together (four workers that start) goes together.
const TOGETHER: Duration = Duration::from_millis(20);
/// For the last beat, which says that nothing runs any more.
const LAST: Duration = Duration::from_millis(500);

/// Beats until `end` is cancelled, and then once more.
pub(super) async fn beat(lake: Lake, board: Board, instance: String, program: String, end: CancellationToken) {
    let started = OffsetDateTime::now_utc();
    let heartbeat = || {
        let (error, workers) = board.read();
        Heartbeat {
            instance: instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program: program.clone(),
            at: OffsetDateTime::now_utc(),
            started,
            error,
            workers,
        }
    };
    let mut failing = false;
    loop {
        let now = heartbeat();
        let sent = tokio::select! {
            () = end.cancelled() => break,
            sent = lake.beat(&now) => sent,
        };
        match sent {
            Ok(()) if failing => {
                failing = false;
                say("heartbeats are taken again");
            }
            Err(error) if !failing => {
                failing = true;
                say(&error.to_string());
            }
            _ => {}
        }
        let jitter = if failing { MOST.mul_f64(rand::random()) } else { Duration::ZERO };
        tokio::select! {
            () = end.cancelled() => break,
            () = pause(&board, jitter) => {}
        }
    }
    // A machine that is gone tells nothing, and that is known from the age of its last beat.
    let _ = timeout(LAST, lake.beat(&heartbeat())).await;
}

async fn pause(board: &Board, jitter: Duration) {
    sleep(LEAST + jitter).await;
    tokio::select! {
        () = board.changed() => sleep(TOGETHER).await,
        () = sleep(MOST - LEAST) => {}
    }
}
