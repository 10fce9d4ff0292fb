//! What instances run: user data, the console, and that nothing is left when they end.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::cloud::{Cloud, REGION, processes, until};

/// Says `up`, leaves one process in a session of its own and one that hears no request to end, and stays.
const STUBBORN: &str = "#!/bin/bash\nsetsid sh -c 'while :; do sleep 60; done' &\n\
    (trap '' TERM; echo deaf; while :; do sleep 60; done) &\necho up\nwait\n";

async fn says(cloud: &Cloud, id: &str, what: &str) {
    until(&format!("the console of {id} says {what}"), async || cloud.console(id).await.contains(what)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_data_runs_in_a_folder_and_an_environment_of_its_own() {
    let cloud = Cloud::new();
    let script = "#!/bin/bash -u\nset -o pipefail\nenv | sort\npwd\nmkdir -p \"$PINFRA_ROOT/var\"\n\
        echo done > \"$PINFRA_ROOT/var/done\"\necho to-stderr >&2\necho end-of-user-data\n";
    let id = cloud.run_script(script).await;
    says(&cloud, &id, "end-of-user-data").await;
    let root = cloud.root(&id);
    assert_eq!(fs::read_to_string(root.join("var/done")).unwrap(), "done\n");
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    let console = cloud.console(&id).await;
    for line in [
        format!("PINFRA_ROOT={}", root.display()),
        format!("HOME={}/root", root.display()),
        format!("TMPDIR={}/tmp", root.display()),
        format!("PINFRA_INSTANCE={id}"),
        "AWS_ENDPOINT_URL=http://127.0.0.1:9".to_owned(),
        root.display().to_string(),
        "to-stderr".to_owned(),
    ] {
        assert!(console.lines().any(|one| one == line), "{line} in {console}");
    }
    assert!(console.contains("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:"), "{console}");
    assert!(!console.contains("CARGO"), "{console}");
    // It has come to its end; the instance goes on.
    assert_eq!(cloud.instance(&id).await["State"]["Name"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_script_is_named_in_the_console() {
    let cloud = Cloud::new();
    for (data, says) in
        [("#cloud-config\npackages: []\n", "not #cloud-config"), ("#!/usr/bin/python3\n", "sh and bash only")]
    {
        let id = cloud.run_script(data).await;
        let console = cloud.console(&id).await;
        assert!(console.contains("user data is not run") && console.contains(says), "{console}");
        assert_eq!(processes(&id), [0u32; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_left_the_group_and_what_does_not_hear() {
    let cloud = Cloud::new();
    let id = cloud.run_script(STUBBORN).await;
    says(&cloud, &id, "up").await;
    says(&cloud, &id, "deaf").await;
    assert!(processes(&id).len() >= 4, "{:?}", processes(&id));
    fs::write(cloud.root(&id).join("kept"), "").unwrap();
    let begun = std::time::Instant::now();
    cloud.ok("StopInstances", json!({ "InstanceIds": [id] })).await;
    cloud.reaches(&id, "stopped").await;
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(processes(&id), [0u32; 0]);

    cloud.ok("StartInstances", json!({ "InstanceIds": [id] })).await;
    cloud.reaches(&id, "running").await;
    until("user data ran again", async || cloud.console(&id).await.matches("up").count() == 2).await;
    assert!(cloud.root(&id).join("kept").exists());
    cloud.ok("RebootInstances", json!({ "InstanceIds": [id] })).await;
    until("and again", async || cloud.console(&id).await.matches("up").count() == 3).await;
    cloud.terminate(&id).await;
    assert_eq!(processes(&id), [0u32; 0]);
    assert!(!cloud.root(&id).exists());
    says(&cloud, &id, "up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_hear_the_request_end_in_their_own_time() {
    let cloud = Cloud::new();
    let script = "#!/bin/sh\ntrap 'echo heard; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done\n";
    let id = cloud.run_script(script).await;
    says(&cloud, &id, "up").await;
    let begun = std::time::Instant::now();
    cloud.terminate(&id).await;
    assert!(begun.elapsed().as_millis() < 1900, "{:?}", begun.elapsed());
    says(&cloud, &id, "heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_instances_boot_again_after_a_restart() {
    let cloud = Cloud::new();
    let id = cloud
        .run_script("#!/bin/sh\necho $AWS_EC2_METADATA_SERVICE_ENDPOINT >> \"$PINFRA_ROOT/boots\"\nsleep 600\n")
        .await;
    let off = cloud.run_script("#!/bin/sh\necho boot >> \"$PINFRA_ROOT/boots\"\n").await;
    let boots = |cloud: &Cloud, id: &str| fs::read_to_string(cloud.root(id).join("boots")).unwrap_or_default();
    until("the first boot", async || boots(&cloud, &id).lines().count() == 1).await;
    cloud.ok("StopInstances", json!({ "InstanceIds": [off] })).await;
    cloud.reaches(&off, "stopped").await;

    // On the way when the local cloud stops: it is carried on afterwards.
    let launched = cloud.launch().await;
    let started = cloud.ok("RunInstances", launched).await;
    let started = started["Instances"][0]["InstanceId"].as_str().unwrap();
    let cloud = cloud.restart().await;
    cloud.reaches(started, "running").await;
    until("the second boot", async || boots(&cloud, &id).lines().count() == 2).await;
    let text = boots(&cloud, &id);
    let endpoints: Vec<&str> = text.lines().collect();
    assert_eq!(endpoints[0], endpoints[1]);
    assert_eq!(cloud.instance(&id).await["State"]["Name"], "running");
    assert_eq!(cloud.instance(&off).await["State"]["Name"], "stopped");
    assert_eq!(boots(&cloud, &off).lines().count(), 1);

    cloud.ec2.cut_power();
    until("nothing is left", async || processes(&id).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_machine_has_an_address_of_its_own() {
    let cloud = Cloud::new();
    let script = "#!/bin/sh\necho \"address $PINFRA_ADDRESS\"\necho \"authority $AWS_CA_BUNDLE\"\necho end\n";
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let id = cloud.run_script(script).await;
        says(&cloud, &id, "end").await;
        let instance = cloud.instance(&id).await;
        let told = |host: &str| cloud.ec2.loopback_of(REGION, host);
        let address = told(instance["PrivateIpAddress"].as_str().unwrap()).unwrap();
        for name in ["PublicIpAddress", "PrivateDnsName", "PublicDnsName"] {
            assert_eq!(told(instance[name].as_str().unwrap()), Some(address), "{name}");
        }
        let console = cloud.console(&id).await;
        assert!(console.contains(&format!("address {address}\n")), "{console}");
        assert!(console.contains("/kafka/ca.pem\n"), "{console}");
        addresses.push((id, address));
    }
    assert!(addresses.iter().all(|(_, address)| address.is_loopback()));
    #[cfg(target_os = "linux")]
    assert_ne!(addresses[0].1, addresses[1].1);

    let (id, address) = addresses.remove(0);
    let elastic = cloud.ok("AllocateAddress", json!({})).await;
    let associate = json!({"AllocationId": elastic["AllocationId"], "InstanceId": id});
    cloud.ok("AssociateAddress", associate).await;
    let host = elastic["PublicIp"].as_str().unwrap();
    assert_eq!(cloud.ec2.loopback_of(REGION, host), Some(address));
    assert_eq!(cloud.ec2.loopback_of("eu-west-1", host), Some(address), "elastic addresses are unique");
    assert_eq!(cloud.ec2.loopback_of(REGION, "127.0.0.1"), None);

    let cloud = cloud.restart().await;
    assert_eq!(cloud.ec2.loopback_of(REGION, host), Some(address), "it keeps its address");
    cloud.terminate(&id).await;
    assert_eq!(cloud.ec2.loopback_of(REGION, host), None);
}
