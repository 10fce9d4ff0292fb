//! Topics that are made again. Their offsets begin at 0, and what the sink stored before must stay, and be read with what
//! comes after.

use std::collections::BTreeSet;
use std::time::Instant;

use pinfra_aws::Clients;
use serde_json::{Value, json};

use super::stack::Stack;
use crate::pipeline::{LIMIT, http, wait_for};

const CLEAN: &str = "-- reads: index\nSELECT parse_int(index) AS ind FROM events\n";

/// A stack whose events come by Kafka alone, and what was sent to it.
struct Again {
    stack: Stack,
    sent: BTreeSet<i64>,
}

impl Again {
    fn new(lake: &Value) -> Again {
        let stack = Stack::new(json!({
            "name": "again",
            "tables": { "pin": { "key": "index", "clean": "pin.sql" }, "geo": { "key": "index", "clean": "pin.sql" } },
            "lake": lake,
            "cluster": { "partitions": 2 },
            "connector": { "flush_size": 3, "rotate_seconds": 1 },
            "api": { "auth": "none" },
            "client": {},
            "workers": { "gateway": {}, "cleaner": { "streaming": false, "schedule": "0 12 * * *" } },
        }));
        stack.sandbox.write("pin.sql", CLEAN);
        Again { stack, sent: BTreeSet::new() }
    }

    fn output(&self, name: &str) -> String {
        self.stack.sandbox.ok(&["outputs", "again", "--show", name]).stdout.trim().to_owned()
    }

    /// Posts so many events to each table, and waits until all of them are in S3.
    async fn send(&mut self, clients: &Clients, count: i64) {
        let url = self.output("invoke_url");
        let from = self.sent.last().map_or(0, |last| last + 1);
        for index in from..from + count {
            for table in ["pin", "geo"] {
                let body = format!("{{\"records\":[{{\"value\":{{\"index\":{index}}}}}]}}");
                let json = ("content-type", "application/vnd.kafka.json.v2+json");
                // A machine that is new answers once its gateway runs.
                wait_for("the gateway to take an event", || {
                    let (status, _) = http("POST", &format!("{url}/topics/again.{table}"), &[json], body.as_bytes());
                    (status == 200).then_some(())
                });
            }
            self.sent.insert(index);
        }
        let used = self.stack.file["lake"]["use"].as_str().map(str::to_owned);
        let bucket = used.unwrap_or_else(|| self.output("bucket"));
        for table in ["pin", "geo"] {
            let until = Instant::now() + LIMIT;
            loop {
                let stored = stored(clients, &bucket, table).await;
                if self.sent.is_subset(&stored) {
                    break;
                }
                let missing: Vec<_> = self.sent.difference(&stored).collect();
                assert!(Instant::now() < until, "{table}: {missing:?} of {} are not in S3", self.sent.len());
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }

    /// All that was ever sent is in both tables once, also when they are made anew from the objects.
    fn cleaned(&self) {
        for clean in [&["clean", "again"][..], &["clean", "again", "--full"], &["clean", "again"]] {
            self.stack.sandbox.ok(clean);
            for table in ["pin", "geo"] {
                let sql = format!("SELECT ind FROM {table} ORDER BY ind");
                let said =
                    self.stack.sandbox.ok(&["query", "again", "--from", "batch", "--sql", &sql, "--format", "json"]);
                let rows: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
                let rows: Vec<i64> = rows.iter().map(|row| row["ind"].as_i64().unwrap()).collect();
                assert_eq!(rows, self.sent.iter().copied().collect::<Vec<_>>(), "{table} after {clean:?}");
            }
        }
    }

    fn folder(&self) -> String {
        let recorded = self.stack.recorded();
        let connector = recorded.iter().find(|(address, _)| address.kind() == "msk_connect/connector").unwrap().1;
        connector["outputs"]["folder"].as_str().unwrap().to_owned()
    }
}

/// The events of a table in the bucket's objects, wherever below `topics/`.
async fn stored(clients: &Clients, bucket: &str, table: &str) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    let mut pages = clients.s3.list_objects_v2().bucket(bucket).prefix("topics/").into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap();
            if !key.contains(&format!("/again.{table}/partition=")) {
                continue;
            }
            let body = clients.s3.get_object().bucket(bucket).key(key).send().await.unwrap().body;
            let body = String::from_utf8(body.collect().await.unwrap().to_vec()).unwrap();
            found
                .extend(body.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_i64()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_again_loses_nothing_of_what_was_stored() {
    let mut again = Again::new(&json!({}));
    again.stack.up(&[]);
    assert_eq!(again.folder(), "topics", "the first ones are where the sink has them by itself");
    let clients = again.stack.sandbox.clients().await;
    again.send(&clients, 10).await;
    again.cleaned();

    // Fewer partitions are another topic; the connector is not left to store its first events over the old ones.
    again.stack.edit("/cluster/partitions", json!(1));
    let plan = again.stack.sandbox.ok(&["plan", "stack.yaml"]).stdout;
    assert!(plan.contains("msk_connect/connector.s3  replace: the topic `again.geo` is made again"), "{plan}");
    again.stack.up(&[]);
    assert_eq!(again.folder(), "topics/generation=2");
    assert_eq!(Stack::steps(&again.stack.plan(&[])), Vec::<String>::new());
    again.send(&clients, 7).await;
    again.cleaned();

    // One that somebody deleted is made again as well, and the other one goes on in the new folder.
    let cluster = again.stack.recorded().into_iter().find(|(address, _)| address.kind() == "msk/cluster").unwrap().1;
    let cluster = cluster["id"].as_str().unwrap();
    clients.kafka.delete_topic().cluster_arn(cluster).topic_name("again.pin").send().await.unwrap();
    again.stack.up(&[]);
    assert_eq!(again.folder(), "topics/generation=3");
    again.send(&clients, 7).await;
    again.cleaned();

    // A table more is no reason to begin anew, and neither are other settings.
    again.stack.edit("/connector/flush_size", json!(5));
    again.stack.up(&[]);
    assert_eq!(again.folder(), "topics/generation=3");
    again.stack.sandbox.ok(&["down", "again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_stays_keeps_what_an_earlier_life_stored() {
    let mut again = Again::new(&json!({ "use": "a-bucket-that-stays" }));
    // Something has to be there for the bucket to be made in.
    again.stack.sandbox.ok(&["local", "start"]);
    let clients = again.stack.sandbox.clients().await;
    clients.s3.create_bucket().bucket("a-bucket-that-stays").send().await.unwrap();
    for life in 1..=3 {
        again.stack.up(&[]);
        let folder = if life == 1 { "topics".to_owned() } else { format!("topics/generation={life}") };
        assert_eq!(again.folder(), folder);
        again.send(&clients, 6).await;
        if life != 2 {
            again.cleaned();
        }
        again.stack.sandbox.ok(&["down", "again"]);
    }
}
