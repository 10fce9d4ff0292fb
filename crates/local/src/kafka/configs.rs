//! Configs of topics, and the properties of the cluster that stand behind them.
//!
//! A topic has what was set on it, else what the cluster's configuration says under the server's name for it, else the
//! default. What the local broker does not do is refused by name when a topic asks for it.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;

use super::cluster::ClusterSpec;
use super::error::Refused;

/// Where a value comes from, as `DescribeConfigs` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic = 1,
    Cluster = 4,
    Default = 5,
}

/// A type of value, as `DescribeConfigs` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    List = 7,
}

/// A config that topics may have.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// What it is called among the server's properties.
    pub(crate) server: &'static str,
    pub(crate) kind: Kind,
    default: &'static str,
    rule: Rule,
}

enum Rule {
    /// Nothing but this is done.
    Only(&'static str),
    Within(i64, i64),
}

/// A record of the log holds one batch, whose size it bounds.
const MOST_MESSAGE_BYTES: i64 = 63 << 20;

/// Topic configs that the broker acts by. Defaults are Kafka's, but for `segment.bytes` (1 GiB there) and what MSK sets by
/// the number of zones.
pub(crate) const TOPIC_CONFIGS: [Known; 8] = [
    Known {
        name: "cleanup.policy",
        server: "log.cleanup.policy",
        kind: Kind::List,
        default: "delete",
        rule: Rule::Only("delete"),
    },
    Known {
        name: "compression.type",
        server: "compression.type",
        kind: Kind::Text,
        default: "producer",
        rule: Rule::Only("producer"),
    },
    Known {
        name: "max.message.bytes",
        server: "message.max.bytes",
        kind: Kind::Int,
        default: "1048588",
        rule: Rule::Within(0, MOST_MESSAGE_BYTES),
    },
    Known {
        name: "message.timestamp.type",
        server: "log.message.timestamp.type",
        kind: Kind::Text,
        default: "CreateTime",
        rule: Rule::Only("CreateTime"),
    },
    Known {
        name: "min.insync.replicas",
        server: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        rule: Rule::Within(1, 1 << 30),
    },
    Known {
        name: "retention.bytes",
        server: "log.retention.bytes",
        kind: Kind::Long,
        default: "-1",
        rule: Rule::Within(-1, i64::MAX),
    },
    Known {
        name: "retention.ms",
        server: "log.retention.ms",
        kind: Kind::Long,
        default: "604800000",
        rule: Rule::Within(-1, i64::MAX),
    },
    Known {
        name: "segment.bytes",
        server: "log.segment.bytes",
        kind: Kind::Int,
        default: "16777216",
        rule: Rule::Within(14, 1 << 30),
    },
];

/// Properties of the cluster that are not behind a topic config, with their defaults where MSK has no rule of its own.
pub(crate) const CLUSTER_CONFIGS: [(&str, Kind); 5] = [
    ("auto.create.topics.enable", Kind::Boolean),
    ("num.partitions", Kind::Int),
    ("default.replication.factor", Kind::Int),
    ("delete.topic.enable", Kind::Boolean),
    ("group.initial.rebalance.delay.ms", Kind::Int),
];

/// What a partition is bounded by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_message_bytes: usize,
    /// `None` keeps for ever.
    pub(crate) retention_millis: Option<i64>,
    /// `None` keeps any size.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) segment_bytes: u64,
    pub(crate) min_insync_replicas: i64,
}

impl Limits {
    /// Of a topic with these configs.
    pub(crate) fn of(configs: &BTreeMap<String, String>, spec: &ClusterSpec) -> Limits {
        let number = |known: &Known| effective(known, configs, spec).0.parse::<i64>().unwrap_or_default();
        let [_, _, max_message, _, min_insync, bytes, millis, segment] = &TOPIC_CONFIGS;
        Limits {
            max_message_bytes: usize::try_from(number(max_message)).unwrap_or_default(),
            retention_millis: Some(number(millis)).filter(|millis| *millis >= 0),
            retention_bytes: u64::try_from(number(bytes)).ok(),
            segment_bytes: u64::try_from(number(segment)).unwrap_or_default().max(1),
            min_insync_replicas: number(min_insync),
        }
    }
}

