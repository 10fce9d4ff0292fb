//! The emulator against an API that misbehaves, sources of all kinds, and kills.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod api;
mod child;
mod kills;
mod paths;
mod posting;
mod sources;

use std::path::Path;
use std::time::Duration;

use pinfra_workers::config::{ApiAuth, ApiTarget, EmulatedTable, EmulatorConfig, Source};
use pinfra_workers::emulator::{EmulatorError, run};
use pinfra_workers::report::{Report, Teller};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ROWS: u32 = 1_000;
const SEED: u64 = 7;

fn table(name: &str, key: &str, source: &str) -> EmulatedTable {
    let text = str::to_owned;
    let stream = Some(format!("streaming-{name}"));
    EmulatedTable { name: text(name), key: text(key), source: text(source), stream, topic: None }
}

fn three_tables() -> Vec<EmulatedTable> {
    let pin = table("pin", "index", "pinterest_data");
    vec![pin, table("geo", "ind", "geolocation_data"), table("user", "ind", "user_data")]
}

/// As fast as it goes, from the sample, to an API without authentication.
fn config(url: &str, count: u64) -> EmulatorConfig {
    EmulatorConfig {
        source: Source::Sample { rows: ROWS, seed: SEED },
        tables: three_tables(),
        rate: 20_000.0,
        burst: 100,
        ramp_seconds: 0,
        count: Some(count),
        seed: 100,
        concurrency: 16,
        api: ApiTarget { url: format!("{url}/stage"), auth: ApiAuth::None, region: "us-east-1".to_owned() },
        port: None,
    }
}

/// An emulator in this process.
struct Emulator {
    teller: Teller,
    stop: CancellationToken,
    task: JoinHandle<Result<(), EmulatorError>>,
}

impl Emulator {
    fn start(config: EmulatorConfig, folder: &Path) -> Emulator {
        let (teller, stop, folder) = (Teller::default(), CancellationToken::new(), folder.to_owned());
        let (told, stopped) = (teller.clone(), stop.clone());
        let task = tokio::spawn(async move { run(config, &folder, told, stopped).await });
        Emulator { teller, stop, task }
    }

    /// Waits until the report is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        for _ in 0..6_000 {
            let report = self.teller.report();
            if wanted(&report) {
                return report;
            }
            assert!(!self.task.is_finished(), "it ended; {report:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("after a minute still not {what}: {:?}", self.teller.report());
    }

    /// Waits until all that was asked for has an outcome.
    async fn done(&self) -> Report {
        self.until("done", |report| report.doing.starts_with("done")).await
    }

    async fn stop(self) -> Report {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        ended.expect("it should stop").unwrap().unwrap();
        self.teller.report()
    }
}

/// A counter, added up over tables.
fn all(report: &Report, counter: &str) -> u64 {
    report.counters.values().map(|counters| counters[counter]).sum()
}

/// What is said of each table agrees with what its stream and its topic hold.
#[track_caller]
fn reconciles(report: &Report, api: &api::Api) {
    let rows = api.rows();
    let held = |place: String| -> u64 { rows.get(&place).map_or(0, |rows| rows.values().sum()) };
    for (table, counters) in &report.counters {
        for (prefix, place) in [("", format!("streaming-{table}")), ("kafka_", format!("batch.{table}"))] {
            let count = |name: &str| counters.get(&format!("{prefix}{name}")).copied();
            let Some(emitted) = count("emitted") else { continue };
            let [accepted, refused, unknown] = ["accepted", "refused", "unknown"].map(|name| count(name).unwrap());
            let held = held(place.clone());
            assert_eq!(emitted, accepted + refused, "{place}: {counters:?}");
            assert!(accepted <= held && held <= accepted + unknown, "{place} holds {held}: {counters:?}");
        }
    }
}
