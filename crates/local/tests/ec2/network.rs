//! The default network, and what is the same for every `Describe…`.

use serde_json::json;

use crate::cloud::{Cloud, REGION, filter, text};

#[tokio::test]
async fn a_region_has_a_default_network() {
    let cloud = Cloud::new();
    let vpcs = cloud.ok("DescribeVpcs", json!({"Filters": filter("is-default", "true")})).await;
    assert_eq!(vpcs["Vpcs"][0]["CidrBlock"], "172.31.0.0/16");
    let vpc = text(&vpcs["Vpcs"][0]["VpcId"]);
    let subnets = cloud.ok("DescribeSubnets", json!({"Filters": filter("vpc-id", &vpc)})).await;
    let zones: Vec<String> =
        subnets["Subnets"].as_array().unwrap().iter().map(|s| text(&s["AvailabilityZone"])).collect();
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    let in_b = cloud.ok("DescribeSubnets", json!({"Filters": filter("availability-zone-id", "use1-az2")})).await;
    assert_eq!(in_b["Subnets"][0]["CidrBlock"], "172.31.16.0/20");
    for (operation, member) in [
        ("DescribeInternetGateways", "InternetGateways"),
        ("DescribeRouteTables", "RouteTables"),
        ("DescribeNetworkAcls", "NetworkAcls"),
        ("DescribeDhcpOptions", "DhcpOptions"),
    ] {
        assert_eq!(cloud.ok(operation, json!({})).await[member].as_array().unwrap().len(), 1, "{operation}");
    }
    let dns = cloud.ok("DescribeVpcAttribute", json!({"VpcId": vpc, "Attribute": "enableDnsHostnames"})).await;
    assert_eq!(dns["EnableDnsHostnames"]["Value"], true);

    let other = cloud.call_in("eu-west-1", "DescribeVpcs", json!({})).await.unwrap();
    assert_ne!(other["Vpcs"][0]["VpcId"], vpc);
    let wrong = cloud.call_in("eu-west-1", "DescribeVpcs", json!({"VpcIds": [vpc]})).await.unwrap_err();
    assert_eq!(wrong.code, "InvalidVpcID.NotFound");
    assert_eq!(REGION, "us-east-1");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let cloud = Cloud::new();
    for (operation, input, code) in [
        ("DescribeVpcs", json!({"VpcIds": ["vpc-x"]}), "InvalidVpcID.Malformed"),
        ("DescribeSubnets", json!({"SubnetIds": ["subnet-00000000"]}), "InvalidSubnetID.NotFound"),
        ("DescribeSubnets", json!({"Filters": filter("colour", "red")}), "InvalidParameterValue"),
        ("DescribeInstances", json!({"MaxResults": 2}), "InvalidParameterValue"),
        ("DescribeInstances", json!({"NextToken": "?"}), "InvalidParameterValue"),
        ("DescribeImages", json!({"ImageIds": ["ami-00000000"]}), "InvalidAMIID.NotFound"),
        ("DescribeInstanceTypes", json!({"InstanceTypes": ["t9.huge"]}), "InvalidInstanceType"),
        ("DescribeKeyPairs", json!({"KeyNames": ["k"]}), "InvalidKeyPair.NotFound"),
        ("DescribeVolumes", json!({"VolumeIds": ["vol-00000000"]}), "InvalidVolume.NotFound"),
        ("DescribeVpcs", json!({"DryRun": true}), "DryRunOperation"),
        ("CreateKeyPair", json!({"KeyName": "k"}), "UnknownOperationException"),
        ("CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}), "UnknownOperationException"),
    ] {
        assert_eq!(cloud.refused(operation, input.clone()).await, code, "{operation} {input}");
    }
}

#[tokio::test]
async fn types_have_offerings_in_every_zone() {
    let cloud = Cloud::new();
    let input = json!({"LocationType": "availability-zone", "Filters": filter("instance-type", "t4g.small")});
    let offered = cloud.ok("DescribeInstanceTypeOfferings", input).await;
    assert_eq!(offered["InstanceTypeOfferings"].as_array().unwrap().len(), 3);
    let kind = cloud.ok("DescribeInstanceTypes", json!({"InstanceTypes": ["t4g.small"]})).await;
    assert_eq!(kind["InstanceTypes"][0]["ProcessorInfo"]["SupportedArchitectures"], json!(["arm64"]));
}
