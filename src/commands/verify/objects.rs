//! The objects of a topic in S3 that may hold a record, and whether one does.

use std::io::Read;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use pinfra_aws::Clients;
use pinfra_aws::error::classify;
use time::OffsetDateTime;

use super::super::deployed::{self, Sink};
use crate::report::Failure;

/// By so much the clock of this machine may be ahead of S3's: requests of one that is further off are refused.
const CLOCKS: Duration = Duration::from_secs(15 * 60);

/// An object that may hold the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: String,
    pub(super) tag: String,
    /// The offset of its first record.
    first: i64,
}

/// Objects that may hold the record of that offset, which was sent at `sent`.
pub(super) async fn may_hold(
    clients: &Clients,
    sink: &Sink,
    topic: &str,
    partition: i32,
    offset: i64,
    sent: OffsetDateTime,
) -> Result<Vec<Candidate>, Failure> {
    let prefix = prefix(sink, topic, partition);
    let written = (sent - CLOCKS).unix_timestamp();
    let mut found = Vec::new();
    let list = clients.s3.list_objects_v2().bucket(&sink.bucket).prefix(&prefix);
    let list = list.set_start_after(start_after(sink, &prefix, topic, partition, offset));
    let mut pages = list.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::from(classify("s3:ListObjectsV2", &error)))?;
        for object in page.contents.unwrap_or_default() {
            let Some(key) = object.key else { continue };
            let Some(first) = first_offset(&key, sink, topic, partition) else { continue };
            if first <= offset && object.last_modified.is_none_or(|at| at.secs() >= written) {
                found.push(Candidate { key, tag: object.e_tag.unwrap_or_default(), first });
            }
        }
    }
    Ok(found)
}

/// The one that begins nearest before the record first. Where a partition has one folder its objects follow each other, and
/// that one alone can have the record.
pub(super) fn newest_first(mut candidates: Vec<Candidate>, sink: &Sink) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.first));
    if sink.by_partition {
        candidates.truncate(1);
    }
    candidates
}

/// Whether an object has `id` in it.
pub(super) async fn holds(clients: &Clients, bucket: &str, key: &str, id: &str) -> Result<bool, Failure> {
    let Some(fetched) = deployed::fetch(clients, bucket, key).await? else { return Ok(false) };
    let unreadable =
        |error: std::io::Error| Failure::new(format!("cannot read `s3://{bucket}/{key}` as gzip: {error}"));
    let mut unpacked = Vec::new();
    let content = if key.ends_with(".gz") {
        MultiGzDecoder::new(fetched.body.as_ref()).read_to_end(&mut unpacked).map_err(unreadable)?;
        unpacked.as_slice()
    } else {
        fetched.body.as_ref()
    };
    Ok(content.windows(id.len()).any(|window| window == id.as_bytes()))
}

fn prefix(sink: &Sink, topic: &str, partition: i32) -> String {
    let folder = if sink.folder.is_empty() { String::new() } else { format!("{}/", sink.folder) };
    if sink.by_partition { format!("{folder}{topic}/partition={partition}/") } else { format!("{folder}{topic}/") }
}

/// Names have ten digits, and from this offset on more, when they are not in the order of their numbers.
const IN_ORDER: i64 = 10_000_000_000;

/// Objects up to this key end before the record: none has more records than the connector puts into one.
fn start_after(sink: &Sink, prefix: &str, topic: &str, partition: i32, offset: i64) -> Option<String> {
    let flush_size = i64::try_from(sink.flush_size?).ok()?;
    let last = offset.checked_sub(flush_size).filter(|last| *last >= 0 && sink.by_partition && offset < IN_ORDER)?;
    let delimiter = &sink.delimiter;
    Some(format!("{prefix}{topic}{delimiter}{partition}{delimiter}{last:010}"))
}

