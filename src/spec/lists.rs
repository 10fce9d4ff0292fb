//! What AWS offers, so that a name it does not know is refused before any call.
//!
//! A list ages; a new entry is one line here. Sources: the AWS documentation pages named at each list.

/// Regions of the commercial, China and GovCloud partitions ("AWS Regions", AWS Account Management guide).
pub(super) const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Kafka versions that new MSK clusters can have ("Supported Apache Kafka versions", Amazon MSK developer guide), without
/// those whose support ended before 2025-06: MSK stops making clusters of them.
pub(super) const KAFKA_VERSIONS: &[&str] = &[
    "3.4.0",
    "3.5.1",
    "3.6.0",
    "3.7.x",
    "3.7.x.kraft",
    "3.8.x",
    "3.8.x.kraft",
    "3.9.x",
    "3.9.x.kraft",
    "4.0.x.kraft",
    "4.1.x.kraft",
];

/// Versions that MSK once had, to say so.
pub(super) const PAST_KAFKA_VERSIONS: &[&str] = &[
    "1.1.1",
    "2.1.0",
    "2.2.1",
    "2.3.1",
    "2.4.1",
    "2.4.1.1",
    "2.5.1",
    "2.6.0",
    "2.6.1",
    "2.6.2",
    "2.6.3",
    "2.7.0",
    "2.7.1",
    "2.7.2",
    "2.8.0",
    "2.8.1",
    "2.8.2.tiered",
    "3.1.1",
    "3.2.0",
    "3.3.1",
    "3.3.2",
];

/// MSK broker types ("Amazon MSK broker types", Amazon MSK developer guide).
pub(super) const BROKER_TYPES: &[&str] = &[
    "kafka.t3.small",
    "kafka.m5.large",
    "kafka.m5.xlarge",
    "kafka.m5.2xlarge",
    "kafka.m5.4xlarge",
    "kafka.m5.8xlarge",
    "kafka.m5.12xlarge",
    "kafka.m5.16xlarge",
    "kafka.m5.24xlarge",
    "kafka.m7g.large",
    "kafka.m7g.xlarge",
    "kafka.m7g.2xlarge",
    "kafka.m7g.4xlarge",
    "kafka.m7g.8xlarge",
    "kafka.m7g.12xlarge",
    "kafka.m7g.16xlarge",
    "express.m7g.large",
    "express.m7g.xlarge",
    "express.m7g.2xlarge",
    "express.m7g.4xlarge",
    "express.m7g.8xlarge",
    "express.m7g.12xlarge",
    "express.m7g.16xlarge",
];

/// EC2 families and their sizes that make sense for three small workers ("Amazon EC2 instance types" guide): current
/// burstable, general-purpose, compute and memory families; no accelerators, no metal.
const INSTANCE_FAMILIES: &[(&[&str], &[&str])] = &[
    (&["t2", "t3", "t3a", "t4g"], &["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    (&["m5", "m5a", "r5", "r5a"], &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    (&["c5"], &["large", "xlarge", "2xlarge", "4xlarge", "9xlarge"]),
    (&["c5a", "c6i", "c6a", "m6i", "m6a", "r6i", "r6a"], &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    (&["c7i", "c7a", "m7i", "m7a", "r7i", "r7a"], &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    (&["c7i-flex", "m7i-flex"], &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    (&["c8i", "m8i", "r8i"], &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    (
        &["c6g", "m6g", "r6g", "c7g", "m7g", "r7g", "c8g", "m8g", "r8g"],
        &["medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge"],
    ),
];

/// EC2 instance types for the client machine.
pub(super) fn instance_types() -> Vec<String> {
    let types = |(families, sizes): &(&[&str], &'static [&'static str])| {
        let of_family = |family: &&str| sizes.iter().map(|size| format!("{family}.{size}")).collect::<Vec<_>>();
        families.iter().flat_map(of_family).collect::<Vec<_>>()
    };
    INSTANCE_FAMILIES.iter().flat_map(types).collect()
}

/// The kinds of resources, as addresses begin (`kind.name`): those of the catalogue, which this room may not know.
pub(super) const KINDS: &[&str] = &[
    "iam/role",
    "iam/role_policy",
    "iam/instance_profile",
    "ec2/security_group",
    "ec2/vpc_endpoint",
    "ec2/key_pair",
    "ec2/elastic_ip",
    "ec2/instance",
    "msk/configuration",
    "msk/cluster",
    "msk/topic",
    "s3/bucket",
    "s3/object",
    "msk_connect/plugin",
    "msk_connect/worker_configuration",
    "msk_connect/connector",
    "kinesis/stream",
    "api_gateway/rest_api",
    "api_gateway/deployment",
    "api_gateway/stage",
    "api_gateway/api_key",
    "api_gateway/usage_plan",
    "worker/process",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn the_kinds_of_the_catalogue_can_be_protected_and_no_others() {
        let catalogue: BTreeSet<&str> = pinfra_aws::catalog::KINDS.iter().map(|info| info.kind).collect();
        assert_eq!(super::KINDS.iter().copied().collect::<BTreeSet<_>>(), catalogue);
    }
}
