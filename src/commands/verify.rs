//! `pinfra verify`: sends a probe event down every path and waits until it has arrived. `up` ends with it.
//!
//! A probe is an event like any other, for each table one on each path, with a field that marks it. On the streaming path
//! the cleaner reads and cleans it with the others, leaves it out of the rows, and writes an object once the commit is done
//! that its position is in. On the batch path it has arrived when the connector has stored it in S3; batch cleaning, which
//! runs on a schedule, leaves it out of the rows too.

mod batch;
mod objects;
mod stream;
#[cfg(test)]
mod testing;

use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use pinfra_workers::config::PROBE_FIELD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::context::Context;
use super::deployed::{self, Deployed, Sink};
use super::events;
use super::post::Poster;
use crate::report::{Failure, columns};

/// A probe that takes longer than this deserves a word on why.
const SLOW: Duration = Duration::from_secs(3);

/// A probe of one table.
struct Probe<'a> {
    id: &'a str,
    table: &'a str,
    /// The field that identifies a row, where it is known.
    key: Option<&'a str>,
}

impl Probe<'_> {
    fn event(&self) -> Value {
        let mut event = Map::new();
        event.extend(self.key.map(|key| (key.to_owned(), Value::from(0))));
        event.insert(PROBE_FIELD.to_owned(), Value::from(self.id));
        Value::Object(event)
    }
}

/// Where probes of one table can go.
#[derive(Debug, PartialEq, Eq)]
struct Ways<'a> {
    table: &'a str,
    stream: Option<&'a str>,
    topic: Option<&'a str>,
}

/// A table's probe, at every hop of every path.
struct Hops {
    table: String,
    stream: Option<stream::Hops>,
    batch: Option<batch::Hops>,
}

/// Probes the stack that `given` names.
pub(super) async fn run(context: &Context, given: Option<&str>, limit: Duration) -> Result<(), Failure> {
    let (state, place) = deployed::recorded(context, given)?;
    let clients = deployed::connect(context, &state, &place).await?;
    let deployed = Deployed::of(&state);
    if let Some(missing) = missing(&deployed) {
        return Err(Failure::new(format!("there is no path to probe: {missing}")).hint(
            "a probe needs `api`, `lake` and a `client`, with `streams` and `workers.cleaner` or with `cluster`, \
             `connector` and `workers.gateway`",
        ));
    }
    probe(context, &clients, &deployed, limit).await?;
    context.tell_requests(&clients)
}

/// What a probe needs and this stack has not.
pub(super) fn missing(deployed: &Deployed) -> Option<&'static str> {
    if deployed.invoke_url.is_none() {
        Some("the stack has no API")
    } else if deployed.bucket.is_none() {
        Some("the stack has no lake")
    } else if ways(deployed).is_empty() {
        Some("the stack has no cleaner that reads streams, and no connector behind a gateway")
    } else {
        None
    }
}

/// The paths of each table that lead from the API to the lake.
fn ways(deployed: &Deployed) -> Vec<Ways<'_>> {
    let stored = deployed.sink.is_some() && deployed.has("gateway");
    let stream_of = |table: &str| {
        let cleaned = deployed.tables.iter().find(|cleaned| cleaned.name == table && deployed.streaming)?;
        cleaned.stream.as_deref()
    };
    let mut tables: Vec<&str> = deployed.tables.iter().map(|table| table.name.as_str()).collect();
    tables.extend(
        deployed.topics.keys().map(String::as_str).filter(|topic| deployed.tables.iter().all(|t| t.name != *topic)),
    );
    let ways = tables.into_iter().map(|table| Ways {
        table,
        stream: stream_of(table),
        topic: deployed.topics.get(table).filter(|_| stored).map(String::as_str),
    });
    ways.filter(|ways| ways.stream.is_some() || ways.topic.is_some()).collect()
}

