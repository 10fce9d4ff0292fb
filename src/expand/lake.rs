//! The `lake` section: one bucket.

use std::collections::BTreeSet;

use pinfra_aws::s3::bucket::{BucketInputs, Encryption, LifecycleRule, PublicAccessBlock, tls_only_policy};
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Node};

use super::{names, node, tags};
use crate::spec::{Lake, Stack, Value};

/// Parts of an upload that nobody finished are paid for and seen by nobody; a week is longer than any upload takes.
const ABORT_MULTIPART_DAYS: i32 = 7;

/// The address of the lake bucket.
pub(super) fn address() -> Address {
    Address::new("s3/bucket", "lake")
}

/// The name of the bucket: of the one that is made, once it is there, or of the one that exists.
pub(super) fn name(stack: &Stack) -> Input<String> {
    match stack.lake.as_ref().and_then(|lake| lake.existing.as_ref()) {
        Some(existing) => Input::Known(existing.value.clone()),
        None => Input::output(address(), "name"),
    }
}

/// The lake bucket, unless one that exists is used.
pub(super) fn bucket(stack: &Stack, lake: &Lake, place: &Place) -> Option<Node> {
    if lake.existing.is_some() {
        return None;
    }
    let address = address();
    let name = names::bucket(stack, place);
    let days = |value: &Option<Value<u32>>| value.as_ref().map(|days| i32::try_from(*days.get()).unwrap_or(i32::MAX));
    let rule = |id: &str, prefix: &str| LifecycleRule {
        id: id.to_owned(),
        prefix: prefix.to_owned(),
        expire_days: None,
        noncurrent_days: None,
        abort_multipart_days: None,
        other: None,
    };
    let mut lifecycle =
        vec![LifecycleRule { abort_multipart_days: Some(ABORT_MULTIPART_DAYS), ..rule("abort-multipart", "") }];
    if lake.expire_days.is_some() {
        lifecycle.push(LifecycleRule { expire_days: days(&lake.expire_days), ..rule("expire-topics", "topics/") });
    }
    if lake.noncurrent_days.is_some() {
        lifecycle.push(LifecycleRule { noncurrent_days: days(&lake.noncurrent_days), ..rule("noncurrent", "") });
    }
    let from_env = [&lake.expire_days, &lake.noncurrent_days].iter().any(|d| d.as_ref().is_some_and(|d| d.from_env));
    let mut secrets = BTreeSet::new();
    secrets.extend(from_env.then(|| "lifecycle".to_owned()));
    secrets.extend(lake.versioning.from_env.then(|| "versioning".to_owned()));
    let inputs = BucketInputs {
        policy: Some(tls_only_policy(&name, &place.region)),
        name,
        encryption: Encryption { algorithm: "AES256".to_owned(), key: None },
        public_access_block: PublicAccessBlock::ALL,
        versioning: *lake.versioning.get(),
        lifecycle,
        tags: tags(stack, &address),
    };
    Some(node(stack, address, &inputs, secrets, lake.place))
}
