//! Objects as the Confluent sink writes them: keys and contents, byte by byte.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ground::{Ground, text};

fn expected(objects: &[(&str, &str)]) -> BTreeMap<String, String> {
    objects.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_an_event() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    ground.running("c", &[]).await;
    // Members come out in the order of a `java.util.HashMap`: buckets 9, 12, 13 and 14 of 16.
    ground.produce(
        "pins.pin",
        0,
        &[r#"{"index": 7528, "downloaded": 1, "lat": -88.50, "title": "a \"b\" é"}"#, "[1.0]"],
    );
    let objects = ground.stored(2).await;
    let event = &objects["topics/pins.pin/partition=0/pins.pin+0+0000000000.json"];
    assert_eq!(event, "{\"index\":7528,\"title\":\"a \\\"b\\\" é\",\"downloaded\":1,\"lat\":-88.5}\n");
    assert_eq!(objects["topics/pins.pin/partition=0/pins.pin+0+0000000001.json"], "[1.0]\n");
    ground.committed("connect-c", "pins.pin", 0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_a_file_in_two_partitions() {
    let ground = Ground::new().await;
    ground.topic("pins.geo", 2);
    let values: Vec<String> = (0..2_500).map(|number| format!("{{\"ind\":{number}}}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    ground.produce("pins.geo", 0, &values);
    ground.produce("pins.geo", 1, &values[..1_000]);
    ground.running("c", &[("flush.size", "1000")]).await;
    let objects = ground.stored(3).await;
    let lines =
        |from: usize, to: usize| -> String { values[from..to].iter().map(|line| format!("{line}\n")).collect() };
    let wanted = expected(&[
        ("topics/pins.geo/partition=0/pins.geo+0+0000000000.json", &lines(0, 1_000)),
        ("topics/pins.geo/partition=0/pins.geo+0+0000001000.json", &lines(1_000, 2_000)),
        ("topics/pins.geo/partition=1/pins.geo+1+0000000000.json", &lines(0, 1_000)),
    ]);
    assert_eq!(objects, wanted);
    ground.committed("connect-c", "pins.geo", 0, 2_000).await;
    ground.committed("connect-c", "pins.geo", 1, 1_000).await;
}

/// What was read of an open object is read again, and the object is as it would have been.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_a_file() {
    let mut ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground.running("c", &[("flush.size", "3")]).await;
    ground.produce("pins.pin", 0, &["0", "1", "2", "3", "4"]);
    ground.stored(1).await;
    ground.committed("connect-c", "pins.pin", 0, 3).await;
    ground.restart().await;
    ground.reaches(&arn, "RUNNING").await;
    ground.produce("pins.pin", 0, &["5", "6"]);
    let wanted = expected(&[
        ("topics/pins.pin/partition=0/pins.pin+0+0000000000.json", "0\n1\n2\n"),
        ("topics/pins.pin/partition=0/pins.pin+0+0000000003.json", "3\n4\n5\n"),
    ]);
    assert_eq!(ground.stored(2).await, wanted);
}

/// Stopped between the upload and the commit, a connector writes the same bytes to the same keys.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_again_alike() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    ground.produce("pins.pin", 0, &["0", "1", "2", "3"]);
    let settings = [("flush.size", "2"), ("s3.compression.type", "gzip")];
    let first = ground.running("one", &settings).await;
    let objects = ground.stored(2).await;
    let bytes = async || {
        let key = "/lake/topics/pins.pin/partition=0/pins.pin+0+0000000002.json.gz";
        ground.s3.get(key).send().await.ok().body
    };
    let before = bytes().await;
    ground.ok("DeleteConnector", serde_json::json!({"connectorArn": first})).await;
    // Another connector is another group: it exports all once more.
    ground.running("two", &settings).await;
    ground.committed("connect-two", "pins.pin", 0, 4).await;
    assert_eq!(ground.stored(2).await, objects);
    assert_eq!(bytes().await, before);
    assert_eq!(objects["topics/pins.pin/partition=0/pins.pin+0+0000000002.json.gz"], "2\n3\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_and_bytes() {
    let ground = Ground::new().await;
    ground.topic("pins.raw", 1);
    let settings = [
        ("topics.regex", ""),
        ("topics", "pins.raw"),
        ("topics.dir", "topics/raw"),
        ("file.delim", "-"),
        ("filename.offset.zero.pad.width", "4"),
        ("format.class", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat"),
        ("format.bytearray.extension", ".dat"),
        ("format.bytearray.separator", ";"),
        ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("flush.size", "2"),
    ];
    ground.running("c", &settings).await;
    ground.produce("pins.raw", 0, &["{", "\u{1}"]);
    assert_eq!(
        ground.stored(1).await,
        expected(&[("topics/raw/pins.raw/partition=0/pins.raw-0-0000.dat", "{;\u{1};")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_by_time_and_by_field() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let by_time = [
        ("partitioner.class", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner"),
        ("path.format", "'year'=YYYY/'month'=MM/'day'=dd"),
        ("partition.duration.ms", "86400000"),
        ("locale", "en-US"),
        ("timezone", "UTC"),
        ("timestamp.extractor", "RecordField"),
        ("timestamp.field", "at"),
    ];
    ground.produce("pins.pin", 0, &[r#"{"at":"2021-10-03T12:00:00Z"}"#, r#"{"at":0}"#]);
    ground.running("time", &by_time).await;
    let wanted = expected(&[
        ("topics/pins.pin/year=1970/month=01/day=01/pins.pin+0+0000000001.json", "{\"at\":0}\n"),
        ("topics/pins.pin/year=2021/month=10/day=03/pins.pin+0+0000000000.json", "{\"at\":\"2021-10-03T12:00:00Z\"}\n"),
    ]);
    assert_eq!(ground.stored(2).await, wanted);

    ground.topic("fields", 1);
    let by_field = [
        ("topics.regex", "fields"),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"),
        ("partition.field.name", "category,year"),
        ("value.converter.schemas.enable", "true"),
    ];
    let schema = r#"{"type":"struct","fields":[{"field":"year","type":"int32"},{"field":"category","type":"string"}]}"#;
    let record = format!("{{\"schema\":{schema},\"payload\":{{\"category\":\"art\",\"year\":2021}}}}");
    ground.produce("fields", 0, &[&record]);
    ground.running("field", &by_field).await;
    let objects = ground.stored(3).await;
    assert_eq!(
        objects["topics/fields/category=art/year=2021/fields+0+0000000000.json"],
        "{\"year\":2021,\"category\":\"art\"}\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_closes_open_objects() {
    let ground = Ground::new().await;
    ground.topic("pins.pin", 1);
    let arn = ground
        .running("c", &[("flush.size", "100"), ("rotate.schedule.interval.ms", "600000"), ("timezone", "UTC")])
        .await;
    ground.produce("pins.pin", 0, &["0", "1"]);
    ground.clock.advance(Duration::from_secs(600));
    let wanted = expected(&[("topics/pins.pin/partition=0/pins.pin+0+0000000000.json", "0\n1\n")]);
    // The records may have been read after the clock was moved: then the next interval closes them.
    let mut turns = 0;
    ground
        .until("an object", async || {
            turns += 1;
            if turns % 100 == 0 {
                ground.clock.advance(Duration::from_secs(600));
            }
            !ground.keys().await.is_empty()
        })
        .await;
    assert_eq!(ground.objects().await, wanted);
    assert_eq!(text(&ground.describe(&arn).await["connectorState"]), "RUNNING");
}
