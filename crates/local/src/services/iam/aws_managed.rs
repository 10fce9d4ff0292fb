//! Policies that AWS manages: those that people attach to the roles of a data pipeline, with the statements of the "AWS
//! managed policy reference". One that is not listed here does not exist.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::document::{Managed, PolicyText, Tags, Version};
use super::policy::Use;

/// Path, name and the actions that it allows on everything.
const POLICIES: &[(&str, &str, &[&str])] = &[
    ("/", "AdministratorAccess", &["*"]),
    ("/", "AmazonEC2FullAccess", &["ec2:*", "elasticloadbalancing:*", "cloudwatch:*", "autoscaling:*"]),
    ("/", "AmazonEC2ReadOnlyAccess", &["ec2:Describe*", "ec2:GetSecurityGroupsForVpc", "cloudwatch:Describe*"]),
    ("/", "AmazonKinesisFullAccess", &["kinesis:*"]),
    ("/", "AmazonKinesisReadOnlyAccess", &["kinesis:Get*", "kinesis:List*", "kinesis:Describe*"]),
    ("/", "AmazonS3FullAccess", &["s3:*", "s3-object-lambda:*"]),
    (
        "/",
        "AmazonS3ReadOnlyAccess",
        &["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"],
    ),
    ("/", "AmazonSSMReadOnlyAccess", &["ssm:Describe*", "ssm:Get*", "ssm:List*"]),
    ("/", "AmazonAPIGatewayAdministrator", &["apigateway:*"]),
    ("/", "IAMReadOnlyAccess", &["iam:Get*", "iam:List*", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"]),
    (
        "/service-role/",
        "AmazonAPIGatewayPushToCloudWatchLogs",
        &[
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
            "logs:GetLogEvents",
            "logs:FilterLogEvents",
        ],
    ),
];

/// 2015-02-06T18:40:00Z: about when most of them were first published.
const PUBLISHED: i64 = 1_423_248_000_000;

static ALL: LazyLock<Vec<Arc<Managed>>> = LazyLock::new(|| POLICIES.iter().filter_map(managed).collect());

/// All of them, in no order.
pub(super) fn all() -> &'static [Arc<Managed>] {
    &ALL
}

/// The one of that ARN.
pub(super) fn find(arn: &str) -> Option<&'static Arc<Managed>> {
    ALL.iter().find(|policy| policy.arn == arn)
}

fn managed((path, name, actions): &(&str, &str, &[&str])) -> Option<Arc<Managed>> {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    // A test reads every one of them.
    let policy = PolicyText::new(&text, Use::Identity).ok()?;
    let digest = Sha256::digest(name.as_bytes());
    let letters =
        digest.iter().take(17).map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]));
    Some(Arc::new(Managed {
        arn: format!("arn:aws:iam::aws:policy{path}{name}"),
        name: (*name).to_owned(),
        id: format!("ANPA{}", letters.collect::<String>()),
        path: (*path).to_owned(),
        description: None,
        created: PUBLISHED,
        updated: PUBLISHED,
        versions: BTreeMap::from([(1, Version { created: PUBLISHED, policy })]),
        default: 1,
        last: 1,
        tags: Tags::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_aws_can_be_read() {
        assert_eq!(all().len(), POLICIES.len());
    }
}
