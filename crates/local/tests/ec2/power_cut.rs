//! The local cloud is killed, or stops: its machines end with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinfra_local::{LocalCloud, Settings};
use serde_json::Value;

use crate::cloud::{processes, until};
use crate::support::{Client, TestCloud};

/// Tells the program of these tests to be a local cloud.
const FOLDER: &str = "PINFRA_TEST_LOCAL_CLOUD";

const SCRIPT: &str =
    "#!/bin/sh\nsetsid sleep 600 &\n(trap '' TERM; sleep 600) &\necho up > \"$PINFRA_ROOT/up\"\nsleep 600\n";

/// Not a test: the process that is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests here start it as a process of its own"]
async fn a_local_cloud_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let cloud = LocalCloud::start(Settings::new(folder)).unwrap();
    cloud.stop_requested().await;
    cloud.stop().await;
}

fn start(folder: &Path) -> Child {
    let name = "power_cut::a_local_cloud_of_its_own";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

async fn connect(folder: &Path, server: &Child) -> Client {
    let status = || read(&folder.join("server.json")).filter(|status| status["pid"] == server.id());
    until("the local cloud runs", async || status().is_some()).await;
    let keys = read(&folder.join("credentials.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Client::new(&text(&status().unwrap()["endpoint"]), &text(&keys["access_key_id"]), &text(&keys["secret_access_key"]))
}

/// An instance whose user data has begun.
async fn launch(client: &Client, folder: &Path) -> String {
    let images = client
        .form("ec2", "Action=DescribeImages&Version=2016-11-15&Filter.1.Name=architecture&Filter.1.Value.1=x86_64")
        .await;
    let data = STANDARD.encode(SCRIPT).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let image = images.element("imageId");
    let request = format!(
        "Action=RunInstances&Version=2016-11-15&ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&UserData={data}"
    );
    let id = client.form("ec2", &request).await.element("instanceId").to_owned();
    let up = folder.join("instances").join(&id).join("up");
    until("user data runs", async || up.exists() && processes(&id).len() >= 5).await;
    std::fs::remove_file(up).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_local_cloud_leaves_no_process_and_boots_its_instances_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let client = connect(folder.path(), &server).await;
    let id = launch(&client, folder.path()).await;

    server.kill().unwrap();
    server.wait().unwrap();
    until("no process is left", async || processes(&id).is_empty()).await;

    let mut server = start(folder.path());
    let _client = connect(folder.path(), &server).await;
    let up = folder.path().join("instances").join(&id).join("up");
    until("user data runs again", async || up.exists()).await;
    server.kill().unwrap();
    server.wait().unwrap();
    until("no process is left", async || processes(&id).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_or_dropped_local_cloud_leaves_no_process() {
    for dropped in [false, true] {
        let cloud = TestCloud::start();
        let id = launch(&cloud.client(), cloud.folder.path()).await;
        let TestCloud { cloud, folder: _folder } = cloud;
        if dropped {
            drop(cloud);
        } else {
            cloud.stop().await;
        }
        assert_eq!(processes(&id), [0u32; 0], "dropped: {dropped}");
    }
}
