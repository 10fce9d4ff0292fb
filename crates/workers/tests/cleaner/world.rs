//! A local cloud with a stream, lakes on it, and what is to be found in a lake's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use aws_smithy_types::Blob;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use object_store::ObjectStoreExt;
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::cleaner;
use pinfra_workers::config::{CleanedTable, CleanerConfig};
use pinfra_workers::lake::Lake;
use pinfra_workers::report::Teller;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const STREAM: &str = "streaming-words";
const SQL: &str = "-- reads: index, word\nSELECT parse_int(index) AS ind, word FROM events";

pub(crate) struct World {
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    s3: aws_sdk_s3::Client,
    pub(crate) sdk: SdkConfig,
    _cloud: LocalCloud,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn with_shards(shards: i32) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path());
        settings.settle = Duration::from_millis(20);
        settings.limits = false;
        let cloud = LocalCloud::start(settings).unwrap();
        let keys = Credentials::new(cloud.access_key(), cloud.secret_key(), None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        let kinesis = aws_sdk_kinesis::Client::new(&sdk);
        let s3 = aws_sdk_s3::Config::from(&sdk).to_builder().force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let world = World { kinesis, s3, sdk, _cloud: cloud, _folder: folder };
        world.create(STREAM, shards).await;
        world
    }

    pub(crate) async fn create(&self, stream: &str, shards: i32) {
        self.kinesis.create_stream().stream_name(stream).shard_count(shards).send().await.unwrap();
        self.active(stream).await;
    }

    pub(crate) async fn active(&self, stream: &str) {
        until("the stream is active", async || {
            let answer = self.kinesis.describe_stream_summary().stream_name(stream).send().await.unwrap();
            answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active
        })
        .await;
    }

    pub(crate) async fn delete(&self, stream: &str) {
        self.kinesis.delete_stream().stream_name(stream).send().await.unwrap();
        let gone = async || self.kinesis.describe_stream_summary().stream_name(stream).send().await.is_err();
        until("the stream is gone", gone).await;
    }

    pub(crate) async fn lake(&self, bucket: &str) -> Lake {
        self.s3.create_bucket().bucket(bucket).send().await.unwrap();
        Lake::with(bucket, &self.sdk).unwrap()
    }

    pub(crate) async fn put(&self, records: &[Vec<u8>]) {
        self.put_to(STREAM, records).await;
    }

    pub(crate) async fn put_to(&self, stream: &str, records: &[Vec<u8>]) {
        for (number, records) in records.chunks(400).enumerate() {
            let mut entries = Vec::new();
            for (place, record) in records.iter().enumerate() {
                let entry = PutRecordsRequestEntry::builder().data(Blob::new(record.clone()));
                entries.push(entry.partition_key(format!("{number} {place}")).build().unwrap());
            }
            let put = self.kinesis.put_records().stream_name(stream).set_records(Some(entries)).send().await.unwrap();
            assert_eq!(put.failed_record_count, Some(0));
        }
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

/// A cleaner that runs; dropping it kills it.
pub(crate) struct Cleaner {
    pub(crate) teller: Teller,
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Cleaner {
    pub(crate) fn start(world: &World, lake: &Lake, folder: &Path) -> Cleaner {
        Cleaner::commits(world, lake, folder, 200, 60)
    }

    pub(crate) fn commits(world: &World, lake: &Lake, folder: &Path, ms: u32, records: u32) -> Cleaner {
        let mut config = Cleaner::config(lake, &[("words", STREAM)]);
        (config.commit_ms, config.commit_records) = (ms, records);
        Cleaner::run(world, lake, folder, config)
    }

    /// Of tables and the streams that they come from.
    pub(crate) fn config(lake: &Lake, tables: &[(&str, &str)]) -> CleanerConfig {
        let table = |(name, stream): &(&str, &str)| CleanedTable {
            name: (*name).to_owned(),
            key: "index".to_owned(),
            stream: Some((*stream).to_owned()),
            topic: None,
            sql: SQL.to_owned(),
        };
        CleanerConfig {
            bucket: lake.bucket().to_owned(),
            region: "us-east-1".to_owned(),
            tables: tables.iter().map(table).collect(),
            streaming: true,
            schedule: None,
            commit_ms: 200,
            commit_records: 60,
            port: None,
        }
    }

    pub(crate) fn run(world: &World, lake: &Lake, folder: &Path, config: CleanerConfig) -> Cleaner {
        let (teller, stop) = (Teller::default(), CancellationToken::new());
        let (lake, sdk, folder) = (lake.clone(), world.sdk.clone(), folder.to_owned());
        let (told, stopping) = (teller.clone(), stop.clone());
        let task = tokio::spawn(async move {
            // One that was killed a moment ago may still have its index open.
            while let Err(error) =
                Box::pin(cleaner::run_with(config.clone(), &folder, told.clone(), stopping.clone(), lake.clone(), &sdk))
                    .await
            {
                told.stumbled(error);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Cleaner { teller, stop, task }
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counter_of("words", name)
    }

    pub(crate) fn counter_of(&self, table: &str, name: &str) -> u64 {
        self.teller.report().counters.get(table).and_then(|counters| counters.get(name)).copied().unwrap_or(0)
    }

    pub(crate) async fn has_read(&self, records: u64) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
        while self.counter("read") < records {
            let report = self.teller.report();
            assert!(tokio::time::Instant::now() < deadline, "{records} records are not read: {report:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The counters in the order read, rows, rejected, duplicates, probes.
    pub(crate) fn counters(&self) -> [u64; 5] {
        ["read", "rows", "rejected", "duplicates", "probes"].map(|name| self.counter(name))
    }

    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Events of every sort, and what is to become of them.
pub(crate) struct Events {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) rows: BTreeSet<(i32, Option<String>)>,
    pub(crate) rejected: BTreeMap<Vec<u8>, usize>,
    pub(crate) duplicates: u64,
    pub(crate) probes: BTreeSet<String>,
}

impl Events {
    /// `count` events whose keys begin at `from`.
    pub(crate) fn new(from: u32, count: u32) -> Events {
        let mut events = Events {
            records: Vec::new(),
            rows: BTreeSet::new(),
            rejected: BTreeMap::new(),
            duplicates: 0,
            probes: BTreeSet::new(),
        };
        for number in from..from + count {
            let record = match number % 20 {
                // The key of an event that is there already, with its other columns.
                3 | 9 => events.records[events.records.len() - 2].clone(),
                6 => format!("{{\"index\": \"none {number}\"}}").into_bytes(),
                13 => format!("{{\"index\": {number}, \"wor").into_bytes(),
                16 => {
                    events.probes.insert(format!("{number:x}"));
                    format!("{{\"index\": {number}, \"_pinfra_probe\": \"{number:x}\"}}").into_bytes()
                }
                17 => format!("{{\"index\": {number}}}").into_bytes(),
                _ => format!("{{\"index\": {number}, \"word\": \"w{}\"}}", number % 7).into_bytes(),
            };
            match number % 20 {
                6 | 13 => *events.rejected.entry(record.clone()).or_default() += 1,
                16 => {}
                _ => {
                    let row: serde_json::Value = serde_json::from_slice(&record).unwrap();
                    let ind = i32::try_from(row["index"].as_i64().unwrap()).unwrap();
                    let new = events.rows.insert((ind, row["word"].as_str().map(str::to_owned)));
                    events.duplicates += u64::from(!new);
                }
            }
            events.records.push(record);
        }
        events
    }

    pub(crate) fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// What a cleaner counts that has read them.
    pub(crate) fn counters(&self) -> [u64; 5] {
        let rejected: usize = self.rejected.values().sum();
        [self.count(), self.rows.len() as u64, rejected as u64, self.duplicates, self.probes.len() as u64]
    }

    /// The lake holds exactly them.
    pub(crate) async fn are_in(&self, lake: &Lake) {
        let mut found = Vec::new();
        for batch in batches(lake, &lake.table_url("stream", "words")).await {
            let (keys, words) = (batch["ind"].as_primitive::<Int32Type>(), batch["word"].as_string::<i32>());
            for row in 0..batch.num_rows() {
                found.push((keys.value(row), words.is_valid(row).then(|| words.value(row).to_owned())));
            }
        }
        found.sort();
        assert_eq!(found, self.rows.iter().cloned().collect::<Vec<_>>());
        let mut rejected: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for batch in batches(lake, &lake.rejects_url()).await {
            for data in batch["data"].as_binary::<i32>().iter().flatten() {
                *rejected.entry(data.to_vec()).or_default() += 1;
            }
        }
        assert_eq!(rejected, self.rejected);
    }
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