/// The offset of the first record of an object of this partition, by its key.
fn first_offset(key: &str, sink: &Sink, topic: &str, partition: i32) -> Option<i64> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let rest = name.strip_prefix(topic)?.strip_prefix(sink.delimiter.as_str())?;
    let rest = rest.strip_prefix(&partition.to_string())?.strip_prefix(sink.delimiter.as_str())?;
    let digits = rest.split_once('.').map_or(rest, |(digits, _)| digits);
    digits.parse().ok().filter(|first| *first >= 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::super::testing::Cloud;
    use super::*;

    fn sink(flush_size: u64, by_partition: bool) -> Sink {
        Sink {
            bucket: "lake".into(),
            folder: "topics".into(),
            delimiter: "+".into(),
            flush_size: Some(flush_size),
            rotate: None,
            by_partition,
        }
    }

    fn key(sink: &Sink, partition: i32, first: i64) -> String {
        format!("{}s.pin+{partition}+{first:010}.json", prefix(sink, "s.pin", partition))
    }

    #[test]
    fn keys_say_where_records_begin() {
        let sink = sink(1, true);
        let first = |key: &str| first_offset(key, &sink, "s.pin", 1);
        assert_eq!(first("topics/s.pin/partition=1/s.pin+1+0000000042.json"), Some(42));
        assert_eq!(first("topics/s.pin/year=2026/month=11/s.pin+1+0000000042.json.gz"), Some(42));
        assert_eq!(first("s.pin+1+12345678901.bin"), Some(12_345_678_901));
        for other in
            ["topics/s.pin/s.pin+11+0000000042.json", "topics/s.pins/s.pins+1+0000000042.json", "s.pin+1+", "x"]
        {
            assert_eq!(first(other), None, "{other}");
        }
    }

    #[test]
    fn one_folder_has_one_candidate() {
        let candidate = |first| Candidate { key: format!("{first}"), tag: String::new(), first };
        let all = vec![candidate(3), candidate(20), candidate(7)];
        let firsts = |sink| newest_first(all.clone(), &sink).iter().map(|one| one.first).collect::<Vec<_>>();
        assert_eq!((firsts(sink(5, true)), firsts(sink(5, false))), (vec![20], vec![20, 7, 3]));
    }

    async fn put(cloud: &Cloud, key: &str, lines: &[&str]) {
        let mut body = lines.join("\n").into_bytes();
        if key.ends_with(".gz") {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(&body).unwrap();
            body = packed.finish().unwrap();
        }
        cloud.put(key, body).await;
    }

    /// In the bucket of a local cloud, whatever the partitioner.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_object_of_a_record_is_found() {
        let cloud = Cloud::start().await;
        let clients = &cloud.clients;
        let by_partition = "topics/s.pin/partition=1/s.pin+1+";
        put(&cloud, &format!("{by_partition}0000000000.json"), &["a", "b"]).await;
        put(&cloud, &format!("{by_partition}0000000002.json"), &["c", "probe-1"]).await;
        put(&cloud, &format!("{by_partition}0000000004.json"), &["d"]).await;
        put(&cloud, "topics/s.pin/partition=2/s.pin+2+0000000002.json", &["other"]).await;
        put(&cloud, "topics/s.pin/year=2026/s.pin+1+0000000001.json.gz", &["probe-1", "x"]).await;
        let now = OffsetDateTime::now_utc();
        let look = async |sink: &Sink, sent| {
            let objects = may_hold(clients, sink, "s.pin", 1, 3, sent).await.unwrap();
            newest_first(objects, sink).into_iter().map(|object| object.key).collect::<Vec<_>>()
        };
        let found = look(&sink(2, true), now).await;
        assert_eq!(found, [format!("{by_partition}0000000002.json")]);
        assert!(holds(clients, "lake", &found[0], "probe-1").await.unwrap());
        assert!(!holds(clients, "lake", &found[0], "probe-2").await.unwrap());
        // Folders by time: every object that begins before it may have it, packed or not.
        let found = look(&sink(2, false), now).await;
        let packed = "topics/s.pin/year=2026/s.pin+1+0000000001.json.gz";
        assert_eq!((found.len(), found[1].as_str()), (3, packed));
        assert!(holds(clients, "lake", packed, "probe-1").await.unwrap());
        // What was there long before is not looked at, and one that is gone holds nothing.
        assert_eq!(look(&sink(2, false), now + time::Duration::hours(1)).await, Vec::<String>::new());
        assert!(!holds(clients, "lake", "gone", "probe-1").await.unwrap());
        cloud.stop().await;
    }

    proptest! {
        /// Wherever an object begins that may hold the record, the listing does not leave it out.
        #[test]
        fn listing_starts_before_what_may_hold_it(offset in 0_i64..20_000_000_000, flush_size in 1_u64..5_000, back in 0_u64..5_000) {
            let back = i64::try_from(back % flush_size).unwrap();
            prop_assume!(back <= offset);
            let sink = sink(flush_size, true);
            let key = key(&sink, 2, offset - back);
            if let Some(after) = start_after(&sink, &prefix(&sink, "s.pin", 2), "s.pin", 2, offset) {
                prop_assert!(key > after, "{key} {after}");
            }
        }
    }
}
