//! `pinfra verify`: sends a probe event down every path and waits until it has arrived. `up` ends with it.
//!
//! A probe is an event like any other, for each table one, with a field that marks it. The cleaner reads and cleans it
//! with the others, leaves it out of the rows, and writes an object once the commit is done that its position is in.

use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use pinfra_workers::config::{Arrival, CleanedTable, PROBE_FIELD};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::context::Context;
use super::deployed::{self, Deployed};
use super::post::Poster;
use crate::report::{Failure, columns};

/// How often the lake is asked whether the probe is there.
const LOOK: Duration = Duration::from_millis(50);

/// A table's probe, at every hop.
struct Hops {
    table: String,
    sent: OffsetDateTime,
    accepted: Duration,
    arrival: Arrival,
    total: Duration,
}

/// Probes the stack that `given` names.
pub(super) async fn run(context: &Context, given: Option<&str>, limit: Duration) -> Result<(), Failure> {
    let (state, place) = deployed::recorded(context, given)?;
    let clients = deployed::connect(context, &state, &place).await?;
    let deployed = Deployed::of(&state);
    if let Some(missing) = missing(&deployed) {
        return Err(Failure::new(format!("there is no path to probe: {missing}"))
            .hint("a probe needs `api`, `streams`, `lake`, and `workers.cleaner` on a `client`"));
    }
    probe(context, &clients, &deployed, limit).await?;
    context.tell_requests(&clients)
}

/// What a probe needs and this stack has not.
pub(super) fn missing(deployed: &Deployed) -> Option<&'static str> {
    if deployed.invoke_url.is_none() {
        Some("the stack has no API")
    } else if deployed.tables.is_empty() {
        Some("the stack has no cleaner that reads streams")
    } else if deployed.bucket.is_none() {
        Some("the stack has no lake")
    } else {
        None
    }
}

/// Sends a probe to every table and tells how long each hop took.
pub(super) async fn probe(
    context: &Context,
    clients: &Clients,
    deployed: &Deployed,
    limit: Duration,
) -> Result<(), Failure> {
    let poster = Poster::new(clients, deployed)?;
    let id = Uuid::new_v4().to_string();
    let deadline = Instant::now() + limit;
    let probes = deployed.tables.iter().map(|table| one(clients, deployed, &poster, &id, table, deadline));
    let arrived = futures::future::join_all(probes).await;
    let (mut hops, mut failed) = (Vec::new(), Vec::new());
    for result in arrived {
        match result {
            Ok(hop) => hops.push(hop),
            Err(failure) => failed.push(failure),
        }
    }
    if let Some(first) = failed.into_iter().next() {
        return Err(first);
    }
    let rows: Vec<_> = hops
        .iter()
        .map(|hop| {
            json!({
                "table": hop.table, "accepted_ms": millis(hop.accepted),
                "in_stream_ms": since(hop.sent, hop.arrival.in_stream), "read_ms": since(hop.sent, hop.arrival.read),
                "committed_ms": since(hop.sent, hop.arrival.committed), "seen_ms": millis(hop.total),
            })
        })
        .collect();
    context.result(&draw(&hops), "probe", json!({"id": id, "delivered": true, "tables": rows}))
}

async fn one(
    clients: &Clients,
    deployed: &Deployed,
    poster: &Poster,
    id: &str,
    table: &CleanedTable,
    deadline: Instant,
) -> Result<Hops, Failure> {
    let event = json!({ table.key.as_str(): 0, PROBE_FIELD: id });
    let (started, sent) = (Instant::now(), OffsetDateTime::now_utc());
    let stream = table.stream.as_deref().unwrap_or_default();
    poster.post_until(pinfra_workers::emulator::Destination::Stream(stream), &event, deadline).await?;
    let accepted = started.elapsed();
    let bucket = deployed.bucket.as_deref().unwrap_or_default();
    let key = format!("_pinfra/probes/{id}/{}.json", table.name);
    let arrival: Arrival = loop {
        if let Some(arrival) = deployed::object(clients, bucket, &key).await? {
            break arrival;
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "the probe of `{}` was accepted after {} ms and has not arrived in the lake within {} s",
                table.name, millis(accepted), started.elapsed().as_secs()
            ))
            .hint("`pinfra status` shows where events are, `pinfra logs cleaner` what the cleaner says; `pinfra verify` tries again"));
        }
        tokio::time::sleep(LOOK).await;
    };
    let total = started.elapsed();
    // It has told all it had to tell. One that stays is no more than a small object.
    let _ = clients.s3.delete_object().bucket(bucket).key(&key).send().await;
    Ok(Hops { table: table.name.clone(), sent, accepted, arrival, total })
}

fn draw(hops: &[Hops]) -> String {
    let head = ["", "accepted", "in stream", "read", "committed"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for hop in hops {
        let at = |when: OffsetDateTime| format!("{} ms", since(hop.sent, when));
        rows.push(vec![
            hop.table.clone(),
            format!("{} ms", millis(hop.accepted)),
            at(hop.arrival.in_stream),
            at(hop.arrival.read),
            at(hop.arrival.committed),
        ]);
    }
    let slowest = hops.iter().map(|hop| hop.total).max().unwrap_or_default();
    format!("probe delivered in {} ms\n{}", millis(slowest), columns::aligned(&rows))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds from `sent`, by the clocks of two machines, which may differ a little.
fn since(sent: OffsetDateTime, then: OffsetDateTime) -> Value {
    Value::from(i64::try_from((then - sent).whole_milliseconds().max(0)).unwrap_or(i64::MAX))
}