/// What a topic has for a config, and where from.
pub(crate) fn effective(known: &Known, configs: &BTreeMap<String, String>, spec: &ClusterSpec) -> (String, Source) {
    if let Some(value) = configs.get(known.name) {
        return (value.clone(), Source::Topic);
    }
    // Such a configuration is refused when it is made; one of an earlier version counts as if it said nothing.
    if let Some(value) = server_value(known, spec).filter(|value| allowed(known, value)) {
        return (value, Source::Cluster);
    }
    if known.name == "min.insync.replicas" {
        return (if spec.nodes >= 3 { "2" } else { "1" }.to_owned(), Source::Default);
    }
    (known.default.to_owned(), Source::Default)
}

/// The value of one of [`CLUSTER_CONFIGS`].
pub(crate) fn cluster_value(name: &str, spec: &ClusterSpec) -> (String, Source) {
    if let Some(value) = spec.properties.get(name) {
        return (value.clone(), Source::Cluster);
    }
    // "Default Amazon MSK configuration", MSK developer guide: replicas by zones, which are nodes here.
    let value = match name {
        "auto.create.topics.enable" => "false".to_owned(),
        "delete.topic.enable" => "true".to_owned(),
        "num.partitions" => "1".to_owned(),
        "default.replication.factor" => spec.nodes.clamp(1, 3).to_string(),
        _ => "0".to_owned(),
    };
    (value, Source::Default)
}

/// Refuses configs that the broker does not know or does not do.
pub(crate) fn check(configs: &BTreeMap<String, String>) -> Result<(), Refused> {
    for (name, value) in configs {
        let Some(known) = TOPIC_CONFIGS.iter().find(|known| known.name == name) else {
            let names: Vec<&str> = TOPIC_CONFIGS.iter().map(|known| known.name).collect();
            let message =
                format!("topic config `{name}` is not supported by the local cloud; these are: {}", names.join(", "));
            return Err(Refused::new(ResponseError::InvalidConfig, message));
        };
        if allowed(known, value) {
            continue;
        }
        let message = match known.rule {
            Rule::Only(only) => format!("`{name}={value}` is not supported by the local cloud, only `{only}` is"),
            Rule::Within(low, high) => format!("`{name}={value}` is not a whole number from {low} to {high}"),
        };
        return Err(Refused::new(ResponseError::InvalidConfig, message));
    }
    Ok(())
}

/// The bounds within which brokers act by this property of a server, where `value` is a number outside of them.
pub(crate) fn out_of_bounds(server_property: &str, value: &str) -> Option<(i64, i64)> {
    let known = TOPIC_CONFIGS.iter().find(|known| known.server == server_property)?;
    let Rule::Within(low, high) = known.rule else { return None };
    (!allowed(known, value)).then_some((low, high))
}

fn allowed(known: &Known, value: &str) -> bool {
    match known.rule {
        Rule::Only(only) => value == only,
        Rule::Within(low, high) => value.parse().is_ok_and(|number: i64| (low..=high).contains(&number)),
    }
}

fn server_value(known: &Known, spec: &ClusterSpec) -> Option<String> {
    if let Some(value) = spec.properties.get(known.server) {
        return Some(value.clone());
    }
    if known.name != "retention.ms" {
        return None;
    }
    let millis = |name: &str, each: i64| {
        let number = spec.properties.get(name)?.parse::<i64>().ok()?;
        Some(if number < 0 { -1 } else { number.saturating_mul(each) }.to_string())
    };
    millis("log.retention.minutes", 60_000).or_else(|| millis("log.retention.hours", 3_600_000))
}
