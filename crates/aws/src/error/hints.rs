//! What a person can do about a refusal.

use pinfra_engine::ErrorKind;

/// A sentence or two, where there is something to be done; `code` is the cloud's.
pub(super) fn hint_for(kind: ErrorKind, operation: &str, code: &str) -> Option<String> {
    let text = match (kind, code) {
        (_, "ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
            "these credentials have expired: sign in again (`aws sso login`), then run the command again"
        }
        (_, "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId") => {
            "AWS does not know these credentials: check the profile, and that the region is enabled in your account"
        }
        (_, "RequestTimeTooSkewed") => "this machine's clock is wrong: set it, then run the command again",
        (_, "SignatureDoesNotMatch" | "InvalidSignatureException") => {
            "the secret key does not fit the access key, or this machine's clock is wrong"
        }
        (_, "UnauthorizedOperation") => {
            "the caller's policy has to allow this action on this resource; \
             `aws sts decode-authorization-message` tells which statement refused it"
        }
        (ErrorKind::Capacity, _) => {
            "AWS has no such machine to give in this zone now: choose another `client.instance` or another subnet, or run the \
             command again later"
        }
        (_, "Unsupported") if operation == "ec2:RunInstances" => {
            "this zone does not have such machines: choose another `client.instance`, or another subnet"
        }
        (ErrorKind::Credentials, _) => "sign in again, or check AWS_PROFILE and AWS_ACCESS_KEY_ID",
        (ErrorKind::Permission, _) => "the caller's policy has to allow this action on this resource",
        (ErrorKind::Quota, _) => {
            let quota = quota_of(operation, code).map(|quota| format!("the quota is {quota}: ")).unwrap_or_default();
            return Some(format!("{quota}ask AWS for more (Service Quotas in the console), or make less"));
        }
        (ErrorKind::Throttled, _) => "run the command again in a moment; `--parallelism` makes it slower",
        (ErrorKind::Transient, _) => "the service is in trouble: run the command again in a moment",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The quota that a refusal is about, as Service Quotas names it.
fn quota_of(operation: &str, code: &str) -> Option<&'static str> {
    Some(match (operation, code) {
        (_, "VcpuLimitExceeded" | "InstanceLimitExceeded") => "\"Running On-Demand instances\" of Amazon EC2, in vCPUs",
        (_, "AddressLimitExceeded") => "\"EC2-VPC Elastic IPs\" of Amazon EC2",
        (_, "SecurityGroupLimitExceeded") => "\"VPC security groups per Region\" of Amazon VPC",
        (_, "RulesPerSecurityGroupLimitExceeded") => "\"Inbound or outbound rules per security group\" of Amazon VPC",
        (_, "VpcEndpointLimitExceeded") => "\"Gateway VPC endpoints per Region\" of Amazon VPC",
        (_, "TooManyBuckets") => "\"General purpose buckets\" of Amazon S3",
        ("iam:CreateRole", _) => "\"Roles per account\" of IAM",
        ("iam:PutRolePolicy", _) => "the 10,240 characters of all inline policies of a role, which is fixed",
        ("iam:CreateInstanceProfile", _) => "\"Instance profiles per account\" of IAM",
        ("kinesis:CreateStream" | "kinesis:UpdateShardCount", _) => "\"Shards per Region\" of Kinesis Data Streams",
        ("apigateway:CreateRestApi", _) => "\"Regional APIs per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateApiKey", _) => "\"API keys per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateUsagePlan", _) => "\"Usage plans per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateStage", _) => "\"Stages per API\" of Amazon API Gateway",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_named_and_a_machine_that_is_not_to_be_had_too() {
        let hint = |kind, operation, code| hint_for(kind, operation, code).unwrap_or_default();
        assert!(
            hint(ErrorKind::Quota, "ec2:RunInstances", "VcpuLimitExceeded").contains("Running On-Demand instances")
        );
        assert!(hint(ErrorKind::Quota, "iam:CreateRole", "LimitExceeded").contains("Roles per account"));
        let full = hint(ErrorKind::Capacity, "ec2:RunInstances", "InsufficientInstanceCapacity");
        assert!(full.contains("client.instance"), "{full}");
    }
}
