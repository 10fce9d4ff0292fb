//! The services whose API model is compiled in, by the name that stands in the scope of a signature.

use std::sync::OnceLock;

use super::load::{LoadError, load};
use super::model::Model;

struct Entry {
    /// The service in the credential scope.
    signing_name: &'static str,
    packed: &'static [u8],
    model: OnceLock<Result<Model, LoadError>>,
}

macro_rules! entry {
    ($signing_name:literal, $file:literal) => {
        Entry {
            signing_name: $signing_name,
            packed: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".json.gz")),
            model: OnceLock::new(),
        }
    };
}

static CATALOGUE: [Entry; 9] = [
    entry!("apigateway", "apigateway"),
    entry!("ec2", "ec2"),
    entry!("iam", "iam"),
    entry!("kafka", "kafka"),
    entry!("kafkaconnect", "kafkaconnect"),
    entry!("kinesis", "kinesis"),
    entry!("ssm", "ssm"),
    entry!("sts", "sts"),
    entry!("tagging", "resourcegroupstaggingapi"),
];

/// The signing name and the model of a service, read at its first use; `None` for a service that has none here. (A
/// model that cannot be read is none either; the tests of this module would have found it.)
pub(crate) fn service(signing_name: &str) -> Option<(&'static str, &'static Model)> {
    let entry = CATALOGUE.iter().find(|entry| entry.signing_name == signing_name)?;
    let model = entry.model.get_or_init(|| load(entry.packed)).as_ref().ok()?;
    Some((entry.signing_name, model))
}

/// The signing names of all services that have a model.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|entry| entry.signing_name)
}

/// The service whose model has this `X-Amz-Target`; for requests that carry no signature to tell.
pub(crate) fn service_of_target(target: &str) -> Option<(&'static str, &'static Model)> {
    let (prefix, _) = target.rsplit_once('.')?;
    let services = CATALOGUE.iter().filter_map(|entry| service(entry.signing_name));
    services.into_iter().find(|(_, model)| !prefix.is_empty() && model.target_prefix == prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::model::{Kind, Protocol};

    fn models() -> impl Iterator<Item = (&'static str, &'static Model)> {
        CATALOGUE.iter().map(|entry| service(entry.signing_name).unwrap())
    }

    #[test]
    fn every_model_loads_with_its_protocol() {
        let found: Vec<_> = models().map(|(name, model)| (name, model.protocol)).collect();
        let expected = [
            ("apigateway", Protocol::RestJson),
            ("ec2", Protocol::Ec2),
            ("iam", Protocol::Query),
            ("kafka", Protocol::RestJson),
            ("kafkaconnect", Protocol::RestJson),
            ("kinesis", Protocol::Json("1.1")),
            ("ssm", Protocol::Json("1.1")),
            ("sts", Protocol::Query),
            ("tagging", Protocol::Json("1.1")),
        ];
        assert_eq!(found, expected);
    }

    /// `regex` has no look-ahead. A pattern that joins this list is one that nobody checks.
    #[test]
    fn patterns_that_cannot_be_checked() {
        let mut unchecked = Vec::new();
        for (service, model) in models() {
            for shape in &model.shapes {
                if shape.pattern.as_ref().is_some_and(|pattern| pattern.compiled().is_none()) {
                    unchecked.push((service, shape.name.as_str()));
                }
            }
        }
        assert_eq!(unchecked, [("iam", "accountAliasType")]);
    }

    #[test]
    fn patterns_are_ascii_as_in_java_and_cover_the_whole_value() {
        let kinesis = service("kinesis").unwrap().1;
        let pattern = |name: &str| kinesis.shape(kinesis.shapes_by_name[name]).pattern.as_ref().unwrap();
        assert!(pattern("StreamName").matches("pins-1.a_b"));
        assert!(!pattern("StreamName").matches("pins 1"));
        assert!(pattern("StreamARN").matches("arn:aws:kinesis:us-east-1:000000000000:stream/pins"));
        assert!(!pattern("StreamARN").matches("arn:aws:kinesis:us-east-1:٠٠٠٠٠٠٠٠٠٠٠٠:stream/pins"));
    }

    #[test]
    fn reading_operations_are_known_by_name() {
        let kinesis = service("kinesis").unwrap().1;
        let mutating = |name: &str| kinesis.operation(name).unwrap().mutating;
        assert!(mutating("PutRecord") && mutating("CreateStream") && mutating("UpdateShardCount"));
        assert!(!mutating("GetRecords") && !mutating("ListShards") && !mutating("DescribeStreamSummary"));
    }

    #[test]
    fn every_member_shape_resolves() {
        for (service, model) in models() {
            for operation in &model.operations {
                for id in [operation.input, operation.output].into_iter().flatten() {
                    assert!(matches!(model.shape(id).kind, Kind::Structure(_)), "{service} {}", operation.name);
                }
            }
        }
    }

    #[test]
    fn a_target_names_its_service() {
        let name = |target: &str| service_of_target(target).map(|(name, _)| name);
        assert_eq!(name("Kinesis_20131202.PutRecord"), Some("kinesis"));
        assert_eq!(name("ResourceGroupsTaggingAPI_20170126.GetResources"), Some("tagging"));
        assert_eq!(name("DynamoDB_20120810.PutItem"), None);
    }
}
