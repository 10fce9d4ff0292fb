//! Key pairs, Elastic IPs, volumes, tags.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinfra_local::services::Service;
use serde_json::{Value, json};

use crate::cloud::{Cloud, REGION, filter, text};

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f pins";

#[tokio::test]
async fn key_pairs_are_imported_found_and_deleted() {
    let cloud = Cloud::new();
    let import = json!({"KeyName": "pins", "PublicKeyMaterial": STANDARD.encode(ED25519)});
    let imported = cloud.ok("ImportKeyPair", import.clone()).await;
    assert!(text(&imported["KeyPairId"]).starts_with("key-"));
    assert_eq!(cloud.refused("ImportKeyPair", import).await, "InvalidKeyPair.Duplicate");
    let wrong = json!({"KeyName": "other", "PublicKeyMaterial": STANDARD.encode("hello")});
    assert_eq!(cloud.refused("ImportKeyPair", wrong).await, "InvalidKey.Format");
    let found = cloud.ok("DescribeKeyPairs", json!({"KeyNames": ["pins"], "IncludePublicKey": true})).await;
    let key = &found["KeyPairs"][0];
    assert_eq!((&key["KeyType"], &key["PublicKey"]), (&json!("ed25519"), &json!(ED25519)));
    assert_eq!(key["KeyFingerprint"], imported["KeyFingerprint"]);
    cloud.ok("DeleteKeyPair", json!({"KeyName": "pins"})).await;
    cloud.ok("DeleteKeyPair", json!({"KeyName": "pins"})).await;
    assert_eq!(cloud.ok("DescribeKeyPairs", json!({})).await["KeyPairs"], json!([]));
}

#[tokio::test]
async fn an_elastic_ip_follows_its_association() {
    let cloud = Cloud::new();
    let launch = cloud.launch().await;
    let (a, b) = (cloud.run(launch.clone()).await, cloud.run(launch).await);
    let allocated = cloud.ok("AllocateAddress", json!({"Domain": "vpc"})).await;
    let (allocation, ip) = (text(&allocated["AllocationId"]), text(&allocated["PublicIp"]));
    assert!(ip.starts_with("203.0.113."));
    let associate = |instance: &str| json!({"AllocationId": allocation, "InstanceId": instance});
    cloud.ok("AssociateAddress", associate(&a)).await;
    assert_eq!(cloud.instance(&a).await["PublicIpAddress"], ip);
    let mut strict = associate(&b);
    strict["AllowReassociation"] = json!(false);
    assert_eq!(cloud.refused("AssociateAddress", strict).await, "Resource.AlreadyAssociated");
    let association = text(&cloud.ok("AssociateAddress", associate(&b)).await["AssociationId"]);
    assert_eq!(cloud.instance(&b).await["PublicIpAddress"], ip);
    assert_ne!(cloud.instance(&a).await["PublicIpAddress"], ip);

    // It stays through a stop, where an address of the pool goes.
    cloud.ok("StopInstances", json!({ "InstanceIds": [a, b] })).await;
    cloud.reaches(&a, "stopped").await;
    cloud.reaches(&b, "stopped").await;
    assert_eq!(cloud.instance(&a).await["PublicIpAddress"], Value::Null);
    assert_eq!(cloud.instance(&b).await["PublicIpAddress"], ip);

    assert_eq!(cloud.refused("ReleaseAddress", json!({ "AllocationId": allocation })).await, "InvalidIPAddress.InUse");
    cloud.ok("DisassociateAddress", json!({ "AssociationId": association })).await;
    let gone = cloud.refused("DisassociateAddress", json!({ "AssociationId": association })).await;
    assert_eq!(gone, "InvalidAssociationID.NotFound");
    cloud.ok("ReleaseAddress", json!({ "AllocationId": allocation })).await;
    let gone = cloud.refused("DescribeAddresses", json!({ "AllocationIds": [allocation] })).await;
    assert_eq!(gone, "InvalidAllocationID.NotFound");
}

