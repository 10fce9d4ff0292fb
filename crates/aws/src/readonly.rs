//! Clients that cannot write: a request whose operation is not one of [`READS`] ends before it leaves.
//!
//! The list is of exact names, written by hand. It is asked in the HTTP connector, which every attempt of every request
//! passes that is made with such a configuration; what does not say which operation it is, is refused too. (Credentials
//! providers have a connector of their own: signing in is no change of what is deployed.)

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::meter::Operation;

/// What clients that only read may send, by service as the SDKs name it.
const READS: &[(&str, &[&str])] = &[
    ("STS", &["GetCallerIdentity"]),
    ("SSM", &["GetParameter"]),
    ("Resource Groups Tagging API", &["GetResources"]),
    (
        "IAM",
        &[
            "GetAccountAuthorizationDetails",
            "GetInstanceProfile",
            "GetRole",
            "GetRolePolicy",
            "ListAttachedRolePolicies",
            "ListInstanceProfileTags",
            "ListInstanceProfiles",
            "ListInstanceProfilesForRole",
            "ListRolePolicies",
            "ListRoleTags",
            "ListRoles",
        ],
    ),
    (
        "EC2",
        &[
            "DescribeAddresses",
            "DescribeIamInstanceProfileAssociations",
            "DescribeInstanceAttribute",
            "DescribeInstances",
            "DescribeKeyPairs",
            "DescribeNetworkInterfaces",
            "DescribeRouteTables",
            "DescribeSecurityGroupRules",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeVolumes",
            "DescribeVpcEndpoints",
            "DescribeVpcs",
        ],
    ),
    (
        "S3",
        &[
            "GetBucketEncryption",
            "GetBucketLifecycleConfiguration",
            "GetBucketPolicy",
            "GetBucketTagging",
            "GetBucketVersioning",
            "GetObject",
            "GetObjectTagging",
            "GetPublicAccessBlock",
            "HeadBucket",
            "HeadObject",
            "ListBuckets",
            "ListMultipartUploads",
            "ListObjectVersions",
            "ListObjectsV2",
        ],
    ),
    ("Kinesis", &["DescribeStreamSummary", "ListStreams", "ListTagsForStream"]),
    (
        "Kafka",
        &[
            "DescribeClusterOperationV2",
            "DescribeClusterV2",
            "DescribeConfiguration",
            "DescribeConfigurationRevision",
            "DescribeTopic",
            "GetBootstrapBrokers",
            "ListClustersV2",
            "ListConfigurations",
            "ListNodes",
            "ListTopics",
        ],
    ),
    (
        "KafkaConnect",
        &[
            "DescribeConnector",
            "DescribeConnectorOperation",
            "DescribeCustomPlugin",
            "DescribeWorkerConfiguration",
            "ListConnectors",
            "ListCustomPlugins",
            "ListTagsForResource",
            "ListWorkerConfigurations",
        ],
    ),
    (
        "API Gateway",
        &[
            "GetApiKey",
            "GetApiKeys",
            "GetDeployments",
            "GetModels",
            "GetRequestValidators",
            "GetResources",
            "GetRestApi",
            "GetRestApis",
            "GetStage",
            "GetStages",
            "GetUsagePlan",
            "GetUsagePlanKeys",
            "GetUsagePlans",
        ],
    ),
];

/// A request that is no read was made with clients that can only read.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` was not sent: these clients can only read")]
struct NotARead(String);

/// Whether an operation is one of [`READS`].
fn is_read(operation: &Operation) -> bool {
    let of_service = READS.iter().find(|(service, _)| *service == operation.service);
    of_service.is_some_and(|(_, names)| names.contains(&operation.name.as_str()))
}

/// `client`, which then sends reads alone.
pub(crate) fn only_reads(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(ReadingClient { inner: client })
}

#[derive(Debug)]
struct ReadingClient {
    inner: SharedHttpClient,
}

impl HttpClient for ReadingClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(ReadingConnector { inner: self.inner.http_connector(settings, components) })
    }
}

#[derive(Debug)]
struct ReadingConnector {
    inner: SharedHttpConnector,
}

impl HttpConnector for ReadingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let name = match request.extension::<Operation>() {
            Some(operation) if is_read(operation) => return self.inner.call(request),
            Some(operation) => format!("{}.{}", operation.service, operation.name),
            None => "a request without a name".to_owned(),
        };
        HttpConnectorFuture::ready(Err(ConnectorError::user(NotARead(name).into())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn operation(service: &str, name: &str) -> Operation {
        Operation { service: service.to_owned(), name: name.to_owned() }
    }

    /// Every operation that this crate calls, as its errors name it: `kafka:CreateTopic`.
    fn called(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                called(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
            let named = |word: &&str| {
                word.split_once(':').is_some_and(|(service, name)| {
                    service_of(service).is_some() && name.starts_with(|c: char| c.is_ascii_uppercase())
                })
            };
            found.extend(words.filter(named).map(str::to_owned));
        }
    }

    fn service_of(prefix: &str) -> Option<&'static str> {
        Some(match prefix {
            "apigateway" => "API Gateway",
            "ec2" => "EC2",
            "iam" => "IAM",
            "kafka" => "Kafka",
            "kafkaconnect" => "KafkaConnect",
            "kinesis" => "Kinesis",
            "s3" => "S3",
            "ssm" => "SSM",
            "sts" => "STS",
            "tag" => "Resource Groups Tagging API",
            _ => return None,
        })
    }

    #[test]
    fn what_is_called_is_a_read_by_its_name_or_is_refused() {
        let mut found = BTreeSet::new();
        called(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        // A permission, and the name of no operation.
        found.remove("s3:ListBucket");
        assert!(found.len() > 120, "{found:?}");
        let (mut reads, mut writes) = (0, 0);
        for call in &found {
            let (prefix, name) = call.split_once(':').unwrap();
            let reads_by_name = ["Describe", "Get", "Head", "List"].iter().any(|verb| name.starts_with(verb));
            let allowed = is_read(&operation(service_of(prefix).unwrap(), name));
            assert_eq!(allowed, reads_by_name, "{call}");
            *(if allowed { &mut reads } else { &mut writes }) += 1;
        }
        assert!(reads > 40 && writes > 60, "{reads} reads, {writes} writes");
    }

    #[test]
    fn nothing_but_reads_is_allowed() {
        for (service, names) in READS {
            for name in *names {
                assert!(["Describe", "Get", "Head", "List"].iter().any(|verb| name.starts_with(verb)), "{name}");
                assert!(!is_read(&operation("Another", name)));
                assert!(is_read(&operation(service, name)));
            }
        }
        assert!(!is_read(&operation("Kinesis", "CreateStream")));
        assert!(!is_read(&operation("Kinesis", "DescribeStreamSummaryAndDelete")));
    }
}
