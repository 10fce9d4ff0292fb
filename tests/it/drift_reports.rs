//! What `pinfra drift` writes for people and for CI, what it is told to ignore, and what it writes into the stack file.

use std::time::Instant;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::Value;

use crate::pipeline::LIMIT;
use crate::support::{STREAMS, Sandbox};

/// A stack whose streams keep records for 48 hours and whose bucket keeps versions, and whose file knows of neither.
async fn drifted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("dev.yaml", STREAMS);
    sandbox.ok(&["up", "dev.yaml"]);
    let clients = sandbox.clients().await;
    for table in ["pin", "geo", "user"] {
        let longer = clients.kinesis.increase_stream_retention_period();
        longer.stream_name(format!("pins-{table}")).retention_period_hours(48).send().await.unwrap();
    }
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let bucket = sandbox.ok(&["outputs", "--show", "bucket"]).stdout;
    clients.s3.put_bucket_versioning().bucket(bucket.trim()).versioning_configuration(on).send().await.unwrap();
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_to_files_while_people_read_text() {
    let sandbox = drifted().await;
    let formats = ["sarif=d.sarif", "junit=d.xml", "markdown=d.md", "json=d.json"];
    let mut line = vec!["drift", "dev.yaml"];
    line.extend(formats.iter().flat_map(|format| ["--format", format]));
    let said = sandbox.run(&line);
    assert_eq!(said.code, 2, "{}", said.stderr);
    insta::assert_snapshot!(said.stdout, @r"
    kinesis/stream.geo  dev.yaml:4:3
      ~ retention_hours  24 → 48
    kinesis/stream.pin  dev.yaml:3:3
      ~ retention_hours  24 → 48
    kinesis/stream.user  dev.yaml:5:3
      ~ retention_hours  24 → 48
    s3/bucket.lake  dev.yaml:7:1
      ~ versioning  false → true

    4 of 4 resources differ: 4 changed
    `pinfra up dev.yaml` puts back what is changed
    `pinfra drift dev.yaml --accept ADDRESS#FIELD` writes what is there into the stack file
    ");
    let read = |name: &str| std::fs::read_to_string(sandbox.folder.path().join(name)).unwrap();
    let sarif: Value = serde_json::from_str(&read("d.sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "dev.yaml");
    assert_eq!(place["region"], serde_json::json!({"startLine": 3, "startColumn": 3}));
    assert!(read("d.xml").contains("tests=\"4\" failures=\"4\" errors=\"0\" skipped=\"0\""));
    assert_eq!(read("d.md").lines().filter(|line| line.starts_with("| changed |")).count(), 4);
    let json: Value = serde_json::from_str(&read("d.json")).unwrap();
    assert_eq!((json["stack"].as_str(), json["findings"].as_array().unwrap().len()), (Some("pins"), 4));

    // One report alone is all that there is on stdout.
    let alone = sandbox.run(&["drift", "dev.yaml", "--format", "sarif"]);
    assert_eq!(alone.code, 2);
    let again: Value = serde_json::from_str(&alone.stdout).unwrap();
    let prints = |log: &Value| {
        log["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["partialFingerprints"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(prints(&again), prints(&sarif));
    let nowhere = sandbox.run(&["drift", "dev.yaml", "--format", "sarif", "--output", "no/such/folder"]);
    assert_eq!(nowhere.code, 1, "{}", nowhere.stdout);
    assert!(nowhere.stderr.contains("cannot write the report to `no/such/folder`"), "{}", nowhere.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_ignored_for_as_long_as_its_rule_says() {
    let sandbox = drifted().await;
    sandbox.write(
        "known",
        "kinesis/*#retention_hours changed until 9999-12-31 # an audit\ns3/bucket.lake#versioning until 2020-01-01\n",
    );
    let said = sandbox.run(&["drift", "dev.yaml", "--ignore", "known"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stdout.contains("1 of 4 resources differs: 1 changed; 3 differences ignored"), "{}", said.stdout);
    assert!(said.stderr.contains("this rule has ended, what it ignored counts again"), "{}", said.stderr);
    sandbox.write("known", "kinesis/*#retention_hours # an audit\ns3/bucket.lake#versioning # OPS-1\n");
    let said = sandbox.ok(&["drift", "dev.yaml", "--ignore", "known", "--json"]);
    let event: Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!(event["ignored"].as_array().unwrap().len(), 4);
    assert_eq!(event["ignored"][3]["why"], "OPS-1");
    assert_eq!(event["ignored"][3]["rule"], "known:2");
    sandbox.write("known", "kinesis/* chagned\n");
    let said = sandbox.run(&["drift", "dev.yaml", "--ignore", "known"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("did you mean `changed`?") && said.stderr.contains("known:1:11"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_in_the_stack_file_and_is_no_drift() {
    let sandbox = drifted().await;
    let file = || std::fs::read_to_string(sandbox.folder.path().join("dev.yaml")).unwrap();
    let accept = ["drift", "dev.yaml", "--accept", "kinesis/stream.pin#retention_hours", "--accept", "s3/bucket.lake"];
    let dry = sandbox.ok(&[&accept[..], &["--dry-run"]].concat());
    insta::assert_snapshot!(dry.stdout, @r"
    --- dev.yaml
    +++ dev.yaml
    @@ -3,5 +3,5 @@
       pin: { key: index }
       geo: { key: ind }
       user: { key: ind }
    -streams: { shards: 1 }
    -lake: {}
    +streams: { shards: 1, retention_hours: 48 }
    +lake: { versioning: true }
    ");
    assert_eq!(file(), STREAMS, "nothing is written");
    sandbox.ok(&accept);
    let expected = STREAMS
        .replace("shards: 1", "shards: 1, retention_hours: 48")
        .replace("lake: {}", "lake: { versioning: true }");
    assert_eq!(file(), expected);
    assert_eq!(sandbox.ok(&["drift", "dev.yaml"]).stdout, "no drift: 4 resources compared\n");
    assert!(sandbox.ok(&["plan", "dev.yaml"]).stdout.starts_with("no changes"));
    let nothing = sandbox.run(&accept);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("nothing differs at `kinesis/stream.pin#retention_hours`"), "{}", nothing.stderr);
    let by_name = sandbox.run(&["drift", "pins", "--accept", "s3/bucket.lake"]);
    assert!(by_name.stderr.contains("needs the stack file"), "{}", by_name.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_more_than_was_accepted_is_not_written() {
    let sandbox = drifted().await;
    let clients = sandbox.clients().await;
    let shorter = clients.kinesis.decrease_stream_retention_period().stream_name("pins-geo").retention_period_hours(24);
    let until = Instant::now() + LIMIT;
    // The change before this one may not be over.
    while shorter.clone().send().await.is_err() {
        assert!(Instant::now() < until, "`pins-geo` stays busy");
    }
    let said = sandbox.run(&["drift", "dev.yaml", "--accept", "kinesis/stream.pin"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    let expected = "`streams.retention_hours` cannot be changed for this alone: it would also change `kinesis/stream.geo#retention_hours` from 24 to 48";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.folder.path().join("dev.yaml")).unwrap(), STREAMS);
}
