//! A machine: a folder for an agent, and a local cloud that has its lake bucket.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use flate2::Compression;
use flate2::write::GzEncoder;
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::agent::{self, AgentError, Ended};
use pinfra_workers::config::{AgentConfig, Heartbeat, Program, WorkerState};
use pinfra_workers::report::Teller;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "lake";
const INSTANCE: &str = "i-0123";
/// Longer than anything takes on a busy machine; a test that works never waits so long.
const LIMIT: Duration = Duration::from_secs(40);

/// A worker that answers with a report of its own until it is stopped: this very test program.
pub(crate) fn reports() -> String {
    let this = std::env::current_exe().unwrap();
    format!("#!/bin/sh\nexec '{}' --exact machine::a_worker_that_an_agent_started --nocapture\n", this.display())
}

/// Not a test but the worker that [`reports`] starts; by itself it is done at once.
#[tokio::test]
async fn a_worker_that_an_agent_started() {
    if std::env::var_os("PINFRA_WORKER_FOLDER").is_some() {
        let teller = Teller::default();
        teller.works("posting");
        teller.serve(None, Path::new(".")).await.unwrap();
    }
}

pub(crate) struct Machine {
    local: Option<LocalCloud>,
    settings: Settings,
    s3: aws_sdk_s3::Client,
    folder: PathBuf,
    _folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) async fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCloud::start(Settings::new(folder.path().join("cloud"))).unwrap();
        let port = local.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
        let settings = Settings { port, ..Settings::new(folder.path().join("cloud")) };
        let credentials = Credentials::new(local.access_key(), local.secret_key(), None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(local.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        let s3 = aws_sdk_s3::Client::new(&config.build());
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let agent = folder.path().join("agent");
        Machine { local: Some(local), settings, s3, folder: agent, _folder: folder }
    }

    /// An agent that runs in this process.
    pub(crate) fn agent(&self) -> Agent {
        let config = AgentConfig {
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            instance: INSTANCE.to_owned(),
            folder: self.folder.clone(),
        };
        let stop = CancellationToken::new();
        Agent { task: tokio::spawn(agent::run_with(config, self.s3.clone(), stop.clone())), stop }
    }

    pub(crate) fn worker(&self, name: &str) -> PathBuf {
        self.folder.join("workers").join(name)
    }

    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) {
        self.s3.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
    }

    /// Uploads a script as a program.
    pub(crate) async fn program(&self, script: &str) -> Program {
        let sha256 = hex::encode(Sha256::digest(script));
        let key = format!("_pinfra/bin/{sha256}.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(script.as_bytes()).unwrap();
        self.put(&key, encoder.finish().unwrap()).await;
        Program { key, sha256 }
    }

    /// Writes a manifest and returns its hash.
    pub(crate) async fn manifest(&self, name: &str, program: &Program, config: &Value) -> String {
        let manifest = json!({"name": name, "worker": "emulator", "program": program, "config": config}).to_string();
        self.put(&format!("_pinfra/workers/{name}.json"), manifest.clone().into_bytes()).await;
        hex::encode(Sha256::digest(manifest))
    }

    pub(crate) async fn remove(&self, name: &str) {
        let key = format!("_pinfra/workers/{name}.json");
        self.s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }

    /// Waits for a heartbeat that is so.
    pub(crate) async fn heartbeat(&self, is_so: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        let mut last = String::new();
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if let Some((body, _)) = self.read(&format!("_pinfra/agents/{INSTANCE}/heartbeat.json")).await {
                let heartbeat: Heartbeat = serde_json::from_str(&body).unwrap();
                if is_so(&heartbeat) {
                    return heartbeat;
                }
                last = body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no such heartbeat; the last was: {last}");
    }

    /// Waits until a worker is so.
    pub(crate) async fn until(&self, name: &str, is_so: impl Fn(&WorkerState) -> bool) -> WorkerState {
        let mut heartbeat = self.heartbeat(|beat| beat.workers.get(name).is_some_and(&is_so)).await;
        heartbeat.workers.remove(name).unwrap()
    }

    pub(crate) async fn until_gone(&self, name: &str) {
        self.heartbeat(|beat| !beat.workers.contains_key(name)).await;
    }

    /// Waits until the log in the lake is so. It begins where its metadata says.
    pub(crate) async fn log_in_lake(&self, worker: &str, is_so: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if let Some((log, offset)) = self.read(&format!("_pinfra/agents/{INSTANCE}/logs/{worker}.log")).await {
                assert_eq!(offset.as_deref(), Some("0"));
                if is_so(&log) {
                    return log;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the log never came");
    }

    pub(crate) async fn power_off(&mut self) {
        self.local.take().unwrap().stop().await;
    }

    /// Listens where the lake was until the agent has asked twice, and hangs up on it.
    pub(crate) async fn until_asked_in_vain(&self) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.settings.port)).await.unwrap();
        for _ in 0..2 {
            tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
        }
    }

    pub(crate) fn power_on(&mut self) {
        self.local = Some(LocalCloud::start(self.settings.clone()).unwrap());
    }

    async fn read(&self, key: &str) -> Option<(String, Option<String>)> {
        let answer = self.s3.get_object().bucket(BUCKET).key(key).send().await.ok()?;
        let offset = answer.metadata().and_then(|metadata| metadata.get("offset")).cloned();
        let body = answer.body.collect().await.ok()?.to_vec();
        Some((String::from_utf8(body).unwrap(), offset))
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    task: JoinHandle<Result<Ended, AgentError>>,
    stop: CancellationToken,
}

impl Agent {
    /// Tells it to stop, as SIGTERM does, and waits until it has.
    pub(crate) async fn stop(self) -> Result<Ended, AgentError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<Ended, AgentError> {
        tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap()
    }
}

/// A worker's configuration file.
pub(crate) struct ConfigFile {
    pub(crate) content: String,
    pub(crate) mode: u32,
}

pub(crate) fn config(machine: &Machine, worker: &str) -> ConfigFile {
    let path = machine.worker(worker).join("config.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    ConfigFile { content: std::fs::read_to_string(path).unwrap(), mode }
}

/// Whether a process with this id is there.
pub(crate) fn is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// A process that an agent left which was killed: it carries the mark, and does not listen to SIGTERM.
pub(crate) fn left_behind(folder: &Path) -> std::process::Child {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    // The agent knows its folder by its absolute path.
    std::fs::create_dir_all(folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    let mut child = command.env("PINFRA_WORKER_FOLDER", folder).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    child
}
