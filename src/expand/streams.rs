//! The `streams` section: one Kinesis stream a table.

use std::collections::BTreeSet;

use pinfra_aws::kinesis::stream::{Mode, StreamInputs};
use pinfra_engine::state::Place;
use pinfra_engine::{Address, Node};
use serde_json::{Value, json};

use super::{names, node, tags};
use crate::spec::{Capacity, Encryption, Stack, Streams, Table};

/// The key that AWS keeps for Kinesis in every account (Kinesis developer guide, "What is server-side encryption").
pub(super) const AWS_KEY: &str = "alias/aws/kinesis";

/// The right to use the account's own key that the streams are encrypted with, where there is one: whoever writes needs
/// `kms:GenerateDataKey`, whoever reads `kms:Decrypt` ("Permissions to use user-generated KMS keys", Kinesis developer
/// guide). AWS's own key needs no such right.
pub(super) fn may_use_key(stack: &Stack, place: &Place, action: &str) -> Option<Value> {
    let Encryption::Key(key) = stack.streams.as_ref()?.encryption.get() else { return None };
    let partition = pinfra_aws::clients::partition(&place.region);
    let keys = format!("arn:{partition}:kms:{}:{}:key/*", place.region, place.account);
    // A policy cannot name a key by its alias, other than by this condition ("Using aliases to control access to KMS
    // keys", KMS developer guide).
    let alias = key.rsplit_once(":alias/").map(|(_, name)| format!("alias/{name}"));
    let alias = alias.or_else(|| key.starts_with("alias/").then(|| key.clone()));
    Some(match alias {
        Some(alias) => json!({
            "Effect": "Allow", "Action": action, "Resource": keys,
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
        }),
        None => json!({"Effect": "Allow", "Action": action, "Resource": key}),
    })
}

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
