//! Eventual consistency on request: for a while reads do not know what was just made.
//!
//! On AWS this lasts for a moment, and not always; here it lasts for the time that was asked for, and each time. EC2 and IAM
//! refuse a read that names the new object, and leave it out of lists ("Eventual consistency in the Amazon EC2 API", EC2
//! developer guide; "Changes that I make are not always immediately visible", IAM user guide). The Tagging API leaves out
//! what any service has just made. Writes see everything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wire::error::ApiError;

/// A call that makes something, and how reads say that it is not there.
struct Making {
    service: &'static str,
    operation: &'static str,
    /// The member of the answer, or of the request, that has its id.
    member: &'static str,
    /// The member of a reading request that lists ids.
    several: &'static str,
    code: &'static str,
    /// With `{}` for the id; empty where only the Tagging API is behind.
    message: &'static str,
}

const fn unseen(
    service: &'static str,
    operation: &'static str,
    member: &'static str,
    several: &'static str,
    code: &'static str,
    message: &'static str,
) -> Making {
    Making { service, operation, member, several, code, message }
}

/// Only the Tagging API does not know it yet.
const fn untagged(service: &'static str, operation: &'static str, member: &'static str) -> Making {
    unseen(service, operation, member, member, "", "")
}

const MAKINGS: [Making; 18] = [
    unseen(
        "ec2",
        "CreateSecurityGroup",
        "GroupId",
        "GroupIds",
        "InvalidGroup.NotFound",
        "The security group '{}' does not exist",
    ),
    unseen(
        "ec2",
        "RunInstances",
        "InstanceId",
        "InstanceIds",
        "InvalidInstanceID.NotFound",
        "The instance ID '{}' does not exist",
    ),
    unseen(
        "ec2",
        "AllocateAddress",
        "AllocationId",
        "AllocationIds",
        "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
    ),
    unseen(
        "ec2",
        "CreateVpcEndpoint",
        "VpcEndpointId",
        "VpcEndpointIds",
        "InvalidVpcEndpointId.NotFound",
        "The Vpc Endpoint Id '{}' does not exist",
    ),
    unseen(
        "ec2",
        "ImportKeyPair",
        "KeyName",
        "KeyNames",
        "InvalidKeyPair.NotFound",
        "The key pair '{}' does not exist",
    ),
    unseen("iam", "CreateRole", "RoleName", "RoleName", "NoSuchEntity", "The role with name {} cannot be found."),
    unseen(
        "iam",
        "CreateInstanceProfile",
        "InstanceProfileName",
        "InstanceProfileName",
        "NoSuchEntity",
        "Instance Profile {} cannot be found.",
    ),
    unseen("iam", "CreatePolicy", "Arn", "PolicyArn", "NoSuchEntity", "Policy {} does not exist or is not attachable."),
    untagged("apigateway", "CreateRestApi", "id"),
    untagged("apigateway", "ImportRestApi", "id"),
    untagged("apigateway", "CreateApiKey", "id"),
    untagged("kafka", "CreateCluster", "ClusterArn"),
    untagged("kafka", "CreateClusterV2", "ClusterArn"),
    untagged("kafka", "CreateConfiguration", "Arn"),
    untagged("kafkaconnect", "CreateConnector", "connectorArn"),
    untagged("kafkaconnect", "CreateCustomPlugin", "customPluginArn"),
    untagged("kafkaconnect", "CreateWorkerConfiguration", "workerConfigurationArn"),
    untagged("kinesis", "CreateStream", "StreamName"),
];

/// What was made a moment ago.
#[derive(Debug)]
pub(crate) struct Stale {
    lasts: Duration,
    young: Mutex<Vec<Young>>,
}

#[derive(Debug)]
struct Young {
    made: Instant,
    making: &'static Making,
    id: String,
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)
    }
}

impl Stale {
    /// Reads are behind for so long.
    pub(crate) fn new(lasts: Duration) -> Stale {
        Stale { lasts, young: Mutex::default() }
    }

    /// Takes note of what a call has made.
    pub(crate) fn made(&self, service: &str, operation: &str, input: &Value, output: &Value) {
        let making = MAKINGS.iter().find(|making| making.service == service && making.operation == operation);
        let Some(making) = making else { return };
        let mut ids = Vec::new();
        members(output, making.member, &mut ids);
        if ids.is_empty() {
            members(input, making.member, &mut ids);
        }
        let mut young = self.young();
        for id in ids {
            if !young.iter().any(|known| known.id == id && known.making.member == making.member) {
                young.push(Young { made: Instant::now(), making, id: id.to_owned() });
            }
        }
    }

