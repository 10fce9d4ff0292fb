//! A lake in a local cloud, objects as the S3 sink names them, and what cleaning them comes to.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::batch::{BatchError, Counts, Options, Progress, clean};
use pinfra_workers::config::CleanedTable;
use pinfra_workers::lake::Lake;
use tempfile::TempDir;

pub(crate) const TOPIC: &str = "stack.words";
const SQL: &str = "-- reads: index, word\nSELECT parse_int(index) AS ind, word FROM events";

pub(crate) struct World {
    s3: aws_sdk_s3::Client,
    pub(crate) sdk: SdkConfig,
    _cloud: LocalCloud,
    _folder: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
        let keys = Credentials::new(cloud.access_key(), cloud.secret_key(), None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        let s3 = aws_sdk_s3::Config::from(&sdk).to_builder().force_path_style(true).build();
        World { s3: aws_sdk_s3::Client::from_conf(s3), sdk, _cloud: cloud, _folder: folder }
    }

    pub(crate) async fn lake(&self, bucket: &str) -> Lake {
        self.s3.create_bucket().bucket(bucket).send().await.unwrap();
        Lake::with(bucket, &self.sdk).unwrap()
    }
}

/// The table that is cleaned.
pub(crate) fn words() -> CleanedTable {
    CleanedTable {
        name: "words".to_owned(),
        key: "index".to_owned(),
        stream: None,
        topic: Some(TOPIC.to_owned()),
        sql: SQL.to_owned(),
    }
}

/// Stores an object of a partition, in a folder as the sink's default partitioner names it.
pub(crate) async fn put(lake: &Lake, partition: u32, offset: usize, lines: &str) {
    put_in(lake, &format!("partition={partition}"), partition, offset, lines.as_bytes(), "json").await;
}

pub(crate) async fn put_in(lake: &Lake, folder: &str, partition: u32, offset: usize, body: &[u8], ending: &str) {
    let key = format!("topics/{TOPIC}/{folder}/{TOPIC}+{partition}+{offset:010}.{ending}");
    lake.store().put(&Path::parse(key).unwrap(), body.to_vec().into()).await.unwrap();
}

pub(crate) fn packed(lines: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// How tests run it: commits often, so that there is much to interrupt.
pub(crate) fn often() -> Options {
    Options { commit_bytes: 1_000, ..Options::alone() }
}

pub(crate) async fn run(lake: &Lake, options: Options) -> Result<Counts, BatchError> {
    Box::pin(clean(lake, &words(), options, &Arc::new(Progress::default()))).await
}

/// The counts in the order objects, read, rows, rejected, duplicates, probes.
pub(crate) fn counted(counts: Counts) -> [u64; 6] {
    [counts.objects, counts.read, counts.rows, counts.rejected, counts.duplicates, counts.probes]
}

/// The rows of the table, in order.
pub(crate) async fn rows(lake: &Lake) -> Vec<(i32, String)> {
    let mut rows = Vec::new();
    for batch in batches(lake, &lake.table_url("batch", "words")).await {
        let (keys, words) = (batch["ind"].as_primitive::<Int32Type>(), batch["word"].as_string::<i32>());
        rows.extend(keys.values().iter().copied().zip(words.iter().map(|word| word.unwrap_or("null").to_owned())));
    }
    rows.sort();
    rows
}

/// The rejected records by object and line, with their reasons.
pub(crate) async fn rejects(lake: &Lake) -> BTreeMap<(String, u64), (String, String)> {
    let mut rejects = BTreeMap::new();
    for batch in batches(lake, &lake.rejects_url()).await {
        let text = |name: &str, row: usize| batch[name].as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            assert_eq!((text("table", row).as_str(), text("source", row).as_str()), ("words", TOPIC));
            let data = batch["data"].as_binary::<i32>().value(row);
            let key = (text("shard", row), text("sequence", row).parse().unwrap());
            let known = rejects.insert(key, (text("reason", row), String::from_utf8_lossy(data).into_owned()));
            assert_eq!(known, None, "rejected twice");
        }
    }
    rejects
}

/// Everything in a Delta table.
pub(crate) async fn batches(lake: &Lake, url: &url::Url) -> Vec<RecordBatch> {
    let Some(table) = lake.open_table(url).await.unwrap() else { return Vec::new() };
    let mut batches = Vec::new();
    let paths: Vec<_> = table.snapshot().unwrap().log_data().iter().map(|file| file.object_store_path()).collect();
    for path in paths {
        let bytes = table.object_store().get(&path).await.unwrap().bytes().await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        batches.extend(reader.map(Result::unwrap));
    }
    batches
}

/// Events of every sort in three partitions, and what is to become of them.
pub(crate) struct Events {
    pub(crate) rows: Vec<(i32, String)>,
    pub(crate) rejected: usize,
    pub(crate) counts: [u64; 6],
}

impl Events {
    /// Stores `count` events whose keys begin at `from`, so many an object.
    pub(crate) async fn put(lake: &Lake, from: usize, count: usize, an_object: usize) -> Events {
        let (mut rows, mut rejected, mut duplicates, mut probes, mut objects) = (Vec::new(), 0, 0, 0, 0);
        for (number, chunk) in (from..from + count).collect::<Vec<_>>().chunks(an_object).enumerate() {
            let mut lines = String::new();
            for n in chunk {
                let line = match n % 10 {
                    3 => format!("{{\"index\": \"none {n}\"}}"),
                    5 => format!("{{\"word\":\"w\",\"index\":{}}}", n - 1),
                    7 => format!("{{\"index\": {n}, \"_pinfra_probe\": \"{n:x}\"}}"),
                    4 => format!("{{\"index\": {n}, \"word\": \"w\"}}"),
                    _ => format!("{{\"index\": {n}, \"word\": \"w \\u00e9 {}\"}}", n % 7),
                };
                match n % 10 {
                    3 => rejected += 1,
                    5 => duplicates += 1,
                    7 => probes += 1,
                    4 => rows.push((i32::try_from(*n).unwrap(), "w".to_owned())),
                    _ => rows.push((i32::try_from(*n).unwrap(), format!("w é {}", n % 7))),
                }
                lines.push_str(&line);
                lines.push('\n');
            }
            objects += 1;
            let partition = u32::try_from(number % 3).unwrap();
            if number % 2 == 0 {
                put(lake, partition, chunk[0], &lines).await;
            } else {
                let folder = format!("partition={partition}");
                put_in(lake, &folder, partition, chunk[0], &packed(&lines), "json.gz").await;
            }
        }
        let counts = [objects, count as u64, rows.len() as u64, rejected as u64, duplicates, probes];
        Events { rows, rejected, counts }
    }

    /// The lake holds exactly them.
    pub(crate) async fn are_in(&self, lake: &Lake) {
        assert_eq!(rows(lake).await, self.rows);
        assert_eq!(rejects(lake).await.len(), self.rejected);
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