/// Sends a probe to every table on every path and tells how long each hop took.
pub(super) async fn probe(
    context: &Context,
    clients: &Clients,
    deployed: &Deployed,
    limit: Duration,
) -> Result<(), Failure> {
    let poster = Poster::new(clients, deployed)?;
    let id = Uuid::new_v4().to_string();
    let ways = ways(deployed);
    let started = Instant::now();
    let probes = ways.iter().map(|ways| one(clients, deployed, &poster, &id, ways, limit));
    let arrived = Box::pin(futures::future::join_all(probes));
    let slow = deployed.sink.as_ref().filter(|_| ways.iter().any(|ways| ways.topic.is_some()));
    let (mut hops, mut failed) = (Vec::new(), Vec::new());
    for result in said_when_slow(context, slow, limit, arrived).await {
        match result {
            Ok(hop) => hops.push(hop),
            Err(failure) => failed.push(failure),
        }
    }
    if let Some(first) = failed.into_iter().next() {
        // What is met at the API is often the machine behind it.
        let heartbeat = deployed.heartbeat(clients).await.ok().flatten();
        return Err(match events::trouble(deployed, heartbeat.as_ref()) {
            Some(hint) => first.hint(hint),
            None => first,
        });
    }
    let text = format!("probe delivered in {} ms\n{}", millis(started.elapsed()), draw(&hops));
    let rows: Vec<Value> = hops.iter().map(value).collect();
    context.result(&text, "probe", json!({"id": id, "delivered": true, "tables": rows}))
}

/// What `probes` come to. When that takes long, says why it may.
async fn said_when_slow<T>(
    context: &Context,
    sink: Option<&Sink>,
    limit: Duration,
    mut probes: impl Future<Output = T> + Unpin,
) -> T {
    let Some(sink) = sink else { return probes.await };
    match tokio::time::timeout(SLOW, &mut probes).await {
        Ok(done) => done,
        Err(_) => {
            let (why, patience) = (batch::when_stored(sink), batch::patience(sink, limit).as_secs());
            context.tell(&format!("waiting for probes, on the batch path for up to {patience} s: {why}"));
            probes.await
        }
    }
}

/// Both paths of a table at the same time. Where one fails, that is told and not waited for the other.
async fn one(
    clients: &Clients,
    deployed: &Deployed,
    poster: &Poster,
    id: &str,
    ways: &Ways<'_>,
    limit: Duration,
) -> Result<Hops, Failure> {
    let key = deployed.keys.get(ways.table).map(String::as_str);
    let probe = Probe { id, table: ways.table, key };
    let bucket = deployed.bucket.as_deref().unwrap_or_default();
    let streamed = async {
        let Some(stream) = ways.stream else { return Ok(None) };
        let deadline = Instant::now() + limit;
        stream::send(clients, poster, bucket, &probe, stream, deadline).await.map(Some)
    };
    let stored = async {
        let (Some(topic), Some(sink)) = (ways.topic, &deployed.sink) else { return Ok(None) };
        batch::send(clients, poster, sink, &probe, topic, limit).await.map(Some)
    };
    // The SDK's futures are large.
    let (stream, batch) = futures::future::try_join(Box::pin(streamed), Box::pin(stored)).await?;
    Ok(Hops { table: ways.table.to_owned(), stream, batch })
}

/// One line a table, with the hops of the paths that there are.
fn draw(hops: &[Hops]) -> String {
    let (streams, batches) = (hops.iter().any(|hop| hop.stream.is_some()), hops.iter().any(|hop| hop.batch.is_some()));
    let mut head = vec![""];
    head.extend(["accepted", "in stream", "read", "committed"].into_iter().filter(|_| streams));
    head.extend(["in Kafka", "in S3", "offset"].into_iter().filter(|_| batches));
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for hop in hops {
        let mut row = vec![hop.table.clone()];
        if let Some(stream) = &hop.stream {
            let at = |when| format!("{} ms", stream.since(when));
            let arrival = &stream.arrival;
            row.push(format!("{} ms", millis(stream.accepted)));
            row.extend([at(arrival.in_stream), at(arrival.read), at(arrival.committed)]);
        } else if streams {
            row.extend(["-"; 4].map(str::to_owned));
        }
        if let Some(batch) = &hop.batch {
            let times = [batch.accepted, batch.stored].map(|time| format!("{} ms", millis(time)));
            row.extend(times);
            row.push(format!("{}@{}", batch.partition, batch.offset));
        } else if batches {
            row.extend(["-"; 3].map(str::to_owned));
        }
        rows.push(row);
    }
    columns::aligned(&rows)
}

