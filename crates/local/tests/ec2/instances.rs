//! Instances as records: launching, states, attributes, profiles.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cloud::{Cloud, filter, text};

#[tokio::test]
async fn an_instance_lives_and_is_forgotten() {
    let cloud = Cloud::new();
    let mut launch = cloud.launch().await;
    let tags = json!([{"Key": "Name", "Value": "worker"}]);
    launch["TagSpecifications"] = json!([
        {"ResourceType": "instance", "Tags": tags}, {"ResourceType": "volume", "Tags": tags},
    ]);
    launch["IamInstanceProfile"] = json!({"Name": "worker"});
    let id = cloud.run(launch).await;
    let instance = cloud.instance(&id).await;
    assert_eq!(instance["Tags"], tags);
    assert_eq!(instance["IamInstanceProfile"]["Arn"], "arn:aws:iam::000000000000:instance-profile/worker");
    assert_eq!(instance["PrivateIpAddress"], "172.31.0.4");
    assert_eq!(instance["MetadataOptions"]["HttpTokens"], "required");
    assert_eq!(instance["SecurityGroups"][0]["GroupName"], "default");
    let status = cloud.ok("DescribeInstanceStatus", json!({ "InstanceIds": [id] })).await;
    assert_eq!(status["InstanceStatuses"][0]["InstanceStatus"]["Status"], "ok");

    let stopping = cloud.ok("StopInstances", json!({ "InstanceIds": [id] })).await;
    assert_eq!(stopping["StoppingInstances"][0]["CurrentState"], json!({"Code": 64, "Name": "stopping"}));
    assert_eq!(cloud.refused("StartInstances", json!({ "InstanceIds": [id] })).await, "IncorrectInstanceState");
    cloud.reaches(&id, "stopped").await;
    assert_eq!(cloud.refused("RebootInstances", json!({ "InstanceIds": [id] })).await, "IncorrectInstanceState");
    cloud.ok("StartInstances", json!({ "InstanceIds": [id] })).await;
    cloud.reaches(&id, "running").await;
    assert_eq!(cloud.instance(&id).await["PrivateIpAddress"], "172.31.0.4");

    cloud.terminate(&id).await;
    let again = cloud.ok("TerminateInstances", json!({ "InstanceIds": [id] })).await;
    assert_eq!(again["TerminatingInstances"][0]["CurrentState"]["Name"], "terminated");
    let running = cloud.ok("DescribeInstances", json!({"Filters": filter("instance-state-name", "running")})).await;
    assert_eq!(running["Reservations"], json!([]));
    assert_eq!(cloud.refused("StartInstances", json!({ "InstanceIds": [id] })).await, "IncorrectInstanceState");
    cloud.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(cloud.refused("DescribeInstances", json!({ "InstanceIds": [id] })).await, "InvalidInstanceID.NotFound");
}

