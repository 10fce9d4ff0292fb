//! A probe down the streaming path: accepted by the API, in the stream, read by the cleaner, committed to the table.

use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use pinfra_workers::config::Arrival;
use pinfra_workers::emulator::Destination;
use pinfra_workers::keys;
use serde_json::Value;
use time::OffsetDateTime;

use super::super::deployed;
use super::super::post::Poster;
use super::Probe;
use crate::report::Failure;

/// How often the lake is asked whether the probe is there.
const LOOK: Duration = Duration::from_millis(50);

/// A table's probe, at every hop of the streaming path.
pub(super) struct Hops {
    pub(super) sent: OffsetDateTime,
    pub(super) accepted: Duration,
    pub(super) arrival: Arrival,
    pub(super) total: Duration,
}

impl Hops {
    /// Milliseconds from when it was sent, by the clocks of two machines, which may differ a little.
    pub(super) fn since(&self, then: OffsetDateTime) -> i64 {
        i64::try_from((then - self.sent).whole_milliseconds().max(0)).unwrap_or(i64::MAX)
    }
}

/// Posts `event` to `stream` and waits until a commit has its position.
pub(super) async fn send(
    clients: &Clients,
    poster: &Poster,
    bucket: &str,
    probe: &Probe<'_>,
    stream: &str,
    deadline: Instant,
) -> Result<Hops, Failure> {
    let (started, sent) = (Instant::now(), OffsetDateTime::now_utc());
    poster.post_until(Destination::Stream(stream), &probe.event(), deadline).await?;
    let accepted = started.elapsed();
    let key = keys::probe(probe.id, probe.table);
    let arrival: Arrival = loop {
        if let Some(arrival) = deployed::object(clients, bucket, &key).await? {
            break arrival;
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "the probe of `{}` was accepted after {} ms and has not arrived in the lake within {} s",
                probe.table, accepted.as_millis(), started.elapsed().as_secs()
            ))
            .hint("`pinfra status` shows where events are, `pinfra logs cleaner` what the cleaner says; `pinfra verify` tries again"));
        }
        tokio::time::sleep(LOOK).await;
    };
    let total = started.elapsed();
    // It has told all it had to tell. One that stays is no more than a small object.
    let _ = clients.s3.delete_object().bucket(bucket).key(&key).send().await;
    Ok(Hops { sent, accepted, arrival, total })
}

/// For programs.
pub(super) fn value(hops: &Hops) -> Vec<(&'static str, Value)> {
    let millis = |duration: Duration| Value::from(super::millis(duration));
    vec![
        ("accepted_ms", millis(hops.accepted)),
        ("in_stream_ms", Value::from(hops.since(hops.arrival.in_stream))),
        ("read_ms", Value::from(hops.since(hops.arrival.read))),
        ("committed_ms", Value::from(hops.since(hops.arrival.committed))),
        ("seen_ms", millis(hops.total)),
    ]
}