/// For programs: the hops of the streaming path beside the table, those of the batch path under `batch`.
fn value(hops: &Hops) -> Value {
    let mut fields = Map::from_iter([("table".to_owned(), Value::from(hops.table.as_str()))]);
    if let Some(stream) = &hops.stream {
        fields.extend(stream::value(stream).into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    if let Some(batch) = &hops.batch {
        fields.insert("batch".to_owned(), batch::value(batch));
    }
    Value::Object(fields)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pinfra_workers::config::{Arrival, CleanedTable};
    use time::OffsetDateTime;

    use super::*;

    fn cleaned(name: &str) -> CleanedTable {
        let stream = Some(format!("s-{name}"));
        CleanedTable {
            name: name.into(),
            key: "ind".into(),
            stream,
            topic: Some(format!("s.{name}")),
            sql: String::new(),
        }
    }

    fn whole() -> Deployed {
        Deployed {
            bucket: Some("lake".into()),
            invoke_url: Some("http://api".into()),
            tables: vec![cleaned("geo")],
            streaming: true,
            topics: BTreeMap::from([("geo".into(), "s.geo".into()), ("pin".into(), "s.pin".into())]),
            sink: Some(Sink {
                bucket: "lake".into(),
                folder: "topics".into(),
                delimiter: "+".into(),
                flush_size: Some(1000),
                rotate: None,
                by_partition: true,
            }),
            workers: vec!["gateway".into()],
            ..Deployed::default()
        }
    }

    #[test]
    fn each_path_that_there_is_gets_a_probe() {
        let both = Ways { table: "geo", stream: Some("s-geo"), topic: Some("s.geo") };
        assert_eq!(ways(&whole()), [both, Ways { table: "pin", stream: None, topic: Some("s.pin") }]);
        let batch_alone = Deployed { streaming: false, ..whole() };
        assert_eq!(ways(&batch_alone)[0], Ways { table: "geo", stream: None, topic: Some("s.geo") });
        let stream_alone = Deployed { workers: Vec::new(), ..whole() };
        assert_eq!(ways(&stream_alone), [Ways { table: "geo", stream: Some("s-geo"), topic: None }]);
        assert_eq!(missing(&whole()), None);
        let neither = Deployed { streaming: false, sink: None, ..whole() };
        assert!(missing(&neither).unwrap().contains("no connector"));
        assert!(missing(&Deployed { invoke_url: None, ..whole() }).unwrap().contains("no API"));
    }

    fn hops(table: &str, stream: bool, batch: bool) -> Hops {
        let sent = OffsetDateTime::UNIX_EPOCH;
        let at = |ms| sent + Duration::from_millis(ms);
        let arrival = Arrival {
            id: "1".into(),
            table: table.into(),
            in_stream: at(40),
            read: at(60),
            committed: at(310),
            rejected: None,
        };
        let ms = Duration::from_millis;
        let object = "topics/s.pin/partition=2/s.pin+2+0000000011.json".into();
        Hops {
            table: table.into(),
            stream: stream.then_some(stream::Hops { sent, accepted: ms(35), arrival, total: ms(340) }),
            batch: batch.then_some(batch::Hops {
                accepted: ms(12),
                partition: 2,
                offset: 15,
                stored: ms(4_912),
                object,
            }),
        }
    }

    #[test]
    fn hops_stand_side_by_side() {
        let both = draw(&[hops("pin", true, true), hops("geo", false, true)]);
        insta::assert_snapshot!(both);
        assert!(both.lines().all(|line| line.chars().count() <= 80), "{both}");
        insta::assert_snapshot!(draw(&[hops("pin", true, false)]));
        insta::assert_snapshot!(value(&hops("pin", true, true)).to_string());
    }
}
