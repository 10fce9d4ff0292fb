//! Batch cleaning over the S3 of a local cloud: seconds, CPU time and memory of the process that cleans. See
//! `benches/clean.sh`.
//!
//! The bench starts itself twice more: as the local cloud, and to fill it, so that neither counts.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people, which ends when it cannot go on")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::batch::{Options, clean};
use pinfra_workers::config::CleanedTable;
use pinfra_workers::lake::Lake;
use pinfra_workers::query::{TableSet, query};
use pinfra_workers::sample::{Sample, SampleTable};
use serde_json::Value;

const BUCKET: &str = "lake";

/// Records of a large object.
const LARGE: u32 = 50_000;

const TABLES: [(SampleTable, &str, &str, &str); 3] = [
    (SampleTable::Pin, "pin", "index", include_str!("../../../templates/clean/pin.sql")),
    (SampleTable::Geo, "geo", "ind", include_str!("../../../templates/clean/geo.sql")),
    (SampleTable::User, "user", "ind", include_str!("../../../templates/clean/user.sql")),
];

fn main() {
    match std::env::var("CLEAN_BENCH_PART").as_deref() {
        Ok("cloud") => on_runtime(cloud()),
        Ok("fill") => on_runtime(fill()),
        _ => measure(),
    }
}

fn on_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(work);
}

/// Runs until its standard input is closed.
async fn cloud() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
    println!("{} {} {}", cloud.endpoint(), cloud.access_key(), cloud.secret_key());
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let _ = closed.await;
}

fn part(name: &str, lake: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("CLEAN_BENCH_PART", name).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.envs(lake.map(|lake| ("CLEAN_BENCH_LAKE", lake)));
    command.spawn().unwrap()
}

/// `endpoint access-key secret-key`.
fn sdk(lake: &str) -> SdkConfig {
    let [endpoint, access, secret] = *lake.split_whitespace().collect::<Vec<_>>() else { unreachable!("{lake}") };
    let keys = Credentials::new(access, secret, None, None, "bench");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

/// What is measured, and of how many records.
fn asked() -> (String, u32) {
    let kind = std::env::var("CLEAN_BENCH").unwrap_or_else(|_| "large".to_owned());
    let rows = std::env::var("CLEAN_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows = rows.unwrap_or(if kind == "small" { 100_000 } else { 1_000_000 });
    (kind, rows)
}

async fn fill() {
    let sdk = sdk(&std::env::var("CLEAN_BENCH_LAKE").unwrap());
    let s3 = aws_sdk_s3::Config::from(&sdk).to_builder().force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(s3).create_bucket().bucket(BUCKET).send().await.unwrap();
    let lake = Lake::with(BUCKET, &sdk).unwrap();
    let (kind, rows) = asked();
    let (tables, an_object) = if kind == "small" { (&TABLES[..1], 1) } else { (&TABLES[..], LARGE) };
    let sample = Sample::new(rows, 100);
    for (table, name, ..) in tables {
        let objects = (0..rows).step_by(an_object as usize).map(|first| {
            let mut body = Vec::new();
            for row in first..rows.min(first + an_object) {
                serde_json::to_writer(&mut body, &Value::Object(sample.row(*table, row))).unwrap();
                body.push(b'\n');
            }
            let mut ending = "json";
            if kind == "gzip" {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&body).unwrap();
                (body, ending) = (packed.finish().unwrap(), "json.gz");
            }
            let key = format!("topics/bench.{name}/partition=0/bench.{name}+0+{first:010}.{ending}");
            let lake = lake.clone();
            async move { lake.store().put(&Path::parse(key).unwrap(), body.into()).await.map(|_| ()) }
        });
        futures::stream::iter(objects).buffer_unordered(8).try_collect::<()>().await.unwrap();
    }
}

fn measure() {
    let mut cloud = part("cloud", None);
    let mut lake = String::new();
    BufReader::new(cloud.stdout.take().unwrap()).read_line(&mut lake).unwrap();
    assert!(part("fill", Some(&lake)).wait().unwrap().success());
    let (kind, rows) = asked();
    println!("| {kind}: {rows} records a table | objects | rows | s | CPU s |\n|---|--:|--:|--:|--:|");
    on_runtime(async {
        let lake = Lake::with(BUCKET, &sdk(&lake)).unwrap();
        let tables = if kind == "small" { &TABLES[..1] } else { &TABLES[..] };
        for again in ["", ", nothing new"] {
            for (_, name, key, sql) in tables {
                let table = CleanedTable {
                    name: (*name).to_owned(),
                    key: (*key).to_owned(),
                    stream: None,
                    topic: Some(format!("bench.{name}")),
                    sql: (*sql).to_owned(),
                };
                let (started, cpu) = (Instant::now(), cpu());
                let counts = Box::pin(clean(&lake, &table, Options::alone(), &Arc::default())).await.unwrap();
                let (took, used) = (started.elapsed().as_secs_f64(), self::cpu() - cpu);
                println!("| {name}{again} | {} | {} | {took:.2} | {used:.2} |", counts.objects, counts.rows);
            }
        }
        if kind != "small" {
            analyses(&lake).await;
        }
    });
    println!("\nCPU {:.2} s in all, at most {}", cpu(), memory());
    drop(cloud.stdin.take());
    cloud.wait().unwrap();
}

/// Asks every analysis that the program ships with, one after another.
async fn analyses(lake: &Lake) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/analyses");
    let tables = TABLES.map(|(_, name, ..)| name.to_owned());
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let sql = std::fs::read_to_string(&file).unwrap();
        let (started, cpu) = (Instant::now(), cpu());
        let answer = query(lake, TableSet::Batch, &tables, &sql).await.unwrap().all().await.unwrap();
        let rows: usize = answer.iter().map(|batch| batch.num_rows()).sum();
        let (took, used) = (started.elapsed().as_secs_f64(), self::cpu() - cpu);
        println!("| {} | | {rows} | {took:.2} | {used:.2} |", file.file_stem().unwrap().display());
    }
}

/// Seconds of CPU time of this process: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms (proc(5)).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// The most memory that this process had.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}
