//! `streams`: one Kinesis data stream for each table.

use schemars::JsonSchema;
use serde::Deserialize;

use super::node::Node;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// Amazon Kinesis data streams, one for each table
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Streams {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// `provisioned` has as many shards as `shards` says; `on_demand` grows and shrinks by itself
    #[schemars(extend("default" = "provisioned"))]
    pub mode: Value<StreamMode>,
    /// Shards of each stream; a shard takes 1 MiB or 1,000 records a second. Not with `mode: on_demand`
    #[schemars(range(min = 1, max = 10_000), extend("default" = 1))]
    pub shards: Value<u32>,
    /// How long records are kept: from a day to a year
    #[schemars(range(min = 24, max = 8760), extend("default" = 24))]
    pub retention_hours: Value<u32>,
    /// Encryption at rest: `aws` (the key that AWS keeps for Kinesis), `none`, or a KMS key as `alias/…` or ARN
    #[schemars(with = "Value<String>", extend("default" = "aws"))]
    pub encryption: Value<Encryption>,
}

/// How the capacity of a stream is set.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StreamMode {
    /// A number of shards.
    #[default]
    Provisioned,
    /// As much as comes.
    OnDemand,
}

/// How records are encrypted at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// With the key that AWS keeps for the service, `alias/aws/kinesis`.
    Aws,
    /// With a KMS key of the account, by alias or ARN.
    Key(String),
}

/// What a stream can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capacity<'a> {
    /// So many shards.
    Provisioned {
        /// How many.
        shards: &'a Value<u32>,
    },
    /// As much as comes.
    OnDemand,
}

impl Streams {
    /// Mode and shards in one.
    pub fn capacity(&self) -> Capacity<'_> {
        match self.mode.get() {
            StreamMode::Provisioned => Capacity::Provisioned { shards: &self.shards },
            StreamMode::OnDemand => Capacity::OnDemand,
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Streams> {
    let mut fields = reader.fields::<Streams>(node, "`streams`")?;
    let shards_place = fields.key_place("shards");
    let streams = Streams {
        place: node.place,
        mode: fields.choice(reader, "mode"),
        shards: fields.whole(reader, "shards"),
        retention_hours: fields.whole(reader, "retention_hours"),
        encryption: match fields.text(reader, "encryption") {
            Some(text) => encryption(reader, text),
            None => Value::written(Encryption::Aws, fields.place),
        },
    };
    fields.finish();
    if let (StreamMode::OnDemand, Some(shards)) = (streams.mode.get(), shards_place) {
        reader.report(
            Problem::error("an on-demand stream has no number of shards")
                .at(shards, "given here")
                .at(streams.mode.place, "on demand here")
                .help("remove `shards`, or write `mode: provisioned`"),
        );
    }
    Some(streams)
}

fn encryption(reader: &mut Reader<'_>, text: Value<String>) -> Value<Encryption> {
    let encryption = match text.get().as_str() {
        "none" => Encryption::None,
        "aws" => Encryption::Aws,
        key if is_key(key) => Encryption::Key(key.to_owned()),
        _ => {
            reader.report(
                Problem::error("`streams.encryption` is not a key")
                    .at(text.place, "not understood")
                    .help("write `aws`, `none`, `alias/<name>` or the ARN of a KMS key"),
            );
            Encryption::None
        }
    };
    text.map(|_| encryption)
}

/// `alias/<name>`, or the ARN of a key or an alias (AWS KMS, "Key identifiers").
fn is_key(text: &str) -> bool {
    let alias = |name: &str| {
        !name.is_empty() && name.len() <= 250 && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c))
    };
    if let Some(name) = text.strip_prefix("alias/") {
        return alias(name);
    }
    match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "kms", region, account, key] => {
            partition.starts_with("aws")
                && super::lists::REGIONS.contains(region)
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && key.strip_prefix("key/").or(key.strip_prefix("alias/")).is_some_and(alias)
        }
        _ => false,
    }
}