    /// Refuses a read that names what was made a moment ago.
    pub(crate) fn seen(&self, service: &str, input: &Value) -> Result<(), ApiError> {
        for young in self.young().iter().filter(|young| young.making.service == service) {
            let Making { member, several, code, message, .. } = *young.making;
            let names = |name: &str| match &input[name] {
                Value::String(id) => *id == young.id,
                Value::Array(ids) => ids.iter().any(|id| *id == young.id),
                _ => false,
            };
            if !message.is_empty() && (names(member) || names(several)) {
                return Err(ApiError::new(code, message.replace("{}", &young.id)));
            }
        }
        Ok(())
    }

    /// Leaves it out of the lists that a read answers with.
    pub(crate) fn leave_out(&self, service: &str, output: &mut Value) {
        let young = self.young();
        let hidden = |item: &Value| {
            young.iter().any(|young| match service {
                "tagging" => item["ResourceARN"].as_str().is_some_and(|arn| ends_in(arn, &young.id)),
                _ => !young.making.message.is_empty() && young.making.service == service && mentions(item, young),
            })
        };
        let Some(members) = output.as_object_mut() else { return };
        for list in members.values_mut().filter_map(Value::as_array_mut) {
            list.retain(|item| !hidden(item));
        }
    }

    fn young(&self) -> MutexGuard<'_, Vec<Young>> {
        let mut young = self.young.lock().unwrap_or_else(PoisonError::into_inner);
        young.retain(|young| young.made.elapsed() < self.lasts);
        young
    }
}

/// `arn:…:stream/pins` ends in `pins`.
fn ends_in(arn: &str, id: &str) -> bool {
    arn.strip_suffix(id).is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
}

fn mentions(item: &Value, young: &Young) -> bool {
    let mut ids = Vec::new();
    members(item, young.making.member, &mut ids);
    ids.contains(&young.id.as_str())
}

/// All texts under that name, however deep.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == name => found.push(text),
                    _ => members(value, name, found),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                members(item, name, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_do_not_know_what_was_just_made() {
        let stale = Stale::new(Duration::from_secs(3600));
        stale.made(
            "ec2",
            "RunInstances",
            &json!({}),
            &json!({"Instances": [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}]}),
        );
        stale.made("iam", "CreateRole", &json!({}), &json!({"Role": {"RoleName": "pins"}}));
        stale.made("kinesis", "CreateStream", &json!({"StreamName": "pins-geo"}), &Value::Null);

        let named = stale.seen("ec2", &json!({"InstanceIds": ["i-0", "i-2"]})).unwrap_err();
        assert_eq!(named.to_string(), "InvalidInstanceID.NotFound: The instance ID 'i-2' does not exist");
        assert_eq!(stale.seen("ec2", &json!({"InstanceIds": ["i-0"]})), Ok(()));
        assert_eq!(stale.seen("iam", &json!({"RoleName": "pins"})).unwrap_err().code, "NoSuchEntity");
        // A profile of the same name is something else, and Kinesis is not behind.
        assert_eq!(stale.seen("iam", &json!({"InstanceProfileName": "pins"})), Ok(()));
        assert_eq!(stale.seen("kinesis", &json!({"StreamName": "pins-geo"})), Ok(()));

        let reservation = |id: &str| json!({"Instances": [{"InstanceId": id}]});
        let mut output = json!({"Reservations": [reservation("i-0"), reservation("i-1")], "NextToken": "t"});
        stale.leave_out("ec2", &mut output);
        assert_eq!(output, json!({"Reservations": [reservation("i-0")], "NextToken": "t"}));
        let tagged = |arn: &str| json!({"ResourceARN": arn});
        let mut output =
            json!({"ResourceTagMappingList": [tagged("arn:a:stream/pins-geo"), tagged("arn:a:stream/other-pins-geo")]});
        stale.leave_out("tagging", &mut output);
        assert_eq!(output, json!({"ResourceTagMappingList": [tagged("arn:a:stream/other-pins-geo")]}));
    }

    #[test]
    fn what_is_old_is_known() {
        let stale = Stale::new(Duration::ZERO);
        stale.made("iam", "CreateRole", &json!({}), &json!({"Role": {"RoleName": "pins"}}));
        assert_eq!(stale.seen("iam", &json!({"RoleName": "pins"})), Ok(()));
    }
}
