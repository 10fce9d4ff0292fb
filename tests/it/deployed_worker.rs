//! `worker/process` and the agent meet: what the one writes the other reads. Neither crate knows the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use pinfra_aws::clients::Endpoint;
use pinfra_aws::worker::process::{Process, ProcessInputs};
use pinfra_aws::{Clients, Connection};
use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, Resource};
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::agent::{self, Ended};
use pinfra_workers::config::{AgentConfig, Manifest, WorkerKind};
use pinfra_workers::report::Teller;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// Not a test but the worker that the tests below deploy; by itself it is done at once.
#[tokio::test]
async fn a_worker_that_an_agent_started() {
    if std::env::var_os("PINFRA_WORKER_FOLDER").is_some() {
        let teller = Teller::default();
        teller.works("posting");
        teller.serve(None, Path::new(".")).await.unwrap();
    }
}

struct Lake {
    clients: Clients,
    _cloud: LocalCloud,
    folder: tempfile::TempDir,
}

impl Lake {
    async fn new() -> Lake {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(Settings::new(folder.path().join("cloud"))).unwrap();
        let (access_key, secret_key) = (cloud.access_key().to_owned(), cloud.secret_key().to_owned());
        let endpoint = Endpoint { url: cloud.endpoint().to_owned(), access_key, secret_key };
        let connection = Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None };
        let clients = Clients::connect(&connection).await.unwrap();
        clients.s3.create_bucket().bucket("lake").send().await.unwrap();
        Lake { clients, _cloud: cloud, folder }
    }

    /// A worker that runs this script, which is put into the lake.
    async fn worker(&self, script: &str) -> ProcessInputs {
        let sha256 = hex::encode(Sha256::digest(script));
        let key = format!("_pinfra/bin/{sha256}.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(script.as_bytes()).unwrap();
        let put = self.clients.s3.put_object().bucket("lake").key(&key);
        put.body(encoder.finish().unwrap().into()).send().await.unwrap();
        ProcessInputs {
            bucket: Input::Known("lake".to_owned()),
            name: "cleaner".to_owned(),
            worker: "cleaner".to_owned(),
            program_key: Input::Known(key),
            program_sha256: sha256,
            config: json!({"tables": [], "commit_ms": 500}),
            instance: Input::Known("i-1".to_owned()),
            tags: BTreeMap::from([
                (STACK_TAG.to_owned(), "pins".to_owned()),
                (ADDRESS_TAG.to_owned(), address().to_string()),
            ]),
        }
    }

    fn agent(&self, stop: &CancellationToken) -> tokio::task::JoinHandle<Result<Ended, agent::AgentError>> {
        let config = AgentConfig {
            bucket: "lake".to_owned(),
            region: "us-east-1".to_owned(),
            instance: "i-1".to_owned(),
            folder: self.folder.path().join("agent"),
        };
        tokio::spawn(agent::run_with(config, self.clients.s3.clone(), stop.clone()))
    }
}

fn address() -> Address {
    Address::new("worker/process", "cleaner")
}

/// A script that runs the worker above.
fn reports() -> String {
    let this = std::env::current_exe().unwrap();
    let test = "deployed_worker::a_worker_that_an_agent_started";
    format!("#!/bin/sh\nexec '{}' --exact {test} --nocapture\n", this.display())
}

#[tokio::test]
async fn a_worker_is_deployed_changed_and_removed() {
    let lake = Lake::new().await;
    let (kind, call) = (Process::new(&lake.clients), Call::silent(address()));
    let stop = CancellationToken::new();
    let agent = lake.agent(&stop);
    let mut wanted = lake.worker(&reports()).await;
    let id = kind.create(&call, &wanted).await.unwrap();
    let body = lake.clients.s3.get_object().bucket("lake").key("_pinfra/workers/cleaner.json").send().await.unwrap();
    let manifest: Manifest = serde_json::from_slice(&body.body.collect().await.unwrap().to_vec()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.worker), ("cleaner", WorkerKind::Cleaner));
    assert_eq!((manifest.program.sha256, manifest.config), (wanted.program_sha256.clone(), wanted.config.clone()));
    let started = Instant::now();
    kind.settle(&call, &id, &wanted).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let old = kind.read(&id).await.unwrap().unwrap().inputs;
    wanted.config["commit_ms"] = json!(100);
    kind.update(&call, &id, &old, &wanted).await.unwrap();
    kind.settle(&call, &id, &wanted).await.unwrap();
    let told = std::fs::read_to_string(lake.folder.path().join("agent/workers/cleaner/config.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), wanted.config);
    kind.delete(&call, &id).await.unwrap();
    assert!(kind.read(&id).await.unwrap().is_none());
    stop.cancel();
    assert_eq!(agent.await.unwrap().unwrap(), Ended::Stopped);
}

#[tokio::test]
async fn why_a_worker_does_not_start_is_said_while_it_is_waited_for() {
    let lake = Lake::new().await;
    let kind = Process::new(&lake.clients);
    let (heard, mut said) = tokio::sync::mpsc::unbounded_channel();
    let call = Call::new(address(), "token".to_owned(), Arc::new(move |message| drop(heard.send(message))));
    let stop = CancellationToken::new();
    let agent = lake.agent(&stop);
    let wanted = lake.worker("#!/bin/sh\necho 'error: no such stream' >&2\nexit 4\n").await;
    let id = kind.create(&call, &wanted).await.unwrap();
    let listen = async {
        loop {
            let message = said.recv().await.unwrap();
            if message.contains("no such stream") {
                return message;
            }
        }
    };
    let message = tokio::select! {
        settled = kind.settle(&call, &id, &wanted) => panic!("it cannot run: {settled:?}"),
        message = tokio::time::timeout(Duration::from_secs(30), listen) => message.unwrap(),
    };
    assert!(message.contains("exit status: 4"), "{message}");
    stop.cancel();
    agent.await.unwrap().unwrap();
}
