//! Security groups and their rules.

use serde_json::{Value, json};

use crate::cloud::{Cloud, filter, text};

fn ssh(cidr: &str) -> Value {
    json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr, "Description": "ssh"}]}])
}

#[tokio::test]
async fn a_group_is_made_described_and_deleted() {
    let cloud = Cloud::new();
    let create = json!({"GroupName": "pins", "Description": "for pins",
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": [{"Key": "pinfra:stack", "Value": "pins"}]}]});
    let id = text(&cloud.ok("CreateSecurityGroup", create.clone()).await["GroupId"]);
    assert_eq!(cloud.refused("CreateSecurityGroup", create).await, "InvalidGroup.Duplicate");
    let found = cloud.ok("DescribeSecurityGroups", json!({"Filters": filter("tag:pinfra:stack", "pins")})).await;
    let group = &found["SecurityGroups"][0];
    assert_eq!((group["GroupId"].as_str(), group["GroupName"].as_str()), (Some(id.as_str()), Some("pins")));
    assert_eq!(group["IpPermissions"], json!([]));
    assert_eq!(group["IpPermissionsEgress"][0]["IpProtocol"], "-1");
    assert_eq!(group["IpPermissionsEgress"][0]["FromPort"], Value::Null);

    cloud.ok("DeleteSecurityGroup", json!({ "GroupId": id })).await;
    assert_eq!(cloud.refused("DeleteSecurityGroup", json!({ "GroupId": id })).await, "InvalidGroup.NotFound");
    let tags = cloud.ok("DescribeTags", json!({"Filters": filter("resource-id", &id)})).await;
    assert_eq!(tags["Tags"], json!([]));
    let default = cloud.default_group().await;
    assert_eq!(cloud.refused("DeleteSecurityGroup", json!({ "GroupId": default })).await, "CannotDelete");
}

#[tokio::test]
async fn rules_have_ids_and_are_there_once() {
    let cloud = Cloud::new();
    let id = cloud.group("pins").await;
    let authorize = json!({"GroupId": id, "IpPermissions": ssh("10.0.0.0/8"),
        "TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}]});
    let answer = cloud.ok("AuthorizeSecurityGroupIngress", authorize.clone()).await;
    let rule = &answer["SecurityGroupRules"][0];
    let rule_id = text(&rule["SecurityGroupRuleId"]);
    assert!(rule_id.starts_with("sgr-"));
    assert_eq!(
        (&rule["CidrIpv4"], &rule["FromPort"], &rule["IsEgress"]),
        (&json!("10.0.0.0/8"), &json!(22), &json!(false))
    );
    assert_eq!(cloud.refused("AuthorizeSecurityGroupIngress", authorize).await, "InvalidPermission.Duplicate");
    // The same range in other words, beside a new one: none of the request is done.
    let mut two = ssh("10.1.2.3/8");
    two[0]["IpRanges"].as_array_mut().unwrap().insert(0, json!({"CidrIp": "192.168.0.0/16"}));
    let refused = cloud.refused("AuthorizeSecurityGroupIngress", json!({"GroupId": id, "IpPermissions": two})).await;
    assert_eq!(refused, "InvalidPermission.Duplicate");

    let listed = cloud.ok("DescribeSecurityGroupRules", json!({"Filters": filter("group-id", &id)})).await;
    let rules = listed["SecurityGroupRules"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    let egress = rules.iter().find(|rule| rule["IsEgress"] == true).unwrap();
    assert_eq!((&egress["FromPort"], &egress["ToPort"]), (&json!(-1), &json!(-1)));
    let tagged = cloud.ok("DescribeSecurityGroupRules", json!({"Filters": filter("tag:k", "v")})).await;
    assert_eq!(tagged["SecurityGroupRules"][0]["SecurityGroupRuleId"], rule_id);

    let change = json!({"GroupId": id, "SecurityGroupRules": [{"SecurityGroupRuleId": rule_id,
        "SecurityGroupRule": {"IpProtocol": "udp", "FromPort": 53, "ToPort": 54, "CidrIpv6": "::/0"}}]});
    cloud.ok("ModifySecurityGroupRules", change).await;
    let listed = cloud.ok("DescribeSecurityGroupRules", json!({"SecurityGroupRuleIds": [rule_id]})).await;
    let rule = &listed["SecurityGroupRules"][0];
    assert_eq!((&rule["CidrIpv6"], &rule["CidrIpv4"], &rule["ToPort"]), (&json!("::/0"), &Value::Null, &json!(54)));

    let by_value = json!({"GroupId": id, "IpPermissions": ssh("10.0.0.0/8")});
    assert_eq!(cloud.refused("RevokeSecurityGroupIngress", by_value).await, "InvalidPermission.NotFound");
    let by_id = json!({"GroupId": id, "SecurityGroupRuleIds": [rule_id]});
    let other_way = cloud.refused("RevokeSecurityGroupEgress", by_id.clone()).await;
    assert_eq!(other_way, "InvalidSecurityGroupRuleId.NotFound");
    let revoked = cloud.ok("RevokeSecurityGroupIngress", by_id).await;
    assert_eq!(revoked["RevokedSecurityGroupRules"][0]["SecurityGroupRuleId"], rule_id);
    let all = json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    cloud.ok("RevokeSecurityGroupEgress", json!({"GroupId": id, "IpPermissions": all})).await;
    let listed = cloud.ok("DescribeSecurityGroupRules", json!({"Filters": filter("group-id", &id)})).await;
    assert_eq!(listed["SecurityGroupRules"], json!([]));
}

#[tokio::test]
async fn a_group_stays_while_something_uses_it() {
    let cloud = Cloud::new();
    let (a, b) = (cloud.group("a").await, cloud.group("b").await);
    let from_a = json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": a}]}]);
    cloud.ok("AuthorizeSecurityGroupIngress", json!({"GroupId": b, "IpPermissions": from_a})).await;
    assert_eq!(cloud.refused("DeleteSecurityGroup", json!({ "GroupId": a })).await, "DependencyViolation");
    cloud.ok("RevokeSecurityGroupIngress", json!({"GroupId": b, "IpPermissions": from_a})).await;

    let mut launch = cloud.launch().await;
    launch["SecurityGroupIds"] = json!([a]);
    let id = cloud.run(launch).await;
    let interfaces = cloud.ok("DescribeNetworkInterfaces", json!({"Filters": filter("group-id", &a)})).await;
    assert_eq!(interfaces["NetworkInterfaces"][0]["Attachment"]["InstanceId"], id);
    assert_eq!(cloud.refused("DeleteSecurityGroup", json!({ "GroupId": a })).await, "DependencyViolation");
    cloud.terminate(&id).await;
    cloud.ok("DeleteSecurityGroup", json!({ "GroupId": a })).await;
}
