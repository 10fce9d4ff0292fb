//! A probe down the batch path: acknowledged by Kafka, which gives it a partition and an offset, and stored in S3 by the
//! connector. It has arrived when the object that has its offset has its id in it.
//!
//! The connector names an object `<topic>+<partition>+<offset of its first record>.json`, wherever its partitioner puts it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use pinfra_workers::emulator::{Destination, Receipt};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::deployed::Sink;
use super::super::post::Poster;
use super::Probe;
use super::objects::{holds, may_hold, newest_first};
use crate::report::Failure;

/// How often the bucket is asked whether the probe is there.
const LOOK: Duration = Duration::from_millis(250);
/// What the connector may take beyond its interval: to read, to store, and to start on a new machine.
const MARGIN: Duration = Duration::from_secs(30);

/// A table's probe, at every hop of the batch path.
pub(super) struct Hops {
    pub(super) accepted: Duration,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) stored: Duration,
    pub(super) object: String,
}

/// For how long a probe is waited for: `limit`, or as long as the connector may keep it.
pub(super) fn patience(sink: &Sink, limit: Duration) -> Duration {
    sink.rotate.map_or(limit, |rotate| limit.max(rotate + MARGIN))
}

/// When the connector stores what it has read, for people.
pub(super) fn when_stored(sink: &Sink) -> String {
    let full = sink.flush_size.map_or("when it is full".to_owned(), |n| format!("after {n} records"));
    match sink.rotate {
        Some(rotate) => format!("the connector stores an object {full}, or after {} s", rotate.as_secs_f64()),
        None => {
            format!("the connector stores an object {full}, and has no interval after which it stores one that is not")
        }
    }
}

/// Posts the probe to `topic` and waits until it is in S3.
pub(super) async fn send(
    clients: &Clients,
    poster: &Poster,
    sink: &Sink,
    probe: &Probe<'_>,
    topic: &str,
    limit: Duration,
) -> Result<Hops, Failure> {
    let (started, sent) = (Instant::now(), OffsetDateTime::now_utc());
    let receipt = poster.post_until(Destination::Topic(topic), &probe.event(), started + limit).await?;
    let accepted = started.elapsed();
    let Receipt::Topic { partition, offset } = receipt else {
        return Err(Failure::new(format!("the API took the probe of `{}` and did not say where it is", probe.table)));
    };
    let deadline = Instant::now() + patience(sink, limit);
    let mut looked_at = HashSet::new();
    loop {
        let objects = may_hold(clients, sink, topic, partition, offset, sent).await?;
        for object in newest_first(objects, sink) {
            // One that was written anew has another tag.
            if looked_at.insert((object.key.clone(), object.tag.clone()))
                && holds(clients, &sink.bucket, &object.key, probe.id).await?
            {
                let stored = started.elapsed();
                return Ok(Hops { accepted, partition, offset, stored, object: object.key });
            }
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "the probe of `{}` is in Kafka (partition {partition}, offset {offset}) since {} ms and has not been stored \
                 in S3 within {} s: {}",
                probe.table,
                accepted.as_millis(),
                started.elapsed().as_secs(),
                when_stored(sink)
            ))
            .hint("`pinfra status` shows the connector's state and where events are; `pinfra verify` tries again"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// For programs.
pub(super) fn value(hops: &Hops) -> Value {
    json!({
        "accepted_ms": super::millis(hops.accepted), "partition": hops.partition, "offset": hops.offset,
        "in_s3_ms": super::millis(hops.stored), "object": hops.object,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::deployed::Deployed;
    use super::super::testing::{Cloud, api};
    use super::*;

    fn sink(flush_size: Option<u64>, rotate: Option<u64>) -> Sink {
        Sink {
            bucket: "lake".into(),
            folder: "topics".into(),
            delimiter: "+".into(),
            flush_size,
            rotate: rotate.map(Duration::from_secs),
            by_partition: true,
        }
    }

    #[test]
    fn a_connector_is_given_the_time_that_it_takes() {
        let minute = Duration::from_secs(60);
        assert_eq!(patience(&sink(None, None), minute), minute);
        assert_eq!(patience(&sink(None, Some(5)), minute), minute);
        assert_eq!(patience(&sink(None, Some(600)), minute), Duration::from_secs(630));
    }

    #[test]
    fn it_is_said_what_a_probe_waits_for() {
        let told = when_stored(&sink(Some(1000), Some(60)));
        assert_eq!(told, "the connector stores an object after 1000 records, or after 60 s");
        assert!(when_stored(&sink(Some(1), None)).contains("no interval"));
    }

    const TAKEN: &str = r#"{"offsets":[{"partition":1,"offset":7,"error_code":null,"error":null}]}"#;

    /// Sends a probe to the topic `s.pin` of a stack whose API is at `url`.
    async fn probed(cloud: &Cloud, url: String, sink: &Sink, limit: Duration) -> Result<Hops, Failure> {
        let deployed = Deployed { invoke_url: Some(url), ..Deployed::default() };
        let poster = Poster::new(&cloud.clients, &deployed)?;
        let probe = Probe { id: "probe-1", table: "pin", key: Some("index") };
        send(&cloud.clients, &poster, sink, &probe, "s.pin", limit).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_probe_has_arrived_when_its_object_has_it() {
        let (cloud, (url, mut posted)) = (Cloud::start().await, api(TAKEN).await);
        let connector = async {
            let (path, body) = posted.recv().await.unwrap();
            assert_eq!(path, "/prod/topics/s.pin");
            assert_eq!(body, r#"{"records":[{"value":{"index":0,"_pinfra_probe":"probe-1"}}]}"#);
            // First one that is not it, and then, in another connector's words, the same object anew.
            let key = "topics/s.pin/partition=1/s.pin+1+0000000005.json";
            cloud.put(key, b"{}\n{}\n".to_vec()).await;
            cloud.asked("GetObject").await;
            cloud.put(key, [b"{}\n{}\n", body.as_ref()].concat()).await;
        };
        let sink = sink(Some(1000), Some(5));
        let probing = probed(&cloud, url, &sink, Duration::from_secs(30));
        let (hops, ()) = tokio::join!(probing, connector);
        let hops = hops.unwrap();
        assert_eq!((hops.partition, hops.offset), (1, 7));
        assert_eq!(hops.object, "topics/s.pin/partition=1/s.pin+1+0000000005.json");
        assert!(hops.stored > hops.accepted);
        cloud.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_that_does_not_arrive_says_where_it_is() {
        let (cloud, (url, _posted)) = (Cloud::start().await, api(TAKEN).await);
        let Err(failure) = probed(&cloud, url, &sink(Some(1000), None), Duration::from_millis(300)).await else {
            panic!("nothing stores it")
        };
        let message = failure.to_string();
        for part in ["`pin` is in Kafka (partition 1, offset 7)", "after 1000 records", "no interval"] {
            assert!(message.contains(part), "{message}");
        }
        let (url, _posted) = api(r#"{"offsets":[{"error_code":1,"error":"too large"}]}"#).await;
        let Err(failure) = probed(&cloud, url, &sink(None, None), Duration::from_secs(30)).await else {
            panic!("it was refused")
        };
        assert!(failure.to_string().contains("refuses an event for `s.pin`: Kafka does not take it: too large"));
        cloud.stop().await;
    }
}
