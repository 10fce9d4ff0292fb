//! The `streams` section: one Kinesis stream a table.

use std::collections::BTreeSet;

use pinfra_aws::kinesis::stream::{Mode, StreamInputs};
use pinfra_engine::{Address, Node};

use super::{names, node, tags};
use crate::spec::{Capacity, Encryption, Stack, Streams, Table};

/// The key that AWS keeps for Kinesis in every account (Kinesis developer guide, "What is server-side encryption").
const AWS_KEY: &str = "alias/aws/kinesis";

/// The stream of one table.
pub(super) fn stream(stack: &Stack, streams: &Streams, table: &Table) -> Node {
    let address = Address::new("kinesis/stream", table.name.value.clone());
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut secrets = BTreeSet::new();
    let mut secret = |from_env: bool, field: &str| secrets.extend(from_env.then(|| field.to_owned()));
    let (mode, shards) = match streams.capacity() {
        Capacity::OnDemand => (Mode::OnDemand, None),
        Capacity::Provisioned { shards } => {
            secret(shards.from_env, "shards");
            (Mode::Provisioned, Some(number(*shards.get())))
        }
    };
    secret(streams.mode.from_env, "mode");
    secret(streams.retention_hours.from_env, "retention_hours");
    secret(streams.encryption.from_env, "encryption_key");
    let inputs = StreamInputs {
        name: names::stream(stack, &table.name),
        mode,
        shards,
        retention_hours: number(*streams.retention_hours.get()),
        encryption_key: match streams.encryption.get() {
            Encryption::None => None,
            Encryption::Aws => Some(AWS_KEY.to_owned()),
            Encryption::Key(key) => Some(key.clone()),
        },
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, secrets, table.name.place)
}