#[tokio::test]
async fn a_token_launches_once() {
    let cloud = Cloud::new();
    let mut launch = cloud.launch().await;
    launch["ClientToken"] = json!("step-1");
    let first = cloud.ok("RunInstances", launch.clone()).await;
    let again = cloud.ok("RunInstances", launch.clone()).await;
    assert_eq!(first["Instances"][0]["InstanceId"], again["Instances"][0]["InstanceId"]);
    launch["InstanceType"] = json!("t3.small");
    assert_eq!(cloud.refused("RunInstances", launch.clone()).await, "IdempotentParameterMismatch");
    let found = cloud.ok("DescribeInstances", json!({"Filters": filter("client-token", "step-1")})).await;
    assert_eq!(found["Reservations"][0]["Instances"].as_array().unwrap().len(), 1);
    launch["ClientToken"] = json!("step-2");
    launch["DryRun"] = json!(true);
    assert_eq!(cloud.refused("RunInstances", launch).await, "DryRunOperation");
    assert_eq!(cloud.ok("DescribeInstances", json!({})).await["Reservations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_launched_is_refused_and_leaves_nothing() {
    let cloud = Cloud::new();
    let good = cloud.launch().await;
    let with = |member: &str, value: Value| {
        let mut launch = good.clone();
        launch[member] = value;
        launch
    };
    for (launch, code) in [
        (with("ImageId", json!("ami-00000000")), "InvalidAMIID.NotFound"),
        (with("ImageId", json!("nope")), "InvalidAMIID.Malformed"),
        (with("InstanceType", json!("t4g.micro")), "InvalidParameterValue"),
        (with("InstanceType", json!("t9.micro")), "InvalidInstanceType"),
        (with("KeyName", json!("none")), "InvalidKeyPair.NotFound"),
        (with("SubnetId", json!("subnet-00000000")), "InvalidSubnetID.NotFound"),
        (with("SecurityGroupIds", json!(["sg-00000000"])), "InvalidGroup.NotFound"),
        (with("IamInstanceProfile", json!({"Name": "none"})), "InvalidParameterValue"),
        (with("UserData", json!("not base64!")), "InvalidParameterValue"),
        (with("UserData", json!(STANDARD.encode(vec![b'x'; 16 * 1024 + 1]))), "InvalidParameterValue"),
        (with("MinCount", json!(2)), "InvalidParameterValue"),
        (with("LaunchTemplate", json!({"LaunchTemplateName": "x"})), "UnsupportedOperation"),
        (with("BlockDeviceMappings", json!([{"DeviceName": "/dev/sdf"}])), "UnsupportedOperation"),
        (
            with("BlockDeviceMappings", json!([{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 1}}])),
            "InvalidBlockDeviceMapping",
        ),
        (with("PrivateIpAddress", json!("10.0.0.1")), "InvalidParameterValue"),
        (with("TagSpecifications", json!([{"ResourceType": "vpc", "Tags": []}])), "InvalidParameterValue"),
    ] {
        assert_eq!(cloud.refused("RunInstances", launch.clone()).await, code, "{launch}");
    }
    assert_eq!(cloud.ok("DescribeInstances", json!({})).await["Reservations"], json!([]));
    assert_eq!(cloud.ok("DescribeVolumes", json!({})).await["Volumes"], json!([]));
}

#[tokio::test]
async fn attributes_are_changed_one_at_a_time() {
    let cloud = Cloud::new();
    let group = cloud.group("pins").await;
    let mut launch = cloud.launch().await;
    launch["DisableApiTermination"] = json!(true);
    let id = cloud.run(launch).await;
    let modify = |member: &str, value: Value| json!({"InstanceId": id, member: value});
    assert_eq!(cloud.refused("TerminateInstances", json!({ "InstanceIds": [id] })).await, "OperationNotPermitted");
    cloud.ok("ModifyInstanceAttribute", modify("DisableApiTermination", json!({"Value": false}))).await;
    cloud.ok("ModifyInstanceAttribute", modify("Groups", json!([group]))).await;
    assert_eq!(cloud.instance(&id).await["SecurityGroups"][0]["GroupId"], group);

    let larger = modify("InstanceType", json!({"Value": "t3.small"}));
    assert_eq!(cloud.refused("ModifyInstanceAttribute", larger.clone()).await, "IncorrectInstanceState");
    let data = modify("UserData", json!({"Value": STANDARD.encode("#!/bin/sh\n")}));
    assert_eq!(cloud.refused("ModifyInstanceAttribute", data.clone()).await, "IncorrectInstanceState");
    let mut two = larger.clone();
    two["EbsOptimized"] = json!({"Value": true});
    assert_eq!(cloud.refused("ModifyInstanceAttribute", two).await, "InvalidParameterCombination");
    cloud.ok("StopInstances", json!({ "InstanceIds": [id] })).await;
    cloud.reaches(&id, "stopped").await;
    cloud.ok("ModifyInstanceAttribute", larger).await;
    cloud.ok("ModifyInstanceAttribute", data).await;
    assert_eq!(cloud.instance(&id).await["InstanceType"], "t3.small");
    let read = cloud.ok("DescribeInstanceAttribute", json!({"InstanceId": id, "Attribute": "userData"})).await;
    assert_eq!(read["UserData"]["Value"], STANDARD.encode("#!/bin/sh\n"));
    let options = json!({"InstanceId": id, "HttpTokens": "optional", "InstanceMetadataTags": "enabled"});
    let options = cloud.ok("ModifyInstanceMetadataOptions", options).await;
    assert_eq!(options["InstanceMetadataOptions"]["HttpTokens"], "optional");
}

#[tokio::test]
async fn a_profile_is_given_replaced_and_taken_away() {
    let cloud = Cloud::new();
    let launch = cloud.launch().await;
    let id = cloud.run(launch).await;
    let worker = json!({"InstanceId": id, "IamInstanceProfile": {"Name": "worker"}});
    let given = cloud.ok("AssociateIamInstanceProfile", worker.clone()).await;
    let association = text(&given["IamInstanceProfileAssociation"]["AssociationId"]);
    assert_eq!(cloud.refused("AssociateIamInstanceProfile", worker).await, "IncorrectInstanceState");
    let bare = json!({"AssociationId": association, "IamInstanceProfile": {"Name": "bare"}});
    let replaced = cloud.ok("ReplaceIamInstanceProfileAssociation", bare).await;
    let replaced = text(&replaced["IamInstanceProfileAssociation"]["AssociationId"]);
    assert_ne!(replaced, association);
    let input = json!({"Filters": filter("instance-id", &id)});
    let listed = cloud.ok("DescribeIamInstanceProfileAssociations", input.clone()).await;
    assert_eq!(listed["IamInstanceProfileAssociations"][0]["State"], "associated");
    assert_eq!(cloud.instance(&id).await["IamInstanceProfile"]["Id"], "AIPAbare");
    cloud.ok("DisassociateIamInstanceProfile", json!({ "AssociationId": replaced })).await;
    let listed = cloud.ok("DescribeIamInstanceProfileAssociations", input).await;
    assert_eq!(listed["IamInstanceProfileAssociations"], json!([]));
}
