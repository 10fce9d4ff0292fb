//! `cluster`: Amazon MSK, with one topic for each table.

use schemars::JsonSchema;

use super::fields::Fields;
use super::lists::{BROKER_TYPES, KAFKA_VERSIONS, PAST_KAFKA_VERSIONS};
use super::nearest::quoted;
use super::node::{Data, Node};
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::Reader;
use super::schema;
use super::value::Value;

/// Amazon MSK (Kafka), with one topic for each table
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cluster {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name or ARN of a cluster that exists: it is used, and never created, changed or deleted
    #[schemars(rename = "use")]
    pub existing: Option<Spanned<String>>,
    /// The version of Kafka
    #[schemars(schema_with = "schema::kafka_version", extend("default" = "3.8.x"))]
    pub kafka_version: Value<String>,
    /// How many brokers: a multiple of the availability zones
    #[schemars(range(min = 2, max = 15), extend("default" = 3))]
    pub brokers: Value<u32>,
    /// The type of each broker
    #[schemars(schema_with = "schema::broker_type", extend("default" = "kafka.t3.small"))]
    pub instance: Value<String>,
    /// Storage of each broker in GiB. It can grow later and never shrink. Not with `express` brokers
    #[schemars(range(min = 1, max = 16_384), extend("default" = 10))]
    pub storage_gib: Value<u32>,
    /// Partitions of each topic
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub partitions: Value<u32>,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Cluster> {
    let mut fields = reader.fields::<Cluster>(node, "`cluster`")?;
    let default = |text: &str| Value::written(text.to_owned(), node.place);
    let cluster = Cluster {
        place: node.place,
        existing: fields.identity(reader, "use"),
        kafka_version: version(reader, &mut fields).unwrap_or_else(|| default("3.8.x")),
        brokers: fields.whole(reader, "brokers"),
        instance: fields
            .word(reader, "instance", "broker type of MSK", BROKER_TYPES)
            .unwrap_or_else(|| default("kafka.t3.small")),
        storage_gib: fields.whole(reader, "storage_gib"),
        partitions: fields.whole(reader, "partitions"),
    };
    check_version(reader, &cluster.kafka_version);
    if let Some(existing) = &cluster.existing {
        check_existing(reader, existing);
        for setting in ["kafka_version", "brokers", "instance", "storage_gib"] {
            if let Some(place) = fields.key_place(setting) {
                reader.report(
                    Problem::error(format!("`cluster.{setting}` cannot be set on a cluster that exists"))
                        .at(place, "a setting")
                        .at(existing.place, "this cluster is only used, never changed")
                        .help(format!("remove `{setting}`, or remove `use` to have a cluster made")),
                );
            }
        }
    } else if let Some(storage) = fields.key_place("storage_gib")
        && is_express(&cluster)
    {
        reader.report(
            Problem::error("express brokers have no storage to size")
                .at(storage, "given here")
                .at(cluster.instance.place, "express here")
                .help("remove `storage_gib`: their storage grows by itself"),
        );
    }
    fields.finish();
    Some(cluster)
}

/// The version as text. YAML takes `3.6` for a number; what is wrong with it is that it is not `3.6.0`.
fn version(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Value<String>> {
    let node = fields.node("kafka_version")?;
    match node.data {
        Data::Number | Data::Whole(_) => Some(Value::written(node.written(reader.source).to_owned(), node.place)),
        _ => reader.text(node, "`cluster.kafka_version`"),
    }
}

/// Whether the brokers are of the express kind, which manage their storage and live in three zones.
pub(super) fn is_express(cluster: &Cluster) -> bool {
    cluster.instance.get().starts_with("express.")
}

fn check_version(reader: &mut Reader<'_>, version: &Value<String>) {
    if !version.from_env && PAST_KAFKA_VERSIONS.contains(&version.get().as_str()) {
        reader.report(
            Problem::error(format!("MSK makes no more clusters of Kafka {}", version.get()))
                .at(version.place, "its support has ended")
                .help("use `3.8.x`, which AWS recommends"),
        );
    } else {
        reader.is_one_of(version, "version of Kafka that MSK has", KAFKA_VERSIONS);
    }
}

/// A name (1 to 64 letters, digits and hyphens) or `arn:aws:kafka:<region>:<account>:cluster/<name>/<uuid>`.
fn check_existing(reader: &mut Reader<'_>, existing: &Spanned<String>) {
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !name.starts_with('-')
    };
    let good = match arn_region(existing) {
        Some(_) => existing.splitn(6, ':').nth(5).is_some_and(|resource| {
            let parts: Vec<&str> = resource.split('/').collect();
            matches!(parts.as_slice(), ["cluster", name, uuid] if is_name(name) && !uuid.is_empty())
        }),
        None => is_name(existing),
    };
    if !good {
        reader.report(
            Problem::error(format!("{} is not the name or ARN of an MSK cluster", quoted(existing)))
                .at(existing.place, "not understood")
                .help("write its name, or `arn:aws:kafka:<region>:<account>:cluster/<name>/<uuid>`"),
        );
    }
}

/// The region in a cluster's ARN.
pub(super) fn arn_region(existing: &str) -> Option<&str> {
    match existing.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "kafka", region, account, _] if partition.starts_with("aws") && account.len() == 12 => {
            Some(region)
        }
        _ => None,
    }
}
