//! Gateway endpoints, and interfaces that other services keep.

use pinfra_local::services::ec2::InterfaceWish;
use serde_json::{Value, json};

use crate::cloud::{Cloud, REGION, filter, text};

const S3: &str = "com.amazonaws.us-east-1.s3";

async fn vpc_and_table(cloud: &Cloud) -> (String, String) {
    let tables = cloud.ok("DescribeRouteTables", json!({"Filters": filter("association.main", "true")})).await;
    let table = &tables["RouteTables"][0];
    (text(&table["VpcId"]), text(&table["RouteTableId"]))
}

async fn routes(cloud: &Cloud) -> Vec<Value> {
    let tables = cloud.ok("DescribeRouteTables", json!({})).await;
    tables["RouteTables"][0]["Routes"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_endpoint_is_a_route_to_a_prefix_list() {
    let cloud = Cloud::new();
    let (vpc, table) = vpc_and_table(&cloud).await;
    let tags = json!([{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "k", "Value": "v"}]}]);
    let create = json!({"VpcId": vpc, "ServiceName": S3, "RouteTableIds": [table], "ClientToken": "t",
        "TagSpecifications": tags});
    let made = cloud.ok("CreateVpcEndpoint", create.clone()).await["VpcEndpoint"].clone();
    let id = text(&made["VpcEndpointId"]);
    assert_eq!((made["State"].as_str(), made["VpcEndpointType"].as_str()), (Some("available"), Some("Gateway")));
    let again = cloud.ok("CreateVpcEndpoint", create).await;
    assert_eq!(again["VpcEndpoint"]["VpcEndpointId"], id.as_str(), "the token makes it the same");

    let lists = cloud.ok("DescribePrefixLists", json!({"Filters": filter("prefix-list-name", S3)})).await;
    let list = text(&lists["PrefixLists"][0]["PrefixListId"]);
    let through = json!({"DestinationPrefixListId": list, "GatewayId": id, "Origin": "CreateRoute", "State": "active"});
    assert!(routes(&cloud).await.contains(&through));
    let second = json!({"VpcId": vpc, "ServiceName": S3, "RouteTableIds": [table]});
    assert_eq!(cloud.refused("CreateVpcEndpoint", second).await, "RouteAlreadyExists");

    let tagged = cloud.ok("DescribeVpcEndpoints", json!({"Filters": filter("tag:k", "v")})).await;
    assert_eq!(tagged["VpcEndpoints"][0]["VpcEndpointId"], id.as_str());
    let cloud = cloud.restart().await;
    let modify = json!({"VpcEndpointId": id, "RemoveRouteTableIds": [table], "PolicyDocument": "{}"});
    cloud.ok("ModifyVpcEndpoint", modify).await;
    assert!(!routes(&cloud).await.contains(&through));
    let described = cloud.ok("DescribeVpcEndpoints", json!({"VpcEndpointIds": [id]})).await;
    assert_eq!(described["VpcEndpoints"][0]["PolicyDocument"], "{}");
    cloud.ok("ModifyVpcEndpoint", json!({"VpcEndpointId": id, "AddRouteTableIds": [table]})).await;

    let answer = cloud.ok("DeleteVpcEndpoints", json!({"VpcEndpointIds": [id, "vpce-00000000"]})).await;
    assert_eq!(answer["Unsuccessful"].as_array().unwrap().len(), 1);
    assert_eq!(answer["Unsuccessful"][0]["Error"]["Code"], "InvalidVpcEndpoint.NotFound");
    assert_eq!(routes(&cloud).await.len(), 2);
    let gone = cloud.refused("DescribeVpcEndpoints", json!({"VpcEndpointIds": [id]})).await;
    assert_eq!(gone, "InvalidVpcEndpointId.NotFound");
}

#[tokio::test]
async fn what_is_no_gateway_endpoint_is_refused() {
    let cloud = Cloud::new();
    let (vpc, _) = vpc_and_table(&cloud).await;
    for (change, code) in [
        (json!({"ServiceName": "com.amazonaws.us-east-1.kafka"}), "InvalidServiceName"),
        (json!({"ServiceName": "com.amazonaws.eu-west-1.s3"}), "InvalidServiceName"),
        (json!({"VpcEndpointType": "Interface"}), "UnsupportedOperation"),
        (json!({"SubnetIds": ["subnet-00000000"]}), "InvalidParameterValue"),
        (json!({"VpcId": "vpc-00000000"}), "InvalidVpcID.NotFound"),
        (json!({"RouteTableIds": ["rtb-00000000"]}), "InvalidRouteTableID.NotFound"),
        (json!({"PolicyDocument": "none"}), "InvalidPolicyDocument"),
    ] {
        let mut create = json!({"VpcId": vpc, "ServiceName": S3});
        for (member, value) in change.as_object().unwrap() {
            create[member] = value.clone();
        }
        assert_eq!(cloud.refused("CreateVpcEndpoint", create).await, code, "{change}");
    }
}

#[tokio::test]
async fn interfaces_of_services_hold_their_groups() {
    let cloud = Cloud::new();
    let group = cloud.group("brokers").await;
    let subnets = cloud.ok("DescribeSubnets", json!({})).await;
    let subnets = ["us-east-1a", "us-east-1b"].map(|zone| {
        let all = subnets["Subnets"].as_array().unwrap();
        text(&all.iter().find(|subnet| subnet["AvailabilityZone"] == zone).unwrap()["SubnetId"])
    });
    let owner = "arn:aws:kafka:us-east-1:000000000000:cluster/pins/1";
    let wish = |subnet: &String| InterfaceWish {
        subnet: subnet.clone(),
        groups: vec![group.clone()],
        description: "of a broker".to_owned(),
    };
    let wishes: Vec<InterfaceWish> = subnets.iter().map(wish).collect();
    let placed = cloud.ec2.place_interfaces(REGION, owner, "amazon-msk", &wishes).unwrap();
    assert_eq!(cloud.ec2.place_interfaces(REGION, owner, "amazon-msk", &wishes).unwrap(), placed, "they stay");

    let worn = cloud.ok("DescribeNetworkInterfaces", json!({"Filters": filter("group-id", &group)})).await;
    let worn = worn["NetworkInterfaces"].as_array().unwrap();
    assert_eq!(worn.len(), 2);
    assert!(worn.iter().all(|one| one["RequesterId"] == "amazon-msk" && one["Description"] == "of a broker"));
    let free = cloud.ok("DescribeSubnets", json!({"SubnetIds": [subnets[0]]})).await;
    assert_eq!(free["Subnets"][0]["AvailableIpAddressCount"], 4090);
    let delete = json!({ "GroupId": group });
    assert_eq!(cloud.refused("DeleteSecurityGroup", delete.clone()).await, "DependencyViolation");

    cloud.ec2.remove_interfaces(REGION, owner).unwrap();
    cloud.ok("DeleteSecurityGroup", delete).await;
    let absent = ["subnet-00000000".to_owned()];
    assert_eq!(cloud.ec2.subnets(REGION, &absent).unwrap_err().code, "InvalidSubnetID.NotFound");
    assert_eq!(cloud.ec2.check_groups(REGION, &[group]).unwrap_err().code, "InvalidGroup.NotFound");
}
