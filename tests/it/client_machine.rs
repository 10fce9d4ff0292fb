//! A client machine as `up` makes one: an instance of the local cloud runs the user data, which fetches pinfra itself
//! with the keys of the instance's role, and its agent runs a worker. The role may do what its policy allows.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use pinfra::expand::user_data::user_data;
use pinfra_aws::clients::Endpoint;
use pinfra_aws::{Clients, Connection};
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::config::{Heartbeat, Phase};
use serde_json::json;
use sha2::{Digest, Sha256};

const BUCKET: &str = "pins-000000000000-us-east-1";
const LIMIT: Duration = Duration::from_secs(60);

/// What an agent needs, and no more.
fn policy() -> String {
    let lake = format!("arn:aws:s3:::{BUCKET}");
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": lake},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("{lake}/_pinfra/*")},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("{lake}/_pinfra/agents/*")},
    ]})
    .to_string()
}

async fn role(clients: &Clients) {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]});
    let iam = &clients.iam;
    iam.create_role().role_name("client").assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let put = iam.put_role_policy().role_name("client").policy_name("agent").policy_document(policy());
    put.send().await.unwrap();
    iam.create_instance_profile().instance_profile_name("client").send().await.unwrap();
    let add = iam.add_role_to_instance_profile().instance_profile_name("client").role_name("client");
    add.send().await.unwrap();
}

/// Puts this build of pinfra into the lake, as what agents and workers run as.
async fn program(clients: &Clients) -> serde_json::Value {
    let program = std::fs::read(env!("CARGO_BIN_EXE_pinfra")).unwrap();
    let sha256 = hex::encode(Sha256::digest(&program));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&program).unwrap();
    let key = format!("_pinfra/bin/{sha256}.gz");
    put(clients, &key, encoder.finish().unwrap()).await;
    let program = json!({"key": key, "sha256": sha256});
    put(clients, "_pinfra/agent.json", program.to_string().into_bytes()).await;
    program
}

async fn put(clients: &Clients, key: &str, body: Vec<u8>) {
    clients.s3.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
}

/// An instance that runs the user data.
async fn launch(clients: &Clients) -> String {
    use aws_sdk_ec2::types::{HttpTokensState, IamInstanceProfileSpecification, InstanceMetadataOptionsRequest};
    use base64::Engine;
    let image = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id";
    let image = clients.ssm.get_parameter().name(image).send().await.unwrap().parameter.unwrap().value.unwrap();
    let script = base64::engine::general_purpose::STANDARD.encode(user_data(BUCKET, "us-east-1"));
    let launched = clients
        .ec2
        .run_instances()
        .image_id(image)
        .instance_type("t3.small".into())
        .min_count(1)
        .max_count(1)
        .iam_instance_profile(IamInstanceProfileSpecification::builder().name("client").build())
        .metadata_options(InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build())
        .user_data(script)
        .send()
        .await
        .unwrap();
    launched.instances()[0].instance_id().unwrap().to_owned()
}

/// Waits for a heartbeat that is so; when it never comes, the machine's console says why.
async fn heartbeat(clients: &Clients, instance: &str, is_so: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
    let until = Instant::now() + LIMIT;
    let key = format!("_pinfra/agents/{instance}/heartbeat.json");
    let mut last = None;
    while Instant::now() < until {
        if let Ok(answer) = clients.s3.get_object().bucket(BUCKET).key(&key).send().await {
            let body = answer.body.collect().await.unwrap().to_vec();
            let heartbeat: Heartbeat = serde_json::from_slice(&body).unwrap();
            if is_so(&heartbeat) {
                return heartbeat;
            }
            last = Some(heartbeat);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let console = clients.ec2.get_console_output().instance_id(instance).send().await.unwrap();
    panic!("no such heartbeat, but {last:?}; the console: {}", console.output().unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_runs_its_workers_with_the_keys_of_its_role() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
    let (access_key, secret_key) = (cloud.access_key().to_owned(), cloud.secret_key().to_owned());
    let endpoint = Endpoint { url: cloud.endpoint().to_owned(), access_key, secret_key };
    let connection = Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None };
    let clients = Clients::connect(&connection).await.unwrap();
    clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    role(&clients).await;
    let program = program(&clients).await;
    // Nobody listens at port 1 (tcpmux), so it is not healthy; but it runs, and answers.
    let api = json!({"url": "http://127.0.0.1:1/x", "auth": "none", "region": "us-east-1"});
    let table = json!({"name": "pin", "key": "index", "source": "pinterest_data", "stream": "pins-pin"});
    let config = json!({
        "source": {"sample": {"rows": 10, "seed": 1}}, "tables": [table], "rate": 2.0, "burst": 1, "ramp_seconds": 0,
        "count": null, "seed": 1, "concurrency": 1, "api": api, "port": null,
    });
    let manifest = json!({"name": "emulator", "worker": "emulator", "program": program, "config": config});
    put(&clients, "_pinfra/workers/emulator.json", manifest.to_string().into_bytes()).await;
    let instance = launch(&clients).await;
    let is_running = |beat: &Heartbeat| beat.workers.get("emulator").is_some_and(|w| w.phase == Phase::Running);
    let beat = heartbeat(&clients, &instance, is_running).await;
    assert_eq!((beat.program.as_str(), &beat.error), (program["sha256"].as_str().unwrap(), &None));
    let worker = Path::new("/proc").join(beat.workers["emulator"].pid.unwrap().to_string());
    assert!(worker.exists());
    // What the role may not do, it cannot; here the agent says so and its workers run on.
    let delete = clients.iam.delete_role_policy().role_name("client").policy_name("agent");
    delete.send().await.unwrap();
    let put = clients.iam.put_role_policy().role_name("client").policy_name("beats");
    let beats = policy().replace("s3:ListBucket", "s3:GetBucketLocation");
    put.policy_document(beats).send().await.unwrap();
    let beat = heartbeat(&clients, &instance, |beat| beat.error.is_some()).await;
    assert!(beat.error.as_deref().unwrap().contains("AccessDenied"), "{:?}", beat.error);
    assert!(is_running(&beat) && worker.exists());
    clients.ec2.terminate_instances().instance_ids(&instance).send().await.unwrap();
    let until = Instant::now() + LIMIT;
    while worker.exists() {
        assert!(Instant::now() < until, "the worker outlived its machine");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cloud.stop().await;
}
