//! `worker/process`: the test plays the agent.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use pinfra_aws::worker::process::{Process, ProcessInputs};
use pinfra_engine::value::Input;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::object::bucket;
use super::*;

const HEARTBEAT: &str = "_pinfra/agents/i-1/heartbeat.json";

pub(super) fn inputs(bucket: &str) -> ProcessInputs {
    ProcessInputs {
        bucket: Input::Known(bucket.to_owned()),
        name: "emulator".to_owned(),
        worker: "emulator".to_owned(),
        program_key: Input::Known("_pinfra/bin/x.gz".to_owned()),
        program_sha256: "a".repeat(64),
        config: json!({"rate": 2.0, "seed": 18_446_744_073_709_551_615_u64, "tables": ["pin"], "port": null}),
        instance: Input::Known("i-1".to_owned()),
        tags: ownership(bucket, &address(), &Tags::new()),
    }
}

fn address() -> Address {
    Address::new("worker/process", "emulator")
}

/// What an agent does: it says of every manifest that its worker is so.
async fn beat(cloud: &Cloud, bucket: &str, phase: &str, report: &Value) {
    let s3 = &cloud.clients.s3;
    let mut workers = serde_json::Map::new();
    let listed = s3.list_objects_v2().bucket(bucket).prefix("_pinfra/workers/").send().await.unwrap();
    for object in listed.contents() {
        let key = object.key().unwrap();
        let body = s3.get_object().bucket(bucket).key(key).send().await.unwrap().body.collect().await.unwrap().to_vec();
        let manifest: Value = serde_json::from_slice(&body).unwrap();
        let state = json!({"manifest": hex::encode(Sha256::digest(&body)), "phase": phase, "report": report});
        workers.insert(manifest["name"].as_str().unwrap().to_owned(), state);
    }
    let heartbeat = json!({"instance": "i-1", "at": "now", "error": null, "workers": workers});
    put(cloud, bucket, HEARTBEAT, &heartbeat.to_string()).await;
}

async fn put(cloud: &Cloud, bucket: &str, key: &str, content: &str) {
    let put = cloud.clients.s3.put_object().bucket(bucket).key(key);
    put.body(content.as_bytes().to_vec().into()).send().await.unwrap();
}

fn well() -> Value {
    json!({"healthy": true, "doing": "posting", "counters": {}, "last_error": null})
}

fn ill() -> Value {
    json!({"healthy": false, "last_error": {"at": "now", "message": "no such table: pin"}})
}

/// A worker is waited for in one task while another plays its agent.
async fn settled(kind: &Process, cloud: &Cloud, id: &str, wanted: &ProcessInputs, bucket: &str) -> Vec<String> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let call = Call::new(address(), "token".to_owned(), Arc::new(move |message| heard.lock().unwrap().push(message)));
    let has_said = async |what: &str| {
        let until = Instant::now() + Duration::from_secs(20);
        while !said.lock().unwrap().iter().any(|message| message.contains(what)) {
            assert!(Instant::now() < until, "never said `{what}`: {said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let agent = async {
        beat(cloud, bucket, "starting", &Value::Null).await;
        has_said("starting").await;
        beat(cloud, bucket, "backing_off", &ill()).await;
        has_said("no such table").await;
        beat(cloud, bucket, "running", &well()).await;
    };
    let (live, ()) = tokio::join!(kind.settle(&call, id, wanted), agent);
    let live = live.unwrap();
    assert_eq!((&live.inputs, live.outputs.manifest.len()), (wanted, 64));
    assert_eq!(kind.read(id).await.unwrap().unwrap(), live);
    Arc::try_unwrap(said).map_or_else(|said| said.lock().unwrap().clone(), |said| said.into_inner().unwrap())
}

#[tokio::test]
async fn a_process_is_there_when_its_agent_says_that_it_is_well() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "process").await;
    let (kind, call) = (Process::new(&cloud.clients), Call::silent(address()));
    let mut wanted = inputs(&bucket);
    assert_eq!(kind.find(&wanted).await.unwrap(), None);
    let id = kind.create(&call, &wanted).await.unwrap();
    assert_eq!(kind.find(&wanted).await.unwrap().unwrap().owner, Owner::Ours);
    let said = Box::pin(settled(&kind, &cloud, &id, &wanted, &bucket)).await;
    assert!(said.iter().any(|message| message.contains("starting")), "{said:?}");
    // Settling again changes nothing and waits for nothing.
    kind.settle(&call, &id, &wanted).await.unwrap();
    let old = kind.read(&id).await.unwrap().unwrap();
    wanted.config["rate"] = json!(3.5);
    wanted.program_sha256 = "b".repeat(64);
    kind.update(&call, &id, &old.inputs, &wanted).await.unwrap();
    Box::pin(settled(&kind, &cloud, &id, &wanted, &bucket)).await;
    let new = kind.read(&id).await.unwrap().unwrap();
    assert_ne!(new.outputs, old.outputs);
    // Another tag is another tag of the same manifest: nothing is started again.
    wanted.tags.insert("team".to_owned(), "data".to_owned());
    kind.update(&call, &id, &new.inputs, &wanted).await.unwrap();
    kind.settle(&call, &id, &wanted).await.unwrap();
    let mut other = wanted.clone();
    other.tags = ownership("another", &address(), &Tags::new());
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    let agent = async {
        let s3 = &cloud.clients.s3;
        while s3.head_object().bucket(&bucket).key("_pinfra/workers/emulator.json").send().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        beat(&cloud, &bucket, "running", &well()).await;
    };
    let started = Instant::now();
    tokio::join!(deleted(&kind, &call, &id), agent);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    deleted(&buckets, &bucket_call, &bucket).await;
}

#[tokio::test]
async fn a_dead_agent_does_not_hold_a_delete_up() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "dead").await;
    let (kind, call) = (Process::new(&cloud.clients), Call::silent(address()));
    let id = kind.create(&call, &inputs(&bucket)).await.unwrap();
    beat(&cloud, &bucket, "running", &well()).await;
    let started = Instant::now();
    deleted(&kind, &call, &id).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    deleted(&buckets, &bucket_call, &bucket).await;
    assert!(kind.read(&id).await.unwrap().is_none());
    kind.delete(&call, &id).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_somebody_else_wrote_is_repaired() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "foreign").await;
    let (kind, call) = (Process::new(&cloud.clients), Call::silent(address()));
    let wanted = inputs(&bucket);
    let id = kind.create(&call, &wanted).await.unwrap();
    put(&cloud, &bucket, "_pinfra/workers/emulator.json", "not JSON").await;
    assert_eq!(kind.read(&id).await.unwrap().unwrap().inputs.config, Value::Null);
    let agent = async {
        while kind.read(&id).await.unwrap().unwrap().inputs != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        beat(&cloud, &bucket, "running", &well()).await;
    };
    let (live, ()) = tokio::join!(kind.settle(&call, &id, &wanted), agent);
    live.unwrap();
    deleted(&buckets, &bucket_call, &bucket).await;
}
