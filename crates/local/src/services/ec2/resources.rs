//! Which ARNs a call is about, for the policies of roles ("Actions, resources, and condition keys for Amazon EC2",
//! Service Authorization Reference). What is about no object in particular is about `*`.

use serde_json::Value;

use super::ids::Noun;
use crate::services::Call;

/// Members that name what a call changes.
const MEMBERS: [&str; 11] = [
    "AllocationId",
    "GroupId",
    "InstanceId",
    "InstanceIds",
    "KeyPairId",
    "NetworkInterfaceId",
    "Resources",
    "VolumeId",
    "SecurityGroupRuleIds",
    "VpcEndpointId",
    "VpcEndpointIds",
];

/// The ARNs of a call; `None` where it is about everything.
pub(super) fn named(call: &Call, input: &Value) -> Option<Vec<String>> {
    let arn = |kind: &str, id: &str| format!("arn:aws:ec2:{}:{}:{kind}/{id}", call.region, call.account);
    // Only `DescribeInstanceAttribute` of them knows objects, and it is not worth an exception.
    if call.operation.starts_with("Describe") {
        return None;
    }
    let made = match call.operation.as_str() {
        "RunInstances" => Some("instance"),
        "CreateSecurityGroup" => Some("security-group"),
        "ImportKeyPair" => Some("key-pair"),
        "AllocateAddress" => Some("elastic-ip"),
        "CreateVpcEndpoint" => Some("vpc-endpoint"),
        _ => None,
    };
    if let Some(kind) = made {
        return Some(vec![arn(kind, "*")]);
    }
    let mut found = Vec::new();
    for value in MEMBERS.iter().map(|member| &input[*member]) {
        let listed = value.as_array().into_iter().flatten();
        for id in listed.chain([value]).filter_map(Value::as_str) {
            if let Some(noun) = Noun::of(id) {
                found.push(arn(noun.resource_type, id));
            }
        }
    }
    (!found.is_empty()).then_some(found)
}
