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

    /// What the name of an operation that only reads begins with.
    const VERBS: [&str; 4] = ["Describe", "Get", "Head", "List"];

    fn is_read_by_name(name: &str) -> bool {
        VERBS.iter().any(|verb| name.starts_with(verb))
    }

    /// The texts of all source files of this crate, tests included.
    fn sources(folder: &Path) -> Vec<String> {
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => texts.extend(sources(&path)),
                false => texts.push(std::fs::read_to_string(&path).unwrap()),
            }
        }
        texts
    }

    /// The services as errors name them: every call of one is handed to `classify`, and says there what it is.
    fn prefixes(sources: &[String]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for text in sources {
            for rest in text.split("classify(\"").skip(1) {
                found.extend(rest.split_once(':').map(|(prefix, _)| prefix));
            }
        }
        found
    }

    /// The service of a prefix, which is its name without capitals and spaces.
    fn service_of(prefix: &str) -> &'static str {
        let prefix = if prefix == "tag" { "resourcegroupstaggingapi" } else { prefix };
        let of_prefix = READS.iter().find(|(service, _)| service.to_lowercase().replace(' ', "") == prefix);
        of_prefix.unwrap_or_else(|| panic!("`READS` has nothing of `{prefix}`")).0
    }

    #[test]
    fn what_is_called_is_a_read_by_its_name_or_is_refused() {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let prefixes = prefixes(&sources);
        // All clients are made in one place, but for that of STS: none of them is forgotten here.
        let clients = include_str!("clients.rs").matches("client!(aws_sdk_").count() + 1;
        assert_eq!((prefixes.len(), READS.len()), (clients, clients), "{prefixes:?}");
        let mut found = BTreeSet::new();
        for text in &sources {
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':') {
                let Some((prefix, name)) = word.split_once(':') else { continue };
                if prefixes.contains(prefix) && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    found.insert((service_of(prefix), name));
                }
            }
        }
        // A permission, and the name of no operation.
        found.remove(&("S3", "ListBucket"));
        let (reads, writes): (Vec<_>, Vec<_>) = found.iter().partition(|(_, name)| is_read_by_name(name));
        assert!(reads.len() > 40 && writes.len() > 60, "{reads:?} {writes:?}");
        for (service, name) in reads {
            assert!(is_read(&operation(service, name)), "{service} {name} is called, and is not in `READS`");
        }
        for (service, name) in writes {
            assert!(!is_read(&operation(service, name)), "{service} {name}");
        }
    }

    #[test]
    fn nothing_but_reads_is_allowed() {
        for (service, names) in READS {
            for name in *names {
                assert!(is_read_by_name(name), "{name}");
                assert!(!is_read(&operation("Another", name)));
                assert!(is_read(&operation(service, name)));
            }
        }
        assert!(!is_read(&operation("Kinesis", "CreateStream")));
        assert!(!is_read(&operation("Kinesis", "DescribeStreamSummaryAndDelete")));
    }
}