#[tokio::test]
async fn a_volume_grows_and_goes_with_its_instance() {
    let cloud = Cloud::new();
    let mut launch = cloud.launch().await;
    launch["BlockDeviceMappings"] = json!([{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": true, "VolumeSize": 20}}]);
    let id = cloud.run(launch).await;
    let attached = json!({"Filters": filter("attachment.instance-id", &id)});
    let volumes = cloud.ok("DescribeVolumes", attached.clone()).await;
    let volume = &volumes["Volumes"][0];
    assert_eq!(
        (&volume["Encrypted"], &volume["Size"], &volume["VolumeType"]),
        (&json!(true), &json!(20), &json!("gp3"))
    );
    let volume_id = text(&volume["VolumeId"]);
    let smaller = json!({"VolumeId": volume_id, "Size": 10});
    assert_eq!(cloud.refused("ModifyVolume", smaller).await, "InvalidParameterValue");
    let grown = cloud.ok("ModifyVolume", json!({"VolumeId": volume_id, "Size": 30, "Iops": 4000})).await;
    assert_eq!(grown["VolumeModification"]["OriginalSize"], 20);
    let volume = &cloud.ok("DescribeVolumes", json!({ "VolumeIds": [volume_id] })).await["Volumes"][0];
    assert_eq!((&volume["Size"], &volume["Iops"], &volume["Throughput"]), (&json!(30), &json!(4000), &json!(125)));
    let changes = cloud.ok("DescribeVolumesModifications", json!({ "VolumeIds": [volume_id] })).await;
    assert_eq!(changes["VolumesModifications"][0]["ModificationState"], "completed");
    cloud.terminate(&id).await;
    assert_eq!(cloud.ok("DescribeVolumes", attached).await["Volumes"], json!([]));
}

#[tokio::test]
async fn tags_are_set_found_and_taken_away() {
    let cloud = Cloud::new();
    let group = cloud.group("pins").await;
    let tags = json!([{"Key": "pinfra:stack", "Value": "pins"}, {"Key": "team", "Value": "data"}]);
    cloud.ok("CreateTags", json!({"Resources": [group], "Tags": tags})).await;
    let arn = format!("arn:aws:ec2:{REGION}:000000000000:security-group/{group}");
    let tagged = cloud.ec2.tagged(REGION);
    assert_eq!(tagged.len(), 1);
    assert_eq!((tagged[0].arn.as_str(), tagged[0].tags.len()), (arn.as_str(), 2));
    assert!(cloud.ec2.tagged("eu-west-1").is_empty());
    let found = cloud.ok("DescribeTags", json!({"Filters": filter("resource-type", "security-group")})).await;
    assert_eq!(found["Tags"].as_array().unwrap().len(), 2);
    // One value does not fit, the other tag goes whatever its value is.
    let gone = json!([{"Key": "pinfra:stack", "Value": "other"}, {"Key": "team"}]);
    cloud.ok("DeleteTags", json!({"Resources": [group], "Tags": gone})).await;
    let left = cloud.ok("DescribeTags", json!({"Filters": filter("resource-id", &group)})).await;
    assert_eq!(
        left["Tags"],
        json!([{"Key": "pinfra:stack", "Value": "pins", "ResourceId": group, "ResourceType": "security-group"}])
    );
    for (resource, key, code) in [
        ("sg-00000000", "k", "InvalidGroup.NotFound"),
        ("thing", "k", "InvalidID"),
        (group.as_str(), "aws:k", "InvalidParameterValue"),
    ] {
        let input = json!({"Resources": [resource], "Tags": [{"Key": key, "Value": "v"}]});
        assert_eq!(cloud.refused("CreateTags", input).await, code);
    }
    let many: Vec<Value> = (0..50).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
    assert_eq!(cloud.refused("CreateTags", json!({"Resources": [group], "Tags": many})).await, "TagLimitExceeded");
}
